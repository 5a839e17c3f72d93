//! A function with its versions and aliases, and the documents in which AWS shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Context, LambdaApiError};
use crate::context::iso_time;

/// The name of what can be changed.
pub const LATEST: &str = "$LATEST";

/// A zip archive with a function's code, by what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// SHA-256 of the archive, in base64.
    pub sha256: String,
    /// Bytes of the archive.
    pub size: u64,
}

/// One version of a function: its code and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// `Runtime`.
    pub runtime: String,
    /// `Handler`.
    pub handler: String,
    /// `Role`; nothing here assumes it.
    pub role: String,
    /// `Description`.
    pub description: String,
    /// `Timeout` in seconds.
    pub timeout: u32,
    /// `MemorySize` in MiB.
    pub memory_size: u32,
    /// `Environment.Variables`.
    pub environment: BTreeMap<String, String>,
    /// Members that are told back as they came and not acted upon.
    pub told: Map<String, Value>,
    /// The archive.
    pub code: Code,
    /// In milliseconds of the epoch.
    pub last_modified: u64,
    /// Another with each change.
    pub revision_id: String,
}

/// A name for a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alias {
    /// The version's number, or `$LATEST`.
    pub version: String,
    /// `Description`.
    pub description: String,
    /// Another with each change.
    pub revision_id: String,
}

/// What somebody was permitted. Nobody is asked for a permission here, so it is only told back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Permission {
    /// The version or alias it is for.
    pub qualifier: Option<String>,
    /// `Sid`.
    pub id: String,
    /// The statement as a policy has it.
    pub statement: Value,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What can be changed.
    pub latest: Version,
    /// What was published, by number; it never changes.
    pub versions: BTreeMap<u64, Version>,
    /// The highest number that was ever given.
    pub published: u64,
    /// Other names of versions.
    pub aliases: BTreeMap<String, Alias>,
    /// What was permitted.
    pub permissions: Vec<Permission>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

impl Entry {
    /// A function whose code is there and of which nothing is published.
    pub fn new(latest: Version) -> Self {
        Self {
            latest,
            versions: BTreeMap::new(),
            published: 0,
            aliases: BTreeMap::new(),
            permissions: Vec::new(),
            tags: BTreeMap::new(),
        }
    }

    /// What a qualifier means: the version's own name, and the version.
    pub fn version(&self, qualifier: Option<&str>) -> Option<(String, &Version)> {
        let qualifier = qualifier.unwrap_or(LATEST);
        let name = match self.aliases.get(qualifier) {
            Some(alias) => alias.version.as_str(),
            None => qualifier,
        };
        if name == LATEST {
            return Some((LATEST.to_owned(), &self.latest));
        }
        let number: u64 = name.parse().ok()?;
        Some((number.to_string(), self.versions.get(&number)?))
    }

    /// Freezes what is there now. Publishing twice without a change between gives the same number, as on AWS.
    pub(super) fn publish(&mut self, description: Option<&str>, context: &mut Context<'_>) -> u64 {
        let same = |version: &Version| {
            version.code == self.latest.code && version.last_modified >= self.latest.last_modified
        };
        if let Some((number, _)) = self.versions.iter().next_back().filter(|(_, v)| same(v)) {
            return *number;
        }
        self.published += 1;
        let mut version = self.latest.clone();
        if let Some(description) = description {
            description.clone_into(&mut version.description);
        }
        version.revision_id = (context.new_id)();
        self.versions.insert(self.published, version);
        self.published
    }
}

impl Version {
    /// `FunctionConfiguration`.
    pub(super) fn shown(
        &self,
        name: &str,
        version: &str,
        arn: &str,
        context: &Context<'_>,
    ) -> Map<String, Value> {
        let mut shown = Map::new();
        let mut set = |key: &str, value: Value| shown.insert(key.to_owned(), value);
        set("FunctionName", name.into());
        set("FunctionArn", arn.into());
        set("Runtime", self.runtime.clone().into());
        set("Role", self.role.clone().into());
        set("Handler", self.handler.clone().into());
        set("CodeSize", self.code.size.into());
        set("Description", self.description.clone().into());
        set("Timeout", self.timeout.into());
        set("MemorySize", self.memory_size.into());
        set("LastModified", modified(self.last_modified).into());
        set("CodeSha256", self.code.sha256.clone().into());
        set("Version", version.into());
        if !self.environment.is_empty() {
            set("Environment", json!({"Variables": self.environment}));
        }
        set("TracingConfig", json!({"Mode": "PassThrough"}));
        set("RevisionId", self.revision_id.clone().into());
        set("State", "Active".into());
        set("LastUpdateStatus", "Successful".into());
        set("PackageType", "Zip".into());
        set("Architectures", json!([context.architecture]));
        set("EphemeralStorage", json!({"Size": 512}));
        set(
            "SnapStart",
            json!({"ApplyOn": "None", "OptimizationStatus": "Off"}),
        );
        set(
            "LoggingConfig",
            json!({"LogFormat": "Text", "LogGroup": format!("/aws/lambda/{name}")}),
        );
        shown.extend(self.told.clone());
        shown
    }
}

impl Alias {
    /// `AliasConfiguration`.
    pub(super) fn shown(&self, name: &str, function_arn: &str) -> Value {
        json!({
            "AliasArn": format!("{function_arn}:{name}"),
            "Name": name,
            "FunctionVersion": self.version,
            "Description": self.description,
            "RevisionId": self.revision_id,
        })
    }

    /// A name that is not a number, which would be a version.
    pub(super) fn check_name(name: &str) -> Result<(), LambdaApiError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let number = name.bytes().all(|byte| byte.is_ascii_digit());
        if name.is_empty() || name.len() > 128 || number || !name.bytes().all(good) {
            let pattern =
                "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)";
            return Err(LambdaApiError::breaks("name", name, pattern));
        }
        Ok(())
    }
}

/// `2026-11-21T20:00:00.000+0000`.
fn modified(millis: u64) -> String {
    iso_time(millis).replace('Z', "+0000")
}
