//! Aliases: names of versions that move.

use super::catalog::Catalog;
use super::entry::{Alias, LATEST};
use super::fields::{self, Fields};
use super::request::{Answer, Request, no_operation};
use super::{Context, LambdaApiError, create, page};
use crate::lambda_arn::LambdaTarget;

/// Requests below `/{function}/aliases`.
pub(super) fn answer(
    catalog: &mut Catalog,
    target: &LambdaTarget,
    rest: &[&str],
    request: &Request<'_>,
    context: &mut Context<'_>,
) -> Result<Answer, LambdaApiError> {
    let arn = context.arn(&target.name);
    let none =
        |name: &str| LambdaApiError::NotFound(format!("Cannot find alias arn: {arn}:{name}"));
    match (request.method, rest) {
        ("GET", []) => {
            let wanted = page::parameter(request.query, "FunctionVersion");
            let entry = catalog.entry(target, context)?;
            let of_version = |alias: &Alias| {
                wanted
                    .as_ref()
                    .is_none_or(|version| *version == alias.version)
            };
            let shown = entry.aliases.iter().filter(|(_, alias)| of_version(alias));
            let shown = shown.map(|(name, alias)| (name.clone(), alias.shown(name, &arn)));
            page::of("Aliases", shown.collect(), request)
        }
        ("POST", []) => {
            let fields = fields::read(request.body)?;
            let name = fields.required("Name")?;
            Alias::check_name(name)?;
            let version = fields.required("FunctionVersion")?.to_owned();
            check_routing(&fields)?;
            check_version(catalog, target, &version, context)?;
            let description = fields.text("Description")?.unwrap_or_default().to_owned();
            let revision_id = (context.new_id)();
            let entry = catalog.entry_mut(target, context)?;
            if entry.aliases.contains_key(name) {
                return Err(LambdaApiError::Conflict(format!(
                    "Alias already exists: {arn}:{name}"
                )));
            }
            let alias = Alias {
                version,
                description,
                revision_id,
            };
            let shown = alias.shown(name, &arn);
            entry.aliases.insert(name.to_owned(), alias);
            Ok(Answer::new(201, shown))
        }
        ("GET", [name]) => {
            let entry = catalog.entry(target, context)?;
            let alias = entry.aliases.get(*name).ok_or_else(|| none(name))?;
            Ok(Answer::new(200, alias.shown(name, &arn)))
        }
        ("PUT", [name]) => {
            let fields = fields::read(request.body)?;
            check_routing(&fields)?;
            let version = fields.text("FunctionVersion")?.map(str::to_owned);
            if let Some(version) = &version {
                check_version(catalog, target, version, context)?;
            }
            let revision_id = (context.new_id)();
            let entry = catalog.entry_mut(target, context)?;
            let alias = entry.aliases.get_mut(*name).ok_or_else(|| none(name))?;
            create::check_revision(&fields, &alias.revision_id)?;
            if let Some(version) = version {
                alias.version = version;
            }
            if let Some(description) = fields.text("Description")? {
                description.clone_into(&mut alias.description);
            }
            alias.revision_id = revision_id;
            Ok(Answer::new(200, alias.shown(name, &arn)))
        }
        ("DELETE", [name]) => {
            // Removing what is not there succeeds, as on AWS.
            catalog.entry_mut(target, context)?.aliases.remove(*name);
            Ok(Answer::nothing())
        }
        _ => Err(no_operation(request)),
    }
}

/// One version takes all calls of an alias.
fn check_routing(fields: &Fields) -> Result<(), LambdaApiError> {
    let weights = fields.object("RoutingConfig")?;
    let weights = weights.and_then(|routing| routing.written("AdditionalVersionWeights"));
    if weights.is_some_and(|weights| weights.as_object().is_none_or(|map| !map.is_empty())) {
        let message = "RoutingConfig: calls of an alias are not divided between versions here; name one version";
        return Err(LambdaApiError::InvalidParameter(message.to_owned()));
    }
    Ok(())
}

fn check_version(
    catalog: &Catalog,
    target: &LambdaTarget,
    version: &str,
    context: &Context<'_>,
) -> Result<(), LambdaApiError> {
    let number = version == LATEST || version.bytes().all(|byte| byte.is_ascii_digit());
    if !number || version.is_empty() {
        let pattern = "Member must satisfy regular expression pattern: (\\$LATEST|[0-9]+)";
        return Err(LambdaApiError::breaks("FunctionVersion", version, pattern));
    }
    let target = LambdaTarget {
        qualifier: Some(version.to_owned()),
        ..target.clone()
    };
    catalog.version(&target, context).map(|_| ())
}
