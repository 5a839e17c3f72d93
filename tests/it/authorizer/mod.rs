//! Authorizers of `$connect`: who is let in, and what is known of him afterwards.

mod carried;
mod here;
mod hostile;
mod outcome;
mod url;

use harness::{Gateway, Lambda, LambdaAnswer};
use serde_json::{Value, json};

use crate::app::{indent, start};

/// API `chat` with stage `dev`: the function `who` judges, `connect`, `disconnect` and `twoway` are called afterwards.
struct Guarded {
    gateway: Gateway,
    lambda: Lambda,
}

impl Guarded {
    /// Everybody is judged; the authorizer lets nobody in until a test says so.
    async fn start() -> Self {
        Self::with("", "[]").await
    }

    /// With further members of the API, and identity sources.
    async fn with(api: &str, sources: &str) -> Self {
        let lambda = Lambda::start().await;
        for function in ["connect", "disconnect", "twoway"] {
            lambda.returns(function, json!({"statusCode": 200, "body": "done"}));
        }
        let gateway = start(&yaml(&lambda, api, sources)).await;
        Self { gateway, lambda }
    }

    /// From now on the authorizer answers so.
    fn says(&self, answer: LambdaAnswer) {
        self.lambda.on("who", move |_| answer.clone());
    }

    /// How often `$connect` was called.
    fn connects(&self) -> usize {
        self.lambda.invocations("connect").len()
    }
}

fn yaml(lambda: &Lambda, api: &str, sources: &str) -> String {
    let target = |function: &str| format!("integration: \"{}\"", Lambda::arn(function));
    format!(
        r"
server: {{ region: us-east-1, accountId: '123456789012' }}
lambda: {{ endpoint: {endpoint} }}
apis:
  chat:
{api}    authorizers:
      who: {{ authorizerUri: '{who}', identitySource: {sources} }}
    routes:
      $connect: {{ {connect}, authorizationType: CUSTOM, authorizerId: who }}
      $disconnect: {{ {disconnect} }}
      twoway: {{ {twoway}, routeResponseSelectionExpression: $default }}
",
        endpoint = lambda.endpoint(),
        api = indent(4, api),
        who = Lambda::uri("who"),
        connect = target("connect"),
        disconnect = target("disconnect"),
        twoway = target("twoway"),
    )
}

/// The ARN that an authorizer of `chat` is asked about.
const METHOD_ARN: &str = "arn:aws:execute-api:us-east-1:123456789012:chat/dev/$connect";

/// A result with one statement.
fn policy(effect: &str, resource: &str) -> Value {
    json!({"principalId": "user-1", "policyDocument": {"Version": "2012-10-17", "Statement": [
        {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource},
    ]}})
}

fn allow() -> Value {
    policy("Allow", METHOD_ARN)
}

/// A result that lets in and says more.
fn allow_with(member: &str, value: Value) -> Value {
    let mut result = allow();
    result[member] = value;
    result
}

const EXPLICIT: &str = "User is not authorized to access this resource with an explicit deny in an identity-based policy";
const IMPLICIT: &str = "User is not authorized to access this resource because no identity-based policy allows the execute-api:Invoke action";
