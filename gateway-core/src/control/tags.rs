//! Tags of APIs, stages, domain names and VPC links, by ARN.

use serde_json::{Map, Value, json};

use super::account::{Account, Document, unknown};
use super::kind::Kind;
use super::member::{self, Member, Mode, Shape};
use super::request::{Answer, Request, body, decoded};
use super::{Context, ControlError, page};

/// "AWS quotas: 50 tags a stage".
const MOST: usize = 50;

const BODY: &[Member] = &[Member::new("tags", Shape::TextMap(0, 1600)).required()];

/// `POST`, `GET` and `DELETE /v2/tags/{resource-arn}`.
pub(super) fn answer(
    account: &mut Account,
    request: &Request<'_>,
    context: &Context<'_>,
) -> Result<Answer, ControlError> {
    // An intermediary may have decoded the slashes of the ARN: it is everything behind `/v2/tags/`.
    let arn = request
        .path
        .split_once("/tags/")
        .map(|(_, arn)| decoded(arn))
        .unwrap_or_default();
    match request.method {
        "GET" => {
            let tags = shown(account, &arn, context)?.remove("tags");
            Ok(Answer::with(
                200,
                json!({"tags": tags.unwrap_or_else(|| json!({}))}),
            ))
        }
        "POST" => {
            let given = member::read(BODY, body(request)?, Mode::Create, None)?;
            let tags = of(tagged(account, &arn, context)?);
            if let Some(Value::Object(given)) = given.get("tags") {
                tags.extend(given.clone());
            }
            if tags.len() > MOST {
                return Err(ControlError::bad(format!(
                    "A resource takes at most {MOST} tags"
                )));
            }
            Ok(Answer::with(201, json!({})))
        }
        "DELETE" => {
            let keys = page::parameters(request.query).filter(|(name, _)| name == "tagKeys");
            let keys: Vec<String> = keys.map(|(_, key)| key).collect();
            if keys.is_empty() {
                return Err(member::absent("tagKeys"));
            }
            let tags = of(tagged(account, &arn, context)?);
            for key in keys {
                tags.remove(&key);
            }
            Ok(Answer::nothing())
        }
        method => Err(ControlError::NotFound(format!(
            "There is no operation {method} {}",
            request.path
        ))),
    }
}

fn of(document: &mut Document) -> &mut Map<String, Value> {
    let tags = document.entry("tags").or_insert_with(|| json!({}));
    if !tags.is_object() {
        *tags = json!({});
    }
    tags.as_object_mut()
        .expect("it was made an object just now")
}

/// What an ARN names.
enum Named<'a> {
    Api(&'a str),
    Stage(&'a str, &'a str),
    DomainName(&'a str),
    VpcLink(&'a str),
}

/// `arn:aws:apigateway:{region}::/apis/{apiId}`, `…/apis/{apiId}/stages/{stage}`, `…/domainnames/{name}` or `…/vpclinks/{id}`.
fn named(arn: &str) -> Result<Named<'_>, ControlError> {
    let invalid = || ControlError::bad(format!("Invalid resource ARN specified {arn}"));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "apigateway", _region, _account, resource] = parts[..] else {
        return Err(invalid());
    };
    if !partition.starts_with("aws") {
        return Err(invalid());
    }
    match resource.split('/').collect::<Vec<_>>()[..] {
        ["", "apis", id] => Ok(Named::Api(id)),
        ["", "apis", id, "stages", stage] => Ok(Named::Stage(id, stage)),
        ["", "domainnames", name] => Ok(Named::DomainName(name)),
        ["", "vpclinks", id] => Ok(Named::VpcLink(id)),
        _ => Err(invalid()),
    }
}

/// To be read: also where a file owns it.
fn shown(account: &Account, arn: &str, context: &Context<'_>) -> Result<Document, ControlError> {
    match named(arn)? {
        Named::Api(id) => account.get(Kind::Api, &[], id, context),
        Named::Stage(api, name) => account.get(Kind::Stage, &[api], name, context),
        Named::DomainName(name) => account.get(Kind::DomainName, &[], name, context),
        Named::VpcLink(id) => account.get(Kind::VpcLink, &[], id, context),
    }
}

/// To be changed.
fn tagged<'a>(
    account: &'a mut Account,
    arn: &str,
    context: &Context<'_>,
) -> Result<&'a mut Document, ControlError> {
    match named(arn)? {
        Named::Api(id) => Ok(&mut account.api_mut(id, context.account_id)?.api),
        Named::Stage(id, stage) => {
            let stages = &mut account.api_mut(id, context.account_id)?.stages;
            stages
                .get_mut(stage)
                .ok_or_else(|| unknown(Kind::Stage, stage))
        }
        Named::DomainName(name) => Ok(&mut account.domain_mut(name)?.domain_name),
        Named::VpcLink(id) => account.vpc_link_mut(id),
    }
}
