//! Prints what is in force and where each value came from, without secrets.

use std::fmt::Write as _;
use std::time::Duration;

use gateway_core::resource::{Api, AuthorizationType, Integration, Limits, Preset, Route};

use super::secret::is_secret_key;
use super::yaml::{Entry, Node, Tree};
use super::{Loaded, Located};

/// The settings as YAML, each with its origin beside it; secrets are `***`.
pub fn render_effective(loaded: &Loaded) -> String {
    let mut page = Page {
        text: String::new(),
        located: &loaded.located,
    };
    for section in ["server", "lambda"] {
        if let Some(entry) = loaded.located.tree.child(section) {
            page.options(0, section, &entry.node, false);
        }
    }
    if loaded.config.apis.is_empty() {
        page.line(0, "apis: {}", "default");
    } else {
        page.open(0, "apis");
        for api in &loaded.config.apis {
            page.api(api);
        }
    }
    page.text
}

struct Page<'a> {
    text: String,
    located: &'a Located,
}

impl Page<'_> {
    fn line(&mut self, depth: usize, content: &str, origin: &str) {
        const COLUMN: usize = 52;
        let content = format!("{:indent$}{content}", "", indent = depth * 2);
        let result = writeln!(self.text, "{content:COLUMN$} # {origin}");
        result.expect("writing to a String does not fail");
    }

    fn open(&mut self, depth: usize, key: &str) {
        let line = format!("{:indent$}{}:\n", "", word(key), indent = depth * 2);
        self.text.push_str(&line);
    }

    /// A part of the tree as it is in force.
    fn options(&mut self, depth: usize, key: &str, node: &Node, hidden: bool) {
        let hidden = hidden || is_secret_key(key);
        match &node.tree {
            Tree::Map(entries) if !entries.is_empty() => {
                self.open(depth, key);
                for entry in entries {
                    self.options(depth + 1, &entry.key, &entry.node, hidden);
                }
            }
            _ => {
                let origin = node.origin.describe(self.located.file());
                let content = format!("{}: {}", word(key), shown(key, node, hidden));
                self.line(depth, &content, &origin);
            }
        }
    }

    fn api(&mut self, api: &Api) {
        let path = ["apis", api.api_id.as_str()];
        self.open(1, &api.api_id);
        let expression = word(&api.route_selection_expression);
        self.setting(2, &path, "routeSelectionExpression", &expression, "default");
        let expression = word(&api.api_key_selection_expression);
        self.setting(
            2,
            &path,
            "apiKeySelectionExpression",
            &expression,
            "default",
        );
        let disabled = api.disable_execute_api_endpoint.to_string();
        self.setting(2, &path, "disableExecuteApiEndpoint", &disabled, "default");
        let origins = match &api.allowed_origins {
            None => "null".to_owned(),
            Some(origins) => words(origins.iter().map(String::as_str)),
        };
        self.setting(2, &path, "allowedOrigins", &origins, "default");
        self.open(2, "limits");
        self.limits(&[&path[..], &["limits"]].concat(), &api.limits);
        if !api.authorizers.is_empty() {
            self.open(2, "authorizers");
        }
        for authorizer in &api.authorizers {
            let id = authorizer.authorizer_id.as_str();
            let origin = self
                .located
                .origin_of(&[&path[..], &["authorizers", id]].concat());
            let uri = word(&without_userinfo(&authorizer.authorizer_uri));
            let sources = words(authorizer.identity_source.iter().map(String::as_str));
            let content = format!(
                "{}: {{ authorizerUri: {uri}, identitySource: {sources} }}",
                word(id)
            );
            self.line(3, &content, &origin.describe(self.located.file()));
        }
        if !api.routes.is_empty() {
            self.open(2, "routes");
        }
        for route in &api.routes {
            let what = describe_route(api, route);
            let way = [&path[..], &["routes", &route.route_key]].concat();
            let origin = self.located.origin_of(&way);
            let content = format!("{}: {what}", word(&route.route_key));
            self.line(3, &content, &origin.describe(self.located.file()));
        }
        let stages = words(api.stages.iter().map(|stage| stage.stage_name.as_str()));
        self.setting(2, &path, "stages", &stages, "default");
    }

    /// One value with its place in the file, or else what it comes from.
    fn setting(&mut self, depth: usize, path: &[&str], key: &str, value: &str, otherwise: &str) {
        let origin = match self.located.exact(&[path, &[key]].concat()) {
            Some(origin) => origin.describe(self.located.file()),
            None => otherwise.to_owned(),
        };
        self.line(depth, &format!("{key}: {value}"), &origin);
    }

    fn limits(&mut self, path: &[&str], limits: &Limits) {
        let (preset, otherwise) = match limits.preset {
            Preset::Open => ("open", "preset open"),
            Preset::Aws => ("aws", "preset aws"),
        };
        let size = |size: Option<u32>| size.map_or("0".to_owned(), size_text);
        let time = |time: Option<Duration>| time.map_or("0".to_owned(), duration_text);
        let rate = |rate: Option<f64>| rate.unwrap_or_default().to_string();
        self.setting(3, path, "preset", preset, "default");
        for (key, value) in [
            ("maxMessageBytes", size(limits.max_message_bytes)),
            ("maxFrameBytes", size(limits.max_frame_bytes)),
            ("sendFrameBytes", size(limits.send_frame_bytes)),
            ("idleTimeout", time(limits.idle_timeout)),
            ("maxAge", time(limits.max_age)),
            ("maxAgeJitter", limits.max_age_jitter.to_string()),
            ("pingInterval", time(limits.ping_interval)),
            ("pongTimeout", duration_text(limits.pong_timeout)),
            ("binary", limits.binary.to_string()),
            ("alwaysText", limits.always_text.to_string()),
            ("concurrency", limits.concurrency.to_string()),
            (
                "holdPushDuringConnect",
                limits.hold_push_during_connect.to_string(),
            ),
            ("messagesPerSecond", rate(limits.messages_per_second)),
            (
                "messagesPerSecondPerAddress",
                rate(limits.messages_per_second_per_address),
            ),
            ("connectsPerSecond", rate(limits.connects_per_second)),
            ("maxFragments", limits.max_fragments.to_string()),
            ("messageTimeout", duration_text(limits.message_timeout)),
            ("maxQueueBytes", size_text(limits.max_queue_bytes)),
            ("writeTimeout", duration_text(limits.write_timeout)),
            (
                "controlFramesPerSecond",
                limits.control_frames_per_second.to_string(),
            ),
        ] {
            self.setting(3, path, key, &value, otherwise);
        }
    }
}

/// What a route calls, in one line.
fn describe_route(api: &Api, route: &Route) -> String {
    let target = route.target.as_deref().unwrap_or_default();
    let id = target.strip_prefix("integrations/").unwrap_or_default();
    let integration = api.integrations.iter().find(|i| i.integration_id == id);
    let mut members = Vec::new();
    if let Some(integration) = integration {
        members.push(describe_integration(integration));
    }
    if let (AuthorizationType::Custom, Some(id)) = (route.authorization_type, &route.authorizer_id)
    {
        members.push(format!(
            "authorizationType: CUSTOM, authorizerId: {}",
            word(id)
        ));
    }
    if !route.route_responses.is_empty() {
        members.push("routeResponseSelectionExpression: $default".to_owned());
    }
    if let Some(concurrency) = route.concurrency {
        members.push(format!("concurrency: {concurrency}"));
    }
    if members.is_empty() {
        return "null".to_owned();
    }
    format!("{{ {} }}", members.join(", "))
}

fn describe_integration(integration: &Integration) -> String {
    let kind = serde_json::to_string(&integration.integration_type).unwrap_or_default();
    let uri = integration.integration_uri.as_deref();
    let uri = uri.map(|uri| format!(", integrationUri: {}", word(&without_userinfo(uri))));
    format!(
        "integration: {{ integrationType: {}{}, timeoutInMillis: {} }}",
        kind.trim_matches('"'),
        uri.unwrap_or_default(),
        integration.timeout.as_millis()
    )
}

/// A value on one line.
fn shown(key: &str, node: &Node, hidden: bool) -> String {
    let hidden = hidden || is_secret_key(key);
    match &node.tree {
        Tree::Null | Tree::Broken => "null".to_owned(),
        Tree::Scalar(_) | Tree::Quoted(_) if hidden => "\"***\"".to_owned(),
        Tree::Scalar(text) | Tree::Quoted(text) if key == "store" => word(&without_password(text)),
        Tree::Scalar(text) | Tree::Quoted(text) => word(&without_userinfo(text)),
        Tree::List(items) => {
            let items: Vec<String> = items.iter().map(|item| shown(key, item, hidden)).collect();
            format!("[{}]", items.join(", "))
        }
        Tree::Map(entries) if entries.is_empty() => "{}".to_owned(),
        Tree::Map(entries) => {
            let entry = |entry: &Entry| {
                let value = shown(&entry.key, &entry.node, hidden);
                format!("{}: {value}", word(&entry.key))
            };
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A store's URL: everything up to its last `@` and everything after `?` may be a password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, _)) => (rest, "?***"),
        None => (rest, ""),
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}{query}"),
        None => format!("{scheme}://{rest}{query}"),
    }
}

/// A URL without the name and password before its host.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => text.to_owned(),
    }
}

/// Text as YAML takes it: plain where that is safe, else in quotes.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "$_-./@+*".contains(c) || c == ':';
    let safe_ends = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '$' || c == '/')
        && !text.ends_with(':');
    if safe_ends && text.chars().all(plain) && text != "null" {
        return text.to_owned();
    }
    serde_json::to_string(text).unwrap_or_default()
}

fn words<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = texts.map(word).collect();
    format!("[{}]", words.join(", "))
}

fn size_text(bytes: u32) -> String {
    match bytes {
        0 => "0".to_owned(),
        n if n % (1 << 20) == 0 => format!("{}MiB", n >> 20),
        n if n % (1 << 10) == 0 => format!("{}KiB", n >> 10),
        n => n.to_string(),
    }
}

fn duration_text(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    let mut text = String::new();
    for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        let count = millis / length;
        millis %= length;
        if count > 0 {
            let _ = write!(text, "{count}{unit}");
        }
    }
    if text.is_empty() {
        "0".to_owned()
    } else {
        text
    }
}
