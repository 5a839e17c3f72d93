//! What a backend answered, to what the client gets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::render;
use crate::call::Call;
use crate::event::proxy_result::ProxyResult;
use crate::expression;
use crate::failure::Failure;
use crate::header_lines::HeaderLines;
use crate::live::{LiveBackend, LiveResponse, LiveRoute, Rendered};
use crate::resource::ContentHandling;

/// A backend's answer, whatever its kind.
#[derive(Debug, Clone)]
pub enum BackendAnswer {
    /// The route calls nothing.
    None,
    /// HTTP: the status, headers that matter, and the body.
    Http {
        /// Status.
        status: u16,
        /// Headers.
        headers: HeaderLines,
        /// Body.
        body: Bytes,
    },
    /// What the function returned.
    Lambda(Bytes),
    /// A MOCK's status.
    Mock(u16),
}

/// What the client of a message gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    Silent,
    /// One message.
    Body(Bytes),
}

/// What becomes of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 101, with the subprotocol that the backend chose.
    Accepted {
        /// Value for `Sec-WebSocket-Protocol`.
        subprotocol: Option<String>,
    },
    /// The backend's own status, body and content type.
    Refused {
        /// Status.
        status: u16,
        /// Headers for the client.
        headers: Vec<(String, String)>,
        /// Body.
        body: Bytes,
    },
}

/// The reply to a message.
pub fn message(
    route: &LiveRoute,
    call: &Call<'_>,
    answer: &BackendAnswer,
) -> Result<Reply, Failure> {
    let body = match answer {
        BackendAnswer::None => return Ok(Reply::Silent),
        BackendAnswer::Lambda(result) => {
            // A malformed result is told to the client even on a one-way route.
            let result = ProxyResult::parse(result)
                .map_err(|error| Failure::MalformedResult(error.to_string()))?;
            result.body
        }
        // A one-way route's answer is not even mapped: nobody would see what goes wrong. Neither is one for which no
        // integration response is defined.
        _ if !route.two_way || responses(route).is_some_and(<[_]>::is_empty) => {
            return Ok(Reply::Silent);
        }
        BackendAnswer::Http {
            status,
            headers,
            body,
        } => match responses(route) {
            None => body.clone(),
            Some(responses) => mapped(responses, call, *status, headers, body)?,
        },
        BackendAnswer::Mock(status) => {
            let responses = responses(route).unwrap_or_default();
            mapped(
                responses,
                call,
                *status,
                &HeaderLines::default(),
                &Bytes::new(),
            )?
        }
    };
    Ok(if route.two_way {
        Reply::Body(body)
    } else {
        Reply::Silent
    })
}

/// The outcome of `$connect`.
pub fn connect(
    route: &LiveRoute,
    call: &Call<'_>,
    answer: &BackendAnswer,
) -> Result<Outcome, Failure> {
    let accepted = |subprotocol| Outcome::Accepted { subprotocol };
    let (status, headers, body) = match answer {
        BackendAnswer::None => return Ok(accepted(None)),
        BackendAnswer::Lambda(result) => {
            let result = ProxyResult::parse(result)
                .map_err(|error| Failure::MalformedResult(error.to_string()))?;
            (result.status, result.headers, result.body)
        }
        BackendAnswer::Http {
            status,
            headers,
            body,
        } => {
            let body = handshake_body(route, call, *status, headers, body)?;
            let headers = ["sec-websocket-protocol", "content-type"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), headers.text(name)?.to_owned())))
                .collect();
            (*status, headers, body)
        }
        BackendAnswer::Mock(status) => {
            let body =
                handshake_body(route, call, *status, &HeaderLines::default(), &Bytes::new())?;
            (*status, Vec::new(), body)
        }
    };
    if (200..300).contains(&status) {
        let subprotocol = headers
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))
            .map(|(_, value)| value.trim().to_owned())
            .filter(|value| !value.is_empty());
        // It goes into the 101 as it is: a line break in it would be a header of the function's caller.
        if let Some(value) = &subprotocol
            && !value.bytes().all(|c| (b' '..=b'~').contains(&c))
        {
            return Err(Failure::MalformedResult(format!(
                "Sec-WebSocket-Protocol {value:?} is not a header value"
            )));
        }
        return Ok(accepted(subprotocol));
    }
    // 1xx would be no final answer; what cannot be a refusal becomes one.
    let status = if (300..600).contains(&status) {
        status
    } else {
        500
    };
    Ok(Outcome::Refused {
        status,
        headers,
        body,
    })
}

/// Whether a `$disconnect` counts as delivered. Its result is ignored, as on AWS; an HTTP gateway's word that
/// nobody is behind it is not a delivery.
pub fn disconnect(answer: &BackendAnswer) -> Result<(), Failure> {
    match answer {
        BackendAnswer::Http {
            status: status @ (429 | 502 | 503 | 504),
            ..
        } => Err(Failure::NotNow(*status)),
        _ => Ok(()),
    }
}

fn responses(route: &LiveRoute) -> Option<&[LiveResponse]> {
    match &route.integration.as_ref()?.backend {
        LiveBackend::Http(http) => Some(&http.mapping.as_ref()?.responses),
        LiveBackend::Mock { responses, .. } => Some(responses),
        LiveBackend::Lambda { .. } => None,
    }
}

/// What a refused client gets. Where there are integration responses one must take the status, also a good one;
/// where there are none the status alone decides.
fn handshake_body(
    route: &LiveRoute,
    call: &Call<'_>,
    status: u16,
    headers: &HeaderLines,
    body: &Bytes,
) -> Result<Bytes, Failure> {
    match responses(route) {
        None | Some([]) => Ok(body.clone()),
        Some(responses) => mapped(responses, call, status, headers, body),
    }
}

/// The body after the integration response that takes the status.
fn mapped(
    responses: &[LiveResponse],
    call: &Call<'_>,
    status: u16,
    headers: &HeaderLines,
    body: &Bytes,
) -> Result<Bytes, Failure> {
    let text = status.to_string();
    let key = expression::select(responses.iter().map(|response| &response.key), Some(&text));
    let response = key.and_then(|key| responses.iter().find(|response| response.key == *key));
    let response = response.ok_or_else(|| {
        Failure::Configuration(format!(
            "no integration response takes status {status} and there is no $default"
        ))
    })?;
    let rendered = render(&response.templates, call, Some((status, headers)))?;
    if let Rendered::Output(text) = rendered {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    }
    match response.content_handling {
        None => Ok(body.clone()),
        Some(ContentHandling::ConvertToText) => Ok(STANDARD.encode(body).into()),
        Some(ContentHandling::ConvertToBinary) => {
            let decoded = STANDARD.decode(body.trim_ascii());
            decoded.map(Into::into).map_err(|_| {
                Failure::Configuration(
                    "CONVERT_TO_BINARY: the backend's body is not valid base64".into(),
                )
            })
        }
    }
}
