//! `AddPermission` and its like. Whoever reaches this gateway may call its functions, so permissions are kept and told, no more.

use serde_json::{Map, Value, json};

use super::entry::{Entry, Permission};
use super::fields::Fields;
use super::request::Answer;
use super::{Context, LambdaApiError};
use crate::lambda_arn::LambdaTarget;

/// `AddPermission`.
pub(super) fn add(
    entry: &mut Entry,
    target: &LambdaTarget,
    fields: &Fields,
    context: &Context<'_>,
) -> Result<Answer, LambdaApiError> {
    let id = fields.required("StatementId")?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if id.is_empty() || id.len() > 100 || !id.bytes().all(good) {
        let pattern = "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)";
        return Err(LambdaApiError::breaks("StatementId", id, pattern));
    }
    let action = fields.required("Action")?;
    let principal = fields.required("Principal")?;
    if of(entry, target).any(|permission| permission.id == id) {
        return Err(LambdaApiError::Conflict(format!(
            "The statement id ({id}) provided already exists. Please provide a new statement id, or remove the existing statement."
        )));
    }
    let arn = context.arn(&target.name);
    let resource = match &target.qualifier {
        Some(qualifier) => format!("{arn}:{qualifier}"),
        None => arn,
    };
    let principal = match principal {
        "*" => json!("*"),
        service if service.ends_with(".amazonaws.com") => json!({"Service": service}),
        account => json!({"AWS": account}),
    };
    let mut statement = json!({
        "Sid": id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": resource,
    });
    let mut condition = Map::new();
    if let Some(arn) = fields.text("SourceArn")? {
        condition.insert("ArnLike".to_owned(), json!({"AWS:SourceArn": arn}));
    }
    if let Some(account) = fields.text("SourceAccount")? {
        condition.insert(
            "StringEquals".to_owned(),
            json!({"AWS:SourceAccount": account}),
        );
    }
    if !condition.is_empty() {
        statement["Condition"] = Value::Object(condition);
    }
    let told = statement.to_string();
    entry.permissions.push(Permission {
        qualifier: target.qualifier.clone(),
        id: id.to_owned(),
        statement,
    });
    Ok(Answer::new(201, json!({"Statement": told})))
}

/// `GetPolicy`.
pub(super) fn policy(entry: &Entry, target: &LambdaTarget) -> Result<Answer, LambdaApiError> {
    let statements: Vec<&Value> = of(entry, target).map(|one| &one.statement).collect();
    if statements.is_empty() {
        return Err(none());
    }
    let policy = json!({"Version": "2012-10-17", "Id": "default", "Statement": statements});
    Ok(Answer::new(
        200,
        json!({"Policy": policy.to_string(), "RevisionId": entry.latest.revision_id}),
    ))
}

/// `RemovePermission`.
pub(super) fn remove(
    entry: &mut Entry,
    target: &LambdaTarget,
    id: &str,
) -> Result<Answer, LambdaApiError> {
    let found = entry
        .permissions
        .iter()
        .position(|one| one.qualifier == target.qualifier && one.id == id);
    entry.permissions.remove(found.ok_or_else(none)?);
    Ok(Answer::nothing())
}

fn of<'e>(entry: &'e Entry, target: &'e LambdaTarget) -> impl Iterator<Item = &'e Permission> {
    entry
        .permissions
        .iter()
        .filter(|one| one.qualifier == target.qualifier)
}

fn none() -> LambdaApiError {
    LambdaApiError::NotFound("The resource you requested does not exist.".to_owned())
}
