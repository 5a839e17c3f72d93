//! What is asked of a Lambda endpoint, and what its answers are taken for.

use std::time::Duration;

use super::*;

fn endpoint(base: &str) -> LambdaEndpoint {
    LambdaEndpoint::new(base).unwrap()
}

#[track_caller]
fn check_uri(endpoint: &LambdaEndpoint, target: &str, expected: &str) {
    let target = LambdaTarget::parse(target).unwrap();
    assert_eq!(endpoint.uri(&target).unwrap().to_string(), expected);
}

#[test]
fn the_url_names_the_function_as_the_endpoint_wants_it() {
    const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:chat";
    let plain = endpoint("http://127.0.0.1:9001/");
    check_uri(
        &plain,
        "chat",
        "http://127.0.0.1:9001/2015-03-31/functions/chat/invocations",
    );
    check_uri(
        &plain,
        ARN,
        "http://127.0.0.1:9001/2015-03-31/functions/chat/invocations",
    );
    check_uri(
        &plain,
        "chat:live",
        "http://127.0.0.1:9001/2015-03-31/functions/chat/invocations?Qualifier=live",
    );
    check_uri(
        &plain,
        "chat:$LATEST",
        "http://127.0.0.1:9001/2015-03-31/functions/chat/invocations?Qualifier=%24LATEST",
    );
    let nested = endpoint("https://lambda.example/base");
    check_uri(
        &nested,
        "my-fn_1.x",
        "https://lambda.example/base/2015-03-31/functions/my-fn_1.x/invocations",
    );

    let aws = LambdaEndpoint {
        path_name: PathName::Arn,
        ..endpoint("https://lambda.us-east-1.amazonaws.com")
    };
    let encoded = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Achat";
    let base = "https://lambda.us-east-1.amazonaws.com/2015-03-31/functions";
    check_uri(&aws, ARN, &format!("{base}/{encoded}/invocations"));
    check_uri(
        &aws,
        &format!("{ARN}:7"),
        &format!("{base}/{encoded}/invocations?Qualifier=7"),
    );
    check_uri(&aws, "chat", &format!("{base}/chat/invocations"));

    let emulator = LambdaEndpoint {
        path_name: PathName::Fixed("function".to_owned()),
        send_qualifier: false,
        ..endpoint("http://127.0.0.1:9000")
    };
    check_uri(
        &emulator,
        "chat:live",
        "http://127.0.0.1:9000/2015-03-31/functions/function/invocations",
    );
}

#[test]
fn an_endpoint_is_a_plain_base_url() {
    for base in [
        "",
        "127.0.0.1:9001",
        "ftp://a",
        "http://a/?x=1",
        "http://user:password@a",
        "http://a b",
    ] {
        assert!(LambdaEndpoint::new(base).is_err(), "{base}");
    }
}

#[test]
fn a_request_is_a_synchronous_json_call() {
    let target = LambdaTarget::parse("chat").unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    let trace = HeaderValue::from_static("Root=1-2-3");
    let event = Bytes::from_static(b"{}");
    let request = invoke_request(
        &endpoint("http://a"),
        &target,
        event.clone(),
        Some(&trace),
        deadline,
    )
    .unwrap();
    assert_eq!(
        (request.method, request.body, request.deadline),
        (Method::POST, event.clone(), deadline)
    );
    assert_eq!(
        request.headers.text("content-type"),
        Some("application/json")
    );
    assert_eq!(request.headers.text("x-amzn-trace-id"), Some("Root=1-2-3"));
    let request = invoke_request(&endpoint("http://a"), &target, event, None, deadline).unwrap();
    assert_eq!(request.headers.iter().count(), 1);
}

/// `headers` are written `name: value`, one a line.
fn answer(status: u16, headers: &str, body: impl Into<Bytes>) -> LambdaOutcome {
    let status = StatusCode::from_u16(status).unwrap();
    interpret(BackendResponse {
        status,
        headers: HeaderLines::received(headers.as_bytes()),
        body: body.into(),
    })
}

#[track_caller]
fn check_success(body: &'static str) {
    assert_eq!(answer(200, "", body), LambdaOutcome::Success(body.into()));
}

#[track_caller]
fn check_failed(
    status: u16,
    headers: &str,
    body: &'static str,
    expected: (Option<&str>, Option<&str>),
) {
    match answer(status, headers, body) {
        LambdaOutcome::FunctionError {
            error_type,
            error_message,
            ..
        } => {
            assert_eq!(
                (error_type.as_deref(), error_message.as_deref()),
                expected,
                "{body}"
            );
        }
        found => panic!("{body}: {found:?}"),
    }
}

#[track_caller]
fn check_refused(
    status: u16,
    headers: &str,
    body: &'static str,
    expected: ServiceErrorKind,
) -> ServiceError {
    match answer(status, headers, body) {
        LambdaOutcome::ServiceError(error) => {
            assert_eq!(
                (error.kind, error.status.as_u16()),
                (expected, status),
                "{body}"
            );
            error
        }
        found => panic!("{status} {body}: {found:?}"),
    }
}

#[test]
fn what_a_function_returns_is_passed_on() {
    check_success("null");
    check_success("");
    check_success("\"text\"");
    check_success("{\"statusCode\":200,\"body\":\"ok\"}");
    check_success("{\"statusCode\":500,\"errorMessage\":\"mine\",\"errorType\":\"Own\"}");
    check_success("{\"errorMessage\":\"only a message\"}");
    check_success("{\"nested\":{\"errorMessage\":\"x\",\"errorType\":\"y\"}}");
    check_success("\"Task timed out after 3.00 seconds\"");
    check_success("[\"errorMessage\",\"errorType\"]");
}

#[test]
fn a_function_error_is_known_by_header_or_by_shape() {
    let header = "X-Amz-Function-Error: Unhandled";
    let python = "{\"errorMessage\":\"kaboom\",\"errorType\":\"ValueError\",\"requestId\":\"1\",\"stackTrace\":[]}";
    let node = "{\"errorType\":\"Error\",\"errorMessage\":\"kaboom\",\"trace\":[]}";
    check_failed(200, header, python, (Some("ValueError"), Some("kaboom")));
    check_failed(200, "", python, (Some("ValueError"), Some("kaboom")));
    check_failed(200, "", node, (Some("Error"), Some("kaboom")));
    check_failed(
        200,
        header,
        "{\"errorMessage\":\"Task timed out\"}",
        (None, Some("Task timed out")),
    );
    check_failed(200, header, "{\"statusCode\":200}", (None, None));
    check_failed(200, header, "not json", (None, None));
    check_failed(200, header, "{\"errorMessage\":{\"odd\":1}}", (None, None));
    // The Runtime Interface Emulator: a timeout, and a crash of the runtime.
    let timeout = "Task timed out after 3.00 seconds";
    check_failed(200, "", timeout, (Some("Sandbox.Timedout"), Some(timeout)));
    let exit = "{\"errorType\":\"Runtime.ExitError\",\"errorMessage\":\"exit status 1\"}";
    check_failed(
        502,
        "",
        exit,
        (Some("Runtime.ExitError"), Some("exit status 1")),
    );
}

#[test]
fn an_answer_above_six_megabytes_is_the_functions_failure() {
    for (size, fits) in [(MAX_RESPONSE_BYTES, true), (MAX_RESPONSE_BYTES + 1, false)] {
        match answer(200, "", vec![b'1'; size]) {
            LambdaOutcome::Success(body) => assert!(fits && body.len() == size),
            LambdaOutcome::FunctionError {
                error_type, body, ..
            } => {
                assert!(!fits);
                assert_eq!(error_type.as_deref(), Some("Function.ResponseSizeTooLarge"));
                assert!(body.len() < 1000);
            }
            LambdaOutcome::ServiceError(error) => panic!("{error}"),
        }
    }
}

#[test]
fn refusals_are_told_apart() {
    use ServiceErrorKind::{Failed, NoSuchFunction, NotPermitted, Rejected, Throttled, Unexpected};
    check_refused(401, "", "", NotPermitted);
    check_refused(
        403,
        "x-amzn-ErrorType: AccessDeniedException",
        "{}",
        NotPermitted,
    );
    let missing = "x-amzn-ErrorType: ResourceNotFoundException:http://internal.example/coral/";
    let body = "{\"Type\":\"User\",\"Message\":\"Function not found: arn:...\"}";
    let error = check_refused(404, missing, body, NoSuchFunction);
    assert_eq!(
        error.error_type.as_deref(),
        Some("ResourceNotFoundException")
    );
    assert_eq!(
        error.message.as_deref(),
        Some("Function not found: arn:...")
    );
    let throttled =
        "x-amzn-ErrorType: com.amazonaws.lambda#TooManyRequestsException\nRetry-After: 2";
    let error = check_refused(429, throttled, "{\"message\":\"Rate exceeded\"}", Throttled);
    assert_eq!(
        error.error_type.as_deref(),
        Some("TooManyRequestsException")
    );
    assert_eq!(
        (error.retry_after, error.message.as_deref()),
        (Some(2), Some("Rate exceeded"))
    );
    // The Runtime Interface Emulator while it is busy.
    check_refused(400, "", "", Throttled);
    check_refused(
        400,
        "x-amzn-ErrorType: InvalidRequestContentException",
        "",
        Rejected,
    );
    check_refused(
        413,
        "x-amzn-ErrorType: RequestTooLargeException",
        "{}",
        Rejected,
    );
    check_refused(
        500,
        "x-amzn-ErrorType: ServiceException",
        "{\"errorType\":\"a\",\"errorMessage\":\"b\"}",
        Failed,
    );
    check_refused(502, "", "init failed", Failed);
    check_refused(503, "", "", Failed);
    check_refused(202, "", "", Unexpected);
    check_refused(302, "", "", Unexpected);
}

#[test]
fn a_refusals_text_holds_no_message_of_the_service() {
    let headers = "x-amzn-ErrorType: AccessDenied<b>Exception";
    let error = check_refused(
        403,
        headers,
        "{\"Message\":\"canary\"}",
        ServiceErrorKind::NotPermitted,
    );
    assert!(
        error
            .to_string()
            .starts_with("Lambda answered 403 Forbidden AccessDeniedbException: "),
        "{error}"
    );
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
fn only_where_the_function_surely_did_not_run_may_it_be_called_again() {
    assert!(!ServiceErrorKind::Throttled.may_have_run());
    assert!(!ServiceErrorKind::NoSuchFunction.may_have_run());
    assert!(ServiceErrorKind::Failed.may_have_run());
}

#[tokio::test]
async fn an_invocation_goes_out_and_its_outcome_comes_back() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let backend = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"{\"a\":1}") {
            stream.read_buf(&mut seen).await.unwrap();
        }
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        String::from_utf8(seen).unwrap()
    });
    let client = HttpClient::new(&crate::integration::http::HttpClientConfig::default());
    let target = LambdaTarget::parse("chat:live").unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let event = Bytes::from_static(b"{\"a\":1}");
    let outcome = invoke(
        &client,
        &endpoint(&format!("http://{address}")),
        &target,
        event,
        None,
        deadline,
    )
    .await;
    let kind = ServiceErrorKind::NoSuchFunction;
    assert!(matches!(outcome, Ok(LambdaOutcome::ServiceError(error)) if error.kind == kind));
    let seen = backend.await.unwrap();
    assert!(
        seen.starts_with("POST /2015-03-31/functions/chat/invocations?Qualifier=live HTTP/1.1\r\n"),
        "{seen}"
    );
}
