//! What environment a function gets: its own variables, `.env` and the files named on the command line over them, and below all of it what a
//! function needs to find its way back to this gateway.

use std::collections::BTreeMap;
use std::path::Path;

use gateway_core::auth::Secret;

use crate::config::Credential;

/// Environment of a process.
pub type Variables = BTreeMap<String, String>;

/// What workers are told beside what is theirs.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// AWS region.
    pub region: &'a str,
    /// The key made for this run.
    pub credential: &'a Credential,
    /// Where `@connections` answers without a client's host: base and stage, without a slash at its end.
    pub callback_url: Option<&'a str>,
    /// The certificates that are to be trusted.
    pub trust: Option<Trust<'a>>,
    /// The environment of the command itself.
    pub shell: &'a Variables,
}

/// Files with certificates.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// The local authority alone.
    pub authority: &'a Path,
    /// The authorities of the system, those that the shell's own files name, and the local one.
    pub bundle: &'a Path,
}

/// Variables by which programs are told whom to trust.
pub const TRUST_VARIABLES: [&str; 4] = [
    "AWS_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
];

/// What every worker gets, below all that is its own.
pub fn for_all(of: &Surroundings<'_>) -> Variables {
    let mut all = Variables::new();
    let mut set = |name: &str, value: &str| all.insert(name.to_owned(), value.to_owned());
    set("AWS_REGION", of.region);
    set("AWS_DEFAULT_REGION", of.region);
    set("AWS_ACCESS_KEY_ID", &of.credential.access_key_id);
    set(
        "AWS_SECRET_ACCESS_KEY",
        of.credential.secret_access_key.expose(),
    );
    // SDKs would look for a role of the machine where no key is found, and wait for it.
    set("AWS_EC2_METADATA_DISABLED", "true");
    if let Some(url) = of.callback_url {
        set("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", url);
    }
    if let Some(trust) = of.trust {
        let (authority, bundle) = (
            trust.authority.to_string_lossy(),
            trust.bundle.to_string_lossy(),
        );
        for name in TRUST_VARIABLES {
            set(name, &bundle);
        }
        // Node.js adds these to its own, and reads all of them at each start.
        if !of.shell.contains_key("NODE_EXTRA_CA_CERTS") {
            set("NODE_EXTRA_CA_CERTS", &authority);
        }
    }
    for (name, value) in of.shell {
        if name.starts_with("AWS_ENDPOINT_URL") && !value.is_empty() {
            set(name, value);
        }
    }
    all
}

/// A function's own variables, those of the files over them, a later file over an earlier.
pub fn for_one(own: &Variables, files: &[Vec<(String, String)>]) -> Variables {
    let mut all = own.clone();
    all.extend(files.iter().flatten().cloned());
    all
}

/// The key that a function would sign with, where it or a file brings one of its own: the public listener must know it.
pub fn own_credential(variables: &Variables) -> Option<Credential> {
    let value = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    Some(Credential {
        access_key_id: value("AWS_ACCESS_KEY_ID")?.clone(),
        secret_access_key: Secret::new(value("AWS_SECRET_ACCESS_KEY")?),
        session_token: value("AWS_SESSION_TOKEN").map(Secret::new),
        expires_at: None,
    })
}

/// Writes this gateway's address in place of AWS's own names of APIs that are served here:
/// `{apiId}.execute-api.{region}.amazonaws.com`. `address` says host and path of an API.
pub fn brought_home(
    text: &str,
    region: &str,
    suffix: &str,
    address: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let tail = format!(".execute-api.{region}.{suffix}");
    let mut home = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = rest.find(&tail) {
        let (before, after) = rest.split_at(at);
        let id_at = before
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |at| at + 1);
        match address(&before[id_at..]) {
            Some(own) => {
                home.push_str(&before[..id_at]);
                home.push_str(&own);
                changed = true;
            }
            None => home.push_str(&rest[..at + tail.len()]),
        }
        rest = &after[tail.len()..];
    }
    home.push_str(rest);
    changed.then_some(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(pair).collect()
    }

    fn credential() -> Credential {
        Credential {
            access_key_id: "AKIAME".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: None,
            expires_at: None,
        }
    }

    #[track_caller]
    fn check_all(shell: &[(&str, &str)], trusting: bool, expected: &[(&str, Option<&str>)]) {
        let (shell, credential) = (variables(shell), credential());
        let found = for_all(&Surroundings {
            region: "eu-west-1",
            credential: &credential,
            callback_url: Some("http://127.0.0.1:8081/dev"),
            trust: trusting.then_some(Trust {
                authority: Path::new("/s/ca.pem"),
                bundle: Path::new("/s/trust.pem"),
            }),
            shell: &shell,
        });
        for (name, value) in expected {
            assert_eq!(
                found.get(*name).map(String::as_str),
                *value,
                "{name} of {shell:?}"
            );
        }
    }

    #[test]
    fn workers_find_their_way_back() {
        check_all(
            &[],
            true,
            &[
                ("AWS_REGION", Some("eu-west-1")),
                ("AWS_DEFAULT_REGION", Some("eu-west-1")),
                ("AWS_ACCESS_KEY_ID", Some("AKIAME")),
                ("AWS_SECRET_ACCESS_KEY", Some("secret")),
                ("AWS_SESSION_TOKEN", None),
                ("AWS_CA_BUNDLE", Some("/s/trust.pem")),
                ("SSL_CERT_FILE", Some("/s/trust.pem")),
                ("REQUESTS_CA_BUNDLE", Some("/s/trust.pem")),
                ("NODE_EXTRA_CA_CERTS", Some("/s/ca.pem")),
                (
                    "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI",
                    Some("http://127.0.0.1:8081/dev"),
                ),
            ],
        );
        check_all(
            &[
                ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:5000"),
                ("AWS_ENDPOINT_URL", ""),
                ("AWS_SECRET_ACCESS_KEY", "the shell's"),
                ("NODE_EXTRA_CA_CERTS", "/corporate.pem"),
            ],
            true,
            &[
                ("AWS_ENDPOINT_URL_DYNAMODB", Some("http://127.0.0.1:5000")),
                ("AWS_ENDPOINT_URL", None),
                ("AWS_SECRET_ACCESS_KEY", Some("secret")),
                ("NODE_EXTRA_CA_CERTS", Some("/s/trust.pem")),
            ],
        );
        check_all(
            &[],
            false,
            &[("AWS_CA_BUNDLE", None), ("SSL_CERT_FILE", None)],
        );
    }

    #[test]
    fn later_files_stand_over_earlier_ones_and_all_over_the_function() {
        let file = |pairs: &[(&str, &str)]| variables(pairs).into_iter().collect::<Vec<_>>();
        let own = variables(&[("A", "own"), ("B", "own"), ("C", "own")]);
        let files = [
            file(&[("B", ".env"), ("C", ".env")]),
            file(&[("C", "named"), ("D", "named")]),
        ];
        let expected = variables(&[("A", "own"), ("B", ".env"), ("C", "named"), ("D", "named")]);
        assert_eq!(for_one(&own, &files), expected);
        assert_eq!(for_one(&own, &[]), own);
    }

    #[test]
    fn keys_of_a_functions_own_are_known() {
        let check = |pairs: &[(&str, &str)], expected: Option<(&str, &str, Option<&str>)>| {
            let found = own_credential(&variables(pairs));
            let found = found.as_ref().map(|found| {
                let token = found.session_token.as_ref().map(Secret::expose);
                (
                    &*found.access_key_id,
                    found.secret_access_key.expose(),
                    token,
                )
            });
            assert_eq!(found, expected, "{pairs:?}");
        };
        check(&[], None);
        check(&[("AWS_ACCESS_KEY_ID", "a")], None);
        check(
            &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "")],
            None,
        );
        check(
            &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")],
            Some(("a", "s", None)),
        );
        check(
            &[
                ("AWS_ACCESS_KEY_ID", "a"),
                ("AWS_SECRET_ACCESS_KEY", "s"),
                ("AWS_SESSION_TOKEN", "t"),
            ],
            Some(("a", "s", Some("t"))),
        );
    }

    #[test]
    fn awss_names_of_our_apis_become_our_address() {
        let check = |text: &str, expected: Option<&str>| {
            let address = |id: &str| (id == "abc").then(|| "localhost:8080".to_owned());
            let found = brought_home(text, "us-east-1", "amazonaws.com", address);
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check(
            "https://abc.execute-api.us-east-1.amazonaws.com/Prod",
            Some("https://localhost:8080/Prod"),
        );
        check(
            "abc.execute-api.us-east-1.amazonaws.com",
            Some("localhost:8080"),
        );
        check(
            "a https://abc.execute-api.us-east-1.amazonaws.com/x,wss://abc.execute-api.us-east-1.amazonaws.com/y",
            Some("a https://localhost:8080/x,wss://localhost:8080/y"),
        );
        check("https://xyz.execute-api.us-east-1.amazonaws.com/Prod", None);
        check("https://abc.execute-api.eu-west-1.amazonaws.com/Prod", None);
        check(".execute-api.us-east-1.amazonaws.com", None);
        check("abc", None);
    }
}
