//! Messages made to cost much work, on an API whose expression asks for much.

use std::time::{Duration, Instant};

use harness::Client;
use serde_json::{Value, json};

use crate::app::App;

/// Seven searches of the whole message beside the route's name.
const EXPRESSION: &str = "routeSelectionExpression: '${request.body.action}${request.body..a}${request.body..b}\
     ${request.body..c}${request.body..d}${request.body..e}${request.body..f}${request.body..g}'";

/// The largest message of the `open` preset, in bytes.
const MESSAGE: usize = 1024 * 1024;

const TOO_COMPLEX: Option<&str> = Some("Message too complex");

/// Each with the error frame that it gets; the others go to `$default`.
fn bombs() -> Vec<(&'static str, String, Option<&'static str>)> {
    let fill = |before: &str, piece: &str, after: &str| {
        let times = (MESSAGE - before.len() - after.len()) / piece.len();
        [before, &piece.repeat(times), after].concat()
    };
    let tower = |open: &str, close: &str| {
        let tower = format!("{}0{},", open.repeat(100), close.repeat(100));
        fill("{\"action\":\"echo\",\"x\":[", &tower, "0]}")
    };
    vec![
        (
            "200 levels",
            format!("{}1{}", "{\"action\":".repeat(200), "}".repeat(200)),
            None,
        ),
        ("128 KiB of [", "[".repeat(128 * 1024), None),
        ("1 MiB of {\"a\":", "{\"a\":".repeat(MESSAGE / 5), None),
        (
            "half a million numbers",
            fill("{\"action\":\"echo\",\"x\":[", "0,", "0]}"),
            TOO_COMPLEX,
        ),
        (
            "half a million objects",
            fill("{\"action\":\"echo\",\"x\":[", "{},", "0]}"),
            TOO_COMPLEX,
        ),
        (
            "one name again and again",
            fill("{\"a\":0", ",\"a\":0", "}"),
            TOO_COMPLEX,
        ),
        ("towers of arrays", tower("[", "]"), TOO_COMPLEX),
        ("towers of objects", tower("{\"a\":", "}"), TOO_COMPLEX),
        ("a number of 1 MiB", fill("{\"action\":", "9", "}"), None),
        (
            "halves of pairs and NULs",
            fill("{\"action\":\"", "\\ud800\\u0000", "\"}"),
            None,
        ),
    ]
}

/// Sends an echo and waits for it; what came before it, and how long that took.
async fn echo(client: &mut Client, mark: &Value) -> (Vec<Value>, Duration) {
    let began = Instant::now();
    client
        .send_json(&json!({"action": "echo", "mark": mark}))
        .await;
    let mut before = Vec::new();
    loop {
        let next = client.next_json().await;
        if next["mark"] == *mark {
            return (before, began.elapsed());
        }
        before.push(next);
    }
}

/// Throws each bomb once, checks how it ended and returns the longest time that one took.
async fn throw_all(client: &mut Client, bombs: &[(&str, String, Option<&str>)]) -> Duration {
    let mut longest = Duration::ZERO;
    for (name, bomb, expected) in bombs {
        let began = Instant::now();
        client.send_text(bomb).await;
        let (before, _) = echo(client, &json!(name)).await;
        let said: Vec<_> = before
            .iter()
            .map(|frame| frame["message"].as_str())
            .collect();
        assert_eq!(
            said,
            expected.iter().map(|&text| Some(text)).collect::<Vec<_>>(),
            "{name}"
        );
        longest = longest.max(began.elapsed());
    }
    longest
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[(times.len() * 99).div_ceil(100) - 1]
}

// T10, G-F4. The bound on a release build is 100 ms, and a bomb takes half of it at most. Here a debug build runs on a
// machine that may be busy: the longest bomb alone, timed before, stands for its speed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_cost_much_end_soon_and_hold_up_nobody() {
    let app = App::with(EXPRESSION).await;
    let bombs = bombs();
    let (mut bomber, _) = app.connect().await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(app.connect().await.0);
    }

    let mut quiet = Vec::new();
    for round in 0..50 {
        for other in &mut others {
            quiet.push(echo(other, &json!(round)).await.1);
        }
    }
    let quiet = p99(&mut quiet);
    let alone = throw_all(&mut bomber, &bombs).await;
    assert!(alone < Duration::from_secs(10), "a bomb took {alone:?}");

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let echoing: Vec<_> = others
        .into_iter()
        .map(|mut other| {
            let stopped = stopped.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while !*stopped.borrow() {
                    let (before, time) = echo(&mut other, &json!(times.len())).await;
                    assert!(before.is_empty(), "{before:?}");
                    times.push(time);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                times
            })
        })
        .collect();
    for _ in 0..2 {
        throw_all(&mut bomber, &bombs).await;
    }
    stop.send(true).unwrap();
    let mut times = Vec::new();
    for echoing in echoing {
        times.extend(echoing.await.unwrap());
    }
    let count = times.len();
    let others = p99(&mut times);
    // Nobody waits for more than the bomb that runs and the next one, as slow as they are here.
    let bar = Duration::from_millis(100).max(2 * alone + 4 * quiet);
    println!("{count} echoes: p99 {others:?}, quiet {quiet:?}, the longest bomb {alone:?}");
    assert!(others <= bar, "p99 {others:?} of {count}, over {bar:?}");
}
