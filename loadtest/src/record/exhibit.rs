//! What `loadtest report` measures, in order.

use std::time::Duration;

use super::beside;
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::scenario::connect::Connect;
use crate::scenario::echo::Route;
use crate::scenario::idle::{Idle, Processes};
use crate::scenario::push::Push;
use crate::subject::Subject::{
    self, Limit, Nginx, OneWorker, Pushpin, ServerlessOffline, TwoWorkers, Wiregate,
};

/// One table of the report.
#[derive(Debug, Clone)]
pub(crate) struct Exhibit {
    /// Its name in the JSON.
    pub(crate) key: &'static str,
    /// Its heading.
    pub(crate) title: &'static str,
    /// What is done.
    pub(crate) scenario: Scenario,
    /// By whom.
    pub(crate) subjects: Vec<Subject>,
    /// How it is measured.
    pub(super) manner: Manner,
    /// Seconds of a measurement, and of load before it, where they are not the usual ones.
    pub(super) seconds: Option<(u64, u64)>,
    /// How often, and once with `--quick`.
    pub(super) runs: u32,
    /// True where there is no goal for it: measured with `--beside`.
    pub(super) beside: bool,
}

/// How an exhibit is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// In short turns, the server on a core of its own: the closest ratios.
    Turns,
    /// One subject after the other, the server on a core of its own: what is not finished at the end of a turn, as with a slow peer,
    /// would spoil the next one's.
    Alone,
    /// The same without pinning.
    Unpinned,
}

/// Seconds of a measurement, and of load before it: node compiles what is called often.
const LENGTH: (u64, u64) = (5, 1);
const LENGTH_OF_PEERS: (u64, u64) = (5, 4);
const QUICK: (u64, u64) = (1, 1);

impl Exhibit {
    /// True if it is pinned.
    pub(crate) fn pinned(&self) -> bool {
        self.manner != Manner::Unpinned
    }

    /// The plan for it, made of the one that all share.
    pub(crate) fn plan(&self, common: &Plan, quick: bool) -> Plan {
        let peers = self
            .subjects
            .iter()
            .any(|subject| Subject::PEERS[2..].contains(subject));
        let (length, warm_up) = match (quick, peers) {
            (true, _) => QUICK,
            (false, true) => LENGTH_OF_PEERS,
            (false, false) => self.seconds.unwrap_or(LENGTH),
        };
        Plan {
            subjects: self.subjects.clone(),
            runs: if quick { 1 } else { self.runs },
            length: Duration::from_secs(length),
            warm_up: Duration::from_secs(warm_up),
            turns: self.manner == Manner::Turns,
            ..common.clone()
        }
    }
}

pub(super) fn route(connections: usize, open_loop: Option<u32>) -> Scenario {
    Scenario::Route(Route {
        connections,
        payload: 91,
        open_loop,
    })
}

pub(super) fn push(connection_per_post: bool, open_loop: Option<u32>) -> Scenario {
    Scenario::Push(Push {
        connections: 1000,
        posters: None,
        connection_per_post,
        open_loop,
        payload: 91,
    })
}

pub(super) fn idle(connections: usize, large: u32, processes: Option<Processes>) -> Scenario {
    Scenario::Idle(Idle {
        connections,
        large,
        processes,
        at_once: None,
    })
}

pub(super) fn connect(backend: bool) -> Scenario {
    Scenario::Connect(Connect {
        connections: 8000,
        // Few, since Pushpin refuses some of a burst of more with 502.
        in_flight: 16,
        backend,
    })
}

/// All that peers take part in.
pub(crate) fn peers() -> Vec<Scenario> {
    let takes_part = |exhibit: &Exhibit| exhibit.key.starts_with("peers-");
    all()
        .into_iter()
        .filter(takes_part)
        .map(|exhibit| exhibit.scenario)
        .collect()
}

/// The whole report: what has a goal, then what has none.
pub(crate) fn all() -> Vec<Exhibit> {
    let mut all = with_goals();
    all.extend(beside::exhibits());
    all
}

fn with_goals() -> Vec<Exhibit> {
    use Manner::{Alone, Turns, Unpinned};
    let limit: &[Subject] = &[Wiregate, Limit];
    let with = |peers: &[Subject]| [limit, peers].concat();
    let exhibit = |key, title, scenario, subjects: &[Subject], manner, runs| Exhibit {
        key,
        title,
        scenario,
        subjects: subjects.to_vec(),
        manner,
        seconds: None,
        runs,
        beside: false,
    };
    let both = with(&[Pushpin, ServerlessOffline]);
    let everybody = with(&[Pushpin, ServerlessOffline, Nginx]);
    vec![
        exhibit(
            "route-64",
            "Routing, 64 connections",
            route(64, None),
            limit,
            Turns,
            3,
        ),
        exhibit(
            "route-256",
            "Routing, 256 connections",
            route(256, None),
            limit,
            Turns,
            3,
        ),
        exhibit(
            "route-1000",
            "Routing, 1000 connections at saturation",
            route(1000, None),
            limit,
            Alone,
            5,
        ),
        exhibit(
            "route-20000",
            "Routing, 20,000 messages a second",
            route(64, Some(20_000)),
            limit,
            Alone,
            5,
        ),
        exhibit(
            "push",
            "Pushing, connections kept alive",
            push(false, None),
            limit,
            Turns,
            3,
        ),
        exhibit(
            "peers-route-64",
            "Peers: routing, 64 connections",
            route(64, None),
            &everybody,
            Alone,
            3,
        ),
        exhibit(
            "peers-route-256",
            "Peers: routing, 256 connections",
            route(256, None),
            &everybody,
            Alone,
            3,
        ),
        exhibit(
            "peers-push",
            "Peers: pushing, connections kept alive",
            push(false, None),
            &both,
            Alone,
            3,
        ),
        exhibit(
            "peers-push-new",
            "Peers: pushing, a new connection for each POST",
            push(true, None),
            &both,
            Alone,
            3,
        ),
        exhibit(
            "peers-push-1000",
            "Peers: 1000 pushes a second",
            push(false, Some(1000)),
            &both,
            Alone,
            3,
        ),
        exhibit(
            "peers-idle",
            "Peers: 8000 idle connections",
            idle(8000, 0, None),
            &everybody,
            Alone,
            3,
        ),
        exhibit(
            "peers-connect",
            "Peers: 8000 upgrades",
            connect(false),
            &with(&[Nginx]),
            Alone,
            3,
        ),
        exhibit(
            "peers-connect-asked",
            "Peers: 8000 upgrades, the backend asked for each",
            connect(true),
            &both,
            Alone,
            3,
        ),
        exhibit(
            "idle",
            "10,000 connections before and after traffic",
            idle(10_000, 131_072, None),
            limit,
            Alone,
            3,
        ),
        exhibit(
            "workers",
            "Two threads against one",
            route(256, None),
            &[TwoWorkers, OneWorker],
            Unpinned,
            5,
        ),
        exhibit(
            "hold",
            "100,000 idle connections",
            idle(100_000, 0, Some(Processes::Auto)),
            &[Wiregate],
            Unpinned,
            1,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_can_do_what_is_asked() {
        for exhibit in all() {
            for subject in exhibit.subjects {
                assert!(
                    exhibit.scenario.suits(subject),
                    "{}: {subject}",
                    exhibit.key
                );
            }
        }
    }

    #[test]
    fn no_name_is_used_twice() {
        let mut keys: Vec<&str> = all().iter().map(|exhibit| exhibit.key).collect();
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn what_takes_turns_can() {
        for exhibit in all() {
            assert!(exhibit.manner != Manner::Turns || exhibit.scenario.takes_turns());
        }
    }
}
