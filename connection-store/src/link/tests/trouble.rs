//! Nodes that stop, stall, leave or were never there.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;

#[tokio::test]
async fn no_task_outlives_a_stop_and_callers_are_told() {
    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    let (owner, address, _) = owner().await;
    let asker = Arc::new(asker(&address));
    ask(&asker, b"order").await.unwrap();
    let waiting = Arc::clone(&asker);
    let waiting = tokio::spawn(async move { ask(&waiting, b"silence").await });
    let unfinished = TcpStream::connect(&address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    asker.stop().await;
    assert_eq!(waiting.await.unwrap(), Err(BusError::Unanswered));
    let refused = ask(&asker, b"order").await;
    assert!(
        matches!(refused, Err(BusError::Unreachable(_))),
        "{refused:?}"
    );
    owner.stop().await;
    assert_eq!(tasks.num_alive_tasks(), before);
    assert!(TcpStream::connect(&address).await.is_err());
    drop(unfinished);
}

#[tokio::test]
async fn a_link_that_is_dropped_ends_its_tasks() {
    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    let (owner, address, _) = owner().await;
    let asker = asker(&address);
    ask(&asker, b"order").await.unwrap();
    drop((asker, owner));
    eventually("they end", || tasks.num_alive_tasks() == before).await;
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_is_not_tried_again_at_once() {
    let (listener, address) = listener().await;
    drop(listener);
    let asker = asker(&address);
    let answer = ask(&asker, b"order").await;
    assert!(
        matches!(answer, Err(BusError::Unreachable(_))),
        "{answer:?}"
    );
    let started = Instant::now();
    let expected = "it could not be reached a moment ago".to_owned();
    assert_eq!(
        ask(&asker, b"order").await,
        Err(BusError::Unreachable(expected))
    );
    assert!(started.elapsed() < Duration::from_millis(50));
    // Its first pause is over.
    tokio::time::sleep(Duration::from_millis(250)).await;
    let listener = TcpListener::bind(&address).await.unwrap();
    let owner = LinkBus::new(settings(OWNER));
    owner.serve(listener, Arc::new(Counter::default()));
    assert_eq!(ask(&asker, b"order").await.as_deref(), Ok(&b"done"[..]));
}

#[tokio::test]
async fn an_order_waits_for_a_connection_no_longer_than_its_limit() {
    // The kernel takes the connection; nobody answers on it.
    let (_listener, address) = listener().await;
    let asker = asker(&address);
    let started = Instant::now();
    let limit = Duration::from_millis(100);
    let answer = asker.request(&OWNER, Bytes::from_static(b"x"), limit).await;
    assert!(
        matches!(answer, Err(BusError::Unreachable(_))),
        "{answer:?}"
    );
    assert!(started.elapsed() < limit + Duration::from_millis(250 + 200));
}

#[tokio::test]
async fn a_node_that_has_left_is_neither_dialled_nor_kept() {
    let (owner, address, inbox) = owner().await;
    let asker = asker(&address);
    ask(&asker, b"order").await.unwrap();
    assert!(asker.knows(&OWNER) && !asker.knows(&ASKER));
    assert_eq!(owner.counts().served, 1);
    asker.set_peers([]);
    eventually("its connection is closed", || owner.counts().served == 0).await;
    let answer = ask(&asker, b"order").await;
    assert!(
        matches!(answer, Err(BusError::Unreachable(_))),
        "{answer:?}"
    );
    assert_eq!(inbox.heard(), 1);
}

#[tokio::test]
async fn both_sides_know_when_the_other_was_last_heard() {
    let (owner, address, _) = owner().await;
    let asker = asker(&address);
    assert_eq!((asker.heard(&OWNER), owner.heard(&ASKER)), (None, None));
    ask(&asker, b"order").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    for silence in [asker.heard(&OWNER), owner.heard(&ASKER)] {
        let silence = silence.unwrap();
        assert!(silence > Duration::from_millis(250), "{silence:?}");
    }
    // A quiet connection is probed, which both hear.
    tokio::time::sleep(Duration::from_millis(2900)).await;
    for silence in [asker.heard(&OWNER), owner.heard(&ASKER)] {
        assert!(silence.unwrap() < Duration::from_secs(2), "{silence:?}");
    }
    ask(&asker, b"order").await.unwrap();
    assert_eq!(owner.counts().served, 1);
}

/// Passes bytes on in both directions until it is told to be silent; the connections stay open.
async fn hose(address: String, silent: watch::Receiver<bool>) -> String {
    let (listener, between) = listener().await;
    tokio::spawn(async move {
        loop {
            let (one, _) = listener.accept().await.unwrap();
            let other = TcpStream::connect(&address).await.unwrap();
            let (one, other) = (one.into_split(), other.into_split());
            for (mut from, mut to) in [(one.0, other.1), (other.0, one.1)] {
                let silent = silent.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 65536];
                    while let Ok(length @ 1..) = from.read(&mut buffer).await {
                        if !*silent.borrow() && to.write_all(&buffer[..length]).await.is_err() {
                            return;
                        }
                    }
                    if *silent.borrow() {
                        std::future::pending::<()>().await;
                    }
                });
            }
        }
    });
    between
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_within_five_seconds() {
    let (owner, address, _) = owner().await;
    let (silence, silent) = watch::channel(false);
    let asker = asker(&hose(address, silent).await);
    ask(&asker, b"order").await.unwrap();
    silence.send(true).unwrap();
    let started = Instant::now();
    let broken = asker.counts().broken;
    eventually("it is noticed", || asker.counts().broken > broken).await;
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(asker.heard(&OWNER).unwrap() > Duration::from_secs(3));
    // The other side gives it up as well, a little later.
    eventually("so does the other", || owner.counts().served == 0).await;
    silence.send(false).unwrap();
    assert_eq!(ask(&asker, b"order").await.as_deref(), Ok(&b"done"[..]));
}

#[tokio::test]
async fn a_node_that_stops_reading_has_a_bounded_amount_under_way_and_each_order_its_right_end() {
    let (listener, address) = listener().await;
    let (end, ended) = watch::channel(());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        auth::welcome(&mut socket, &key(), OWNER, random())
            .await
            .unwrap();
        let mut ended = ended;
        let _told = ended.changed().await;
    });
    let asker = Arc::new(asker(&address));
    // Far more than sockets take.
    let order = Bytes::from(vec![7; 60 * 1024]);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (asker, order) = (Arc::clone(&asker), order.clone());
        asking.spawn(async move { asker.request(&OWNER, order, LIMIT).await });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    end.send(()).unwrap();
    let ends = asking.join_all().await;
    let count =
        |is: fn(&Result<Bytes, BusError>) -> bool| ends.iter().filter(|end| is(end)).count();
    let busy = count(|end| *end == Err(BusError::Busy));
    let unanswered = count(|end| *end == Err(BusError::Unanswered));
    let unreachable = count(|end| matches!(end, Err(BusError::Unreachable(_))));
    // 4 MiB are 67 of them, and what is kept about them.
    assert_eq!(busy, 33);
    assert!(
        unanswered > 0 && unanswered + unreachable == 67,
        "{unanswered} {unreachable}"
    );
    // All was given back.
    let again = asker
        .request(&OWNER, order.clone(), Duration::from_millis(300))
        .await;
    assert_ne!(again, Err(BusError::Busy));
}
