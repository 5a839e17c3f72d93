//! Selection expressions: the little language by which an API names what chooses a route, a key, a template.
//!
//! ```text
//! expression = 1*( literal / variable / escaped )
//! variable   = "$" path / "${" path "}"
//! escaped    = "\$"                          a dollar sign
//! ```
//!
//! Parsed once, when a deployment is made ready; evaluated for every message. The result is a key to compare with
//! the keys of routes, models, templates or responses ("Working with WebSocket selection expressions", API Gateway
//! developer guide).

mod error;
mod parse;
mod pattern;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

pub use error::{Doubt, ExpressionError, Problem, Warning};
pub use pattern::{MAX_PATTERN_BYTES, PatternError, ResponseKey, select};

use crate::jsonpath::{JsonPath, PathSet, ReadError, Reading};

/// Bytes in one expression. Ours; AWS documents no number.
pub const MAX_EXPRESSION_BYTES: usize = 4096;

/// Variables in one expression. Ours; AWS documents no number.
pub const MAX_VARIABLES: usize = 8;

/// Bytes of a key put together from several parts; a longer one could match nothing and counts as empty.
pub const MAX_KEY_BYTES: usize = 1024 * 1024;

/// The property an expression stands in. It decides which variables have a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Api.RouteSelectionExpression`: message to route key. `$context` and `$stageVariables` are our addition.
    Route,
    /// `Api.ApiKeySelectionExpression`: one of two fixed variables.
    ApiKey,
    /// `DomainName.ApiMappingSelectionExpression`: always `$request.basepath`.
    ApiMapping,
    /// `Route.ModelSelectionExpression`: message to model.
    Model,
    /// `Route.RouteResponseSelectionExpression`: always `$default`.
    RouteResponse,
    /// `Integration.TemplateSelectionExpression`: message to request template.
    RequestTemplate,
    /// `Integration.IntegrationResponseSelectionExpression`: fixed by the type of the integration.
    IntegrationResponse,
    /// `IntegrationResponse.TemplateSelectionExpression`: message and backend response to response template.
    ResponseTemplate,
}

/// A selection expression, ready to be evaluated.
#[derive(Debug, Clone)]
pub struct SelectionExpression {
    kind: Kind,
    parts: Vec<Part>,
    /// The paths of the variables that stand in the message, in order: they are read together.
    body: PathSet,
    warnings: Vec<Warning>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Variable {
    RequestBody(JsonPath),
    RequestHeader(String),
    BasePath,
    Context(String),
    Stage(String),
    StatusCode,
    ErrorMessage,
    ResponseHeader(String),
    ResponseMultiValueHeader(String),
    /// Always empty; a warning says so.
    Unknown(String),
}

/// Finds the value of a name: a header, a context variable.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<Cow<'a, str>>;

/// What an expression can be evaluated on; what is absent has no value. Everything is borrowed.
#[derive(Clone, Copy, Default)]
pub struct Scope<'a> {
    /// The message of the client. `None` where there is none, on `$connect`: its variables are empty then.
    pub body: Option<&'a str>,
    /// A header of the request, by a name as the expression spells it.
    pub request_header: Option<Lookup<'a>>,
    /// The mapping key by which a request on a custom domain came.
    pub base_path: Option<&'a str>,
    /// A context variable, by its name without `context.`: `authorizer.principalId`.
    pub context: Option<Lookup<'a>>,
    /// A stage variable.
    pub stage_variable: Option<Lookup<'a>>,
    /// The status of the backend's response.
    pub status_code: Option<u16>,
    /// The `errorMessage` of a failed Lambda function.
    pub error_message: Option<&'a str>,
    /// A header of the backend's response.
    pub response_header: Option<Lookup<'a>>,
    /// All values of a header of the backend's response, joined.
    pub response_multi_value_header: Option<Lookup<'a>>,
}

impl<'a> Scope<'a> {
    /// The scope of a client's message, with nothing else.
    pub fn of_message(body: &'a str) -> Self {
        Self {
            body: Some(body),
            ..Self::default()
        }
    }
}

/// What an expression came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evaluation<'a> {
    /// The message is not JSON, so the expression was not evaluated: `$default` is chosen.
    NotJson,
    /// The variables together ask for more work than one message may cost, or for more text: nothing is chosen.
    /// [`MAX_WORK`](crate::jsonpath::MAX_WORK) and [`MAX_TEXT_BYTES`](crate::jsonpath::MAX_TEXT_BYTES) say how much.
    OutOfFuel,
    /// The key. Empty where nothing was found; an empty key matches no custom route.
    Key(Cow<'a, str>),
}

impl SelectionExpression {
    /// Parses the expression of one property.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, ExpressionError> {
        parse::parse(text, kind)
    }

    /// The property it was parsed for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What its author should hear about, in order of position.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Evaluates in one pass; what a variable yields is not looked at again. The message is read once for all
    /// variables. One variable alone, the usual `$request.body.action`, yields a key that borrows from the message.
    pub fn evaluate<'r, 's: 'r>(&'r self, scope: &Scope<'s>) -> Evaluation<'r> {
        let mut readings = [const { Reading::Missing }; MAX_VARIABLES];
        let readings = &mut readings[..self.body.len()];
        // A route expression is not evaluated at all on a message that is not JSON, even where it never looks into it.
        if let Some(body) = scope.body
            && (self.kind == Kind::Route || !readings.is_empty())
        {
            match self.body.read(body, readings) {
                Ok(()) => {}
                Err(ReadError::NotJson) => return Evaluation::NotJson,
                Err(ReadError::OutOfFuel) => return Evaluation::OutOfFuel,
            }
        }
        let mut readings = readings.iter_mut().map(std::mem::take);
        let mut value = |part: &'r Part| match part {
            Part::Text(text) => Cow::Borrowed(text.as_str()),
            Part::Variable(Variable::RequestBody(_)) => {
                readings.next().unwrap_or_default().into_text()
            }
            Part::Variable(variable) => variable.value(scope).unwrap_or_default(),
        };
        Evaluation::Key(match self.parts.as_slice() {
            [part] => value(part),
            parts => join(parts.iter().map(value)),
        })
    }
}

/// Two expressions are equal if they choose alike, however they were spelled.
impl PartialEq for SelectionExpression {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.parts == other.parts
    }
}

impl Eq for SelectionExpression {}

fn join<'v>(values: impl Iterator<Item = Cow<'v, str>>) -> Cow<'v, str> {
    let mut key = String::new();
    for value in values {
        if key.len() + value.len() > MAX_KEY_BYTES {
            return Cow::Borrowed("");
        }
        key.push_str(&value);
    }
    Cow::Owned(key)
}

impl Variable {
    /// The value of a variable that does not stand in the message.
    fn value<'s>(&self, scope: &Scope<'s>) -> Option<Cow<'s, str>> {
        let look_up =
            |lookup: Option<Lookup<'s>>, name: &str| lookup.and_then(|look_up| look_up(name));
        match self {
            Self::RequestHeader(name) => look_up(scope.request_header, name),
            Self::BasePath => scope.base_path.map(Cow::Borrowed),
            Self::Context(name) => look_up(scope.context, name),
            Self::Stage(name) => look_up(scope.stage_variable, name),
            Self::StatusCode => scope.status_code.map(|code| Cow::Owned(code.to_string())),
            Self::ErrorMessage => scope.error_message.map(Cow::Borrowed),
            Self::ResponseHeader(name) => look_up(scope.response_header, name),
            Self::ResponseMultiValueHeader(name) => {
                look_up(scope.response_multi_value_header, name)
            }
            Self::RequestBody(_) | Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for SelectionExpression {
    /// One canonical spelling, which parses to the same expression: `${request.body.action}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match (part, self.kind) {
                // These properties have fixed texts, which know neither braces nor escapes.
                (Part::Text(text), Kind::RouteResponse) => f.write_str(text)?,
                (Part::Variable(variable), Kind::ApiKey | Kind::ApiMapping) => {
                    write!(f, "${variable}")?;
                }
                (Part::Text(text), _) => f.write_str(&text.replace('$', r"\$"))?,
                (Part::Variable(variable), _) => write!(f, "${{{variable}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestBody(path) => {
                f.write_str(parse::REQUEST_BODY)?;
                path.write_tail(f)
            }
            Self::RequestHeader(name) => write!(f, "{}{name}", parse::REQUEST_HEADER),
            Self::BasePath => f.write_str(parse::BASE_PATH),
            Self::Context(name) => write!(f, "{}{name}", parse::CONTEXT),
            Self::Stage(name) => write!(f, "{}{name}", parse::STAGE_VARIABLES),
            Self::StatusCode => f.write_str(parse::STATUS_CODE),
            Self::ErrorMessage => f.write_str(parse::ERROR_MESSAGE),
            Self::ResponseHeader(name) => write!(f, "{}{name}", parse::RESPONSE_HEADER),
            Self::ResponseMultiValueHeader(name) => {
                write!(f, "{}{name}", parse::RESPONSE_MULTI_VALUE_HEADER)
            }
            Self::Unknown(name) => f.write_str(name),
        }
    }
}
