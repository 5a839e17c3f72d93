//! Text to [`SelectionExpression`].

use super::{
    Doubt, ExpressionError, Kind, MAX_EXPRESSION_BYTES, MAX_VARIABLES, Part, Problem,
    SelectionExpression, Variable, Warning,
};
use crate::jsonpath::{Dialect, PathSet, parse_tail};

pub(super) const REQUEST_BODY: &str = "request.body";
pub(super) const REQUEST_HEADER: &str = "request.header.";
pub(super) const BASE_PATH: &str = "request.basepath";
pub(super) const CONTEXT: &str = "context.";
pub(super) const STAGE_VARIABLES: &str = "stageVariables.";
pub(super) const STATUS_CODE: &str = "integration.response.statuscode";
pub(super) const ERROR_MESSAGE: &str = "integration.response.body.errorMessage";
pub(super) const RESPONSE_HEADER: &str = "integration.response.header.";
pub(super) const RESPONSE_MULTI_VALUE_HEADER: &str = "integration.response.multivalueheader.";

/// The status code as the guide's MOCK sample spells it.
const SHORT_STATUS_CODE: &str = "response.statuscode";

impl Kind {
    /// The only texts a property takes, where AWS fixes them.
    fn fixed_texts(self) -> Option<&'static [&'static str]> {
        match self {
            Self::ApiKey => Some(&[
                "$request.header.x-api-key",
                "$context.authorizer.usageIdentifierKey",
            ]),
            Self::ApiMapping => Some(&["$request.basepath"]),
            Self::RouteResponse => Some(&["$default"]),
            Self::IntegrationResponse => Some(&[
                "${integration.response.statuscode}",
                "$integration.response.statuscode",
                "${response.statuscode}",
                "$response.statuscode",
                "${integration.response.body.errorMessage}",
                "$integration.response.body.errorMessage",
            ]),
            Self::Route | Self::Model | Self::RequestTemplate | Self::ResponseTemplate => None,
        }
    }

    /// The variable of that name, if it has a value in this property.
    fn variable(self, name: &str) -> Option<Variable> {
        let named = |prefix| {
            name.strip_prefix(prefix)
                .filter(|name: &&str| !name.is_empty())
                .map(str::to_owned)
        };
        let header = || named(REQUEST_HEADER).map(Variable::RequestHeader);
        let context = || named(CONTEXT).map(Variable::Context);
        let surroundings = || context().or_else(|| named(STAGE_VARIABLES).map(Variable::Stage));
        let status_code =
            || matches!(name, STATUS_CODE | SHORT_STATUS_CODE).then_some(Variable::StatusCode);
        let response_header = || {
            named(RESPONSE_HEADER)
                .map(Variable::ResponseHeader)
                .or_else(|| {
                    named(RESPONSE_MULTI_VALUE_HEADER).map(Variable::ResponseMultiValueHeader)
                })
        };
        match self {
            Self::ApiKey => header().or_else(context),
            Self::ApiMapping => (name == BASE_PATH).then_some(Variable::BasePath),
            Self::RouteResponse => None,
            Self::Route | Self::Model | Self::RequestTemplate => surroundings(),
            Self::IntegrationResponse if name == ERROR_MESSAGE => Some(Variable::ErrorMessage),
            Self::IntegrationResponse => status_code(),
            Self::ResponseTemplate => status_code().or_else(response_header).or_else(surroundings),
        }
    }
}

/// Parses the expression of one property.
pub(super) fn parse(text: &str, kind: Kind) -> Result<SelectionExpression, ExpressionError> {
    if text.is_empty() {
        return refuse(0, Problem::Empty);
    }
    if text.len() > MAX_EXPRESSION_BYTES {
        return refuse(0, Problem::TooLong);
    }
    if let Some(texts) = kind.fixed_texts()
        && !texts.contains(&text)
    {
        return refuse(0, Problem::NotAllowed(texts));
    }
    if kind == Kind::RouteResponse {
        return Ok(finish(kind, vec![Part::Text(text.to_owned())], Vec::new()));
    }
    if let Some(expression) = without_dollar(text, kind) {
        return Ok(expression);
    }
    let mut parser = Parser {
        text,
        kind,
        at: 0,
        parts: Vec::new(),
        warnings: Vec::new(),
    };
    parser.run()?;
    Ok(finish(kind, parser.parts, parser.warnings))
}

fn finish(kind: Kind, parts: Vec<Part>, warnings: Vec<Warning>) -> SelectionExpression {
    let body = parts.iter().filter_map(|part| match part {
        Part::Variable(Variable::RequestBody(path)) => Some(path),
        _ => None,
    });
    SelectionExpression {
        kind,
        body: PathSet::new(body),
        parts,
        warnings,
    }
}

/// `request.body.action`, the whole text, in samples that forgot the dollar sign.
fn without_dollar(text: &str, kind: Kind) -> Option<SelectionExpression> {
    text.strip_prefix(REQUEST_BODY)?;
    let (path, end) = parse_tail(text, REQUEST_BODY.len(), Dialect::Open).ok()?;
    if end != text.len() || path.steps().is_empty() {
        return None;
    }
    let warning = Warning {
        position: 0,
        doubt: Doubt::MissingDollar,
    };
    Some(finish(
        kind,
        vec![Part::Variable(Variable::RequestBody(path))],
        vec![warning],
    ))
}

struct Parser<'t> {
    text: &'t str,
    kind: Kind,
    at: usize,
    parts: Vec<Part>,
    warnings: Vec<Warning>,
}

impl<'t> Parser<'t> {
    fn run(&mut self) -> Result<(), ExpressionError> {
        let mut literal = String::new();
        let mut variables = 0;
        while let Some(character) = self.rest().chars().next() {
            if self.rest().starts_with(r"\$") {
                literal.push('$');
                self.at += 2;
            } else if character != '$' {
                literal.push(character);
                self.at += character.len_utf8();
            } else {
                variables += 1;
                if variables > MAX_VARIABLES {
                    return refuse(self.at, Problem::TooManyVariables);
                }
                self.end_literal(&mut literal);
                let variable = self.variable()?;
                self.parts.push(Part::Variable(variable));
            }
        }
        self.end_literal(&mut literal);
        Ok(())
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn end_literal(&mut self, literal: &mut String) {
        if !literal.is_empty() {
            self.parts.push(Part::Text(std::mem::take(literal)));
        }
    }

    /// `$path` or `${path}` at the current place, which is the dollar sign.
    fn variable(&mut self) -> Result<Variable, ExpressionError> {
        let start = self.at;
        let braced = self.rest().starts_with("${");
        self.at += if braced { 2 } else { 1 };
        let dialect = if braced {
            Dialect::Delimited
        } else {
            Dialect::Open
        };
        let variable = match self.rest().strip_prefix(REQUEST_BODY) {
            Some(after) if !after.starts_with(belongs_to_name) || after.starts_with('.') => {
                self.request_body(dialect)?
            }
            _ => self.named(start, dialect)?,
        };
        if braced {
            match self.rest().chars().next() {
                Some('}') => self.at += 1,
                Some(found) => return refuse(self.at, Problem::Unexpected(found)),
                None => return refuse(start, Problem::UnclosedBrace),
            }
        }
        Ok(variable)
    }

    fn request_body(&mut self, dialect: Dialect) -> Result<Variable, ExpressionError> {
        let start = self.at + REQUEST_BODY.len();
        let (path, end) = parse_tail(self.text, start, dialect)?;
        if path.steps().is_empty() {
            return refuse(start, Problem::EmptyPath);
        }
        self.at = end;
        if dialect == Dialect::Open && self.rest().starts_with('.') {
            self.warnings.push(Warning {
                position: self.at,
                doubt: Doubt::LooseDot,
            });
        }
        Ok(Variable::RequestBody(path))
    }

    /// Any other variable; `dollar` is where it began.
    fn named(&mut self, dollar: usize, dialect: Dialect) -> Result<Variable, ExpressionError> {
        let rest = self.rest();
        let in_braces = |c: char| belongs_to_name(c) || c == '$';
        let name = match dialect {
            Dialect::Delimited => &rest[..rest.find(|c| !in_braces(c)).unwrap_or(rest.len())],
            // A name does not end in a dot; that is the end of a sentence.
            Dialect::Open => rest[..rest.find(|c| !belongs_to_name(c)).unwrap_or(rest.len())]
                .trim_end_matches('.'),
        };
        if name.is_empty() || name.starts_with('.') {
            return match (dialect, rest.chars().next()) {
                (Dialect::Delimited, None) => refuse(dollar, Problem::UnclosedBrace),
                _ => refuse(dollar, Problem::NoVariable),
            };
        }
        self.at += name.len();
        if let Some(variable) = self.kind.variable(name) {
            return Ok(variable);
        }
        let doubt = if matches!(name, "default" | "connect" | "disconnect") {
            Doubt::UnescapedKey(format!("${name}"))
        } else {
            Doubt::UnknownVariable(name.to_owned())
        };
        self.warnings.push(Warning {
            position: dollar,
            doubt,
        });
        Ok(Variable::Unknown(name.to_owned()))
    }
}

fn refuse<T>(position: usize, problem: Problem) -> Result<T, ExpressionError> {
    Err(ExpressionError { position, problem })
}

/// Characters of a variable's name, AWS's `[a-zA-Z0-9._$-]` without the dollar sign.
fn belongs_to_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}
