//! Reads keys and tokens. No mistake reported here shows what was written.

use std::collections::HashSet;

use super::files;
use super::reader::{Cursor, Fields};
use super::scalar;
use super::secret::Secret;
use super::server::is_first;
use super::settings::Credential;
use super::yaml::Tree;

/// Bytes that a file with one secret may have.
const LONGEST: usize = 64 * 1024;

/// A list of access keys.
pub(super) fn credentials(list: &Cursor<'_>) -> Vec<Credential> {
    let mut ids = HashSet::new();
    let mut credentials = Vec::new();
    for cursor in list.items() {
        let Some(credential) = credential(&cursor) else {
            continue;
        };
        if is_first(&mut ids, &cursor, &credential.access_key_id) {
            credentials.push(credential);
        }
    }
    credentials
}

/// One access key, its secret half written out or in a file.
pub(super) fn credential(cursor: &Cursor<'_>) -> Option<Credential> {
    let mut fields = cursor.fields()?;
    let id = fields.required("accessKeyId");
    let secret = either(&mut fields, "secretAccessKey", "secretAccessKeyFile");
    if secret == Found::Nothing {
        fields.mistake("the secret is missing; set secretAccessKey or secretAccessKeyFile");
    }
    let token = either(&mut fields, "sessionToken", "sessionTokenFile");
    let mut expires_at = None;
    fields.set("expiration", &mut expires_at, |cursor| {
        let parsed = cursor.parse("a time such as 2026-11-21T08:55:43Z", scalar::time);
        parsed.map(Some)
    });
    fields.finish();
    let access_key_id = id?.string()?;
    let (secret_access_key, session_token) = match (secret, token) {
        (Found::Secret(secret), Found::Secret(token)) => (secret, Some(token)),
        (Found::Secret(secret), Found::Nothing) => (secret, None),
        _ => return None,
    };
    Some(Credential {
        access_key_id,
        secret_access_key,
        session_token,
        expires_at,
    })
}

#[derive(Debug, PartialEq)]
enum Found {
    Secret(Secret),
    Nothing,
    Mistake,
}

/// A secret that may be written out or stand in a file.
fn either(fields: &mut Fields<'_>, text: &'static str, file: &'static str) -> Found {
    let found = match (fields.take(text), fields.take(file)) {
        (None, None) => return Found::Nothing,
        (Some(written), None) => self::written(&written),
        (None, Some(file)) => from_file(&file),
        (Some(_), Some(at)) => {
            at.mistake(format!("{text} and {file} stand here together; keep one"));
            None
        }
    };
    found.map_or(Found::Mistake, Found::Secret)
}

/// A list of bearer tokens: texts, or maps that name a file.
pub(super) fn tokens(list: &Cursor<'_>) -> Vec<Secret> {
    list.items().iter().filter_map(token).collect()
}

/// A secret that is written out, or a map that names its file.
pub(super) fn written_or_in_file(cursor: &Cursor<'_>) -> Option<Secret> {
    if let Tree::Map(_) = cursor.node.tree {
        let mut fields = cursor.fields()?;
        let file = fields.required("file");
        fields.finish();
        return from_file(&file?);
    }
    written(cursor)
}

fn token(cursor: &Cursor<'_>) -> Option<Secret> {
    let token = written_or_in_file(cursor)?;
    // Anything else could never stand in an Authorization header.
    if !token.expose().bytes().all(|b| b.is_ascii_graphic()) {
        cursor.mistake("a token consists of visible ASCII characters without spaces");
        return None;
    }
    Some(token)
}

/// A secret in the settings themselves.
pub(super) fn written(cursor: &Cursor<'_>) -> Option<Secret> {
    cursor.string().map(Secret::new)
}

fn from_file(cursor: &Cursor<'_>) -> Option<Secret> {
    let path = cursor.file_path()?;
    let contents = match files::read(&path, LONGEST) {
        Ok(contents) => contents,
        Err(why) => {
            cursor.mistake(format!("{} cannot be read: {why}", path.display()));
            return None;
        }
    };
    let secret = contents.text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        cursor.mistake(format!("{} is empty", path.display()));
        return None;
    }
    if contents.open_to_all {
        cursor.warn(format!(
            "every user of this machine may read {}",
            path.display()
        ));
    }
    Some(Secret::new(secret))
}
