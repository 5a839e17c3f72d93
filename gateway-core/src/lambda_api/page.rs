//! Pages of a list, and the parameters of a query.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::LambdaApiError;
use super::request::{Answer, Request};

/// Items of a page, unless fewer are asked for, and at most ("ListFunctions: 50 functions in a response").
const MOST_ITEMS: usize = 50;

/// The page that `Marker` and `MaxItems` ask for. A marker is the key of the last item before it, so nothing is told twice or left out
/// that is there all the while.
pub(super) fn of(
    member: &str,
    all: Vec<(String, Value)>,
    request: &Request<'_>,
) -> Result<Answer, LambdaApiError> {
    let most = match parameter(request.query, "MaxItems") {
        None => MOST_ITEMS,
        Some(text) => {
            let asked = text
                .parse()
                .ok()
                .filter(|most: &usize| (1..=10_000).contains(most));
            asked
                .ok_or_else(|| {
                    let limits = "Member must have value between 1 and 10000";
                    LambdaApiError::breaks("MaxItems", &text, limits)
                })?
                .min(MOST_ITEMS)
        }
    };
    let start = match parameter(request.query, "Marker").filter(|marker| !marker.is_empty()) {
        None => 0,
        Some(marker) => {
            let key = STANDARD.decode(&marker).ok();
            let key = key.and_then(|key| String::from_utf8(key).ok());
            let at = key.and_then(|key| all.iter().position(|(other, _)| *other == key));
            at.ok_or_else(|| LambdaApiError::InvalidParameter("Invalid marker".to_owned()))? + 1
        }
    };
    let rest = all.len().saturating_sub(start);
    let mut next = Value::Null;
    let mut items = Vec::new();
    for (key, item) in all.into_iter().skip(start).take(most) {
        if rest > most {
            next = STANDARD.encode(key).into();
        }
        items.push(item);
    }
    let mut body = json!({ "NextMarker": next });
    body[member] = items.into();
    Ok(Answer::new(200, body))
}

/// A parameter of a query, decoded.
pub(super) fn parameter(query: &str, wanted: &str) -> Option<String> {
    let mut pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.find(|(name, _)| decoded(name) == wanted)?;
    Some(decoded(&value.replace('+', " ")))
}

pub(super) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
