//! What of `wiregate dev` lasts for a run: its authority, its key, and what it makes of settings and functions.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use gateway_core::auth::Secret;
use gateway_core::resource::{Function, Runtime};

use super::Options;
use super::authority::Authority;
use super::env_files::EnvFile;
use super::environment::{self, Surroundings, TRUST_VARIABLES, Trust, Variables};
use super::folders::{self, Folders};
use super::packages::{Installer, Need};
use crate::config::{Config, Credential, Identity, LogFormat, Tls};
use crate::env;

/// The laptop that an app runs on.
#[derive(Debug)]
pub struct Laptop {
    /// What the command line said.
    pub options: Options,
    /// Where things are kept.
    pub folders: Folders,
    shell: Variables,
    credential: Credential,
    authority: Authority,
    bundle: PathBuf,
    /// The certificate in use, and the names that it is for.
    issued: Mutex<Option<(BTreeSet<String>, Identity)>>,
}

/// Where this gateway is, once it listens.
#[derive(Debug, Clone, Default)]
pub struct Whereabouts {
    /// What stands in place of `{apiId}.execute-api.…`: host and path by API.
    pub apis: Vec<(String, String)>,
    /// Where `@connections` of the first stage answers to operators.
    pub callback_url: Option<String>,
}

impl Laptop {
    /// Makes what is not there yet; the error is a sentence. `shell` is the environment of the command.
    pub fn open(options: Options, shell: Variables) -> Result<Self, String> {
        let folders = Folders::of(|name| shell.get(name).cloned())?;
        let authority = Authority::open(&folders.state, now())?;
        // Whom the shell's own programs trust, functions trust as well.
        let further: BTreeSet<PathBuf> = TRUST_VARIABLES
            .iter()
            .filter(|name| **name != "SSL_CERT_FILE")
            .filter_map(|name| shell.get(*name).filter(|path| !path.is_empty()))
            .map(PathBuf::from)
            .collect();
        let further: Vec<PathBuf> = further.into_iter().collect();
        let (bundle, complaints) = authority.bundle(&further)?;
        for complaint in complaints {
            tracing::warn!("certificates that cannot be read: {complaint}");
        }
        Ok(Self {
            options,
            folders,
            shell,
            credential: made_credential(),
            authority,
            bundle,
            issued: Mutex::default(),
        })
    }

    /// Adds to the settings what a file need not say: a certificate where it names none, and the form of the log. The error is a sentence.
    pub fn complete(
        &self,
        config: &mut Config,
        api_ids: &[String],
        domains: &[String],
    ) -> Result<(), String> {
        if config.server.tls.is_none() {
            let names = names(config, api_ids, domains);
            config.server.tls = Some(Tls {
                identity: self.identity(names)?,
                required: false,
                files: Vec::new(),
            });
        }
        if self.options.json {
            config.server.log.format = LogFormat::Json;
        }
        Ok(())
    }

    /// Keys that functions sign with, beside those of the settings: the one made for this run, and those that functions and files bring.
    pub fn credentials(&self, config: &Config, files: &[EnvFile]) -> Vec<Credential> {
        let files = variables_of(files);
        let own = config.lambda.local.values().filter_map(|function| {
            environment::own_credential(&environment::for_one(&function.environment, &files))
        });
        let mut all = vec![self.credential.clone()];
        for credential in own {
            if !all.contains(&credential) {
                all.push(credential);
            }
        }
        all
    }

    fn identity(&self, names: BTreeSet<String>) -> Result<Identity, String> {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((for_names, identity)) = &*issued
            && *for_names == names
        {
            return Ok(identity.clone());
        }
        let identity = self.authority.issue(&names, now())?;
        *issued = Some((names, identity.clone()));
        Ok(identity)
    }

    /// A function with its whole environment and its packages. What could not be had, and what was changed, is told to `note`.
    pub async fn dress(
        &self,
        mut function: Function,
        config: &Config,
        files: &[EnvFile],
        whereabouts: &Whereabouts,
        note: &(dyn Fn(String) + Sync),
    ) -> Function {
        let mut all = environment::for_all(&Surroundings {
            region: &config.server.region,
            credential: &self.credential,
            callback_url: whereabouts.callback_url.as_deref(),
            trust: Some(Trust {
                authority: &self.authority.certificate(),
                bundle: &self.bundle,
            }),
            shell: &self.shell,
        });
        let mut own = environment::for_one(&function.environment, &variables_of(files));
        bring_home(
            &mut own,
            &function.name,
            &config.server.region,
            whereabouts,
            note,
        );
        if let Some(need) = self.need(&function) {
            let installer = Installer {
                cache: self.folders.cache.clone(),
            };
            let progress = |text: &str| note(text.to_owned());
            match installer.provide(&need, &function.name, &progress).await {
                Ok(folder) => {
                    let folder = folder.to_string_lossy().into_owned();
                    let variable = own.entry(need.variable().to_owned());
                    // A path of the function's own goes first.
                    variable
                        .and_modify(|path| {
                            if need.variable() == "PYTHONPATH" {
                                path.push(':');
                                path.push_str(&folder);
                            }
                        })
                        .or_insert(folder);
                }
                Err(why) => note(format!(
                    "{} may lack packages: {} cannot be installed: {why}",
                    function.name,
                    need.describe()
                )),
            }
        }
        all.extend(own);
        // Of two keys that do not belong together, one would be signed with and neither known.
        if all.contains_key("AWS_PROFILE") {
            note(format!(
                "{}: AWS_PROFILE is set; signatures of that profile are not known here, so @connections refuses them",
                function.name
            ));
        }
        function.environment = all;
        function
    }

    fn need(&self, function: &Function) -> Option<Need> {
        let folder = &self.options.folder;
        let root = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        Need::of(function, root)
    }

    /// How the certificate is trusted, for people; nothing where it is the settings' own.
    pub fn trust_lines(&self, config: &Config, wss: Option<&str>) -> Vec<String> {
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = issued.as_ref().map(|(_, identity)| identity);
        if config.server.tls.as_ref().map(|tls| &tls.identity) != ours {
            return Vec::new();
        }
        let home = self.shell.get("HOME").map(Path::new);
        let file = folders::shown(&self.authority.certificate(), home);
        let mut lines = vec![format!(
            "  certificates by this machine's own authority, {file}"
        )];
        if let Some(wss) = wss {
            lines.push(format!(
                "    NODE_EXTRA_CA_CERTS={file} npx -y wscat -c {wss}"
            ));
            let https = wss.replacen("wss://", "https://", 1);
            lines.push(format!("    curl --cacert {file} {https}"));
        }
        lines
    }

    /// What people are told who lack a program that functions need; `is_there` says whether the path has one.
    pub fn missing_tools(
        &self,
        config: &Config,
        files: &[EnvFile],
        is_there: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let files = variables_of(files);
        let names = |wanted: fn(&Runtime) -> bool, own: &str| -> Vec<&str> {
            let lacking = config
                .lambda
                .local
                .values()
                .filter(|function| wanted(&function.runtime));
            let lacking = lacking.filter(|function| {
                !environment::for_one(&function.environment, &files).contains_key(own)
            });
            lacking.map(|function| function.name.as_str()).collect()
        };
        let node = names(
            |runtime| matches!(runtime, Runtime::Node { .. }),
            "WIREGATE_NODE",
        );
        let python = names(
            |runtime| matches!(runtime, Runtime::Python { .. }),
            "WIREGATE_PYTHON",
        );
        let mut missing = Vec::new();
        if !node.is_empty() && !is_there("node") {
            missing.push(format!(
                "node is not on the PATH, and {} need it; install Node.js 20 or newer",
                node.join(", ")
            ));
        }
        if !python.is_empty() && !is_there("python3") && !is_there("python") {
            missing.push(format!(
                "python3 is not on the PATH, and {} need it; install Python 3",
                python.join(", ")
            ));
        }
        missing
    }

    /// Whether colours are unwanted ("NO_COLOR", no-color.org).
    pub fn no_color(&self) -> bool {
        self.shell
            .get("NO_COLOR")
            .is_some_and(|value| !value.is_empty())
    }

    /// Whether the shell's path has an executable of this name.
    pub fn has_program(&self, name: &str) -> bool {
        let path = self
            .shell
            .get("PATH")
            .map(String::as_str)
            .unwrap_or_default();
        std::env::split_paths(path).any(|folder| folder.join(name).is_file())
    }
}

/// Brings variables that name an API of ours at AWS to this gateway.
fn bring_home(
    own: &mut Variables,
    function: &str,
    region: &str,
    whereabouts: &Whereabouts,
    note: &(dyn Fn(String) + Sync),
) {
    let suffix = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    let address = |id: &str| {
        let found = whereabouts.apis.iter().find(|(known, _)| known == id);
        found.map(|(_, address)| address.clone())
    };
    for (name, value) in own {
        if let Some(home) = environment::brought_home(value, region, suffix, address) {
            note(format!(
                "{function}: {name} is {home}, which is here, in place of {value}"
            ));
            *value = home;
        }
    }
}

fn variables_of(files: &[EnvFile]) -> Vec<Vec<(String, String)>> {
    files.iter().map(|file| file.variables.clone()).collect()
}

/// Seconds since 1970.
fn now() -> i64 {
    i64::try_from(env::wall() / 1000).unwrap_or(i64::MAX)
}

/// A key that nobody knows but this process and its functions.
fn made_credential() -> Credential {
    let id = u64::from_be_bytes(env::random());
    Credential {
        access_key_id: format!("AKIA{id:016X}"),
        secret_access_key: Secret::new(STANDARD_NO_PAD.encode(env::random::<30>())),
        session_token: None,
        expires_at: None,
    }
}

/// All names and addresses at which the public listener may be asked for.
fn names(config: &Config, api_ids: &[String], domains: &[String]) -> BTreeSet<String> {
    let server = &config.server;
    let base = &server.base_domain;
    let mut names: BTreeSet<String> = ["localhost", "*.localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .into();
    names.insert("*.execute-api.localhost".to_owned());
    names.insert(format!("*.execute-api.{base}"));
    names.extend(
        api_ids
            .iter()
            .map(|id| format!("{}.execute-api.{base}", id.to_lowercase())),
    );
    names.extend(domains.iter().cloned());
    names.extend(server.hostnames.iter().cloned());
    names.extend(
        server
            .domains
            .iter()
            .map(|domain| domain.domain_name.clone()),
    );
    if let Some(host) = &server.public_host {
        names.insert(without_port(host).to_owned());
    }
    if !server.listen.ip().is_unspecified() {
        names.insert(server.listen.ip().to_string());
    }
    names
}

/// The name of a host, an IPv6 address without its brackets.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.split(':').next().unwrap_or(host)
}
