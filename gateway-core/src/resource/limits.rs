//! Sizes, times and rates of an API, and the two presets that fill them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which row of figures an API starts from; each figure can then be set alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Wiregate's own: no hard limits, server pings, ordered messages.
    #[default]
    Open,
    /// What AWS enforces, so that what works here works there.
    Aws,
}

/// The closed table of differences between the presets, one member a figure.
///
/// `None` turns a limit off; in `wiregate.yaml` that is written `0`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// The preset these figures began as.
    pub preset: Preset,
    /// Bytes of one message, either direction; over it the client's socket closes with 1009, a push gets 413.
    pub max_message_bytes: Option<u32>,
    /// Bytes of one frame from a client; over it the socket closes with 1009.
    pub max_frame_bytes: Option<u32>,
    /// Bytes of one frame to a client; longer messages are sent as text and continuation frames.
    pub send_frame_bytes: Option<u32>,
    /// Time without a message in either direction until close 1001.
    pub idle_timeout: Option<Duration>,
    /// Age at which a connection is closed with 1001.
    pub max_age: Option<Duration>,
    /// Share of `max_age` that is taken off at random, so that connections made together do not end together.
    pub max_age_jitter: f64,
    /// Time between the server's pings.
    pub ping_interval: Option<Duration>,
    /// Time in which the pong must come, else the connection is lost (1006).
    pub pong_timeout: Duration,
    /// Binary frames from a client: passed on, or close 1003.
    pub binary: bool,
    /// Pushes and replies are always text frames; otherwise text where the bytes are UTF-8, else binary.
    pub always_text: bool,
    /// Messages of one connection at the backend at once, unless the route says otherwise.
    pub concurrency: u32,
    /// A push during `$connect` is kept and written after the 101; otherwise it is answered 410.
    pub hold_push_during_connect: bool,
    /// Messages a second that one connection may send, over it close 1008; off by default.
    pub messages_per_second: Option<f64>,
    /// Messages a second that all connections of one address may send, over it an error frame; off by default.
    pub messages_per_second_per_address: Option<f64>,
    /// Handshakes a second, over it 429; off by default.
    pub connects_per_second: Option<f64>,
    /// Frames that may make up one message; over it close 1008.
    pub max_fragments: u32,
    /// Time in which a started message must be complete; over it close 1008.
    pub message_timeout: Duration,
    /// Bytes that may wait for one slow reader; an empty queue takes any legal message.
    pub max_queue_bytes: u32,
    /// Time without write progress until close 1013.
    pub write_timeout: Duration,
    /// Control frames a second from one client; over it close 1008.
    pub control_frames_per_second: f64,
}

impl Limits {
    /// The figures of a preset.
    pub fn preset(preset: Preset) -> Self {
        let open = Self {
            preset: Preset::Open,
            max_message_bytes: Some(1024 * 1024),
            max_frame_bytes: None,
            send_frame_bytes: None,
            idle_timeout: None,
            max_age: None,
            max_age_jitter: 0.1,
            ping_interval: Some(Duration::from_secs(25)),
            pong_timeout: Duration::from_secs(10),
            binary: true,
            always_text: false,
            concurrency: 1,
            hold_push_during_connect: true,
            messages_per_second: None,
            messages_per_second_per_address: None,
            connects_per_second: None,
            max_fragments: 1024,
            message_timeout: Duration::from_secs(30),
            max_queue_bytes: 1024 * 1024,
            write_timeout: Duration::from_secs(10),
            control_frames_per_second: 100.0,
        };
        match preset {
            Preset::Open => open,
            // "AWS quotas, WebSocket": 128 KB a message, 32 KB a frame, 10 min idle, 2 h in all.
            Preset::Aws => Self {
                preset: Preset::Aws,
                max_message_bytes: Some(128 * 1024),
                max_frame_bytes: Some(32 * 1024),
                send_frame_bytes: Some(32 * 1024),
                idle_timeout: Some(Duration::from_mins(10)),
                max_age: Some(Duration::from_hours(2)),
                max_age_jitter: 0.0,
                ping_interval: None,
                binary: false,
                always_text: true,
                concurrency: 64,
                hold_push_during_connect: false,
                ..open
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::quotas;

    #[test]
    fn the_preset_aws_has_the_figures_of_aws() {
        let aws = Limits::preset(Preset::Aws);
        let bytes = |limit: Option<u32>| limit.map(|bytes| bytes as usize);
        assert_eq!(bytes(aws.max_frame_bytes), Some(quotas::FRAME_BYTES));
        assert_eq!(bytes(aws.max_message_bytes), Some(quotas::MESSAGE_BYTES));
        let millis = Duration::from_millis;
        assert_eq!(aws.idle_timeout, Some(millis(quotas::IDLE_MILLIS)));
        assert_eq!(aws.max_age, Some(millis(quotas::AGE_MILLIS)));
        // "The 2 h cap is absolute": nobody is closed before it.
        assert!(aws.max_age_jitter.abs() < f64::EPSILON);
        assert_eq!((aws.ping_interval, aws.binary), (None, false));
    }
}
