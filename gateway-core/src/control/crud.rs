//! Create, get, list, update and delete, the same for every kind of resource.

use std::sync::Arc;

use serde_json::{Value, json};

use super::account::{Account, Document, text, unknown};
use super::kind::{Kind, protocol_of};
use super::member::{self, Mode};
use super::{ControlError, domain, rules, stage};
use crate::resource::ProtocolType;

/// What the rules need to know of the world.
pub struct Context<'a> {
    /// The time as documents write it, such as `2026-04-06T23:38:08Z`.
    pub now: String,
    /// The same in milliseconds of the epoch.
    pub now_millis: u64,
    /// Region of ARNs.
    pub region: &'a str,
    /// Account of ARNs, twelve digits.
    pub account_id: &'a str,
    /// Makes an id of so many characters `[a-z0-9]`.
    pub new_id: &'a mut dyn FnMut(usize) -> String,
    /// The `apiEndpoint` of an API.
    pub endpoint: &'a dyn Fn(&str, ProtocolType) -> String,
}

impl Context<'_> {
    /// An id that is not taken.
    pub(super) fn fresh_id(&mut self, length: usize, is_taken: impl Fn(&str) -> bool) -> String {
        loop {
            let id = (self.new_id)(length);
            if !is_taken(&id) {
                return id;
            }
        }
    }
}

impl Account {
    /// Creates a resource below `parents` (the ids above it, outermost first) and returns it as AWS shows it.
    pub fn create(
        &mut self,
        kind: Kind,
        parents: &[&str],
        body: Document,
        context: &mut Context<'_>,
    ) -> Result<Document, ControlError> {
        let table = kind.members();
        if kind == Kind::Route && !body.get("routeKey").is_some_and(Value::is_string) {
            return Err(ControlError::bad("Route key is required"));
        }
        let protocol = self.protocol_for(kind, parents, Some(&body), context)?;
        let mut given = member::read(table, body, Mode::Create, protocol)?;
        member::drop_empty(&mut given, table);
        match kind {
            Kind::Api => self.create_api(given, context),
            Kind::Deployment => {
                let api = self.api_mut(parents[0], context.account_id)?;
                stage::deploy(api, &given, context)
            }
            Kind::Stage => {
                let api = self.api_mut(parents[0], context.account_id)?;
                let name = text(&given, "stageName").unwrap_or_default().to_owned();
                if api.stages.contains_key(&name) {
                    return Err(ControlError::Conflict("Stage already exists".to_owned()));
                }
                let mut document = given.clone();
                stage::check(api, &mut document, &given, context)?;
                api.stages.insert(name.clone(), document);
                stage::created(api, &name, context);
                Ok(api.stages[&name].clone())
            }
            Kind::DomainName => self.create_domain_name(given, context),
            Kind::ApiMapping => self.create_mapping(parents[0], given, context),
            Kind::VpcLink => Ok(self.create_vpc_link(given, context)),
            _ => self.create_item(kind, parents, given, context),
        }
    }

    /// One resource as AWS shows it.
    pub fn get(
        &self,
        kind: Kind,
        parents: &[&str],
        id: &str,
        context: &Context<'_>,
    ) -> Result<Document, ControlError> {
        let found = match kind {
            Kind::Api => Some(self.api(id, context.account_id)?.api.clone()),
            Kind::DomainName => Some(self.domain(id)?.domain_name.clone()),
            Kind::VpcLink => self.vpc_links.get(id).map(|link| (**link).clone()),
            Kind::ApiMapping => self.domain(parents[0])?.mappings.get(id).cloned(),
            Kind::Deployment => {
                let api = self.api(parents[0], context.account_id)?;
                api.deployments
                    .get(id)
                    .map(|deployment| deployment.document.clone())
            }
            Kind::Stage => self
                .api(parents[0], context.account_id)?
                .stages
                .get(id)
                .cloned(),
            _ => {
                let api = self.api(parents[0], context.account_id)?;
                let items = api.configuration.items(kind, parents.get(1).copied())?;
                items.get(id).map(|item| item.document.clone())
            }
        };
        found
            .map(|document| shown(kind, document, context))
            .ok_or_else(|| unknown(kind, id))
    }

    /// All resources of a kind below `parents`, with their ids, in the order of ids.
    pub fn list(
        &self,
        kind: Kind,
        parents: &[&str],
        context: &Context<'_>,
    ) -> Result<Vec<(String, Document)>, ControlError> {
        let account_id = context.account_id;
        let own =
            |id: &String, document: &Document| (id.clone(), shown(kind, document.clone(), context));
        Ok(match kind {
            Kind::Api => self
                .apis
                .iter()
                .map(|(id, api)| own(id, &api.api))
                .collect(),
            Kind::DomainName => self
                .domain_names
                .iter()
                .map(|(id, domain)| own(id, &domain.domain_name))
                .collect(),
            Kind::VpcLink => self
                .vpc_links
                .iter()
                .map(|(id, link)| own(id, link))
                .collect(),
            Kind::ApiMapping => self
                .domain(parents[0])?
                .mappings
                .iter()
                .map(|(id, mapping)| own(id, mapping))
                .collect(),
            Kind::Deployment => {
                let api = self.api(parents[0], account_id)?;
                api.deployments
                    .iter()
                    .map(|(id, deployment)| own(id, &deployment.document))
                    .collect()
            }
            Kind::Stage => {
                let api = self.api(parents[0], account_id)?;
                api.stages
                    .iter()
                    .map(|(id, stage)| own(id, stage))
                    .collect()
            }
            _ => {
                let api = self.api(parents[0], account_id)?;
                let items = api.configuration.items(kind, parents.get(1).copied())?;
                items
                    .iter()
                    .map(|(id, item)| own(id, &item.document))
                    .collect()
            }
        })
    }

    /// Changes the members that `body` names, and returns the resource as AWS shows it.
    pub fn update(
        &mut self,
        kind: Kind,
        parents: &[&str],
        id: &str,
        body: Document,
        context: &mut Context<'_>,
    ) -> Result<Document, ControlError> {
        let table = kind.members();
        let mut document = self.get(kind, parents, id, context)?;
        let protocol = self.protocol_for(kind, parents, Some(&document), context)?;
        if kind == Kind::ApiMapping && !body.contains_key("apiId") {
            // The one member that an update must name ("UpdateApiMapping: apiId, required").
            return Err(member::absent("apiId"));
        }
        let given = member::read(table, body, Mode::Update, protocol)?;
        member::patch(table, &mut document, given.clone())?;
        match kind {
            Kind::Api => {
                let api = self.api_mut(id, context.account_id)?;
                document.remove("apiEndpoint");
                rules::api(&mut document)?;
                api.api = document;
                stage::changed(api, context);
            }
            Kind::Deployment => {
                let api = self.api_mut(parents[0], context.account_id)?;
                if let Some(deployment) = api.deployments.get_mut(id) {
                    Arc::make_mut(deployment).document = document;
                }
            }
            Kind::Stage => {
                let api = self.api_mut(parents[0], context.account_id)?;
                stage::check(api, &mut document, &given, context)?;
                let begins = document.get("autoDeploy") == Some(&json!(true))
                    && api
                        .stages
                        .get(id)
                        .is_none_or(|before| before.get("autoDeploy") != Some(&json!(true)));
                api.stages.insert(id.to_owned(), document);
                if begins {
                    stage::created(api, id, context);
                }
            }
            Kind::DomainName => {
                let documents = self.domain_mut(id)?;
                domain::check(&mut document, context)?;
                documents.domain_name = document;
            }
            Kind::ApiMapping => {
                self.check_mapping(parents[0], Some(id), &mut document, context)?;
                self.domain_mut(parents[0])?
                    .mappings
                    .insert(id.to_owned(), document);
            }
            Kind::VpcLink => {
                self.vpc_links.insert(id.to_owned(), Arc::new(document));
            }
            _ => {
                let parent = parents.get(1).copied();
                let api = self.api_mut(parents[0], context.account_id)?;
                let place = rules::Place {
                    api,
                    parent,
                    id: Some(id),
                };
                rules::item(kind, &place, &mut document)?;
                let items = Arc::make_mut(&mut api.configuration).items_mut(kind, parent)?;
                items.entry(id.to_owned()).or_default().document = document;
                stage::changed(api, context);
            }
        }
        self.get(kind, parents, id, context)
    }

    /// Deletes a resource with everything below it, unless something else still needs it.
    pub fn delete(
        &mut self,
        kind: Kind,
        parents: &[&str],
        id: &str,
        context: &mut Context<'_>,
    ) -> Result<(), ControlError> {
        self.get(kind, parents, id, context)?;
        match kind {
            Kind::Api => {
                self.api_mut(id, context.account_id)?;
                self.unmap(id)?;
                self.apis.remove(id);
            }
            Kind::DomainName => {
                self.domain_mut(id)?;
                self.domain_names.remove(id);
            }
            Kind::VpcLink => {
                self.vpc_links.remove(id);
            }
            Kind::ApiMapping => {
                self.domain_mut(parents[0])?.mappings.remove(id);
            }
            Kind::Deployment => {
                stage::delete_deployment(self.api_mut(parents[0], context.account_id)?, id)?;
            }
            Kind::Stage => self.delete_stage(parents[0], id, context)?,
            _ => {
                let api = self.api_mut(parents[0], context.account_id)?;
                rules::unused(kind, api, id)?;
                let parent = parents.get(1).copied();
                Arc::make_mut(&mut api.configuration)
                    .items_mut(kind, parent)?
                    .remove(id);
                stage::changed(api, context);
            }
        }
        Ok(())
    }

    fn protocol_for(
        &self,
        kind: Kind,
        parents: &[&str],
        document: Option<&Document>,
        context: &Context<'_>,
    ) -> Result<Option<ProtocolType>, ControlError> {
        match kind {
            Kind::Api => {
                let protocol = document.and_then(|document| text(document, "protocolType"));
                if protocol.is_some_and(|protocol| !matches!(protocol, "HTTP" | "WEBSOCKET")) {
                    return Err(ControlError::bad(
                        "Invalid protocol specified. Must be one of [HTTP, WEBSOCKET]",
                    ));
                }
                Ok(document.map(protocol_of))
            }
            Kind::DomainName | Kind::ApiMapping | Kind::VpcLink => Ok(None),
            _ => Ok(Some(self.api(parents[0], context.account_id)?.protocol())),
        }
    }
}

/// A stored document as AWS shows it.
fn shown(kind: Kind, mut document: Document, context: &Context<'_>) -> Document {
    if kind == Kind::Api {
        let id = text(&document, "apiId").unwrap_or_default();
        let endpoint = (context.endpoint)(id, protocol_of(&document));
        document.insert("apiEndpoint".to_owned(), json!(endpoint));
    }
    document
}
