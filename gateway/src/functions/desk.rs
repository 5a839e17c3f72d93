//! One worker whose process runs: what it asks for by its Runtime API, and the call it has. This task alone knows what it is at.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::function::{Answered, FunctionError, Gone, Life, Refusal};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::call::{Call, Invoked, Turn};
use super::output::Output;
use super::process::{Ended, Pipes, Process};
use super::runtime_api::{Body, Next, Reply, Request, RuntimeApi, next_headers};
use super::worker::{Order, Report, Started, Worker};
use crate::env;
use crate::observe::FunctionOutcome;

/// How long a caller may think about a worker that is offered to it.
const TURN: Duration = Duration::from_secs(5);
/// How long a worker that could not load its code may take to end by itself.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long the last requests of a process that ended are read.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// What the worker is at, beside what the Runtime API's rules know.
#[derive(Debug)]
enum Phase {
    /// It loads its code.
    Init { until: Instant },
    /// It waits.
    Idle,
    /// A call was offered; its caller thinks.
    Offered {
        until: Instant,
        call: Call,
        go: oneshot::Receiver<Bytes>,
        outcome: oneshot::Sender<Invoked>,
    },
    /// It has a call, or will have it as soon as it asks.
    Running(Running),
    /// It answered and has not asked for another call.
    Answered { until: Instant },
}

#[derive(Debug)]
struct Running {
    call: Call,
    outcome: oneshot::Sender<Invoked>,
    begun: Instant,
    /// The deadline as the function reads it, in milliseconds since 1970.
    deadline_millis: u64,
    until: Instant,
    /// Not yet handed out: the worker's request for it broke off.
    event: Option<Bytes>,
}

/// How serving goes on.
enum Flow {
    On,
    /// The process is to be ended.
    End(Gone),
    /// The process ended.
    Over(Ended),
}

/// Everything of a worker whose process runs.
pub(super) struct Desk<'a> {
    worker: &'a mut Worker,
    process: Process,
    pipes: Pipes,
    api: RuntimeApi,
    life: Life,
    phase: Phase,
    next: Option<oneshot::Sender<Result<Next, Refusal>>>,
    output: Output,
    begun: Instant,
    /// How long loading took, until the first call has been told.
    init: Option<Duration>,
    init_id: String,
    init_error: Option<FunctionError>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        worker: &'a mut Worker,
        started: Started,
        begun: Instant,
        init_id: String,
    ) -> Self {
        let Started {
            process,
            pipes,
            api,
        } = started;
        let until = Instant::now() + worker.host.settings.init_timeout;
        let output = Output::new(Arc::clone(&worker.host), &worker.function);
        Self {
            worker,
            process,
            pipes,
            api,
            life: Life::default(),
            phase: Phase::Init { until },
            next: None,
            output,
            begun,
            init: None,
            init_id,
            init_error: None,
        }
    }

    /// Serves it until it is gone.
    pub(super) async fn serve(mut self) -> Gone {
        let gone = loop {
            match self.step().await {
                Flow::On => {}
                Flow::End(gone) => {
                    let ended = self.process.end().await;
                    self.output.drain(&self.pipes);
                    self.fail_call(&ended);
                    break gone;
                }
                Flow::Over(ended) => break self.over(&ended).await,
            }
        };
        self.output.finish(&self.pipes);
        gone
    }

    /// Waits for the next thing to happen, and does what it asks for. Requests go before the end of the process that
    /// sent them.
    async fn step(&mut self) -> Flow {
        let until = match &self.phase {
            Phase::Init { until }
            | Phase::Offered { until, .. }
            | Phase::Running(Running { until, .. })
            | Phase::Answered { until } => Some(*until),
            Phase::Idle => None,
        };
        let late = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let go = async {
            match &mut self.phase {
                Phase::Offered { go, .. } => go.await.ok(),
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            order = self.worker.orders.recv() => match order {
                Some(Order::Take(call)) => self.offer(call),
                Some(Order::Stop) | None => return Flow::End(self.gone()),
            },
            Some(request) = self.api.next() => self.take(request),
            event = go => self.decide(event),
            () = late => return self.late(),
            () = self.output.more(&self.pipes) => {
                self.output.drain(&self.pipes);
            }
            ended = self.process.ended() => return Flow::Over(ended),
        }
        if let (Phase::Init { .. }, Some(_)) = (&self.phase, &self.init_error) {
            let until = Instant::now() + LAST_WORDS;
            self.phase = Phase::Answered { until };
        }
        Flow::On
    }

    /// What the pool hears if the process is ended now.
    fn gone(&self) -> Gone {
        self.init_error.clone().map_or(Gone::Other, Gone::Init)
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Next(reply) => self.ask_for_call(reply),
            Request::Response { id, result, reply } => {
                let bytes = match &result {
                    Ok(Body::TooLarge) => usize::MAX,
                    Ok(Body::Whole(body)) => body.len(),
                    Err(_) => 0,
                };
                let taken = self.life.response(&id, bytes);
                self.answer(taken, reply, |answered| match (answered, result) {
                    (Answered::TooLarge, _) | (_, Ok(Body::TooLarge)) => {
                        Err(FunctionError::too_large())
                    }
                    (Answered::Result, Ok(Body::Whole(body))) => Ok(body),
                    (Answered::Result, Err(error)) => Err(error),
                });
            }
            Request::Error { id, error, reply } => {
                let taken = self.life.error(&id);
                self.answer(taken, reply, |()| Err(error));
            }
            Request::InitError { error, reply } => {
                let taken = self.life.init_error();
                if taken.is_ok() {
                    self.init_error = Some(error);
                }
                let _ = reply.send(taken);
            }
        }
    }

    /// Ends the call if the answer is taken, and says to the worker whether it is.
    fn answer<T>(
        &mut self,
        taken: Result<T, Refusal>,
        reply: Reply,
        result: impl FnOnce(T) -> Result<Bytes, FunctionError>,
    ) {
        match taken {
            Ok(taken) => {
                self.finish(result(taken));
                let _ = reply.send(Ok(()));
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    fn ask_for_call(&mut self, reply: oneshot::Sender<Result<Next, Refusal>>) {
        // A call whose answer to `next` broke off is still to be handed out.
        if let Phase::Running(Running { event: Some(_), .. }) = &self.phase {
            self.next = Some(reply);
            self.hand_out();
            return;
        }
        match self.life.ask() {
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
            Ok(first) => {
                // Whoever asks again has most likely lost the connection on which it asked before.
                if let Some(before) = self.next.replace(reply) {
                    let _ = before.send(Err(Refusal::InvalidStateTransition {
                        from: "Ready",
                        to: "Ready",
                    }));
                }
                if first {
                    self.init = Some(self.begun.elapsed());
                }
                if matches!(self.phase, Phase::Init { .. } | Phase::Answered { .. }) {
                    self.be_ready();
                }
            }
        }
    }

    fn be_ready(&mut self) {
        self.phase = Phase::Idle;
        let _ = self.worker.reports.send(Report::Ready(self.worker.id));
    }

    /// Offers this worker to a call's caller.
    fn offer(&mut self, mut call: Call) {
        let (go, decision) = oneshot::channel();
        let (outcome, receiver) = oneshot::channel();
        let (turn, _) = oneshot::channel();
        let turn = std::mem::replace(&mut call.turn, turn);
        let offered = turn.send(Ok(Turn {
            go,
            outcome: receiver,
        }));
        if offered.is_err() {
            self.be_ready();
            return;
        }
        let until = Instant::now() + TURN;
        self.phase = Phase::Offered {
            until,
            call,
            go: decision,
            outcome,
        };
    }

    /// The caller gave the event, or did not want to.
    fn decide(&mut self, event: Option<Bytes>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        let (Phase::Offered { call, outcome, .. }, Some(event)) = (phase, event) else {
            self.be_ready();
            return;
        };
        let timeout = self.worker.function.timeout;
        let begun = Instant::now();
        self.life.begin(&call.request_id);
        self.output.begin(&call.request_id);
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.phase = Phase::Running(Running {
            call,
            outcome,
            begun,
            deadline_millis: env::wall().saturating_add(millis),
            until: begun + timeout,
            event: Some(event),
        });
        self.hand_out();
    }

    /// Answers the worker's `next` with the call, if it still waits.
    fn hand_out(&mut self) {
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        let (Some(next), Some(event)) = (self.next.take(), running.event.take()) else {
            return;
        };
        let call = &running.call;
        let deadline = running.deadline_millis.to_string();
        let headers = next_headers([
            (
                "lambda-runtime-aws-request-id",
                Some(call.request_id.as_str()),
            ),
            ("lambda-runtime-deadline-ms", Some(&deadline)),
            ("lambda-runtime-invoked-function-arn", Some(&call.arn)),
            ("lambda-runtime-trace-id", call.trace_id.as_deref()),
            (
                "lambda-runtime-client-context",
                call.client_context.as_deref(),
            ),
        ]);
        if let Err(Ok(next)) = next.send(Ok(Next { headers, event })) {
            // It went away meanwhile; the event waits until it asks again.
            running.event = Some(next.event);
        }
    }

    /// The call under way is over.
    fn finish(&mut self, result: Result<Bytes, FunctionError>) {
        self.output.drain(&self.pipes);
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        let Phase::Running(running) = phase else {
            self.phase = phase;
            return;
        };
        // Whoever answered must ask again within the time that the call still had.
        self.phase = Phase::Answered {
            until: running.until.max(Instant::now() + TURN),
        };
        let duration = running.begun.elapsed();
        let init = self.init.take();
        let memory = self.worker.function.memory_mib;
        let log_tail = self
            .output
            .end(duration, init, memory, result.as_ref().err());
        let outcome = match &result {
            Ok(_) => FunctionOutcome::Ok,
            Err(error) => FunctionOutcome::of(&error.error_type),
        };
        let name = &self.worker.function.name;
        self.worker
            .host
            .metrics
            .called(name, outcome, Some(duration));
        // Before its caller, who may have the next call at hand.
        let _ = self.worker.reports.send(Report::Answered(self.worker.id));
        let _ = running.outcome.send(Invoked {
            request_id: running.call.request_id,
            executed_version: self.worker.function.version.clone(),
            log_tail,
            outcome: result,
        });
    }

    /// A time limit passed.
    fn late(&mut self) -> Flow {
        match &self.phase {
            Phase::Init { .. } => {
                let limit = self.worker.host.settings.init_timeout;
                Flow::End(Gone::Init(FunctionError::init_timed_out(
                    &self.init_id,
                    limit,
                )))
            }
            Phase::Offered { .. } => {
                self.be_ready();
                Flow::On
            }
            // The process is ended first, so that what is told has ended.
            Phase::Running(_) | Phase::Answered { .. } => Flow::End(self.gone()),
            Phase::Idle => Flow::On,
        }
    }

    /// The process was ended by us: a call that it had failed, by its time limit or because we stop.
    fn fail_call(&mut self, ended: &Ended) {
        let Phase::Running(running) = &self.phase else {
            return;
        };
        let id = &running.call.request_id;
        let error = if Instant::now() >= running.until {
            FunctionError::timed_out(id, self.worker.function.timeout)
        } else {
            FunctionError::exited(id, ended.reason().as_deref())
        };
        self.finish(Err(error));
    }

    /// The process ended by itself. What it sent before is still heard.
    async fn over(&mut self, ended: &Ended) -> Gone {
        self.api.stop();
        let leftovers = async {
            while let Some(request) = self.api.next().await {
                // There is nobody to give a call to.
                if !matches!(request, Request::Next(_)) {
                    self.take(request);
                }
            }
        };
        let _ = tokio::time::timeout(LEFTOVERS, leftovers).await;
        self.output.drain(&self.pipes);
        if let Some(error) = self.init_error.take() {
            return Gone::Init(error);
        }
        match &self.phase {
            Phase::Init { .. } => Gone::Init(match ended {
                Ended::NotStarted(why) => FunctionError::no_entrypoint(why),
                _ => FunctionError::exited(&self.init_id, ended.reason().as_deref()),
            }),
            Phase::Running(running) => {
                let id = &running.call.request_id;
                let error = FunctionError::exited(id, ended.reason().as_deref());
                self.finish(Err(error));
                Gone::Other
            }
            _ => Gone::Other,
        }
    }
}
