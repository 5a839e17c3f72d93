//! From configuration to what is served: every stage compiled, or every mistake with its place in the file.

use std::net::SocketAddr;
use std::sync::Arc;

use gateway_core::address::{self, ApiEntry, Directory};
use gateway_core::live::{self, LiveStage, Mistake};

use crate::config::{Config, Diagnostic, Loaded};
use crate::node::{Deployed, Stages};
use crate::observe::Metrics;

/// Everything that is served.
#[derive(Debug)]
pub struct Deployment {
    /// How addresses find their stage.
    pub directory: Directory,
    /// The stages, each with the address at which backends post back.
    pub stages: Vec<(LiveStage, String)>,
    /// What is legal but probably not meant.
    pub warnings: Vec<Diagnostic>,
}

impl Deployment {
    /// Swaps everything in.
    pub fn deploy(self, stages: &Stages, metrics: &Metrics) {
        let deployed = self
            .stages
            .into_iter()
            .map(|(live, callback_url)| Deployed::new(live, callback_url, metrics));
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

/// Compiles every stage of every API. Mistakes come all at once.
pub fn compile_all(loaded: &Loaded, addresses: Addresses) -> Result<Deployment, Vec<Diagnostic>> {
    let config = &loaded.config;
    let directory = directory(config, addresses.public);
    let base = management_base(config, addresses.management);
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
                    let path = directory.stage_path(&api.api_id, &stage.stage_name);
                    stages.push((live, format!("{base}{path}")));
                }
                Err(found) => add_new(&mut mistakes, found.iter().map(locate)),
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(Deployment {
        directory,
        stages,
        warnings,
    })
}

/// Each stage of an API finds the same mistakes; they are told once.
fn add_new(known: &mut Vec<Diagnostic>, found: impl Iterator<Item = Diagnostic>) {
    for diagnostic in found {
        if !known.contains(&diagnostic) {
            known.push(diagnostic);
        }
    }
}

fn directory(config: &Config, public: SocketAddr) -> Directory {
    let server = &config.server;
    let text = |text: &str| -> Arc<str> { text.into() };
    let public_host = server.public_host.clone().unwrap_or_else(|| {
        if public.ip().is_loopback() || public.ip().is_unspecified() {
            with_port("localhost", public.port())
        } else {
            with_port(&public_name(public), public.port())
        }
    });
    Directory {
        apis: config
            .apis
            .iter()
            .map(|api| ApiEntry {
                api_id: text(&api.api_id),
                stages: api
                    .stages
                    .iter()
                    .map(|stage| text(&stage.stage_name))
                    .collect(),
                disable_execute_api_endpoint: api.disable_execute_api_endpoint,
            })
            .collect(),
        domains: server
            .domains
            .iter()
            .map(|domain| address::Domain {
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
            })
            .collect(),
        default_api: server.default_api.as_deref().map(text),
        base_domain: server.base_domain.clone(),
        hostnames: server.hostnames.clone(),
        public_host: public_host.into(),
    }
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
