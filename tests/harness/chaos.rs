//! A proxy between a node and what it talks to, which makes the trouble of networks: slow, sliced, silent, broken, garbled.
//!
//! It lives on a thread of its own, so that a busy test does not make trouble that nobody ordered.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Bytes that one read takes.
const CHUNK: usize = 16 * 1024;
/// Chunks that may be on their way, in each direction.
const UNDER_WAY: usize = 64;

/// How bad it is, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    /// How much later everything arrives.
    pub latency: Duration,
    /// Bytes a second.
    pub rate: Option<u32>,
    /// Bytes that are written at once.
    pub slice: Option<usize>,
    /// One bit is turned in every so many bytes of what the server says.
    pub flip: Option<usize>,
    /// Half-open: whoever connects is let in, nothing is passed on, and nobody is told. What was under way arrives once
    /// this is over, as it does on TCP.
    pub silent: bool,
    /// Whoever connects is reset at once.
    pub refusing: bool,
}

impl Weather {
    /// Half-open.
    pub fn silent() -> Self {
        Self {
            silent: true,
            ..Self::default()
        }
    }

    /// Nobody is let in.
    pub fn refusing() -> Self {
        Self {
            refusing: true,
            ..Self::default()
        }
    }
}

/// The proxy; its connections end with it.
#[derive(Debug)]
pub struct Chaos {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    /// Every change resets all connections.
    resets: watch::Sender<u32>,
    target: Arc<Mutex<SocketAddr>>,
    over: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Chaos {
    /// A proxy in fine weather, on a free port, that leads to `target`.
    pub fn before(target: SocketAddr) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        listener
            .set_nonblocking(true)
            .expect("a non-blocking socket");
        let weather = watch::Sender::new(Weather::default());
        let resets = watch::Sender::new(0);
        let target = Arc::new(Mutex::new(target));
        let (over, mut ended) = watch::channel(());
        let way = Way {
            weather: weather.subscribe(),
            resets: resets.subscribe(),
            target: target.clone(),
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, way) => {}
                    _ = ended.changed() => {}
                }
            });
        });
        Self {
            address,
            weather,
            resets,
            target,
            over: Some(over),
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the weather is this.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// From now on all is well.
    pub fn heal(&self) {
        self.set(Weather::default());
    }

    /// Resets every connection.
    pub fn reset(&self) {
        self.resets.send_modify(|count| *count += 1);
    }

    /// Leads whoever connects from now on somewhere else, and resets who is connected.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
        self.reset();
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Way {
    weather: watch::Receiver<Weather>,
    resets: watch::Receiver<u32>,
    target: Arc<Mutex<SocketAddr>>,
}

impl Way {
    fn now(&self) -> Weather {
        *self.weather.borrow()
    }

    /// Until it is not silent.
    async fn clear(&mut self) {
        let _ = self.weather.wait_for(|weather| !weather.silent).await;
    }
}

async fn serve(listener: StdListener, way: Way) {
    let listener = TcpListener::from_std(listener).expect("a listener of the runtime");
    while let Ok((client, _)) = listener.accept().await {
        if way.now().refusing {
            reset(&client);
            continue;
        }
        let way = way.clone();
        tokio::spawn(async move { carry(client, way).await });
    }
}

fn reset(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

async fn carry(mut client: TcpStream, mut way: Way) {
    let mut resets = way.resets.clone();
    resets.mark_unchanged();
    let target = *way.target.lock().unwrap_or_else(PoisonError::into_inner);
    let dialled = tokio::select! {
        server = async { way.clear().await; TcpStream::connect(target).await } => server,
        _ = resets.changed() => return reset(&client),
    };
    let Ok(mut server) = dialled else {
        return reset(&client);
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let was_reset = tokio::select! {
        // Either side's end is told to the other; whoever breaks breaks both.
        broken = async {
            tokio::try_join!(
                pump(from_client, to_server, way.clone(), false),
                pump(from_server, to_client, way, true),
            )
        } => broken.is_err(),
        _ = resets.changed() => true,
    };
    if was_reset {
        reset(&client);
        reset(&server);
    }
}

/// One direction, until its end was passed on.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut way: Way,
    answers: bool,
) -> std::io::Result<()> {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let mut before = way.clone();
    let reading = async move {
        loop {
            before.clear().await;
            let mut chunk = vec![0; CHUNK];
            let read = from.read(&mut chunk).await?;
            chunk.truncate(read);
            let due = Instant::now() + before.now().latency;
            if read == 0 || sender.send((due, chunk)).await.is_err() {
                return Ok(());
            }
        }
    };
    let writing = async move {
        let mut vandal = Vandal::default();
        while let Some((due, mut chunk)) = chunks.recv().await {
            tokio::time::sleep_until(due).await;
            way.clear().await;
            if let Some(every) = way.now().flip.filter(|_| answers) {
                vandal.spoil(&mut chunk, every);
            }
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                way.clear().await;
                let weather = way.now();
                let most = weather
                    .rate
                    .map_or(CHUNK, |rate| (rate / 50).max(1) as usize);
                let most = most.min(weather.slice.unwrap_or(CHUNK)).min(rest.len());
                to.write_all(&rest[..most]).await?;
                rest = &rest[most..];
                match weather.rate {
                    Some(rate) => {
                        let pause = most as f64 / f64::from(rate.max(1));
                        tokio::time::sleep(Duration::from_secs_f64(pause)).await;
                    }
                    None => tokio::task::yield_now().await,
                }
            }
        }
        way.clear().await;
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}

/// Turns bits at places that look random, other ones on each connection.
struct Vandal {
    state: u64,
    left: usize,
}

impl Default for Vandal {
    fn default() -> Self {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        Self {
            state: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            left: 0,
        }
    }
}

impl Vandal {
    fn draw(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn spoil(&mut self, bytes: &mut [u8], every: usize) {
        for byte in bytes {
            if self.left == 0 {
                // Half to one and a half times as far as the last.
                self.left = every / 2 + self.draw() as usize % every.max(1) + 1;
            }
            self.left -= 1;
            if self.left == 0 {
                *byte ^= 1 << (self.draw() % 8);
            }
        }
    }
}
