//! `idle`: what a connection costs that does nothing, before and after it has once done something.

use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connect::quiet;
use super::{echo, open};
use crate::client::frame;
use crate::client::socket::Socket;
use crate::error::LoadError;
use crate::measure::figure::{self, Figures, Metric};
use crate::measure::processes::{self, CpuTime};
use crate::plan::{Finding, Stage};

/// Memory after opening.
const OPENED: Metric = figure::RESIDENT_EACH;
/// Memory after one small message on each connection.
const AFTER_SMALL: Metric = Metric {
    key: "rss_bytes_per_connection_after_message",
    title: "…after one message",
    decimals: 0,
};
/// Memory after one large message on each connection.
const AFTER_LARGE: Metric = Metric {
    key: "rss_bytes_per_connection_after_large",
    title: "…after one large message",
    decimals: 0,
};
/// CPU time that idle connections cost: pings and timers.
const HOLDING: Metric = Metric {
    key: "cpu_us_per_connection_second",
    title: "CPU µs/s for each connection",
    decimals: 2,
};
/// Memory once all connections are gone.
const LEFT: Metric = Metric {
    key: "rss_mib_after_close",
    title: "RSS MiB after all closed",
    decimals: 1,
};

/// Time for one exchange.
const ANSWER: Duration = Duration::from_secs(30);

/// Settings of `idle`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Idle {
    /// Connections.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) connections: usize,
    /// Bytes of the large message that each connection sends and gets back; 0 leaves that part out.
    #[arg(long, default_value_t = 131_072, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) large: u32,
    /// Spread the connections over so many server processes and as many generators, since one process cannot hold more than its
    /// limit of open files; `auto` takes as few as can hold them. All are opened, measured, and each is asked whether it still
    /// lives.
    #[arg(long, value_name = "auto|NUMBER")]
    pub(crate) processes: Option<Processes>,
    /// Of these, pairs of a server and its generator that open their connections at the same time; without it as many as there are
    /// cores.
    #[arg(long, value_name = "PAIRS", requires = "processes", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) at_once: Option<u16>,
}

/// Over how many processes connections are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processes {
    /// As few as can hold them.
    Auto,
    /// So many servers, and as many generators.
    Exactly(usize),
}

impl std::str::FromStr for Processes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "auto" => Ok(Self::Auto),
            Ok(number @ 1..=1000) => Ok(Self::Exactly(number)),
            _ => Err("`auto`, or a number from 1 to 1000".into()),
        }
    }
}

impl Idle {
    pub(super) fn describe(&self) -> String {
        format!(
            "idle: {} connections, {}",
            self.connections,
            match (self.processes, self.large) {
                (Some(_), _) => "spread over several processes".into(),
                (None, large) => format!("large message of {large} bytes"),
            }
        )
    }

    pub(super) fn measure(&self, stage: &Stage<'_>) -> Result<Finding, LoadError> {
        let pids = stage.running.pids()?;
        let base = processes::resident_bytes(&pids);
        let each = || {
            processes::resident_bytes(&pids).saturating_sub(base) as f64 / self.connections as f64
        };
        let mut figures: Figures = Vec::new();
        open::runtime()?.block_on(async {
            let sockets = open::sockets(&stage.door(), 0..self.connections).await?;
            stage.say(&format!("{} connections are open", sockets.len()));
            quiet(&pids).await;
            figures.push((OPENED, each()));

            let before = CpuTime::of(&pids);
            let sockets = hold(sockets, stage.plan.length).await?;
            let used = (CpuTime::of(&pids) - before).nanoseconds as f64 / 1e3;
            figures.push((
                HOLDING,
                used / stage.plan.length.as_secs_f64() / self.connections as f64,
            ));
            stage.say("held");

            let mut sockets = exchange(sockets, 91).await?;
            quiet(&pids).await;
            figures.push((AFTER_SMALL, each()));
            stage.say("one message on each");

            if self.large > 0 {
                sockets = exchange(sockets, self.large as usize).await?;
                quiet(&pids).await;
                figures.push((AFTER_LARGE, each()));
                stage.say("one large message on each");
            }

            drop(sockets);
            quiet(&pids).await;
            figures.push((
                LEFT,
                processes::resident_bytes(&pids) as f64 / 1024.0 / 1024.0,
            ));
            Ok(Finding {
                figures,
                failures: (0, None),
            })
        })
    }
}

/// Answers pings for `length`; anything else that comes is a failure.
async fn hold(sockets: Vec<Socket>, length: Duration) -> Result<Vec<Socket>, LoadError> {
    let mut tasks = JoinSet::new();
    for mut socket in sockets {
        tasks.spawn(async move {
            match timeout(length, socket.receive()).await {
                Err(_) => Ok(socket),
                Ok(Ok(_)) => Err(LoadError::protocol("a message came that nobody sent")),
                Ok(Err(error)) => Err(error),
            }
        });
    }
    let mut held = Vec::with_capacity(tasks.len());
    while let Some(ended) = tasks.join_next().await {
        held.push(ended.map_err(|error| LoadError::Trial(error.to_string()))??);
    }
    Ok(held)
}

/// One message of `len` bytes there and back on each socket.
async fn exchange(sockets: Vec<Socket>, len: usize) -> Result<Vec<Socket>, LoadError> {
    let message = echo::message("echo", len);
    let frame = frame::masked(frame::TEXT, &message);
    stream::iter(sockets)
        .map(|mut socket| {
            let (message, frame) = (&message, &frame);
            async move {
                let round = async {
                    socket.send(frame).await?;
                    let answer = socket.receive().await?;
                    if answer != message {
                        return Err(LoadError::protocol(format!(
                            "{} bytes came back, not the message",
                            answer.len()
                        )));
                    }
                    socket.rest();
                    Ok(socket)
                };
                timeout(ANSWER, round)
                    .await
                    .map_err(|_| LoadError::protocol("a message was not answered"))?
            }
        })
        .buffer_unordered(16)
        .try_collect()
        .await
}
