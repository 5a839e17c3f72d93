//! Which rows of what has no goal stand together in one short table.

use serde_json::Value;

use super::markdown;

/// A short table: some rows of several exhibits, whose subjects are the same.
#[derive(Debug)]
pub(super) struct Group {
    /// Its heading.
    pub(super) heading: &'static str,
    /// Names of the exhibits.
    pub(super) exhibits: &'static [&'static str],
    /// Titles of the metrics.
    rows: &'static [&'static str],
}

/// All of them, in order.
pub(super) const GROUPS: [Group; 10] = [
    Group {
        heading: "Routing over TLS",
        exhibits: &[
            "tls-route-64",
            "tls-route-256",
            "tls-route-1000",
            "tls-route-5000",
            "tls-route-20000",
        ],
        rows: &["CPU µs/message", "p50 µs"],
    },
    Group {
        heading: "Pushing, connecting and holding over TLS",
        exhibits: &["tls-push", "tls-connect", "tls-idle"],
        rows: &[
            "CPU µs/message",
            "delivery p50 µs",
            "CPU µs/connect",
            "CPU µs/close",
            "RSS bytes/connection",
            "…after one message",
            "…after one large message",
        ],
    },
    Group {
        heading: "Larger messages",
        exhibits: &[
            "route-1k",
            "route-16k",
            "route-128k",
            "push-1k",
            "push-16k",
            "push-128k",
        ],
        rows: &["CPU µs/message", "p50 µs"],
    },
    Group {
        heading: "Pushing and connecting across two nodes",
        exhibits: &["nodes-push", "nodes-push-1000", "nodes-connect"],
        rows: &[
            "CPU µs/message",
            "of it Redis: CPU µs/message",
            "delivery p50 µs",
            "CPU µs/connect",
            "of it Redis: CPU µs/connect",
        ],
    },
    Group {
        heading: "A backend that speaks HTTP/2",
        exhibits: &["http2-64", "http2-256"],
        rows: &["CPU µs/message", "p50 µs", "p99 µs"],
    },
    Group {
        heading: "Slow readers beside fast ones",
        exhibits: &["slow-reader-0", "slow-reader-8"],
        rows: &[
            "CPU µs/message",
            "delivery p50 µs",
            "delivery p99 µs",
            "answered 200, not delivered",
            "KiB accepted for each stalled socket",
            "RSS KiB/stalled socket",
            "stalled: first 410 after s",
            "stalled: answered 200",
            "stalled: answered 429",
            "stalled: answered 410",
            "stalled: answered otherwise",
        ],
    },
    Group {
        heading: "Connections that come and go, by allocator",
        exhibits: &["churn", "churn-long"],
        rows: &[
            "connections that came and went",
            "CPU µs/message",
            "p50 µs",
            "RSS MiB after the warm-up",
            "RSS MiB at the end",
            "RSS bytes left by each connection",
        ],
    },
    Group {
        heading: "Idle connections and traffic, by allocator",
        exhibits: &["allocator-idle", "allocator-route-64"],
        rows: &[
            "RSS bytes/connection",
            "…after one message",
            "…after one large message",
            "RSS MiB after all closed",
            "CPU µs/message",
        ],
    },
    Group {
        heading: "A million idle connections",
        exhibits: &["hold-million"],
        rows: &[
            "connections that the servers count",
            "of these, messages answered",
            "server processes",
            "seconds to open all",
            "connects/s",
            "CPU µs/connect",
            "RSS bytes/connection",
            "…after a ping on each",
            "generators' RSS bytes/connection",
            "kernel (slab) bytes/connection, both ends",
            "memory used/connection, everything",
            "seconds to ask all",
        ],
    },
    Group {
        heading: "Functions beside the same handler over HTTP",
        exhibits: &["functions-node", "functions-python", "functions-rust"],
        rows: &[
            "cold start ms",
            "slowest cold start ms",
            "warm call p50 µs",
            "warm call p99 µs",
            "one at a time: gateway CPU µs/call",
            "one at a time: handler CPU µs/call",
            "1 worker: calls/s",
            "1 worker: gateway CPU µs/call",
            "1 worker: handler CPU µs/call",
            "default workers: calls/s",
            "default workers: gateway CPU µs/call",
            "default workers: handler CPU µs/call",
            "cores busy with others",
        ],
    },
];

impl Group {
    /// A head, and the chosen rows of each exhibit that was measured.
    pub(super) fn rows(&self, results: &Value) -> Vec<Vec<String>> {
        let mut all: Vec<Vec<String>> = Vec::new();
        for key in self.exhibits {
            let exhibit = &results["exhibits"][key];
            let heading = exhibit["heading"].as_str().unwrap_or_default();
            let mut rows = markdown::rows(&exhibit["table"]).into_iter();
            let Some(head) = rows.next() else { continue };
            if all.is_empty() {
                all.push(head);
            }
            let chosen = rows.filter(|row| {
                row.first()
                    .is_some_and(|title| self.rows.contains(&title.as_str()))
            });
            all.extend(chosen.map(|mut row| {
                row[0] = format!("{heading}: {}", row[0].trim_start_matches('…'));
                row
            }));
        }
        all
    }
}
