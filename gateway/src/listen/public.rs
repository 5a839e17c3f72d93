//! The public listener: upgrades for clients, `@connections` for those who sign.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::address::{Rest, names_connections};
use gateway_core::failure::Failure;
use gateway_core::resource::ProtocolType;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use super::budget::{Budget, Handshakes};
use super::http1::{read_body, serve};
use super::rewind::Rewind;
use super::tls::{self, TlsOffer};
use crate::callback::{CallbackDoor, CallbackRequest};
use crate::node::Wire;
use crate::observe::{Observe, Refused};
use crate::respond;
use crate::websocket::head::Head;
use crate::websocket::{Arrival, WebSocketDoor, send_last};

/// How long who sent a broken head may take to read what is wrong with it.
const LAST_WORD: Duration = Duration::from_secs(2);

/// A head, and all bytes read so far.
type ReadHead = (Head, Vec<u8>);

/// Why no head could be read, and what its sender is told.
type Unreadable = (Failure, Bytes);

/// A broken head is answered in HTTP.
fn in_http(failure: Failure) -> Unreadable {
    let answer = respond::to_bytes(&respond::refusal(&failure));
    (failure, answer)
}

/// One worker's share of the public port.
#[derive(Debug)]
pub struct PublicListener {
    /// Where upgrades go.
    pub websocket: Arc<WebSocketDoor>,
    /// Where signed callbacks go.
    pub callback: Arc<CallbackDoor>,
    /// The port's address.
    pub address: SocketAddr,
    /// What clients get that begin with TLS.
    pub tls: Arc<TlsOffer>,
    /// From accept to the end of the request's head, TLS included.
    pub handshake_timeout: Duration,
    /// Caps on unfinished heads.
    pub handshakes: Arc<Handshakes>,
    /// What is written down.
    pub observe: Arc<Observe>,
}

impl PublicListener {
    /// Accepts until draining begins.
    pub async fn run(self: Arc<Self>, listener: TcpListener, budget: Budget) {
        let (observe, drain) = (Arc::clone(&self.observe), Arc::clone(&self.websocket.drain));
        let serve = move |socket, peer, place| Arc::clone(&self).arrive(socket, peer, place);
        super::accept_loop(listener, budget, observe, drain, serve).await;
    }

    async fn arrive(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        let Some(unfinished) = self.handshakes.begin(peer.ip()) else {
            let failure = Failure::Overloaded("too many unfinished handshakes");
            self.write_refusal(&failure, peer);
            return;
        };
        // Boxed, so that the task of a connection does not keep room for the reading of its head.
        let reading = Box::pin(tokio::time::timeout(
            self.handshake_timeout,
            self.read_head(socket, peer),
        ));
        let read = reading.await;
        drop(unfinished);
        // Silence, or an end before a whole head: there is nobody to answer.
        let Ok(Some((socket, read))) = read else {
            return;
        };
        let (head, bytes) = match read {
            Err((failure, answer)) => {
                self.write_refusal(&failure, peer);
                let _ = tokio::time::timeout(LAST_WORD, send_last(&socket, answer)).await;
                return;
            }
            Ok(read) => read,
        };
        if head.is_upgrade() {
            let rest = bytes[head.length..].to_vec();
            let arrival = Arrival {
                socket,
                peer,
                local: self.address,
                head,
                rest,
                permit,
            };
            Box::pin(Arc::clone(&self.websocket).upgrade(arrival)).await;
        } else {
            let this = Arc::clone(&self);
            let service = move |request| {
                let this = Arc::clone(&this);
                async move { this.answer(request).await }
            };
            serve(
                Rewind::new(bytes, socket),
                service,
                self.handshake_timeout,
                &self.websocket.drain,
            )
            .await;
            drop(permit);
        }
    }

    /// The head and all bytes read so far, and the socket, which is another one where the first byte began TLS.
    /// `None` where the peer ended first, or TLS could not be agreed upon.
    async fn read_head(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
    ) -> Option<(Wire, Result<ReadHead, Unreadable>)> {
        let offer = self.tls.load();
        let mut wire = Wire::Plain(socket);
        let mut bytes = Vec::with_capacity(1024);
        let mut seen = 0;
        loop {
            match wire.read_buf(&mut bytes).await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        self.write_refusal(&Failure::BadRequest("TLS"), peer);
                        tracing::debug!("no TLS with a client: {error}");
                    }
                    return None;
                }
            }
            if let (Wire::Plain(_), 0) = (&wire, seen) {
                if bytes[0] == tls::HANDSHAKE {
                    let Some(offer) = &offer else {
                        let failure =
                            Failure::BadRequest("no TLS on this port: server.tls is not set");
                        return Some((wire, Err((failure, Bytes::from_static(tls::REFUSAL)))));
                    };
                    let Wire::Plain(socket) = wire else {
                        return None;
                    };
                    let received = std::mem::take(&mut bytes);
                    wire = Wire::secured(socket, Arc::clone(&offer.config), received).ok()?;
                    continue;
                }
                if offer.as_ref().is_some_and(|offer| offer.required) {
                    let failure = Failure::BadRequest("This port speaks TLS only");
                    return Some((wire, Err(in_http(failure))));
                }
            }
            // Parsing each time from the start would let one-byte packets cost the square of a head; a head ends with
            // an empty line, so only its end is looked for.
            let from = seen.max(3) - 3;
            let ended = bytes[from..]
                .windows(2)
                .any(|pair| pair == b"\n\n" || pair == b"\n\r");
            seen = bytes.len();
            if ended || seen >= crate::websocket::head::MAX_HEAD_BYTES {
                match Head::parse(&bytes) {
                    Ok(None) => {}
                    Ok(Some(head)) => return Some((wire, Ok((head, bytes)))),
                    Err(failure) => return Some((wire, Err(in_http(failure)))),
                }
            }
        }
    }

    /// A refusal without a head that could be read.
    fn write_refusal(&self, failure: &Failure, peer: SocketAddr) {
        let refused = Refused {
            failure,
            host: "",
            path: "",
            source_ip: peer.ip(),
        };
        self.observe.refuse_handshake(&refused, Vec::new);
    }

    /// Requests that are no upgrades: `@connections` of signed callers, and a hint for all others.
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        // Nobody fills memory before it is known that the signer exists: what can be judged without the body is.
        let unread = CallbackRequest::new(&parts, Bytes::new());
        if !names_connections(unread.path) {
            return self.hint(unread.host, unread.path);
        }
        if let Err(failure) = self.callback.precheck(&unread) {
            return last(respond::refusal(&failure));
        }
        let body = match read_body(body, self.handshake_timeout).await {
            Ok(body) => body,
            Err(failure) => return last(respond::refusal(&failure)),
        };
        let callback = CallbackRequest { body, ..unread };
        let response = self.callback.answer(&callback, true).await;
        // Each way to fail at proving who one is, and some others.
        if response.status() == StatusCode::FORBIDDEN {
            return last(response);
        }
        response.map(Full::new)
    }

    /// For browsers and curl: a WebSocket API has no pages.
    fn hint(&self, host: &str, path: &str) -> Response<Full<Bytes>> {
        let served = self.callback.stages.load();
        let found = served.directory.resolve(host, path);
        let slot = found
            .as_ref()
            .and_then(|found| served.slot(&found.api_id, &found.stage));
        if slot.is_some_and(|slot| slot.load().live.protocol_type == ProtocolType::Http) {
            return last(respond::refusal(&Failure::NotServed));
        }
        let is_stage = found.is_some_and(|found| found.rest == Rest::Stage);
        if !is_stage && !served.directory.knows(host) {
            return last(respond::refusal(&Failure::Forbidden(
                "no API at this address",
            )));
        }
        let mut response = last(respond::refusal(&Failure::UpgradeRequired));
        let headers = response.headers_mut();
        // RFC 9110 §15.5.22: a 426 says which protocol it wants.
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade, close"));
        response
    }
}

/// A response after which the connection ends: strangers do not keep one.
fn last(mut response: Response<Bytes>) -> Response<Full<Bytes>> {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response.map(Full::new)
}
