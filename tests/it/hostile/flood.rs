//! Floods of messages: the flooder is refused as documented, and its neighbours hardly notice. T7.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{Backend, Calm, Gateway, RawSocket, frame, percentile};
use tokio::time::Interval;

use crate::app::{self, App, only_the_echo_comes_back};

/// What the limits allow, a second.
const RATE: usize = 20;
/// A flood: a hundred times that, all at the beginning of each second.
const FLOOD: usize = 100 * RATE;
const BEAT: Duration = Duration::from_secs(1);
const FLOODER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Two times next to nothing would be too little: an unoptimized binary shares two cores with this test and others.
const FLOOR: Duration = Duration::from_millis(50);

/// A gateway whose route `idle` calls nobody, so that no backend slows the flood down.
async fn start(limit: &str) -> (Gateway, Backend) {
    let backend = App::backend().await;
    let limits = format!("limits: {{ {limit}: {RATE} }}");
    // This process reads the log, and would be slowed down by a line for each refusal.
    let yaml = App::yaml(&backend, "server: { log: { access: off } }", &limits);
    let gateway = app::start(&format!("{yaml}      idle: {{}}\n")).await;
    (gateway, backend)
}

/// Sixteen well-behaved clients, each from an address of its own, talk for a while; all their waits.
async fn neighbours(gateway: &Gateway, time: Duration) -> Vec<Duration> {
    let talking = (0..16).map(|n| async move {
        let handshake = gateway.handshake("/dev").source([127, 0, 1, n + 1]);
        let mut client = handshake.open().await;
        let begun = Instant::now();
        let mut waits = Vec::new();
        while begun.elapsed() < time {
            let asked = Instant::now();
            only_the_echo_comes_back(&mut client, "a neighbour").await;
            waits.push(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
        waits
    });
    join_all(talking).await.concat()
}

/// Writes the flood and reads what comes back, until the socket is closed or `time` is over. Returns the code of the
/// close, if there was one, and how many answers were error frames.
async fn flood(
    mut socket: RawSocket,
    clock: &mut Interval,
    time: Duration,
) -> (Option<u16>, usize) {
    let message = frame(0x81, br#"{"action":"idle"}"#);
    let beat = message.repeat(FLOOD);
    let begun = Instant::now();
    let mut refused = 0;
    while begun.elapsed() < time {
        clock.tick().await;
        let open = socket.send(&beat).await;
        while let Some(frame) = socket.next_within(Duration::from_millis(100)).await {
            if frame.opcode == 8 {
                return (Some(frame.close_code()), refused);
            }
            refused += usize::from(
                frame
                    .payload
                    .starts_with(br#"{"message": "Too Many Requests""#),
            );
        }
        if !open {
            break;
        }
    }
    (None, refused)
}

/// Measures the neighbours in quiet and beside `attack`, which runs until the time is over: 99 of 100 waits may double.
/// Once more where the first time they waited too long.
async fn hardly_noticed<T>(gateway: &Gateway, attack: impl AsyncFn(Duration) -> T) -> T {
    let time = Duration::from_secs(3);
    let calm = Calm::turn().await;
    for last in [false, true] {
        let quiet = percentile(&neighbours(gateway, time).await, 99);
        let (outcome, waits) = tokio::join!(attack(time), neighbours(gateway, time));
        let beside = percentile(&waits, 99);
        let lag = calm.lag();
        let said = format!(
            "p99 {quiet:?} in quiet, {beside:?} beside a flood; timers here were {lag:?} late"
        );
        if beside <= 2 * quiet + FLOOR + lag {
            return outcome;
        }
        assert!(!last, "{said}");
        eprintln!("once more: {said}");
    }
    unreachable!("the second time returns or fails")
}

#[tokio::test]
async fn a_connection_that_floods_is_closed_and_hardly_noticed() {
    let (gateway, backend) = start("messagesPerSecond").await;
    let codes = hardly_noticed(&gateway, async |time| {
        let begun = Instant::now();
        let mut clock = tokio::time::interval(BEAT);
        let mut codes = Vec::new();
        while begun.elapsed() < time {
            let handshake = gateway.handshake("/dev").source(FLOODER);
            let socket = RawSocket::open(handshake).await;
            codes.push(
                flood(socket, &mut clock, time.saturating_sub(begun.elapsed()))
                    .await
                    .0,
            );
        }
        codes
    })
    .await;
    let closed = codes.iter().filter(|code| **code == Some(1008)).count();
    assert!(closed >= 2, "{codes:?}");
    // A reset may overtake the close frame while bytes are unread, and time ends the last flood.
    assert!(
        codes
            .iter()
            .all(|code| code.is_none_or(|code| code == 1008)),
        "{codes:?}"
    );
    for told in backend.requests("/disconnect") {
        let code = told.wiregate("disconnect-code");
        assert!(["1008", "1006"].contains(&code), "{code}");
    }
}

#[tokio::test]
async fn an_address_that_floods_is_refused_and_hardly_noticed() {
    let (gateway, _backend) = start("messagesPerSecondPerAddress").await;
    let (closed, refused) = hardly_noticed(&gateway, async |time| {
        let handshake = gateway.handshake("/dev").source(FLOODER);
        let socket = RawSocket::open(handshake).await;
        flood(socket, &mut tokio::time::interval(BEAT), time).await
    })
    .await;
    assert_eq!(closed, None, "the socket stays");
    assert!(refused > 2 * FLOOD, "only {refused} were refused");
}
