//! Between a handshake and its authorizer: what it is asked, and what its answer means.

use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};

use super::request::{API_ID, TRACE_ID};
use super::{BackendAnswer, IntegrationRequest};
use crate::auth::policy::Decision;
use crate::call::{AuthorizerContext, Call};
use crate::event::authorizer::{AuthorizerResult, event};
use crate::failure::Failure;
use crate::header_lines::HeaderLines;
use crate::live::{AuthorizerBackend, LiveAuthorizer, LiveStage};
use crate::resource::HttpVersion;

/// The message with which a function says that it does not know the client, and no other word with it.
const UNAUTHORIZED: &str = "Unauthorized";

/// The question; `Unauthorized` where the handshake lacks what must be there before anybody is asked.
pub fn ask<'a>(
    stage: &LiveStage,
    authorizer: &'a LiveAuthorizer,
    call: &Call<'_>,
    method_arn: &str,
) -> Result<IntegrationRequest<'a>, Failure> {
    let mut sources = authorizer.identity_sources.iter();
    if !sources.all(|source| source.is_present(call, &stage.stage_variables)) {
        return Err(Failure::Unauthorized(
            "an identity source is missing or empty",
        ));
    }
    let event = event(stage, call, method_arn);
    Ok(match &authorizer.backend {
        AuthorizerBackend::Lambda(target) => IntegrationRequest::Lambda {
            target,
            event,
            trace_id: call.trace_id(),
        },
        AuthorizerBackend::Http(uri) => {
            let mut headers = HeaderLines::default();
            headers.push_text(&CONTENT_TYPE, "application/json");
            headers.push_text(&ACCEPT, "application/json");
            headers.push_display(
                &USER_AGENT,
                format_args!("AmazonAPIGateway_{}", stage.api_id),
            );
            headers.push_text(&API_ID, &stage.api_id);
            headers.push_text(&TRACE_ID, &call.trace_id());
            IntegrationRequest::Http {
                method: Method::POST,
                uri: uri.clone(),
                host: None,
                headers,
                body: event,
                version: HttpVersion::Auto,
            }
        }
    })
}

/// What the answer means: what later events show of the client, or why it is not let in.
///
/// A URL says by its status what a function says by failing: 401 is `Unauthorized`, 403 is a deny; any other that is not 2xx is
/// a failure.
pub fn decide(
    authorizer: &LiveAuthorizer,
    call: &Call<'_>,
    method_arn: &str,
    answer: Result<BackendAnswer, Failure>,
) -> Result<AuthorizerContext, Failure> {
    let json = match answer {
        Ok(BackendAnswer::Lambda(json)) => json,
        Ok(BackendAnswer::Http { status, body, .. }) => match status {
            200..=299 => body,
            401 => return Err(Failure::Unauthorized("the authorizer answered 401")),
            403 => return Err(Failure::Denied { explicit: true }),
            status => {
                let why = format!("the authorizer answered {status}");
                return Err(Failure::AuthorizerFailed(why));
            }
        },
        Ok(BackendAnswer::None | BackendAnswer::Mock(_)) => {
            let why = "it is neither a function nor a URL".to_owned();
            return Err(Failure::AuthorizerUnusable(why));
        }
        Err(failure) => return Err(unanswered(authorizer, failure)),
    };
    let unusable = |error: &dyn ToString| Failure::AuthorizerUnusable(error.to_string());
    let result = AuthorizerResult::parse(&json).map_err(|error| unusable(&error))?;
    match result.decide(call, method_arn) {
        Ok(Decision::Allow) => Ok(result.context),
        Ok(Decision::ExplicitDeny) => Err(Failure::Denied { explicit: true }),
        Ok(Decision::ImplicitDeny) => Err(Failure::Denied { explicit: false }),
        Err(error) => Err(unusable(&error)),
    }
}

fn unanswered(authorizer: &LiveAuthorizer, failure: Failure) -> Failure {
    match failure {
        Failure::FunctionError(text) if says_unauthorized(authorizer, &text) => {
            Failure::Unauthorized("the authorizer says so")
        }
        Failure::FunctionError(_)
        | Failure::MalformedResult(_)
        | Failure::Unreachable(_)
        | Failure::NetworkError(_)
        | Failure::NotNow(_)
        | Failure::IntegrationTimeout => Failure::AuthorizerFailed(failure.to_string()),
        Failure::NotInvocable(_) | Failure::Configuration(_) => {
            Failure::AuthorizerUnusable(failure.to_string())
        }
        // Nothing that the authorizer did: this node may not act any more, or failed itself.
        failure => failure,
    }
}

/// Failures of functions read `{function}: {error type}: {message}`; the whole message must be the word.
fn says_unauthorized(authorizer: &LiveAuthorizer, text: &str) -> bool {
    let AuthorizerBackend::Lambda(target) = &authorizer.backend else {
        return false;
    };
    let said = text
        .strip_prefix(target.name.as_str())
        .and_then(|rest| rest.strip_prefix(": "))
        .and_then(|rest| rest.split_once(": "));
    said.is_some_and(|(_, message)| message == UNAUTHORIZED)
}
