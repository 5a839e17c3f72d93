//! An authorizer that the gateway runs itself is no other.

use harness::{Backend, Table};

use super::METHOD_ARN;
use crate::app::start;

const WHO: &str = r#"
exports.handler = (event, context, callback) => {
  const token = event.queryStringParameters.token
  if (token === "nobody") return callback("Unauthorized")
  if (token === "broken") throw new Error("canary")
  const statement = { Action: "execute-api:Invoke", Effect: token === "bad" ? "Deny" : "Allow", Resource: event.methodArn }
  callback(null, { principalId: token, policyDocument: { Version: "2012-10-17", Statement: [statement] }, context: { level: 3 } })
}
"#;

#[tokio::test]
async fn a_function_that_runs_here_judges_as_one_elsewhere_does() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("who.js"), WHO).unwrap();
    let backend = Backend::start().await;
    let yaml = format!(
        r#"
server: {{ region: us-east-1, accountId: '123456789012' }}
lambda:
  functions:
    who: {{ codeUri: "{folder}", runtime: nodejs20.x, handler: who.handler, timeout: 20s }}
apis:
  chat:
    authorizers: {{ who: "{who}" }}
    routes:
      $connect: {{ integration: "{url}", authorizationType: CUSTOM, authorizerId: who }}
"#,
        folder = folder.path().display(),
        who = harness::Lambda::arn("who"),
        url = backend.url("/connect"),
    );
    let gateway = start(&yaml).await;
    let mut table = Table::about(METHOD_ARN);
    for (token, status) in [
        ("user-1", 101),
        ("nobody", 401),
        ("bad", 403),
        ("broken", 500),
    ] {
        let path = format!("/dev?token={token}");
        table.row(token, gateway.handshake(&path).status().await, status);
    }
    let connect = backend.next("/connect").await;
    let told = connect.wiregate("authorizer");
    table.row("told", told, r#"{"principalId":"user-1","level":"3"}"#);
    table.row("calls", backend.requests("/connect").len(), 1);
}
