//! What can be wrong, or doubtful, with an expression.

use super::{MAX_EXPRESSION_BYTES, MAX_VARIABLES};
use crate::jsonpath::{JsonPathError, JsonPathProblem};

/// Why an expression was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {position}: {problem}")]
pub struct ExpressionError {
    /// Byte offset in the expression.
    pub position: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No text at all.
    #[error("the expression is empty: write one, such as `$request.body.action`")]
    Empty,
    /// Too much text.
    #[error("the expression is longer than {MAX_EXPRESSION_BYTES} bytes: shorten it")]
    TooLong,
    /// Too many variables.
    #[error("the expression has more than {MAX_VARIABLES} variables: use fewer")]
    TooManyVariables,
    /// The property takes only fixed expressions, and this is none of them.
    #[error("only {} may stand here", .0.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(" or "))]
    NotAllowed(&'static [&'static str]),
    /// A dollar sign before something that is no name.
    #[error("`$` begins a variable, but no name follows: write `\\$` for a dollar sign")]
    NoVariable,
    /// `${` without `}`.
    #[error("`${{` is not closed: add `}}`")]
    UnclosedBrace,
    /// A character that no variable's name may have.
    #[error("unexpected `{0}` in a variable: close the variable with `}}` before it")]
    Unexpected(char),
    /// `$request.body` without a path.
    #[error("`request.body` needs a path: write, for example, `$request.body.action`")]
    EmptyPath,
    /// The path behind `request.body` is wrong.
    #[error("{0}")]
    Path(JsonPathProblem),
}

impl From<JsonPathError> for ExpressionError {
    fn from(error: JsonPathError) -> Self {
        Self {
            position: error.position,
            problem: Problem::Path(error.problem),
        }
    }
}

/// Something that is accepted, but hardly what its author meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {position}: {doubt}")]
pub struct Warning {
    /// Byte offset in the expression.
    pub position: usize,
    /// What is doubtful there.
    pub doubt: Doubt,
}

/// What can be doubtful in an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// `request.body.action` without a dollar sign.
    #[error("taken as the variable `$request.body…`: write the `$`")]
    MissingDollar,
    /// A variable that has no value here.
    #[error("`{0}` has no value in this expression and is always empty")]
    UnknownVariable(String),
    /// `$default` and its like where `\$default` was surely meant.
    #[error("`{0}` is read as a variable and is always empty: write `\\{0}` for the text `{0}`")]
    UnescapedKey(String),
    /// A dot behind an open variable, with no key after it.
    #[error(
        "the dot is read as text, not as part of the variable before it: write `${{…}}` around the variable"
    )]
    LooseDot,
}
