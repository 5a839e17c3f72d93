//! Between a call and its backend: what is sent, and what becomes of the answer.

pub mod authorizer;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use request::{IntegrationRequest, build};
pub use response::{BackendAnswer, Outcome, Reply, connect, disconnect, message};

use std::borrow::Cow;

use crate::call::Call;
use crate::context;
use crate::expression::Scope;
use crate::failure::Failure;
use crate::header_lines::HeaderLines;
use crate::live::{Rendered, Templates};

/// Renders the template that takes this call, or its answer: status and headers.
fn render<'t>(
    templates: &'t Templates,
    call: &Call<'_>,
    answer: Option<(u16, &HeaderLines)>,
) -> Result<Rendered<'t>, Failure> {
    let owned = |value: Cow<'_, str>| Cow::Owned(value.into_owned());
    let context = |name: &str| context::lookup(call, name).map(owned);
    let stage_variable = |name: &str| templates.stage_variable(name).map(|v| owned(v.into()));
    let header_values = |name: &str| -> Vec<String> {
        let values = answer
            .into_iter()
            .flat_map(|(_, headers)| headers.values(name));
        values
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    };
    let last = |name: &str| header_values(name).pop().map(Cow::Owned);
    let all = |name: &str| {
        let values = header_values(name);
        (!values.is_empty()).then(|| Cow::Owned(values.join(",")))
    };
    templates.render(&Scope {
        body: call.event.text(),
        context: Some(&context),
        stage_variable: Some(&stage_variable),
        status_code: answer.map(|(status, _)| status),
        response_header: Some(&last),
        response_multi_value_header: Some(&all),
        ..Scope::default()
    })
}
