//! The same backend over HTTP/2 by prior knowledge: hyper does the work, since frames and windows are no matter of a few lines.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// Accepts gateways for ever.
pub(super) async fn serve(listener: std::net::TcpListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("backend: {error}"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    // A gateway that is killed breaks its connection; that is no news.
                    let _ = http2::Builder::new(TokioExecutor::new())
                        .max_concurrent_streams(1024)
                        .serve_connection(TokioIo::new(stream), service_fn(answer))
                        .await;
                });
            }
            Err(error) => return eprintln!("backend: {error}"),
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = match request.uri().path() {
        "/echo" => match request.into_body().collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => Bytes::new(),
        },
        "/whoami" => {
            let id = request.headers().get("x-wiregate-connection-id");
            Bytes::copy_from_slice(id.map_or(&[], |id| id.as_bytes()))
        }
        _ => Bytes::new(),
    };
    Ok(Response::new(Full::new(body)))
}
