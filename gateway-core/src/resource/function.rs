//! A Lambda function that this gateway runs itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A function as users describe it; what is not said is AWS's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// `FunctionName`: what integrations call.
    pub name: String,
    /// `$LATEST`, or the number of a published version.
    pub version: String,
    /// What runs it.
    pub runtime: Runtime,
    /// `Handler`, such as `app.handler`; a `provided` runtime reads it from `_HANDLER` and may do without.
    pub handler: String,
    /// Folder with the code.
    pub code: PathBuf,
    /// `Timeout` of a call; AWS's default is 3 s, its limit 900 s.
    pub timeout: Duration,
    /// `MemorySize` in MiB. It is told to the function and not enforced.
    pub memory_mib: u32,
    /// `Environment.Variables`, beside what every function gets.
    pub environment: BTreeMap<String, String>,
    /// Processes at once, each with one call; `None` is the host's default.
    pub max_workers: Option<u32>,
    /// Qualifiers beside the version that mean this code.
    pub aliases: Vec<String>,
}

/// What runs a function's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// `nodejs20.x` and its like: `node` of the `PATH`, with our bootstrap.
    Node {
        /// The identifier as it was written.
        identifier: String,
    },
    /// `python3.12` and its like: `awslambdaric`.
    Python {
        /// The identifier as it was written.
        identifier: String,
    },
    /// `provided`, `provided.al2`, `provided.al2023`: an executable called `bootstrap`.
    Provided {
        /// The identifier as it was written.
        identifier: String,
    },
}

impl Runtime {
    /// The runtime of AWS's identifier; `None` where this gateway has nothing to run it with.
    pub fn parse(identifier: &str) -> Option<Self> {
        let owned = || identifier.to_owned();
        let numbered = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
        if let Some(version) = identifier.strip_prefix("nodejs") {
            let major = version.strip_suffix(".x");
            return major.is_some_and(numbered).then(|| Self::Node {
                identifier: owned(),
            });
        }
        if let Some(version) = identifier.strip_prefix("python") {
            return numbered(version).then(|| Self::Python {
                identifier: owned(),
            });
        }
        ["provided", "provided.al2", "provided.al2023"]
            .contains(&identifier)
            .then(|| Self::Provided {
                identifier: owned(),
            })
    }

    /// The identifier as it was written.
    pub fn identifier(&self) -> &str {
        match self {
            Self::Node { identifier }
            | Self::Python { identifier }
            | Self::Provided { identifier } => identifier,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_told_by_their_identifiers() {
        let check = |identifier: &str, expected: Option<&str>| {
            let kind = Runtime::parse(identifier).map(|runtime| {
                assert_eq!(runtime.identifier(), identifier);
                match runtime {
                    Runtime::Node { .. } => "node",
                    Runtime::Python { .. } => "python",
                    Runtime::Provided { .. } => "provided",
                }
            });
            assert_eq!(kind, expected, "{identifier}");
        };
        check("nodejs20.x", Some("node"));
        check("nodejs", None);
        check("nodejs20", None);
        check("python3.12", Some("python"));
        check("python", None);
        check("provided.al2023", Some("provided"));
        check("provided.al3", None);
        check("java21", None);
        check("", None);
    }
}
