//! Packages that functions need and that nobody has installed for them: what their own files name, and what AWS's runtimes have. They are
//! put into a cache folder, never into the app's.

mod install;
mod node;
mod python;

use std::path::{Path, PathBuf};

use gateway_core::resource::{Function, Runtime};
use sha2::{Digest, Sha256};

pub use self::install::{Installer, Progress};

/// What must be there for a function beside its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// npm packages, in a folder with `node_modules`.
    Node {
        /// The folder's `package.json`.
        manifest: String,
        /// The lock that goes with it, where it was written for just these packages.
        lock: Option<String>,
        /// Their names, for people.
        names: Vec<String>,
    },
    /// What a `requirements.txt` names, in a folder for `PYTHONPATH`.
    Python {
        /// The file.
        file: PathBuf,
        /// Its text.
        requirements: String,
        /// Which Python: `python3.12`.
        runtime: String,
    },
}

impl Need {
    /// What a function needs; `root` is the app's folder, above which no `package.json` is looked for.
    pub fn of(function: &Function, root: &Path) -> Option<Self> {
        match &function.runtime {
            Runtime::Node { identifier } => node::need(&function.code, root, identifier),
            Runtime::Python { identifier } => python::need(&function.code, identifier),
            Runtime::Provided { .. } => None,
        }
    }

    /// The folder below the cache in which it is kept: the same packages have the same one.
    pub fn folder(&self) -> PathBuf {
        let mut hash = Sha256::new();
        let kind = match self {
            Self::Node { manifest, lock, .. } => {
                hash.update(manifest.as_bytes());
                hash.update([0]);
                hash.update(lock.as_deref().unwrap_or_default().as_bytes());
                "node"
            }
            Self::Python {
                requirements,
                runtime,
                ..
            } => {
                hash.update(runtime.as_bytes());
                hash.update([0]);
                hash.update(requirements.as_bytes());
                "python"
            }
        };
        let hash = hash.finalize();
        let first: [u8; 8] = std::array::from_fn(|n| hash[n]);
        Path::new(kind).join(format!("{:016x}", u64::from_be_bytes(first)))
    }

    /// The variable by which a function finds it.
    pub fn variable(&self) -> &'static str {
        match self {
            Self::Node { .. } => "WIREGATE_NODE_FALLBACK",
            Self::Python { .. } => "PYTHONPATH",
        }
    }

    /// What it is, in a few words.
    pub fn describe(&self) -> String {
        match self {
            Self::Node { names, .. } => names.join(", "),
            Self::Python { file, .. } => format!("what {} names", file.display()),
        }
    }
}
