//! Which file `wiregate dev` runs.

use std::path::{Path, PathBuf};

/// Files that are looked for where none is named, in this order.
pub const CANDIDATES: [&str; 7] = [
    "template.yaml",
    "template.yml",
    "template.json",
    "serverless.yml",
    "serverless.yaml",
    "wiregate.yaml",
    "wiregate.yml",
];

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CloudFormation, SAM or `serverless.yml`.
    Template,
    /// `wiregate.yaml`.
    Settings,
}

/// The file that is run, and those of the candidates that are passed over for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub file: PathBuf,
    /// Others that might have been meant.
    pub passed_over: Vec<&'static str>,
}

/// Looks for the file in a folder; the sentence says what was looked for.
pub fn find(folder: &Path, exists: impl Fn(&Path) -> bool) -> Result<Found, String> {
    let mut there = CANDIDATES
        .into_iter()
        .filter(|name| exists(&folder.join(name)));
    let Some(first) = there.next() else {
        return Err(format!(
            "there is nothing to run in this folder: no {}; name a file: wiregate dev path/to/template.yaml",
            CANDIDATES.join(", ")
        ));
    };
    Ok(Found {
        file: folder.join(first),
        passed_over: there.collect(),
    })
}

/// What a file is, by what it says at its outermost level; the name decides where that says nothing.
pub fn kind_of(file: &Path, text: &str) -> Kind {
    let begins = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if begins.starts_with('{') {
        return if begins.contains("\"Resources\"") {
            Kind::Template
        } else {
            Kind::Settings
        };
    }
    let mut keys = text.lines().filter_map(|line| {
        let (key, _) = line.split_once(':')?;
        let key = key.trim_end().trim_matches(['"', '\'']);
        (!key.starts_with([' ', '\t', '#', '-'])).then_some(key)
    });
    let first = keys.find_map(|key| match key {
        "Resources" | "AWSTemplateFormatVersion" | "Transform" | "service" | "provider" => {
            Some(Kind::Template)
        }
        "apis" | "server" | "lambda" => Some(Kind::Settings),
        _ => None,
    });
    first.unwrap_or_else(|| {
        let named = file.file_stem().is_some_and(|stem| stem == "wiregate");
        if named {
            Kind::Settings
        } else {
            Kind::Template
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_candidates_is_run() {
        let check = |there: &[&str], expected: Option<(&str, &[&str])>| {
            let found = find(Path::new("app"), |path| {
                there.iter().any(|name| path == Path::new("app").join(name))
            });
            let found = found.ok();
            let found = found
                .as_ref()
                .map(|found| (found.file.to_str().unwrap(), &*found.passed_over));
            assert_eq!(found, expected, "{there:?}");
        };
        check(&[], None);
        check(&["other.yaml"], None);
        check(&["wiregate.yaml"], Some(("app/wiregate.yaml", &[])));
        check(
            &["wiregate.yaml", "serverless.yml", "template.yml"],
            Some(("app/template.yml", &["serverless.yml", "wiregate.yaml"])),
        );
    }

    #[test]
    fn a_file_is_what_it_says() {
        let check = |name: &str, text: &str, expected: Kind| {
            assert_eq!(kind_of(Path::new(name), text), expected, "{name}: {text}");
        };
        check(
            "x.yaml",
            "# c\nAWSTemplateFormatVersion: x\nResources:\n",
            Kind::Template,
        );
        check("x.yaml", "server: {}\n", Kind::Settings);
        check("wiregate.yaml", "apis:\n  service: x\n", Kind::Settings);
        check("wiregate.yaml", "Resources:\n", Kind::Template);
        check("x.yml", "service: chat\nprovider:\n", Kind::Template);
        check("x.json", " {\"Resources\": {}}", Kind::Template);
        check("x.json", "{\"apis\": {}}", Kind::Settings);
        check("wiregate.yaml", "", Kind::Settings);
        check("template.yaml", "", Kind::Template);
    }
}
