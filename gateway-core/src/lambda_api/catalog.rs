//! All functions of this gateway, and how they are found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Version};
use super::{Context, LATEST, LambdaApiError};
use crate::lambda_arn::LambdaTarget;

/// Every function by its name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// What was created by requests.
    functions: BTreeMap<String, Entry>,
    /// What files declare: it can be seen and called, and is changed where it is written.
    #[serde(skip)]
    declared: BTreeMap<String, Entry>,
}

impl Catalog {
    /// What is stored.
    pub fn stored(&self) -> impl Iterator<Item = (&str, &Entry)> {
        let stored = self.functions.iter();
        stored.map(|(name, entry)| (name.as_str(), entry))
    }

    /// What was created by requests and is to run: all that is stored but for what a file has the name of.
    pub fn created(&self) -> impl Iterator<Item = (&str, &Entry)> {
        let created = self.functions.iter();
        created
            .filter(|(name, _)| !self.declared.contains_key(*name))
            .map(|(name, entry)| (name.as_str(), entry))
    }

    /// Takes what files declare in place of what they declared before. A name that was created too is the file's meanwhile.
    pub fn declare(&mut self, declared: BTreeMap<String, Entry>) {
        self.declared = declared;
    }

    /// Whether a file has this name.
    pub fn is_declared(&self, name: &str) -> bool {
        self.declared.contains_key(name)
    }

    pub(super) fn all(&self) -> BTreeMap<&str, &Entry> {
        let all = self.functions.iter().chain(&self.declared);
        all.map(|(name, entry)| (name.as_str(), entry)).collect()
    }

    pub(super) fn entry(
        &self,
        target: &LambdaTarget,
        context: &Context<'_>,
    ) -> Result<&Entry, LambdaApiError> {
        let found = self
            .declared
            .get(&target.name)
            .or_else(|| self.functions.get(&target.name));
        found
            .filter(|_| is_ours(target, context))
            .ok_or_else(|| not_found(target, context))
    }

    /// The version that a name with its qualifier means.
    pub(super) fn version(
        &self,
        target: &LambdaTarget,
        context: &Context<'_>,
    ) -> Result<(String, &Version), LambdaApiError> {
        self.entry(target, context)?
            .version(target.qualifier.as_deref())
            .ok_or_else(|| not_found(target, context))
    }

    /// A function that may be changed.
    pub(super) fn entry_mut(
        &mut self,
        target: &LambdaTarget,
        context: &Context<'_>,
    ) -> Result<&mut Entry, LambdaApiError> {
        self.may_change(&target.name)?;
        if !is_ours(target, context) {
            return Err(not_found(target, context));
        }
        self.functions
            .get_mut(&target.name)
            .ok_or_else(|| not_found(target, context))
    }

    pub(super) fn insert(&mut self, name: &str, entry: Entry) -> Result<(), LambdaApiError> {
        self.may_change(name)?;
        if self.functions.contains_key(name) {
            return Err(LambdaApiError::Conflict(format!(
                "Function already exist: {name}"
            )));
        }
        self.functions.insert(name.to_owned(), entry);
        Ok(())
    }

    pub(super) fn remove(
        &mut self,
        target: &LambdaTarget,
        context: &Context<'_>,
    ) -> Result<(), LambdaApiError> {
        let entry = self.entry_mut(target, context)?;
        let Some(qualifier) = target.qualifier.as_deref() else {
            self.functions.remove(&target.name);
            return Ok(());
        };
        if qualifier == LATEST {
            let message = "$LATEST version cannot be deleted without deleting the function.";
            return Err(LambdaApiError::InvalidParameter(message.to_owned()));
        }
        if let Some((name, _)) = entry
            .aliases
            .iter()
            .find(|(_, alias)| alias.version == qualifier)
        {
            return Err(LambdaApiError::Conflict(format!(
                "Version {qualifier} cannot be deleted: alias {name} points at it"
            )));
        }
        let number = qualifier.parse().ok();
        match number.and_then(|number: u64| entry.versions.remove(&number)) {
            Some(_) => Ok(()),
            None => Err(not_found(target, context)),
        }
    }

    fn may_change(&self, name: &str) -> Result<(), LambdaApiError> {
        if self.declared.contains_key(name) {
            return Err(LambdaApiError::Conflict(format!(
                "Function {name} comes from a file of this gateway; change it there"
            )));
        }
        Ok(())
    }
}

pub(super) fn not_found(target: &LambdaTarget, context: &Context<'_>) -> LambdaApiError {
    let arn = context.arn(&target.name);
    let arn = target.arn.as_deref().unwrap_or(&arn);
    let qualifier = target.qualifier.iter().map(|text| format!(":{text}"));
    let qualifier: String = qualifier.collect();
    LambdaApiError::NotFound(format!("Function not found: {arn}{qualifier}"))
}

/// Whether an ARN, where there is one, is of this account; whatever region it names.
fn is_ours(target: &LambdaTarget, context: &Context<'_>) -> bool {
    target
        .arn
        .as_ref()
        .is_none_or(|arn| arn.split(':').nth(4) == Some(context.account_id))
}
