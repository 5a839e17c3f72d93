//! Who may configure: signatures for the service `apigateway`.

use std::time::Duration;

use harness::{Credentials, GatewayCommand, HttpAnswer, Request, Signer, Table};
use serde_json::{Value, json};

use super::{Plane, ask};
use crate::app::BINARY;

const KEY: &str = "AKIAEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn signer() -> Signer {
    Signer {
        service: "apigateway".to_owned(),
        ..Signer::new(KEY, SECRET)
    }
}

fn guarded() -> GatewayCommand {
    let yaml =
        format!("server: {{ credentials: [{{ accessKeyId: {KEY}, secretAccessKey: {SECRET} }}] }}");
    GatewayCommand::new(BINARY, &yaml)
}

/// A request that this one signed, as it stands or, with `sent`, with another body than the signed one.
async fn send(
    plane: &Plane,
    by: &Signer,
    method: &str,
    path: &str,
    body: &Value,
    sent: Option<&Value>,
) -> HttpAnswer {
    let text = |body: &Value| match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let host = plane.at().to_string();
    let headers = by.sign(method, &host, path, text(body).as_bytes());
    Request::new(plane.at(), method, path)
        .headers(&headers)
        .body(text(sent.unwrap_or(body)))
        .send()
        .await
}

#[tokio::test]
async fn whoever_signs_must_sign_rightly_for_apigateway() {
    let plane = Plane::of(guarded()).await;
    let api = json!({"name": "x", "protocolType": "HTTP"});
    let minutes = Duration::from_mins(1);
    let good = signer();
    let with = |change: &dyn Fn(&mut Signer)| {
        let mut signer = good.clone();
        change(&mut signer);
        signer
    };
    let mut table = Table::about("signatures of the control plane");
    for (name, by, status, shape, words) in [
        ("right", good.clone(), 201, "", ""),
        (
            "of another region",
            with(&|by| by.region = "eu-west-1".to_owned()),
            201,
            "",
            "",
        ),
        (
            "four minutes old",
            with(&|by| by.at -= 4 * minutes),
            201,
            "",
            "",
        ),
        (
            "an unknown key",
            with(&|by| {
                by.credentials = Credentials {
                    access_key_id: "AKIANOBODY".to_owned(),
                    ..by.credentials.clone()
                }
            }),
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        (
            "a wrong secret",
            with(&|by| by.credentials.secret_access_key = "wrong".to_owned()),
            403,
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.",
        ),
        (
            "for execute-api",
            with(&|by| by.service = "execute-api".to_owned()),
            403,
            "InvalidSignatureException",
            "Credential should be scoped to correct service: 'apigateway'.",
        ),
        (
            "six minutes old",
            with(&|by| by.at -= 6 * minutes),
            403,
            "InvalidSignatureException",
            "Signature expired: ",
        ),
        (
            "six minutes early",
            with(&|by| by.at += 6 * minutes),
            403,
            "InvalidSignatureException",
            "Signature not yet current: ",
        ),
    ] {
        for (method, path, body, done) in [
            ("POST", "/v2/apis", &api, 201),
            ("GET", "/v2/apis", &Value::Null, 200),
            // What is signed is the path as it is sent, encoded once more.
            (
                "GET",
                "/v2/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapis%2Fx",
                &Value::Null,
                404,
            ),
            ("GET", "/v2/apis/x/stages/%24default", &Value::Null, 404),
        ] {
            let status = if status == 201 { done } else { status };
            let answer = send(&plane, &by, method, path, body, None).await;
            let name = format!("{name}: {method} {path}");
            table.row(&name, answer.status, status);
            if status == 403 {
                table.row(&name, answer.header("x-amzn-errortype"), Some(shape));
                table.holds(&name, answer.message().starts_with(words), &answer.text());
            }
        }
    }
    let other = json!({"name": "y", "protocolType": "HTTP"});
    let answer = send(&plane, &good, "POST", "/v2/apis", &api, Some(&other)).await;
    table.row("another body", answer.status, 403);
    table.row("what was made", plane.items("/v2/apis").await.len(), 3);
    // On a loopback address nobody has to sign.
    table.row(
        "unsigned",
        ask(plane.at(), "POST", "/v2/apis", api).await.status,
        201,
    );
}

#[tokio::test]
async fn where_others_can_come_everybody_must_sign() {
    let plane = Plane::of(guarded().management_listen("0.0.0.0:0")).await;
    let api = json!({"name": "x", "protocolType": "HTTP"});
    for (method, path, body) in [
        ("POST", "/v2/apis", &api),
        ("GET", "/v2/apis", &Value::Null),
        ("GET", "/v2/nothing", &Value::Null),
    ] {
        let answer = ask(plane.at(), method, path, body.clone()).await;
        let kind = answer.header("x-amzn-errortype").unwrap_or_default();
        assert_eq!(
            (answer.status, kind, &*answer.message()),
            (
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token"
            ),
            "{method} {path}"
        );
    }
    let signed = send(&plane, &signer(), "POST", "/v2/apis", &api, None).await;
    assert_eq!(signed.status, 201, "{}", signed.text());
}

#[tokio::test]
async fn without_credentials_on_loopback_any_signature_passes() {
    let plane = Plane::start().await;
    let by = Signer::new("AKIANOBODY", "nothing");
    let api = json!({"name": "x", "protocolType": "HTTP"});
    let answer = send(&plane, &by, "POST", "/v2/apis", &api, None).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}
