//! Those who do not know the secret: at the port, at a false address, in between.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::seal::TAG;

/// Stands between two nodes and does to the asker's bytes behind the opening what `change` does, from batch to batch.
async fn meddle(
    address: String,
    mut change: impl FnMut(usize, Vec<u8>) -> Vec<u8> + Send + 'static,
) -> String {
    let (listener, between) = listener().await;
    tokio::spawn(async move {
        let (asker, _) = listener.accept().await.unwrap();
        let owner = TcpStream::connect(address).await.unwrap();
        let (mut from_asker, mut to_asker) = asker.into_split();
        let (mut from_owner, mut to_owner) = owner.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_owner, &mut to_asker).await });
        // The hello and the proof.
        for length in [52, 32] {
            let mut said = vec![0; length];
            from_asker.read_exact(&mut said).await.unwrap();
            to_owner.write_all(&said).await.unwrap();
        }
        for number in 0.. {
            let mut length = [0; 4];
            if from_asker.read_exact(&mut length).await.is_err() {
                return;
            }
            let rest = u32::from_be_bytes(length) as usize + TAG;
            let mut batch = length.to_vec();
            batch.resize(4 + rest, 0);
            from_asker.read_exact(&mut batch[4..]).await.unwrap();
            if to_owner.write_all(&change(number, batch)).await.is_err() {
                return;
            }
        }
    });
    between
}

/// So many of two orders, one after the other, reach the owner.
async fn check(
    what: &str,
    expected: usize,
    change: impl FnMut(usize, Vec<u8>) -> Vec<u8> + Send + 'static,
) {
    let (owner, address, inbox) = owner().await;
    let asker = asker(&meddle(address, change).await);
    for order in [&b"first"[..], b"second"] {
        let limit = Duration::from_millis(500);
        let _answer = asker
            .request(&OWNER, Bytes::from_static(order), limit)
            .await;
    }
    eventually("the owner closes", || {
        expected == 2 || owner.counts().served == 0
    })
    .await;
    assert_eq!(inbox.heard(), expected, "{what}");
}

#[tokio::test]
async fn whoever_stands_between_can_only_cut_the_connection() {
    check("as it is", 2, |_, batch| batch).await;
    // A bit anywhere: of the length, of the frames, of the code.
    for place in [3, 4, 20, 30, 41, 50] {
        check("a bit flipped", 0, move |_, mut batch| {
            let last = batch.len() - 1;
            batch[place.min(last)] ^= 1;
            batch
        })
        .await;
    }
    // Twice the same.
    check("repeated", 1, |_, batch| [&batch[..], &batch].concat()).await;
    // One left out.
    check(
        "left out",
        0,
        |number, batch| if number == 0 { Vec::new() } else { batch },
    )
    .await;
    // Something of its own in front.
    check("put in front", 0, |number, batch| {
        if number > 0 {
            return batch;
        }
        let own = [&[0, 0, 0, 21][..], &[1; 21 + TAG]].concat();
        [own, batch].concat()
    })
    .await;
}

#[tokio::test]
async fn nothing_that_is_sent_can_be_read_on_the_way() {
    let (_owner, address, inbox) = owner().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let between = meddle(address, move |_, batch| {
        sees.lock().unwrap().extend_from_slice(&batch);
        batch
    });
    let asker = asker(&between.await);
    ask(&asker, b"a secret order").await.unwrap();
    assert_eq!(inbox.heard(), 1);
    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty() && !seen.windows(6).any(|part| part == b"secret"));
}

#[tokio::test]
async fn a_false_address_gets_no_order() {
    // Says what a node would, and sends the asker's own proof back.
    let (listener, address) = listener().await;
    let false_node = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut hello = [0; 52];
        socket.read_exact(&mut hello).await.unwrap();
        let challenge = [&hello[..8], &hello[20..]].concat();
        socket.write_all(&challenge).await.unwrap();
        let mut proof = [0; 32];
        socket.read_exact(&mut proof).await.unwrap();
        socket.write_all(&proof).await.unwrap();
        let mut rest = Vec::new();
        let _ended = socket.read_to_end(&mut rest).await;
        rest
    });
    let asker = asker(&address);
    let answer = ask(&asker, b"an order").await;
    assert!(
        matches!(answer, Err(BusError::Unreachable(_))),
        "{answer:?}"
    );
    assert_eq!(false_node.await.unwrap(), b"");
}

#[tokio::test]
async fn a_connection_that_means_another_node_is_refused() {
    let (owner, address, inbox) = owner().await;
    let asker = LinkBus::new(settings(ASKER));
    let other = NodeId([8; 6]);
    asker.set_peers([(other, address)]);
    let order = Bytes::from_static(b"x");
    let answer = asker.request(&other, order, LIMIT).await;
    assert!(
        matches!(answer, Err(BusError::Unreachable(_))),
        "{answer:?}"
    );
    assert_eq!((inbox.heard(), owner.counts().refused), (0, 1));
}

#[tokio::test]
async fn who_only_holds_places_keeps_no_node_out() {
    let (owner, address, _) = owner().await;
    let mut silent = Vec::new();
    for n in 0..200_u8 {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        // Some say half of what they should.
        let half = &b"wglink\0\x01"[..usize::from(n % 9)];
        socket.write_all(half).await.unwrap();
        silent.push(socket);
    }
    let asker = asker(&address);
    assert_eq!(ask(&asker, b"order").await.as_deref(), Ok(&b"done"[..]));
    // Those that were in the way are gone at once, the rest when their time is over.
    let started = Instant::now();
    for (n, mut socket) in silent.into_iter().enumerate() {
        let ended = socket.read(&mut [0; 1]).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        let at_once = started.elapsed() < Duration::from_millis(1200);
        assert!(at_once || n >= 130, "{n}");
    }
    assert!(started.elapsed() < Duration::from_secs(4));
    assert_eq!(owner.counts().served, 1);
}

#[tokio::test]
async fn who_speaks_something_else_is_refused_at_once() {
    let (owner, address, _) = owner().await;
    let mut socket = TcpStream::connect(&address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: somebody/1.0\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ended = socket.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
    eventually("it is counted", || owner.counts().refused == 1).await;
}

#[tokio::test]
async fn who_has_the_secret_but_no_certificate_is_refused() {
    let (listener, address) = listener().await;
    let ours = tls("127.0.0.1");
    let owner = LinkBus::new(LinkSettings {
        tls: Some(ours.clone()),
        ..settings(OWNER)
    });
    let inbox = Arc::new(Counter::default());
    owner.serve(listener, inbox.clone());
    // Plain; with another authority's; with the right one, which is believed.
    for (offered, reached) in [(None, 0), (Some(tls("127.0.0.1")), 0), (Some(ours), 1)] {
        let asker = LinkBus::new(LinkSettings {
            tls: offered,
            ..settings(ASKER)
        });
        asker.set_peers([(OWNER, address.clone())]);
        assert_eq!(ask(&asker, b"order").await.is_ok(), reached == 1);
        assert_eq!(inbox.heard(), reached);
    }
}
