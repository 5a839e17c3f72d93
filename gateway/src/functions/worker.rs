//! One worker from its start to its end.

use std::sync::Arc;

use gateway_core::function::{FunctionError, Gone, WorkerId};
use gateway_core::resource::Function;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::call::Call;
use super::desk::Desk;
use super::host::Host;
use super::process::{Launch, Pipes, Process};
use super::runtime_api::RuntimeApi;
use super::{environment, tools};
use crate::env;

/// What a pool tells a worker.
#[derive(Debug)]
pub(super) enum Order {
    /// Here is a call.
    Take(Call),
    /// End, whatever you are at.
    Stop,
}

/// What a worker tells its pool.
#[derive(Debug)]
pub(super) enum Report {
    /// It waits for a call.
    Ready(WorkerId),
    /// It has answered one.
    Answered(WorkerId),
    /// It is no more.
    Gone(WorkerId, Gone),
}

/// A worker and where it belongs.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) host: Arc<Host>,
    pub(super) function: Arc<Function>,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) reports: mpsc::UnboundedSender<Report>,
}

impl Worker {
    /// Starts the process and serves it until it is gone.
    pub(super) async fn run(mut self) {
        let begun = Instant::now();
        // Until there is a call, what goes wrong has an id of its own.
        let init_id = super::host::request_id();
        let gone = match self.start().await {
            Ok(Some(started)) => {
                self.host.metrics.worker_started(&self.function.name);
                let gone = Desk::new(&mut self, started, begun, init_id).serve().await;
                self.host.metrics.worker_ended(&self.function.name);
                gone
            }
            Ok(None) => Gone::Other,
            Err(error) => Gone::Init(error),
        };
        if let Gone::Init(error) = &gone {
            self.host.tell_init_failed(&self.function.name, error);
        }
        let _ = self.reports.send(Report::Gone(self.id, gone));
    }

    /// The process and its Runtime API; nothing if it is not wanted any more.
    async fn start(&mut self) -> Result<Option<Started>, FunctionError> {
        let host = Arc::clone(&self.host);
        let function = Arc::clone(&self.function);
        let command_line = tokio::select! {
            command_line = host.tools.command_line(&function) => command_line?,
            _ = self.orders.recv() => return Ok(None),
        };
        let broken = |what: &str, error: std::io::Error| {
            FunctionError::no_entrypoint(&format!("{what}: {error}"))
        };
        let api = RuntimeApi::start().await;
        let api = api.map_err(|error| broken("the Runtime API cannot listen", error))?;
        let code = function.code.canonicalize();
        let code = code.map_err(|error| broken(&function.code.display().to_string(), error))?;
        let environment = environment::environment(&environment::Sources {
            own: &|name| std::env::var(name).ok(),
            every: &host.settings.environment,
            function: &function,
            code: &code,
            region: &host.settings.region,
            runtime_api: api.address(),
            log_stream: &log_stream(&self.function.version),
        });
        let launch = Launch {
            program: command_line.0,
            arguments: command_line.1,
            environment,
            folder: code,
        };
        let process = Process::start(&host.tools.tools.keeper, &launch);
        let (process, pipes) =
            process.map_err(|error| broken("a process cannot be started", error))?;
        Ok(Some(Started {
            process,
            pipes,
            api,
        }))
    }
}

/// A process on its way to its first call.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) pipes: Pipes,
    pub(super) api: RuntimeApi,
}

/// `2026/11/21/[$LATEST]` (or a number) and 32 digits, as Lambda names them.
fn log_stream(version: &str) -> String {
    let today =
        time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(env::wall()) * 1_000_000)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
            .date();
    let (year, month, day) = today.to_calendar_date();
    let random = tools::hex(&env::random::<16>());
    format!("{year}/{:02}/{day:02}/[{version}]{random}", u8::from(month))
}
