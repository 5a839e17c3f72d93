//! A node: the gateway's own code from the handshake on, put together as `gateway::app` does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use connection_store::{ConnectionStore, NodeInfo, Outbox, StoreClock};
use gateway::callback::{CallbackDoor, CallbackRequest};
use gateway::env;
use gateway::env::simulated::Process;
use gateway::integration::http::{HttpClient, HttpClientConfig};
use gateway::integration::{Integrations, LambdaEndpoints};
use gateway::node::{
    Cluster, Deployed, Drain, Life, Node, NodeInbox, Owed, Registry, Roads, Simulated, Stages,
    Wire, leave,
};
use gateway::observe::{AccessLog, Observe};
use gateway::pipeline::{Owner, Pipeline};
use gateway::websocket::head::Head;
use gateway::websocket::{Arrival, OutboxTerms, Proxies, WebSocketDoor};
use gateway_core::address::{ApiEntry, Directory};
use gateway_core::id::NodeId;
use gateway_core::live;
use gateway_core::resource::{Api, Integration, IntegrationType, Preset, Route, Stage};
use gateway_core::tenure::{OnIsolation, Terms};
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use turmoil::net::TcpListener;

use crate::backend::{self, BackendClient};
use crate::dice::Dice;
use crate::letters;
use crate::pusher::{self, Post};
use crate::roads::Link;
use crate::store::{LEASE, StoreClient};
use crate::world::{Running, World};

pub(crate) const PORT: u16 = 8000;
/// How long a node that leaves waits for its clients.
const DRAIN: Duration = Duration::from_secs(6);

/// The machine of one node; each time that it is started it is another process.
pub(crate) async fn host(world: Arc<World>, name: &'static str) -> turmoil::Result {
    let generation = {
        let mut shared = world.lock();
        shared.generations += 1;
        shared.generations
    };
    let mut dice = Dice::new(world.seed, &format!("{name} {generation}"));
    // Wall clocks are set by hand.
    let skew = dice.between(0, 120_000).cast_signed() - 60_000;
    let process = Process::start(dice.throw(), world.now(), skew);
    let living = live(world, name, process.clone());
    process.hold(living).await?;
    // What is left of it goes when its machine is switched off.
    std::future::pending().await
}

async fn live(world: Arc<World>, name: &'static str, process: Process) -> turmoil::Result {
    let observe = Arc::new(Observe::new(AccessLog::Off));
    let stages = stages(&observe);
    let store: Arc<dyn ConnectionStore> = Arc::new(StoreClient);
    let outbox: Arc<dyn Outbox> = Arc::new(StoreClient);
    let clock = Arc::new(StoreClock::new(env::uptime, env::wall()));
    let id = NodeId(env::random());
    let link = Link::new(id, Arc::clone(&clock));
    let roads: Arc<dyn Roads> = Arc::clone(&link) as Arc<dyn Roads>;
    let cluster = Cluster::new(Arc::clone(&store), Arc::clone(&outbox), roads, clock);
    let registry = Registry::shared(store, false);
    let node = Arc::new(Node::new(id, registry, Some(cluster)));
    let inbox = Arc::new(NodeInbox::default());
    inbox.open(&node);
    let running = Running {
        process,
        node: Arc::clone(&node),
        leaving: Arc::default(),
        left: Arc::default(),
    };
    world.lock().running.insert(name, running.clone());
    env::spawn(link.serve(inbox));

    let drain: Arc<Drain> = Arc::default();
    let owed = Arc::new(Owed::new(10_000));
    let http = HttpClient::new(&HttpClientConfig::default());
    let model = Arc::new(BackendClient(Arc::clone(&world)));
    let integrations = Integrations::new(http, LambdaEndpoints::default()).modelled(model);
    let door = Arc::new(WebSocketDoor {
        pipeline: Pipeline::new(
            integrations,
            Arc::clone(&observe),
            Arc::clone(&node),
            Owner::default(),
        ),
        node: Arc::clone(&node),
        stages: Arc::clone(&stages),
        observe: Arc::clone(&observe),
        drain: Arc::clone(&drain),
        owed: Arc::clone(&owed),
        max_connections: None,
        proxies: Proxies::default(),
    });
    let callback = Arc::new(CallbackDoor {
        node: Arc::clone(&node),
        stages,
        observe: Arc::clone(&observe),
        credentials: Arc::new([]),
    });
    let terms = Terms {
        lease: LEASE.as_millis() as u64,
        linked: true,
        on_isolation: OnIsolation::Hold,
    };
    let info = NodeInfo {
        id,
        hostname: name.to_owned(),
        version: String::new(),
        link: Some(name.to_owned()),
        started_at: env::wall(),
    };
    let life = loop {
        let begun = Life::begin(Arc::clone(&node), Arc::clone(&observe), info.clone(), terms);
        match begun.await {
            Ok(life) => break life,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    let renewing = env::spawn(life.run());
    let terms = OutboxTerms {
        rate: 200,
        max_age: Duration::from_hours(1),
    };
    env::spawn(Arc::clone(&door).empty_outbox(outbox, terms));
    env::spawn(accept(Arc::clone(&door)));
    env::spawn(letters::serve(pusher::PORT, move |post: Post| {
        answer_push(Arc::clone(&callback), post)
    }));
    wait_for(&running.leaving).await;

    drain.run(&node.sessions, DRAIN).await;
    let untold = owed.take_all();
    renewing.abort();
    let cluster = node.cluster.as_ref().expect("it has one");
    let mut left = false;
    for _ in 0..10 {
        left = leave(&node, cluster, &untold).await.is_ok();
        if left {
            break;
        }
    }
    if left {
        world.lock().running.remove(name);
    } else {
        world.killed(name);
    }
    running.left.store(true, Ordering::Relaxed);
    Ok(())
}

async fn wait_for(flag: &AtomicBool) {
    while !flag.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn stages(observe: &Observe) -> Arc<Stages> {
    let mut api = Api::new("chat", Preset::Open);
    api.limits.ping_interval = Some(Duration::from_secs(4));
    api.limits.pong_timeout = Duration::from_secs(3);
    api.limits.write_timeout = Duration::from_secs(3);
    api.integrations = vec![Integration {
        integration_uri: Some("http://backend/".to_owned()),
        timeout: backend::TIMEOUT,
        ..Integration::new("i", IntegrationType::HttpProxy)
    }];
    api.routes = ["$connect", "$default", "$disconnect"]
        .map(|key| Route {
            target: Some("integrations/i".to_owned()),
            ..Route::new(key)
        })
        .into();
    let stage = Stage {
        stage_name: "dev".to_owned(),
        ..Stage::default()
    };
    let live = live::compile(&api, &stage).expect("it is a good API");
    let directory = Directory {
        apis: vec![ApiEntry {
            api_id: "chat".into(),
            stages: vec!["dev".into()],
            disable_execute_api_endpoint: false,
        }],
        public_host: "gateway".into(),
        ..Directory::default()
    };
    let stages = Arc::new(Stages::default());
    let deployed = Deployed::new(live, "http://gateway/dev".to_owned(), &observe.metrics);
    stages.replace(directory, vec![deployed]);
    stages
}

/// The public port. What [`gateway::listen`] adds to it, budgets and TLS, needs real sockets.
async fn accept(door: Arc<WebSocketDoor>) -> std::io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let places = Arc::new(Semaphore::new(10_000));
    loop {
        let (stream, peer) = listener.accept().await?;
        let (door, places) = (Arc::clone(&door), Arc::clone(&places));
        env::spawn(async move {
            let local = stream.local_addr().ok()?;
            let (read, write) = stream.into_split();
            let mut socket = Wire::Simulated(Simulated::new(read, write));
            let mut bytes = Vec::new();
            let head = loop {
                let more = socket.read_buf(&mut bytes);
                let more = tokio::time::timeout(Duration::from_secs(2), more).await;
                if more.ok()?.ok()? == 0 {
                    return None;
                }
                if let Some(head) = Head::parse(&bytes).ok()? {
                    break head;
                }
            };
            let rest = bytes[head.length..].to_vec();
            let permit = places.acquire_owned().await.ok()?;
            let arrival = Arrival {
                socket,
                peer,
                local,
                head,
                rest,
                permit,
            };
            Box::pin(door.upgrade(arrival)).await;
            Some(())
        });
    }
}

async fn answer_push(callback: Arc<CallbackDoor>, post: Post) -> Option<u16> {
    let id = post.push.to.replace('=', "%3D");
    let mut request = http::Request::post(format!("/dev/@connections/{id}"))
        .header("host", "gateway")
        .body(())
        .ok()?;
    if let Some(name) = &post.name {
        let name = http::HeaderValue::from_str(name).ok()?;
        request.headers_mut().insert("idempotency-key", name);
    }
    let (parts, ()) = request.into_parts();
    let body = Bytes::from(pusher::text(&post.push));
    let request = CallbackRequest::new(&parts, body);
    let response = callback.answer(&request, false).await;
    Some(response.status().as_u16())
}
