//! Writes to the terminal in a thread of its own, so that no call waits for it.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use gateway_core::live::LiveBackend;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;

use super::print::{Call, Said, Style};
use crate::env;
use crate::functions::{FunctionEvent, FunctionHost};
use crate::observe::{Record, Teller};

/// What may wait for the terminal; more is left out, and counted.
const WAITING: usize = 4096;
/// How long the end waits for the terminal.
const END: Duration = Duration::from_secs(1);

/// The way to the terminal; cheap to share.
#[derive(Debug, Clone)]
pub struct Printer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: Mutex<Option<SyncSender<(u64, Said)>>>,
    left_out: AtomicU64,
    /// What happens in functions.
    events: Mutex<Option<broadcast::Receiver<FunctionEvent>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Printer {
    /// Begins to write to stdout: with colours on a terminal, unless `NO_COLOR` is set, or as JSON.
    pub fn start(json: bool, no_color: bool) -> std::io::Result<Self> {
        let style = if json {
            Style::Json
        } else {
            Style::Text {
                colour: !no_color && std::io::stdout().is_terminal(),
            }
        };
        let (lines, received) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || write_all(&received, style))?;
        Ok(Self(Arc::new(Inner {
            lines: Mutex::new(Some(lines)),
            left_out: AtomicU64::new(0),
            events: Mutex::new(None),
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Writes it when there is time; never waits.
    pub fn say(&self, said: Said) {
        let Inner {
            lines, left_out, ..
        } = &*self.0;
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lines) = &*lines else { return };
        let lost = left_out.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let note = Said::Note(format!(
                "{lost} lines were left out: the terminal is too slow"
            ));
            if lines.try_send((env::wall(), note)).is_err() {
                left_out.fetch_add(lost, Ordering::Relaxed);
            }
        }
        if lines.try_send((env::wall(), said)).is_err() {
            left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The same, for a sentence of our own.
    pub fn note(&self, text: impl Into<String>) {
        self.say(Said::Note(text.into()));
    }

    /// Tells of each call, after what its function wrote.
    pub fn teller(&self) -> Teller {
        let printer = self.clone();
        Teller::new(move |record| {
            printer.catch_up();
            printer.say(Said::Call(call(record)));
        })
    }

    /// Shows what happens in functions, until their host is gone.
    pub async fn follow(self, host: Arc<FunctionHost>) {
        // Two of them: this one only says that there is something, so that whoever tells of a call may be quicker.
        let mut stirred = host.watch();
        *self.events() = Some(host.watch());
        // It would keep the host.
        drop(host);
        while !matches!(
            stirred.recv().await,
            Err(broadcast::error::RecvError::Closed)
        ) {
            self.catch_up();
        }
    }

    /// Writes what has happened in functions by now.
    fn catch_up(&self) {
        let mut events = self.events();
        let Some(receiver) = &mut *events else { return };
        loop {
            match receiver.try_recv() {
                Ok(event) => {
                    if let Some(said) = said(event) {
                        self.say(said);
                    }
                }
                Err(TryRecvError::Lagged(missed)) => {
                    self.note(format!("{missed} lines of functions were left out"));
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Closed) => {
                    *events = None;
                    return;
                }
            }
        }
    }

    fn events(&self) -> MutexGuard<'_, Option<broadcast::Receiver<FunctionEvent>>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits and ends.
    pub fn finish(&self) {
        self.catch_up();
        self.0
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let thread = self
            .0
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(thread) = thread else { return };
        let until = std::time::Instant::now() + END;
        // Somebody may have stopped the terminal.
        while !thread.is_finished() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn write_all(lines: &Receiver<(u64, Said)>, style: Style) {
    while let Ok((at, said)) = lines.recv() {
        let mut text = said.render(at, style);
        // What came meanwhile goes along, since each write costs.
        for (at, said) in lines.try_iter().take(256) {
            text.push_str(&said.render(at, style));
        }
        let mut out = std::io::stdout().lock();
        // A closed terminal must not keep the gateway from serving.
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
    }
}

fn said(event: FunctionEvent) -> Option<Said> {
    match event {
        FunctionEvent::Line {
            function,
            request_id,
            line,
        } => Some(Said::Line {
            function,
            request_id,
            line,
        }),
        FunctionEvent::InitFailed {
            function,
            error_type,
            message,
        } => Some(Said::Failed {
            function,
            request_id: None,
            error_type,
            message,
        }),
        FunctionEvent::Ended {
            function,
            request_id,
            error: Some((error_type, message)),
            ..
        } => Some(Said::Failed {
            function,
            request_id: Some(request_id),
            error_type,
            message,
        }),
        FunctionEvent::Began { .. } | FunctionEvent::Ended { .. } => None,
    }
}

fn call(record: &Record<'_>) -> Call {
    let backend = record.backend.map(|backend| match backend {
        LiveBackend::Lambda { target, .. } => match &target.qualifier {
            Some(qualifier) => format!("{}:{qualifier}", target.name),
            None => target.name.clone(),
        },
        LiveBackend::Http(http) => http.uri.to_string(),
        LiveBackend::Mock { .. } => "mock".to_owned(),
    });
    Call {
        event: record.call.event.event_type(),
        api: record.stage.api_id.to_string(),
        stage: record.stage.stage_name.to_string(),
        route: record.call.route_key.to_owned(),
        connection: record.call.connection.id.to_string(),
        backend,
        milliseconds: record
            .latency
            .map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        status: record.status,
        error: record.failure.map(ToString::to_string),
    }
}
