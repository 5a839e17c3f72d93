//! New functions and changed ones: what their members may be.

use serde_json::{Map, Value};

use super::entry::{Code, Entry, Version};
use super::fields::Fields;
use super::{Context, LambdaApiError};
use crate::resource::Runtime;

/// AWS quotas, Lambda: 1 to 900 seconds.
const TIMEOUT: (u32, u32) = (1, 900);
/// AWS quotas, Lambda: 128 to 10,240 MB.
const MEMORY: (u32, u32) = (128, 10_240);
/// AWS quotas, Lambda: 4 KB of environment variables.
const MOST_ENVIRONMENT: usize = 4096;

/// Told back and not acted upon: there is nothing here that they would change.
const TOLD: &[&str] = &[
    "TracingConfig",
    "Architectures",
    "EphemeralStorage",
    "LoggingConfig",
    "VpcConfig",
    "DeadLetterConfig",
    "KMSKeyArn",
    "SnapStart",
];

/// What would make a function do something else than it does here: refused rather than passed over.
const REFUSED: &[(&str, &str)] = &[
    (
        "Layers",
        "layers are not built; put what they hold into the archive",
    ),
    ("FileSystemConfigs", "file systems are not mounted"),
    (
        "ImageConfig",
        "container images are not run; use an endpoint in wiregate.yaml",
    ),
    ("CodeSigningConfigArn", "signatures of code are not checked"),
    ("CapacityProviderConfig", "capacity providers are not built"),
    ("DurableConfig", "durable functions are not built"),
    ("TenancyConfig", "tenants are not kept apart"),
];

/// `CreateFunction`.
pub(super) fn create(fields: &Fields, context: &mut Context<'_>) -> Result<Entry, LambdaApiError> {
    refuse(fields)?;
    if let Some(package) = fields.text("PackageType")?.filter(|text| *text != "Zip") {
        return Err(LambdaApiError::InvalidParameter(format!(
            "PackageType {package} is not run here: only Zip is; give the function an endpoint in wiregate.yaml instead"
        )));
    }
    let role = fields.required("Role")?.to_owned();
    let code = take_code(context)?;
    let mut latest = Version {
        runtime: String::new(),
        handler: String::new(),
        role,
        description: String::new(),
        timeout: 3,
        memory_size: 128,
        environment: std::collections::BTreeMap::new(),
        told: Map::new(),
        code,
        last_modified: context.now,
        revision_id: (context.new_id)(),
    };
    if !fields.has("Runtime") {
        return Err(LambdaApiError::absent("Runtime"));
    }
    if !fields.has("Handler") {
        return Err(LambdaApiError::absent("Handler"));
    }
    set(&mut latest, fields)?;
    let mut entry = Entry::new(latest);
    entry.tags = fields.texts("Tags")?.unwrap_or_default();
    if fields.flag("Publish")? {
        entry.publish(None, context);
    }
    Ok(entry)
}

/// `UpdateFunctionConfiguration`.
pub(super) fn configure(
    entry: &mut Entry,
    fields: &Fields,
    context: &mut Context<'_>,
) -> Result<(), LambdaApiError> {
    refuse(fields)?;
    check_revision(fields, &entry.latest.revision_id)?;
    set(&mut entry.latest, fields)?;
    touch(&mut entry.latest, context);
    Ok(())
}

/// `UpdateFunctionCode`; the number under which it was published, where that was asked for.
pub(super) fn replace_code(
    entry: &mut Entry,
    fields: &Fields,
    context: &mut Context<'_>,
) -> Result<Option<u64>, LambdaApiError> {
    check_revision(fields, &entry.latest.revision_id)?;
    let code = take_code(context)?;
    if fields.flag("DryRun")? {
        return Ok(None);
    }
    if let Some(architectures) = fields.written("Architectures") {
        let told = &mut entry.latest.told;
        told.insert("Architectures".to_owned(), architectures);
    }
    entry.latest.code = code;
    touch(&mut entry.latest, context);
    let publish = fields.flag("Publish")?;
    Ok(publish.then(|| entry.publish(None, context)))
}

/// Whoever names a revision means to change that one.
pub(super) fn check_revision(fields: &Fields, current: &str) -> Result<(), LambdaApiError> {
    match fields.text("RevisionId")? {
        Some(revision) if revision != current => Err(LambdaApiError::Precondition),
        _ => Ok(()),
    }
}

fn touch(version: &mut Version, context: &mut Context<'_>) {
    // Publishing compares times, so a change within the same millisecond must be later.
    version.last_modified = context.now.max(version.last_modified + 1);
    version.revision_id = (context.new_id)();
}

fn take_code(context: &mut Context<'_>) -> Result<Code, LambdaApiError> {
    context.code.take().ok_or_else(|| {
        LambdaApiError::InvalidParameter(
            "Please provide a source for function code: ZipFile is the one that is understood here"
                .to_owned(),
        )
    })
}

fn refuse(fields: &Fields) -> Result<(), LambdaApiError> {
    let named = |member: &Value| match member {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    };
    let asked = REFUSED
        .iter()
        .find(|(name, _)| fields.written(name).is_some_and(|value| named(&value)));
    match asked {
        Some((name, why)) => Err(LambdaApiError::InvalidParameter(format!("{name}: {why}"))),
        None => Ok(()),
    }
}

/// Sets each member that is there.
fn set(version: &mut Version, fields: &Fields) -> Result<(), LambdaApiError> {
    if let Some(runtime) = fields.text("Runtime")? {
        if Runtime::parse(runtime).is_none() {
            return Err(LambdaApiError::InvalidParameter(format!(
                "Value {runtime} at 'runtime' failed to satisfy constraint: this gateway runs nodejsN.x, pythonN.N, provided, \
                 provided.al2 and provided.al2023; give functions of another runtime an endpoint in wiregate.yaml"
            )));
        }
        runtime.clone_into(&mut version.runtime);
    }
    if let Some(handler) = fields.text("Handler")? {
        if handler.is_empty() || handler.len() > 128 || handler.contains(char::is_whitespace) {
            let pattern = "Member must satisfy regular expression pattern: [^\\s]+";
            return Err(LambdaApiError::breaks("Handler", handler, pattern));
        }
        handler.clone_into(&mut version.handler);
    }
    if let Some(description) = fields.text("Description")? {
        if description.chars().count() > 256 {
            let limit = "Member must have length less than or equal to 256";
            return Err(LambdaApiError::breaks("Description", description, limit));
        }
        description.clone_into(&mut version.description);
    }
    if let Some(role) = fields.text("Role")? {
        if !role.starts_with("arn:") {
            let pattern = "Member must satisfy regular expression pattern: \
                arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+";
            return Err(LambdaApiError::breaks("Role", role, pattern));
        }
        role.clone_into(&mut version.role);
    }
    if let Some(timeout) = fields.number("Timeout", TIMEOUT)? {
        version.timeout = timeout;
    }
    if let Some(memory) = fields.number("MemorySize", MEMORY)? {
        version.memory_size = memory;
    }
    if let Some(environment) = fields.object("Environment")? {
        let variables = environment.texts("Variables")?.unwrap_or_default();
        check_environment(&variables)?;
        version.environment = variables;
    }
    for name in TOLD {
        if let Some(value) = fields.written(name) {
            version.told.insert((*name).to_owned(), value);
        }
    }
    Ok(())
}

fn check_environment(
    variables: &std::collections::BTreeMap<String, String>,
) -> Result<(), LambdaApiError> {
    const RESERVED: &[&str] = &[
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "LAMBDA_TASK_ROOT",
    ];
    for name in variables.keys() {
        let mut bytes = name.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if RESERVED.contains(&name.as_str()) {
            return Err(LambdaApiError::InvalidParameter(format!(
                "Lambda was unable to configure your environment variables because the environment variables you have provided \
                 contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {name}"
            )));
        }
        if !first || !rest || name.len() < 2 {
            let pattern = "Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+";
            return Err(LambdaApiError::breaks(
                "environment.variables",
                name,
                pattern,
            ));
        }
    }
    if let Some((name, _)) = variables.iter().find(|(_, value)| value.contains('\0')) {
        return Err(LambdaApiError::InvalidParameter(format!(
            "The value of environment variable {name} holds a null character"
        )));
    }
    let bytes: usize = variables
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > MOST_ENVIRONMENT {
        return Err(LambdaApiError::InvalidParameter(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded \
             the 4KB limit: they have {bytes} bytes"
        )));
    }
    Ok(())
}
