//! Lambda functions that the gateway runs itself: on the host alone, where each end of a call is seen whole, and behind a socket.

mod api;
mod crash;
mod fallback;
mod load;
mod node;
mod provided;
mod sdk;
mod socket;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gateway::functions::{FunctionHost, HostSettings, Invocation, InvokeError, Invoked, Tools};
use gateway_core::lambda_arn::LambdaTarget;
use gateway_core::resource::{Function, Runtime};
use harness::within;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::app::BINARY;

/// The longest that a caller waits, where a test does not say.
const WAIT: Duration = Duration::from_secs(29);
/// Names the processes of a test among all of the machine.
const MARK: &str = "WIREGATE_TEST_MARK";

/// A host of functions whose code is written by the test.
pub(crate) struct Bench {
    pub(crate) host: Arc<FunctionHost>,
    pub(crate) folder: TempDir,
    pub(crate) mark: String,
}

impl Bench {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut HostSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mark = new_mark();
        let mut settings = HostSettings {
            environment: BTreeMap::from([(MARK.to_owned(), mark.clone())]),
            tools: Tools {
                cache: folder.path().join("cache"),
                keeper: BINARY.into(),
                ..Tools::default()
            },
            ..HostSettings::default()
        };
        change(&mut settings);
        Self {
            host: FunctionHost::start(settings).unwrap(),
            folder,
            mark,
        }
    }

    /// A function with these files; `name` also names its folder.
    pub(crate) fn function(
        &self,
        name: &str,
        runtime: &str,
        handler: &str,
        files: &[(&str, &str)],
    ) -> Function {
        let code = self.folder.path().join(name);
        write_code(&code, files);
        Function {
            version: "$LATEST".to_owned(),
            name: name.to_owned(),
            runtime: Runtime::parse(runtime).unwrap(),
            handler: handler.to_owned(),
            code,
            timeout: Duration::from_secs(20),
            memory_mib: 128,
            environment: BTreeMap::new(),
            max_workers: None,
            aliases: Vec::new(),
        }
    }

    /// A Node.js function in `app.js`.
    pub(crate) fn node(&self, name: &str, code: &str) -> Function {
        self.function(name, "nodejs20.x", "app.handler", &[("app.js", code)])
    }

    /// A runtime of its own, in Python on the module `rapi`.
    pub(crate) fn provided(&self, name: &str, code: &str) -> Function {
        let bootstrap = format!("#!{}\nfrom rapi import *\n{code}", python().display());
        let files = [("bootstrap", bootstrap.as_str()), ("rapi.py", RAPI)];
        self.function(name, "provided.al2023", "", &files)
    }

    pub(crate) async fn call(&self, name: &str, event: Value) -> Result<Invoked, InvokeError> {
        self.call_within(name, event, WAIT).await
    }

    pub(crate) async fn call_within(
        &self,
        name: &str,
        event: Value,
        wait: Duration,
    ) -> Result<Invoked, InvokeError> {
        let target = LambdaTarget::parse(name).unwrap();
        self.host.invoke(&target, invocation(&event, wait)).await
    }

    /// What a call returned, or `{"error": its error object}`.
    pub(crate) async fn outcome(&self, name: &str, event: Value) -> Value {
        let invoked = self.call(name, event).await.unwrap();
        shown(&invoked)
    }

    /// The processes that came of this test's functions and live.
    pub(crate) fn processes(&self) -> Vec<String> {
        processes(&self.mark)
    }

    /// Waits until so many of them live, keepers included.
    pub(crate) async fn processes_become(&self, count: usize) {
        processes_become(&self.mark, count).await;
    }

    /// Stops the host, and sees that nothing is left.
    pub(crate) async fn end(self) {
        self.host.stop().await;
        assert_eq!(
            self.processes(),
            Vec::<String>::new(),
            "after the host's end"
        );
    }
}

pub(crate) fn invocation(event: &Value, wait: Duration) -> Invocation {
    Invocation {
        event: Bytes::from(event.to_string()),
        trace_id: Some("Root=1-6b015cd0-e97beceb97dcb033baf84e5e".to_owned()),
        client_context: None,
        deadline: Instant::now() + wait,
    }
}

/// What a call returned, or `{"error": its error object}`; the request's id reads `<id>`, so that it can be compared.
pub(crate) fn shown(invoked: &Invoked) -> Value {
    let read = |body: &Bytes| {
        let text = String::from_utf8_lossy(body).replace(&invoked.request_id, "<id>");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    match &invoked.outcome {
        Ok(result) => read(result),
        Err(error) => json!({ "error": read(&error.body) }),
    }
}

/// An error object with these two members.
pub(crate) fn error(error_type: &str, message: &str) -> Value {
    json!({ "error": { "errorType": error_type, "errorMessage": message } })
}

pub(crate) fn write_code(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        // In one step: a process of the old code may be running it.
        let aside = file.with_extension("writing");
        fs::write(&aside, text).unwrap();
        if *name == "bootstrap" {
            fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::rename(&aside, &file).unwrap();
    }
}

pub(crate) fn new_mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}", std::process::id())
}

/// The processes whose environment has the mark; each as its id and what it runs.
pub(crate) fn processes(mark: &str) -> Vec<String> {
    let wanted = format!("{MARK}={mark}");
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        if environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes())
        {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            found.push(format!("{} {line}", process.file_name().display()));
        }
    }
    found
}

pub(crate) async fn processes_become(mark: &str, count: usize) {
    let limit = Duration::from_secs(15);
    let what = format!("{count} processes, where there are {:?}", processes(mark));
    within(limit, &what, async || {
        (processes(mark).len() == count).then_some(())
    })
    .await;
}

/// The interpreter itself: what the `PATH` finds may be a script that looks for it.
pub(crate) fn python() -> PathBuf {
    let found = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .unwrap();
    PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
}

/// The Runtime API by hand.
pub(crate) const RAPI: &str = r#"
import http.client, json, os, signal, socket, subprocess, sys, time
API = "/2018-06-01"
ADDRESS = os.environ["AWS_LAMBDA_RUNTIME_API"]
connection = http.client.HTTPConnection(ADDRESS)

def ask(method, path, body=None, headers={}):
    connection.request(method, API + path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    return answer.status, text, dict((name.lower(), value) for name, value in answer.getheaders())

def next():
    status, text, headers = ask("GET", "/runtime/invocation/next")
    assert status == 200, (status, text)
    return headers["lambda-runtime-aws-request-id"], json.loads(text), headers

def respond(id, value):
    return ask("POST", f"/runtime/invocation/{id}/response", json.dumps(value))

def fail(id, value, headers={}):
    return ask("POST", f"/runtime/invocation/{id}/error", json.dumps(value), headers)
"#;
