//! WebSocket over HTTP, as Pushpin speaks it (pushpin.org, "WebSocket-over-HTTP protocol"): events of a connection in the body of a
//! POST, and events for it in the answer.

use std::io::Write as _;

use crate::http_head::Request;

const OPEN: &[u8] = b"OPEN\r\n";
const TEXT: &[u8] = b"TEXT ";

/// Writes the answer to `events`: an opening is accepted, texts come back, ends are only acknowledged. At the path `/subscribe` a
/// connection is subscribed to the channel of its own id; at any, a text that names `whoami` is answered with that id.
pub(super) fn answer(answer: &mut Vec<u8>, request: &Request<'_>, events: &[u8]) {
    let id = request.connection_id.unwrap_or_default();
    let body = if events.starts_with(OPEN) {
        open(id, request.path == "/subscribe")
    } else if !events.starts_with(TEXT) {
        Vec::new()
    } else if events.windows(8).any(|word| word == br#""whoami""#) {
        text(id)
    } else {
        events.to_vec()
    };
    answer.clear();
    // Writing to a Vec cannot fail. The extension lets answers carry control messages; an empty prefix leaves all others as they are.
    let _ = write!(
        answer,
        "HTTP/1.1 200 OK\r\ncontent-type: application/websocket-events\r\nsec-websocket-extensions: grip; message-prefix=\"\"\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    answer.extend_from_slice(&body);
}

fn open(id: &[u8], subscribe: bool) -> Vec<u8> {
    let mut body = OPEN.to_vec();
    if subscribe {
        let control = [br#"c:{"type":"subscribe","channel":""#, id, br#""}"#].concat();
        body.extend(text(&control));
    }
    body
}

fn text(content: &[u8]) -> Vec<u8> {
    let mut event = format!("TEXT {:x}\r\n", content.len()).into_bytes();
    event.extend_from_slice(content);
    event.extend_from_slice(b"\r\n");
    event
}

#[cfg(test)]
mod tests {
    use crate::http_head;

    #[track_caller]
    fn check(path: &str, events: &str, expected: &str) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nConnection-Id: 7\r\nContent-Type: application/websocket-events\r\n\r\n"
        );
        let request = http_head::request(head.as_bytes()).unwrap().unwrap();
        let mut bytes = Vec::new();
        super::answer(&mut bytes, &request, events.as_bytes());
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, expected);
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
    }

    #[test]
    fn each_event_has_its_answer() {
        check("/dev", "OPEN\r\n", "OPEN\r\n");
        check(
            "/subscribe",
            "OPEN\r\n",
            "OPEN\r\nTEXT 24\r\nc:{\"type\":\"subscribe\",\"channel\":\"7\"}\r\n",
        );
        check("/dev", "TEXT 2\r\nhi\r\n", "TEXT 2\r\nhi\r\n");
        check(
            "/dev",
            "TEXT 13\r\n{\"action\":\"whoami\"}\r\n",
            "TEXT 1\r\n7\r\n",
        );
        check("/dev", "DISCONNECT\r\n", "");
        check("/dev", "", "");
    }
}
