//! What `Ref` and `Fn::GetAtt` give for each resource.

use std::collections::HashMap;

use super::scope::Scope;
use super::types::Type;
use crate::config::diagnostic::{quoted, suggestion};

/// A resource as others see it.
#[derive(Debug, Clone)]
pub(super) enum Thing {
    /// One that is declared here.
    Own {
        of: Type,
        reference: String,
        attributes: Vec<(&'static str, String)>,
    },
    Function(FunctionThing),
    /// One that AWS has and this gateway has not.
    Foreign(Foreign),
    /// Its condition, of this name, is false.
    NotCreated(String),
    /// It was wrong, and that has been said.
    Broken,
}

#[derive(Debug, Clone)]
pub(super) struct FunctionThing {
    pub(super) name: String,
    pub(super) arn: String,
    /// SAM's `AutoPublishAlias`.
    pub(super) alias: Option<String>,
    /// A SAM function, which has a role, versions and aliases of its own.
    pub(super) serverless: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Foreign {
    pub(super) name: String,
    pub(super) reference: String,
    pub(super) arn: String,
}

impl Thing {
    /// What `Ref: name` gives; the name may end in `.Alias` and the like, as SAM's do. The error says why there is none.
    pub(super) fn reference(&self, name: &str) -> Result<Option<String>, String> {
        let suffix = name.split_once('.').map(|(_, suffix)| suffix);
        match (self, suffix) {
            (Self::Own { reference, .. } | Self::Foreign(Foreign { reference, .. }), None) => {
                Ok(Some(reference.clone()))
            }
            (Self::Function(function), None) => Ok(Some(function.name.clone())),
            (Self::Function(function), Some("Alias")) => match &function.alias {
                Some(alias) => Ok(Some(format!("{}:{alias}", function.arn))),
                None => Err(format!(
                    "{} is there only where the function has an AutoPublishAlias",
                    quoted(name)
                )),
            },
            (Self::Function(function), Some("Version")) => Ok(Some(format!("{}:1", function.arn))),
            (Self::Foreign(foreign), Some(suffix)) => Ok(Some(foreign.attribute(suffix))),
            (Self::NotCreated(condition), _) => Err(format!(
                "{} is not created, since the condition {} is false",
                quoted(name),
                quoted(condition)
            )),
            (Self::Broken, _) => Ok(None),
            (_, Some(_)) => Err(format!("there is no resource {}", quoted(name))),
        }
    }

    /// What `Fn::GetAtt` gives, or which attributes there are.
    pub(super) fn attribute(&self, attribute: &str) -> Result<Option<String>, String> {
        match self {
            Self::Own { of, attributes, .. } => {
                let found = attributes.iter().find(|(name, _)| *name == attribute);
                let Some((_, value)) = found else {
                    let known: Vec<&str> = attributes.iter().map(|(name, _)| *name).collect();
                    let hint = suggestion(attribute, "there are", &known).unwrap_or_default();
                    let name = of.name();
                    let message = format!(
                        "AWS::ApiGatewayV2::{name} has no attribute {}",
                        quoted(attribute)
                    );
                    let hint = if hint.is_empty() {
                        hint
                    } else {
                        format!("; {hint}")
                    };
                    return Err(message + &hint);
                };
                Ok(Some(value.clone()))
            }
            Self::Function(function) => Ok(Some(match attribute {
                "Arn" => function.arn.clone(),
                "Version" => "1".to_owned(),
                // SAM knows these by Ref only, and people write both.
                "Alias" if function.alias.is_some() => return self.reference("x.Alias"),
                _ => format!("{}.{attribute}", function.name),
            })),
            Self::Foreign(foreign) => Ok(Some(foreign.attribute(attribute))),
            Self::NotCreated(condition) => Err(format!(
                "this resource is not created, since its condition {} is false",
                quoted(condition)
            )),
            Self::Broken => Ok(None),
        }
    }
}

impl Foreign {
    fn attribute(&self, attribute: &str) -> String {
        match attribute {
            name if name.ends_with("Arn") => self.arn.clone(),
            "Name" | "TableName" | "QueueName" | "TopicName" | "RoleName" | "BucketName" => {
                self.name.clone()
            }
            "QueueUrl" => self.reference.clone(),
            other => format!("{}.{other}", self.name),
        }
    }

    /// Something of a type that this gateway does not create, under the name that it has or would have.
    pub(super) fn new(type_name: &str, name: String, scope: &Scope<'_>) -> Self {
        let (service, last) = match type_name.split("::").collect::<Vec<_>>()[..] {
            [_, service, .., last] => (service.to_ascii_lowercase(), last),
            _ => ("cloudformation".to_owned(), "resource"),
        };
        let arn = |service: &str, resource: &str| scope.arn(service, resource);
        let global = |service: &str, account: &str, resource: &str| {
            format!("arn:{}:{service}::{account}:{resource}", scope.partition())
        };
        let account = &scope.inputs.account_id;
        let arn = match (&*service, last) {
            ("dynamodb", _) | ("serverless", "SimpleTable") => {
                arn("dynamodb", &format!("table/{name}"))
            }
            ("sqs" | "sns", _) => arn(&service, &name),
            ("s3", _) => global("s3", "", &name.to_ascii_lowercase()),
            ("iam", last) => global("iam", account, &format!("{}/{name}", kebab(last))),
            ("stepfunctions", _) | ("serverless", "StateMachine") => {
                arn("states", &format!("stateMachine:{name}"))
            }
            ("logs", _) => arn("logs", &format!("log-group:{name}:*")),
            ("lambda" | "serverless", "LayerVersion") => arn("lambda", &format!("layer:{name}:1")),
            ("secretsmanager", _) => arn("secretsmanager", &format!("secret:{name}")),
            ("certificatemanager", _) => arn("acm", &format!("certificate/{name}")),
            ("cognito", last) => arn(
                "cognito-idp",
                &format!("{}/{name}", last.to_ascii_lowercase()),
            ),
            (service, last) => arn(service, &format!("{}/{name}", kebab(last))),
        };
        // "Ref return values" of the types whose reference is not their name.
        let reference = match (&*service, last) {
            ("sqs", "Queue") => format!(
                "https://sqs.{}.{}/{account}/{name}",
                scope.inputs.region,
                scope.url_suffix()
            ),
            (
                "sns"
                | "stepfunctions"
                | "secretsmanager"
                | "certificatemanager"
                | "elasticloadbalancingv2",
                _,
            )
            | ("serverless", "StateMachine")
            | (_, "LayerVersion" | "ManagedPolicy") => arn.clone(),
            ("s3", "Bucket") => name.to_ascii_lowercase(),
            _ => name.clone(),
        };
        Self {
            name,
            reference,
            arn,
        }
    }
}

/// `UserPool` is `user-pool`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

/// A resource that SAM makes beside a function.
pub(super) struct Implied {
    type_name: &'static str,
    name: String,
    /// Where it is the function itself under another name.
    arn: Option<String>,
}

impl Implied {
    pub(super) fn named(self, scope: &Scope<'_>) -> Foreign {
        let foreign = Foreign::new(self.type_name, self.name, scope);
        match self.arn {
            Some(arn) => Foreign {
                reference: arn.clone(),
                arn,
                ..foreign
            },
            None => foreign,
        }
    }
}

/// `{Function}Role`, `{Function}Alias{alias}`, `{Function}Version…` of a SAM function.
pub(super) fn implied(things: &HashMap<String, Thing>, name: &str) -> Option<Implied> {
    let name = name.split('.').next()?;
    let (owner, rest) = ["Role", "Alias", "Version", "Url"]
        .into_iter()
        .filter_map(|part| name.rfind(part).map(|at| name.split_at(at)))
        .find(
            |(owner, _)| matches!(things.get(*owner), Some(Thing::Function(f)) if f.serverless),
        )?;
    let Some(Thing::Function(function)) = things.get(owner) else {
        return None;
    };
    let (type_name, arn) = match rest {
        "Role" => ("AWS::IAM::Role", None),
        "Url" => ("AWS::Lambda::Url", None),
        _ if rest.starts_with("Version") => {
            ("AWS::Lambda::Version", Some(format!("{}:1", function.arn)))
        }
        _ => {
            let alias = function.alias.as_deref()?;
            if rest.strip_prefix("Alias") != Some(alias) {
                return None;
            }
            (
                "AWS::Lambda::Alias",
                Some(format!("{}:{alias}", function.arn)),
            )
        }
    };
    Some(Implied {
        type_name,
        name: name.to_owned(),
        arn,
    })
}
