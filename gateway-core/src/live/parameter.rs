//! Request parameter mapping: `integration.request.header.X: route.request.querystring.y` and its kin.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::call::Call;
use crate::context;
use crate::failure::Failure;
use crate::jsonpath::{JsonPath, PathSet, ReadError, Reading};

/// All mapped parameters of an integration.
#[derive(Debug)]
pub struct Parameters {
    list: Vec<Parameter>,
    /// The places in the message, in order: they are read together.
    body: PathSet,
}

/// One mapped parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Where it goes.
    pub target: Target,
    /// Where it comes from.
    pub source: Source,
}

/// Where a parameter goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A request header.
    Header(http::HeaderName),
    /// A query parameter.
    Query(String),
    /// A `{name}` of the URI.
    Path(String),
}

/// Where a value comes from.
#[derive(Debug)]
pub enum Source {
    /// A handshake header; `$connect` only.
    Header(String),
    /// All values of a handshake header.
    MultiHeader(String),
    /// A query parameter of the handshake; `$connect` only.
    Query(String),
    /// All values of a query parameter.
    MultiQuery(String),
    /// A place in the message; the boxed path keeps the common sources small.
    Body(Box<JsonPath>),
    /// A `$context` variable.
    Context(String),
    /// A text known since the stage was compiled: a literal or a stage variable.
    Static(String),
    /// A stage variable that the stage does not set.
    Unset,
}

/// Headers that a mapping may not set ("Amazon API Gateway important notes", restricted headers).
const RESERVED: [&str; 7] = [
    "content-length",
    "transfer-encoding",
    "x-amzn-trace-id",
    "x-amzn-apigateway-api-id",
    "connection",
    "upgrade",
    "expect",
];

impl Target {
    /// Parses `integration.request.{header|querystring|path}.NAME`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let forms = "integration.request.header.NAME, integration.request.querystring.NAME or \
                     integration.request.path.NAME";
        let rest = text
            .strip_prefix("integration.request.")
            .ok_or_else(|| format!("'{text}' is no target; write {forms}"))?;
        let (kind, name) = rest
            .split_once('.')
            .ok_or_else(|| format!("'{text}' names nothing; write {forms}"))?;
        check_name(name)?;
        match kind {
            "header" => {
                let header = http::HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| format!("'{name}' is not a header name"))?;
                if RESERVED.contains(&header.as_str()) || header.as_str().starts_with("x-wiregate-")
                {
                    return Err(format!(
                        "header '{name}' is set by the gateway and cannot be mapped"
                    ));
                }
                Ok(Self::Header(header))
            }
            "querystring" => Ok(Self::Query(name.to_owned())),
            "path" => Ok(Self::Path(name.to_owned())),
            _ => Err(format!("'{text}' is no target; write {forms}")),
        }
    }
}

impl Source {
    /// Parses a mapping's right-hand side; stage variables are looked up at once.
    pub fn parse(text: &str, stage_variables: &BTreeMap<String, String>) -> Result<Self, String> {
        if let Some(literal) = text.strip_prefix('\'') {
            let literal = literal
                .strip_suffix('\'')
                .ok_or_else(|| format!("{text} lacks its closing single quote"))?;
            return Ok(Self::Static(literal.to_owned()));
        }
        if let Some(name) = text.strip_prefix("context.") {
            check_name(name)?;
            return Ok(Self::Context(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("stageVariables.") {
            check_name(name)?;
            let value = stage_variables.get(name).cloned();
            return Ok(value.map_or(Self::Unset, Self::Static));
        }
        let Some(rest) = text.strip_prefix("route.request.") else {
            return Err(format!(
                "'{text}' is no source; write route.request.…, context.…, stageVariables.… or a 'literal' in single quotes"
            ));
        };
        let (kind, name) = rest.split_once('.').unwrap_or((rest, ""));
        if kind == "body" {
            let path = JsonPath::parse(&format!("$.{name}"))
                .map_err(|error| format!("'{text}': {error}"))?;
            return Ok(Self::Body(Box::new(path)));
        }
        check_name(name).map_err(|error| format!("'{text}': {error}"))?;
        let name = name.to_owned();
        match kind {
            "header" => Ok(Self::Header(name)),
            "multivalueheader" => Ok(Self::MultiHeader(name)),
            "querystring" => Ok(Self::Query(name)),
            "multivaluequerystring" => Ok(Self::MultiQuery(name)),
            _ => Err(format!(
                "'{text}' is no source; after route.request comes header, multivalueheader, querystring, \
                 multivaluequerystring or body"
            )),
        }
    }

    /// The values for a call: none where the source is absent, more than one for multi-value sources. Places in the
    /// message are read by [`Parameters::values`] and have none here.
    pub fn values<'a>(&'a self, call: &'a Call<'a>) -> Vec<Cow<'a, str>> {
        let handshake = call.event.handshake();
        match self {
            Self::Static(text) => vec![text.into()],
            Self::Unset | Self::Body(_) => Vec::new(),
            Self::Context(name) => context::lookup(call, name).into_iter().collect(),
            Self::Header(name) => handshake
                .and_then(|h| h.header(name))
                .map(Into::into)
                .into_iter()
                .collect(),
            Self::Query(name) => handshake
                .and_then(|h| h.query_value(name))
                .map(Into::into)
                .into_iter()
                .collect(),
            Self::MultiHeader(name) => handshake
                .map(|h| h.header_values(name).map(Into::into).collect())
                .unwrap_or_default(),
            Self::MultiQuery(name) => handshake
                .map(|h| h.query_values(name).map(Into::into).collect())
                .unwrap_or_default(),
        }
    }
}

impl Parameters {
    /// Makes parameters ready.
    pub fn new(list: Vec<Parameter>) -> Self {
        let body = list.iter().filter_map(|parameter| match &parameter.source {
            Source::Body(path) => Some(&**path),
            _ => None,
        });
        Self {
            body: PathSet::new(body),
            list,
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.list.iter()
    }

    /// Each with its values for a call, which may be none. The message is read once for all; where it is not JSON its
    /// places are absent, and where they cost too much the call fails with [`Failure::MessageTooComplex`].
    pub fn values<'a>(&'a self, call: &'a Call<'a>) -> Result<Vec<Valued<'a>>, Failure> {
        let mut readings = vec![Reading::Missing; self.body.len()];
        if let Some(message) = call.event.text()
            && !self.body.is_empty()
        {
            match self.body.read(message, &mut readings) {
                Ok(()) | Err(ReadError::NotJson) => {}
                Err(ReadError::OutOfFuel) => return Err(Failure::MessageTooComplex),
            }
        }
        let mut readings = readings.into_iter();
        let values = |parameter: &'a Parameter| match &parameter.source {
            Source::Body(_) => match readings.next() {
                Some(Reading::Text(text)) => vec![text],
                Some(Reading::Missing | Reading::Null) | None => Vec::new(),
            },
            source => source.values(call),
        };
        let targets = self.list.iter().map(|parameter| &parameter.target);
        Ok(targets.zip(self.list.iter().map(values)).collect())
    }
}

/// Where a parameter goes and what goes there.
pub type Valued<'a> = (&'a Target, Vec<Cow<'a, str>>);

/// "Names match `^[a-zA-Z0-9._$-]+$`".
fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._$-".contains(c);
    if name.is_empty() || !name.chars().all(legal) {
        return Err(format!(
            "'{name}' is no parameter name; use letters, digits and . _ $ -"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_headers_queries_and_path_parameters() {
        let name = |text: &'static str| http::HeaderName::from_static(text);
        assert_eq!(
            Target::parse("integration.request.header.connectionId"),
            Ok(Target::Header(name("connectionid")))
        );
        assert_eq!(
            Target::parse("integration.request.querystring.q"),
            Ok(Target::Query("q".into()))
        );
        assert_eq!(
            Target::parse("integration.request.path.id"),
            Ok(Target::Path("id".into()))
        );
        for bad in [
            "header.x",
            "integration.request.cookie.x",
            "integration.request.header",
            "integration.request.header.a b",
            "integration.request.header.Content-Length",
            "integration.request.header.x-wiregate-stage",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_source_is_refused_with_the_legal_forms() {
        let none = BTreeMap::new();
        for (text, part) in [
            ("$context.stage", "is no source"),
            ("'open", "closing single quote"),
            ("context.", "no parameter name"),
            ("route.request.cookie.x", "is no source"),
            ("route.request.header", "no parameter name"),
            ("stageVariables.a b", "no parameter name"),
        ] {
            let error = Source::parse(text, &none).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
