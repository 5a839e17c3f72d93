//! What a Node.js function imports that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value as Json, json};

use super::Need;

/// Files and bytes that are looked through for imports.
const MOST_FILES: usize = 2000;
const MOST_BYTES: u64 = 1024 * 1024;
/// Where that a folder of code leads no deeper.
const DEEPEST: usize = 12;

/// What a function of this folder needs installed.
pub(super) fn need(code: &Path, root: &Path, runtime: &str) -> Option<Need> {
    let code = code.canonicalize().ok()?;
    let root = root.canonicalize().unwrap_or_else(|_| code.clone());
    let package = package(&code, &root);
    let text = |name: &str| fs::read_to_string(package.as_ref()?.join(name)).ok();
    let manifest: Option<Json> =
        serde_json::from_str(&text("package.json").unwrap_or_default()).ok();
    let lock = text("package-lock.json");
    let mut imports = BTreeSet::new();
    let mut left = MOST_FILES;
    look_through(&code, 0, &mut left, &mut imports);
    let is_there = |name: &str| {
        code.ancestors()
            .any(|folder| folder.join("node_modules").join(name).exists())
    };
    wanted(manifest.as_ref(), lock, &imports, runtime, is_there)
}

/// The folder whose `package.json` a function's code obeys: its own, or one above it in the app.
fn package(code: &Path, root: &Path) -> Option<PathBuf> {
    let inside = code.starts_with(root);
    code.ancestors()
        .take_while(|folder| *folder == code || inside && folder.starts_with(root))
        .find(|folder| folder.join("package.json").is_file())
        .map(Path::to_owned)
}

/// `dependencies` that are not installed, and imported packages that AWS's runtimes have.
fn wanted(
    manifest: Option<&Json>,
    lock: Option<String>,
    imports: &BTreeSet<String>,
    runtime: &str,
    is_there: impl Fn(&str) -> bool,
) -> Option<Need> {
    let named = manifest.and_then(|manifest| manifest.get("dependencies")?.as_object());
    let named = named.cloned().unwrap_or_default();
    let is_missing = named.keys().any(|name| !is_there(name));
    let mut dependencies: Map<String, Json> = if is_missing {
        named.clone()
    } else {
        Map::new()
    };
    let mut names: Vec<String> = dependencies.keys().cloned().collect();
    let has_v2 = has_sdk_v2(runtime);
    let brought = imports.iter().filter(|name| {
        let by_aws = if *name == "aws-sdk" { has_v2 } else { true };
        by_aws && !named.contains_key(*name) && !is_there(name)
    });
    let before = names.len();
    for name in brought {
        let version = if name == "aws-sdk" { "^2" } else { "^3" };
        dependencies.insert(name.clone(), version.into());
        names.push(name.clone());
    }
    if names.is_empty() {
        return None;
    }
    // A lock that does not know all of it would be refused by `npm ci`.
    let lock = lock.filter(|_| names.len() == before);
    Some(Need::Node {
        // Without the app's scripts, which would look for its files.
        manifest: json!({ "private": true, "dependencies": dependencies }).to_string(),
        lock,
        names,
    })
}

/// AWS's runtimes up to Node.js 16 have version 2 of the SDK, later ones version 3.
fn has_sdk_v2(runtime: &str) -> bool {
    let number = runtime
        .strip_prefix("nodejs")
        .and_then(|rest| rest.split('.').next());
    number
        .and_then(|number| number.parse::<u32>().ok())
        .is_some_and(|number| number <= 16)
}

fn look_through(folder: &Path, depth: usize, left: &mut usize, imports: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if depth < DEEPEST && !name.starts_with('.') && name != "node_modules" {
                look_through(&entry.path(), depth + 1, left, imports);
            }
            continue;
        }
        let is_code = [".js", ".mjs", ".cjs"]
            .iter()
            .any(|end| name.ends_with(end));
        let is_small = entry
            .metadata()
            .is_ok_and(|metadata| metadata.len() <= MOST_BYTES);
        if !is_code || !is_small {
            continue;
        }
        if *left == 0 {
            return;
        }
        *left -= 1;
        if let Ok(text) = fs::read_to_string(entry.path()) {
            imports.extend(imported(&text));
        }
    }
}

/// Packages of the AWS SDK that a text imports or requires.
fn imported(text: &str) -> impl Iterator<Item = String> {
    static IMPORT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?:from|require\s*\(|import\s*\(|import)\s*["'`](@aws-sdk/[a-z0-9][a-z0-9-]*|aws-sdk)(?:/[^"'`]*)?["'`]"#)
            .expect("the pattern is a constant")
    });
    IMPORT.captures_iter(text).map(|found| found[1].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_of_the_sdk_are_found_however_they_are_written() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<String> = imported(text).collect();
            assert_eq!(found, expected, "{text}");
        };
        check(
            "import { A } from '@aws-sdk/client-dynamodb';",
            &["@aws-sdk/client-dynamodb"],
        );
        check(
            "const { A } = require(\"@aws-sdk/lib-dynamodb\")",
            &["@aws-sdk/lib-dynamodb"],
        );
        check(
            "await import(`@aws-sdk/client-s3`)",
            &["@aws-sdk/client-s3"],
        );
        check(
            "import '@aws-sdk/client-s3/dist/x'",
            &["@aws-sdk/client-s3"],
        );
        check(
            "const AWS = require( 'aws-sdk' ); require('aws-sdk/clients/s3')",
            &["aws-sdk", "aws-sdk"],
        );
        check(
            "import x from 'lodash'; require('./aws-sdk'); '@aws-sdk/x'",
            &[],
        );
        check("require('@aws-sdk/../evil')", &[]);
        check("from\n  '@aws-sdk/client-sqs'", &["@aws-sdk/client-sqs"]);
    }

    #[track_caller]
    fn check(
        manifest: Option<&Json>,
        imports: &[&str],
        there: &[&str],
        runtime: &str,
        expected: Option<(&[&str], bool)>,
    ) {
        let imports = imports.iter().map(|name| (*name).to_owned()).collect();
        let is_there = |name: &str| there.contains(&name);
        let found = wanted(
            manifest,
            Some("lock".to_owned()),
            &imports,
            runtime,
            is_there,
        );
        let found = found.as_ref().map(|need| match need {
            Need::Node { names, lock, .. } => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                (names, lock.is_some())
            }
            Need::Python { .. } => unreachable!(),
        });
        let expected = expected.map(|(names, lock)| (names.to_vec(), lock));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_named_or_imported_and_not_there_is_wanted() {
        let v20 = "nodejs20.x";
        check(None, &[], &[], v20, None);
        let own =
            || Some(json!({"dependencies": {"uuid": "1", "ws": "8"}, "scripts": {"prepare": "x"}}));
        check(own().as_ref(), &[], &[], v20, Some((&["uuid", "ws"], true)));
        check(
            own().as_ref(),
            &[],
            &["uuid"],
            v20,
            Some((&["uuid", "ws"], true)),
        );
        check(own().as_ref(), &[], &["uuid", "ws"], v20, None);
        check(
            own().as_ref(),
            &["@aws-sdk/a"],
            &["uuid", "ws"],
            v20,
            Some((&["@aws-sdk/a"], false)),
        );
        check(
            own().as_ref(),
            &["@aws-sdk/a"],
            &[],
            v20,
            Some((&["uuid", "ws", "@aws-sdk/a"], false)),
        );
        check(None, &["@aws-sdk/a"], &["@aws-sdk/a"], v20, None);
        check(None, &["aws-sdk"], &[], v20, None);
        check(
            None,
            &["aws-sdk"],
            &[],
            "nodejs16.x",
            Some((&["aws-sdk"], false)),
        );
        let sdk = || Some(json!({"dependencies": {"@aws-sdk/a": "3.1.0"}}));
        check(
            sdk().as_ref(),
            &["@aws-sdk/a"],
            &[],
            v20,
            Some((&["@aws-sdk/a"], true)),
        );
        check(Some(&json!({"dependencies": null})), &[], &[], v20, None);
        check(Some(&json!([])), &[], &[], v20, None);
    }

    #[test]
    fn the_nearest_manifest_of_the_app_counts_and_none_above_it() {
        let above = tempfile::tempdir().unwrap();
        let above = above.path().canonicalize().unwrap();
        let root = above.join("app");
        let code = root.join("src/fn");
        fs::create_dir_all(code.join("node_modules/@aws-sdk/there")).unwrap();
        fs::write(
            above.join("package.json"),
            r#"{"dependencies":{"far":"1"}}"#,
        )
        .unwrap();
        fs::write(
            code.join("app.mjs"),
            "import '@aws-sdk/there'; import '@aws-sdk/client-s3'",
        )
        .unwrap();
        let names = || match need(&code, &root, "nodejs20.x") {
            Some(Need::Node {
                names, manifest, ..
            }) => {
                assert!(!manifest.contains("scripts"), "{manifest}");
                names
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(names(), ["@aws-sdk/client-s3"]);
        fs::write(
            root.join("package.json"),
            r#"{"dependencies":{"near":"1"},"scripts":{}}"#,
        )
        .unwrap();
        assert_eq!(names(), ["near", "@aws-sdk/client-s3"]);
    }
}
