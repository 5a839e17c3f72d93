//! What the scenario `function` calls in Rust: the same answer as a Lambda function on AWS's runtime crate and, run as
//! `load-handler http PORT`, as a plain HTTP server on hyper.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("http"), Some(port)) => serve(port.parse()?).await,
        _ => lambda_runtime::run(lambda_runtime::service_fn(handle)).await,
    }
}

fn answer(message: &str) -> &str {
    message
}

async fn handle(call: LambdaEvent<Value>) -> Result<Value, Error> {
    let message = call.payload["body"].as_str().unwrap_or_default();
    Ok(json!({ "statusCode": 200, "body": answer(message) }))
}

async fn serve(port: u16) -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("ready");
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(post)),
        );
    }
}

async fn post(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await;
    let message = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&message);
    let answer = Bytes::copy_from_slice(answer(&text).as_bytes());
    let mut response = Response::new(Full::new(answer));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}
