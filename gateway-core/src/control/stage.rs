//! Deployments freeze a configuration, stages point at one, `autoDeploy` makes one after each change.

use std::sync::Arc;

use serde_json::{Value, json};

use super::account::{Account, ApiDocuments, Deployment, Document, text, unknown};
use super::kind::Kind;
use super::rules::default;
use super::{Context, ControlError};
use crate::resource::ProtocolType;

/// Deployments that nobody asked for and no stage points at; older ones are forgotten.
const SUPERSEDED: usize = 10;

/// Makes a deployment, and points a stage at it where one is named.
pub(super) fn deploy(
    api: &mut ApiDocuments,
    given: &Document,
    context: &mut Context<'_>,
) -> Result<Document, ControlError> {
    if api.configuration.routes.is_empty() {
        return Err(ControlError::bad(
            "At least one route is required before deploying the Api.",
        ));
    }
    let stage = text(given, "stageName");
    if let Some(name) = stage
        && !api.stages.contains_key(name)
    {
        return Err(unknown(Kind::Stage, name));
    }
    let id = freeze(api, false, text(given, "description"), context);
    if let Some(stage) = stage.and_then(|name| api.stages.get_mut(name)) {
        point(stage, &id, context);
    }
    Ok(api.deployments[&id].document.clone())
}

/// After a change of the configuration: the stages that ask for it get a deployment of their own.
pub(super) fn changed(api: &mut ApiDocuments, context: &mut Context<'_>) {
    if api.configuration.routes.is_empty() || !api.stages.values().any(deploys_itself) {
        return;
    }
    let description = "Automatic deployment triggered by changes to the Api configuration";
    let id = freeze(api, true, Some(description), context);
    for stage in api
        .stages
        .values_mut()
        .filter(|stage| deploys_itself(stage))
    {
        point(stage, &id, context);
        let done = format!("Successfully deployed stage with deployment ID '{id}'");
        stage.insert("lastDeploymentStatusMessage".to_owned(), json!(done));
    }
    forget_superseded(api);
}

/// Checks a stage that is created or changed by `given`, and fills in what AWS fills in.
pub(super) fn check(
    api: &ApiDocuments,
    stage: &mut Document,
    given: &Document,
    context: &Context<'_>,
) -> Result<(), ControlError> {
    let name = text(stage, "stageName").unwrap_or_default();
    let is_name = name == "$default"
        || !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if !is_name {
        return Err(ControlError::bad(format!(
            "Invalid stage name {name}: it takes letters, digits, '-' and '_', or is $default"
        )));
    }
    if let Some(id) = text(given, "deploymentId").filter(|id| !id.is_empty()) {
        if deploys_itself(stage) {
            let api_id = text(&api.api, "apiId").unwrap_or_default();
            return Err(ControlError::bad(format!(
                "Deployment ID cannot be set on this stage {}:{api_id} because AutoDeploy is enabled.",
                context.account_id
            )));
        }
        if !api.deployments.contains_key(id) {
            return Err(unknown(Kind::Deployment, id));
        }
    }
    if let Some(Value::Object(settings)) = given.get("routeSettings") {
        let known = |key: &str| {
            let routes = api.configuration.routes.values();
            routes
                .into_iter()
                .any(|route| text(&route.document, "routeKey") == Some(key))
        };
        if let Some(key) = settings.keys().find(|key| !known(key)) {
            return Err(ControlError::NotFound(format!(
                "Unable to find Route by key {key} within the provided RouteSettings"
            )));
        }
    }
    if let Some(Value::Object(variables)) = given.get("stageVariables") {
        for (key, value) in variables {
            variable(key, value.as_str().unwrap_or_default())?;
        }
    }
    let protocol = api.protocol();
    if protocol == ProtocolType::Http {
        let all = given
            .get("routeSettings")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|all| all.values());
        let logs = |settings: &Value| {
            settings["dataTraceEnabled"] == true
                || settings
                    .get("loggingLevel")
                    .is_some_and(|level| level != "OFF")
        };
        if all.chain(given.get("defaultRouteSettings")).any(logs) {
            return Err(ControlError::bad(
                "Execution logs are not supported on protocolType HTTP",
            ));
        }
    }
    access_log(stage)?;
    let quiet = match protocol {
        ProtocolType::Websocket => {
            json!({"dataTraceEnabled": false, "detailedMetricsEnabled": false, "loggingLevel": "OFF"})
        }
        ProtocolType::Http => json!({"detailedMetricsEnabled": false}),
    };
    let settings = stage
        .entry("defaultRouteSettings")
        .or_insert_with(|| json!({}));
    if let (Some(settings), Value::Object(quiet)) = (settings.as_object_mut(), quiet) {
        for (member, value) in quiet {
            settings.entry(member).or_insert(value);
        }
    }
    for member in ["routeSettings", "stageVariables", "tags"] {
        default(stage, member, json!({}));
    }
    default(stage, "createdDate", json!(context.now));
    stage.insert("lastUpdatedDate".to_owned(), json!(context.now));
    Ok(())
}

/// `{}` clears the settings, as Terraform sends it.
fn access_log(stage: &mut Document) -> Result<(), ControlError> {
    let Some(Value::Object(log)) = stage.get("accessLogSettings") else {
        return Ok(());
    };
    if log.is_empty() {
        stage.remove("accessLogSettings");
        return Ok(());
    }
    let format = log
        .get("format")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let names_request = ["$context.requestId", "$context.extendedRequestId"]
        .iter()
        .any(|id| format.contains(id));
    if !names_request {
        return Err(ControlError::bad(
            "Access Log format must contain at least one of $context.requestId or $context.extendedRequestId",
        ));
    }
    Ok(())
}

/// "Names [A-Za-z0-9_]+, values [A-Za-z0-9-._~:/?#&=,]+".
fn variable(key: &str, value: &str) -> Result<(), ControlError> {
    let is_name = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let is_value = value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#&=,".contains(&b));
    if is_name && is_value {
        return Ok(());
    }
    Err(ControlError::bad(format!(
        "Invalid stage variable '{key}': names match [A-Za-z0-9_]+, values match [A-Za-z0-9-._~:/?#&=,]+"
    )))
}

/// Points every new stage that asks for it at a deployment of what is there.
pub(super) fn created(api: &mut ApiDocuments, name: &str, context: &mut Context<'_>) {
    if api.stages.get(name).is_some_and(deploys_itself) {
        changed(api, context);
    }
}

pub(super) fn delete_deployment(api: &mut ApiDocuments, id: &str) -> Result<(), ControlError> {
    if !api.deployments.contains_key(id) {
        return Err(unknown(Kind::Deployment, id));
    }
    if api
        .stages
        .values()
        .any(|stage| text(stage, "deploymentId") == Some(id))
    {
        return Err(ControlError::bad(
            "Active stages pointing to this deployment must be moved or deleted",
        ));
    }
    api.deployments.remove(id);
    Ok(())
}

impl Account {
    pub(super) fn delete_stage(
        &mut self,
        api_id: &str,
        name: &str,
        context: &Context<'_>,
    ) -> Result<(), ControlError> {
        let shown = self.domain_names.iter().find_map(|(domain, documents)| {
            let shows = |mapping: &&Document| {
                text(mapping, "apiId") == Some(api_id) && text(mapping, "stage") == Some(name)
            };
            documents
                .mappings
                .values()
                .find(shows)
                .map(|_| domain.clone())
        });
        let api = self.api_mut(api_id, context.account_id)?;
        if !api.stages.contains_key(name) {
            return Err(unknown(Kind::Stage, name));
        }
        if let Some(domain) = shown {
            return Err(ControlError::bad(format!(
                "Cannot delete stage {name} because an API mapping of the domain name {domain} shows it; delete the mapping first"
            )));
        }
        api.stages.remove(name);
        forget_superseded(api);
        Ok(())
    }
}

fn freeze(
    api: &mut ApiDocuments,
    automatic: bool,
    description: Option<&str>,
    context: &mut Context<'_>,
) -> String {
    let id = context.fresh_id(6, |id| api.deployments.contains_key(id));
    let mut document = Document::new();
    document.insert("autoDeployed".to_owned(), json!(automatic));
    document.insert("createdDate".to_owned(), json!(context.now));
    document.insert("deploymentId".to_owned(), json!(id));
    document.insert("deploymentStatus".to_owned(), json!("DEPLOYED"));
    if let Some(description) = description {
        document.insert("description".to_owned(), json!(description));
    }
    let deployment = Deployment {
        document,
        api: api.api.clone(),
        configuration: Arc::clone(&api.configuration),
        number: api
            .deployments
            .values()
            .map(|deployment| deployment.number + 1)
            .max()
            .unwrap_or(0),
    };
    api.deployments.insert(id.clone(), Arc::new(deployment));
    id
}

fn point(stage: &mut Document, deployment: &str, context: &Context<'_>) {
    stage.insert("deploymentId".to_owned(), json!(deployment));
    stage.insert("lastUpdatedDate".to_owned(), json!(context.now));
}

fn deploys_itself(stage: &Document) -> bool {
    stage.get("autoDeploy") == Some(&Value::Bool(true))
}

/// Each change of an API with `autoDeploy` makes a deployment; those that nobody can need again are not kept for ever.
fn forget_superseded(api: &mut ApiDocuments) {
    let in_force: Vec<&str> = api
        .stages
        .values()
        .filter_map(|stage| text(stage, "deploymentId"))
        .collect();
    let mut superseded: Vec<(u64, String)> = api
        .deployments
        .iter()
        .filter(|(id, deployment)| {
            deployment.document.get("autoDeployed") == Some(&Value::Bool(true))
                && !in_force.contains(&id.as_str())
        })
        .map(|(id, deployment)| (deployment.number, id.clone()))
        .collect();
    superseded.sort();
    let many = superseded.len().saturating_sub(SUPERSEDED);
    for (_, id) in superseded.drain(..many) {
        api.deployments.remove(&id);
    }
}
