//! What a close frame may say, in either direction.
use std::str;

use super::{Event, Violation};

/// Reads a close frame's payload: nothing, or a code and a reason (RFC 6455, 5.5.1).
pub(super) fn close_event(payload: &[u8]) -> Result<Event, Violation> {
    let (code, reason) = match payload {
        [] => (None, &[][..]),
        [_] => return Err(Violation::Protocol("A close frame with half a code")),
        [high, low, reason @ ..] => (Some(u16::from_be_bytes([*high, *low])), reason),
    };
    if code.is_some_and(|code| !may_be_sent(code)) {
        return Err(Violation::Protocol("A close code that may not be sent"));
    }
    let reason = str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Event::Close {
        code,
        reason: reason.to_owned(),
    })
}

/// Whether a close code may stand on the wire (RFC 6455, 7.4, and IANA's registry, which has since added 1012 to
/// 1014; tungstenite does not know 1014).
pub(super) fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
