//! The Lambda Runtime API, asked by hand: every call and every refusal.

use harness::Table;
use serde_json::{Value, json};

use super::Bench;

/// Does one thing after another with a call, and returns with the next call what came back.
const ASKS: &str = r#"
def refused(answer):
    status, text, headers = answer
    try: return [status, json.loads(text)["errorType"]]
    except Exception: return [status, text]

def post(path, body="{}", headers={}): return refused(ask("POST", path, body, headers))
def get(path): return refused(ask("GET", path))

def raw(request, cut=False):
    host, port = ADDRESS.split(":")
    with socket.create_connection((host, int(port))) as own:
        own.sendall(request.encode())
        if cut: own.shutdown(socket.SHUT_WR)
        answer = b""
        while more := own.recv(4096): answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return [int(head.split()[1]), json.loads(body).get("errorType")] if head else [0, ""]

def chunked(path, pieces, headers, trailers):
    host, port = ADDRESS.split(":")
    lines = [f"POST {API}{path} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "Connection: close"] + headers
    text = "\r\n".join(lines) + "\r\n\r\n"
    for piece in pieces: text += f"{len(piece):x}\r\n{piece}\r\n"
    text += "0\r\n" + "".join(line + "\r\n" for line in trailers) + "\r\n"
    with socket.create_connection((host, int(port))) as own:
        own.sendall(text.encode())
        return [int(own.recv(4096).split()[1])]

told = []
before = "none"
while True:
    id, event, headers = next()
    if event.get("tell"):
        respond(id, told)
        told = []
        continue
    here = {"id": id, "before": before}
    for step in event["steps"]:
        told.append(eval(step, globals(), here))
    if event.get("respond", True): respond(id, "done")
    before = id
"#;

const OPEN: &str = r#"f"/runtime/invocation/{id}/response""#;

#[tokio::test]
async fn every_request_of_a_runtime_has_its_documented_answer() {
    let bench = Bench::start();
    let mut function = bench.provided("f", ASKS);
    function.max_workers = Some(1);
    bench.host.put(function);
    let mut table = Table::about("the Runtime API");
    let error = "f\"/runtime/invocation/{id}/error\"";
    let later = "f\"/runtime/invocation/{before}/response\"";
    let (ok, moved) = (
        json!([202, r#"{"status":"OK"}"#]),
        json!([403, "InvalidStateTransition"]),
    );
    let unknown = json!([400, "InvalidRequestID"]);
    let post = |path: &str| format!("post({path})");
    let raw = |request: &str| format!("raw({request})");
    for (name, step, expected) in [
        ("ping", r#"get("/ping")"#.to_owned(), json!([200, "pong"])),
        (
            "next while a call is open",
            r#"get("/runtime/invocation/next")"#.to_owned(),
            moved.clone(),
        ),
        (
            "an init error while a call is open",
            post(r#""/runtime/init/error""#),
            moved.clone(),
        ),
        (
            "a result for nobody's call",
            post(r#""/runtime/invocation/none/response""#),
            unknown.clone(),
        ),
        (
            "an error for nobody's call",
            post(r#""/runtime/invocation/none/error""#),
            unknown.clone(),
        ),
        ("a result for an earlier call", post(later), unknown),
        (
            "restore",
            r#"get("/runtime/restore/next")"#.to_owned(),
            json!([404, "NotFound"]),
        ),
        (
            "an error of restore",
            post(r#""/runtime/restore/error""#),
            json!([404, "NotFound"]),
        ),
        (
            "what does not exist",
            r#"get("/runtime/nothing")"#.to_owned(),
            json!([404, "NotFound"]),
        ),
        (
            "another version",
            raw(
                r#""GET /2015-01-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n""#,
            ),
            json!([404, "NotFound"]),
        ),
        (
            "a web page by its site's name",
            raw(
                r#""GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n""#,
            ),
            json!([404, "NotFound"]),
        ),
        (
            "a web page",
            raw(
                r#""GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: cross-site\r\nConnection: close\r\n\r\n""#,
            ),
            json!([404, "NotFound"]),
        ),
        (
            "the wrong method",
            r#"get("/runtime/init/error")"#.to_owned(),
            json!([404, "NotFound"]),
        ),
        (
            "a mode that is none",
            format!(r#"post({OPEN}, "1", {{"Lambda-Runtime-Function-Response-Mode": "fast"}})"#),
            json!([400, "InvalidFunctionResponseMode"]),
        ),
        (
            "a body that is cut off",
            raw(
                r#"f"POST {API}/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\n1234", True"#,
            ),
            json!([400, "TruncatedHTTPRequest"]),
        ),
        ("a result, after all that", post(OPEN), ok.clone()),
        ("the same again", post(OPEN), moved.clone()),
        ("an error after the result", post(error), moved.clone()),
        (
            "an init error after the result",
            post(r#""/runtime/init/error""#),
            moved,
        ),
    ] {
        // One at a time, so that each row stands alone; the call must be open, but for the last ones.
        let after = !name.contains("after the result") && name != "the same again";
        let steps = if after {
            vec![step]
        } else {
            vec![post(OPEN), step]
        };
        let answers = name.starts_with("a result, after") || !after;
        let event = json!({"steps": steps, "respond": !answers});
        bench.call("f", event).await.unwrap();
        let told = bench.outcome("f", json!({"tell": true})).await;
        let last = told
            .as_array()
            .and_then(|told| told.last())
            .cloned()
            .unwrap_or(Value::Null);
        table.row(name, last, expected);
    }
    let too_large =
        json!({"steps": [format!(r#"post({OPEN}, "x" * 6_291_557)"#)], "respond": false});
    bench.call("f", too_large).await.unwrap();
    let told = bench.outcome("f", json!({"tell": true})).await;
    table.row(
        "a result that is too large",
        told,
        json!([[413, "RequestEntityTooLarge"]]),
    );
    drop(table);
    bench.end().await;
}

#[tokio::test]
async fn results_may_come_in_pieces_with_an_error_behind_them() {
    let bench = Bench::start();
    let mut function = bench.provided("f", ASKS);
    function.max_workers = Some(1);
    bench.host.put(function);
    let mut table = Table::about("results in pieces");
    let streaming = r#"["Lambda-Runtime-Function-Response-Mode: streaming"]"#;
    // base64 of {"errorType":"Late","errorMessage":"m"}
    let late = r#"["Lambda-Runtime-Function-Error-Type: Function.Late", "Lambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJMYXRlIiwiZXJyb3JNZXNzYWdlIjoibSJ9"]"#;
    for (name, step, expected) in [
        (
            "chunked",
            format!("chunked({OPEN}, ['[1,', '2]'], [], [])"),
            json!([1, 2]),
        ),
        (
            "streamed",
            format!("chunked({OPEN}, ['[1,', '2]'], {streaming}, [])"),
            json!([1, 2]),
        ),
        (
            "streamed, and then an error",
            format!(
                "chunked({OPEN}, ['[1,'], {streaming} + ['Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body'], {late})"
            ),
            super::error("Late", "m"),
        ),
    ] {
        let event = json!({"steps": [step], "respond": false});
        table.row(name, bench.outcome("f", event).await, expected);
        let told = bench.outcome("f", json!({"tell": true})).await;
        table.row(&format!("{name}: the answer"), told, json!([[202]]));
    }
    drop(table);
    bench.end().await;
}

#[tokio::test]
async fn a_call_comes_with_its_headers() {
    let bench = Bench::with(|settings| {
        settings.region = "eu-west-1".to_owned();
        settings.account_id = "210987654321".to_owned();
    });
    let code = r#"
while True:
    id, event, headers = next()
    left = int(headers.pop("lambda-runtime-deadline-ms")) - time.time() * 1000
    for name in ("date", "content-length"): headers.pop(name, None)
    assert headers.pop("lambda-runtime-aws-request-id") == id
    respond(id, {"headers": headers, "left": left, "event": event})
"#;
    let mut function = bench.provided("f", code);
    function.aliases = vec!["live".to_owned()];
    bench.host.put(function);
    let own = "arn:aws:lambda:eu-west-1:210987654321:function:f";
    let full = "arn:aws:lambda:us-east-1:123456789012:function:f";
    for (name, arn) in [
        ("f", own.to_owned()),
        ("f:live", format!("{own}:live")),
        ("f:$LATEST", format!("{own}:$LATEST")),
        (full, full.to_owned()),
        (&format!("{full}:live"), format!("{full}:live")),
    ] {
        let got = bench.outcome(name, json!({"n": 1})).await;
        let expected = json!({
            "content-type": "application/json",
            "lambda-runtime-invoked-function-arn": arn,
            "lambda-runtime-trace-id": "Root=1-6b015cd0-e97beceb97dcb033baf84e5e",
        });
        assert_eq!(got["headers"], expected, "{name}");
        assert_eq!(got["event"], json!({"n": 1}));
        let left = got["left"].as_f64().unwrap();
        assert!((15_000.0..=20_000.0).contains(&left), "{left} ms of 20 s");
    }
    let unknown = bench.call("f:other", json!({})).await;
    assert_eq!(unknown, Err(gateway::functions::InvokeError::NotFound));
    bench.end().await;
}

#[tokio::test]
async fn a_worker_that_loses_its_connection_while_it_waits_gets_its_call_all_the_same() {
    let bench = Bench::start();
    let code = r#"
host, port = ADDRESS.split(":")
while True:
    id, event, _ = next()
    respond(id, event)
    for _ in range(3):
        own = socket.create_connection((host, int(port)))
        own.sendall(f"GET {API}/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(0.05)
        own.close()
    time.sleep(0.2)
"#;
    let mut function = bench.provided("f", code);
    function.max_workers = Some(1);
    bench.host.put(function);
    for n in 0..5 {
        // After the broken connections, and without anybody on the line.
        assert_eq!(bench.outcome("f", json!(n)).await, json!(n));
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    }
    bench.end().await;
}
