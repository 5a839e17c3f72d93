//! The scenarios: what is asked of a server, and what is counted.

pub(crate) mod echo;
mod open;
mod pace;
pub(crate) mod push;

use clap::Subcommand;

use crate::error::LoadError;
use crate::plan::{Finding, Stage};
use crate::subject::Minimal;

/// What can be measured, each with its own settings.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Scenario {
    /// WebSocket message, HTTP backend, answer on the socket: one outstanding message for each connection.
    #[command(visible_alias = "echo")]
    Route(echo::Route),
    /// POST to @connections, message on the socket.
    Push(push::Push),
}

impl Scenario {
    /// Its name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Route(_) => "route",
            Self::Push(_) => "push",
        }
    }

    /// What it does, in a line.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Route(route) => route.describe(),
            Self::Push(push) => push.describe(),
        }
    }

    /// The minimal program to compare with.
    pub(crate) fn minimal(&self) -> Option<Minimal> {
        match self {
            Self::Route(_) => Some(Minimal::Route),
            Self::Push(_) => Some(Minimal::Push),
        }
    }

    /// True if the backend is asked before each 101.
    pub(crate) fn asks_at_connect(&self) -> bool {
        match self {
            Self::Route(_) | Self::Push(_) => false,
        }
    }

    /// Connections that it opens at once.
    pub(crate) fn connections(&self) -> usize {
        match self {
            Self::Route(route) => route.connections,
            Self::Push(push) => push.connections + push.posters(),
        }
    }

    /// Does it once.
    pub(crate) fn measure(&self, stage: &Stage<'_>) -> Result<Finding, LoadError> {
        match self {
            Self::Route(route) => route.measure(stage),
            Self::Push(push) => push.measure(stage),
        }
    }
}

/// The part of `all` that falls to lane `number` of `lanes`.
fn share(all: usize, number: usize, lanes: usize) -> std::ops::Range<usize> {
    all * number / lanes..all * (number + 1) / lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(all: usize, lanes: usize, expected: &[std::ops::Range<usize>]) {
        let shares: Vec<_> = (0..lanes).map(|number| share(all, number, lanes)).collect();
        assert_eq!(shares, expected);
    }

    #[test]
    fn lanes_share_everything_once() {
        check(10, 2, &[0..5, 5..10]);
        check(10, 3, &[0..3, 3..6, 6..10]);
        check(1, 2, &[0..0, 0..1]);
    }
}
