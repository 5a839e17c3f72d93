//! The log of handshakes that were refused before they had a route: browsers tell their users nothing but 1006, so this
//! is where somebody who mistyped a stage finds out.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use gateway_core::failure::{Failure, Fault};
use gateway_core::limit::Bucket;

use crate::env;

/// Lines a second, and how many at once: anybody can be refused as often as they like.
const RATE: f64 = 1.0;
const BURST: u32 = 10;
/// Characters of what a stranger sent, and of the list of places.
const LONGEST: usize = 200;

/// One refused handshake.
#[derive(Debug)]
pub struct Refused<'a> {
    /// Why.
    pub failure: &'a Failure,
    /// The `Host` as sent; empty where no head could be read.
    pub host: &'a str,
    /// The path as sent, without the query, which may hold secrets; empty likewise.
    pub path: &'a str,
    /// The client's address.
    pub source_ip: IpAddr,
}

/// Writes some lines a second and counts the rest.
#[derive(Debug)]
pub(super) struct Refusals {
    allowed: Mutex<Allowed>,
}

#[derive(Debug)]
struct Allowed {
    bucket: Bucket,
    left_out: u64,
}

impl Refusals {
    pub(super) fn new() -> Self {
        let bucket = Bucket::new(RATE, BURST);
        Self {
            allowed: Mutex::new(Allowed {
                bucket,
                left_out: 0,
            }),
        }
    }

    /// Writes a line, or counts it as left out. `places` is where somebody who asked for an unknown place could go;
    /// the formatters of the log escape what a stranger sent.
    pub(super) fn write(&self, refused: &Refused<'_>, places: impl FnOnce() -> Vec<String>) {
        let Some(left_out) = self.admit(env::now()) else {
            return;
        };
        let (host, path) = (cut(refused.host), cut(refused.path));
        let places = cut(&places().join(" "));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "access",
                    event = "CONNECT",
                    host = host.as_deref(),
                    path = path.as_deref(),
                    served = places.as_deref(),
                    source_ip = %refused.source_ip,
                    status = refused.failure.answer().status,
                    error = refused.failure.response_type(),
                    reason = %refused.failure,
                    left_out = (left_out > 0).then_some(left_out),
                )
            };
        }
        if refused.failure.fault() == Fault::Caller {
            line!(info);
        } else {
            line!(warn);
        }
    }

    /// How many lines were left out before this one; `None` where this one is left out too.
    fn admit(&self, now: u64) -> Option<u64> {
        let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        if allowed.bucket.take(1, now) {
            return Some(std::mem::take(&mut allowed.left_out));
        }
        allowed.left_out += 1;
        None
    }
}

/// As much as may be written; nothing where there is nothing.
fn cut(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let mut kept: String = text.chars().take(LONGEST).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted_and_not_written() {
        let refusals = Refusals::new();
        let written = (0..1000).filter(|_| refusals.admit(5_000).is_some());
        assert_eq!(written.count(), 10);
        assert_eq!(refusals.admit(6_000), Some(990));
        assert_eq!(refusals.admit(7_000), Some(0));
    }

    #[test]
    fn what_a_stranger_sent_is_cut() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(cut(text).as_deref(), expected);
        }
        let long = "é".repeat(200);
        check("", None);
        check("/dev", Some("/dev"));
        check(&long, Some(&long));
        check(&format!("{long}é"), Some(&format!("{long}…")));
    }
}
