//! A real `redis-server` on a free port, its data in a directory of its own, ended by its pid.

use std::io::BufRead;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::within;

/// Databases of a server that tests share, one for each gateway or group of gateways.
const DATABASES: u32 = 4096;

/// Starts the server, says its pid, and ends it once nobody holds the other end of stdin: also where the tests were killed, or
/// end with the server in a static.
const GUARD: &str = "redis-server \"$@\" >/dev/null & echo $!; cat >/dev/null; kill -9 $!";

/// A running Redis; killed when dropped.
#[derive(Debug)]
pub struct Redis {
    /// The shell that watches over it.
    guard: Child,
    process: u32,
    address: SocketAddr,
    directory: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        let directory = TempDir::new().expect("a directory for Redis");
        let address = free_address();
        let redis = Self::spawn(address, directory);
        redis.wait().await;
        redis
    }

    /// The URL of a database that nobody else has, on a server that all tests of this process share.
    pub async fn database() -> String {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let redis = SHARED.get_or_init(|| {
            let directory = TempDir::new().expect("a directory for Redis");
            Redis::spawn(free_address(), directory)
        });
        redis.wait().await;
        let database = (NEXT.fetch_add(1, Ordering::Relaxed) % DATABASES).to_string();
        // As in a store that has been there for long: a node that it does not know does not exist.
        let born = ["SELECT", &database, "SET", "wg:{cluster}:boot", "1"];
        let (select, set) = born.split_at(2);
        commands(redis.address, &[select, set])
            .await
            .expect("Redis takes a key");
        format!("redis://{}/{database}", redis.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `redis://address`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Ends it as a crash would: nothing is saved.
    pub fn kill(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }

    /// Starts it again at the same address, empty.
    pub async fn restart(&mut self) {
        self.kill();
        (self.guard, self.process) = spawn(self.address, &self.directory);
        self.wait().await;
    }

    fn spawn(address: SocketAddr, directory: TempDir) -> Self {
        let (guard, process) = spawn(address, &directory);
        Self {
            guard,
            process,
            address,
            directory,
        }
    }

    /// Sends a command and returns the answer as `redis-cli` would show its lines, arrays one element a line.
    pub async fn command(&self, words: &[&str]) -> Vec<String> {
        let answer = command(self.address, words).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    async fn wait(&self) {
        let limit = Duration::from_secs(10);
        let what =
            "an answer of redis-server (tests/run installs it, or: apt-get install redis-server)";
        within(limit, what, async || {
            command(self.address, &["PING"]).await.ok()
        })
        .await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody has at this moment.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

fn spawn(address: SocketAddr, directory: &TempDir) -> (Child, u32) {
    let mut command = Command::new("sh");
    command.args(["-c", GUARD, "sh"]);
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--port", &address.port().to_string()]);
    command.args(["--databases", &DATABASES.to_string()]);
    command.args(["--enable-debug-command", "local", "--loglevel", "warning"]);
    command.arg("--dir").arg(directory.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut guard = command.spawn().expect("sh starts");
    let stdout = guard.stdout.take().expect("a piped stdout");
    let mut line = String::new();
    let read = std::io::BufReader::new(stdout).read_line(&mut line);
    let process = line.trim().parse();
    let process = read.ok().and(process.ok()).expect("a process id");
    (guard, process)
}

async fn command(address: SocketAddr, words: &[&str]) -> std::io::Result<Vec<String>> {
    commands(address, &[words]).await
}

/// Several commands on one connection; the answers' lines one after the other.
async fn commands(address: SocketAddr, commands: &[&[&str]]) -> std::io::Result<Vec<String>> {
    let mut socket = BufReader::new(TcpStream::connect(address).await?);
    let bulk = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    let array = |words: &&[&str]| {
        let words_text: Vec<_> = words.iter().map(bulk).collect();
        format!("*{}\r\n{}", words.len(), words_text.concat())
    };
    let request: Vec<_> = commands.iter().map(array).collect();
    let request = request.concat();
    socket.write_all(request.as_bytes()).await?;
    let mut lines = Vec::new();
    let mut left = commands.len();
    while left > 0 {
        left -= 1;
        let mut line = String::new();
        socket.read_line(&mut line).await?;
        let (kind, rest) = line.trim_end().split_at_checked(1).unwrap_or_default();
        match kind {
            "*" => left += rest.parse::<usize>().unwrap_or(0),
            "$" => {
                if let Ok(length) = rest.parse::<usize>() {
                    let mut bytes = vec![0; length + 2];
                    socket.read_exact(&mut bytes).await?;
                    bytes.truncate(length);
                    lines.push(String::from_utf8_lossy(&bytes).into_owned());
                } else {
                    lines.push(String::new());
                }
            }
            "-" => return Err(std::io::Error::other(rest.to_owned())),
            _ => lines.push(rest.to_owned()),
        }
    }
    Ok(lines)
}
