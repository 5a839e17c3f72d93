//! The binary under test: started with a configuration, spoken to over its sockets, stopped by its pid.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Client, Handshake, HttpAnswer, Redis, Request, within};

/// The longest start of an unoptimized binary on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How a process ended.
#[derive(Debug, Clone)]
pub struct Exit {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// All it wrote to stdout.
    pub stdout: String,
    /// All it wrote to stderr.
    pub stderr: String,
}

/// What the nodes of a test know and nobody else.
const SECRET: &str = "the secret of nodes that are tested";
const MANAGEMENT_URL: &str = "WIREGATE_MANAGEMENT_URL";

/// How the binary is to be started.
#[derive(Debug, Clone)]
pub struct GatewayCommand {
    binary: PathBuf,
    yaml: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    listen: String,
    management_listen: String,
    open_files: Option<u32>,
    data_dir: Option<PathBuf>,
    /// `wiregate dev` in this folder.
    dev: Option<PathBuf>,
}

impl GatewayCommand {
    /// `binary` (`WIREGATE_BIN` stands over it) with that configuration file.
    pub fn new(binary: &str, yaml: &str) -> Self {
        let binary = std::env::var("WIREGATE_BIN").unwrap_or_else(|_| binary.to_owned());
        Self {
            binary: binary.into(),
            yaml: yaml.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            listen: "127.0.0.1:0".to_owned(),
            management_listen: "127.0.0.1:0".to_owned(),
            open_files: None,
            data_dir: None,
            dev: None,
        }
    }

    /// `wiregate dev` in that folder, for what it finds there; what it keeps, it keeps in a folder that ends with it.
    pub fn dev(binary: &str, folder: &Path) -> Self {
        Self {
            dev: Some(folder.to_owned()),
            ..Self::new(binary, "")
        }
    }

    /// Adds an argument after those that set configuration and listeners.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Listens for clients elsewhere than at 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Listens for operators elsewhere than at 127.0.0.1.
    #[must_use]
    pub fn management_listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.management_listen);
        self
    }

    /// Keeps its data there, where another one may find them, instead of in a directory that ends with it.
    #[must_use]
    pub fn data_dir(mut self, folder: &Path) -> Self {
        self.data_dir = Some(folder.to_owned());
        self
    }

    /// Limits its open files, as `ulimit -n` does.
    #[must_use]
    pub fn open_files(mut self, limit: u32) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// One of several nodes: the store that they share, a secret, and a link to each other, unless `TESTS_ROAD` is `redis`.
    #[must_use]
    pub fn node_of(self, store: &str) -> Self {
        let node = self
            .env("WIREGATE_STORE", store)
            .env("WIREGATE_CLUSTER_SECRET", SECRET);
        if std::env::var("TESTS_ROAD").as_deref() == Ok("redis") {
            return node;
        }
        node.env("WIREGATE_NODE_LISTEN", "127.0.0.1:0")
    }

    /// Starts it, or where `TESTS_NODES` is 2, two nodes of which clients come to the first, and backends and operators
    /// to the second.
    pub async fn start_all(self) -> Gateway {
        if std::env::var("TESTS_NODES").as_deref() != Ok("2") {
            return self.start().await;
        }
        let command = self.node_of(&Redis::database().await);
        let second = command.clone().start().await;
        let url = format!("http://{}", second.management);
        let given = command.env.iter().any(|(name, _)| name == MANAGEMENT_URL);
        let command = if given {
            command
        } else {
            command.env(MANAGEMENT_URL, &url)
        };
        let mut first = command.start().await;
        first.second = Some(Box::new(second));
        first
    }

    /// Starts it and waits until it answers; fails the test if it ends instead.
    pub async fn start(self) -> Gateway {
        match self.try_start().await {
            Ok(gateway) => gateway,
            Err(exit) => panic!("the gateway did not start: {exit:#?}"),
        }
    }

    /// Starts it and waits until it answers, or ends.
    pub async fn try_start(self) -> Result<Gateway, Exit> {
        let directory = TempDir::new().expect("a directory for the gateway");
        let config = directory.path().join("wiregate.yaml");
        fs::write(&config, &self.yaml).expect("a configuration file");
        let mut command = self.command(directory.path(), &config);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()));
        let stdout = Lines::of(child.stdout.take().expect("a piped stdout"));
        let stderr = Lines::of(child.stderr.take().expect("a piped stderr"));
        let mut gateway = Gateway {
            child,
            config,
            directory,
            stdout,
            stderr,
            public: ([127, 0, 0, 1], 0).into(),
            management: ([127, 0, 0, 1], 0).into(),
            started: Instant::now(),
            second: None,
        };
        let ready = within(
            START_LIMIT,
            "the line that begins with `ready`",
            async || {
                if let Some(exit) = gateway.exited() {
                    return Some(Err(exit));
                }
                gateway.stdout.ready().map(Ok)
            },
        )
        .await?;
        gateway.public = address(&ready, "public");
        gateway.management = address(&ready, "management");
        Ok(gateway)
    }

    fn command(&self, directory: &Path, config: &Path) -> Command {
        let mut command = match self.open_files {
            None => Command::new(&self.binary),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
                shell.arg(&self.binary);
                shell
            }
        };
        if let Some(folder) = &self.dev {
            command.arg("dev").current_dir(folder);
            command.env("XDG_STATE_HOME", directory.join("state"));
            // What functions would be told of this machine's own.
            for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
                command.env_remove(name);
            }
        } else {
            command.arg("serve").arg("--config").arg(config);
            let own = directory.join("data");
            let data_dir = self.data_dir.as_deref().unwrap_or(&own);
            command.arg("--data-dir").arg(data_dir);
            command.current_dir(directory);
        }
        command.args(["--listen", &self.listen]);
        command.args(["--management-listen", &self.management_listen]);
        command.args(&self.args);
        for (name, _) in std::env::vars() {
            if name.starts_with("WIREGATE_") {
                command.env_remove(name);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Runs `wiregate check FILE` on that text.
pub fn check(binary: &str, yaml: &str) -> Exit {
    let binary = std::env::var("WIREGATE_BIN").unwrap_or_else(|_| binary.to_owned());
    let directory = TempDir::new().expect("a directory for the file");
    let config = directory.path().join("wiregate.yaml");
    fs::write(&config, yaml).expect("a configuration file");
    let output = Command::new(binary)
        .arg("check")
        .arg(&config)
        .current_dir(directory.path())
        .output()
        .expect("the binary runs");
    Exit {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A running gateway; killed when dropped, and its output shown if the test failed.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    config: PathBuf,
    directory: TempDir,
    stdout: Lines,
    stderr: Lines,
    public: SocketAddr,
    management: SocketAddr,
    started: Instant,
    /// Another node, to which whoever is no client goes.
    second: Option<Box<Gateway>>,
}

impl Gateway {
    /// The clients' listener.
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// The operators' listener.
    pub fn management(&self) -> SocketAddr {
        self.second
            .as_ref()
            .map_or(self.management, |second| second.management)
    }

    /// `ws://public{path}`.
    pub fn ws_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.public)
    }

    /// The directory it runs in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// An upgrade request to the clients' listener.
    pub fn handshake(&self, path: &str) -> Handshake {
        Handshake::to(self.public, path)
    }

    /// An open socket.
    pub async fn connect(&self, path: &str) -> Client {
        self.handshake(path).open().await
    }

    /// `POST /dev/@connections/{id}` on the operators' listener.
    pub async fn push(&self, id: &str, body: impl AsRef<[u8]>) -> HttpAnswer {
        self.push_request(id, body).send().await
    }

    /// The same before it is sent.
    pub fn push_request(&self, id: &str, body: impl AsRef<[u8]>) -> Request {
        Request::post(self.management(), &callback(id), body)
    }

    /// `GET /dev/@connections/{id}` on the operators' listener.
    pub async fn connection(&self, id: &str) -> HttpAnswer {
        Request::get(self.management(), &callback(id)).send().await
    }

    /// `DELETE /dev/@connections/{id}` on the operators' listener.
    pub async fn delete(&self, id: &str) -> HttpAnswer {
        Request::delete(self.management(), &callback(id))
            .send()
            .await
    }

    /// Replaces its configuration file in one step, as editors and deployments do.
    pub fn rewrite(&self, yaml: &str) {
        let next = self.config.with_extension("next");
        fs::write(&next, yaml).expect("a new configuration file");
        fs::rename(&next, &self.config).expect("the new file takes the old one's place");
    }

    /// Its process id, for a script that ends it.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.child.id())])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Waits for its end; fails the test if it does not come.
    pub async fn wait_exit(&mut self, limit: Duration) -> Exit {
        within(limit, "the end of the process", async || self.exited()).await
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Option<Exit> {
        let status = self.child.try_wait().expect("the process is ours")?;
        self.stdout.wait_for_end();
        self.stderr.wait_for_end();
        Some(Exit {
            code: status.code(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        })
    }

    /// All it wrote so far, stdout before stderr.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout.text(), self.stderr.text())
    }

    /// All it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Its log so far: all it wrote to stderr.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// The value of the metric lines whose name begins so, added up; `None` if there are none.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let page = Request::get(self.management, "/metrics")
            .send()
            .await
            .text();
        let values: Vec<f64> = page
            .lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Resident memory that is its own, bytes: without the code of the program, of which more becomes resident with each thing it does.
    pub fn memory(&self) -> u64 {
        let status = self.proc("status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kib.expect("the kernel knows the process") * 1024
    }

    /// Processor time used so far.
    pub fn processor_time(&self) -> Duration {
        let stat = self.proc("stat");
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        // USER_HZ is 100 on every Linux that Rust runs on.
        Duration::from_millis(ticks * 10)
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "---- the gateway, {:?} after its start\n{}----",
                self.started.elapsed(),
                self.output()
            );
        }
    }
}

fn is_ready(line: &str) -> bool {
    line.starts_with("ready") || line.contains("\"kind\":\"ready\"")
}

fn callback(id: &str) -> String {
    format!("/dev/@connections/{}", id.replace('=', "%3D"))
}

fn address(ready: &str, name: &str) -> SocketAddr {
    // `public=127.0.0.1:8080`, or as a member of a JSON object.
    let member = format!("\"{name}\":\"");
    let value = ready
        .split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        .or_else(|| ready.split_once(&member)?.1.split('"').next());
    let mut address: SocketAddr = value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no address `{name}=` in: {ready}"));
    // Bound to every address, it is reached by loopback.
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    address
}

/// What a process writes, collected by a thread so that its pipe never fills.
#[derive(Debug)]
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = lines.clone();
        let reader = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.read_until(b'\n', &mut line), Ok(count) if count > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                sink.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(text);
                line.clear();
            }
        });
        Self {
            lines,
            reader: Some(reader),
        }
    }

    fn ready(&self) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = lines
            .iter()
            .find(|line| is_ready(line) && line.ends_with('\n'));
        ready.cloned()
    }

    fn text(&self) -> String {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .concat()
    }

    fn wait_for_end(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
