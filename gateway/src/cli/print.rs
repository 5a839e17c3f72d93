//! What the commands that ask a gateway have in common: reading answers, following pages, writing to stdout.

use std::io::{self, Write};
use std::process::ExitCode;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json as value};

use super::client::{Client, Reply};
use super::trouble::Trouble;

/// What the gateway gives in a page at most.
const PAGE: usize = 1000;

const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Text as a part of a path or query.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, &KEPT).to_string()
}

/// The path with those parameters that have a value.
pub(super) fn path(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let given = parameters
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}={}", escape(value))));
    let query: Vec<String> = given.collect();
    if query.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{}", query.join("&"))
}

/// Follows the pages of a list until there are `most` items or no more.
pub(super) fn follow(
    client: &Client,
    target: &str,
    parameters: &[(&str, Option<&str>)],
    most: usize,
) -> Result<Reply, Trouble> {
    follow_with(most, |limit, token| {
        let limit = limit.to_string();
        let mut parameters = parameters.to_vec();
        parameters.push(("maxResults", Some(&limit)));
        parameters.push(("nextToken", token));
        client.ask(&Method::GET, &path(target, &parameters))
    })
}

fn follow_with(
    most: usize,
    mut read: impl FnMut(usize, Option<&str>) -> Result<Reply, Trouble>,
) -> Result<Reply, Trouble> {
    let (mut items, mut token) = (Vec::new(), None::<String>);
    loop {
        let limit = PAGE.min(most - items.len());
        let Reply { mut body, now } = read(limit, token.as_deref())?;
        if let Value::Array(more) = body["items"].take() {
            items.extend(more);
        }
        token = body["nextToken"].as_str().map(str::to_owned);
        if token.is_some() && items.len() < most {
            continue;
        }
        let mut body = value!({ "items": items });
        if let Some(token) = token {
            body["nextToken"] = token.into();
        }
        return Ok(Reply { body, now });
    }
}

/// The items of a list.
pub(super) fn rows(body: &Value) -> impl Iterator<Item = &Value> {
    body["items"].as_array().into_iter().flatten()
}

/// A line below a table that ends before the list does.
pub(super) fn more(body: &Value) -> &'static str {
    if body["nextToken"].is_null() {
        ""
    } else {
        "There are more; --max shows more of them.\n"
    }
}

/// An answer as it came, over several lines.
pub(super) fn json(body: &Value) -> String {
    format!("{body:#}\n")
}

/// Writes what a command found to stdout, or what went wrong to stderr.
pub(super) fn finish(done: Result<String, Trouble>) -> ExitCode {
    let text = match done {
        Ok(text) => text,
        Err(trouble) => {
            eprintln!("wiregate: {trouble}");
            return trouble.exit_code();
        }
    };
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wiregate: the output cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_escaped_and_those_without_value_left_out() {
        let parameters = [
            ("apiId", Some("a&b=c é")),
            ("stage", None),
            ("n", Some("1")),
        ];
        assert_eq!(path("/p", &parameters), "/p?apiId=a%26b%3Dc%20%C3%A9&n=1");
        assert_eq!(path("/p", &[("stage", None)]), "/p");
        assert_eq!(escape("AQ_-=/.."), "AQ_-%3D%2F..");
    }

    /// A list of `there` numbers, in pages of `page` at most.
    #[track_caller]
    fn check(there: usize, page: usize, most: usize, asked: &[usize], more: bool) {
        let mut limits = Vec::new();
        let read = |limit: usize, token: Option<&str>| {
            limits.push(limit);
            let begin: usize = token.map_or(0, |token| token.parse().unwrap());
            let end = there.min(begin + limit.min(page));
            let items: Vec<usize> = (begin..end).collect();
            let mut body = value!({ "items": items });
            if end < there {
                body["nextToken"] = end.to_string().into();
            }
            Ok(Reply { body, now: 0 })
        };
        let body = follow_with(most, read).unwrap().body;
        let numbers: Vec<u64> = rows(&body).filter_map(Value::as_u64).collect();
        let expected: Vec<u64> = (0..there.min(most) as u64).collect();
        assert_eq!(numbers, expected);
        assert_eq!(limits, asked);
        assert_eq!(!super::more(&body).is_empty(), more);
    }

    #[test]
    fn pages_are_followed_until_there_are_enough() {
        check(0, 10, 100, &[100], false);
        check(25, 10, 100, &[100, 90, 80], false);
        check(25, 10, 20, &[20, 10], true);
        check(20, 10, 20, &[20, 10], false);
        check(2500, 5000, 2400, &[1000, 1000, 400], true);
    }
}
