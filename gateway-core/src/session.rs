//! The rules of one socket: when it is pinged, when it has been idle, silent, stalled or old too long,
//! how fast it may talk, and with which code and reason it closes.
//!
//! Time is an argument, in milliseconds of a clock that never goes back.

use std::time::Duration;

use crate::limit::Bucket;
use crate::resource::Limits;

/// Why a connection ended; decides the close frame and what `$disconnect` reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseCause {
    /// The client closed, with or without a status.
    Client {
        /// The client's code; 1005 where its close frame had none.
        code: u16,
        /// The client's reason.
        reason: String,
    },
    /// The transport ended without a close frame.
    Lost,
    /// No pong came in time.
    NoPong,
    /// No message in either direction for the idle time.
    Idle,
    /// The connection reached its age.
    TooOld,
    /// The gateway shuts down.
    Shutdown,
    /// `DELETE @connections`, with the code and reason that it may name.
    Deleted {
        /// 1000 unless asked otherwise.
        code: u16,
        /// `Connection Closed Normally` unless asked otherwise.
        reason: String,
    },
    /// The client broke a rule of the protocol or a size.
    Violation {
        /// 1002, 1003, 1007, 1008 or 1009.
        code: u16,
        /// For the close frame.
        reason: &'static str,
    },
    /// Messages or control frames came faster than allowed.
    TooFast,
    /// A started message was not finished in time.
    Unfinished,
    /// The client does not read.
    Stalled,
    /// A defect of the gateway broke the connection off.
    Internal,
    /// The node may not act any more, or reaches nobody: the client is better served by another.
    Restart,
    /// The node that held the connection died; another one says so in its place.
    NodeLost,
}

/// Reasons as AWS words them, where it is known how AWS does.
const GOING_AWAY: &str = "Going away";

impl CloseCause {
    /// `disconnectStatusCode`, and the close frame's code but for 1005 and 1006.
    pub fn code(&self) -> u16 {
        match self {
            Self::Client { code, .. }
            | Self::Deleted { code, .. }
            | Self::Violation { code, .. } => *code,
            Self::Lost | Self::NoPong | Self::NodeLost => 1006,
            Self::Idle | Self::TooOld | Self::Shutdown => 1001,
            Self::TooFast | Self::Unfinished => 1008,
            Self::Stalled => 1013,
            Self::Internal => 1011,
            Self::Restart => 1012,
        }
    }

    /// `disconnectReason`, and the close frame's reason.
    pub fn reason(&self) -> &str {
        match self {
            // "1005: Client-side close frame status not set", as events show it.
            Self::Client { code: 1005, .. } => "Client-side close frame status not set",
            Self::Client { reason, .. } | Self::Deleted { reason, .. } => reason,
            Self::Lost | Self::NoPong => "Connection closed abnormally",
            Self::Idle | Self::TooOld | Self::Shutdown => GOING_AWAY,
            Self::Violation { reason, .. } => reason,
            Self::TooFast => "Too many requests",
            Self::Unfinished => "Message not finished in time",
            Self::Stalled => "Client does not read",
            Self::Internal => "Internal server error",
            Self::Restart => "Service restart",
            Self::NodeLost => "The node that held the connection was lost",
        }
    }

    /// A short name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Client { .. } => "client",
            Self::Lost => "lost",
            Self::NoPong => "no_pong",
            Self::Idle => "idle",
            Self::TooOld => "max_age",
            Self::Shutdown => "shutdown",
            Self::Deleted { .. } => "deleted",
            Self::Violation { .. } => "violation",
            Self::TooFast => "rate",
            Self::Unfinished => "unfinished",
            Self::Stalled => "slow_consumer",
            Self::Internal => "internal",
            Self::Restart => "restart",
            Self::NodeLost => "node_lost",
        }
    }
}

/// What the shell saw of the socket since it last asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts {
    /// When the last message went either way.
    pub last_message: u64,
    /// Reading is paused because the backend is behind: the client's silence is our doing.
    pub paused: bool,
    /// Bytes wait for the client, and none was taken since then.
    pub stalled_since: Option<u64>,
    /// The decoder's number of the unfinished message.
    pub unfinished: Option<u32>,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Nothing until then; `u64::MAX` is never.
    Wait(u64),
    /// Send a ping, then ask again.
    Ping,
    /// Close.
    Close(CloseCause),
}

/// What a client sent, as far as rates and clocks care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A whole message.
    Message,
    /// A ping of its own accord: activity.
    Ping,
    /// A pong: proof of life, no activity.
    Pong,
}

/// The clocks and counters of one socket.
#[derive(Debug)]
pub struct Session {
    /// Everything before this was excused: start, and the end of each pause.
    excused_until: u64,
    expires: u64,
    pinged: u64,
    awaiting_pong: bool,
    last_ping_from_client: u64,
    unfinished: Option<(u32, u64)>,
    messages: Option<Box<Bucket>>,
    controls: Bucket,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Session {
    /// A session that starts `now`; `chance` in 0..1 spreads the ages.
    pub fn new(limits: &Limits, now: u64, chance: f64) -> Self {
        let expires = limits.max_age.map_or(u64::MAX, |age| {
            let share = 1.0 - limits.max_age_jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
            now.saturating_add(millis(age.mul_f64(share)))
        });
        let rate = limits.control_frames_per_second;
        Self {
            excused_until: now,
            expires,
            pinged: now,
            awaiting_pong: false,
            last_ping_from_client: now,
            unfinished: None,
            messages: limits
                .messages_per_second
                .map(|rate| Box::new(Bucket::per_second(rate))),
            controls: Bucket::per_second(rate),
        }
    }

    /// Counts what came; an error closes.
    pub fn receive(&mut self, received: Received, now: u64) -> Result<(), CloseCause> {
        self.awaiting_pong = false;
        let allowed = match received {
            Received::Message => {
                self.unfinished = None;
                self.messages
                    .as_mut()
                    .is_none_or(|bucket| bucket.take(1, now))
            }
            Received::Ping => {
                self.last_ping_from_client = now;
                self.controls.take(1, now)
            }
            Received::Pong => self.controls.take(1, now),
        };
        if allowed {
            Ok(())
        } else {
            Err(CloseCause::TooFast)
        }
    }

    /// Reading goes on after a pause: the client's silence before is not held against it.
    pub fn resume(&mut self, now: u64) {
        self.excused_until = now;
        self.pinged = self.pinged.max(now);
        self.awaiting_pong = false;
        self.unfinished = None;
    }

    /// What is to be done `now`. Asking is cheap, so the shell asks when a time it was told has come.
    pub fn due(&mut self, limits: &Limits, facts: &Facts, now: u64) -> Due {
        if now >= self.expires {
            return Due::Close(CloseCause::TooOld);
        }
        let mut next = self.expires;
        let mut wait = |at: u64| {
            next = next.min(at);
            now >= at
        };
        if let Some(since) = facts.stalled_since
            && wait(since.saturating_add(millis(limits.write_timeout)))
        {
            return Due::Close(CloseCause::Stalled);
        }
        // What follows judges the client by what it sends, which we cannot hear while paused.
        if facts.paused {
            return Due::Wait(next);
        }
        self.unfinished = facts.unfinished.map(|number| match self.unfinished {
            Some((known, since)) if known == number => (known, since),
            _ => (number, now),
        });
        if let Some((_, since)) = self.unfinished
            && wait(since.saturating_add(millis(limits.message_timeout)))
        {
            return Due::Close(CloseCause::Unfinished);
        }
        if let Some(idle) = limits.idle_timeout {
            let active = facts
                .last_message
                .max(self.excused_until)
                .max(self.last_ping_from_client);
            if wait(active.saturating_add(millis(idle))) {
                return Due::Close(CloseCause::Idle);
            }
        }
        if let Some(interval) = limits.ping_interval {
            if self.awaiting_pong {
                if wait(self.pinged.saturating_add(millis(limits.pong_timeout))) {
                    return Due::Close(CloseCause::NoPong);
                }
            } else if wait(self.pinged.saturating_add(millis(interval))) {
                self.pinged = now;
                self.awaiting_pong = true;
                return Due::Ping;
            }
        }
        Due::Wait(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Preset;

    fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
        let mut limits = Limits::preset(Preset::Open);
        limits.ping_interval = None;
        change(&mut limits);
        limits
    }

    #[allow(clippy::unnecessary_wraps)] // Spares every case a Some.
    fn secs(n: u64) -> Option<Duration> {
        Some(Duration::from_secs(n))
    }

    #[test]
    fn idle_counts_messages_and_client_pings_but_never_pongs() {
        let limits = limits(|l| l.idle_timeout = secs(600));
        let mut session = Session::new(&limits, 0, 0.0);
        let mut facts = Facts::default();
        assert_eq!(session.due(&limits, &facts, 0), Due::Wait(600_000));
        facts.last_message = 100_000;
        assert_eq!(session.due(&limits, &facts, 600_000), Due::Wait(700_000));
        session.receive(Received::Ping, 650_000).unwrap();
        assert_eq!(session.due(&limits, &facts, 700_000), Due::Wait(1_250_000));
        session.receive(Received::Pong, 1_200_000).unwrap();
        assert_eq!(
            session.due(&limits, &facts, 1_250_000),
            Due::Close(CloseCause::Idle)
        );
    }

    #[test]
    fn a_two_hour_life_ends_whatever_happens() {
        let limits = limits(|l| l.max_age = secs(7200));
        let mut session = Session::new(&limits, 0, 0.0);
        let facts = Facts {
            last_message: 7_199_999,
            ..Facts::default()
        };
        assert_eq!(
            session.due(&limits, &facts, 7_199_999),
            Due::Wait(7_200_000)
        );
        assert_eq!(
            session.due(&limits, &facts, 7_200_000),
            Due::Close(CloseCause::TooOld)
        );
    }

    #[test]
    fn ages_are_spread_downwards() {
        let limits = limits(|l| {
            l.max_age = secs(100);
            l.max_age_jitter = 0.1;
        });
        let mut session = Session::new(&limits, 0, 1.0);
        assert_eq!(
            session.due(&limits, &Facts::default(), 0),
            Due::Wait(90_000)
        );
    }

    #[test]
    fn an_unanswered_ping_ends_the_connection() {
        let limits = limits(|l| l.ping_interval = secs(25));
        let mut session = Session::new(&limits, 0, 0.0);
        let facts = Facts::default();
        assert_eq!(session.due(&limits, &facts, 0), Due::Wait(25_000));
        assert_eq!(session.due(&limits, &facts, 25_000), Due::Ping);
        assert_eq!(session.due(&limits, &facts, 25_000), Due::Wait(35_000));
        session.receive(Received::Pong, 26_000).unwrap();
        assert_eq!(session.due(&limits, &facts, 35_000), Due::Wait(50_000));
        assert_eq!(session.due(&limits, &facts, 50_000), Due::Ping);
        assert_eq!(
            session.due(&limits, &facts, 60_000),
            Due::Close(CloseCause::NoPong)
        );
    }

    #[test]
    fn silence_while_we_do_not_read_is_excused() {
        let limits = limits(|l| {
            l.ping_interval = secs(25);
            l.idle_timeout = secs(30);
        });
        let mut session = Session::new(&limits, 0, 0.0);
        assert_eq!(session.due(&limits, &Facts::default(), 25_000), Due::Ping);
        let paused = Facts {
            paused: true,
            ..Facts::default()
        };
        assert_eq!(session.due(&limits, &paused, 500_000), Due::Wait(u64::MAX));
        session.resume(500_000);
        assert_eq!(
            session.due(&limits, &Facts::default(), 500_000),
            Due::Wait(525_000)
        );
    }

    #[test]
    fn a_message_must_be_finished_in_time_however_it_drips() {
        let limits = limits(|_| {});
        let mut session = Session::new(&limits, 0, 0.0);
        let facts = |number| Facts {
            unfinished: Some(number),
            ..Facts::default()
        };
        assert_eq!(session.due(&limits, &facts(1), 1_000), Due::Wait(31_000));
        assert_eq!(session.due(&limits, &facts(1), 30_000), Due::Wait(31_000));
        assert_eq!(session.due(&limits, &facts(2), 30_500), Due::Wait(60_500));
        assert_eq!(
            session.due(&limits, &facts(2), 60_500),
            Due::Close(CloseCause::Unfinished)
        );
    }

    #[test]
    fn a_reader_that_takes_nothing_is_closed_even_while_paused() {
        let limits = limits(|_| {});
        let mut session = Session::new(&limits, 0, 0.0);
        let facts = Facts {
            stalled_since: Some(5_000),
            paused: true,
            ..Facts::default()
        };
        assert_eq!(session.due(&limits, &facts, 14_999), Due::Wait(15_000));
        assert_eq!(
            session.due(&limits, &facts, 15_000),
            Due::Close(CloseCause::Stalled)
        );
    }

    #[test]
    fn age_ends_a_paused_connection_too() {
        let limits = limits(|l| l.max_age = secs(100));
        let mut session = Session::new(&limits, 0, 0.0);
        let paused = Facts {
            paused: true,
            ..Facts::default()
        };
        assert_eq!(session.due(&limits, &paused, 0), Due::Wait(100_000));
        assert_eq!(
            session.due(&limits, &paused, 100_000),
            Due::Close(CloseCause::TooOld)
        );
    }

    #[test]
    fn any_word_from_the_client_answers_a_ping() {
        let limits = limits(|l| l.ping_interval = secs(25));
        for received in [Received::Message, Received::Ping, Received::Pong] {
            let mut session = Session::new(&limits, 0, 0.0);
            assert_eq!(session.due(&limits, &Facts::default(), 25_000), Due::Ping);
            session.receive(received, 34_999).unwrap();
            assert_eq!(
                session.due(&limits, &Facts::default(), 35_000),
                Due::Wait(50_000),
                "{received:?}"
            );
        }
    }

    #[test]
    fn a_finished_message_stops_its_clock() {
        let limits = limits(|_| {});
        let mut session = Session::new(&limits, 0, 0.0);
        let begun = Facts {
            unfinished: Some(1),
            ..Facts::default()
        };
        assert_eq!(session.due(&limits, &begun, 0), Due::Wait(30_000));
        session.receive(Received::Message, 10_000).unwrap();
        assert_eq!(
            session.due(&limits, &Facts::default(), 40_000),
            Due::Wait(u64::MAX)
        );
        // Reading was paused in the middle of a message: it has its whole time again.
        assert_eq!(session.due(&limits, &begun, 40_000), Due::Wait(70_000));
        session.resume(69_000);
        assert_eq!(session.due(&limits, &begun, 69_000), Due::Wait(99_000));
    }

    #[test]
    fn rates_close_with_1008() {
        let limits = limits(|l| l.messages_per_second = Some(10.0));
        let mut session = Session::new(&limits, 0, 0.0);
        for _ in 0..20 {
            session.receive(Received::Message, 0).unwrap();
        }
        assert_eq!(
            session.receive(Received::Message, 0).unwrap_err().code(),
            1008
        );
        let taken = (0..1000)
            .filter(|_| session.receive(Received::Ping, 0).is_ok())
            .count();
        assert_eq!(taken, 200);
    }

    #[track_caller]
    fn check(cause: &CloseCause, code: u16, reason: &str) {
        assert_eq!((cause.code(), cause.reason()), (code, reason));
    }

    #[test]
    fn each_end_has_its_code_and_reason() {
        check(
            &CloseCause::Client {
                code: 4001,
                reason: "bye".into(),
            },
            4001,
            "bye",
        );
        check(
            &CloseCause::Client {
                code: 1005,
                reason: String::new(),
            },
            1005,
            "Client-side close frame status not set",
        );
        check(&CloseCause::Lost, 1006, "Connection closed abnormally");
        check(&CloseCause::NoPong, 1006, "Connection closed abnormally");
        check(&CloseCause::Idle, 1001, "Going away");
        check(&CloseCause::TooOld, 1001, "Going away");
        check(&CloseCause::Shutdown, 1001, "Going away");
        check(
            &CloseCause::Client {
                code: 1001,
                reason: String::new(),
            },
            1001,
            "",
        );
        check(
            &CloseCause::Deleted {
                code: 1000,
                reason: "Connection Closed Normally".into(),
            },
            1000,
            "Connection Closed Normally",
        );
        check(
            &CloseCause::Violation {
                code: 1009,
                reason: "Message too big",
            },
            1009,
            "Message too big",
        );
        check(
            &CloseCause::Unfinished,
            1008,
            "Message not finished in time",
        );
        check(&CloseCause::Stalled, 1013, "Client does not read");
        check(&CloseCause::Internal, 1011, "Internal server error");
        check(&CloseCause::TooFast, 1008, "Too many requests");
    }
}
