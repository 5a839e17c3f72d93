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
            let tags = tagged(&mut account.clone(), &arn, context)?
                .get("tags")
                .cloned();
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
            let tags = of(tagged(account, &arn, context)?);
            for (name, key) in page::parameters(request.query) {
                if name == "tagKeys" {
                    tags.remove(&key);
                }
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

/// The document behind `arn:aws:apigateway:{region}::/apis/{apiId}`, `…/apis/{apiId}/stages/{stage}`, `…/domainnames/{name}` or
/// `…/vpclinks/{id}`.
fn tagged<'a>(
    account: &'a mut Account,
    arn: &str,
    context: &Context<'_>,
) -> Result<&'a mut Document, ControlError> {
    let invalid = || ControlError::bad(format!("Invalid resource ARN specified {arn}"));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "apigateway", _region, _account, resource] = parts[..] else {
        return Err(invalid());
    };
    if !partition.starts_with("aws") {
        return Err(invalid());
    }
    match resource.split('/').collect::<Vec<_>>()[..] {
        ["", "apis", id] => Ok(&mut account.api_mut(id, context.account_id)?.api),
        ["", "apis", id, "stages", stage] => {
            let stages = &mut account.api_mut(id, context.account_id)?.stages;
            stages
                .get_mut(stage)
                .ok_or_else(|| unknown(Kind::Stage, stage))
        }
        ["", "domainnames", name] => Ok(&mut account.domain_mut(name)?.domain_name),
        ["", "vpclinks", id] => account.vpc_link_mut(id),
        _ => Err(invalid()),
    }
}
