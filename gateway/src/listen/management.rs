//! The management listener: `@connections` for backends, health and metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use gateway_core::address::names_connections;
use gateway_core::auth::sigv4::{self, Credentials};
use gateway_core::failure::Failure;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use super::budget::Budget;
use super::http1::{MAX_BODY, read_large_body, serve};
use crate::callback::{self, CallbackDoor, CallbackRequest};
use crate::control::{Control, ControlRequest, is_control};
use crate::lambda_api::{self, LambdaApi, LambdaRequest, is_lambda_api};
use crate::management::{Access, Guarded, bearer};
use crate::node::Drain;
use crate::observe::Observe;
use crate::respond;

/// How long the body of a Lambda API request may take.
const UPLOAD: Duration = Duration::from_mins(2);

/// One worker's share of the management port.
#[derive(Debug)]
pub struct ManagementListener {
    /// `@connections`.
    pub callback: Arc<CallbackDoor>,
    /// Settings name keys: whoever shows a signature must show a right one.
    pub checks_signatures: bool,
    /// `/v2/…`.
    pub control: Arc<Control>,
    /// Whose signatures the control plane and the Lambda API know.
    pub operators: Arc<[Credentials]>,
    /// `/2015-03-31/functions`.
    pub lambda_api: Arc<LambdaApi>,
    /// Everything else.
    pub router: Router,
    /// Who may come in.
    pub access: Access,
    /// For a first request and for each body.
    pub timeout: Duration,
    /// What is written down.
    pub observe: Arc<Observe>,
    /// Begins when the sockets are gone: backends post back, and probes look, while clients are still being closed.
    pub closing: Arc<Drain>,
}

impl ManagementListener {
    /// Accepts until the process is about to end.
    pub async fn run(self: Arc<Self>, listener: TcpListener, budget: Budget) {
        let (observe, closing) = (Arc::clone(&self.observe), Arc::clone(&self.closing));
        let serve = move |socket, _peer, place| {
            let this = Arc::clone(&self);
            async move {
                this.arrive(socket).await;
                drop(place);
            }
        };
        super::accept_loop(listener, budget, observe, closing, serve).await;
    }

    async fn arrive(self: Arc<Self>, socket: TcpStream) {
        let this = Arc::clone(&self);
        let service = move |request| {
            let this = Arc::clone(&this);
            async move { this.answer(request).await }
        };
        serve(socket, service, self.timeout, &self.closing).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let served = self.callback.stages.load();
        let path = request.uri().path();
        let guarded = match self
            .access
            .check(request.headers(), path, &served.directory)
        {
            Ok(guarded) => guarded,
            Err(failure) => {
                tracing::warn!("management request refused: {failure}");
                return respond::refusal(&failure).map(Full::new);
            }
        };
        let is_control = is_control(path);
        let is_lambda = is_lambda_api(path);
        let is_callback = !is_control && !is_lambda && names_connections(path);
        let brings = is_lambda && lambda_api::is_upload(request.method(), path);
        let (parts, body) = request.into_parts();
        // Whoever shows a signature must show a right one, also where none is asked for.
        let presented = parts.headers.contains_key(AUTHORIZATION) && self.checks_signatures;
        let authorization = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let has_token = authorization.and_then(bearer).is_some();
        // Whoever brings a function runs what they like here: where keys are set, nobody does without one.
        let must_sign = is_lambda && self.checks_signatures;
        let must_verify = guarded == Guarded::IfSigned || (presented || must_sign) && !has_token;
        if is_callback || is_control || is_lambda || must_verify {
            // An archive of code on its way over a slow line takes its time. Who shows no key of ours sends no archive.
            let shows_key = authorization.is_some_and(|text| {
                let mut keys = self.operators.iter();
                keys.any(|key| text.contains(&key.access_key_id))
            });
            let place = if brings && (shows_key || !must_verify) {
                Some(self.lambda_api.place().await)
            } else {
                None
            };
            let (most, timeout) = if place.is_some() {
                (lambda_api::MOST_REQUEST, UPLOAD.max(self.timeout))
            } else {
                (MAX_BODY, self.timeout)
            };
            let body = match read_large_body(body, most, timeout).await {
                Ok(body) => body,
                Err(failure) => return respond::refusal(&failure).map(Full::new),
            };
            let callback = CallbackRequest::new(&parts, body);
            if is_callback {
                return self
                    .callback
                    .answer(&callback, must_verify)
                    .await
                    .map(Full::new);
            }
            let service = match (is_control, is_lambda) {
                (true, _) => sigv4::APIGATEWAY,
                (false, true) => sigv4::LAMBDA,
                (false, false) => sigv4::EXECUTE_API,
            };
            if must_verify
                && let Err(failure) = callback::verify(&callback, self.keys(service), service)
            {
                return respond::refusal(&failure).map(Full::new);
            }
            if is_control {
                let request = ControlRequest {
                    method: callback.method.as_str().to_owned(),
                    path: callback.path.to_owned(),
                    query: callback.query.to_owned(),
                    body: callback.body,
                };
                return self.control.answer(request).await.map(Full::new);
            }
            if is_lambda {
                let request = LambdaRequest {
                    method: callback.method.as_str().to_owned(),
                    path: callback.path.to_owned(),
                    query: callback.query.to_owned(),
                    headers: parts.headers.clone(),
                    body: callback.body,
                };
                return self.lambda_api.answer(request).await.map(Full::new);
            }
            let body = axum::body::Body::from(callback.body.clone());
            return self.route(Request::from_parts(parts, body)).await;
        }
        self.route(Request::from_parts(parts, axum::body::Body::new(body)))
            .await
    }

    /// Whose signatures count: those of functions are for `@connections` alone.
    fn keys(&self, service: &str) -> &[Credentials] {
        if service == sigv4::EXECUTE_API {
            &self.callback.credentials
        } else {
            &self.operators
        }
    }

    async fn route(&self, request: Request<axum::body::Body>) -> Response<Full<Bytes>> {
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Response::from_parts(parts, Full::new(body.to_bytes())),
            Err(error) => respond::refusal(&Failure::Internal(error.to_string())).map(Full::new),
        }
    }
}
