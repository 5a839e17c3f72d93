//! `route`: a message to the gateway, by the gateway to the HTTP backend, the answer back on the same socket.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use tokio::task::JoinSet;

use super::pace::{self, Pace};
use super::{open, share};
use crate::client::frame;
use crate::client::socket::Socket;
use crate::error::LoadError;
use crate::measure::course::{Lane, Phase};
use crate::measure::crew::{Begun, Crew, Window};
use crate::measure::{figure, processes};
use crate::plan::{Door, Finding, Stage};

/// Time over which the connections of a closed loop send their first messages. All at once they would be a burst that no real load
/// is, and Pushpin drops connections when more than about a hundred messages come in one moment.
const RAMP: Duration = Duration::from_millis(500);

/// Settings of `route`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Route {
    /// Connections, each with at most one message under way.
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Bytes of a message.
    #[arg(long, default_value_t = 91, value_parser = clap::value_parser!(u32).range(32..=1_000_000))]
    pub(crate) payload: u32,
    /// Messages a second over all connections, sent when due whatever the server does; without it each connection sends as soon as
    /// it has its answer.
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) open_loop: Option<u32>,
}

impl Route {
    pub(super) fn describe(&self) -> String {
        let pace = self.open_loop.map_or_else(
            || "closed loop".into(),
            |rate| format!("open loop, {rate}/s"),
        );
        format!(
            "route: {} connections, {} bytes, {pace}",
            self.connections, self.payload
        )
    }

    pub(super) fn begin(&self, stage: &Stage<'_>) -> Result<Begun, LoadError> {
        let pids = stage.running.pids()?;
        let base = processes::resident_bytes(&pids);
        let (route, door, lanes) = (self.clone(), stage.door(), stage.plan.lanes);
        let crew = Crew::start(lanes, move |number, lane| {
            let (route, door) = (route.clone(), door.clone());
            async move {
                let rate = route.open_loop.map(|rate| f64::from(rate) / lanes as f64);
                run(
                    &door,
                    share(route.connections, number, lanes),
                    rate,
                    message("echo", route.payload as usize).into(),
                    lane,
                )
                .await
            }
        })?;
        crew.opened()?;
        Ok(Begun { crew, pids, base })
    }

    pub(super) fn finish(&self, mut begun: Begun, window: &Window) -> Finding {
        let resident = processes::resident_bytes(&begun.pids);
        begun.crew.finish();
        let mut figures = figure::of_window(window, begun.crew.meters());
        figure::add_resident(&mut figures, begun.base, resident, self.connections);
        Finding {
            figures,
            failures: begun.crew.failures(),
        }
    }
}

pub(super) async fn run(
    door: &Door,
    numbers: Range<usize>,
    rate: Option<f64>,
    message: Arc<[u8]>,
    mut lane: Lane,
) -> Result<(), LoadError> {
    let sockets = open::sockets(door, numbers).await?;
    lane.meter.ready.store(true, Ordering::Release);
    lane.reach(Phase::WarmUp).await;
    let mut tasks = JoinSet::new();
    converse(sockets, rate, &message, &lane, &mut tasks);
    open::end(&lane, tasks).await;
    Ok(())
}

/// Starts a task for each socket, and one that tells them when to send if there is a `rate`.
fn converse(
    sockets: Vec<Socket>,
    rate: Option<f64>,
    message: &Arc<[u8]>,
    lane: &Lane,
    tasks: &mut JoinSet<Result<(), LoadError>>,
) {
    let mut paces = Vec::new();
    if let Some(rate) = rate.filter(|_| !sockets.is_empty()) {
        let (open, schedule) = pace::open_loop(rate, sockets.len());
        paces = open;
        tasks.spawn(schedule.keep(lane.clone()));
    }
    let frame: Arc<[u8]> = frame::masked(frame::TEXT, message).into();
    let step = RAMP / u32::try_from(sockets.len()).unwrap_or(u32::MAX).max(1);
    for (index, socket) in (0_u32..).zip(sockets) {
        let (pace, wait) = match paces.pop() {
            Some(pace) => (pace, Duration::ZERO),
            None => (Pace::Closed, step * index),
        };
        tasks.spawn(talk(
            socket,
            (pace, wait),
            Arc::clone(message),
            Arc::clone(&frame),
            lane.clone(),
        ));
    }
}

async fn talk(
    mut socket: Socket,
    (mut pace, wait): (Pace, Duration),
    message: Arc<[u8]>,
    frame: Arc<[u8]>,
    mut lane: Lane,
) -> Result<(), LoadError> {
    tokio::time::sleep(wait).await;
    while let Some(since) = pace.next(&mut lane).await {
        socket.send(&frame).await?;
        same(socket.receive().await?, &message)?;
        lane.answered(since);
    }
    Ok(())
}

/// An error that shows the answer, if it is not the message.
pub(super) fn same(answer: &[u8], message: &[u8]) -> Result<(), LoadError> {
    if answer == message {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&answer[..answer.len().min(200)]);
    Err(LoadError::protocol(format!(
        "not the message that was sent: {text}"
    )))
}

/// A message for `route`, of exactly `len` bytes where its frame of JSON leaves room.
pub(crate) fn message(route: &str, len: usize) -> Vec<u8> {
    let (head, tail) = (format!(r#"{{"action":"{route}","text":""#), r#""}"#);
    let text = "x".repeat(len.saturating_sub(head.len() + tail.len()));
    [&head, text.as_str(), tail].concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_json_of_the_length_asked_for() {
        for len in [32, 91, 131_072] {
            let message = message("echo", len);
            assert_eq!(message.len(), len);
            let json: serde_json::Value = serde_json::from_slice(&message).unwrap();
            assert_eq!(json["action"], "echo");
        }
    }
}
