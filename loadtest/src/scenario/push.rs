//! `push`: posters send to `@connections`, and each message is timed until it is on its socket.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;

use super::pace::{self, Pace};
use super::{open, share};
use crate::client::frame;
use crate::client::letter::{Letter, Manner};
use crate::client::poster::Poster;
use crate::client::socket::{Socket, source};
use crate::error::LoadError;
use crate::measure::course::{Lane, Meter, Phase};
use crate::measure::crew::{Begun, Crew, Window};
use crate::measure::figure::{self, Metric};
use crate::measure::processes;
use crate::plan::{Door, Finding, Stage};

/// Pushes that were answered with 200 and did not arrive.
pub(super) const LOST: Metric = Metric {
    key: "lost",
    title: "answered 200, not delivered",
    decimals: 0,
};
/// Time for the last deliveries.
const GRACE: Duration = Duration::from_secs(3);

/// Settings of `push`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Push {
    /// Sockets that are pushed to.
    #[arg(long, default_value_t = 1000)]
    pub(crate) connections: usize,
    /// Posters, each with one POST under way; 64, or 4 with --connection-per-post.
    #[arg(long)]
    pub(crate) posters: Option<usize>,
    /// A new TCP connection for each POST, in place of one kept alive.
    #[arg(long)]
    pub(crate) connection_per_post: bool,
    /// POSTs a second over all posters, sent when due whatever the server does.
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) open_loop: Option<u32>,
    /// Bytes of a message.
    #[arg(long, default_value_t = 91, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    pub(crate) payload: u32,
}

impl Push {
    pub(super) fn posters(&self) -> usize {
        self.posters
            .unwrap_or(if self.connection_per_post { 4 } else { 64 })
    }

    pub(super) fn describe(&self) -> String {
        let pace = self.open_loop.map_or_else(
            || "closed loop".into(),
            |rate| format!("open loop, {rate}/s"),
        );
        let manner = if self.connection_per_post {
            "a new connection for each POST"
        } else {
            "keep-alive"
        };
        format!(
            "push: {} sockets, {} posters, {manner}, {} bytes, {pace}",
            self.connections,
            self.posters(),
            self.payload
        )
    }

    pub(super) fn begin(&self, stage: &Stage<'_>) -> Result<Begun, LoadError> {
        let pids = stage.running.pids()?;
        let base = processes::resident_bytes(&pids);
        let (push, targets, lanes) = (self.clone(), Targets::of(stage), stage.plan.lanes);
        let mut crew = Crew::start(lanes, move |number, lane| {
            run(push.clone(), targets.clone(), number, lanes, lane)
        })?;
        crew.keep_apart(stage.running.shared_pids()?);
        crew.opened()?;
        Ok(Begun { crew, pids, base })
    }

    pub(super) fn finish(&self, mut begun: Begun, window: &Window) -> Finding {
        let resident = processes::resident_bytes(&begun.pids);
        begun.crew.finish();
        let mut figures = figure::of_window(window, begun.crew.meters());
        figures.push((LOST, lost(begun.crew.meters())));
        figure::add_resident(&mut figures, begun.base, resident, self.connections);
        Finding {
            figures,
            failures: begun.crew.failures(),
        }
    }
}

/// Pushes that were answered and have not arrived.
pub(super) fn lost<'a>(meters: impl IntoIterator<Item = &'a Arc<Meter>>) -> f64 {
    meters.into_iter().fold(0.0, |lost, meter| {
        lost + meter.answered.load(Ordering::Relaxed) as f64
            - meter.delivered.load(Ordering::Relaxed) as f64
    })
}

/// Where sockets are, and where pushes to them are posted.
#[derive(Debug, Clone)]
pub(super) struct Targets {
    pub(super) door: Door,
    pub(super) management: std::net::SocketAddr,
    pub(super) manner: Manner,
}

impl Targets {
    pub(super) fn of(stage: &Stage<'_>) -> Self {
        Self {
            door: stage.door(),
            management: stage.running.management,
            manner: stage.running.manner,
        }
    }

    /// Opens sockets; gives each with how it is pushed to.
    pub(super) async fn open(
        &self,
        numbers: Range<usize>,
    ) -> Result<(Vec<Socket>, Vec<Letter>), LoadError> {
        let sockets = open::sockets(&self.door, numbers).await?;
        let named: Vec<(Socket, Letter)> = stream::iter(sockets)
            .map(|socket| self.name(socket))
            .buffer_unordered(64)
            .try_collect()
            .await?;
        Ok(named.into_iter().unzip())
    }

    async fn name(&self, mut socket: Socket) -> Result<(Socket, Letter), LoadError> {
        socket
            .send(&frame::masked(frame::TEXT, br#"{"action":"whoami"}"#))
            .await?;
        let id = String::from_utf8_lossy(socket.receive().await?).into_owned();
        if id.is_empty() || id.contains(['{', ' ', '/']) {
            return Err(LoadError::protocol(format!("not a connection id: {id}")));
        }
        socket.rest();
        Ok((socket, self.manner.letter(&id)))
    }
}

pub(super) async fn run(
    push: Push,
    targets: Targets,
    number: usize,
    lanes: usize,
    mut lane: Lane,
) -> Result<(), LoadError> {
    let (sockets, letters) = targets.open(share(push.connections, number, lanes)).await?;
    let posters = share(push.posters(), number, lanes);
    lane.meter.ready.store(true, Ordering::Release);
    if letters.is_empty() || posters.is_empty() {
        return Ok(());
    }
    lane.reach(Phase::WarmUp).await;
    let mut listeners = listen(sockets, &lane);
    let mut tasks = JoinSet::new();
    let posts = Posts {
        targets,
        letters: letters.into(),
        keep_alive: !push.connection_per_post,
        payload: push.payload as usize,
        rate: push.open_loop.map(|rate| f64::from(rate) / lanes as f64),
    };
    posts.start(posters, &lane, &mut tasks);
    open::end(&lane, tasks).await;
    let until = Instant::now() + GRACE;
    let behind = || {
        lane.meter.delivered.load(Ordering::Relaxed) < lane.meter.answered.load(Ordering::Relaxed)
    };
    while behind() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while let Some(ended) = listeners.try_join_next() {
        if let Ok(Err(error)) = ended {
            lane.meter.fail(error);
        }
    }
    Ok(())
}

/// Starts a task for each socket that times what comes.
pub(super) fn listen(sockets: Vec<Socket>, lane: &Lane) -> JoinSet<Result<(), LoadError>> {
    let mut tasks = JoinSet::new();
    for socket in sockets {
        tasks.spawn(hear(socket, lane.clone()));
    }
    tasks
}

async fn hear(mut socket: Socket, lane: Lane) -> Result<(), LoadError> {
    loop {
        let message = socket.receive().await?;
        let Some(sent) = read_stamp(message) else {
            let text = String::from_utf8_lossy(&message[..message.len().min(200)]).into_owned();
            return Err(LoadError::protocol(format!(
                "not a message that was pushed: {text}"
            )));
        };
        let took = lane.epoch.elapsed().saturating_sub(sent);
        lane.meter.delivered.fetch_add(1, Ordering::Relaxed);
        if lane.phase() == Phase::Measure {
            lane.meter.delivery.record(took);
        }
    }
}

/// What the posters of one lane do.
#[derive(Debug, Clone)]
pub(super) struct Posts {
    pub(super) targets: Targets,
    pub(super) letters: Arc<[Letter]>,
    pub(super) keep_alive: bool,
    pub(super) payload: usize,
    pub(super) rate: Option<f64>,
}

impl Posts {
    /// Starts a task for each poster.
    pub(super) fn start(
        self,
        posters: Range<usize>,
        lane: &Lane,
        tasks: &mut JoinSet<Result<(), LoadError>>,
    ) {
        let step = posters.len();
        let mut paces = Vec::new();
        if let Some(rate) = self.rate {
            let (open, schedule) = pace::open_loop(rate, step);
            paces = open;
            tasks.spawn(schedule.keep(lane.clone()));
        }
        for (first, number) in posters.enumerate() {
            let pace = paces.pop().unwrap_or(Pace::Closed);
            tasks.spawn(self.clone().post(first, step, number, pace, lane.clone()));
        }
    }

    /// Posts to every `step`th socket from the `first` on, round and round.
    async fn post(
        self,
        first: usize,
        step: usize,
        number: usize,
        mut pace: Pace,
        mut lane: Lane,
    ) -> Result<(), LoadError> {
        let mut poster = Poster::new(self.targets.management, source(number), self.keep_alive);
        let mut body = Stamped::new(self.payload, self.targets.manner);
        let mut next = first % self.letters.len();
        while let Some(since) = pace.next(&mut lane).await {
            body.stamp(since.saturating_duration_since(lane.epoch));
            match poster.post(&self.letters[next], &body.bytes).await? {
                // 204 is what serverless-offline says.
                200 | 204 => lane.answered(since),
                status => lane
                    .meter
                    .fail(format!("a push was answered with {status}")),
            }
            next = (next + step) % self.letters.len();
        }
        Ok(())
    }
}

const HEAD: &str = r#"{"action":"push","sent":""#;
const DIGITS: usize = 19;

/// A message with room for its time.
#[derive(Debug)]
pub(super) struct Stamped {
    /// As it is posted.
    pub(super) bytes: Vec<u8>,
    /// Where the time stands.
    at: usize,
}

impl Stamped {
    /// Of `len` bytes on the socket; on the way there it may have to be escaped.
    pub(super) fn new(len: usize, manner: Manner) -> Self {
        let (middle, tail) = (r#"","text":""#, r#""}"#);
        let text = "x".repeat(len.saturating_sub(HEAD.len() + DIGITS + middle.len() + tail.len()));
        let rest = ["0".repeat(DIGITS).as_str(), middle, &text, tail].concat();
        let (head, rest) = if manner.escapes() {
            (HEAD.replace('"', r#"\""#), rest.replace('"', r#"\""#))
        } else {
            (HEAD.to_owned(), rest)
        };
        Self {
            at: head.len(),
            bytes: (head + &rest).into_bytes(),
        }
    }

    /// Writes nanoseconds since the lane's epoch.
    pub(super) fn stamp(&mut self, at: Duration) {
        let mut left = at.as_nanos() as u64;
        for digit in self.bytes[self.at..self.at + DIGITS].iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
    }
}

fn read_stamp(message: &[u8]) -> Option<Duration> {
    let digits = message.strip_prefix(HEAD.as_bytes())?.get(..DIGITS)?;
    std::str::from_utf8(digits)
        .ok()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back() {
        let mut body = Stamped::new(91, Manner::Callback(""));
        assert_eq!(body.bytes.len(), 91);
        let at = Duration::new(3, 141_592_653);
        body.stamp(at);
        assert_eq!(read_stamp(&body.bytes), Some(at));
        assert!(serde_json::from_slice::<serde_json::Value>(&body.bytes).is_ok());
    }

    #[test]
    fn what_is_published_inside_json_comes_out_the_same() {
        let at = Duration::new(3, 141_592_653);
        let (mut plain, mut inside) = (
            Stamped::new(91, Manner::Callback("")),
            Stamped::new(91, Manner::Publish),
        );
        plain.stamp(at);
        inside.stamp(at);
        let string = [b"\"", &inside.bytes[..], b"\""].concat();
        let read: String = serde_json::from_slice(&string).unwrap();
        assert_eq!(read.as_bytes(), plain.bytes);
    }

    #[test]
    fn what_was_not_pushed_has_no_stamp() {
        assert_eq!(read_stamp(b"{\"message\":\"Forbidden\"}"), None);
        assert_eq!(read_stamp(HEAD.as_bytes()), None);
    }
}
