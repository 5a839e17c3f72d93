//! How a request finds its API and stage, and which names a client may be told.

use std::net::IpAddr;
use std::sync::Arc;

/// A custom domain and what is mapped below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// `ws.example.com`, or `*.example.com`.
    pub domain_name: String,
    /// Mappings by key; the empty key is the root.
    pub mappings: Vec<ApiMapping>,
}

/// One `ApiMapping`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiMapping {
    /// First path segment; empty for the root.
    pub api_mapping_key: String,
    /// `ApiId`.
    pub api_id: Arc<str>,
    /// `Stage`.
    pub stage: Arc<str>,
}

/// One API with its stages, as addresses need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiEntry {
    /// `ApiId`.
    pub api_id: Arc<str>,
    /// Names of its stages.
    pub stages: Vec<Arc<str>>,
    /// 403 at `{apiId}.execute-api.*`.
    pub disable_execute_api_endpoint: bool,
}

/// All that can be addressed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// The APIs.
    pub apis: Vec<ApiEntry>,
    /// Custom domains.
    pub domains: Vec<Domain>,
    /// The API that plain paths mean where there are several.
    pub default_api: Option<Arc<str>>,
    /// `{apiId}.execute-api.{base_domain}` is a name of ours.
    pub base_domain: String,
    /// Further names at which the listeners answer.
    pub hostnames: Vec<String>,
    /// What events carry where the client's `Host` is not ours.
    pub public_host: Arc<str>,
}

/// What a path means once API and stage are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest<'a> {
    /// The stage itself: where clients connect.
    Stage,
    /// `@connections/{id}`, the id still percent-encoded.
    Connection(&'a str),
    /// Anything else.
    Other,
}

/// A resolved address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// `ApiId`.
    pub api_id: Arc<str>,
    /// Stage name.
    pub stage: Arc<str>,
    /// The rest of the path.
    pub rest: Rest<'a>,
}

/// The path under which any API can be reached at any host.
pub const EXECUTE_API_PATH: &str = "_aws/execute-api";

impl Directory {
    /// Finds API and stage: a custom domain; `{apiId}.execute-api.*`; `/_aws/execute-api/{apiId}/{stage}`;
    /// else `/{stage}` of the default or only API, and `/` where it has one stage.
    pub fn resolve<'a>(&self, host: &str, path: &'a str) -> Option<Resolved<'a>> {
        let name = host_name(host);
        let segments = segments(path)?;
        if let Some(domain) = self.domain(name) {
            return resolve_mapping(domain, &segments);
        }
        if let Some(api_id) = execute_api_label(name) {
            let api = self
                .api_of_host(api_id)
                .filter(|api| !api.disable_execute_api_endpoint)?;
            return resolve_stage(api, &segments);
        }
        if let ["_aws", "execute-api", api_id, rest @ ..] = segments.as_slice() {
            return resolve_stage(self.api(api_id)?, rest);
        }
        resolve_stage(self.default_entry()?, &segments)
    }

    /// The name that events carry: the client's `Host` where it is ours, else the public one.
    pub fn domain_name(&self, host: &str, listener: std::net::SocketAddr) -> Arc<str> {
        if self.is_ours(host, listener) {
            host.to_ascii_lowercase().into()
        } else {
            Arc::clone(&self.public_host)
        }
    }

    fn is_ours(&self, host: &str, listener: std::net::SocketAddr) -> bool {
        if host.eq_ignore_ascii_case(&self.public_host) {
            return true;
        }
        let (name, port) = split_port(host);
        let name = name.trim_end_matches('.');
        // A name that the operator chose may be reached through another port than ours, or a proxy's.
        let chosen = self.domain(name).is_some()
            || self
                .hostnames
                .iter()
                .any(|own| own.eq_ignore_ascii_case(name))
            || self.names_an_api(name);
        if chosen {
            return port.is_none_or(|port| port.parse::<u16>().is_ok());
        }
        let right_port = match port {
            Some(port) => port.parse() == Ok(listener.port()),
            None => matches!(listener.port(), 80 | 443),
        };
        let own = listener.ip();
        let address = name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        let ours = match address {
            Ok(ip) => ip == own || own.is_unspecified() && ip.is_loopback(),
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        };
        right_port && ours
    }

    /// True for `{apiId}.execute-api.{baseDomain}` of an API that exists.
    fn names_an_api(&self, name: &str) -> bool {
        execute_api_label(name).is_some_and(|api_id| {
            let base = &name[api_id.len() + ".execute-api.".len()..];
            base.eq_ignore_ascii_case(&self.base_domain) && self.api_of_host(api_id).is_some()
        })
    }

    /// True where some API answers at this host, whatever the path.
    pub fn knows(&self, host: &str) -> bool {
        let name = host_name(host);
        match execute_api_label(name) {
            Some(api_id) if self.domain(name).is_none() => self.api_of_host(api_id).is_some(),
            _ => self.domain(name).is_some() || self.default_entry().is_some(),
        }
    }

    /// True for a name that the operator configured, whatever its port.
    pub fn is_own_name(&self, name: &str) -> bool {
        if name.is_empty() {
            return false;
        }
        self.hostnames
            .iter()
            .any(|own| own.eq_ignore_ascii_case(name))
            || self.domain(name).is_some()
            || host_name(&self.public_host).eq_ignore_ascii_case(name)
            || execute_api_label(name).is_some_and(|api_id| {
                let base = &name[api_id.len() + ".execute-api.".len()..];
                base.eq_ignore_ascii_case(&self.base_domain)
            })
    }

    fn domain(&self, name: &str) -> Option<&Domain> {
        let exact = self
            .domains
            .iter()
            .find(|domain| domain.domain_name.eq_ignore_ascii_case(name));
        exact.or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.domains.iter().find(|domain| {
                domain
                    .domain_name
                    .strip_prefix("*.")
                    .is_some_and(|base| base.eq_ignore_ascii_case(parent))
            })
        })
    }

    fn api(&self, api_id: &str) -> Option<&ApiEntry> {
        self.apis.iter().find(|api| &*api.api_id == api_id)
    }

    /// The API of an `{apiId}.execute-api.*` host; names of hosts do not tell cases apart.
    fn api_of_host(&self, api_id: &str) -> Option<&ApiEntry> {
        let alike = || {
            self.apis
                .iter()
                .find(|api| api.api_id.eq_ignore_ascii_case(api_id))
        };
        self.api(api_id).or_else(alike)
    }

    fn default_entry(&self) -> Option<&ApiEntry> {
        match (&self.default_api, self.apis.as_slice()) {
            (Some(api_id), _) => self.api(api_id),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The path that leads to a stage on any host: the shortest that is unambiguous.
    pub fn stage_path(&self, api_id: &str, stage: &str) -> String {
        match self.default_entry() {
            Some(api) if &*api.api_id == api_id => format!("/{stage}"),
            _ => format!("/{EXECUTE_API_PATH}/{api_id}/{stage}"),
        }
    }
}

/// The mapping key wins; where none matches, the real stage name of the root mapping's API serves too,
/// because handlers build `https://{domainName}/{stage}`.
fn resolve_mapping<'a>(domain: &Domain, segments: &[&'a str]) -> Option<Resolved<'a>> {
    let find = |key: &str| {
        domain
            .mappings
            .iter()
            .find(|mapping| mapping.api_mapping_key == key)
    };
    if let Some((first, rest)) = segments.split_first() {
        let by_stage = || {
            domain
                .mappings
                .iter()
                .find(|mapping| &*mapping.stage == *first)
        };
        if let Some(mapping) = find(first).or_else(by_stage) {
            return Some(resolved(&mapping.api_id, &mapping.stage, rest));
        }
    }
    let mapping = find("")?;
    Some(resolved(&mapping.api_id, &mapping.stage, segments))
}

fn resolve_stage<'a>(api: &ApiEntry, segments: &[&'a str]) -> Option<Resolved<'a>> {
    if let Some((first, rest)) = segments.split_first() {
        let decoded = percent_encoding::percent_decode_str(first).decode_utf8_lossy();
        if let Some(stage) = api.stages.iter().find(|stage| ***stage == *decoded) {
            return Some(resolved(&api.api_id, stage, rest));
        }
    }
    let [stage] = api.stages.as_slice() else {
        return None;
    };
    match resolved(&api.api_id, stage, segments) {
        Resolved {
            rest: Rest::Other, ..
        } => None,
        found => Some(found),
    }
}

fn resolved<'a>(api_id: &Arc<str>, stage: &Arc<str>, rest: &[&'a str]) -> Resolved<'a> {
    let rest = match rest {
        [] => Rest::Stage,
        [marker, id] if is_connections(marker) => Rest::Connection(id),
        [marker] if is_connections(marker) => Rest::Connection(""),
        _ => Rest::Other,
    };
    Resolved {
        api_id: Arc::clone(api_id),
        stage: Arc::clone(stage),
        rest,
    }
}

fn is_connections(segment: &str) -> bool {
    segment == "@connections" || segment.eq_ignore_ascii_case("%40connections")
}

/// The segments of a path, or `None` where an empty one stands in the way. A slash may follow the stage, and one may be
/// doubled before `@connections`, as the AWS SDK for JavaScript sends it for an endpoint that ends in a slash. Dot
/// segments stay as they are and so match nothing.
fn segments(path: &str) -> Option<Vec<&str>> {
    let mut segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let marker = segments.iter().position(|segment| is_connections(segment));
    match marker {
        Some(at) if at > 0 && segments[at - 1].is_empty() => {
            segments.remove(at - 1);
        }
        None if segments.last().is_some_and(|last| last.is_empty()) => {
            segments.pop();
        }
        _ => {}
    }
    // An empty id is told apart later: it is no connection's.
    let (last, before) = segments
        .split_last()
        .map_or((None, &[][..]), |(last, before)| (Some(*last), before));
    let empty_id = last == Some("") && before.last().is_some_and(|segment| is_connections(segment));
    let whole = if empty_id {
        before
    } else {
        segments.as_slice()
    };
    whole
        .iter()
        .all(|segment| !segment.is_empty())
        .then_some(segments)
}

/// `{apiId}` of `{apiId}.execute-api.*`.
fn execute_api_label(name: &str) -> Option<&str> {
    let (label, rest) = name.split_once('.')?;
    let (marker, _) = rest.split_once('.')?;
    marker.eq_ignore_ascii_case("execute-api").then_some(label)
}

/// The name in a `Host` header, without port and trailing dot.
pub fn host_name(host: &str) -> &str {
    split_port(host).0.trim_end_matches('.')
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.contains(']') && (name.starts_with('[') || !name.contains(':')) =>
        {
            (name, Some(port))
        }
        _ => (host, None),
    }
}
