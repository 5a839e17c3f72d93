//! Custom domain names and what their paths show.

use std::sync::Arc;

use serde_json::{Value, json};

use super::account::{Account, Document, text, unknown};
use super::kind::{Kind, protocol_of};
use super::rules::default;
use super::{Context, ControlError};
use crate::resource::ProtocolType;

/// Checks a domain name, and fills in what AWS fills in.
pub(super) fn check(document: &mut Document, context: &Context<'_>) -> Result<(), ControlError> {
    let name = text(document, "domainName").unwrap_or_default().to_owned();
    let host = name.strip_prefix("*.").unwrap_or(&name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(ControlError::bad(format!(
            "Invalid domain name identifier specified {name}"
        )));
    }
    default(
        document,
        "apiMappingSelectionExpression",
        json!("$request.basepath"),
    );
    default(document, "routingMode", json!("API_MAPPING_ONLY"));
    default(document, "tags", json!({}));
    let arn = format!("arn:aws:apigateway:{}::/domainnames/{name}", context.region);
    default(document, "domainNameArn", json!(arn));
    default(document, "domainNameConfigurations", json!([{}]));
    let target = format!(
        "d-{}.execute-api.{}.amazonaws.com",
        label(&name),
        context.region
    );
    let configurations = document
        .get_mut("domainNameConfigurations")
        .and_then(Value::as_array_mut);
    for configuration in configurations
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        default(configuration, "apiGatewayDomainName", json!(target));
        default(configuration, "domainNameStatus", json!("AVAILABLE"));
        default(configuration, "endpointType", json!("REGIONAL"));
        default(configuration, "hostedZoneId", json!("Z1UJRXOUMOOFQ8"));
        default(configuration, "ipAddressType", json!("ipv4"));
        default(configuration, "securityPolicy", json!("TLS_1_2"));
    }
    Ok(())
}

/// Ten letters and digits that follow from the name.
fn label(name: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut label = String::new();
    for round in 0..10_u8 {
        for byte in name.bytes().chain([round]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let digit = (hash >> 32) % 36;
        label.push(char::from_digit(digit as u32, 36).expect("a number below 36 is a digit"));
    }
    label
}

impl Account {
    pub(super) fn create_mapping(
        &mut self,
        name: &str,
        mut given: Document,
        context: &mut Context<'_>,
    ) -> Result<Document, ControlError> {
        self.check_mapping(name, None, &mut given, context)?;
        let domain = self.domain_mut(name)?;
        let id = context.fresh_id(6, |id| domain.mappings.contains_key(id));
        given.insert("apiMappingId".to_owned(), json!(id));
        domain.mappings.insert(id, given.clone());
        Ok(given)
    }

    pub(super) fn check_mapping(
        &self,
        name: &str,
        id: Option<&str>,
        mapping: &mut Document,
        context: &Context<'_>,
    ) -> Result<(), ControlError> {
        let domain = self.domain(name)?;
        let api_id = text(mapping, "apiId").unwrap_or_default();
        let api = self.api(api_id, context.account_id)?;
        let stage = text(mapping, "stage").unwrap_or_default();
        if !api.stages.contains_key(stage) {
            return Err(unknown(Kind::Stage, stage));
        }
        let key = text(mapping, "apiMappingKey")
            .unwrap_or_default()
            .to_owned();
        let protocol = api.protocol();
        mapping_key(&key, protocol)?;
        for (other_id, other) in domain
            .mappings
            .iter()
            .filter(|(other, _)| id != Some(other.as_str()))
        {
            if text(other, "apiMappingKey").unwrap_or_default() == key {
                return Err(ControlError::Conflict(format!(
                    "An API mapping with key '{key}' already exists for this domain name: {other_id}"
                )));
            }
            let other_api = text(other, "apiId").and_then(|id| self.apis.get(id));
            if other_api.is_some_and(|other| protocol_of(&other.api) != protocol) {
                return Err(ControlError::bad(
                    "A domain name maps either WebSocket APIs or HTTP APIs, not both",
                ));
            }
        }
        default(mapping, "apiMappingKey", json!(""));
        Ok(())
    }

    /// Takes an API out of all mappings.
    pub(super) fn unmap(&mut self, api_id: &str) -> Result<(), ControlError> {
        let names: Vec<String> = self
            .domain_names
            .iter()
            .filter(|(_, domain)| {
                domain
                    .mappings
                    .values()
                    .any(|mapping| text(mapping, "apiId") == Some(api_id))
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.domain_mut(&name)?
                .mappings
                .retain(|_, mapping| text(mapping, "apiId") != Some(api_id));
        }
        Ok(())
    }

    pub(super) fn vpc_link_mut(&mut self, id: &str) -> Result<&mut Document, ControlError> {
        let link = self
            .vpc_links
            .get_mut(id)
            .ok_or_else(|| unknown(Kind::VpcLink, id))?;
        Ok(Arc::make_mut(link))
    }
}

fn mapping_key(key: &str, protocol: ProtocolType) -> Result<(), ControlError> {
    let bad = |message: &str| Err(ControlError::bad(message));
    if key.starts_with('/') || key.contains("//") {
        return bad("API mapping key should not start with a '/' or have consecutive '/'s.");
    }
    if key.ends_with('/') {
        return bad("API mapping key should not end with a '/'.");
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "$-_.+!*'()/".contains(c);
    if !key.chars().all(legal) {
        return bad("API mapping key should have only letters, digits and $-_.+!*'()/");
    }
    if protocol == ProtocolType::Websocket && key.contains('/') {
        return bad(
            "API mapping key of a WebSocket API has one level: it should not contain a '/'",
        );
    }
    Ok(())
}
