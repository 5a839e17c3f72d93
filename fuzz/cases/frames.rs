//! What must hold for any bytes of a client, from its frames to the route that takes each message. Used by the fuzz
//! target, and by an ordinary test on the seeds.

use std::sync::LazyLock;

use gateway::codec::{Decoder, Event, Limits, MAX_CONTROL_PAYLOAD, Violation};
use gateway_core::call::Connection;
use gateway_core::expression::Scope;
use gateway_core::failure::Failure;
use gateway_core::id::{ConnectionId, NodeId};
use gateway_core::live::{LiveStage, compile};
use gateway_core::resource::{Api, Preset, Route, Stage};
use serde_json::Value;

/// Small figures, so that short inputs reach them.
const STRICT: Limits = Limits {
    frame: 256,
    message: 512,
    fragments: 4,
    binary: false,
};
const LOOSE: Limits = Limits {
    frame: usize::MAX,
    message: 64 * 1024,
    fragments: 64,
    binary: true,
};

static WITH_DEFAULT: LazyLock<LiveStage> = LazyLock::new(|| {
    stage(
        "$request.body.action",
        &["$connect", "$disconnect", "$default", "join", "leave", "7"],
    )
});
static WITHOUT_DEFAULT: LazyLock<LiveStage> = LazyLock::new(|| {
    stage(
        "${request.body.service}/${request.body.action}",
        &["$connect", "$disconnect", "chat/join", "chat/"],
    )
});

fn stage(expression: &str, keys: &[&str]) -> LiveStage {
    let mut api = Api::new("chat", Preset::Open);
    expression.clone_into(&mut api.route_selection_expression);
    api.routes = keys.iter().map(|&key| Route::new(key)).collect();
    let stage = Stage {
        stage_name: "dev".to_owned(),
        ..Stage::default()
    };
    compile(&api, &stage).expect("this API has no mistakes")
}

/// Panics if the input breaks a promise. The first byte chooses the limits and how the rest is cut into reads.
pub(crate) fn run(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    let limits = if choice & 1 == 0 { LOOSE } else { STRICT };
    let whole = decode(bytes, &limits, bytes.len().max(1));
    let cut = decode(bytes, &limits, usize::from(choice >> 1) % 7 + 1);
    assert_eq!(whole, cut, "the cut of the reads shows");
    for event in &whole.0 {
        check_event(event, &limits);
    }
}

type Decoded = (Vec<Event>, Option<Violation>);

fn decode(bytes: &[u8], limits: &Limits, read: usize) -> Decoded {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for chunk in bytes.chunks(read) {
        let mut chunk = chunk.to_vec();
        let mut used = 0;
        loop {
            match decoder.decode(&mut chunk[used..], limits) {
                Err(violation) => {
                    assert!(
                        !decoder.mid_message(),
                        "a violation leaves something behind"
                    );
                    return (events, Some(violation));
                }
                Ok((n, None)) => {
                    assert_eq!(used + n, chunk.len(), "bytes are left, but no event");
                    break;
                }
                Ok((n, Some(event))) => {
                    assert!(n > 0, "{event:?} came from nothing");
                    used += n;
                    let closed = matches!(event, Event::Close { .. });
                    events.push(event);
                    if closed {
                        return (events, None);
                    }
                }
            }
        }
    }
    assert_eq!(decoder.mid_message(), decoder.unfinished().is_some());
    (events, None)
}

fn check_event(event: &Event, limits: &Limits) {
    match event {
        Event::Text(text) => {
            assert!(text.len() <= limits.message);
            check_routes(Some(text));
        }
        Event::Binary(bytes) => {
            assert!(limits.binary && bytes.len() <= limits.message);
            check_routes(None);
        }
        Event::Ping(payload) => assert!(payload.len() <= MAX_CONTROL_PAYLOAD),
        Event::Pong => {}
        Event::Close { code, reason } => {
            let may_stand = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            assert!(code.is_none_or(may_stand), "{code:?}");
            assert!(reason.len() <= MAX_CONTROL_PAYLOAD - 2);
        }
    }
}

/// Selection finds what a plain reading of the JSON finds, and no message reaches `$connect` or `$disconnect`.
fn check_routes(text: Option<&str>) {
    let message = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let member = |name: &str| match message.as_ref()?.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.as_u64() == Some(7) => Some("7".to_owned()),
        _ => None,
    };
    let action = member("action").unwrap_or_default();
    let expected = match action.as_str() {
        known @ ("join" | "leave" | "7") => known,
        _ => "$default",
    };
    assert_eq!(selected(&WITH_DEFAULT, text), Ok(expected), "{text:?}");

    let found = selected(&WITHOUT_DEFAULT, text);
    let key = format!("{}/{action}", member("service").unwrap_or_default());
    match &found {
        Ok(found) => assert!(["chat/join", "chat/"].contains(found), "{text:?}"),
        Err(failure) => assert_eq!(*failure, Failure::NoRoute),
    }
    if key == "chat/join" {
        assert_eq!(found, Ok("chat/join"), "{text:?}");
    }
}

fn selected<'s>(stage: &'s LiveStage, text: Option<&str>) -> Result<&'s str, Failure> {
    let connection = Connection {
        id: ConnectionId::new(NodeId([0; 6]), [0; 16]),
        api_id: "chat".into(),
        stage: "dev".into(),
        connected_at: 0,
        source_ip: [127, 0, 0, 1].into(),
        user_agent: None,
        domain_name: "localhost:8080".into(),
        authorizer: None,
    };
    let route = stage.select_message(&connection, text);
    let plain = stage.select(&Scope::of_message(text.unwrap_or_default()));
    assert_eq!(
        route.as_ref().map(|route| route.index).ok(),
        plain.as_ref().map(|route| route.index).ok(),
        "neither stage looks beyond the message: {text:?}"
    );
    route.map(|route| &*route.route_key)
}
