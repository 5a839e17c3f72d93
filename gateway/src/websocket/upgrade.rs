//! The handshake: admission in AWS's order, `$connect`, then the 101.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use connection_store::ConnectionRecord;
use gateway_core::address::Rest;
use gateway_core::call::{self, Call, Connection, Event, Handshake};
use gateway_core::failure::Failure;
use gateway_core::id::{ConnectionId, RequestId};
use gateway_core::mapping::Outcome;
use gateway_core::resource::ProtocolType;
use gateway_core::session::CloseCause;
use http::Response;
use http::header::{HeaderName, HeaderValue};
use tokio::sync::OwnedSemaphorePermit;

use super::head::Head;
use super::{WebSocketDoor, close, host_of, resolve, session};
use crate::config::IpNet;
use crate::env;
use crate::node::{Deployed, LiveConnection, Outlet, StageSlot, Wire};
use crate::observe::Refused;
use crate::pipeline::Admitted;
use crate::respond;

/// A socket whose request head asks for an upgrade.
#[derive(Debug)]
pub struct Arrival {
    /// The socket.
    pub socket: Wire,
    /// Who is at its other end.
    pub peer: SocketAddr,
    /// The listener's own address.
    pub local: SocketAddr,
    /// The request.
    pub head: Head,
    /// Bytes that came after the head: the first frames.
    pub rest: Vec<u8>,
    /// The connection's place among the descriptors.
    pub permit: OwnedSemaphorePermit,
}

/// Addresses of proxies whose `X-Forwarded-*` headers are believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies(pub Vec<IpNet>);

impl Proxies {
    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(address))
    }

    /// The client behind the proxies: the last address of the chain that is none of them.
    fn client(&self, peer: IpAddr, head: &Head) -> IpAddr {
        if !self.trust(peer) {
            return peer;
        }
        let chain: Vec<&str> = head
            .all("x-forwarded-for")
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        let mut client = peer;
        for hop in chain.iter().rev() {
            let Some(address) = hop_address(hop) else {
                break;
            };
            client = address;
            if !self.trust(address) {
                break;
            }
        }
        client
    }
}

/// The address of one hop; some proxies write the port behind it (`1.2.3.4:5678`, `[::1]:99`).
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse().ok().map(|hop: SocketAddr| hop.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed)
}

impl WebSocketDoor {
    /// Answers an upgrade request and, where it is accepted, starts the connection.
    pub async fn upgrade(self: Arc<Self>, arrival: Arrival) {
        let Arrival {
            socket,
            peer,
            local,
            head,
            rest,
            permit,
        } = arrival;
        let admitted = self.admit(peer, local, socket.is_tls(), &head);
        let (slot, deployed, connection, handshake, key) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                self.write_refusal(&refusal, peer, &head);
                let response = respond::to_bytes(&respond::refusal(&refusal));
                return close::send_last(&socket, response).await;
            }
        };
        let mut guard = self.drain.begin();
        let mut opening = Opening::new(handshake, connection.connected_at);
        let connection = match self.judge(&deployed, connection, &mut opening).await {
            Ok(connection) => Arc::new(connection),
            Err(response) => {
                return close::send_last(&socket, respond::to_bytes(&response)).await;
            }
        };
        let limits = &deployed.live.limits;
        let outlet = Outlet::new(
            socket,
            limits.max_queue_bytes,
            limits.hold_push_during_connect,
        );
        let live = LiveConnection::new(Arc::clone(&connection), outlet, Arc::clone(&slot), permit);
        self.node.sessions.insert(&live);

        let connecting = self.connect(&deployed, &connection, opening);
        let outcome = if let Ok(outcome) = self.contain(&connection.id, connecting).await {
            outcome
        } else {
            Err(refuse_broken(&connection.id))
        };
        match outcome {
            Ok(subprotocol) => {
                drop(deployed);
                guard.owe();
                // Accepted: from here on its end is owed, whether or not the client ever sees the 101.
                self.observe.metrics.opened();
                let switched = respond::switching_protocols(&key, subprotocol.as_deref());
                if !live.outlet.open(switched) {
                    // A drain ran out of patience while `$connect` was under way: the client learns so in HTTP.
                    self.node.sessions.remove(&connection.id);
                    self.observe.metrics.dropped_held(live.outlet.finish());
                    let leaving = Failure::Overloaded("this node is shutting down");
                    close::send_last(
                        live.outlet.socket(),
                        respond::to_bytes(&respond::refusal(&leaving)),
                    )
                    .await;
                    return close::end(&self, live, CloseCause::Shutdown, guard).await;
                }
                // The socket gets a task of its own, so that nothing of the handshake stays in memory.
                session::spawn(self, live, rest, guard);
            }
            Err(response) => {
                self.node.sessions.remove(&connection.id);
                self.observe.metrics.dropped_held(live.outlet.finish());
                self.node.registry.unregister(&connection.id).await;
                close::send_last(live.outlet.socket(), respond::to_bytes(&response)).await;
            }
        }
    }

    fn write_refusal(&self, failure: &Failure, peer: SocketAddr, head: &Head) {
        let refused = Refused {
            failure,
            host: host_of(head),
            path: head.path(),
            source_ip: self.proxies.client(peer.ip(), head),
        };
        self.observe.refuse_handshake(&refused, || {
            let served = self.stages.load();
            let found = resolve(&served.directory, head);
            if found.is_some_and(|found| found.rest == Rest::Stage) {
                return Vec::new();
            }
            served.directory.places(host_of(head))
        });
    }

    /// Everything that needs no backend, in the order of the admission table.
    #[allow(clippy::type_complexity)] // Used once, taken apart at once.
    fn admit(
        &self,
        peer: SocketAddr,
        local: SocketAddr,
        secure: bool,
        head: &Head,
    ) -> Result<(Arc<StageSlot>, Arc<Deployed>, Connection, Handshake, String), Failure> {
        let key = head.websocket_key()?.to_owned();
        self.has_room()?;
        if !self.node.is_acting() {
            return Err(Failure::Overloaded("this node has lost the others"));
        }
        let served = self.stages.load();
        let found = resolve(&served.directory, head).filter(|found| found.rest == Rest::Stage);
        let found = found.ok_or(Failure::Forbidden("no API and stage at this address"))?;
        let slot = served
            .slot(&found.api_id, &found.stage)
            .ok_or(Failure::Forbidden("no API and stage at this address"))?;
        let deployed = slot.load();
        if deployed.live.protocol_type == ProtocolType::Http {
            return Err(Failure::NotServed);
        }
        if let Some(allowed) = &deployed.live.allowed_origins {
            let origin = head.header("origin");
            if head.all("origin").count() > 1
                || !origin.is_some_and(|origin| allowed.iter().any(|a| a == origin))
            {
                return Err(Failure::Forbidden("this Origin is not in allowedOrigins"));
            }
        }
        let now = env::wall();
        let source_ip = self.proxies.client(peer.ip(), head);
        let connection = Connection {
            id: ConnectionId::new(self.node.id(), env::random()),
            api_id: Arc::clone(&deployed.live.api_id),
            stage: Arc::clone(&deployed.live.stage_name),
            connected_at: now,
            source_ip,
            user_agent: head.header("user-agent").map(Into::into),
            domain_name: served.directory.event_name(
                host_of(head),
                local,
                &found.api_id,
                &found.stage,
            ),
            authorizer: None,
        };
        let handshake = self.handshake(peer, local, secure, head, source_ip);
        Ok((Arc::clone(slot), deployed, connection, handshake, key))
    }

    fn has_room(&self) -> Result<(), Failure> {
        let is_full = |most| self.node.sessions.len() >= most;
        if self.max_connections.is_some_and(is_full) {
            return Err(Failure::Overloaded("server.maxConnections is reached"));
        }
        if self.drain.is_draining() {
            return Err(Failure::Overloaded("this node is shutting down"));
        }
        Ok(())
    }

    /// The request as events show it: what a client says of proxies counts only if a trusted one sent it.
    fn handshake(
        &self,
        peer: SocketAddr,
        local: SocketAddr,
        secure: bool,
        head: &Head,
        source_ip: IpAddr,
    ) -> Handshake {
        let trusted = self.proxies.trust(peer.ip());
        let ours = |name: &str| {
            let name = call::header_as_read(name);
            name.starts_with("x-wiregate-")
                || name.starts_with("x-amzn-")
                || name.starts_with("x-forwarded-")
        };
        let mut headers: Vec<(String, String)> = head
            .headers
            .iter()
            .filter(|(name, _)| !ours(name))
            .cloned()
            .collect();
        let believed = |name: &str| head.header(name).filter(|_| trusted).map(str::to_owned);
        let forwarded = match believed("x-forwarded-for") {
            Some(chain) => format!("{chain}, {}", peer.ip()),
            None => source_ip.to_string(),
        };
        let port = believed("x-forwarded-port").unwrap_or_else(|| local.port().to_string());
        let proto = believed("x-forwarded-proto")
            .unwrap_or_else(|| if secure { "https" } else { "http" }.to_owned());
        for (name, value) in [
            ("X-Forwarded-For", forwarded),
            ("X-Forwarded-Port", port),
            ("X-Forwarded-Proto", proto),
        ] {
            headers.push((name.to_owned(), value));
        }
        let raw_query = head.query().to_owned();
        let query = call::decode_query(&raw_query);
        Handshake {
            headers,
            raw_query,
            query,
            authorizer_latency: None,
        }
    }

    /// What comes before anybody else hears of a connection: the limit on handshakes, and the authorizer. Until then no push
    /// finds it, and no other node knows it; the response is for a client that is refused.
    async fn judge(
        &self,
        deployed: &Deployed,
        mut connection: Connection,
        opening: &mut Opening,
    ) -> Result<Connection, Response<Bytes>> {
        let call = opening.call(&connection);
        if !deployed.admit_connect() {
            self.pipeline.refuse(deployed, &call, &Failure::Throttled);
            return Err(refused(&call, &Failure::Throttled));
        }
        let route = deployed.live.connect_route();
        let Some(route) = route.filter(|route| route.authorizer.is_some()) else {
            return Ok(connection);
        };
        // Boxed, so that handshakes without an authorizer do not carry the room.
        let asking = Box::pin(self.pipeline.authorize(deployed, route, &call));
        let Ok(judged) = self.contain(&connection.id, asking).await else {
            return Err(refuse_broken(&connection.id));
        };
        let admitted = judged.map_err(|failure| refused(&call, &failure))?;
        // It may have taken half a minute.
        if let Err(failure) = self.has_room() {
            self.pipeline.refuse(deployed, &call, &failure);
            return Err(refused(&call, &failure));
        }
        if let Some(Admitted { context, latency }) = admitted {
            opening.handshake.authorizer_latency = Some(latency.as_millis() as u64);
            connection.authorizer = Some(Box::new(context));
        }
        Ok(connection)
    }

    /// Registers, then runs `$connect`; the response is for a client that is refused.
    async fn connect(
        &self,
        deployed: &Deployed,
        connection: &Arc<Connection>,
        opening: Opening,
    ) -> Result<Option<String>, Response<Bytes>> {
        let call = opening.call(connection);
        let record = ConnectionRecord {
            connection: Arc::clone(connection),
        };
        if let Err(error) = self.node.registry.register(record).await {
            tracing::debug!("a connection is not registered: {error}");
            let failure = Failure::Overloaded("the store is away");
            self.pipeline.refuse(deployed, &call, &failure);
            return Err(refused(&call, &failure));
        }
        // The answer may have come late, to a node that was stopped meanwhile: of one that was declared dead the end may have
        // been told already, and a $connect must not follow it.
        if !self.node.acts_for(&connection.id) {
            let failure = Failure::Overloaded("this node has lost the others");
            self.pipeline.refuse(deployed, &call, &failure);
            return Err(refused(&call, &failure));
        }
        let Some(route) = deployed.live.connect_route() else {
            self.pipeline.let_in(deployed, &call);
            return Ok(None);
        };
        match self.pipeline.connect(deployed, route, &call).await {
            Ok(Outcome::Accepted { subprotocol }) => {
                Ok(subprotocol.filter(|value| HeaderValue::from_str(value).is_ok()))
            }
            Ok(Outcome::Refused {
                status,
                headers,
                body,
            }) => {
                let mut response = respond::response(status, body);
                for (name, value) in headers {
                    add_header(&mut response, &name, &value);
                }
                if let Ok(id) = HeaderValue::from_str(&call.request_id.to_string()) {
                    response.headers_mut().insert("x-amz-apigw-id", id);
                }
                Err(response)
            }
            Err(failure) => Err(refused(&call, &failure)),
        }
    }
}

/// One handshake with the ids that its authorizer and its `$connect` share.
#[derive(Debug)]
struct Opening {
    handshake: Handshake,
    request_id: RequestId,
    time: u64,
    trace: [u8; 12],
}

impl Opening {
    fn new(mut handshake: Handshake, connected_at: u64) -> Self {
        let trace = env::random();
        let time = env::wall().max(connected_at);
        let trace_id = call::trace_id(time, &trace);
        handshake
            .headers
            .push(("X-Amzn-Trace-Id".to_owned(), trace_id));
        Self {
            handshake,
            request_id: RequestId::new(env::random()),
            time,
            trace,
        }
    }

    fn call<'a>(&'a self, connection: &'a Connection) -> Call<'a> {
        Call {
            connection,
            event: Event::Connect(&self.handshake),
            route_key: "$connect",
            request_id: self.request_id,
            time: self.time,
            trace: self.trace,
        }
    }
}

fn refused(call: &Call<'_>, failure: &Failure) -> Response<Bytes> {
    let (connection_id, request_id) = (call.connection.id.to_string(), call.request_id.to_string());
    respond::handshake_refusal(failure, &connection_id, &request_id)
}

/// The answer to a handshake that panicked.
fn refuse_broken(connection: &ConnectionId) -> Response<Bytes> {
    let failure = Failure::Internal("the handshake panicked".to_owned());
    let request_id = RequestId::new(env::random()).to_string();
    respond::handshake_refusal(&failure, &connection.to_string(), &request_id)
}

fn add_header(response: &mut Response<Bytes>, name: &str, value: &str) {
    // The connection is ours to manage, whatever a function says of it.
    const OURS: [&str; 6] = [
        "connection",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "keep-alive",
        "sec-websocket-protocol",
    ];
    let parsed = (
        HeaderName::from_bytes(name.as_bytes()),
        HeaderValue::from_str(value),
    );
    if let (Ok(name), Ok(value)) = parsed
        && !OURS.contains(&name.as_str())
    {
        response.headers_mut().append(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(forwarded: &[&str]) -> Head {
        let mut headers = vec![("Host".to_owned(), "h".to_owned())];
        headers.extend(
            forwarded
                .iter()
                .map(|value| ("X-Forwarded-For".to_owned(), (*value).to_owned())),
        );
        Head {
            method: "GET".into(),
            target: "/dev".into(),
            http11: true,
            headers,
            length: 0,
        }
    }

    #[track_caller]
    fn check(trusted: &str, peer: &str, forwarded: &[&str], expected: &str) {
        let proxies = Proxies(
            trusted
                .split(',')
                .filter(|t| !t.is_empty())
                .map(|t| t.parse().unwrap())
                .collect(),
        );
        let client = proxies.client(peer.parse().unwrap(), &head(forwarded));
        assert_eq!(client.to_string(), expected);
    }

    #[test]
    fn only_trusted_proxies_may_name_the_client() {
        check("", "10.0.0.1", &["1.2.3.4"], "10.0.0.1");
        check("10.0.0.0/8", "10.0.0.1", &["1.2.3.4"], "1.2.3.4");
        check(
            "10.0.0.0/8",
            "10.0.0.1",
            &["6.6.6.6, 1.2.3.4, 10.0.0.2"],
            "1.2.3.4",
        );
        check("10.0.0.0/8", "10.0.0.1", &["6.6.6.6", "1.2.3.4"], "1.2.3.4");
        check("10.0.0.0/8", "10.0.0.1", &["garbage"], "10.0.0.1");
        check("10.0.0.0/8", "10.0.0.1", &["1.2.3.4, garbage"], "10.0.0.1");
        check("10.0.0.0/8", "10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.0/8", "10.0.0.1", &["10.0.0.3"], "10.0.0.3");
        let hop = |hop: &str, expected: &str| check("10.0.0.0/8", "10.0.0.1", &[hop], expected);
        hop("1.2.3.4:5678", "1.2.3.4");
        hop("6.6.6.6:1, 1.2.3.4:5678, 10.0.0.2:80", "1.2.3.4");
        hop("[2001:db8::7]:99", "2001:db8::7");
        hop("[2001:db8::7]", "2001:db8::7");
        hop("2001:db8::7", "2001:db8::7");
        hop("1.2.3.4:99999", "10.0.0.1");
        hop("[1.2.3.4]x", "10.0.0.1");
        hop("unknown:80", "10.0.0.1");
    }
}
