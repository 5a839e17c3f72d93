//! What the paths below `/wiregate` answer: JSON, and refusals that tell an operator what is wrong and how to mend it.

use axum::extract::{FromRequestParts, Path};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use connection_store::StoreError;
use gateway_core::failure::Failure;
use gateway_core::id::{ConnectionId, ParsedId};
use serde_json::{Value, json};

/// Why an operator does not get what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// What the store said is for the log: it may name addresses.
    pub(super) fn of_store(error: &StoreError) -> Self {
        tracing::warn!("an operator cannot be answered: {error}");
        let (status, what) = match error {
            StoreError::Unavailable(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "does not answer in time")
            }
            StoreError::Refused(_) => (StatusCode::SERVICE_UNAVAILABLE, "refuses"),
            StoreError::Corrupt(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "holds something it should not",
            ),
        };
        let message =
            format!("The store that the nodes share {what}; the log of this node says more");
        Self::new(status, message)
    }

    /// Refusals that the callers of `@connections` get as well.
    pub(super) fn of(failure: &Failure) -> Self {
        let answer = failure.answer();
        let status = StatusCode::from_u16(answer.status);
        Self::new(
            status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            answer.message,
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "message": self.message });
        let mut response = (self.status, json_body(&body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A JSON document as a response.
pub(super) fn json_body(body: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// A list and where it goes on, as AWS's control plane writes lists.
pub(super) fn items(items: impl IntoIterator<Item = Value>, next: Option<String>) -> Response {
    let mut body = json!({ "items": items.into_iter().collect::<Vec<_>>() });
    if let Some(next) = next {
        body["nextToken"] = next.into();
    }
    json_body(&body)
}

/// The connection that a path names.
pub(super) struct Named(pub(super) ConnectionId);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = text.map_err(|_| Refusal::bad("The connection id is not UTF-8"))?;
        connection_id(&text).map(Self)
    }
}

fn connection_id(text: &str) -> Result<ConnectionId, Refusal> {
    match ConnectionId::parse(text) {
        Ok(ParsedId::Ours(id)) => Ok(id),
        Ok(ParsedId::Foreign) => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            format!("{text} is no id of this gateway's: no connection here ever had it"),
        )),
        Err(error) => {
            let hint = "an id has 32 characters of base64url, the last of them =";
            Err(Refusal::bad(format!("{error}: {hint}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), (u16, &str)>) {
        let found = connection_id(text).map(drop);
        let found = found.map_err(|refusal| (refusal.status.as_u16(), refusal.message));
        assert_eq!(
            found,
            expected.map_err(|(status, message)| (status, message.to_owned()))
        );
    }

    #[test]
    fn an_id_is_one_of_ours_or_says_why_not() {
        check("AQABq83v_zAxMjM0NTY3ODlhYmNkZWY=", Ok(()));
        let foreign = "is no id of this gateway's: no connection here ever had it";
        let aws = "L0SM9cOFvHcCIhw=";
        check(aws, Err((404, &format!("{aws} {foreign}"))));
        let bad =
            "Invalid connectionId: x: an id has 32 characters of base64url, the last of them =";
        check("x", Err((400, bad)));
    }

    #[test]
    fn what_the_store_said_stays_in_the_log() {
        let secret = || "redis://10.0.0.9:6379 timed out".to_owned();
        for (error, status) in [
            (StoreError::Unavailable(secret()), 503),
            (StoreError::Refused(secret()), 503),
            (StoreError::Corrupt(secret()), 500),
        ] {
            let refusal = Refusal::of_store(&error);
            assert_eq!(refusal.status, status);
            assert!(!refusal.message.contains("10.0.0.9"), "{refusal:?}");
            let response = refusal.into_response();
            let again = response.headers().contains_key(RETRY_AFTER);
            assert_eq!(again, status == 503);
        }
    }
}
