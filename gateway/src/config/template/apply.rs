//! Puts what a template declares into an account, by the rules that everybody's changes follow.

use std::collections::HashSet;

use gateway_core::control::{Account, Context, Kind};
use gateway_core::resource::ProtocolType;

use super::ids;
use super::{Declared, Template};
use crate::config::diagnostic::{Diagnostic, Origin};

/// What the rules need to know of the world.
pub struct Setting<'a> {
    /// The time as documents write it, such as `2026-04-06T23:38:08Z`.
    pub now: &'a str,
    /// Region of ARNs.
    pub region: &'a str,
    /// Account of ARNs, twelve digits.
    pub account_id: &'a str,
    /// The `apiEndpoint` of an API.
    pub endpoint: &'a dyn Fn(&str, ProtocolType) -> String,
}

/// Creates everything that a template declares, or nothing: then each refusal is returned with its place.
///
/// The account must not hold what an earlier reading of the same template created (`Account::without_files`). What is
/// created has the template's file as its origin, so the control plane lists it and refuses to change it.
pub fn apply(
    template: &Template,
    account: &mut Account,
    setting: &Setting<'_>,
) -> Result<(), Vec<Diagnostic>> {
    let mut changed = account.clone();
    let mut refusals = Vec::new();
    let mut refused: HashSet<&str> = HashSet::new();
    for declared in &template.declared {
        // What stands below something refused would only be refused for that.
        if depends_on(declared, &refused) {
            refused.insert(&declared.id);
            continue;
        }
        if let Err(refusal) = create(declared, &template.stack_name, &mut changed, setting) {
            refusals.push(refusal);
            refused.insert(&declared.id);
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    mark(template, &mut changed);
    *account = changed;
    Ok(())
}

fn depends_on(declared: &Declared, refused: &HashSet<&str>) -> bool {
    let names = |member: &str| {
        let value = declared
            .body
            .get(member)
            .and_then(serde_json::Value::as_str);
        let id = value.map(|value| value.strip_prefix("integrations/").unwrap_or(value));
        id.is_some_and(|id| refused.contains(id))
    };
    declared
        .parents
        .iter()
        .any(|parent| refused.contains(&**parent))
        || ["target", "authorizerId", "deploymentId", "apiId"]
            .into_iter()
            .any(names)
}

fn create(
    declared: &Declared,
    stack_name: &str,
    account: &mut Account,
    setting: &Setting<'_>,
) -> Result<(), Diagnostic> {
    let mut attempt = 0;
    // The declared id comes first. Later ones are for what a resource brings along, such as the deployment of a stage
    // that deploys itself.
    let mut new_id = |length: usize| {
        attempt += 1;
        if attempt == 1 && declared.kind.id_length() == Some(length) {
            return declared.id.clone();
        }
        ids::derive(stack_name, &declared.logical_id, attempt, length)
    };
    let mut context = Context {
        now: setting.now.to_owned(),
        // Those of files are the oldest, in their order.
        now_millis: 0,
        region: setting.region,
        account_id: setting.account_id,
        new_id: &mut new_id,
        endpoint: setting.endpoint,
    };
    let parents: Vec<&str> = declared.parents.iter().map(String::as_str).collect();
    // No file owns a VPC link, so one of an earlier reading is still there.
    if declared.kind == Kind::VpcLink
        && account
            .get(Kind::VpcLink, &[], &declared.id, &context)
            .is_ok()
    {
        return Ok(());
    }
    let created = account.create(declared.kind, &parents, declared.body.clone(), &mut context);
    let message = match created {
        Err(refusal) => refusal.to_string(),
        Ok(document) => {
            let id = document
                .get(declared.kind.id_member())
                .and_then(serde_json::Value::as_str);
            if id == Some(&declared.id) {
                return Ok(());
            }
            format!(
                "the id {} is taken: another template of the same stack name declares {} too; rename one of the files, whose names are those of \
                 their stacks",
                declared.id, declared.logical_id
            )
        }
    };
    Err(at_its_line(declared, message))
}

/// A refusal at the member that it speaks of, or at the resource.
fn at_its_line(declared: &Declared, message: String) -> Diagnostic {
    let lower = message.to_lowercase();
    let spoken_of = |path: &&String| {
        let name = path.rsplit('.').next().unwrap_or(path);
        // AWS says both "routeKey" and "route key".
        let words: String = name
            .chars()
            .flat_map(|c| {
                c.is_ascii_uppercase()
                    .then_some(' ')
                    .into_iter()
                    .chain([c.to_ascii_lowercase()])
            })
            .collect();
        name.len() > 2 && (lower.contains(&name.to_lowercase()) || lower.contains(&words))
    };
    let path = declared
        .places
        .keys()
        .filter(spoken_of)
        .max_by_key(|path| path.len());
    let place = path
        .and_then(|path| declared.places.get(path))
        .unwrap_or(&declared.place);
    Diagnostic {
        file: std::sync::Arc::clone(&place.file),
        origin: Origin::File(place.position),
        path: format!("Resources.{}", declared.logical_id),
        message,
        hint: None,
    }
}

/// Names the file as the origin of what it declares.
fn mark(template: &Template, account: &mut Account) {
    let Some(file) = template.files.first() else {
        return;
    };
    let origin: std::sync::Arc<str> = file.to_string_lossy().into();
    let ours = template
        .declared
        .iter()
        .map(|declared| (declared.kind, &*declared.id));
    let ours: HashSet<(Kind, &str)> = ours.collect();
    let apis: Vec<_> = account
        .apis()
        .filter(|(id, _)| ours.contains(&(Kind::Api, *id)))
        .map(|(_, api)| (**api).clone())
        .collect();
    for mut api in apis {
        api.origin = Some(origin.clone());
        account.place_api(api);
    }
    let domains: Vec<_> = account
        .domain_names()
        .filter(|(name, _)| ours.contains(&(Kind::DomainName, *name)))
        .map(|(_, domain)| (**domain).clone())
        .collect();
    for mut domain in domains {
        domain.origin = Some(origin.clone());
        account.place_domain_name(domain);
    }
}
