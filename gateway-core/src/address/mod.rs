//! How a request finds its API and stage, and which names a client may be told.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use percent_encoding::percent_decode_str;

#[cfg(test)]
mod tests;

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
            return resolve_stage(self.execute_api(api_id)?, &segments);
        }
        if let ["_aws", "execute-api", api_id, rest @ ..] = segments.as_slice() {
            return resolve_stage(self.api(api_id)?, rest);
        }
        resolve_stage(self.default_entry()?, &segments)
    }

    /// The name that events carry: the client's `Host` where it is ours, else the public one. Handlers post replies
    /// to this name, so a client must not choose it.
    ///
    /// Names that the operator set stand with whatever port the client used, or none: a load balancer's port is not
    /// ours. Addresses and names of this machine stand only with the listener's own port.
    pub fn domain_name(&self, host: &str, listener: SocketAddr) -> Arc<str> {
        if !self.is_ours(host, listener) {
            return Arc::clone(&self.public_host);
        }
        let (name, port) = split_port(host);
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        match port {
            Some(port) => format!("{name}:{port}").into(),
            None => name.into(),
        }
    }

    /// [`domain_name`](Self::domain_name), or the API's own name where `https://{domainName}/{stage}`, as handlers build
    /// it, would not lead back to the stage: an API that is not the default, reached by its path.
    pub fn event_name(
        &self,
        host: &str,
        listener: SocketAddr,
        api_id: &str,
        stage: &str,
    ) -> Arc<str> {
        let leads_back = |name: &str| {
            let path = format!("/{stage}");
            let found = self.resolve(name, &path);
            found.is_some_and(|found| *found.api_id == *api_id && *found.stage == *stage)
        };
        let name = self.domain_name(host, listener);
        if leads_back(&name) {
            return name;
        }
        let own = format!("{api_id}.execute-api.{}", self.base_domain);
        let own = match listener.port() {
            80 | 443 => own,
            port => format!("{own}:{port}"),
        };
        if leads_back(&own) { own.into() } else { name }
    }

    fn is_ours(&self, host: &str, listener: SocketAddr) -> bool {
        if host.eq_ignore_ascii_case(&self.public_host) {
            return true;
        }
        let (name, port) = split_port(host);
        let port = match port.map(parse_port) {
            None => None,
            Some(Some(port)) => Some(port),
            Some(None) => return false,
        };
        let name = name.trim_end_matches('.');
        let at_listener = match port {
            Some(port) => port == listener.port(),
            None => matches!(listener.port(), 80 | 443),
        };
        let is_hostname = |own: &String| own.eq_ignore_ascii_case(name);
        if self.domain(name).is_some() || self.hostnames.iter().any(is_hostname) {
            return true;
        }
        if let Some(api_id) = self.own_execute_api_label(name) {
            // Below localhost another port is another program.
            return self.api_named(api_id).is_some() && (at_listener || !is_local(name));
        }
        at_listener
            && (name.eq_ignore_ascii_case("localhost")
                || parse_ip(name).is_some_and(|ip| is_address_of(ip, listener.ip())))
    }

    /// True where some API answers at this host, whatever the path.
    pub fn knows(&self, host: &str) -> bool {
        let name = host_name(host);
        if self.domain(name).is_some() {
            return true;
        }
        match execute_api_label(name) {
            Some(api_id) => self.execute_api(api_id).is_some(),
            None => self.default_entry().is_some(),
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
            || self.own_execute_api_label(name).is_some()
    }

    /// `{apiId}` of `{apiId}.execute-api.{base_domain}`.
    fn own_execute_api_label<'a>(&self, name: &'a str) -> Option<&'a str> {
        let api_id = execute_api_label(name)?;
        let base = &name[api_id.len() + ".execute-api.".len()..];
        base.eq_ignore_ascii_case(&self.base_domain)
            .then_some(api_id)
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

    /// An API by a label of a host name, which has no case.
    fn api_named(&self, label: &str) -> Option<&ApiEntry> {
        let named = |api: &&ApiEntry| api.api_id.eq_ignore_ascii_case(label);
        self.api(label).or_else(|| self.apis.iter().find(named))
    }

    fn execute_api(&self, label: &str) -> Option<&ApiEntry> {
        self.api_named(label)
            .filter(|api| !api.disable_execute_api_endpoint)
    }

    fn default_entry(&self) -> Option<&ApiEntry> {
        match (&self.default_api, self.apis.as_slice()) {
            (Some(api_id), _) => self.api(api_id),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// Where clients connect at this host, for whoever looked elsewhere: paths, or names with paths where no API has
    /// this one.
    pub fn places(&self, host: &str) -> Vec<String> {
        let name = host_name(host);
        if let Some(domain) = self.domain(name) {
            let mappings = domain.mappings.iter();
            return mappings
                .map(|mapping| format!("/{}", mapping.api_mapping_key))
                .collect();
        }
        let label = execute_api_label(name);
        if let Some(api) = label.and_then(|label| self.execute_api(label)) {
            let stages = api.stages.iter();
            return stages.map(|stage| format!("/{stage}")).collect();
        }
        let every = self
            .apis
            .iter()
            .flat_map(|api| api.stages.iter().map(move |stage| (api, stage)));
        if label.is_none() {
            return every
                .map(|(api, stage)| self.stage_path(&api.api_id, stage))
                .collect();
        }
        let named = every.filter(|(api, _)| !api.disable_execute_api_endpoint);
        named
            .map(|(api, stage)| format!("{}.execute-api.{}/{stage}", api.api_id, self.base_domain))
            .collect()
    }

    /// The path that leads to a stage on any host: the shortest that is unambiguous.
    pub fn stage_path(&self, api_id: &str, stage: &str) -> String {
        match self.default_entry() {
            Some(api) if &*api.api_id == api_id => format!("/{stage}"),
            _ => format!("/{EXECUTE_API_PATH}/{api_id}/{stage}"),
        }
    }
}

/// The mapping key wins; where none matches, the real name of a mapped stage serves too, because handlers build
/// `https://{domainName}/{stage}`. A name that mapped stages of two APIs share means neither: a push to the wrong
/// one would be told that its connection is gone.
fn resolve_mapping<'a>(domain: &Domain, segments: &[&'a str]) -> Option<Resolved<'a>> {
    let find = |key: &str| {
        domain
            .mappings
            .iter()
            .find(|mapping| mapping.api_mapping_key == key)
    };
    if let Some((first, rest)) = segments.split_first() {
        let first = decode(first);
        if let Some(mapping) = find(&first) {
            return Some(resolved(&mapping.api_id, &mapping.stage, rest));
        }
        let mut same_stage = domain.mappings.iter().filter(|m| *m.stage == *first);
        if let Some(mapping) = same_stage.next()
            && same_stage.all(|other| other.api_id == mapping.api_id)
        {
            return Some(resolved(&mapping.api_id, &mapping.stage, rest));
        }
    }
    let mapping = find("")?;
    Some(resolved(&mapping.api_id, &mapping.stage, segments))
}

fn resolve_stage<'a>(api: &ApiEntry, segments: &[&'a str]) -> Option<Resolved<'a>> {
    if let Some((first, rest)) = segments.split_first() {
        let first = decode(first);
        if let Some(stage) = api.stages.iter().find(|stage| ***stage == *first) {
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

/// True where some segment of a path is `@connections`: a callback, or an attempt at one.
pub fn names_connections(path: &str) -> bool {
    path.split('/').any(is_connections)
}

fn is_connections(segment: &str) -> bool {
    matches!(segment, "@connections" | "%40connections")
}

/// Percent-decoded once: SDKs write the stage `$default` as `%24default`.
fn decode(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
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

/// Digits alone: `+80` is a number to Rust, and no port.
fn parse_port(port: &str) -> Option<u16> {
    port.bytes().all(|c| c.is_ascii_digit()).then_some(port)?;
    port.parse().ok()
}

/// An IPv4 address, or an IPv6 address in its brackets.
fn parse_ip(name: &str) -> Option<IpAddr> {
    let bracketed = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match bracketed {
        Some(name) => name.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

fn is_address_of(ip: IpAddr, own: IpAddr) -> bool {
    let own = own.to_canonical();
    ip.to_canonical() == own || own.is_unspecified() && ip.is_loopback()
}

fn is_local(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}
