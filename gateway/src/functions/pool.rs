//! The task of one function: carries out what its pool of workers decides.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_core::function::{Action, Pool, Terms, Undone, WorkerId};
use gateway_core::resource::Function;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::call::Call;
use super::host::Host;
use super::worker::{Order, Report, Worker};
use crate::observe::FunctionOutcome;

/// What the task of a function is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A call, and until when it may wait.
    Call(Call, Instant),
    /// The function is another now.
    Replace(Arc<Function>),
    /// The function is no more; calls under way end.
    Remove,
}

/// A function and its workers.
#[derive(Debug)]
pub(super) struct Crew {
    host: Arc<Host>,
    function: Arc<Function>,
    pool: Pool<Call>,
    workers: HashMap<WorkerId, mpsc::UnboundedSender<Order>>,
    tasks: JoinSet<()>,
    reports: mpsc::UnboundedSender<Report>,
}

impl Crew {
    /// Serves a function until it is removed or the host stops; then waits for its workers.
    pub(super) async fn run(
        host: Arc<Host>,
        function: Arc<Function>,
        mut messages: mpsc::UnboundedReceiver<Message>,
    ) {
        let (reports, mut heard) = mpsc::unbounded_channel();
        let mut crew = Self {
            pool: Pool::new(terms(&host, &function)),
            host,
            function,
            workers: HashMap::new(),
            tasks: JoinSet::new(),
            reports,
        };
        let mut stopping = crew.host.stopping.subscribe();
        // What its runtime lacks is made before the first call waits for it.
        let mut preparing = JoinSet::new();
        crew.prepare(&mut preparing);
        let (mut open, mut told, mut stopped) = (true, true, false);
        while open || !crew.workers.is_empty() {
            let wake = crew.pool.wake().map(Instant::from_std);
            let waking = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            };
            let now = || Instant::now().into_std();
            let actions = tokio::select! {
                Some(report) = heard.recv() => crew.hear(report),
                Some(_) = crew.tasks.join_next() => Vec::new(),
                message = messages.recv(), if told => match message {
                    Some(Message::Call(call, deadline)) if open => {
                        crew.pool.call(call, deadline.into_std(), now())
                    }
                    Some(Message::Call(call, _)) => vec![Action::Refuse(call, Undone::Stopped)],
                    Some(Message::Replace(function)) => {
                        crew.function = function;
                        crew.prepare(&mut preparing);
                        crew.pool.replace(terms(&crew.host, &crew.function), now())
                    }
                    Some(Message::Remove) => {
                        open = false;
                        crew.pool.close(false)
                    }
                    // Nobody can call any more.
                    None => {
                        (told, open) = (false, false);
                        crew.pool.close(false)
                    }
                },
                // Also where the host itself is gone.
                _ = stopping.wait_for(|stop| *stop), if !stopped => {
                    (stopped, open) = (true, false);
                    crew.pool.close(true)
                }
                () = waking => crew.pool.tick(now()),
            };
            for action in actions {
                crew.act(action);
            }
            let metrics = &crew.host.metrics;
            metrics.waiting(&crew.function.name, crew.pool.waiting());
        }
        drop(preparing);
        while crew.tasks.join_next().await.is_some() {}
    }

    fn prepare(&self, preparing: &mut JoinSet<()>) {
        preparing.abort_all();
        let (host, function) = (Arc::clone(&self.host), Arc::clone(&self.function));
        preparing.spawn(async move {
            if let Err(error) = host.tools.command_line(&function).await {
                let (function, why) = (&function.name, error.message().unwrap_or_default());
                tracing::warn!(target: "function", function, "it cannot run: {why}");
            }
        });
    }

    fn hear(&mut self, report: Report) -> Vec<Action<Call>> {
        let now = Instant::now().into_std();
        match report {
            Report::Ready(id) => self.pool.ready(id, now),
            Report::Answered(id) => self.pool.answered(id, now),
            Report::Gone(id, gone) => {
                self.workers.remove(&id);
                self.pool.gone(id, gone, now)
            }
        }
    }

    fn act(&mut self, action: Action<Call>) {
        match action {
            Action::Start(id) => {
                let (sender, orders) = mpsc::unbounded_channel();
                self.workers.insert(id, sender);
                let worker = Worker {
                    id,
                    host: Arc::clone(&self.host),
                    function: Arc::clone(&self.function),
                    orders,
                    reports: self.reports.clone(),
                };
                self.tasks.spawn(worker.run());
            }
            // A worker that has just gone says so; its call is lost with it only if it had begun.
            Action::Give(id, call) => match self.workers.get(&id) {
                Some(worker) => {
                    if let Err(mpsc::error::SendError(Order::Take(call))) =
                        worker.send(Order::Take(call))
                    {
                        self.refuse(call, Undone::Stopped);
                    }
                }
                None => self.refuse(call, Undone::Stopped),
            },
            Action::Stop(id) => {
                if let Some(worker) = self.workers.get(&id) {
                    let _ = worker.send(Order::Stop);
                }
            }
            Action::Refuse(call, undone) => self.refuse(call, undone),
        }
    }

    fn refuse(&self, call: Call, undone: Undone) {
        let outcome = match &undone {
            Undone::Late => FunctionOutcome::NoWorker,
            Undone::Full => FunctionOutcome::Busy,
            Undone::Init(_) => FunctionOutcome::Init,
            Undone::Stopped => FunctionOutcome::Stopped,
        };
        let name = &self.function.name;
        self.host.metrics.called(name, outcome, None);
        let _ = call.turn.send(Err(undone));
    }
}

fn terms(host: &Host, function: &Function) -> Terms {
    let limit = function.max_workers.map(|limit| limit as usize);
    Terms {
        limit: limit.unwrap_or(host.settings.max_workers),
        idle: host.settings.idle_timeout,
    }
}
