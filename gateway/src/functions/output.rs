//! The output of one worker on its way to the log, to whoever watches, and to the tail of the call under way.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::function::FunctionError;
use gateway_core::resource::Function;
use tokio::net::unix::pipe;

use super::events::FunctionEvent;
use super::host::Host;
use super::log::{Journal, Stream};
use super::process::{Pipes, read_now};
use crate::env;

/// The most that is read of one stream before other things get their turn.
const TURN: usize = 1024 * 1024;

/// What one worker writes.
#[derive(Debug)]
pub(super) struct Output {
    host: Arc<Host>,
    function: String,
    version: String,
    request_id: Option<String>,
    journal: Journal,
    streams: [Stream; 2],
    closed: [bool; 2],
}

impl Output {
    pub(super) fn new(host: Arc<Host>, function: &Function) -> Self {
        Self {
            host,
            function: function.name.clone(),
            version: function.version.clone(),
            request_id: None,
            journal: Journal::new(),
            streams: [Stream::default(), Stream::default()],
            closed: [false; 2],
        }
    }

    /// Waits until there is more.
    pub(super) async fn more(&self, pipes: &Pipes) {
        let [out, err] = self.closed;
        tokio::select! {
            _ = pipes.stdout.readable(), if !out => {}
            _ = pipes.stderr.readable(), if !err => {}
            else => std::future::pending().await,
        }
    }

    /// Takes what has been written up to now: what a process wrote before its answer is read before the answer is passed on.
    pub(super) fn drain(&mut self, pipes: &Pipes) {
        for (index, pipe) in [&pipes.stdout, &pipes.stderr].into_iter().enumerate() {
            let (bytes, closed) = read(pipe);
            self.closed[index] |= closed;
            self.push(index, &bytes);
        }
    }

    /// Takes the last of it.
    pub(super) fn finish(&mut self, pipes: &Pipes) {
        self.drain(pipes);
        self.end_lines();
    }

    /// Lines without an end are whole where what wrote them is over.
    fn end_lines(&mut self) {
        for index in 0..self.streams.len() {
            let mut lines = Vec::new();
            self.streams[index].finish(|line| lines.push(line.to_owned()));
            self.write(lines);
        }
    }

    /// A call begins: what comes now is of this call.
    pub(super) fn begin(&mut self, request_id: &str) {
        self.journal.begin();
        let version = &self.version;
        self.journal
            .keep(&format!("START RequestId: {request_id} Version: {version}"));
        self.request_id = Some(request_id.to_owned());
        self.host.tell(|| FunctionEvent::Began {
            function: self.function.clone(),
            request_id: request_id.to_owned(),
        });
    }

    /// The call is over; the tail of its log, with Lambda's own last lines.
    pub(super) fn end(
        &mut self,
        duration: Duration,
        init: Option<Duration>,
        memory_mib: u32,
        error: Option<&FunctionError>,
    ) -> Bytes {
        self.end_lines();
        let request_id = self.request_id.take().unwrap_or_default();
        if let Some(error) = error.filter(|error| !error.error_type.is_empty()) {
            let message = error.message().unwrap_or_default();
            self.journal
                .keep(&format!("{}: {message}", error.error_type));
        }
        self.journal.keep(&format!("END RequestId: {request_id}"));
        let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let mut report = format!(
            "REPORT RequestId: {request_id}\tDuration: {:.2} ms\tBilled Duration: {:.0} ms\tMemory Size: {memory_mib} MB",
            millis(duration),
            millis(duration).ceil(),
        );
        if let Some(init) = init {
            let _ = write!(report, "\tInit Duration: {:.2} ms", millis(init));
        }
        self.journal.keep(&report);
        self.host.tell(|| FunctionEvent::Ended {
            function: self.function.clone(),
            request_id,
            duration,
            init,
            error: error.map(|error| {
                let message = error.message().unwrap_or_default();
                (error.error_type.clone(), message)
            }),
        });
        Bytes::copy_from_slice(self.journal.tail())
    }

    fn push(&mut self, index: usize, bytes: &[u8]) {
        let mut lines = Vec::new();
        self.streams[index].push(bytes, |line| lines.push(line.to_owned()));
        self.write(lines);
    }

    fn write(&mut self, lines: Vec<String>) {
        let function = self.function.as_str();
        for line in lines {
            let Some(left_out) = self.journal.note(&line, env::now()) else {
                continue;
            };
            let request_id = self.request_id.as_deref().unwrap_or_default();
            if left_out > 0 {
                tracing::warn!(target: "function", function, left_out, "it writes too many lines");
            }
            tracing::info!(target: "function", function, request_id, "{line}");
            self.host.tell(|| FunctionEvent::Line {
                function: self.function.clone(),
                request_id: self.request_id.clone(),
                line,
            });
        }
    }
}

/// What a pipe holds now, and whether it is at its end.
fn read(pipe: &pipe::Receiver) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    let mut bytes = [0; 8192];
    while all.len() < TURN {
        match pipe.try_read(&mut bytes) {
            Ok(0) => return (all, true),
            Ok(count) => all.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // The runtime may not have heard of the newest bytes yet.
                all.extend(read_now(pipe, TURN));
                break;
            }
            Err(_) => return (all, true),
        }
    }
    (all, false)
}
