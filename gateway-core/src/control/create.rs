//! What comes into being with a resource: ids, times, and the resources that AWS makes along with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::account::{Account, ApiDocuments, Configuration, Document, DomainDocuments, Item, text};
use super::crud::Context;
use super::kind::Kind;
use super::{ControlError, domain, rules, stage};

impl Account {
    pub(super) fn create_api(
        &mut self,
        mut given: Document,
        context: &mut Context<'_>,
    ) -> Result<Document, ControlError> {
        let quick: Vec<Option<Value>> = ["target", "routeKey", "credentialsArn"]
            .into_iter()
            .map(|member| given.remove(member))
            .collect();
        rules::api(&mut given)?;
        let id = context.fresh_id(10, |id| self.apis.contains_key(id));
        rules::default(&mut given, "tags", json!({}));
        given.insert("apiId".to_owned(), json!(id));
        given.insert("createdDate".to_owned(), json!(context.now));
        let api = ApiDocuments {
            api: given,
            configuration: Arc::new(Configuration::default()),
            deployments: BTreeMap::new(),
            stages: BTreeMap::new(),
            born: context.now_millis,
            origin: None,
        };
        self.apis.insert(id.clone(), Arc::new(api));
        if let [Some(target), route_key, credentials] = &quick[..] {
            self.quick_create(
                &id,
                target,
                route_key.as_ref(),
                credentials.as_ref(),
                context,
            )?;
        }
        self.get(Kind::Api, &[], &id, context)
    }

    /// HTTP APIs: "quick create" makes an integration, a route and a stage that deploys itself.
    fn quick_create(
        &mut self,
        api_id: &str,
        target: &Value,
        route_key: Option<&Value>,
        credentials: Option<&Value>,
        context: &mut Context<'_>,
    ) -> Result<(), ControlError> {
        let is_lambda = target
            .as_str()
            .is_some_and(|target| target.starts_with("arn:"));
        let (kind, method, version) = if is_lambda {
            ("AWS_PROXY", "POST", "2.0")
        } else {
            ("HTTP_PROXY", "ANY", "1.0")
        };
        let integration = json!({
            "integrationType": kind, "integrationMethod": method, "payloadFormatVersion": version,
            "integrationUri": target, "credentialsArn": credentials,
        });
        let made = self.create(Kind::Integration, &[api_id], object(integration), context)?;
        let integration_id = text(&made, "integrationId").unwrap_or_default().to_owned();
        let key = route_key.cloned().unwrap_or_else(|| json!("$default"));
        let route = json!({"routeKey": key, "target": format!("integrations/{integration_id}")});
        let made = self.create(Kind::Route, &[api_id], object(route), context)?;
        let route_id = text(&made, "routeId").unwrap_or_default().to_owned();
        let stage = json!({"stageName": "$default", "autoDeploy": true});
        self.create(Kind::Stage, &[api_id], object(stage), context)?;
        let api = self.api_mut(api_id, context.account_id)?;
        let managed =
            |document: &mut Document| document.insert("apiGatewayManaged".to_owned(), json!(true));
        let configuration = Arc::make_mut(&mut api.configuration);
        configuration
            .routes
            .get_mut(&route_id)
            .map(|item| managed(&mut item.document));
        configuration
            .integrations
            .get_mut(&integration_id)
            .map(|item| managed(&mut item.document));
        api.stages.get_mut("$default").map(managed);
        Ok(())
    }

    pub(super) fn create_item(
        &mut self,
        kind: Kind,
        parents: &[&str],
        mut given: Document,
        context: &mut Context<'_>,
    ) -> Result<Document, ControlError> {
        let parent = parents.get(1).copied();
        let api = self.api_mut(parents[0], context.account_id)?;
        let items = api.configuration.items(kind, parent)?;
        let id = context.fresh_id(kind.id_length().unwrap_or(6), |id| items.contains_key(id));
        rules::item(
            kind,
            &rules::Place {
                api,
                parent,
                id: None,
            },
            &mut given,
        )?;
        given.insert(kind.id_member().to_owned(), json!(id));
        let item = Item {
            document: given.clone(),
            ..Item::default()
        };
        Arc::make_mut(&mut api.configuration)
            .items_mut(kind, parent)?
            .insert(id, item);
        stage::changed(api, context);
        Ok(given)
    }

    pub(super) fn create_domain_name(
        &mut self,
        mut given: Document,
        context: &Context<'_>,
    ) -> Result<Document, ControlError> {
        let name = text(&given, "domainName")
            .unwrap_or_default()
            .to_ascii_lowercase();
        given.insert("domainName".to_owned(), json!(name));
        domain::check(&mut given, context)?;
        if self.domain_names.contains_key(&name) {
            return Err(ControlError::Conflict(
                "The domain name you provided already exists.".to_owned(),
            ));
        }
        let documents = DomainDocuments {
            domain_name: given.clone(),
            ..DomainDocuments::default()
        };
        self.domain_names.insert(name, Arc::new(documents));
        Ok(given)
    }

    pub(super) fn create_vpc_link(
        &mut self,
        mut given: Document,
        context: &mut Context<'_>,
    ) -> Document {
        let id = context.fresh_id(6, |id| self.vpc_links.contains_key(id));
        given.insert("vpcLinkId".to_owned(), json!(id));
        given.insert("createdDate".to_owned(), json!(context.now));
        rules::default(&mut given, "securityGroupIds", json!([]));
        rules::default(&mut given, "tags", json!({}));
        given.insert("vpcLinkStatus".to_owned(), json!("AVAILABLE"));
        given.insert("vpcLinkVersion".to_owned(), json!("V2"));
        self.vpc_links.insert(id, Arc::new(given.clone()));
        given
    }
}

fn object(value: Value) -> Document {
    match value {
        Value::Object(map) => map,
        _ => Document::new(),
    }
}
