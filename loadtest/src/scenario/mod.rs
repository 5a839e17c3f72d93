//! The scenarios: what is asked of a server, and what is counted.

pub(crate) mod broadcast;
pub(crate) mod churn;
pub(crate) mod connect;
pub(crate) mod echo;
pub(crate) mod function;
pub(crate) mod idle;
pub(crate) mod mixed;
pub(crate) mod open;
mod pace;
pub(crate) mod push;
pub(crate) mod slow_reader;

use clap::Subcommand;

use crate::backend::Backend;
use crate::error::LoadError;
use crate::measure::crew::{Begun, Window};
use crate::plan::{Finding, Stage};
use crate::subject::{Minimal, Need, Subject};

/// What can be measured, each with its own settings.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Scenario {
    /// WebSocket message, HTTP backend, answer on the socket: one outstanding message for each connection.
    #[command(visible_alias = "echo")]
    Route(echo::Route),
    /// POST to @connections, message on the socket.
    Push(push::Push),
    /// A burst of upgrades that all stay open, then the end of all of them.
    Connect(connect::Connect),
    /// Memory of connections that do nothing: as opened, after a message, after a large one.
    Idle(idle::Idle),
    /// One message to all sockets, a POST for each, round after round.
    Broadcast(broadcast::Broadcast),
    /// Routing, pushing and new connections at steady rates, together.
    Mixed(mixed::Mixed),
    /// Pushes at sockets that never read, beside others that do.
    SlowReader(slow_reader::SlowReader),
    /// Connections that come, send a message and go, and the memory that is left.
    Churn(churn::Churn),
    /// A Lambda function that the gateway runs itself, beside the same handler as an HTTP backend: cold start, warm call, throughput.
    Function(function::Function),
}

impl Scenario {
    /// Its name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Route(_) => "route",
            Self::Push(_) => "push",
            Self::Connect(_) => "connect",
            Self::Idle(_) => "idle",
            Self::Broadcast(_) => "broadcast",
            Self::Mixed(_) => "mixed",
            Self::SlowReader(_) => "slow-reader",
            Self::Churn(_) => "churn",
            Self::Function(_) => "function",
        }
    }

    /// What it does, in a line.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Route(route) => route.describe(),
            Self::Push(push) => push.describe(),
            Self::Connect(connect) => connect.describe(),
            Self::Idle(idle) => idle.describe(),
            Self::Broadcast(broadcast) => broadcast.describe(),
            Self::Mixed(mixed) => mixed.describe(),
            Self::SlowReader(slow) => slow.describe(),
            Self::Churn(churn) => churn.describe(),
            Self::Function(function) => function.describe(),
        }
    }

    /// The minimal program to compare with.
    pub(crate) fn minimal(&self) -> Option<Minimal> {
        match self {
            Self::Route(_) => Some(Minimal::Route),
            Self::Push(_) | Self::Broadcast(_) | Self::SlowReader(_) => Some(Minimal::Push),
            Self::Connect(_) | Self::Idle(_) => Some(Minimal::Idle),
            // Their parts have their limits in the scenarios of their own; a function stands beside its handler over HTTP.
            Self::Mixed(_) | Self::Churn(_) | Self::Function(_) => None,
        }
    }

    /// What it needs of its subject.
    pub(crate) fn need(&self, backend: &Backend) -> Need {
        Need {
            minimal: self.minimal(),
            ask_at_connect: matches!(self, Self::Connect(connect) if connect.backend),
            push: matches!(
                self,
                Self::Push(_) | Self::Broadcast(_) | Self::Mixed(_) | Self::SlowReader(_)
            ),
            handler: match self {
                Self::Function(function) => Some(function.handler()),
                _ => None,
            },
            ..Need::plain(backend)
        }
    }

    /// Its settings, if its connections are spread over several processes.
    pub(crate) fn spread(&self) -> Option<&idle::Idle> {
        match self {
            Self::Idle(idle) if idle.processes.is_some() => Some(idle),
            _ => None,
        }
    }

    /// Who does it where nobody is named.
    pub(crate) fn usual(&self) -> &'static [Subject] {
        match self {
            Self::Function(_) => &Subject::HANDLERS,
            _ => &[Subject::Wiregate],
        }
    }

    /// True if `subject` can do its work.
    pub(crate) fn suits(&self, subject: Subject) -> bool {
        let handlers = Subject::HANDLERS.contains(&subject);
        match subject {
            _ if handlers || matches!(self, Self::Function(_)) => {
                handlers && matches!(self, Self::Function(_))
            }
            // The generators of `--processes` are processes too, and speak no TLS.
            Subject::WiregateTls => self.spread().is_none(),
            Subject::WiregateLink | Subject::WiregateRedis => {
                matches!(self, Self::Push(_) | Self::Connect(_))
            }
            // Calls to the backend are what differs.
            Subject::WiregateHttp2 => matches!(self, Self::Route(_)),
            _ if subject.is_wiregate() => true,
            Subject::Limit => self.minimal().is_some(),
            Subject::LimitTls => matches!(self, Self::Route(_)),
            Subject::Nginx => match self {
                // A proxy has nothing to be pushed at, and asks nobody but its one upstream.
                Self::Route(_) => true,
                Self::Connect(connect) => !connect.backend,
                Self::Idle(idle) => idle.processes.is_none(),
                _ => false,
            },
            // Both call something before each 101, and cannot do without.
            _ => match self {
                Self::Connect(connect) => connect.backend,
                // Pushpin closes on a message beyond its buffers.
                Self::Idle(idle) if idle.processes.is_some() => false,
                Self::Idle(idle) => idle.large == 0 || subject == Subject::ServerlessOffline,
                Self::Route(_) | Self::Push(_) | Self::Broadcast(_) => true,
                _ => false,
            },
        }
    }

    /// Connections that it opens at once.
    pub(crate) fn connections(&self) -> usize {
        match self {
            Self::Route(route) => route.connections,
            Self::Push(push) => push.connections + push.posters(),
            Self::Connect(connect) => connect.connections,
            Self::Idle(idle) => idle.connections,
            Self::Broadcast(broadcast) => broadcast.connections + broadcast.posters,
            Self::Mixed(mixed) => {
                mixed.connections + usize::from(mixed.talkers) + mixed::CONNECTING
            }
            Self::SlowReader(slow) => slow.connections + usize::from(slow.stalled),
            Self::Churn(churn) => churn.connections,
            Self::Function(function) => function.connections,
        }
    }

    /// True if it can rest while another subject works: a closed loop whose latencies count from the sending.
    pub(crate) fn takes_turns(&self) -> bool {
        match self {
            Self::Route(route) => route.open_loop.is_none(),
            Self::Push(push) => push.open_loop.is_none(),
            _ => false,
        }
    }

    /// Opens the sockets of a scenario that takes turns.
    pub(crate) fn begin(&self, stage: &Stage<'_>) -> Result<Begun, LoadError> {
        match self {
            Self::Route(route) => route.begin(stage),
            Self::Push(push) => push.begin(stage),
            _ => Err(LoadError::Usage(format!(
                "{} does not take turns",
                self.name()
            ))),
        }
    }

    /// Ends what `begin` began.
    pub(crate) fn finish(&self, begun: Begun, window: &Window) -> Result<Finding, LoadError> {
        match self {
            Self::Route(route) => Ok(route.finish(begun, window)),
            Self::Push(push) => Ok(push.finish(begun, window)),
            _ => Err(LoadError::Usage(format!(
                "{} does not take turns",
                self.name()
            ))),
        }
    }

    /// Does it once.
    pub(crate) fn measure(&self, stage: &Stage<'_>) -> Result<Finding, LoadError> {
        match self {
            Self::Route(_) | Self::Push(_) => {
                let begun = self.begin(stage)?;
                let plan = stage.plan;
                let window = begun
                    .crew
                    .measure(plan.warm_up, plan.length, &begun.pids, |rate| {
                        stage.say(&format!("{rate:.0} messages/s"));
                    });
                self.finish(begun, &window)
            }
            Self::Connect(connect) => connect.measure(stage),
            Self::Idle(idle) => idle.measure(stage),
            Self::Broadcast(broadcast) => broadcast.measure(stage),
            Self::Mixed(mixed) => mixed.measure(stage),
            Self::SlowReader(slow) => slow.measure(stage),
            Self::Churn(churn) => churn.measure(stage),
            Self::Function(function) => function.measure(stage),
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
