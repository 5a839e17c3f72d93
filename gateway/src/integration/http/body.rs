//! Reads the body of an HTTP/2 response into memory, up to a limit.

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Attempt, error};

/// The whole body. An announced size above the limit is refused before a byte of it is read; trailers are dropped.
pub(super) async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Attempt> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Attempt::TooLarge);
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Attempt::Failed(error::explain(&error)))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > limit - joined.len().max(first.len()) {
            return Err(Attempt::TooLarge);
        }
        // Most bodies come in one piece, which needs no copy.
        if first.is_empty() && joined.is_empty() {
            first = data;
            continue;
        }
        if joined.is_empty() {
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() {
        first
    } else {
        joined.freeze()
    })
}
