//! The environment of a worker: what Lambda documents, what was configured, and very little of the gateway's own, which
//! may hold its secrets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use gateway_core::resource::{Function, Runtime};

/// What a worker takes from the gateway's environment: how to find programs, files and languages.
const INHERITED: [&str; 8] = [
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "TMPDIR", "USER",
];

/// What tools that install packages take besides: where they are configured, by what they reach their registries.
const OF_TOOLS: [&str; 6] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PYENV_ROOT",
    "NVM_DIR",
];

/// The environment of tools that install packages. Packages bring code that runs with it, so none of our secrets is in it.
pub fn of_tools() -> BTreeMap<String, String> {
    let wanted = |name: &str| {
        let lower = name.to_ascii_lowercase();
        INHERITED.contains(&name)
            || OF_TOOLS.contains(&name)
            || lower.ends_with("_proxy")
            || ["pip_", "npm_config_", "xdg_"]
                .iter()
                .any(|start| lower.starts_with(start))
    };
    std::env::vars().filter(|(name, _)| wanted(name)).collect()
}

/// What a worker's environment is made of.
pub(super) struct Sources<'a> {
    /// The gateway's own.
    pub(super) own: &'a dyn Fn(&str) -> Option<String>,
    /// For every worker.
    pub(super) every: &'a BTreeMap<String, String>,
    pub(super) function: &'a Function,
    /// The folder of the code, absolute.
    pub(super) code: &'a Path,
    pub(super) region: &'a str,
    pub(super) runtime_api: SocketAddr,
    pub(super) log_stream: &'a str,
}

/// All variables of one worker. Later ones stand above earlier ones: the gateway's, Lambda's defaults, every worker's, the
/// function's, and last those that are Lambda's own (Lambda Developer Guide, "Defined runtime environment variables").
pub(super) fn environment(sources: &Sources<'_>) -> BTreeMap<String, String> {
    let Sources { function, code, .. } = sources;
    let code = code.to_string_lossy().into_owned();
    let mut all: BTreeMap<String, String> = INHERITED
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), (sources.own)(name)?)))
        .collect();
    let mut set = |name: &str, value: &str| {
        all.insert(name.to_owned(), value.to_owned());
    };
    set("TZ", ":UTC");
    set("AWS_REGION", sources.region);
    set("AWS_DEFAULT_REGION", sources.region);
    if matches!(function.runtime, Runtime::Python { .. }) {
        set("PYTHONUNBUFFERED", "1");
        set("PYTHONDONTWRITEBYTECODE", "1");
    }
    for (name, value) in sources.every.iter().chain(&function.environment) {
        set(name, value);
    }
    set("AWS_LAMBDA_RUNTIME_API", &sources.runtime_api.to_string());
    set("_HANDLER", &function.handler);
    set("LAMBDA_TASK_ROOT", &code);
    set("LAMBDA_RUNTIME_DIR", &code);
    set("AWS_LAMBDA_FUNCTION_NAME", &function.name);
    set("AWS_LAMBDA_FUNCTION_VERSION", &function.version);
    let memory = function.memory_mib.to_string();
    set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory);
    let group = format!("/aws/lambda/{}", function.name);
    set("AWS_LAMBDA_LOG_GROUP_NAME", &group);
    set("AWS_LAMBDA_LOG_STREAM_NAME", sources.log_stream);
    set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    let identifier = function.runtime.identifier();
    set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{identifier}"));
    if matches!(function.runtime, Runtime::Python { .. }) {
        let path = all.get("PYTHONPATH").filter(|path| !path.is_empty());
        let path = path.map_or_else(|| code.clone(), |path| format!("{code}:{path}"));
        all.insert("PYTHONPATH".to_owned(), path);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn function(runtime: &str, variables: &[(&str, &str)]) -> Function {
        Function {
            version: "$LATEST".to_owned(),
            name: "chat".to_owned(),
            runtime: Runtime::parse(runtime).unwrap(),
            handler: "app.handler".to_owned(),
            code: "/srv/chat".into(),
            timeout: Duration::from_secs(3),
            memory_mib: 128,
            environment: map(variables),
            max_workers: None,
            aliases: Vec::new(),
        }
    }

    fn map(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    #[track_caller]
    fn check(function: &Function, every: &[(&str, &str)], expected: &[(&str, Option<&str>)]) {
        let own = |name: &str| match name {
            "PATH" => Some("/bin".to_owned()),
            "AWS_SECRET_ACCESS_KEY" | "WIREGATE_TOKEN" => Some("secret".to_owned()),
            _ => None,
        };
        let all = environment(&Sources {
            own: &own,
            every: &map(every),
            function,
            code: Path::new("/srv/chat"),
            region: "eu-west-1",
            runtime_api: "127.0.0.1:9".parse().unwrap(),
            log_stream: "2026/11/21/[$LATEST]ab",
        });
        for (name, value) in expected {
            assert_eq!(all.get(*name).map(String::as_str), *value, "{name}");
        }
    }

    #[test]
    fn a_worker_gets_what_lambda_documents() {
        check(
            &function("nodejs20.x", &[]),
            &[],
            &[
                ("AWS_LAMBDA_RUNTIME_API", Some("127.0.0.1:9")),
                ("_HANDLER", Some("app.handler")),
                ("LAMBDA_TASK_ROOT", Some("/srv/chat")),
                ("AWS_LAMBDA_FUNCTION_NAME", Some("chat")),
                ("AWS_LAMBDA_FUNCTION_VERSION", Some("$LATEST")),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", Some("128")),
                ("AWS_LAMBDA_LOG_GROUP_NAME", Some("/aws/lambda/chat")),
                ("AWS_LAMBDA_LOG_STREAM_NAME", Some("2026/11/21/[$LATEST]ab")),
                ("AWS_REGION", Some("eu-west-1")),
                ("AWS_DEFAULT_REGION", Some("eu-west-1")),
                ("AWS_EXECUTION_ENV", Some("AWS_Lambda_nodejs20.x")),
                ("TZ", Some(":UTC")),
                ("PYTHONPATH", None),
            ],
        );
        check(
            &function("python3.12", &[]),
            &[],
            &[
                ("PYTHONPATH", Some("/srv/chat")),
                ("PYTHONUNBUFFERED", Some("1")),
            ],
        );
        check(
            &function("python3.12", &[("PYTHONPATH", "/opt/lib")]),
            &[],
            &[("PYTHONPATH", Some("/srv/chat:/opt/lib"))],
        );
    }

    #[test]
    fn the_gateways_own_secrets_stay_with_it() {
        check(
            &function("provided", &[]),
            &[],
            &[
                ("PATH", Some("/bin")),
                ("AWS_SECRET_ACCESS_KEY", None),
                ("WIREGATE_TOKEN", None),
            ],
        );
    }

    #[test]
    fn what_is_nearer_to_the_function_wins_and_lambda_last() {
        check(
            &function("provided", &[("B", "function"), ("_HANDLER", "odd")]),
            &[
                ("A", "every"),
                ("B", "every"),
                ("PATH", "/opt/bin"),
                ("TZ", "here"),
            ],
            &[
                ("A", Some("every")),
                ("B", Some("function")),
                ("PATH", Some("/opt/bin")),
                ("TZ", Some("here")),
                ("_HANDLER", Some("app.handler")),
            ],
        );
    }
}
