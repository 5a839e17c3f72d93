//! A stub of the Lambda Invoke API: functions are closures from an event to an answer.

use std::future::Future;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{Answer, Backend, PATIENCE, Recorded, within};

/// What a function does with an event.
#[derive(Debug, Clone)]
pub enum LambdaAnswer {
    /// It returns this.
    Returns(Value),
    /// It throws: the invocation answers 200 with `X-Amz-Function-Error`.
    Throws(String),
    /// The service itself refuses: status, error type and message.
    Refuses(u16, &'static str, &'static str),
    /// It returns bytes that may be no JSON at all.
    Bytes(Vec<u8>),
}

/// One invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The event that the function got.
    pub event: Value,
    /// The HTTP request that carried it.
    pub request: Recorded,
}

/// A Lambda endpoint on a free port. A function must be given before it is invoked: otherwise its answer is empty.
#[derive(Debug)]
pub struct Lambda {
    backend: Backend,
}

impl Lambda {
    /// An endpoint that answers.
    pub async fn start() -> Self {
        Self {
            backend: Backend::start().await,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.backend.address()
    }

    /// The `lambda.endpoint` of a configuration.
    pub fn endpoint(&self) -> String {
        self.backend.url("")
    }

    /// The `integrationUri` of a function.
    pub fn uri(function: &str) -> String {
        format!(
            "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{}/invocations",
            Self::arn(function)
        )
    }

    /// A function's own ARN.
    pub fn arn(function: &str) -> String {
        format!("arn:aws:lambda:us-east-1:123456789012:function:{function}")
    }

    /// From now on the function answers so.
    pub fn on(
        &self,
        function: &str,
        body: impl Fn(&Value) -> LambdaAnswer + Send + Sync + Clone + 'static,
    ) {
        self.on_async(function, move |event| {
            let body = body.clone();
            async move { body(&event) }
        });
    }

    /// From now on the function always returns `value`.
    pub fn returns(&self, function: &str, value: Value) {
        self.on(function, move |_| LambdaAnswer::Returns(value.clone()));
    }

    /// From now on the function answers so, and may take its time.
    pub fn on_async<F>(
        &self,
        function: &str,
        body: impl Fn(Value) -> F + Send + Sync + Clone + 'static,
    ) where
        F: Future<Output = LambdaAnswer> + Send + 'static,
    {
        for path in paths(function) {
            let body = body.clone();
            self.backend.on_async(&path, move |request| {
                let answer = body(request.json());
                async move { respond(answer.await) }
            });
        }
    }

    /// The first invocation of the function that no earlier call returned; waits for it.
    pub async fn next(&self, function: &str) -> Invocation {
        let what = format!("an invocation of {function}");
        let request = within(PATIENCE, &what, async || {
            let [first, second] = paths(function);
            self.backend
                .take(&first)
                .or_else(|| self.backend.take(&second))
        })
        .await;
        let event = request.json();
        Invocation { event, request }
    }

    /// All invocations of the function so far.
    pub fn invocations(&self, function: &str) -> Vec<Invocation> {
        let mut found: Vec<_> = paths(function)
            .iter()
            .flat_map(|path| self.backend.requests(path))
            .collect();
        found.sort_by_key(|request| request.number);
        let invocations = found.into_iter().map(|request| Invocation {
            event: request.json(),
            request,
        });
        invocations.collect()
    }

    /// Every HTTP request so far.
    pub fn everything(&self) -> Vec<Recorded> {
        self.backend.everything()
    }
}

/// The Invoke API takes a function by its name or by its ARN, whose colons a client may encode.
fn paths(function: &str) -> [String; 2] {
    let arn = Lambda::arn(function).replace(':', "%3A");
    [function, &arn].map(|name| format!("/2015-03-31/functions/{name}/invocations"))
}

fn respond(answer: LambdaAnswer) -> Answer {
    match answer {
        LambdaAnswer::Returns(value) => Answer::ok(value.to_string()),
        LambdaAnswer::Bytes(bytes) => Answer::ok(bytes),
        LambdaAnswer::Throws(message) => {
            let error = json!({"errorMessage": message, "errorType": "Error", "trace": []});
            Answer::ok(error.to_string()).header("X-Amz-Function-Error", "Unhandled")
        }
        LambdaAnswer::Refuses(status, kind, message) => Answer::status(status)
            .header("x-amzn-ErrorType", kind)
            .body(json!({"Message": message}).to_string()),
    }
}
