//! HTTP/2 with prior knowledge: one connection for all calls, replaced when it ends.

use std::convert::Infallible;

use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Notify;

use super::*;

/// Echoes bodies; `/wait` answers only when told to, `/host` with the authority.
pub(super) async fn echo(
    request: http::Request<hyper::body::Incoming>,
    go: Arc<Notify>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let host = head
        .headers
        .get("host")
        .map_or("none", |host| host.to_str().unwrap());
    let answer = match head.uri.path() {
        "/host" => Bytes::from(format!("{} {host}", head.uri.authority().unwrap())),
        "/wait" => {
            go.notified().await;
            Bytes::from("waited")
        }
        _ => body.collect().await.unwrap().to_bytes(),
    };
    Ok(Response::builder()
        .header("x-version", format!("{:?}", head.version))
        .body(Full::new(answer))
        .unwrap())
}

/// A stub that speaks HTTP/2 at once and ends each connection gracefully when `end` is notified.
fn start(go: Arc<Notify>, end: Arc<Notify>) -> Stub {
    Stub::start(move |peer| {
        let (go, end) = (Arc::clone(&go), Arc::clone(&end));
        async move {
            let requests = Arc::clone(&peer.requests);
            let service = service_fn(move |request| {
                requests.fetch_add(1, Ordering::SeqCst);
                echo(request, Arc::clone(&go))
            });
            let serving = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(peer.stream), service);
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                _ = serving.as_mut() => return,
                () = end.notified() => serving.as_mut().graceful_shutdown(),
            }
            let _ = serving.await;
        }
    })
}

fn over_http2(uri: &str, body: &'static str) -> BackendRequest {
    BackendRequest {
        version: BackendVersion::Http2,
        ..post(uri, body)
    }
}

#[tokio::test]
async fn calls_share_one_connection_from_the_first() {
    let (go, end) = (Arc::default(), Arc::default());
    let stub = start(go, end);
    let client = Arc::new(client());
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (client, request) = (Arc::clone(&client), over_http2(&stub.uri(), "hello"));
            tokio::spawn(async move { client.send(request).await.unwrap() })
        })
        .collect();
    for call in calls {
        let response = call.await.unwrap();
        assert_eq!(response.body, "hello");
        assert_eq!(response.headers.text("x-version"), Some("HTTP/2.0"));
    }
    assert_eq!((stub.accepts(), stub.requests()), (1, 100));
}

#[tokio::test]
async fn the_host_stands_in_the_authority_alone() {
    let (go, end) = (Arc::default(), Arc::default());
    let stub = start(go, end);
    let uri = format!("http://{}/host", stub.address);
    let client = client();
    let response = client.send(over_http2(&uri, "")).await.unwrap();
    assert_eq!(response.body, format!("{} none", stub.address));
    let mut request = over_http2(&uri, "");
    request.host = Some(HeaderValue::from_static("mapped.example"));
    request
        .headers
        .push_text(&HeaderName::from_static("connection"), "keep-alive");
    assert_eq!(
        client.send(request).await.unwrap().body,
        "mapped.example none"
    );
}

#[tokio::test]
async fn a_connection_that_goes_away_is_replaced_and_finishes_its_calls() {
    let (go, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let stub = start(Arc::clone(&go), Arc::clone(&end));
    let client = Arc::new(client());
    let waiting = {
        let (client, uri) = (Arc::clone(&client), format!("http://{}/wait", stub.address));
        tokio::spawn(async move { client.send(over_http2(&uri, "")).await })
    };
    eventually(|| stub.requests() == 1).await;
    end.notify_one();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(
        client
            .send(over_http2(&stub.uri(), "again"))
            .await
            .unwrap()
            .body,
        "again"
    );
    assert_eq!(stub.accepts(), 2);
    go.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap().body, "waited");
    assert_eq!(stub.requests(), 2);
}

#[tokio::test]
async fn a_call_that_times_out_leaves_the_others_alone() {
    let (go, end): (Arc<Notify>, _) = (Arc::default(), Arc::default());
    let stub = start(Arc::clone(&go), end);
    let client = client();
    let uri = format!("http://{}/wait", stub.address);
    let late = BackendRequest {
        deadline: Instant::now() + Duration::from_millis(100),
        ..over_http2(&uri, "")
    };
    let error = client.send(late).await.unwrap_err();
    assert!(
        matches!(
            error,
            BackendError::Timeout {
                may_have_been_sent: true,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(
        client
            .send(over_http2(&stub.uri(), "x"))
            .await
            .unwrap()
            .body,
        "x"
    );
    assert_eq!(stub.accepts(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_breaks_its_calls_and_none_is_repeated() {
    let stub = Stub::start(|mut peer| async move {
        // The preface, the settings and the request; then nothing more.
        let mut seen = [0; 24];
        peer.stream.read_exact(&mut seen).await.unwrap();
        peer.say([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
        let mut rest = Vec::new();
        while !rest.windows(6).any(|bytes| bytes == b"secret") {
            peer.stream.read_buf(&mut rest).await.unwrap();
        }
        peer.reset();
    });
    let error = client()
        .send(over_http2(&stub.uri(), "secret"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            BackendError::Broken {
                may_have_been_sent: true,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(stub.accepts(), 1);
}

#[tokio::test]
async fn a_backend_that_speaks_http1_only_is_broken() {
    let stub = Stub::start(|mut peer| async move {
        peer.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .await;
        peer.linger().await;
    });
    let error = client()
        .send(over_http2(&stub.uri(), "x"))
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Broken { .. }), "{error}");
}

/// Reads frames; answers the nth request with the nth of these frames' type, flags and payload.
async fn script(mut peer: Peer, answers: Vec<(u8, u8, Vec<u8>)>) {
    const HEADERS: u8 = 1;
    peer.stream.read_exact(&mut [0; 24]).await.unwrap();
    peer.say([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    let mut answers = answers.into_iter();
    let mut head = [0; 9];
    while peer.stream.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        peer.stream
            .read_exact(&mut vec![0; length as usize])
            .await
            .unwrap();
        if head[3] == HEADERS {
            peer.requests.fetch_add(1, Ordering::SeqCst);
            let Some((kind, flags, payload)) = answers.next() else {
                return;
            };
            let size = u8::try_from(payload.len()).unwrap();
            peer.say([&[0, 0, size, kind, flags], &head[5..9], &payload].concat())
                .await;
        }
    }
}

fn refused() -> (u8, u8, Vec<u8>) {
    (3, 0, vec![0, 0, 0, 7])
}

/// HEADERS, END_STREAM and END_HEADERS, with `:status: 200` from the static table.
fn accepted() -> (u8, u8, Vec<u8>) {
    (1, 5, vec![0x88])
}

#[tokio::test]
async fn a_refused_stream_is_repeated_once_on_the_same_connection() {
    let stub = Stub::start(|peer| script(peer, vec![refused(), accepted()]));
    assert_eq!(
        client()
            .send(over_http2(&stub.uri(), ""))
            .await
            .unwrap()
            .status,
        StatusCode::OK
    );
    assert_eq!((stub.accepts(), stub.requests()), (1, 2));
}

#[tokio::test]
async fn a_stream_refused_twice_is_broken() {
    let stub = Stub::start(|peer| script(peer, vec![refused(), refused(), accepted()]));
    let error = client()
        .send(over_http2(&stub.uri(), ""))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            BackendError::Broken {
                may_have_been_sent: false,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(stub.requests(), 2);
}

#[tokio::test]
async fn a_stream_reset_for_another_reason_is_not_repeated() {
    let internal_error = (3, 0, vec![0, 0, 0, 2]);
    let stub = Stub::start(move |peer| script(peer, vec![internal_error.clone(), accepted()]));
    let error = client()
        .send(over_http2(&stub.uri(), ""))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            BackendError::Broken {
                may_have_been_sent: true,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(stub.requests(), 1);
}
