//! Wiregate as a subject of `function`: one handler, once as a Lambda function that the gateway runs itself, once as a plain HTTP
//! server behind an `HTTP_PROXY` route.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;

use super::server::{Folder, Process, Server};
use super::{Launch, peer, wiregate};
use crate::error::LoadError;
use crate::measure::processes;

const NODE: &str = include_str!("../../handlers/app.mjs");
const PYTHON: &str = include_str!("../../handlers/app.py");
/// The handler in Rust, built with this program.
const RUST: &str = "load-handler";

/// What an HTTP server gets of our environment, as a worker does: a variable such as `NODE_EXTRA_CA_CERTS` would make its start slower.
const INHERITED: [&str; 3] = ["HOME", "LANG", "PATH"];

/// The route, and function, of one worker.
pub(crate) const ONE: &str = "one";
/// The same with as many workers as a function has by default.
pub(crate) const MANY: &str = "many";

/// The route of a handler that nothing has started yet.
pub(crate) fn cold(number: usize) -> String {
    format!("cold-{number}")
}

/// What a handler is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// Node.js.
    Node,
    /// Python, whichever `python3` is.
    Python,
    /// Rust, as `bootstrap` of a `provided` runtime.
    Rust,
}

/// The handler of a scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handler {
    /// What it is written in.
    pub(crate) runtime: Runtime,
    /// How many routes lead to one that nothing has started yet.
    pub(crate) cold: usize,
}

/// HTTP servers that answer as the handler does. The first of them runs, and has all routes but the cold ones.
#[derive(Debug)]
pub(crate) struct HttpHandlers {
    program: PathBuf,
    arguments: Vec<PathBuf>,
    ports: Vec<u16>,
    cores: Vec<usize>,
    running: Vec<Process>,
}

/// Says what is missing.
pub(super) fn check(launch: &Launch) -> Result<(), LoadError> {
    wiregate::find(launch)?;
    rust(launch).map(drop)
}

/// Starts the gateway with the handler as Lambda functions.
pub(super) fn start(launch: &Launch, handler: Handler) -> Result<Server, LoadError> {
    let folder = Folder::new()?;
    put(launch, handler.runtime, folder.path())?;
    let identifier = match handler.runtime {
        Runtime::Node => "nodejs20.x".to_owned(),
        Runtime::Python => format!("python{}", python("'%d.%d' % sys.version_info[:2]")?),
        Runtime::Rust => "provided.al2023".to_owned(),
    };
    serve(launch, folder, &of_functions(&identifier, handler.cold))
}

/// Starts the gateway with routes to the handler as an HTTP server, and that server.
pub(super) fn start_http(
    launch: &Launch,
    handler: Handler,
) -> Result<(Server, HttpHandlers), LoadError> {
    let folder = Folder::new()?;
    let app = put(launch, handler.runtime, folder.path())?;
    let (program, arguments) = match handler.runtime {
        Runtime::Node => (peer::program("node")?, vec![app]),
        Runtime::Python => (PathBuf::from(python("sys.executable")?), vec![app]),
        Runtime::Rust => (app, Vec::new()),
    };
    let mut handlers = HttpHandlers {
        program,
        arguments,
        ports: peer::free_ports(handler.cold + 1)?,
        cores: launch.cores.clone(),
        running: Vec::new(),
    };
    let first = handlers.start(handlers.ports[0])?;
    handlers.running.push(first);
    let backends: Vec<SocketAddr> = handlers.ports.iter().copied().map(peer::local).collect();
    let server = serve(launch, folder, &of_backends(&backends))?;
    Ok((server, handlers))
}

impl HttpHandlers {
    /// Starts the server of a cold route; it listens when this comes back.
    pub(crate) fn start_cold(&self, number: usize) -> Result<Process, LoadError> {
        self.start(self.ports[number + 1])
    }

    /// Processes of the server that is not cold.
    pub(super) fn pids(&self) -> Result<Vec<u32>, LoadError> {
        let mut pids = Vec::new();
        for process in &self.running {
            pids.extend(processes::family(process.id())?);
        }
        Ok(pids)
    }

    fn start(&self, port: u16) -> Result<Process, LoadError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg("http");
        command.arg(port.to_string());
        command.env_clear();
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::start(command, &self.cores)?;
        let stdout = process.child().stdout.take();
        // Its one line, or its end.
        let line = stdout.and_then(|stdout| BufReader::new(stdout).lines().next()?.ok());
        if line.as_deref() == Some("ready") {
            return Ok(process);
        }
        Err(LoadError::Trial(format!(
            "{} ended before it was ready",
            self.program.display()
        )))
    }
}

fn serve(launch: &Launch, folder: Folder, settings: &str) -> Result<Server, LoadError> {
    let file = folder.path().join("wiregate.yaml");
    fs::write(&file, settings).map_err(LoadError::system("cannot write wiregate.yaml"))?;
    let mut command = Command::new(wiregate::find(launch)?);
    // The rest stays: node, Python and pip are found and told by it.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WIREGATE_") {
            command.env_remove(name);
        }
    }
    command.arg("serve").arg("--config").arg(&file);
    command.args(["--listen", "127.0.0.1:0"]);
    command.args(["--management-listen", "127.0.0.1:0"]);
    Server::start(command, &launch.cores, folder)
}

/// Puts the handler into `folder`, as a function's code.
fn put(launch: &Launch, runtime: Runtime, folder: &Path) -> Result<PathBuf, LoadError> {
    let (name, text) = match runtime {
        Runtime::Node => ("app.mjs", NODE),
        Runtime::Python => ("app.py", PYTHON),
        Runtime::Rust => {
            let file = folder.join("bootstrap");
            symlink(rust(launch)?, &file).map_err(LoadError::system("cannot link bootstrap"))?;
            return Ok(file);
        }
    };
    let file = folder.join(name);
    fs::write(&file, text).map_err(LoadError::system(format!("cannot write {name}")))?;
    Ok(file)
}

/// Beside the gateway's binary, as Cargo puts both.
fn rust(launch: &Launch) -> Result<PathBuf, LoadError> {
    let file = launch.wiregate.with_file_name(RUST);
    file.canonicalize().map_err(|_| {
        LoadError::Usage(format!(
            "there is no {}: build it with `cargo build --release -p loadtest`",
            file.display()
        ))
    })
}

/// What `python3` says of itself.
fn python(what: &str) -> Result<String, LoadError> {
    let output = Command::new("python3")
        .args(["-c", &format!("import sys; print({what})")])
        .output()
        .map_err(LoadError::system("cannot ask python3"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if text.is_empty() {
        return Err(LoadError::Usage("python3 does not work here".to_owned()));
    }
    Ok(text)
}

fn of_functions(identifier: &str, cold: usize) -> String {
    let mut functions = String::new();
    let mut routes = String::new();
    let colds = (0..cold).map(|number| (self::cold(number), ", maxWorkers: 1"));
    let warm = [(ONE.to_owned(), ", maxWorkers: 1"), (MANY.to_owned(), "")];
    for (name, limit) in warm.into_iter().chain(colds) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            functions,
            "    {name}: {{ codeUri: ., runtime: {identifier}, handler: app.handler, timeout: 20s{limit} }}"
        );
        let uri = format!("arn:aws:lambda:us-east-1:123456789012:function:{name}");
        routes.push_str(&two_way(&name, &uri));
    }
    format!(
        "server: {{ watch: false }}\nlambda:\n  functions:\n{functions}apis:\n  load:\n    routes:\n{routes}"
    )
}

/// The first has all routes but the cold ones, which have one each.
fn of_backends(backends: &[SocketAddr]) -> String {
    let mut routes = String::new();
    let proxy = |backend: SocketAddr| {
        format!("{{ integrationType: HTTP_PROXY, integrationUri: \"http://{backend}/\" }}")
    };
    for (number, backend) in backends.iter().enumerate() {
        let names = match number.checked_sub(1) {
            None => vec![ONE.to_owned(), MANY.to_owned()],
            Some(number) => vec![cold(number)],
        };
        for name in names {
            routes.push_str(&two_way(&name, &proxy(*backend)));
        }
    }
    format!("server: {{ watch: false }}\napis:\n  load:\n    routes:\n{routes}")
}

fn two_way(route: &str, integration: &str) -> String {
    format!(
        "      {route}:\n        integration: {integration}\n        routeResponseSelectionExpression: $default\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(settings: &str, expected: &[&str]) {
        for line in expected {
            assert!(
                settings.lines().any(|other| other.trim() == *line),
                "{line}\n{settings}"
            );
        }
        let routes = settings.matches("routeResponseSelectionExpression: $default");
        assert_eq!(routes.count(), 4);
    }

    #[test]
    fn every_function_has_a_route_and_one_of_them_the_usual_number_of_workers() {
        check(
            &of_functions("nodejs20.x", 2),
            &[
                "one: { codeUri: ., runtime: nodejs20.x, handler: app.handler, timeout: 20s, maxWorkers: 1 }",
                "many: { codeUri: ., runtime: nodejs20.x, handler: app.handler, timeout: 20s }",
                "cold-1: { codeUri: ., runtime: nodejs20.x, handler: app.handler, timeout: 20s, maxWorkers: 1 }",
                "integration: arn:aws:lambda:us-east-1:123456789012:function:cold-1",
            ],
        );
    }

    #[test]
    fn cold_routes_have_backends_of_their_own() {
        let backends = [1, 2, 3].map(peer::local);
        let settings = of_backends(&backends);
        let to = |port: u16| {
            format!(
                "integration: {{ integrationType: HTTP_PROXY, integrationUri: \"http://127.0.0.1:{port}/\" }}"
            )
        };
        check(
            &settings,
            &[
                "one:",
                "many:",
                "cold-0:",
                "cold-1:",
                &to(1),
                &to(2),
                &to(3),
            ],
        );
        assert_eq!(settings.matches(&to(1)).count(), 2);
    }
}
