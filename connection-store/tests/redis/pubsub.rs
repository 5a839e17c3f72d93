//! Connections that hear channels.

use std::time::Duration;

use connection_store::{Heard, Redis};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::server::{Cluster, Server, Trio};

fn redis(url: &str) -> Redis {
    let limit = Duration::from_secs(10);
    Redis::new(url.parse().expect("it is a URL"), limit).expect("it names no files")
}

async fn what_is_published_is_heard(redis: &Redis) {
    let (sender, mut heard) = mpsc::unbounded_channel();
    let hear = move |what| {
        let _ = sender.send(what);
    };
    let mut subscriber = redis.subscriber(hear).await.expect("connects");
    // In several slots.
    let channels: Vec<_> = (0..8).map(|n| format!("wg:{{{n}}}:cmd")).collect();
    for channel in &channels {
        subscriber
            .hear(channel.as_bytes())
            .await
            .expect("subscribes");
    }
    for channel in &channels {
        let payload = [b"\0\xff", channel.as_bytes()].concat();
        let count = redis.publish(channel.as_bytes(), &payload).await;
        assert_eq!(count, Ok(1));
        let what = timeout(Duration::from_secs(2), heard.recv()).await;
        let channel = channel.clone().into_bytes();
        assert_eq!(what, Ok(Some(Heard::Message { channel, payload })));
    }
    drop(subscriber);
    let nobody = redis.publish(b"wg:{nobody}:cmd", b"x").await;
    assert_eq!(nobody, Ok(0));
}

#[tokio::test]
async fn a_subscriber_hears_and_is_told_when_it_is_over() {
    let server = Server::start();
    let redis = redis(&format!("redis://127.0.0.1:{}", server.port));
    what_is_published_is_heard(&redis).await;
    let (sender, mut heard) = mpsc::unbounded_channel();
    let hear = move |what| {
        let _ = sender.send(what);
    };
    let mut subscriber = redis.subscriber(hear).await.expect("connects");
    subscriber.hear(b"wg:{1}:cmd").await.expect("subscribes");
    let _: u64 = server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let what = timeout(Duration::from_secs(2), heard.recv()).await;
    assert_eq!(what, Ok(Some(Heard::Lost)));
    subscriber
        .hear(b"wg:{2}:cmd")
        .await
        .expect_err("it is over");
}

#[tokio::test]
async fn a_subscriber_hears_through_sentinels() {
    let trio = Trio::start();
    what_is_published_is_heard(&redis(&trio.url())).await;
}

#[tokio::test]
async fn a_subscriber_of_a_cluster_hears_sharded_channels() {
    let cluster = Cluster::start();
    what_is_published_is_heard(&redis(&cluster.url())).await;
}
