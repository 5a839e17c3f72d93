//! Choosing a body template. A template without `$` and `#` is a literal and is served as it is.

use std::collections::BTreeMap;

use crate::expression::{Evaluation, Scope, SelectionExpression};
use crate::failure::Failure;
use crate::resource::PassthroughBehavior;

/// The templates of one request or response with the rule that chooses among them.
#[derive(Debug, Default)]
pub struct Templates {
    selection: Option<SelectionExpression>,
    /// For the selection.
    stage_variables: BTreeMap<String, String>,
    by_key: BTreeMap<String, String>,
    passthrough: PassthroughBehavior,
}

/// What a body becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendered<'a> {
    /// The template's output.
    Output(&'a str),
    /// No template takes it: the body goes on unchanged.
    Passthrough,
}

impl Templates {
    /// Keys and literal texts as written; `selection` chooses, `passthrough` says what else happens.
    pub(super) fn new(
        selection: Option<SelectionExpression>,
        stage_variables: BTreeMap<String, String>,
        by_key: BTreeMap<String, String>,
        passthrough: PassthroughBehavior,
    ) -> Self {
        Self {
            selection,
            stage_variables,
            by_key,
            passthrough,
        }
    }

    /// All texts, for checks when a stage is compiled.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.by_key.values().map(String::as_str)
    }

    /// A stage variable, for the expression that chooses.
    pub fn stage_variable(&self, name: &str) -> Option<&str> {
        self.stage_variables.get(name).map(String::as_str)
    }

    /// The chosen template: the selected key, else `$default`; without an expression
    /// `application/json`, then `$default`.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Rendered<'_>, Failure> {
        let selected = match &self.selection {
            Some(expression) => match expression.evaluate(scope) {
                Evaluation::Key(key) => self.by_key.get(&*key),
                Evaluation::NotJson => None,
                Evaluation::OutOfFuel => return Err(Failure::MessageTooComplex),
            },
            None => self.by_key.get("application/json"),
        };
        if let Some(text) = selected.or_else(|| self.by_key.get("$default")) {
            return Ok(Rendered::Output(text));
        }
        match self.passthrough {
            PassthroughBehavior::WhenNoMatch => Ok(Rendered::Passthrough),
            PassthroughBehavior::WhenNoTemplates if self.by_key.is_empty() => {
                Ok(Rendered::Passthrough)
            }
            PassthroughBehavior::WhenNoTemplates | PassthroughBehavior::Never => {
                Err(Failure::UnsupportedMediaType)
            }
        }
    }
}

/// What stands in the way of serving this template as a literal.
pub(super) fn refusal(text: &str) -> Option<String> {
    let mark = text.find(['$', '#'])?;
    let character = text[mark..].chars().next()?;
    let line = text[..mark].matches('\n').count() + 1;
    Some(format!(
        "mapping templates with '{character}' (line {line} of the template) are not built yet; \
         only literal templates without '$' and '#' are served"
    ))
}

/// The integer `statusCode` of a MOCK request template; quotes around name and number are optional.
pub fn mock_status(text: &str) -> Option<u16> {
    let quote = ['"', '\''];
    let after = text.split("statusCode").nth(1)?;
    let after = after
        .strip_prefix(quote)
        .unwrap_or(after)
        .trim_start()
        .strip_prefix(':')?
        .trim_start();
    let digits = after.strip_prefix(quote).unwrap_or(after);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end]
        .parse()
        .ok()
        .filter(|status| (100..=599).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_mock_is_read_leniently() {
        let check =
            |text: &str, expected: Option<u16>| assert_eq!(mock_status(text), expected, "{text}");
        check(r#"{"statusCode":200}"#, Some(200));
        check("{statusCode: 200}", Some(200));
        check("{'statusCode' : 404 , x: 1}", Some(404));
        check(r#"{ "statusCode" : 404 }"#, Some(404));
        check(r#"{"a":1,"statusCode": "503"}"#, Some(503));
        check("{}", None);
        check(r#"{"statusCode":"x"}"#, None);
        check(r#"{"statusCode":99999}"#, None);
        check(r#"{"statusCode":20}"#, None);
    }

    #[test]
    fn only_literals_are_served() {
        assert_eq!(refusal(r#"{"ok":true}"#), None);
        assert!(
            refusal("{\n\"a\":$input.body}")
                .unwrap()
                .contains("'$' (line 2")
        );
        assert!(refusal("#set(x)").unwrap().contains("'#' (line 1"));
    }
}
