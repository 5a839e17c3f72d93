//! From configuration to what is served: every stage compiled, or every mistake with its place in the file.

use std::net::SocketAddr;
use std::sync::Arc;

use gateway_core::address::{self, ApiEntry, Directory};
use gateway_core::control::{self, Account};
use gateway_core::live::{self, LiveStage, Mistake};
use gateway_core::resource::{Api, Preset, ProtocolType, Stage};

use crate::config::{Config, Diagnostic, Loaded};
use crate::node::{Deployed, Stages};
use crate::observe::Metrics;

/// Everything that is served.
#[derive(Debug)]
pub struct Deployment {
    /// How addresses find their stage.
    pub directory: Directory,
    /// The stages.
    pub stages: Vec<Compiled>,
    /// What is legal but probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// What the control plane holds and cannot be served: those routes are closed.
    pub closed: Vec<String>,
}

/// A stage, ready to be served.
#[derive(Debug)]
pub struct Compiled {
    /// What traffic sees.
    pub live: LiveStage,
    /// The address at which backends post back.
    pub callback_url: String,
    /// What it was compiled from, with this stage alone.
    pub source: Api,
}

impl Deployment {
    /// Swaps everything in.
    pub fn deploy(self, stages: &Stages, metrics: &Metrics) {
        let deployed = self.stages.into_iter().map(|stage| {
            Deployed::new(stage.live, stage.callback_url, metrics).made_of(Arc::new(stage.source))
        });
        stages.replace(self.directory, deployed.collect());
    }
}

/// The two addresses that events and headers name.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The public listener's.
    pub public: SocketAddr,
    /// The management listener's.
    pub management: SocketAddr,
}

/// Compiles every stage of every API: of the file, whose mistakes come all at once, and of the control plane, which refused what
/// is wrong when it was written; what of that cannot be served is closed.
pub fn compile_all(
    loaded: &Loaded,
    account: &Account,
    addresses: Addresses,
) -> Result<Deployment, Vec<Diagnostic>> {
    let config = &loaded.config;
    let created = created(config, account, loaded.default_preset);
    let directory = directory(config, account, &created, addresses.public);
    let base = management_base(config, addresses.management);
    let callback_url = |api: &Api, stage: &Stage| {
        let path = directory.stage_path(&api.api_id, &stage.stage_name);
        format!("{base}{path}")
    };
    let (mut stages, mut mistakes, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for api in &config.apis {
        let locate = |found: &Mistake| {
            let message = found.message.as_str();
            loaded.located.mistake(&api.api_id, &found.path, message)
        };
        for stage in &api.stages {
            match live::compile(api, stage) {
                Ok(live) => {
                    add_new(&mut warnings, live.warnings.iter().map(locate));
                    stages.push(Compiled {
                        live,
                        callback_url: callback_url(api, stage),
                        source: Api {
                            stages: vec![stage.clone()],
                            ..api.clone()
                        },
                    });
                }
                Err(found) => add_new(&mut mistakes, found.iter().map(locate)),
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let mut closed = Vec::new();
    for source in created {
        let stage = &source.stages[0];
        let (live, found) = live::compile_deployed(&source, stage);
        let place = format!("API {}, stage {}", source.api_id, stage.stage_name);
        closed.extend(
            found
                .iter()
                .map(|found| format!("{place}: {}: {}", found.path.join("."), found.message)),
        );
        if let Some(live) = live {
            let callback_url = callback_url(&source, stage);
            stages.push(Compiled {
                live,
                callback_url,
                source,
            });
        }
    }
    Ok(Deployment {
        directory,
        stages,
        warnings,
        closed,
    })
}

/// What the control plane has deployed: an API for each of its stages. An id that the file uses too is the file's.
fn created(config: &Config, account: &Account, preset: Preset) -> Vec<Api> {
    let is_files = |id: &str| config.apis.iter().any(|api| api.api_id == id);
    let apis = account.apis().filter(|(id, _)| !is_files(id));
    let stages = apis.flat_map(|(_, api)| {
        let names = api.stages.keys();
        names.filter_map(|name| control::resources(api, name, preset))
    });
    stages.collect()
}

/// Each stage of an API finds the same mistakes; they are told once.
fn add_new(known: &mut Vec<Diagnostic>, found: impl Iterator<Item = Diagnostic>) {
    for diagnostic in found {
        if !known.contains(&diagnostic) {
            known.push(diagnostic);
        }
    }
}

fn directory(config: &Config, account: &Account, created: &[Api], public: SocketAddr) -> Directory {
    let server = &config.server;
    let text = |text: &str| -> Arc<str> { text.into() };
    let mut apis: Vec<ApiEntry> = config.apis.iter().map(entry).collect();
    for api in created {
        match apis.iter_mut().find(|entry| *entry.api_id == *api.api_id) {
            Some(known) => known.stages.extend(entry(api).stages),
            None => apis.push(entry(api)),
        }
    }
    let domains = server.domains.iter().map(|domain| address::Domain {
        domain_name: domain.domain_name.clone(),
        mappings: domain
            .mappings
            .iter()
            .map(|mapping| address::ApiMapping {
                api_mapping_key: mapping.api_mapping_key.clone(),
                api_id: text(&mapping.api),
                stage: text(&mapping.stage),
            })
            .collect(),
    });
    let mut domains: Vec<address::Domain> = domains.collect();
    for domain in control::domains(account) {
        if !domains
            .iter()
            .any(|known| known.domain_name == domain.domain_name)
        {
            domains.push(domain);
        }
    }
    Directory {
        apis,
        domains,
        default_api: default_api(config, account, created),
        base_domain: server.base_domain.clone(),
        hostnames: server.hostnames.clone(),
        public_host: public_host(config, public).into(),
    }
}

/// The API that plain paths mean: the named one; the file's only one; where the file has none, the oldest. So nothing that is
/// created later takes the plain paths away.
fn default_api(config: &Config, account: &Account, created: &[Api]) -> Option<Arc<str>> {
    if let Some(named) = &config.server.default_api {
        return Some(named.as_str().into());
    }
    match config.apis.as_slice() {
        [only] => Some(only.api_id.as_str().into()),
        [] => {
            let websockets = created
                .iter()
                .filter(|api| api.protocol_type == ProtocolType::Websocket);
            let oldest =
                websockets.min_by_key(|api| (account.age(&api.api_id), api.api_id.clone()));
            oldest.map(|api| api.api_id.as_str().into())
        }
        _ => None,
    }
}

fn entry(api: &Api) -> ApiEntry {
    ApiEntry {
        api_id: api.api_id.as_str().into(),
        stages: api
            .stages
            .iter()
            .map(|stage| stage.stage_name.as_str().into())
            .collect(),
        disable_execute_api_endpoint: api.disable_execute_api_endpoint,
    }
}

/// The `apiEndpoint` of an API: an address that works from where the gateway runs, whatever names resolve there.
pub(super) fn endpoint(
    config: &Config,
    public: SocketAddr,
    api_id: &str,
    protocol: ProtocolType,
) -> String {
    let secure = config.server.tls.is_some();
    let scheme = match (protocol, secure) {
        (ProtocolType::Websocket, false) => "ws",
        (ProtocolType::Websocket, true) => "wss",
        (ProtocolType::Http, false) => "http",
        (ProtocolType::Http, true) => "https",
    };
    let host = public_host(config, public);
    format!("{scheme}://{host}/{}/{api_id}", address::EXECUTE_API_PATH)
}

fn public_host(config: &Config, public: SocketAddr) -> String {
    config.server.public_host.clone().unwrap_or_else(|| {
        if public.ip().is_loopback() || public.ip().is_unspecified() {
            with_port("localhost", public.port())
        } else {
            with_port(&public_name(public), public.port())
        }
    })
}

fn public_name(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

fn with_port(name: &str, port: u16) -> String {
    if matches!(port, 80 | 443) {
        name.to_owned()
    } else {
        format!("{name}:{port}")
    }
}

/// Where backends reach the management listener.
fn management_base(config: &Config, management: SocketAddr) -> String {
    if let Some(url) = &config.server.management_url {
        return url.trim_end_matches('/').to_owned();
    }
    unnamed_base(management)
}

fn unnamed_base(management: SocketAddr) -> String {
    let name = match management {
        _ if !management.ip().is_unspecified() => public_name(management),
        SocketAddr::V4(_) => "127.0.0.1".to_owned(),
        SocketAddr::V6(_) => "[::1]".to_owned(),
    };
    // `http` speaks at 80 where no port is named, and nowhere else.
    match management.port() {
        80 => format!("http://{name}"),
        port => format!("http://{name}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: &str) {
        assert_eq!(unnamed_base(address.parse().unwrap()), expected);
    }

    #[test]
    fn backends_are_told_an_address_that_answers() {
        check("127.0.0.1:8081", "http://127.0.0.1:8081");
        check("127.0.0.1:44387", "http://127.0.0.1:44387");
        check("10.0.0.1:443", "http://10.0.0.1:443");
        check("10.0.0.1:80", "http://10.0.0.1");
        check("0.0.0.0:8081", "http://127.0.0.1:8081");
        check("[::]:8081", "http://[::1]:8081");
        check("[2001:db8::7]:8081", "http://[2001:db8::7]:8081");
    }
}
