//! The dearest messages and expressions that we know of, timed. Ignored, since a clock says little in a debug build:
//! `cargo test -p gateway-core --release --test bombs -- --ignored --nocapture`. What every build checks is the fuel
//! that they take, beside the code.
#![allow(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, and says where"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::call::{Call, Connection, Event};
use gateway_core::expression::{Kind, Scope, SelectionExpression};
use gateway_core::id::{ConnectionId, NodeId, RequestId};
use gateway_core::live::compile;
use gateway_core::mapping::build;
use gateway_core::resource::{Api, Integration, IntegrationType, Preset, Stage};

/// The largest message of the `open` preset, in bytes.
const MESSAGE: usize = 1024 * 1024;

/// What one evaluation may take.
const BAR: Duration = Duration::from_millis(50);

/// `piece` as often as a message holds it, between `before` and `after`.
fn fill(before: &str, piece: &str, after: &str) -> String {
    let times = (MESSAGE - before.len() - after.len()) / piece.len();
    [before, &piece.repeat(times), after].concat()
}

/// Members with names of their own.
fn distinct(prefix: &str) -> String {
    let mut text = String::from("{\"a\":0");
    for number in 0_u32.. {
        let before = text.len();
        write!(text, ",\"{prefix}{number:x}\":0").unwrap();
        if text.len() >= MESSAGE {
            text.truncate(before);
            break;
        }
    }
    text + "}"
}

/// Arrays or objects 120 deep, as many as fit beside each other.
fn towers(open: &str, close: &str) -> String {
    let tower = format!("{}0{},", open.repeat(120), close.repeat(120));
    fill("{\"a\":[", &tower, "0]}")
}

fn messages() -> Vec<(&'static str, String)> {
    let deep = |inside: &str| {
        let open = "{\"a\":".repeat(20);
        let close = "}".repeat(20);
        fill(&format!("{open}["), inside, &format!("0]{close}"))
    };
    vec![
        ("numbers", fill("{\"a\":[", "0,", "0]}")),
        ("numbers, deep", deep("0,")),
        ("empty arrays, deep", deep("[],")),
        ("empty strings, deep", deep("\"\",")),
        ("arrays of one", fill("{\"a\":[", "[0],", "0]}")),
        ("objects of one", fill("{\"a\":[", "{\"a\":0},", "0]}")),
        (
            "objects of two",
            fill("{\"a\":[", "{\"a\":0,\"b\":0},", "0]}"),
        ),
        ("towers of arrays", towers("[", "]")),
        ("towers of objects", towers("{\"a\":", "}")),
        ("the same name", fill("{\"a\":0", ",\"a\":0", "}")),
        (
            "the same name, with objects",
            fill("{\"a\":0", ",\"a\":{\"a\":0}", "}"),
        ),
        (
            "the same escaped name",
            fill("{\"a\":0", ",\"\\u0061\":0", "}"),
        ),
        ("empty names", fill("{\"a\":0", ",\"\":0", "}")),
        ("distinct names", distinct("")),
        ("distinct escaped names", distinct("\\u0061")),
        ("distinct names, long", distinct(&"x".repeat(60))),
        ("one string", fill("{\"a\":\"", "x", "\"}")),
        ("one string of escapes", fill("{\"a\":\"", "\\n", "\"}")),
        (
            "one string of pairs",
            fill("{\"a\":\"", "\\ud83d\\ude00", "\"}"),
        ),
        ("one string of brackets", fill("{\"a\":\"", "[", "\"}")),
        ("one number", fill("{\"a\":", "9", "}")),
        ("numbers beyond f64", fill("{\"a\":[", "1e999,", "0]}")),
        ("spaces", fill("{\"a\":", " ", "0}")),
        ("[[[[", "[".repeat(MESSAGE)),
        ("{\"a\":{\"a\":", "{\"a\":".repeat(MESSAGE / 5)),
        ("unclosed at the end", fill("{\"a\":[", "0,", "0}")),
    ]
}

fn expressions() -> Vec<String> {
    let eight = |path: &str| format!("${{request.body{path}}}").repeat(8);
    let mut all: Vec<String> = [
        ".a",
        ".a[-1]",
        ".a[500000]",
        ".a[*]",
        ".*",
        "..a",
        "..b",
        "..*",
        "..[0]",
        "..[-1]",
    ]
    .iter()
    .map(|path| eight(path))
    .collect();
    all.push("$request.body.action".to_owned());
    all.push("$request.body..a".to_owned());
    all.push(eight(&".a".repeat(16)));
    all.push(eight(&".*".repeat(16)));
    all.push(eight(&format!("..*{}", "[*]".repeat(14))));
    all.push(eight(&format!("..a{}", ".a".repeat(14))));
    all.push(eight(&format!("..a{}", ".*".repeat(14))));
    all.push(eight(&format!("..*{}", "[-1]".repeat(14))));
    // Eight that share nothing.
    let own = (1..=8).map(|n| format!("${{request.body{}}}", ".a".repeat(n)));
    all.push(own.collect());
    let own = (1..=8).map(|n| format!("${{request.body{}..*}}", ".a".repeat(n)));
    all.push(own.collect());
    let own = (1..=8).map(|n| format!("${{request.body{}[*]}}", ".a".repeat(n)));
    all.push(own.collect());
    all
}

/// The shorter of two, on the processor: what else runs on this machine does not count.
fn time(mut work: impl FnMut()) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..2 {
        let start = on_processor();
        work();
        shortest = shortest.min(on_processor().saturating_sub(start));
    }
    shortest
}

fn on_processor() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = spent.split(' ').next().unwrap();
    Duration::from_nanos(nanoseconds.parse().unwrap())
}

fn report(mut taken: Vec<(Duration, String)>) {
    taken.sort();
    taken.reverse();
    for (time, what) in taken.iter().take(25) {
        println!("{:>8.1} ms  {what}", time.as_secs_f64() * 1000.0);
    }
    let worst = taken.first().unwrap();
    assert!(cfg!(debug_assertions) || worst.0 <= BAR, "{worst:?}");
}

#[test]
#[ignore = "times a release build"]
fn no_selection_takes_long() {
    let mut taken = Vec::new();
    for text in expressions() {
        let expression = SelectionExpression::parse(&text, Kind::Route).unwrap();
        for (name, message) in messages() {
            let time = time(|| {
                black_box(expression.evaluate(&Scope::of_message(black_box(&message))));
            });
            let short: String = text.chars().take(60).collect();
            taken.push((time, format!("{short} on {name}")));
        }
    }
    report(taken);
}

#[test]
#[ignore = "times a release build"]
fn no_mapping_takes_long() {
    let connection = Connection {
        id: ConnectionId::new(NodeId([1; 6]), [2; 16]),
        api_id: "chat".into(),
        stage: "dev".into(),
        connected_at: 0,
        source_ip: [203, 0, 113, 7].into(),
        user_agent: None,
        domain_name: "ws.example.com".into(),
        authorizer: None,
    };
    let own = |n: usize| format!("..a{}", ".a".repeat(n % 14));
    let sets: [&dyn Fn(usize) -> String; 6] = [
        &|_| ".a".to_owned(),
        &|_| "..a".to_owned(),
        &|_| ".a".repeat(16),
        &own,
        &|n| format!(".a{n}"),
        &|n| format!("{}.b{n}", ".a".repeat(n % 15)),
    ];
    let mut taken = Vec::new();
    for path in sets {
        let mut integration = Integration {
            integration_uri: Some("http://backend/in".to_owned()),
            ..Integration::new("i", IntegrationType::HttpProxy)
        };
        for n in 0..64 {
            integration.request_parameters.insert(
                format!("integration.request.header.h{n}"),
                format!("route.request.body{}", path(n)),
            );
        }
        let mut api = Api::new("chat", Preset::Open);
        api.integrations = vec![integration];
        let stage = Stage {
            stage_name: "dev".to_owned(),
            ..Stage::default()
        };
        let stage = compile(&api, &stage).unwrap();
        for (name, message) in messages() {
            let body = Bytes::from(message);
            let id = RequestId::new([4; 11]);
            let call = Call {
                connection: &connection,
                event: Event::Message {
                    id,
                    body: &body,
                    text: Some(std::str::from_utf8(&body).unwrap()),
                },
                route_key: "$default",
                request_id: id,
                time: 0,
                trace: [0; 12],
            };
            let time = time(|| {
                let _ = black_box(build(&stage, &stage.integrations[0], &call, "http://cb"));
            });
            taken.push((time, format!("64 x {} on {name}", path(14))));
        }
    }
    report(taken);
}
