//! Requests and their answers, in tables.

mod exports;
mod invariants;
mod patches;
mod refusals;
mod walk;

use serde_json::{Value, json};

use super::{Account, Answer, Context, ControlError, Request, answer};

/// An account that is asked as a client would ask it.
#[derive(Default)]
struct Asked {
    account: Account,
    ids: u64,
}

impl Asked {
    /// An account with a WebSocket API, and the id of that.
    fn with_api() -> (Self, String) {
        let mut asked = Self::default();
        let api = asked.done("POST", "/v2/apis", &json!({
            "name": "chat", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action",
        }));
        let id = text(&api, "apiId");
        (asked, id)
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Result<Answer, ControlError> {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut changed = self.account.clone();
        let ids = &mut self.ids;
        let mut new_id = |length: usize| {
            *ids += 1;
            format!("{:0length$}", *ids)
        };
        let answered = answer(
            &mut changed,
            &Request {
                method,
                path,
                query,
                body: &body,
            },
            &mut Context {
                now: "2026-04-06T23:38:08Z".to_owned(),
                now_millis: 1_775_518_688_000,
                region: "us-east-1",
                account_id: "123456789012",
                new_id: &mut new_id,
                endpoint: &|id, _| format!("wss://{id}.example.com"),
            },
        );
        if answered.is_ok() {
            self.account = changed;
        }
        answered
    }

    #[track_caller]
    fn done(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self
            .ask(method, path, body)
            .unwrap_or_else(|refused| panic!("{method} {path}: {refused}"));
        answer.body.unwrap_or_default()
    }

    #[track_caller]
    fn refused(&mut self, method: &str, path: &str, body: &Value, status: u16, words: &str) {
        match self.ask(method, path, body) {
            Ok(answer) => panic!("{method} {path} {body} was answered {answer:?}"),
            Err(refused) => {
                assert_eq!(
                    refused.status(),
                    status,
                    "{method} {path} {body}: {refused}"
                );
                assert!(
                    refused.to_string().contains(words),
                    "{method} {path} {body}: {refused}"
                );
            }
        }
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("no {member} in {value}"))
        .to_owned()
}
