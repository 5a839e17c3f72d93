//! Lambda functions of a template: their names, and what a runner of them needs to know.

use std::collections::BTreeMap;

use super::document::Resource;
use super::scope::Scope;
use super::thing::FunctionThing;
use super::value::{Place, Value, What};
use crate::config::diagnostic::{nearest, quoted};

/// A Lambda function of a template. Its name is what integrations call; `runnable` says whether it can run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionDeclared {
    /// Its key in `Resources`; of a service, the one that the framework makes of the function's name.
    pub logical_id: String,
    /// `FunctionName`, or the logical id.
    pub name: String,
    /// Without version or alias.
    pub arn: String,
    /// `Handler`, such as `app.handler`.
    pub handler: Option<String>,
    /// `Runtime`, such as `nodejs20.x`.
    pub runtime: Option<String>,
    /// `CodeUri` where it is a path.
    pub code_uri: Option<String>,
    /// `InlineCode`, or `Code.ZipFile`.
    pub inline_code: Option<String>,
    /// Whether the code is an image in a registry.
    pub is_image: bool,
    /// How SAM builds the code, where `Metadata.BuildMethod` says so.
    pub build_method: Option<String>,
    /// `Timeout` in seconds.
    pub timeout_seconds: Option<u32>,
    /// `MemorySize` in MiB.
    pub memory_mib: Option<u32>,
    /// `AutoPublishAlias`.
    pub alias: Option<String>,
    /// `Environment.Variables`.
    pub environment: BTreeMap<String, String>,
    /// Where it stands.
    pub place: Place,
    /// Where members stand that somebody may have something to say about, by their names.
    pub places: BTreeMap<&'static str, Place>,
}

/// Members of which somebody may have something to say.
const REMARKABLE: [&str; 8] = [
    "Code",
    "CodeUri",
    "Handler",
    "ImageUri",
    "InlineCode",
    "Layers",
    "PackageType",
    "Runtime",
];

/// Members that are numbers, with AWS's limits ("AWS quotas, Lambda").
const NUMBERS: [(&str, u32, u32); 2] = [("Timeout", 1, 900), ("MemorySize", 128, 10_240)];

/// Properties of `AWS::Serverless::Function`, whether they mean anything here or not.
const OF_SAM: &[&str] = &[
    "Architectures",
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "AutoPublishCodeSha256",
    "CapacityProviderConfig",
    "CodeSigningConfigArn",
    "CodeUri",
    "DeadLetterQueue",
    "DeploymentPreference",
    "Description",
    "DurableConfig",
    "Environment",
    "EphemeralStorage",
    "EventInvokeConfig",
    "Events",
    "FileSystemConfigs",
    "FunctionName",
    "FunctionScalingConfig",
    "FunctionUrlConfig",
    "Handler",
    "ImageConfig",
    "ImageUri",
    "InlineCode",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "PermissionsBoundary",
    "Policies",
    "PropagateTags",
    "ProvisionedConcurrencyConfig",
    "PublishToLatestPublished",
    "RecursiveLoop",
    "ReservedConcurrentExecutions",
    "Role",
    "RolePath",
    "Runtime",
    "RuntimeManagementConfig",
    "SnapStart",
    "SourceKMSKeyArn",
    "Tags",
    "TenancyConfig",
    "Timeout",
    "Tracing",
    "VersionDeletionPolicy",
    "VersionDescription",
    "VpcConfig",
];

/// Properties of `AWS::Lambda::Function`.
const OF_LAMBDA: &[&str] = &[
    "Architectures",
    "CapacityProviderConfig",
    "Code",
    "CodeSigningConfigArn",
    "DeadLetterConfig",
    "Description",
    "DurableConfig",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "FunctionName",
    "FunctionScalingConfig",
    "Handler",
    "ImageConfig",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "PublishToLatestPublished",
    "RecursiveLoop",
    "ReservedConcurrentExecutions",
    "Role",
    "Runtime",
    "RuntimeManagementConfig",
    "SnapStart",
    "Tags",
    "TenancyConfig",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
];

/// What others see of a function.
pub(super) fn seen(resource: &Resource, globals: &Value, scope: &Scope<'_>) -> FunctionThing {
    let function = Function::new(resource, globals, scope);
    let name = match function
        .written("FunctionName")
        .and_then(|value| scope.text_of(&value))
    {
        Some(name) if !name.is_empty() => name,
        _ => resource.logical_id.clone(),
    };
    // An ARN may stand for a name; its last part is the name.
    let name = match name.strip_prefix("arn:") {
        Some(arn) => arn.rsplit(':').next().unwrap_or(arn).to_owned(),
        None => name,
    };
    let serverless = resource.type_name == "AWS::Serverless::Function";
    FunctionThing {
        arn: scope.arn("lambda", &format!("function:{name}")),
        name,
        alias: function.text("AutoPublishAlias").filter(|_| serverless),
        serverless,
    }
}

/// What a runner needs to know of it; read when all resources are known, since `Globals` may name any.
pub(super) fn declared(
    resource: &Resource,
    globals: &Value,
    seen: &FunctionThing,
    scope: &Scope<'_>,
) -> FunctionDeclared {
    let function = Function::new(resource, globals, scope);
    let number = |key: &str| function.text(key)?.trim().parse().ok();
    let code = function.written("Code");
    let code_member = |key: &str| code.as_ref()?.child(key).cloned();
    let is_path = |text: &String| !text.starts_with("s3://") && !text.starts_with("https://");
    let code_uri = function.text("CodeUri");
    let code_text = || code.as_ref()?.as_text().map(str::to_owned);
    let inline_code = function
        .text("InlineCode")
        .or_else(|| scope.text_of(&code_member("ZipFile")?));
    let is_image = function.text("PackageType").as_deref() == Some("Image")
        || function.written("ImageUri").is_some()
        || code_member("ImageUri").is_some();
    let metadata = resource.metadata.as_ref();
    let build_method = metadata.and_then(|metadata| metadata.child("BuildMethod"));
    let mut places: BTreeMap<&'static str, Place> = REMARKABLE
        .into_iter()
        .filter_map(|key| Some((key, function.place(key)?)))
        .collect();
    if let Some(method) = build_method {
        places.insert("BuildMethod", method.place.clone());
    }
    FunctionDeclared {
        logical_id: resource.logical_id.clone(),
        name: seen.name.clone(),
        arn: seen.arn.clone(),
        handler: function.text("Handler"),
        runtime: function.text("Runtime"),
        code_uri: code_uri.or_else(code_text).filter(is_path),
        inline_code,
        is_image,
        build_method: build_method.and_then(Value::as_text).map(str::to_owned),
        timeout_seconds: number("Timeout"),
        memory_mib: number("MemorySize"),
        alias: seen.alias.clone(),
        environment: function.environment(),
        place: resource.place.clone(),
        places,
    }
}

/// Says what of a function's properties has no effect because of how it is written.
pub(super) fn remark(resource: &Resource, globals: &Value, scope: &Scope<'_>) {
    let serverless = resource.type_name == "AWS::Serverless::Function";
    let known = if serverless { OF_SAM } else { OF_LAMBDA };
    for member in resource.properties.members() {
        let key = member.key.as_str();
        if known.contains(&key) {
            continue;
        }
        let near = nearest(key, known.iter().copied());
        let hint = near.map(|word| format!("; did you mean {}?", quoted(word)));
        scope.report.notice(
            &member.place,
            format!(
                "a function has no property {}, and it has no effect{}",
                quoted(key),
                hint.unwrap_or_default()
            ),
        );
    }
    let function = Function::new(resource, globals, scope);
    for (key, least, most) in NUMBERS {
        let text = scope.report.softly(|| function.text(key));
        let (Some(place), Some(text)) = (function.place(key), text) else {
            continue;
        };
        let number: Option<u32> = text.trim().parse().ok();
        if !number.is_some_and(|number| (least..=most).contains(&number)) {
            let said = format!(
                "{key} must be a number from {least} to {most}, not {}",
                quoted(&text)
            );
            scope.report.notice(&place, said);
        }
    }
}

struct Function<'a, 'i> {
    own: &'a Value,
    /// `Globals.Function`, for functions of SAM.
    globals: Option<&'a Value>,
    scope: &'a Scope<'i>,
}

impl<'a, 'i> Function<'a, 'i> {
    fn new(resource: &'a Resource, globals: &'a Value, scope: &'a Scope<'i>) -> Self {
        let serverless = resource.type_name == "AWS::Serverless::Function";
        Self {
            own: &resource.properties,
            globals: globals.child("Function").filter(|_| serverless),
            scope,
        }
    }

    fn written(&self, key: &str) -> Option<Value> {
        let own = self.own.child(key);
        let value = own.or_else(|| self.globals?.child(key))?;
        self.scope.evaluate(value)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.written(key)?.as_text().map(str::to_owned)
    }

    /// Where a member stands that says something.
    fn place(&self, key: &str) -> Option<Place> {
        let own = self.own.member(key);
        let member = own.or_else(|| self.globals?.member(key))?;
        let says = match &member.value.what {
            What::Null => false,
            What::List(items) => !items.is_empty(),
            _ => true,
        };
        says.then(|| member.place.clone())
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for settings in self.globals.into_iter().chain([self.own]) {
            let variables = settings
                .child("Environment")
                .and_then(|value| value.child("Variables"));
            for variable in variables.map(Value::members).unwrap_or_default() {
                let value = self.scope.evaluate(&variable.value);
                if let Some(text) = value.and_then(|value| self.scope.text_of(&value)) {
                    environment.insert(variable.key.clone(), text);
                }
            }
        }
        environment
    }
}
