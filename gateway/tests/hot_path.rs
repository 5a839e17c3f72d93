//! How often the whole gateway asks for memory: for a routed message, and for a push.
//!
//! It runs inside this process, on threads of its own; the client and the backend are threads that do not count.
#![allow(
    unsafe_code,
    reason = "a global allocator can be written in no other way; this one only counts"
)]
#![allow(
    clippy::unwrap_used,
    reason = "all of this is a test: what goes wrong is to fail it"
)]

#[path = "../../gateway-core/benches/shared/allocator.rs"]
mod allocator;

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use allocator::Counting;
use gateway::app::{self, Sources};

/// Calls before counting: pools and tables have their size then.
const WARM_UP: usize = 300;
const COUNTED: usize = 1000;
const MESSAGE: &str =
    r#"{"action":"send","text":"as long as the messages of the load tool, nearly a hundred"}"#;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Constant and without a destructor, so that reaching it never allocates.
    static COUNTS: Cell<bool> = const { Cell::new(true) };
}

fn count() {
    if COUNTS.get() {
        TAKEN.fetch_add(1, Ordering::Relaxed);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting(count);

#[test]
fn a_routed_message_and_a_push_ask_for_memory_within_bounds() {
    COUNTS.set(false);
    let (ids, seen) = channel();
    let backend = start_backend(ids);
    let (public, management) = (free_port(), free_port());
    start_gateway(backend, public, management);

    let mut client = connect(public);
    let id = seen.recv().unwrap();
    check("a routed message with its reply", 12, || {
        client.write_all(&frame(MESSAGE)).unwrap();
        read_frame(&mut client);
    });

    let mut poster = TcpStream::connect(management).unwrap();
    let length = MESSAGE.len();
    let post = format!(
        "POST /dev/@connections/{id} HTTP/1.1\r\nHost: {management}\r\nContent-Length: {length}\r\n\r\n{MESSAGE}"
    );
    check("a push on a kept connection", 11, || {
        poster.write_all(post.as_bytes()).unwrap();
        assert!(read_head(&mut poster).starts_with("HTTP/1.1 200"));
        read_frame(&mut client);
    });
}

#[track_caller]
fn check(what: &str, most: usize, mut call: impl FnMut()) {
    (0..WARM_UP).for_each(|_| call());
    let before = TAKEN.load(Ordering::Relaxed);
    (0..COUNTED).for_each(|_| call());
    let taken = (TAKEN.load(Ordering::Relaxed) - before) as f64 / COUNTED as f64;
    println!("{taken:>5.1} of at most {most}  {what}");
    assert!(
        taken <= most as f64,
        "{what}: {taken} allocations, {most} are allowed"
    );
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn start_gateway(backend: SocketAddr, public: SocketAddr, management: SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wiregate.yaml");
    let text = format!(
        "server: {{ listen: '{public}', managementListen: '{management}', workers: 1, watch: false }}
apis:
  chat:
    routes:
      $connect: http://{backend}/
      send: {{ integration: 'http://{backend}/', routeResponseSelectionExpression: $default }}
"
    );
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    let read = sources.read().unwrap();
    std::thread::spawn(move || app::run(read, sources));
}

/// A client whose `$connect` the backend has taken.
fn connect(to: SocketAddr) -> TcpStream {
    let mut attempts = 0;
    let mut client = loop {
        match TcpStream::connect(to) {
            Ok(client) => break client,
            Err(_) if attempts < 500 => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => panic!("the gateway does not listen: {error}"),
        }
        attempts += 1;
    };
    client.set_nodelay(true).unwrap();
    let handshake = format!(
        "GET /dev HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    client.write_all(handshake.as_bytes()).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101"));
    client
}

/// A text frame whose mask is all zeros, so that its payload stands as it is.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}

fn read_frame(client: &mut TcpStream) {
    let mut head = [0; 2];
    client.read_exact(&mut head).unwrap();
    assert_eq!(head, [0x81, MESSAGE.len() as u8]);
    let mut payload = [0; 125];
    client.read_exact(&mut payload[..MESSAGE.len()]).unwrap();
}

fn read_head(stream: &mut TcpStream) -> String {
    try_read_head(stream).expect("an answer")
}

/// `None` at the end of the connection.
fn try_read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).ok()
}

/// Answers every request with its body, and tells the connection's id with the first.
fn start_backend(ids: Sender<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        COUNTS.set(false);
        for stream in listener.incoming() {
            let (mut stream, ids) = (stream.unwrap(), ids.clone());
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                COUNTS.set(false);
                answer(&mut stream, &ids);
            });
        }
    });
    address
}

fn answer(stream: &mut TcpStream, ids: &Sender<String>) {
    while let Some(head) = try_read_head(stream) {
        let value = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let _ = ids.send(value("x-wiregate-connection-id").unwrap().to_owned());
        let mut body = vec![0; value("content-length").map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream
            .write_all(&[answer.as_bytes(), &body].concat())
            .unwrap();
    }
}
