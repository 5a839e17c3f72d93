//! Redis is away, frozen, half-open or empty: typed errors within the time limit, and recovery without help.

use std::thread;
use std::time::{Duration, Instant};

use connection_store::{ConnectionStore, Fate, Lease, Registration};
use gateway_core::id::NodeId;

use crate::peer::{Road, answering};
use crate::server::{Server, free_port};
use crate::{NODE, SLACK, assert_unavailable, info, quick, record, recover, renew};

#[tokio::test]
async fn a_store_is_made_while_redis_is_away_and_fails_fast_until_it_comes() {
    let port = free_port();
    let store = quick(&format!("redis://127.0.0.1:{port}"));
    let began = Instant::now();
    for _ in 0..1000 {
        assert_unavailable(&renew(&store).await);
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "1,000 calls took {:?}",
        began.elapsed()
    );
    let text = port.to_string();
    let _server = Server::on(port, &["--port", &text], &[], "");
    recover(&store, Duration::from_secs(3)).await;
}

#[tokio::test]
async fn killed_and_started_again_empty_it_has_everything_registered_again() {
    let mut server = Server::start();
    let store = quick(&format!("redis://127.0.0.1:{}", server.port));
    recover(&store, Duration::from_secs(10)).await;
    let one = record(NODE, 1);
    store
        .register(std::slice::from_ref(&one))
        .await
        .expect("registers");
    server.kill();
    for _ in 0..5 {
        assert_unavailable(&renew(&store).await);
        assert_unavailable(&store.fate(&NODE).await);
        assert_unavailable(&store.register(std::slice::from_ref(&one)).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.restart();
    let began = Instant::now();
    let renewal = loop {
        match store.renew(&info(NODE)).await {
            Ok(renewal) => break renewal,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(2), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((renewal.lease, renewal.registered), (Lease::Lapsed, 0));
    // A missing key is no proof.
    assert_eq!(store.fate(&NodeId([8; 6])).await, Ok(Fate::Unknown));
    assert_eq!(store.register(&[one]).await, Ok(Registration::Done));
}

#[tokio::test]
async fn emptied_it_says_so_with_the_next_renewal_and_calls_nobody_gone() {
    let server = Server::start();
    let store = quick(&format!("redis://127.0.0.1:{}", server.port));
    recover(&store, Duration::from_secs(10)).await;
    store.register(&[record(NODE, 1)]).await.expect("registers");
    tokio::time::sleep(connection_store::contract::SETTLED).await;
    assert_eq!(store.fate(&NodeId([8; 6])).await, Ok(Fate::Absent));
    let () = server.command(&["FLUSHALL"]);
    assert_eq!(store.fate(&NODE).await, Ok(Fate::Unknown));
    let renewal = store.renew(&info(NODE)).await.expect("renews");
    assert_eq!((renewal.lease, renewal.registered), (Lease::Lapsed, 0));
    assert_eq!(store.fate(&NodeId([8; 6])).await, Ok(Fate::Unknown));
}

async fn frozen(store: &connection_store::RedisStore, ends: Instant) {
    let mut failures = 0;
    while Instant::now() < ends {
        if let Err(error) = renew(store).await {
            assert_unavailable::<()>(&Err(error));
            failures += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(failures >= 2, "it was not frozen");
    recover(store, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn paused_it_is_unavailable_and_recovers_within_two_seconds() {
    let server = Server::start();
    let store = quick(&format!("redis://127.0.0.1:{}", server.port));
    recover(&store, Duration::from_secs(10)).await;
    let () = server.command(&["CLIENT", "PAUSE", "2500", "ALL"]);
    frozen(&store, Instant::now() + Duration::from_millis(2500)).await;
}

#[tokio::test]
async fn asleep_it_is_unavailable_and_recovers_within_two_seconds() {
    let server = Server::start();
    let store = quick(&format!("redis://127.0.0.1:{}", server.port));
    recover(&store, Duration::from_secs(10)).await;
    let ends = Instant::now() + Duration::from_millis(2600);
    let asleep = thread::spawn(move || {
        let () = server.command(&["DEBUG", "SLEEP", "2.5"]);
        server
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    frozen(&store, ends).await;
    drop(asleep.join().expect("it sleeps"));
}

#[tokio::test]
async fn many_calls_to_a_peer_that_never_answers_end_in_time() {
    let store = std::sync::Arc::new(quick(&format!("redis://127.0.0.1:{}", answering(b""))));
    let calls: Vec<_> = (0..2000)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { assert_unavailable(&renew(&store).await) })
        })
        .collect();
    let began = Instant::now();
    for call in calls {
        call.await.expect("no assertion fails");
    }
    assert!(
        began.elapsed() < crate::LIMIT + SLACK,
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_half_open_connection_is_given_up_after_one_call() {
    let server = Server::start();
    let road = Road::to(server.port);
    let store = quick(&format!("redis://127.0.0.1:{}", road.port));
    recover(&store, Duration::from_secs(10)).await;
    road.fall_silent();
    assert_unavailable(&renew(&store).await);
    renew(&store).await.expect("another connection works");
}

#[tokio::test]
async fn an_ended_connection_is_noticed_before_the_next_call() {
    let server = Server::start();
    let store = quick(&format!("redis://127.0.0.1:{}", server.port));
    recover(&store, Duration::from_secs(10)).await;
    for _ in 0..5 {
        renew(&store).await.expect("renews");
        let _: u64 = server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_store_outlives_the_runtime_that_connected() {
    let server = Server::start();
    let store = quick(&format!("redis://127.0.0.1:{}", server.port));
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime can be made");
        runtime.block_on(recover(&store, Duration::from_secs(2)));
    }
}
