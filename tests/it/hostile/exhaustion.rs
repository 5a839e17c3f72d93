//! Sockets that are held for nothing: thousands of unfinished handshakes, and no descriptor left.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{
    Calm, GatewayCommand, Handshake, RawSocket, Request, Table, allow_open_files, eventually,
    frame, percentile, within,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::{App, BINARY, only_the_echo_comes_back};

/// Ways to dawdle over a handshake.
const DAWDLERS: [&str; 5] = [
    "silent",
    "one byte",
    "half a header",
    "all but the last byte",
    "dripped",
];
/// `handshakeTimeout`, by default.
const TIMEOUT: Duration = Duration::from_secs(10);
const SLACK: Duration = Duration::from_secs(1);

/// Begins a handshake and never ends it; says how long it was until the socket was closed.
async fn dawdle(way: &str, handshake: Handshake) -> Duration {
    let begun = Instant::now();
    let head = handshake.bytes();
    let mut stream = handshake.dial().await.expect("a connection");
    let sent = match way {
        "silent" | "dripped" => 0,
        "one byte" => 1,
        "half a header" => head.len() / 2,
        _ => head.len() - 1,
    };
    let _ = stream.write_all(&head[..sent]).await;
    let (mut reading, mut writing) = stream.split();
    let mut sink = [0; 1024];
    let end = async { while matches!(reading.read(&mut sink).await, Ok(count) if count > 0) {} };
    let drip = async {
        for byte in &head {
            if way != "dripped" || writing.write_all(&[*byte]).await.is_err() {
                break;
            }
            // The attack itself: a byte now and then.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        std::future::pending::<()>().await;
    };
    let limit = tokio::time::sleep(TIMEOUT + SLACK * 5);
    tokio::select! {
        () = end => {}
        () = drip => {}
        () = limit => {}
    }
    begun.elapsed()
}

// T1, with the defaults: each way from an address of its own, since one address may have 1,024 unfinished handshakes.
#[tokio::test]
async fn thousands_who_dawdle_over_their_handshakes_are_cut_off_and_hold_up_nobody() {
    let calm = Calm::turn().await;
    allow_open_files(4000);
    let app = App::start().await;
    let attacks = DAWDLERS.iter().zip(2..).flat_map(|(way, source)| {
        let handshake = app.gateway.handshake("/dev").source([127, 0, 0, source]);
        (0..500).map(move |_| {
            let handshake = handshake.clone();
            tokio::spawn(async move { (*way, dawdle(way, handshake).await) })
        })
    });
    let attacks: Vec<_> = attacks.collect();
    let mut waits = Vec::new();
    let mut clients = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() + SLACK < TIMEOUT {
        let asked = Instant::now();
        clients.push(app.gateway.connect("/dev").await);
        waits.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for client in &mut clients {
        only_the_echo_comes_back(client, "meanwhile").await;
    }
    let mut table = Table::about("slow handshakes");
    let mut times = vec![Vec::new(); DAWDLERS.len()];
    for attack in join_all(attacks).await {
        let (way, time) = attack.unwrap();
        let place = DAWDLERS.iter().position(|known| *known == way).unwrap();
        times[place].push(time);
    }
    let lag = calm.lag();
    for (way, times) in DAWDLERS.iter().zip(times) {
        let (first, last) = (percentile(&times, 0), percentile(&times, 100));
        let told = format!("closed after {first:?} to {last:?}; timers here were {lag:?} late");
        table.row(way, times.len(), 500);
        // Not refused: each had its ten seconds.
        table.holds(way, first + SLACK / 2 >= TIMEOUT, &told);
        table.holds(way, last <= TIMEOUT + SLACK + lag, &told);
    }
    let wait = percentile(&waits, 50);
    table.holds(
        "a good client",
        wait <= Duration::from_millis(100),
        &format!("waited {wait:?}, of {waits:?}"),
    );
    let connects = app.backend.requests("/connect").len();
    table.row("calls of $connect", connects, waits.len());
}

/// Everybody who wants in: those whose handshake was answered 101, as they come.
type LetIn = Arc<Mutex<Vec<TcpStream>>>;

/// One of many that ask to be let in, for as long as it takes: the first ones may be refused because a storm of
/// `$connect` calls found no descriptor.
async fn ask(handshake: Handshake, let_in: LetIn) {
    loop {
        match handshake.exchange().await {
            Some((stream, answer, _)) if answer.status == 101 => {
                let_in.lock().unwrap().push(stream);
                return;
            }
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

// G-F1
#[tokio::test]
async fn without_file_descriptors_those_connected_are_still_served() {
    let calm = Calm::turn().await;
    let backend = App::backend().await;
    let gateway = GatewayCommand::new(BINARY, &App::yaml(&backend, "", ""))
        .open_files(256)
        .start()
        .await;
    let let_in = LetIn::default();
    let asking: Vec<_> = (0..400)
        .map(|_| tokio::spawn(ask(gateway.handshake("/dev"), let_in.clone())))
        .collect();
    let count = || let_in.lock().unwrap().len();
    // 112 descriptors are kept for backends and operators.
    eventually("it is full", async || (count() == 144).then_some(())).await;
    let mut clients: Vec<_> = let_in.lock().unwrap().drain(..).collect();
    let mut served: Vec<_> = clients.drain(..94).map(RawSocket::from_stream).collect();
    let worked = gateway.processor_time();
    let begun = Instant::now();
    let mut waits = Vec::new();
    // Ten seconds of standing at the limit, in which accepting must not spin.
    while begun.elapsed() < Duration::from_secs(10) {
        for client in served.iter_mut().step_by(11) {
            let asked = Instant::now();
            client.send(&frame(0x81, br#"{"action":"echo"}"#)).await;
            let reply = client.next().await.expect("a reply");
            assert_eq!(reply.payload, br#"{"action":"echo"}"#);
            waits.push(asked.elapsed());
        }
        for page in ["/livez", "/metrics"] {
            let answer = Request::get(gateway.management(), page).send().await;
            assert_eq!(answer.status, 200, "{page}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let spent = gateway.processor_time().saturating_sub(worked);
    assert!(
        spent < begun.elapsed().mul_f64(0.2),
        "{spent:?} of processor time in {:?}",
        begun.elapsed()
    );
    let lag = calm.lag();
    let slow = percentile(&waits, 99);
    assert!(
        slow <= Duration::from_millis(100) + lag,
        "echoes took {slow:?}; timers here were {lag:?} late"
    );
    assert_eq!(count(), 0, "nobody else was let in");
    assert_eq!(clients.len(), 50);
    drop(clients);
    let limit = Duration::from_secs(1) + lag;
    within(limit, "the first of those who wait is let in", async || {
        (count() > 0).then_some(())
    })
    .await;
    eventually("as many as left are let in", async || {
        (count() == 50).then_some(())
    })
    .await;
    for one in asking {
        one.abort();
    }
}

/// One of many that come, say goodbye at once and keep their side of TCP open, again and again.
async fn come_and_leave_half(handshake: Handshake, left: LetIn) {
    loop {
        match handshake.clone().exchange().await {
            Some((mut stream, answer, _)) if answer.status == 101 => {
                let _ = stream.write_all(&frame(0x88, b"")).await;
                left.lock().unwrap().push(stream);
            }
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

// A socket that was said goodbye to is a descriptor until it is closed: its place is nobody else's before.
#[tokio::test]
async fn sockets_that_linger_after_their_close_leave_the_backends_their_descriptors() {
    let calm = Calm::turn().await;
    let backend = App::backend().await;
    let gateway = GatewayCommand::new(BINARY, &App::yaml(&backend, "", ""))
        .open_files(256)
        .start()
        .await;
    let mut quiet = gateway.connect("/dev").await;
    let left = LetIn::default();
    let leaving: Vec<_> = (0..30)
        .map(|_| tokio::spawn(come_and_leave_half(gateway.handshake("/dev"), left.clone())))
        .collect();
    let mut waits = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        let asked = Instant::now();
        only_the_echo_comes_back(&mut quiet, "meanwhile").await;
        waits.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for one in leaving {
        one.abort();
    }
    // All places twice over, so that the first ones came free and the last ones did so too early or in time.
    let came = left.lock().unwrap().len();
    assert!(came > 320, "no more than {came} came");
    assert!(!gateway.log().contains("os error 24"), "out of descriptors");
    let (slow, lag) = (percentile(&waits, 100), calm.lag());
    assert!(
        slow <= Duration::from_millis(500) + lag,
        "echoes took {slow:?}; timers here were {lag:?} late"
    );
}
