//! Reads keys and tokens. No mistake reported here shows what was written.

use std::collections::HashSet;

use super::files;
use super::reader::Cursor;
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
    let text = fields.take("secretAccessKey");
    let file = fields.take("secretAccessKeyFile");
    let secret = match (&text, &file) {
        (Some(_), Some(file)) => {
            file.mistake("secretAccessKey and secretAccessKeyFile stand here together; keep one");
            None
        }
        (Some(text), None) => written(text),
        (None, Some(file)) => from_file(file),
        (None, None) => {
            fields.mistake("the secret is missing; set secretAccessKey or secretAccessKeyFile");
            None
        }
    };
    fields.finish();
    Some(Credential {
        access_key_id: id?.string()?,
        secret_access_key: secret?,
    })
}

/// A list of bearer tokens: texts, or maps that name a file.
pub(super) fn tokens(list: &Cursor<'_>) -> Vec<Secret> {
    list.items().iter().filter_map(token).collect()
}

fn token(cursor: &Cursor<'_>) -> Option<Secret> {
    let token = if let Tree::Map(_) = cursor.node.tree {
        let mut fields = cursor.fields()?;
        let file = fields.required("file");
        fields.finish();
        from_file(&file?)?
    } else {
        written(cursor)?
    };
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
