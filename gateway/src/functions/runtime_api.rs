//! The Lambda Runtime API (2018-06-01) of one worker, on a port of its own: whoever asks there is that worker.
//!
//! What it asks for goes to the worker's task, which knows what may come when. Streamed results are collected whole.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use gateway_core::function::{FunctionError, MAX_RESULT_BYTES, Refusal, ResponseMode};
use http::header::{CONNECTION, CONTENT_TYPE, HOST, ORIGIN};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request as HttpRequest, Response, StatusCode,
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// What stands before every path.
const VERSION: &str = "/2018-06-01";
/// Connections of one worker at once; those beyond wait.
const MAX_CONNECTIONS: usize = 32;
/// How much more than allowed is read of a result, so that its sender hears why it is refused.
const MAX_READ: usize = 16 * MAX_RESULT_BYTES;
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// What a worker asks for.
#[derive(Debug)]
pub(super) enum Request {
    /// A call. Unanswered until there is one.
    Next(oneshot::Sender<Result<Next, Refusal>>),
    /// It has a result.
    Response {
        id: String,
        result: Result<Body, FunctionError>,
        reply: Reply,
    },
    /// It has an error.
    Error {
        id: String,
        error: FunctionError,
        reply: Reply,
    },
    /// It could not load its code.
    InitError { error: FunctionError, reply: Reply },
}

/// Where the answer to a request goes.
pub(super) type Reply = oneshot::Sender<Result<(), Refusal>>;

/// A result as it was sent.
#[derive(Debug)]
pub(super) enum Body {
    Whole(Bytes),
    /// More than a result may have.
    TooLarge,
}

/// A call as a worker gets it.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) headers: HeaderMap,
    pub(super) event: Bytes,
}

/// The server of one worker.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    address: SocketAddr,
    requests: mpsc::Receiver<Request>,
    stop: Option<oneshot::Sender<()>>,
}

impl RuntimeApi {
    /// Listens on a free port of loopback.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, requests) = mpsc::channel(MAX_CONNECTIONS);
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(accept(listener, sender, stopped));
        Ok(Self {
            address,
            requests,
            stop: Some(stop),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request; `None` once it is stopped and everything that came was handed out.
    pub(super) async fn next(&mut self) -> Option<Request> {
        self.requests.recv().await
    }

    /// Takes no more connections. Those that there are end with the process at their other end.
    pub(super) fn stop(&mut self) {
        self.stop = None;
    }
}

async fn accept(
    listener: TcpListener,
    requests: mpsc::Sender<Request>,
    mut stopped: oneshot::Receiver<()>,
) {
    let requests = Arc::new(requests);
    let mut connections = JoinSet::new();
    loop {
        let full = connections.len() >= MAX_CONNECTIONS;
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if !full => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&requests)));
                }
                // Out of descriptors, most likely: others will be given back.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
            _ = &mut stopped => break,
        }
    }
    // What the process sent before its end may not have been accepted yet.
    while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
        connections.spawn(serve(stream, Arc::clone(&requests)));
    }
    drop(requests);
    while connections.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, requests: Arc<mpsc::Sender<Request>>) {
    let _ = stream.set_nodelay(true);
    let Ok(own) = stream.local_addr() else {
        return;
    };
    let service = service_fn(|request| {
        let requests = Arc::clone(&requests);
        async move { Ok::<_, Infallible>(answer(request, &requests, own).await) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!("a worker's connection to the Runtime API ended: {error}");
    }
}

async fn answer(
    request: HttpRequest<Incoming>,
    requests: &mpsc::Sender<Request>,
    own: SocketAddr,
) -> Response<Full<Bytes>> {
    match handle(request, requests, own).await {
        Ok(response) => response,
        Err(refusal) => {
            let mut response = json(refusal.status(), refusal.body());
            if matches!(refusal, Refusal::Truncated | Refusal::TooLarge) {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            response
        }
    }
}

/// A web page that guesses the port names itself, or comes by its own site's name. What scripts write there has no dot.
fn is_meant_for(headers: &HeaderMap, own: SocketAddr) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| host == own.to_string() || !host.contains('.'))
        && !headers.contains_key(ORIGIN)
        && !headers.contains_key("sec-fetch-site")
}

async fn handle(
    request: HttpRequest<Incoming>,
    requests: &mpsc::Sender<Request>,
    own: SocketAddr,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let (head, body) = request.into_parts();
    // Before anything is refused: a connection with an unread body must be closed, and many clients do not expect that.
    let (body, trailers) = collect(body).await?;
    if !is_meant_for(&head.headers, own) {
        return Err(Refusal::NotFound);
    }
    let path = head.uri.path();
    let path = path.strip_prefix(VERSION).ok_or(Refusal::NotFound)?;
    let call = path
        .strip_prefix("/runtime/invocation/")
        .and_then(|rest| rest.split_once('/'));
    match (&head.method, path, call) {
        (&Method::GET, "/ping", _) => {
            let mut response = json(200, "pong".to_owned());
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, text);
            Ok(response)
        }
        (&Method::GET, "/runtime/invocation/next", _) => {
            let next = ask(requests, Request::Next).await?;
            let mut response = Response::new(Full::new(next.event));
            *response.headers_mut() = next.headers;
            Ok(response)
        }
        (&Method::POST, "/runtime/init/error", _) => {
            let error = told(&head.headers, body)?;
            ask(requests, |reply| Request::InitError { error, reply }).await?;
            Ok(accepted())
        }
        (&Method::POST, _, Some((id, "response"))) => {
            let mode = header(&head.headers, RESPONSE_MODE);
            let mode = ResponseMode::parse(mode.as_deref())?;
            let too_large = matches!(body, Body::TooLarge);
            let result = match streamed_error(&trailers).filter(|_| mode == ResponseMode::Streaming)
            {
                Some(error) => Err(error),
                None => Ok(body),
            };
            let id = id.to_owned();
            ask(requests, |reply| Request::Response { id, result, reply }).await?;
            if too_large {
                return Err(Refusal::TooLarge);
            }
            Ok(accepted())
        }
        (&Method::POST, _, Some((id, "error"))) => {
            let error = told(&head.headers, body)?;
            let id = id.to_owned();
            ask(requests, |reply| Request::Error { id, error, reply }).await?;
            Ok(accepted())
        }
        _ => Err(Refusal::NotFound),
    }
}

/// Hands a request to the worker's task and waits for its word.
async fn ask<T>(
    requests: &mpsc::Sender<Request>,
    make: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Request,
) -> Result<T, Refusal> {
    let (reply, word) = oneshot::channel();
    let sent = requests.send(make(reply)).await;
    sent.map_err(|_| Refusal::Internal)?;
    word.await.unwrap_or(Err(Refusal::Internal))
}

/// The error object that a worker sent.
fn told(headers: &HeaderMap, body: Body) -> Result<FunctionError, Refusal> {
    let error_type = header(headers, ERROR_TYPE);
    match body {
        Body::Whole(body) => Ok(FunctionError::told(error_type.as_deref(), body)),
        Body::TooLarge => Err(Refusal::TooLarge),
    }
}

/// The whole body, and what stood behind it.
async fn collect(mut body: Incoming) -> Result<(Body, HeaderMap), Refusal> {
    let mut collected = BytesMut::new();
    let mut trailers = HeaderMap::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Truncated)?;
        match frame.into_data() {
            Ok(data) => {
                size += data.len();
                if size > MAX_READ {
                    return Ok((Body::TooLarge, trailers));
                }
                if size <= MAX_RESULT_BYTES {
                    collected.extend_from_slice(&data);
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let whole = if size > MAX_RESULT_BYTES {
        Body::TooLarge
    } else {
        Body::Whole(collected.freeze())
    };
    Ok((whole, trailers))
}

/// The error that a streamed result ended with.
fn streamed_error(trailers: &HeaderMap) -> Option<FunctionError> {
    use base64::Engine as _;
    let error_type = header(trailers, ERROR_TYPE);
    let body = header(trailers, ERROR_BODY);
    if error_type.is_none() && body.is_none() {
        return None;
    }
    let body = body.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    Some(FunctionError::told(
        error_type.as_deref(),
        body.unwrap_or_default().into(),
    ))
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

fn accepted() -> Response<Full<Bytes>> {
    json(202, r#"{"status":"OK"}"#.to_owned())
}

fn json(status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The headers of a call; a value that cannot be a header's is left out.
pub(super) fn next_headers<'a>(
    values: impl IntoIterator<Item = (&'static str, Option<&'a str>)>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in values {
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok())
        {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}
