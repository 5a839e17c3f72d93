//! What a panic in the task of one connection leaves behind: nothing but a line in the log.

use std::sync::Mutex;

use connection_store::ConnectionRecord;
use gateway_core::address::Directory;
use gateway_core::call::Connection;
use gateway_core::id::{ConnectionId, NodeId};
use gateway_core::live;
use gateway_core::resource::{Api, Integration, IntegrationType, Preset, Route, Stage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::field::{Field, Visit};
use tracing::span;

use super::*;
use crate::integration::http::{HttpClient, HttpClientConfig};
use crate::integration::{Integrations, LambdaEndpoints};
use crate::node::{Node, Outlet, Owed, Registry, StageSlot, Stages, Wire};
use crate::observe::{AccessLog, Observe};
use crate::pipeline::{Owner, Pipeline};
use crate::websocket::Proxies;

const NODE: NodeId = NodeId([7; 6]);

/// A log that panics when it is told of a violation, as any code under `serve` might, and keeps the errors.
#[derive(Default)]
struct Saboteur(Arc<Mutex<Vec<String>>>);

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl tracing::Subscriber for Saboteur {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("gateway::websocket")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        match *event.metadata().level() {
            tracing::Level::ERROR => self.0.lock().unwrap().push(message.0),
            // What `decode` says of a frame that breaks the protocol.
            _ if event.metadata().target().ends_with("session") => panic!("sabotaged"),
            _ => {}
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// A door whose `$disconnect` goes to that URL, and the slot of its stage.
fn door(disconnect: String) -> (Arc<WebSocketDoor>, Arc<StageSlot>) {
    let observe = Arc::new(Observe::new(AccessLog::Off));
    let mut api = Api::new("chat", Preset::Open);
    let mut integration = Integration::new("bye", IntegrationType::HttpProxy);
    integration.integration_uri = Some(disconnect);
    api.integrations.push(integration);
    let mut route = Route::new("$disconnect");
    route.target = Some("integrations/bye".to_owned());
    api.routes.push(route);
    let stage = Stage {
        stage_name: "dev".to_owned(),
        ..Stage::default()
    };
    let live = live::compile(&api, &stage).unwrap();
    let stages = Arc::new(Stages::default());
    let deployed = Deployed::new(live, String::new(), &observe.metrics);
    stages.replace(Directory::default(), vec![deployed]);
    let served = stages.load();
    let slot = served.slot(&"chat".into(), &"dev".into()).unwrap();
    let integrations = Integrations::new(
        HttpClient::new(&HttpClientConfig::default()),
        LambdaEndpoints::default(),
    );
    let node = Arc::new(Node::new(NODE, Registry::default(), None));
    let door = WebSocketDoor {
        pipeline: Pipeline::new(
            integrations,
            Arc::clone(&observe),
            Arc::clone(&node),
            Owner::default(),
        ),
        node,
        stages: Arc::clone(&stages),
        observe,
        drain: Arc::default(),
        owed: Arc::new(Owed::new(10)),
        max_connections: None,
        proxies: Proxies::default(),
    };
    (Arc::new(door), Arc::clone(slot))
}

/// An open connection of that number; its client.
async fn open(
    door: &Arc<WebSocketDoor>,
    slot: &Arc<StageSlot>,
    places: &Arc<Semaphore>,
    number: u8,
) -> (TcpStream, ConnectionId) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await;
    let (socket, peer) = listener.accept().await.unwrap();
    let connection = Arc::new(Connection {
        id: ConnectionId::new(NODE, [number; 16]),
        api_id: "chat".into(),
        stage: "dev".into(),
        connected_at: env::wall(),
        source_ip: peer.ip(),
        user_agent: None,
        domain_name: "localhost".into(),
        authorizer: None,
    });
    let record = ConnectionRecord {
        connection: Arc::clone(&connection),
    };
    door.node.registry.register(record).await.unwrap();
    let id = connection.id;
    let outlet = Outlet::new(Wire::Plain(socket), 1024, false);
    let permit = Arc::clone(places).try_acquire_owned().unwrap();
    let live = LiveConnection::new(connection, outlet, Arc::clone(slot), permit);
    let mut guard = door.drain.begin();
    door.node.sessions.insert(&live);
    guard.owe();
    door.observe.metrics.opened();
    assert!(live.outlet.open(bytes::Bytes::from_static(b"101")));
    spawn(Arc::clone(door), live, Vec::new(), guard);
    let mut client = client.unwrap();
    client.read_exact(&mut [0; 3]).await.unwrap();
    (client, id)
}

/// Takes one request, answers 200, and returns its head.
async fn serve_one(backend: &TcpListener) -> String {
    let (mut stream, _) = backend.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    String::from_utf8(head).unwrap()
}

/// The sum of the metric's lines.
fn metric(door: &WebSocketDoor, name: &str) -> u64 {
    let page = door.observe.metrics.render(0);
    let lines = page.lines().filter(|line| line.starts_with(name));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

// Threat T29.
#[tokio::test]
async fn a_panic_in_one_connection_ends_it_in_order_and_no_other() {
    let errors: Arc<Mutex<Vec<String>>> = Arc::default();
    let _log = tracing::subscriber::set_default(Saboteur(Arc::clone(&errors)));
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/bye", backend.local_addr().unwrap());
    let (door, slot) = door(url);
    let places = Arc::new(Semaphore::new(2));
    let (mut harmed, harmed_id) = open(&door, &slot, &places, 1).await;
    let (mut other, other_id) = open(&door, &slot, &places, 2).await;

    // A reserved opcode, masked with zeros.
    harmed.write_all(b"\x83\x80\0\0\0\0").await.unwrap();
    let mut last = Vec::new();
    // Our close frame is not answered, so the socket stays half open until the wait for it is over.
    let ends = harmed.read_to_end(&mut last);
    let ends = tokio::time::timeout(Duration::from_secs(20), ends).await;
    ends.expect("its socket is closed").unwrap();
    assert_eq!(last, b"\x88\x17\x03\xf3Internal server error");

    let told = serve_one(&backend).await;
    assert!(told.contains(&harmed_id.to_string()), "{told}");
    assert!(told.contains("x-wiregate-disconnect-code: 1011"), "{told}");
    assert!(door.node.sessions.find(&harmed_id).is_none());
    // Its descriptor is open for as long as it may still read, and so its place is not another's yet.
    assert_eq!(places.available_permits(), 0);
    drop(harmed);
    let freed = tokio::time::timeout(Duration::from_secs(20), places.acquire()).await;
    drop(freed.expect("its place is free").unwrap());
    assert_eq!(errors.lock().unwrap().len(), 1, "{errors:?}");
    assert_eq!(metric(&door, "wiregate_panics_total"), 1);
    assert_eq!(
        metric(&door, "wiregate_closes_total{cause=\"internal\"}"),
        1
    );
    assert_eq!(metric(&door, "wiregate_connections "), 1);

    // The other is well: it answers a ping, and its end is told.
    other.write_all(b"\x89\x81\0\0\0\0x").await.unwrap();
    let mut pong = [0; 3];
    other.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x01x");
    drop(other);
    let told = serve_one(&backend).await;
    assert!(told.contains(&other_id.to_string()), "{told}");
    let report = door.drain.run(&door.node.sessions, Duration::from_secs(5));
    let report = report.await;
    assert_eq!((report.unfinished, report.undelivered), (0, 0));
}
