//! What has no goal and is worth knowing all the same: measured by `report --beside`, shown in short tables.

use std::fmt::Write as _;

use serde_json::Value;

use super::exhibit::{Exhibit, Manner, connect, idle, push, route};
use super::group::GROUPS;
use super::markdown;
use crate::scenario::Scenario;
use crate::scenario::churn::Churn;
use crate::scenario::echo::Route;
use crate::scenario::function::Function;
use crate::scenario::idle::Processes;
use crate::scenario::push::Push;
use crate::scenario::slow_reader::SlowReader;
use crate::subject::Runtime;
use crate::subject::Subject::{
    self, Limit, LimitTls, Wiregate, WiregateHttp2, WiregateJemalloc, WiregateLink,
    WiregateMimalloc, WiregateRedis, WiregateTls,
};

/// Everything that is measured besides the goals.
pub(super) fn exhibits() -> Vec<Exhibit> {
    use Manner::{Alone, Turns, Unpinned};
    let of = |key, title, scenario, subjects: &[Subject], manner| Exhibit {
        key,
        title,
        scenario,
        subjects: subjects.to_vec(),
        manner,
        seconds: None,
        runs: 3,
        beside: true,
    };
    let all_tls = [WiregateTls, Wiregate, LimitTls, Limit];
    let tls = [WiregateTls, Wiregate];
    let limit = [Wiregate, Limit];
    let nodes = [Wiregate, WiregateLink, WiregateRedis];
    let http2 = [WiregateHttp2, Wiregate];
    let allocators = [Wiregate, WiregateMimalloc, WiregateJemalloc];
    let (kib, kib16, kib128) = (1 << 10, 16 << 10, 128 << 10);
    let at = |rate| route(64, Some(rate));
    let holding = idle(10_000, 131_072, None);
    let million = idle(1_000_000, 0, Some(Processes::Auto));
    let slow = |key, title, stalled| Exhibit {
        seconds: Some((15, 1)),
        ..of(key, title, slow_reader(stalled), &[Wiregate], Alone)
    };
    let churn = |key, title, seconds, runs| Exhibit {
        seconds: Some((seconds, 10)),
        runs,
        ..of(key, title, come_and_go(), &allocators, Alone)
    };
    let handler = |key, title, runtime| Exhibit {
        // Node.js compiles what is called often.
        seconds: Some((5, 2)),
        ..of(key, title, called(runtime), &Subject::HANDLERS, Unpinned)
    };
    vec![
        of(
            "tls-route-64",
            "64 connections",
            route(64, None),
            &all_tls,
            Turns,
        ),
        of(
            "tls-route-256",
            "256 connections",
            route(256, None),
            &all_tls,
            Turns,
        ),
        of(
            "tls-route-1000",
            "1000 connections",
            route(1000, None),
            &all_tls,
            Alone,
        ),
        of("tls-route-5000", "5,000/s", at(5_000), &all_tls, Alone),
        of("tls-route-20000", "20,000/s", at(20_000), &all_tls, Alone),
        of("tls-push", "pushing", push(false, None), &tls, Turns),
        of("tls-connect", "8000 upgrades", connect(false), &tls, Alone),
        of("tls-idle", "10,000 idle", holding.clone(), &tls, Alone),
        of("route-1k", "routing, 1 KiB", routed(kib), &limit, Turns),
        of("route-16k", "routing, 16 KiB", routed(kib16), &limit, Turns),
        of(
            "route-128k",
            "routing, 128 KiB",
            routed(kib128),
            &limit,
            Turns,
        ),
        of("push-1k", "pushing, 1 KiB", pushed(kib), &limit, Turns),
        of("push-16k", "pushing, 16 KiB", pushed(kib16), &limit, Turns),
        of(
            "push-128k",
            "pushing, 128 KiB",
            pushed(kib128),
            &limit,
            Turns,
        ),
        of("nodes-push", "pushing", push(false, None), &nodes, Turns),
        of(
            "nodes-push-1000",
            "pushing at 1,000/s",
            push(false, Some(1_000)),
            &nodes,
            Alone,
        ),
        of(
            "nodes-connect",
            "8000 upgrades",
            connect(false),
            &nodes,
            Alone,
        ),
        of("http2-64", "64 connections", route(64, None), &http2, Turns),
        of(
            "http2-256",
            "256 connections",
            route(256, None),
            &http2,
            Turns,
        ),
        slow("slow-reader-0", "no slow reader", 0),
        slow("slow-reader-8", "eight of them", 8),
        of(
            "allocator-route-64",
            "routing, 64 connections",
            route(64, None),
            &allocators,
            Turns,
        ),
        of("allocator-idle", "10,000 idle", holding, &allocators, Alone),
        churn("churn", "20 s", 20, 3),
        churn("churn-long", "10 minutes", 600, 1),
        Exhibit {
            runs: 1,
            ..of("hold-million", "a million", million, &[Wiregate], Unpinned)
        },
        handler("functions-node", "Node.js", Runtime::Node),
        handler("functions-python", "Python", Runtime::Python),
        handler("functions-rust", "Rust", Runtime::Rust),
    ]
}

fn routed(payload: u32) -> Scenario {
    Scenario::Route(Route {
        connections: 64,
        payload,
        open_loop: None,
    })
}

fn pushed(payload: u32) -> Scenario {
    Scenario::Push(Push {
        connections: 1000,
        posters: None,
        connection_per_post: false,
        open_loop: None,
        payload,
    })
}

fn slow_reader(stalled: u16) -> Scenario {
    Scenario::SlowReader(SlowReader {
        connections: 64,
        stalled,
        rate: 500,
    })
}

fn come_and_go() -> Scenario {
    Scenario::Churn(Churn {
        connections: 64,
        messages: 1,
        payload: 91,
    })
}

fn called(runtime: Runtime) -> Scenario {
    Scenario::Function(Function {
        runtime,
        connections: 64,
        cold: 7,
    })
}

/// The short tables of what was measured; nothing where nothing was.
pub(super) fn tables(results: &Value) -> String {
    let mut text = String::new();
    for group in &GROUPS {
        let rows = group.rows(results);
        if rows.len() > 1 {
            let _ = write!(text, "\n### {}\n\n", group.heading);
            text.push_str(&markdown::table(&rows));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_exhibit_is_shown_once() {
        let shown = GROUPS.iter().flat_map(|group| group.exhibits);
        let mut shown: Vec<&str> = shown.copied().collect();
        let mut measured: Vec<&str> = exhibits().iter().map(|exhibit| exhibit.key).collect();
        shown.sort_unstable();
        measured.sort_unstable();
        assert_eq!(shown, measured);
    }

    #[test]
    fn a_group_has_the_same_subjects() {
        let all = exhibits();
        for group in &GROUPS {
            let mut subjects = group.exhibits.iter().map(|key| {
                let exhibit = all.iter().find(|exhibit| exhibit.key == *key);
                exhibit.map(|exhibit| exhibit.subjects.clone())
            });
            let first = subjects.next();
            assert!(
                subjects.all(|others| Some(others) == first),
                "{}",
                group.heading
            );
        }
    }

    #[test]
    fn chosen_rows_of_all_exhibits_stand_in_one_table() {
        let table =
            |cpu: &str| json!([["", "wiregate"], ["CPU µs/message", cpu], ["RSS MiB", "1"]]);
        let results = json!({ "exhibits": {
            "http2-64": { "heading": "few", "table": table("7") },
            "http2-256": { "heading": "many", "table": table("8") },
        } });
        let expected = "\n### A backend that speaks HTTP/2\n\n|  | wiregate |\n|---|---|\n| few: CPU µs/message | 7 |\n\
                        | many: CPU µs/message | 8 |\n";
        assert_eq!(tables(&results), expected);
        assert_eq!(tables(&json!({})), "");
    }
}
