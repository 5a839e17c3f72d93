//! What one order over the link costs: CPU time of both sides together, with one and with 64 under way.
//!
//! Both nodes share one thread, as a worker is one, so the thread's CPU time is all that there is but for the kernel's work on the other
//! core. `cargo bench -p connection-store`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connection_store::{ClusterKey, Inbox, LinkBus, LinkSettings, NodeBus, StoreClock};
use criterion::{Criterion, criterion_group, criterion_main};
use gateway_core::id::NodeId;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const ASKER: NodeId = NodeId([1; 6]);
const OWNER: NodeId = NodeId([2; 6]);

#[derive(Debug)]
struct Accepts;

impl Inbox for Accepts {
    fn receive(&self, _: NodeId, _: Bytes) -> Option<Bytes> {
        Some(Bytes::from_static(b"\0"))
    }
}

fn link(node: NodeId) -> LinkBus {
    let key = ClusterKey::new("0123456789abcdef0123456789abcdef").expect("is long enough");
    let clock = Arc::new(StoreClock::new(|| 0, 1_700_000_000_000));
    LinkBus::new(LinkSettings::new(node, key, clock, || [7; 32]))
}

/// Two nodes; the second one listens.
async fn pair() -> (Arc<LinkBus>, LinkBus) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("is bound").to_string();
    let (asker, owner) = (Arc::new(link(ASKER)), link(OWNER));
    owner.serve(listener, Arc::new(Accepts));
    asker.set_peers([(OWNER, address)]);
    (asker, owner)
}

/// This thread's CPU time so far.
fn cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    spent.try_into().expect("is not negative")
}

async fn ask(bus: Arc<LinkBus>, order: Bytes, times: u64) {
    for _ in 0..times {
        let answer = bus.request(&OWNER, order.clone(), Duration::from_secs(5));
        assert_eq!(answer.await.as_deref(), Ok(&b"\0"[..]));
    }
}

fn measure(runtime: &Runtime, under_way: u64, size: usize, times: u64) -> Duration {
    runtime.block_on(async {
        let (asker, _owner) = pair().await;
        let order = Bytes::from(vec![b'x'; size]);
        ask(Arc::clone(&asker), order.clone(), 1).await;
        let before = cpu();
        let each = times.div_ceil(under_way);
        let asking: Vec<_> = (0..under_way)
            .map(|_| tokio::spawn(ask(Arc::clone(&asker), order.clone(), each)))
            .collect();
        for asked in asking {
            asked.await.expect("is answered");
        }
        let spent = cpu().saturating_sub(before);
        // As many as were really asked, so that the figure is for one.
        spent.mul_f64(times as f64 / (each * under_way) as f64)
    })
}

fn orders(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    let mut group = criterion.benchmark_group("order over the link, CPU of both sides");
    for (under_way, size) in [(1, 150), (64, 150), (64, 4096), (8, 128 * 1024)] {
        group.bench_function(format!("{size} bytes, {under_way} under way"), |bencher| {
            bencher.iter_custom(|times| measure(&runtime, under_way, size, times));
        });
    }
    group.finish();
}

criterion_group!(benches, orders);
criterion_main!(benches);
