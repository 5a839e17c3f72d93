//! How each runtime is started: `node` with our bootstrap, Python with `awslambdaric`, or the function's own `bootstrap`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::function::FunctionError;
use gateway_core::resource::{Function, Runtime};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, OnceCell};

use super::process;

const BOOTSTRAP: &str = include_str!("bootstrap.mjs");
/// What a Python that runs functions needs: AWS's runtime client, and the SDK that is part of AWS's runtimes.
const PYTHON_PACKAGES: [&str; 2] = ["awslambdaric>=3,<5", "boto3"];
/// Names the `node` of a function, in its environment.
pub const NODE_VARIABLE: &str = "WIREGATE_NODE";
/// Names the Python of a function, in its environment; it must have `awslambdaric`.
pub const PYTHON_VARIABLE: &str = "WIREGATE_PYTHON";
/// How long a Python may take to say its version.
const PROBE: Duration = Duration::from_secs(30);
/// How long `pip` may take.
const INSTALL: Duration = Duration::from_mins(5);
/// Asks a Python for its version and whether it can run functions.
const QUESTION: &str = "import sys, importlib.util as u; \
    print('%d.%d' % sys.version_info[:2], bool(u.find_spec('awslambdaric')))";

/// The programs that run functions.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Node.js.
    pub node: PathBuf,
    /// Python; it need not have `awslambdaric`.
    pub python: PathBuf,
    /// Folder for what is made once: the Node.js bootstrap, Pythons with `awslambdaric`.
    pub cache: PathBuf,
    /// Wiregate itself, which stands between us and each worker.
    pub keeper: PathBuf,
}

impl Default for Tools {
    /// `node` and `python3` of the `PATH`; the cache of XDG's rules.
    fn default() -> Self {
        let folder = |name: &str| {
            let value = std::env::var_os(name).map(PathBuf::from);
            value.filter(|folder| folder.is_absolute())
        };
        let cache = folder("XDG_CACHE_HOME")
            .or_else(|| Some(folder("HOME")?.join(".cache")))
            .map_or_else(private_temporary, |cache| cache.join("wiregate"));
        // By this name it is found although the file may have been replaced meanwhile.
        let own = Path::new("/proc/self/exe");
        let keeper = if own.exists() {
            own.to_owned()
        } else {
            std::env::current_exe().unwrap_or_else(|_| PathBuf::from("wiregate"))
        };
        Self {
            node: "node".into(),
            python: "python3".into(),
            cache,
            keeper,
        }
    }
}

/// What was found out about the tools, and made for them.
#[derive(Debug)]
pub(super) struct Toolbox {
    pub(super) tools: Tools,
    bootstrap: PathBuf,
    /// By what was asked for: an interpreter, or the identifier of a runtime.
    pythons: Mutex<HashMap<String, Arc<OnceCell<PathBuf>>>>,
}

/// A folder below the system's temporary one whose name nobody guesses, for who has no home.
pub(crate) fn private_temporary() -> PathBuf {
    let name = format!("wiregate-{}", hex(&crate::env::random::<16>()));
    std::env::temp_dir().join(name)
}

/// A program and its arguments.
pub(super) type CommandLine = (PathBuf, Vec<OsString>);

impl Toolbox {
    /// Writes the bootstrap down.
    pub(super) fn new(tools: Tools) -> std::io::Result<Self> {
        let bootstrap = write_bootstrap(&tools.cache).or_else(|_| {
            // A cache that cannot be written to, as in a container without a home.
            write_bootstrap(&private_temporary())
        })?;
        Ok(Self {
            tools,
            bootstrap,
            pythons: Mutex::default(),
        })
    }

    /// How this function's workers are started; what is missing is made, which may take its time.
    pub(super) async fn command_line(
        &self,
        function: &Function,
    ) -> Result<CommandLine, FunctionError> {
        let missing = |why: String| FunctionError::no_entrypoint(&why);
        let named = |name| function.environment.get(name).map(PathBuf::from);
        if !function.code.is_dir() {
            let code = function.code.display();
            return Err(missing(format!(
                "there is no folder {code}; correct codeUri"
            )));
        }
        match &function.runtime {
            Runtime::Node { .. } => {
                let node = named(NODE_VARIABLE).unwrap_or_else(|| self.tools.node.clone());
                Ok((node, vec![self.bootstrap.clone().into()]))
            }
            Runtime::Python { identifier } => {
                let named = named(PYTHON_VARIABLE);
                let python = self.python(named, identifier).await.map_err(missing)?;
                let arguments = ["-m", "awslambdaric", &function.handler];
                Ok((python, arguments.map(OsString::from).to_vec()))
            }
            Runtime::Provided { .. } => {
                let bootstrap = function.code.join("bootstrap");
                check_executable(&bootstrap).map_err(missing)?;
                let bootstrap = bootstrap.canonicalize().unwrap_or(bootstrap);
                Ok((bootstrap, Vec::new()))
            }
        }
    }

    /// A Python with `awslambdaric`.
    async fn python(&self, named: Option<PathBuf>, identifier: &str) -> Result<PathBuf, String> {
        let key = named.as_ref().map_or_else(
            || identifier.to_owned(),
            |python| python.display().to_string(),
        );
        let cell = Arc::clone(self.pythons.lock().await.entry(key).or_default());
        let found = cell.get_or_try_init(|| async {
            let (keeper, own) = (&self.tools.keeper, self.folder());
            if let Some(python) = named {
                let probe = ask(keeper, own, &python).await?;
                return if probe.ready {
                    Ok(python)
                } else {
                    Err(format!(
                        "{} has no awslambdaric: {0} -m pip install awslambdaric",
                        python.display()
                    ))
                };
            }
            let mut complaint = String::new();
            for python in [
                Path::new(identifier),
                &self.tools.python,
                Path::new("python"),
            ] {
                match ask(keeper, own, python).await {
                    Ok(probe) if probe.ready => return Ok(python.to_owned()),
                    Ok(probe) => return self.make_python(python, &probe.version).await,
                    Err(why) => complaint = why,
                }
            }
            Err(format!(
                "{identifier} needs Python, and none was found: {complaint}"
            ))
        });
        found.await.cloned()
    }

    /// A folder in which nobody else writes.
    fn folder(&self) -> &Path {
        self.bootstrap.parent().unwrap_or(&self.tools.cache)
    }

    /// A virtual environment of this Python with what functions need. Made aside and moved into place, so that none is
    /// found half done.
    async fn make_python(&self, base: &Path, version: &str) -> Result<PathBuf, String> {
        let (keeper, own) = (&self.tools.keeper, self.folder());
        let folder = self.tools.cache.join(format!("python-{version}"));
        let python = folder.join("bin/python");
        if python.exists()
            && ask(keeper, own, &python)
                .await
                .is_ok_and(|probe| probe.ready)
        {
            return Ok(python);
        }
        tracing::info!(
            "making a Python {version} with awslambdaric and boto3 in {}; this happens once",
            folder.display()
        );
        let written = |error| format!("{}: {error}", self.tools.cache.display());
        fs::create_dir_all(&self.tools.cache).map_err(written)?;
        let aside = self.tools.cache.join(format!(
            "python-{version}-{}",
            hex(&crate::env::random::<4>())
        ));
        let made = async {
            let path = aside.display().to_string();
            process::run(keeper, own, base, &["-m", "venv", &path], INSTALL).await?;
            let mut install = vec![
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ];
            install.extend(PYTHON_PACKAGES);
            process::run(keeper, own, &aside.join("bin/python"), &install, INSTALL).await
        };
        if let Err(why) = made.await {
            let _ = fs::remove_dir_all(&aside);
            return Err(format!("a Python with awslambdaric cannot be made: {why}"));
        }
        if python.exists()
            && !ask(keeper, own, &python)
                .await
                .is_ok_and(|probe| probe.ready)
        {
            let _ = fs::remove_dir_all(&folder);
        }
        if let Err(error) = fs::rename(&aside, &folder) {
            let _ = fs::remove_dir_all(&aside);
            // Another process was quicker.
            if !python.exists() {
                return Err(written(error));
            }
        }
        tracing::info!("{} is ready", folder.display());
        Ok(python)
    }
}

struct Probe {
    version: String,
    /// It has `awslambdaric`.
    ready: bool,
}

async fn ask(keeper: &Path, folder: &Path, python: &Path) -> Result<Probe, String> {
    let answer = process::run(keeper, folder, python, &["-c", QUESTION], PROBE).await?;
    let mut words = answer.split_whitespace();
    let version = words.next().unwrap_or_default().to_owned();
    let ready = words.next() == Some("True");
    Ok(Probe { version, ready })
}

fn check_executable(bootstrap: &Path) -> Result<(), String> {
    let shown = bootstrap.display();
    match fs::metadata(bootstrap) {
        Ok(metadata) if !metadata.is_file() => Err(format!("{shown} is no file")),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
            Err(format!("{shown} is not executable: chmod +x {shown}"))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "Couldn't find valid bootstrap(s): [{shown}]; a provided runtime needs an executable of that name"
        )),
    }
}

/// The bootstrap in a file whose name says its contents, so that versions do not meet.
fn write_bootstrap(folder: &Path) -> std::io::Result<PathBuf> {
    let digest = Sha256::digest(BOOTSTRAP);
    let file = folder.join(format!("bootstrap-{}.mjs", hex(&digest[..8])));
    if fs::read(&file).is_ok_and(|found| found == BOOTSTRAP.as_bytes()) {
        return Ok(file);
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let aside = folder.join(format!("bootstrap-{}.tmp", hex(&crate::env::random::<4>())));
    let mut written = fs::File::create_new(&aside)?;
    written.write_all(BOOTSTRAP.as_bytes())?;
    fs::rename(&aside, &file)?;
    Ok(file)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |byte: u8| char::from_digit(u32::from(byte), 16).expect("half a byte is a digit");
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
