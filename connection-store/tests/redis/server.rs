//! Real Redis servers on free loopback ports, with their data in a folder of their own, ended by their process handle.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use redis::Value;
use tempfile::TempDir;

/// No two servers of one test run are given the same port, even if nobody listens there yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port on which nobody listens.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        if GIVEN.lock().expect("nobody panics with it").insert(port) {
            return port;
        }
    }
}

/// Waits until something is so.
///
/// # Panics
/// Where it is not so in time.
#[track_caller]
pub(crate) fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Another server of the same protocol, such as Valkey's, in place of the one of the `PATH`; it must know `--sentinel`.
const OTHER: &str = "WIREGATE_TEST_REDIS";

/// What is started, and with which first arguments.
fn program(sentinel: bool) -> (String, &'static [&'static str]) {
    match (std::env::var(OTHER), sentinel) {
        (Ok(other), false) => (other, &[]),
        (Ok(other), true) => (other, &["sentinel.conf", "--sentinel"]),
        (Err(_), false) => ("redis-server".to_owned(), &[]),
        (Err(_), true) => ("redis-sentinel".to_owned(), &["sentinel.conf"]),
    }
}

fn spawn(sentinel: bool, args: &[String], folder: &Path) -> Child {
    let (program, first) = program(sentinel);
    let log = std::fs::File::create(folder.join("log")).expect("the folder can be written");
    let spawned = Command::new(&program)
        .args(first)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(Stdio::null())
        .spawn();
    spawned.unwrap_or_else(|error| {
        panic!("{program} cannot be started ({error}): install it, as with apt-get install redis-server redis-sentinel")
    })
}

/// A server that can be killed and started again on the same port.
pub(crate) struct Server {
    /// Where it listens, with or without TLS.
    pub(crate) port: u16,
    args: Vec<String>,
    folder: TempDir,
    child: Child,
    /// How the harness itself reaches it.
    url: String,
}

impl Server {
    /// A plain one.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// One with more arguments.
    pub(crate) fn with(more: &[&str]) -> Self {
        let port = free_port();
        Self::on(port, &["--port", &port.to_string()], more, "")
    }

    /// One that asks for a password, which the harness itself uses, too.
    pub(crate) fn with_password(password: &str, more: &[&str]) -> Self {
        let port = free_port();
        let basic = ["--port", &port.to_string(), "--requirepass", password];
        Self::on(
            port,
            &basic,
            more,
            &format!(":{}@", utf8_percent_encode(password, NON_ALPHANUMERIC)),
        )
    }

    /// One that speaks TLS on `port`, and to the harness plainly on another.
    pub(crate) fn with_tls(port: u16, more: &[&str]) -> Self {
        let plain = free_port();
        let basic = [
            "--port",
            &plain.to_string(),
            "--tls-port",
            &port.to_string(),
        ];
        let mut server = Self::on(plain, &basic, more, "");
        server.port = port;
        server
    }

    /// On a port that was given out already.
    pub(crate) fn on(port: u16, basic: &[&str], more: &[&str], login: &str) -> Self {
        let fixed = [
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--enable-debug-command",
            "local",
            "--repl-diskless-sync-delay",
            "0",
        ];
        let args: Vec<String> = (fixed.iter().chain(basic).chain(more))
            .map(ToString::to_string)
            .collect();
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut server = Self {
            port,
            child: spawn(false, &args, folder.path()),
            args,
            folder,
            url: format!("redis://{login}127.0.0.1:{port}/"),
        };
        server.wait();
        server
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, empty.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(false, &self.args, self.folder.path());
        self.wait();
    }

    fn wait(&mut self) {
        let began = Instant::now();
        while self.try_command(&["PING"]).is_err() {
            let ended = self.child.try_wait().expect("it is ours");
            let log = || std::fs::read_to_string(self.folder.path().join("log"));
            assert!(ended.is_none(), "redis-server ended: {:?}", log());
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "redis-server does not answer: {:?}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn try_command(&self, words: &[&str]) -> redis::RedisResult<Value> {
        let client = redis::Client::open(self.url.as_str())?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(5))?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut connection)
    }

    /// Sends a command on a connection of its own.
    #[track_caller]
    pub(crate) fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let answer = self
            .try_command(words)
            .and_then(|answer| Ok(redis::from_redis_value(answer)?));
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// A line of INFO.
    #[track_caller]
    pub(crate) fn info(&self, name: &str) -> String {
        self.try_info(name).expect("INFO is answered")
    }

    /// The same, if it answers.
    pub(crate) fn try_info(&self, name: &str) -> Option<String> {
        let all = self.try_command(&["INFO", "all"]).ok()?;
        let all: String = redis::from_redis_value(all).ok()?;
        let lines = all.lines().filter_map(|line| line.split_once(':'));
        let found = lines
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
            .next();
        Some(found.unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three masters that share the slots.
pub(crate) struct Cluster {
    /// They.
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    /// Starts them and waits until each says that all is well.
    pub(crate) fn start() -> Self {
        Self::made_of(Server::with)
    }

    /// The same with TLS, also among themselves: else they would tell clients their plain ports.
    pub(crate) fn with_tls(tls: &[&str]) -> Self {
        Self::made_of(|more| {
            Server::with_tls(
                free_port(),
                &[more, &["--tls-cluster", "yes"], tls].concat(),
            )
        })
    }

    fn made_of(make: impl Fn(&[&str]) -> Server) -> Self {
        let start = |_| {
            // Its bus is port + 10000 where nothing else is said, which is no port above 55535.
            let bus = free_port().to_string();
            let more = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                "2000",
            ];
            (make(&more), bus)
        };
        let servers: Vec<_> = (0..3).map(start).collect();
        let slots = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for ((server, _), (first, last)) in servers.iter().zip(slots) {
            let _: Value = server.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        }
        for (other, bus) in &servers[1..] {
            let port = other.port.to_string();
            let _: Value = servers[0]
                .0
                .command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
        }
        let well = |server: &Server| {
            let info: String = server.command(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        until("the cluster is well", Duration::from_secs(30), || {
            servers.iter().all(|(server, _)| well(server))
        });
        Self {
            servers: servers.into_iter().map(|(server, _)| server).collect(),
        }
    }

    /// All of them.
    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self
            .servers
            .iter()
            .map(|server| format!("127.0.0.1:{}", server.port))
            .collect();
        format!("redis+cluster://{}", hosts.join(","))
    }
}

/// A master, its replica, and three sentinels who watch them.
pub(crate) struct Trio {
    /// Master at first.
    pub(crate) master: Server,
    /// Master later.
    pub(crate) replica: Server,
    sentinels: Vec<(Child, TempDir, u16)>,
}

impl Trio {
    /// Starts them and waits until every sentinel knows the others and the replica.
    pub(crate) fn start() -> Self {
        let master = Server::start();
        let port = master.port.to_string();
        let replica = Server::with(&["--replicaof", "127.0.0.1", &port]);
        until("the replica follows", Duration::from_secs(20), || {
            replica.info("master_link_status") == "up"
        });
        let sentinels = (0..3).map(|_| sentinel(&port)).collect();
        let trio = Self {
            master,
            replica,
            sentinels,
        };
        until(
            "the sentinels know each other",
            Duration::from_secs(30),
            || {
                trio.sentinels.iter().all(|(_, _, port)| {
                    let told = ask(*port);
                    told.contains("num-slaves 1") && told.contains("num-other-sentinels 2")
                })
            },
        );
        trio
    }

    /// All sentinels.
    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self
            .sentinels
            .iter()
            .map(|(_, _, port)| format!("127.0.0.1:{port}"))
            .collect();
        format!("redis+sentinel://{}/mymaster", hosts.join(","))
    }
}

/// What a sentinel says of the master.
fn ask(port: u16) -> String {
    let url = format!("redis://127.0.0.1:{port}/");
    let mut text = String::new();
    let connection = redis::Client::open(url).and_then(|client| client.get_connection());
    let Ok(mut connection) = connection else {
        return text;
    };
    let mut command = redis::cmd("SENTINEL");
    command.arg("MASTER").arg("mymaster");
    let told: redis::RedisResult<Vec<String>> = command.query(&mut connection);
    for pair in told.unwrap_or_default().chunks(2) {
        let _ = write!(text, "{} ", pair.join(" "));
    }
    text
}

impl Drop for Trio {
    fn drop(&mut self) {
        for (child, _, _) in &mut self.sentinels {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn sentinel(master: &str) -> (Child, TempDir, u16) {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let settings = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n"
    );
    let file = folder.path().join("sentinel.conf");
    std::fs::write(&file, settings).expect("the folder can be written");
    let child = spawn(true, &[], folder.path());
    (child, folder, port)
}
