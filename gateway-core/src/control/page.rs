//! Pages of a list: `maxResults` and `nextToken`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::ControlError;
use super::account::Document;
use super::request::decoded;

/// Items of a page, unless fewer are asked for, and at most: some clients follow no tokens.
const MOST: usize = 500;

/// The page of `all` (in the order of ids) that the query asks for. A token names the last id of the page before, so nothing is
/// told twice or left out that is there all the while, whatever comes and goes in between.
pub(super) fn of(all: Vec<(String, Document)>, query: &str) -> Result<Value, ControlError> {
    let (mut most, mut after) = (MOST, None);
    for (name, value) in parameters(query) {
        match name.as_str() {
            "maxResults" => {
                let wrong = || {
                    ControlError::bad(format!(
                        "Invalid maxResults {value}: it must be a number from 1"
                    ))
                };
                let wanted: usize = value.parse().map_err(|_| wrong())?;
                if wanted == 0 {
                    return Err(wrong());
                }
                most = wanted.min(MOST);
            }
            "nextToken" if !value.is_empty() => {
                let bytes = URL_SAFE_NO_PAD.decode(&value).ok();
                let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                after = Some(id.ok_or_else(|| ControlError::bad("Invalid nextToken specified"))?);
            }
            _ => {}
        }
    }
    let mut rest = all
        .into_iter()
        .filter(|(id, _)| after.as_ref().is_none_or(|after| id > after));
    let page: Vec<(String, Document)> = rest.by_ref().take(most).collect();
    let next = rest
        .next()
        .and_then(|_| page.last())
        .map(|(id, _)| URL_SAFE_NO_PAD.encode(id));
    let items: Vec<Value> = page
        .into_iter()
        .map(|(_, document)| Value::Object(document))
        .collect();
    Ok(match next {
        Some(next) => json!({"items": items, "nextToken": next}),
        None => json!({"items": items}),
    })
}

/// The parameters of a query, decoded, in their order.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        })
}
