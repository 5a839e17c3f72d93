//! What settings and functions become on a laptop.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::resource::Preset;

use super::*;
use crate::config::{self, Overrides, Request};

fn settings(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wiregate.yaml");
    std::fs::write(&file, text).unwrap();
    let request = Request {
        file: Some(&file),
        env: Vec::new(),
        overrides: Overrides::default(),
        default_preset: Preset::Aws,
    };
    config::load(request).unwrap().config
}

fn function(name: &str, runtime: &str, variables: &[(&str, &str)]) -> Function {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Function {
        version: "$LATEST".to_owned(),
        name: name.to_owned(),
        runtime: Runtime::parse(runtime).unwrap(),
        handler: "a.b".to_owned(),
        code: PathBuf::from("/nowhere"),
        timeout: Duration::from_secs(3),
        memory_mib: 128,
        environment: variables.iter().map(pair).collect(),
        max_workers: None,
        aliases: Vec::new(),
    }
}

fn laptop(folder: &Path) -> Laptop {
    let at = |name: &str| folder.join(name).display().to_string();
    let shell = BTreeMap::from([
        ("XDG_STATE_HOME".to_owned(), at("state")),
        ("XDG_CACHE_HOME".to_owned(), at("cache")),
    ]);
    Laptop::open(Options::default(), shell).unwrap()
}

#[test]
fn settings_are_completed_the_same_way_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let laptop = laptop(folder.path());
    let complete = |api: &str| {
        let mut config = settings("{}");
        laptop
            .complete(&mut config, &[api.to_owned()], &[])
            .unwrap();
        config
    };
    let first = complete("a");
    // What is the same is no change, and another API needs another certificate.
    assert_eq!(complete("a"), first);
    assert_ne!(complete("b").server.tls, first.server.tls);
    // Who shows any signature to operators is still let in.
    assert!(first.server.credentials.is_empty());
}

#[test]
fn keys_of_this_run_and_of_functions_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let laptop = laptop(folder.path());
    let own = [
        ("AWS_ACCESS_KEY_ID", "AKIAOWN"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let mut config = settings("{}");
    for name in ["f", "g"] {
        let function = function(name, "provided", &own);
        config.lambda.local.insert(name.to_owned(), function);
    }
    let keys = laptop.credentials(&config, &[]);
    let keys: Vec<&str> = keys.iter().map(|it| &*it.access_key_id).collect();
    let [made, of_functions] = keys[..] else {
        panic!("{keys:?}")
    };
    assert!(made.starts_with("AKIA") && made.len() == 20, "{made}");
    assert_eq!(of_functions, "AKIAOWN");
}

#[test]
fn a_certificate_of_the_settings_stays() {
    let folder = tempfile::tempdir().unwrap();
    let laptop = laptop(folder.path());
    let mut config = settings("{}");
    laptop.complete(&mut config, &[], &[]).unwrap();
    assert_eq!(laptop.trust_lines(&config, None).len(), 1);
    let theirs = laptop
        .authority
        .issue(&BTreeSet::from(["x.example".to_owned()]), now());
    let theirs = Some(Tls {
        identity: theirs.unwrap(),
        required: true,
        files: Vec::new(),
    });
    config.server.tls.clone_from(&theirs);
    laptop.complete(&mut config, &[], &[]).unwrap();
    assert_eq!(config.server.tls, theirs);
    assert!(laptop.trust_lines(&config, None).is_empty());
}

#[test]
fn a_certificate_is_for_every_name_that_is_ours() {
    let config = settings(
        "server: { publicHost: 'pub.example:8443', hostnames: [h.example], listen: '192.0.2.7:1', baseDomain: b.example, credentials: [{ accessKeyId: AKIAFILE, secretAccessKey: s }] }",
    );
    let found = names(&config, &["AbC".to_owned()], &["ws.example".to_owned()]);
    for name in [
        "localhost",
        "127.0.0.1",
        "::1",
        "*.execute-api.localhost",
        "abc.execute-api.b.example",
        "pub.example",
        "h.example",
        "ws.example",
        "192.0.2.7",
    ] {
        assert!(found.contains(name), "{name} of {found:?}");
    }
    assert_eq!(without_port("[::1]:8080"), "::1");
}

#[tokio::test]
async fn a_function_is_told_what_it_needs_and_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let laptop = laptop(folder.path());
    let url = "https://abc.execute-api.us-east-1.amazonaws.com/Prod";
    let plain = function("f", "provided", &[("URL", url), ("A", "own")]);
    let files = [EnvFile {
        path: PathBuf::from(".env"),
        variables: vec![("A".to_owned(), "file".to_owned())],
    }];
    let whereabouts = Whereabouts {
        apis: vec![("abc".to_owned(), "localhost:8080".to_owned())],
        callback_url: None,
    };
    let notes = Mutex::new(Vec::new());
    let note = |text| notes.lock().unwrap().push(text);
    let dressed = laptop
        .dress(plain, &settings("{}"), &files, &whereabouts, &note)
        .await;
    let value = |name: &str| dressed.environment.get(name).map(String::as_str);
    assert_eq!(value("URL"), Some("https://localhost:8080/Prod"));
    assert_eq!(value("A"), Some("file"));
    assert_eq!(
        value("AWS_ACCESS_KEY_ID"),
        Some(&*laptop.credential.access_key_id)
    );
    assert!(value("AWS_CA_BUNDLE").is_some_and(|path| path.ends_with("trust.pem")));
    let notes = notes.into_inner().unwrap();
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn programs_that_are_missing_are_named_with_who_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    let laptop = laptop(folder.path());
    let mut config = settings("{}");
    for one in [
        function("a", "nodejs20.x", &[]),
        function("b", "python3.12", &[]),
        function("c", "nodejs20.x", &[("WIREGATE_NODE", "/opt/node")]),
        function("d", "provided", &[]),
    ] {
        config.lambda.local.insert(one.name.clone(), one);
    }
    let missing = laptop.missing_tools(&config, &[], |_| false);
    let [node, python] = &missing[..] else {
        panic!("{missing:?}")
    };
    assert!(node.contains("and a need it"), "{node}");
    assert!(python.contains("and b need it"), "{python}");
    assert!(laptop.missing_tools(&config, &[], |_| true).is_empty());
}
