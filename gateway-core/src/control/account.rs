//! Everything that the control plane holds, as documents. A copy costs a few pointers, so a change is made to a copy that is
//! kept or thrown away.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ControlError;
use super::kind::{Kind, protocol_of};
use crate::resource::ProtocolType;

/// One resource as AWS's API shows it, with AWS's names of members.
pub type Document = Map<String, Value>;

/// The resources of one account in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Account {
    pub(super) apis: BTreeMap<String, Arc<ApiDocuments>>,
    pub(super) domain_names: BTreeMap<String, Arc<DomainDocuments>>,
    pub(super) vpc_links: BTreeMap<String, Arc<Document>>,
}

/// An API with everything below it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiDocuments {
    /// The API itself.
    pub api: Document,
    /// What the next deployment will freeze.
    pub configuration: Arc<Configuration>,
    /// What stages point at.
    #[serde(default)]
    pub deployments: BTreeMap<String, Arc<Deployment>>,
    /// The stages, by name.
    #[serde(default)]
    pub stages: BTreeMap<String, Document>,
    /// When it was created, in milliseconds of the epoch; documents show whole seconds.
    #[serde(default)]
    pub born: u64,
    /// The file that it comes from, where it is no child of the control plane: such an API refuses changes.
    #[serde(skip)]
    pub origin: Option<Arc<str>>,
}

/// What a deployment freezes, apart from the API's own members.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Configuration {
    /// By id, with their responses.
    pub routes: BTreeMap<String, Item>,
    /// By id, with their responses.
    pub integrations: BTreeMap<String, Item>,
    /// By id.
    pub models: BTreeMap<String, Item>,
    /// By id.
    pub authorizers: BTreeMap<String, Item>,
}

/// A part of a configuration; routes and integrations have responses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The part itself.
    pub document: Document,
    /// Its responses, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub responses: BTreeMap<String, Item>,
}

/// A deployment and what it froze.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The deployment as it is shown.
    pub document: Document,
    /// The API at that moment.
    pub api: Document,
    /// The rest at that moment.
    pub configuration: Arc<Configuration>,
    /// Counts the deployments of its API.
    #[serde(default)]
    pub number: u64,
}

/// A custom domain name with its mappings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainDocuments {
    /// The domain name itself.
    pub domain_name: Document,
    /// Its mappings, by id.
    #[serde(default)]
    pub mappings: BTreeMap<String, Document>,
    /// The file that it comes from; such a domain refuses changes.
    #[serde(skip)]
    pub origin: Option<Arc<str>>,
}

/// One stored text: the key it stands under and what stands there, `None` where it was deleted.
pub type Stored = (String, Option<String>);

impl Account {
    /// The APIs, by id.
    pub fn apis(&self) -> impl Iterator<Item = (&str, &Arc<ApiDocuments>)> {
        self.apis.iter().map(|(id, api)| (id.as_str(), api))
    }

    /// The custom domain names with their mappings.
    pub fn domain_names(&self) -> impl Iterator<Item = (&str, &Arc<DomainDocuments>)> {
        self.domain_names
            .iter()
            .map(|(name, domain)| (name.as_str(), domain))
    }

    /// Orders APIs: those of files come first, then the older ones.
    pub fn age(&self, api_id: &str) -> (bool, u64) {
        let api = self.apis.get(api_id);
        (
            api.is_none_or(|api| api.origin.is_none()),
            api.map_or(u64::MAX, |api| api.born),
        )
    }

    /// Adds or replaces an API that a file describes.
    pub fn place_api(&mut self, api: ApiDocuments) {
        let id = text(&api.api, "apiId").unwrap_or_default().to_owned();
        self.apis.insert(id, Arc::new(api));
    }

    /// Adds or replaces a domain name that a file describes.
    pub fn place_domain_name(&mut self, domain: DomainDocuments) {
        let name = text(&domain.domain_name, "domainName")
            .unwrap_or_default()
            .to_owned();
        self.domain_names.insert(name, Arc::new(domain));
    }

    /// Adds or replaces all APIs and domain names of another account.
    pub fn place(&mut self, other: &Self) {
        let apis = other.apis.iter();
        self.apis
            .extend(apis.map(|(id, api)| (id.clone(), Arc::clone(api))));
        let domains = other.domain_names.iter();
        self.domain_names
            .extend(domains.map(|(name, domain)| (name.clone(), Arc::clone(domain))));
    }

    /// The APIs of these ids, with the domain names that show one of them; everything where no id is named. Fails with the
    /// first id that is not there.
    pub fn only(&self, ids: &[String]) -> Result<Self, String> {
        if ids.is_empty() {
            return Ok(self.clone());
        }
        if let Some(unknown) = ids.iter().find(|id| !self.apis.contains_key(*id)) {
            return Err(unknown.clone());
        }
        let is_one = |id: &str| ids.iter().any(|wanted| wanted == id);
        let mut account = self.clone();
        account.apis.retain(|id, _| is_one(id));
        account.vpc_links.clear();
        for domain in account.domain_names.values_mut() {
            let shows = |mapping: &Document| text(mapping, "apiId").is_some_and(is_one);
            Arc::make_mut(domain)
                .mappings
                .retain(|_, mapping| shows(mapping));
        }
        account
            .domain_names
            .retain(|_, domain| !domain.mappings.is_empty());
        Ok(account)
    }

    /// What files describe, and nothing else.
    #[must_use]
    pub fn of_files(&self) -> Self {
        let mut account = self.clone();
        account.apis.retain(|_, api| api.origin.is_some());
        account
            .domain_names
            .retain(|_, domain| domain.origin.is_some());
        account.vpc_links.clear();
        account
    }

    /// Takes out everything that files describe.
    #[must_use]
    pub fn without_files(&self) -> Self {
        let mut account = self.clone();
        account.apis.retain(|_, api| api.origin.is_none());
        account
            .domain_names
            .retain(|_, domain| domain.origin.is_none());
        account
    }

    /// What must be stored to come from `before` to this account, by key. What files describe is theirs to keep.
    pub fn changes_since(&self, before: &Self) -> Vec<Stored> {
        let (now, before) = (self.without_files(), before.without_files());
        let mut changes = Vec::new();
        differences("api/", &before.apis, &now.apis, &mut changes);
        differences(
            "domain/",
            &before.domain_names,
            &now.domain_names,
            &mut changes,
        );
        differences("vpclink/", &before.vpc_links, &now.vpc_links, &mut changes);
        changes
    }

    /// Takes over one stored text, unless a file has the name now. Fails, saying why, where it is none of ours.
    pub fn take_stored(&mut self, key: &str, text: Option<&str>) -> Result<(), String> {
        let (kind, id) = key.split_once('/').ok_or("the key has no kind")?;
        let files = match kind {
            "api" => self.apis.get(id).is_some_and(|api| api.origin.is_some()),
            "domain" => (self.domain_names.get(id)).is_some_and(|domain| domain.origin.is_some()),
            _ => false,
        };
        match kind {
            _ if files => Ok(()),
            "api" => take(&mut self.apis, id, text),
            "domain" => take(&mut self.domain_names, id, text),
            "vpclink" => take(&mut self.vpc_links, id, text),
            _ => Err(format!("nothing of the kind '{kind}' is known")),
        }
    }

    pub(super) fn api(
        &self,
        id: &str,
        account_id: &str,
    ) -> Result<&Arc<ApiDocuments>, ControlError> {
        self.apis.get(id).ok_or_else(|| unknown_api(account_id, id))
    }

    /// The API, to be changed: its own copy, unless a file owns it.
    pub(super) fn api_mut(
        &mut self,
        id: &str,
        account_id: &str,
    ) -> Result<&mut ApiDocuments, ControlError> {
        let api = self
            .apis
            .get_mut(id)
            .ok_or_else(|| unknown_api(account_id, id))?;
        if let Some(origin) = &api.origin {
            return Err(owned_by_file("API", id, origin));
        }
        Ok(Arc::make_mut(api))
    }

    pub(super) fn domain(&self, name: &str) -> Result<&Arc<DomainDocuments>, ControlError> {
        self.domain_names
            .get(name)
            .ok_or_else(|| unknown(Kind::DomainName, name))
    }

    pub(super) fn domain_mut(&mut self, name: &str) -> Result<&mut DomainDocuments, ControlError> {
        let domain = self
            .domain_names
            .get_mut(name)
            .ok_or_else(|| unknown(Kind::DomainName, name))?;
        if let Some(origin) = &domain.origin {
            return Err(owned_by_file("domain name", name, origin));
        }
        Ok(Arc::make_mut(domain))
    }
}

impl Configuration {
    /// The parts of a kind: of the whole configuration, or the responses of the part that `parent` names.
    pub(super) fn items(
        &self,
        kind: Kind,
        parent: Option<&str>,
    ) -> Result<&BTreeMap<String, Item>, ControlError> {
        let id = parent.unwrap_or_default();
        let (items, above) = match kind {
            Kind::Route => return Ok(&self.routes),
            Kind::Integration => return Ok(&self.integrations),
            Kind::Model => return Ok(&self.models),
            Kind::RouteResponse => (&self.routes, Kind::Route),
            Kind::IntegrationResponse => (&self.integrations, Kind::Integration),
            _ => return Ok(&self.authorizers),
        };
        items
            .get(id)
            .map(|item| &item.responses)
            .ok_or_else(|| unknown(above, id))
    }

    pub(super) fn items_mut(
        &mut self,
        kind: Kind,
        parent: Option<&str>,
    ) -> Result<&mut BTreeMap<String, Item>, ControlError> {
        let id = parent.unwrap_or_default();
        let (items, above) = match kind {
            Kind::Route => return Ok(&mut self.routes),
            Kind::Integration => return Ok(&mut self.integrations),
            Kind::Model => return Ok(&mut self.models),
            Kind::RouteResponse => (&mut self.routes, Kind::Route),
            Kind::IntegrationResponse => (&mut self.integrations, Kind::Integration),
            _ => return Ok(&mut self.authorizers),
        };
        items
            .get_mut(id)
            .map(|item| &mut item.responses)
            .ok_or_else(|| unknown(above, id))
    }
}

impl ApiDocuments {
    /// The API's protocol.
    pub fn protocol(&self) -> ProtocolType {
        protocol_of(&self.api)
    }

    /// What a stage serves: the deployment it points at.
    pub fn deployed(&self, stage: &Document) -> Option<&Arc<Deployment>> {
        self.deployments.get(text(stage, "deploymentId")?)
    }
}

/// A member that is text.
pub(super) fn text<'d>(document: &'d Document, member: &str) -> Option<&'d str> {
    document.get(member)?.as_str()
}

pub(super) fn unknown(kind: Kind, id: &str) -> ControlError {
    ControlError::NotFound(format!("Invalid {} identifier specified {id}", kind.word()))
}

fn unknown_api(account_id: &str, id: &str) -> ControlError {
    // "Invalid API identifier specified {account}:{api}", as users of AWS report it.
    unknown(Kind::Api, &format!("{account_id}:{id}"))
}

fn owned_by_file(what: &str, id: &str, origin: &str) -> ControlError {
    ControlError::bad(format!(
        "The {what} {id} comes from {origin} and cannot be changed here; change the file, it is loaded again at once"
    ))
}

fn differences<T: Serialize>(
    prefix: &str,
    before: &BTreeMap<String, Arc<T>>,
    now: &BTreeMap<String, Arc<T>>,
    changes: &mut Vec<Stored>,
) {
    for (id, value) in now {
        if before.get(id).is_none_or(|old| !Arc::ptr_eq(old, value)) {
            let text = serde_json::to_string(value).expect("documents have text for keys");
            changes.push((format!("{prefix}{id}"), Some(text)));
        }
    }
    for id in before.keys().filter(|id| !now.contains_key(*id)) {
        changes.push((format!("{prefix}{id}"), None));
    }
}

fn take<T: for<'d> Deserialize<'d>>(
    map: &mut BTreeMap<String, Arc<T>>,
    id: &str,
    text: Option<&str>,
) -> Result<(), String> {
    match text {
        Some(text) => {
            let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
            map.insert(id.to_owned(), Arc::new(value));
        }
        None => {
            map.remove(id);
        }
    }
    Ok(())
}
