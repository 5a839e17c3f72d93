//! Pushes: one `POST {callback}/@connections/{id}` for each receiver, some at a time, over connections that are kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::room::Address;

/// How many pushes are under way at once, of all fan-outs together; as many connections are kept for each gateway.
const AT_ONCE: usize = 64;
/// How many gateway nodes connections are kept to.
const GATEWAYS: usize = 16;
/// How long one receiver may take, repeats included.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// How often a push is tried. A repeat may arrive twice: events are numbered, so the page drops the second.
const ATTEMPTS: u32 = 4;
/// The wait before the first repeat; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How much of an answer's body is read.
const ANSWER_BYTES: usize = 64 * 1024;

type Connection = SendRequest<Full<Bytes>>;
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Posts to the gateway's `@connections`.
#[derive(Default)]
pub(crate) struct Pusher {
    idle: Mutex<HashMap<Authority, Vec<Connection>>>,
}

/// What became of one push.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Written to the socket, or queued for it.
    Delivered,
    /// That connection is over: forget it.
    Gone,
    /// Not delivered, and why. The page sees the gap in the numbers and catches up.
    Lost(String),
}

/// What an answer of the gateway asks for.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Settled(Fate),
    /// A slow reader (429) or a gateway that cannot tell (5xx).
    TryAgain,
}

fn judge(status: StatusCode) -> Verdict {
    match status {
        status if status.is_success() => Verdict::Settled(Fate::Delivered),
        StatusCode::GONE => Verdict::Settled(Fate::Gone),
        StatusCode::TOO_MANY_REQUESTS => Verdict::TryAgain,
        status if status.is_server_error() => Verdict::TryAgain,
        status => Verdict::Settled(Fate::Lost(format!("the gateway answered {status}"))),
    }
}

impl Pusher {
    /// Sends `body` to all of `to` and gives back the connections that are no more.
    pub(crate) async fn fan_out(self: &Arc<Self>, to: Vec<Address>, body: Bytes) -> Vec<String> {
        static PERMITS: Semaphore = Semaphore::const_new(AT_ONCE);
        let mut under_way = JoinSet::new();
        let mut gone = Vec::new();
        let mut lost = Vec::new();
        let mut note = |(connection, fate)| match fate {
            Fate::Delivered => {}
            Fate::Gone => gone.push(connection),
            Fate::Lost(why) => lost.push(why),
        };
        for address in to {
            while let Some(Ok(done)) = under_way.try_join_next() {
                note(done);
            }
            let permit = PERMITS
                .acquire()
                .await
                .expect("this semaphore is never closed");
            let (pusher, body) = (Arc::clone(self), body.clone());
            under_way.spawn(async move {
                let _permit = permit;
                let fate =
                    match tokio::time::timeout(TIME_LIMIT, pusher.push(&address.uri, body)).await {
                        Ok(fate) => fate,
                        Err(_) => Fate::Lost(format!("no success within {TIME_LIMIT:?}")),
                    };
                (address.connection, fate)
            });
        }
        while let Some(Ok(done)) = under_way.join_next().await {
            note(done);
        }
        if let Some(first) = lost.first() {
            eprintln!(
                "chat: {} pushes were not delivered; the first: {first}",
                lost.len()
            );
        }
        gone
    }

    async fn push(&self, uri: &Uri, body: Bytes) -> Fate {
        let mut why = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(FIRST_WAIT * 2_u32.pow(attempt - 1)).await;
            }
            match self.post(uri, body.clone()).await {
                Ok(status) => match judge(status) {
                    Verdict::Settled(fate) => return fate,
                    Verdict::TryAgain => why = format!("the gateway answered {status}"),
                },
                Err(cause) => why = format!("{uri}: {cause}"),
            }
        }
        Fate::Lost(why)
    }

    async fn post(&self, uri: &Uri, body: Bytes) -> Result<StatusCode, Cause> {
        let authority = uri
            .authority()
            .ok_or("the callback URL names no host")?
            .clone();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::post(path)
            .header(header::HOST, authority.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let mut connection = self.connection(&authority).await?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        // Read to its end, or the connection cannot be used again.
        Limited::new(response.into_body(), ANSWER_BYTES)
            .collect()
            .await?;
        self.keep(authority, connection);
        Ok(status)
    }

    /// An idle connection that still stands, or a new one.
    async fn connection(&self, authority: &Authority) -> Result<Connection, Cause> {
        while let Some(mut connection) = self.take(authority) {
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let stream =
            TcpStream::connect((host(authority), authority.port_u16().unwrap_or(80))).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        // It ends when the gateway closes or when `connection` is dropped; `post` is told of errors.
        tokio::spawn(async move {
            let _ = driver.await;
        });
        Ok(connection)
    }

    fn take(&self, authority: &Authority) -> Option<Connection> {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(authority)?
            .pop()
    }

    fn keep(&self, authority: Authority, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= GATEWAYS && !idle.contains_key(&authority) {
            idle.clear();
        }
        let kept = idle.entry(authority).or_default();
        if kept.len() < AT_ONCE {
            kept.push(connection);
        }
    }
}

/// The host as the resolver takes it: an IPv6 address without its brackets.
fn host(authority: &Authority) -> &str {
    authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::{Path, State};
    use axum::routing::post;

    #[track_caller]
    fn check(status: u16, expected: &Verdict) {
        assert_eq!(
            &judge(StatusCode::from_u16(status).unwrap()),
            expected,
            "{status}"
        );
    }

    #[test]
    fn a_status_decides() {
        check(200, &Verdict::Settled(Fate::Delivered));
        check(410, &Verdict::Settled(Fate::Gone));
        check(429, &Verdict::TryAgain);
        check(500, &Verdict::TryAgain);
        check(503, &Verdict::TryAgain);
        check(
            403,
            &Verdict::Settled(Fate::Lost("the gateway answered 403 Forbidden".to_owned())),
        );
    }

    #[test]
    fn an_ipv6_host_loses_its_brackets() {
        assert_eq!(host(&Authority::from_static("[::1]:8081")), "::1");
        assert_eq!(host(&Authority::from_static("127.0.0.1:8081")), "127.0.0.1");
    }

    type Seen = Arc<Mutex<HashMap<String, u32>>>;

    /// Answers 410 to `gone-*`, 503 to the first try of `busy-*`, 503 always to `never`, 200 to the rest.
    async fn connections(
        State(seen): State<Seen>,
        Path(id): Path<String>,
        body: Bytes,
    ) -> StatusCode {
        assert_eq!(body, "hello");
        let mut seen = seen.lock().unwrap();
        let count = seen.entry(id.clone()).or_default();
        *count += 1;
        match id.split('-').next() {
            Some("gone") => StatusCode::GONE,
            Some("busy") if *count == 1 => StatusCode::SERVICE_UNAVAILABLE,
            Some("never") => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        }
    }

    #[tokio::test]
    async fn everyone_is_tried_and_the_gone_are_named() {
        let seen = Seen::default();
        let app = Router::new()
            .route("/dev/@connections/{id}", post(connections))
            .with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move { axum::serve(listener, app).await });

        let ids: Vec<String> = (0..200)
            .map(|number| match number % 100 {
                7 => format!("gone-{number}"),
                8 => format!("busy-{number}"),
                9 => format!("never-{number}"),
                _ => format!("here-{number}"),
            })
            .collect();
        let to = ids.iter().map(|id| Address {
            connection: id.clone(),
            uri: format!("http://127.0.0.1:{port}/dev/@connections/{id}")
                .parse()
                .unwrap(),
        });
        let pusher = Arc::new(Pusher::default());
        let mut gone = pusher
            .fan_out(to.collect(), Bytes::from_static(b"hello"))
            .await;
        gone.sort();
        assert_eq!(gone, ["gone-107", "gone-7"]);
        {
            let seen = seen.lock().unwrap();
            let tries = |id: &str| seen.get(id).copied().unwrap_or_default();
            assert!(ids.iter().all(|id| tries(id) > 0));
            assert_eq!(
                (tries("here-0"), tries("busy-8"), tries("never-9")),
                (1, 2, ATTEMPTS)
            );
        }
        let kept: usize = pusher.idle.lock().unwrap().values().map(Vec::len).sum();
        assert!((1..=AT_ONCE).contains(&kept), "{kept} connections kept");
        server.abort();
    }

    #[tokio::test]
    async fn nobody_listening_is_a_loss_and_not_a_departure() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!(
            "http://{}/dev/@connections/a",
            listener.local_addr().unwrap()
        )
        .parse()
        .unwrap();
        drop(listener);
        let pusher = Arc::new(Pusher::default());
        assert!(matches!(
            pusher.push(&uri, Bytes::new()).await,
            Fate::Lost(_)
        ));
        let to = vec![Address {
            connection: "a".to_owned(),
            uri,
        }];
        assert!(pusher.fan_out(to, Bytes::new()).await.is_empty());
    }
}
