//! Reads the section `lambda`.

use std::collections::BTreeMap;

use super::reader::Cursor;
use super::secret::Secret;
use super::settings::{Function, Lambda};
use super::{scalar, secrets};

/// The section; `None` where a mistake was reported.
pub(super) fn read(cursor: &Cursor<'_>) -> Option<Lambda> {
    let mut fields = cursor.fields()?;
    let endpoint = fields.read("endpoint", url);
    let functions = fields.take("functions").map(|map| functions(&map));
    let credentials = fields.read("credentials", secrets::credential);
    fields.finish();
    Some(Lambda {
        endpoint,
        functions: functions?,
        credentials,
    })
}

fn functions(map: &Cursor<'_>) -> BTreeMap<String, Function> {
    let mut functions = BTreeMap::new();
    for (entry, cursor) in map.members() {
        if let Some(function) = function(&cursor) {
            functions.insert(entry.key.clone(), function);
        }
    }
    functions
}

/// A URL alone, or a map.
fn function(cursor: &Cursor<'_>) -> Option<Function> {
    if cursor.scalar().is_some() {
        return Some(Function {
            endpoint: url(cursor)?,
            path_name: None,
            headers: BTreeMap::new(),
        });
    }
    let mut fields = cursor.fields()?;
    let endpoint = fields.required("endpoint");
    let path_name = fields.read("pathName", Cursor::string);
    let headers = fields.take("headers").map(|map| headers(&map));
    fields.finish();
    Some(Function {
        endpoint: url(&endpoint?)?,
        path_name,
        headers: headers.unwrap_or_default(),
    })
}

/// Values are kept as secrets: this is where an Authorization header stands.
fn headers(map: &Cursor<'_>) -> BTreeMap<String, Secret> {
    let mut headers = BTreeMap::new();
    for (entry, cursor) in map.members() {
        let Some(value) = cursor.text() else { continue };
        if http::HeaderName::from_bytes(entry.key.as_bytes()).is_err() {
            cursor.mistake("this is no name of a header");
        } else if http::HeaderValue::from_str(value).is_err() {
            cursor.mistake("this cannot be the value of a header");
        } else {
            headers.insert(entry.key.to_ascii_lowercase(), Secret::new(value));
        }
    }
    headers
}

fn url(cursor: &Cursor<'_>) -> Option<String> {
    cursor.parse("a URL such as http://127.0.0.1:9001", scalar::http_url)
}
