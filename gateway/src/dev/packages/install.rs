//! Installs what functions need, once for all that need the same.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::Need;
use crate::functions::of_tools;

/// The longest installation.
const LIMIT: Duration = Duration::from_mins(10);
/// What of a tool's complaints is shown.
const LINES: usize = 12;
/// Says that a folder is whole.
const COMPLETE: &str = ".complete";

/// Is told what is being done.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// Puts packages into a cache folder.
#[derive(Debug, Clone)]
pub struct Installer {
    /// The cache folder.
    pub cache: PathBuf,
}

impl Installer {
    /// The folder with what a function needs, installed now where it is not there yet; or why it cannot be.
    pub async fn provide(
        &self,
        need: &Need,
        function: &str,
        progress: Progress<'_>,
    ) -> Result<PathBuf, String> {
        let folder = self.cache.join(need.folder());
        if folder.join(COMPLETE).exists() {
            return Ok(folder);
        }
        progress(&format!(
            "installing {} for {function}, once, into {}",
            need.describe(),
            folder.display()
        ));
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        // Beside its place, and moved there when it is whole: another process may do the same.
        let mut name = folder.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(name);
        let _ = fs::remove_dir_all(&beside);
        fs::create_dir_all(&beside).map_err(failed)?;
        let installed = Self::install(need, &beside).await;
        if let Err(why) = installed {
            let _ = fs::remove_dir_all(&beside);
            return Err(why);
        }
        fs::write(beside.join(COMPLETE), "").map_err(failed)?;
        if let Err(error) = fs::rename(&beside, &folder) {
            let _ = fs::remove_dir_all(&beside);
            if !folder.join(COMPLETE).exists() {
                return Err(failed(error));
            }
        }
        Ok(folder)
    }

    async fn install(need: &Need, folder: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        match need {
            Need::Node { manifest, lock, .. } => {
                fs::write(folder.join("package.json"), manifest).map_err(failed)?;
                if let Some(lock) = lock {
                    fs::write(folder.join("package-lock.json"), lock).map_err(failed)?;
                }
                let quiet = ["--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"];
                if lock.is_some() {
                    let arguments = [&["ci"][..], &quiet].concat();
                    // A lock may be of another time than its manifest; then npm itself says so, and what the manifest names is installed. Any
                    // other failure may be a package that is not the one that was locked.
                    match run(Path::new("npm"), &arguments, folder, "Node.js").await {
                        Err(why) if why.contains("EUSAGE") => {}
                        ended => return ended,
                    }
                    let _ = fs::remove_file(folder.join("package-lock.json"));
                }
                let arguments = [&["install"][..], &quiet].concat();
                run(Path::new("npm"), &arguments, folder, "Node.js").await
            }
            Need::Python { file, runtime, .. } => {
                let target = folder.to_string_lossy();
                // Absolute, since pip runs in the file's folder, where its relative paths begin.
                let file = file.canonicalize().map_err(failed)?;
                let named = file.to_string_lossy();
                let arguments = [
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--target",
                    &target,
                    "-r",
                    &named,
                ];
                let beside = file.parent().unwrap_or(folder);
                let python = python_for(runtime).await;
                run(&python, &arguments, beside, "Python 3 with pip").await
            }
        }
    }
}

/// The Python that will run functions of a runtime: the one of that version, else whichever there is. Packages with compiled
/// parts must be installed by the same.
async fn python_for(runtime: &str) -> PathBuf {
    let answers = Command::new(runtime)
        .args(["-I", "-c", "import pip"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    let answered = tokio::time::timeout(Duration::from_secs(30), answers).await;
    let works = matches!(answered, Ok(Ok(status)) if status.success());
    PathBuf::from(if works { runtime } else { "python3" })
}

/// Runs a tool to its end; the end of its complaints where it fails.
async fn run(program: &Path, arguments: &[&str], folder: &Path, of: &str) -> Result<(), String> {
    let shown = program
        .file_name()
        .map_or_else(OsString::new, OsString::from);
    let shown = format!("{} {}", shown.display(), arguments.join(" "));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(of_tools())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Err(_) => {
            return Err(format!(
                "`{shown}` is not done after {} minutes",
                LIMIT.as_secs() / 60
            ));
        }
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(format!(
                "{} is not on the PATH; install {of}",
                program.display()
            ));
        }
        Ok(Err(error)) => return Err(format!("`{shown}` cannot be run: {error}")),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let tail = lines[lines.len().saturating_sub(LINES)..].join("\n    ");
    Err(format!("`{shown}` failed ({}):\n    {tail}", output.status))
}
