//! Defaults < file < environment < flags, where values came from, and what is printed of it.

use std::collections::BTreeSet;
use std::fs;

use gateway_core::resource::Preset;

use super::{LONG, SHORT, complaints, load_text, load_with};
use crate::config::layers::defaults;
use crate::config::yaml::{Node, Tree};
use crate::config::{Origin, Overrides, Position, Request, Secret, load, render_effective};

fn flags(listen: &str) -> Overrides {
    Overrides {
        listen: Some(listen.to_owned()),
        ..Overrides::default()
    }
}

#[track_caller]
fn check(text: &str, env: &[(&str, &str)], overrides: Overrides, address: &str, origin: &str) {
    let loaded = load_with(text, env, overrides).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.config.server.listen.to_string(), address);
    let found = loaded.origins.of("server.listen").unwrap();
    assert_eq!(found.describe("wiregate.yaml"), origin);
}

#[test]
fn later_layers_win() {
    let file = "server:\n  listen: 127.0.0.1:1\n";
    let env = [("WIREGATE_LISTEN", "127.0.0.1:2")];
    let unset = Overrides::default;
    check("", &[], unset(), "127.0.0.1:8080", "default");
    check(file, &[], unset(), "127.0.0.1:1", "wiregate.yaml:2");
    check(file, &env, unset(), "127.0.0.1:2", "WIREGATE_LISTEN");
    check(file, &env, flags("127.0.0.1:3"), "127.0.0.1:3", "--listen");
    check(
        file,
        &[("WIREGATE_LISTEN", "")],
        unset(),
        "127.0.0.1:1",
        "wiregate.yaml:2",
    );
}

#[test]
fn every_flag_and_all_kinds_of_variables() {
    let overrides = Overrides {
        listen: Some("0.0.0.0:1".to_owned()),
        management_listen: Some("0.0.0.0:2".to_owned()),
        store: Some("memory".to_owned()),
        data_dir: Some("data".to_owned()),
    };
    let env = [
        ("WIREGATE_TOKENS", "one, two"),
        ("WIREGATE_HOSTNAMES", "[a.example, b.example]"),
        (
            "WIREGATE_CREDENTIALS",
            "[{ accessKeyId: a, secretAccessKey: b }]",
        ),
        ("WIREGATE_LOG_LEVEL", "trace"),
        ("WIREGATE_LAMBDA_ENDPOINT", "http://h"),
        ("WIREGATE_LAMBDA_FUNCTIONS", "{ f: http://f }"),
        ("WIREGATE_MAX_HANDSHAKES_PER_ADDRESS", "7"),
        ("WIREGATE_PUBLIC_HOST", "[::1]:80"),
        // Not settings.
        ("PATH", "/bin"),
        ("WIREGATE_CONFIG", "x"),
        ("WIREGATE_BIN", "x"),
        ("WIREGATE_TOKEN", "x"),
        ("WIREGATE_URL", "http://127.0.0.1:8081"),
        ("WIREGATE_PORT", "tcp://10.0.0.1:8080"),
        ("WIREGATE_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("WIREGATE_SERVICE_HOST", "10.0.0.1"),
        ("WIREGATE_MANAGEMENT_SERVICE_PORT_HTTP", "8081"),
    ];
    let loaded = load_with("server: { log: { format: json } }", &env, overrides);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    let server = &loaded.config.server;
    assert_eq!(server.management_listen.port(), 2);
    assert_eq!(server.data_dir.as_deref(), Some("data".as_ref()));
    let tokens: Vec<&str> = server.tokens.iter().map(Secret::expose).collect();
    assert_eq!(tokens, ["one", "two"]);
    assert_eq!(server.hostnames, ["a.example", "b.example"]);
    assert_eq!(server.credentials[0].access_key_id, "a");
    assert_eq!(server.log.level, tracing::Level::TRACE);
    assert_eq!(server.max_handshakes_per_address, 7);
    assert_eq!(server.public_host.as_deref(), Some("[::1]:80"));
    assert_eq!(loaded.config.lambda.endpoint.as_deref(), Some("http://h"));
    assert_eq!(loaded.config.lambda.functions["f"].endpoint, "http://f");
    assert_eq!(
        loaded.origins.of("server.log.format"),
        Some(&Origin::File(Position {
            line: 1,
            column: 26
        }))
    );
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("--management-listen: the management listener is bound"));
}

#[test]
fn a_listener_on_every_address_needs_a_name() {
    let warnings = |text: &str| {
        let loaded = load_text(text).unwrap_or_else(|errors| panic!("{errors}"));
        let warnings = loaded.warnings.iter();
        warnings
            .map(|warning| (warning.path.clone(), warning.line()))
            .collect::<Vec<_>>()
    };
    let listen = ("server.listen".to_owned(), Some(2));
    let management = ("server.managementListen".to_owned(), Some(3));
    let both = "server:\n  listen: 0.0.0.0:1\n  managementListen: 0.0.0.0:2\n  tokens: [a]\n";
    assert_eq!(warnings(both), [listen, management]);
    let named = format!("{both}  publicHost: h\n  managementUrl: http://h\n");
    assert_eq!(warnings(&named), []);
}

#[test]
fn mistakes_of_all_layers_are_told_at_once() {
    let env = [
        ("WIREGATE_LISTN", "127.0.0.1:2"),
        ("WIREGATE_LISTEN", "here"),
        ("WIREGATE_TOKENS", "[hunter2"),
        ("WIREGATE_SOMETHING_ELSE_ENTIRELY", "x"),
    ];
    let overrides = Overrides {
        store: Some("disk".to_owned()),
        ..Overrides::default()
    };
    let errors = load_with("api: {}", &env, overrides).unwrap_err();
    let expected = "\
wiregate.yaml:1:1: unknown key 'api'; did you mean 'apis'?
WIREGATE_LISTEN: expected an IP address and port such as 127.0.0.1:8080, found 'here'
WIREGATE_LISTN: no setting has this name; did you mean 'WIREGATE_LISTEN'?
WIREGATE_SOMETHING_ELSE_ENTIRELY: no setting has this name; wiregate.default.yaml lists the settings
WIREGATE_TOKENS: this is not YAML: while parsing a flow sequence, expected ',' or ']'
--store: expected memory, or a URL that begins with redis://, rediss://, redis+sentinel:// or redis+cluster://, found other text";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn more_than_a_hundred_mistakes_are_counted() {
    let keys: Vec<String> = (0..250).map(|n| format!("key{n}:")).collect();
    let complaints = complaints(&keys.join("\n"));
    assert_eq!(complaints.lines().count(), 101);
    assert!(complaints.ends_with("\nand 150 more"));
}

/// The maps of options in the default page, each with its keys.
fn maps(path: &str, node: &Node, found: &mut Vec<(String, BTreeSet<String>)>) {
    let Tree::Map(entries) = &node.tree else {
        return;
    };
    if entries.is_empty() {
        return;
    }
    found.push((
        path.to_owned(),
        entries.iter().map(|entry| entry.key.clone()).collect(),
    ));
    for entry in entries {
        maps(&format!("{path}.{}", entry.key), &entry.node, found);
    }
}

#[test]
fn the_default_page_documents_every_option_and_nothing_else() {
    assert_eq!(
        complaints(include_str!("../../../wiregate.default.yaml")),
        ""
    );
    let tree = defaults();
    for section in ["server", "lambda"] {
        let mut found = Vec::new();
        maps(section, &tree.child(section).unwrap().node, &mut found);
        for (path, documented) in found {
            // An unknown key far from all others makes the loader list the keys it knows.
            let way: Vec<&str> = path.split('.').collect();
            let unknown = "zzzzzzzzzzzz: 1".to_owned();
            let text = way
                .iter()
                .rev()
                .fold(unknown, |inner, key| format!("{key}: {{ {inner} }}"));
            let said = complaints(&text.replacen(": {", ":\n  {", 1));
            let (_, listed) = said
                .split_once("the keys here are: ")
                .unwrap_or_else(|| panic!("{said}"));
            let known: BTreeSet<String> = listed
                .replace(" and ", ", ")
                .split(", ")
                .map(str::to_owned)
                .collect();
            assert_eq!(known, documented, "{path}");
        }
    }
    // Each option has a comment above it.
    let mut above = "";
    for line in include_str!("../../../wiregate.default.yaml").lines() {
        let is_option = line.starts_with("  ") && !line.trim_start().starts_with('#');
        let is_map = line.trim_end().ends_with(':');
        assert!(
            !is_option || is_map || above.trim_start().starts_with('#'),
            "{line}"
        );
        above = line;
    }
}

#[test]
fn later_mistakes_find_their_place() {
    let text = "\
apis:
  chat:
    integrations:
      shared: { integrationUri: http://h/shared }
    routes:
      a.b: http://h/ab
      echo:
        integration:
          integrationUri: http://h/echo
      a: http://h/a
    stages:
      - stageName: dev
        stageVariables: { x: y }
";
    let located = load_text(text).unwrap().located;
    for (path, expected) in [
        (
            "apis/chat/routes/echo/integration/integrationUri",
            Some((9, 27)),
        ),
        (
            "apis/chat/routes/echo/integration/timeoutInMillis",
            Some((8, 9)),
        ),
        (
            "apis/chat/routes/a.b/integration/integrationUri",
            Some((6, 12)),
        ),
        ("apis/chat/integrations/echo/integrationUri", Some((9, 27))),
        ("apis/chat/integrations/a-b/integrationUri", Some((6, 12))),
        (
            "apis/chat/integrations/shared/integrationUri",
            Some((4, 33)),
        ),
        ("apis/chat/stages/dev/stageVariables/x", Some((13, 30))),
        ("apis/chat/routeSelectionExpression", Some((2, 3))),
        ("apis/chat/routes/a/integration", Some((10, 10))),
        ("apis/other", Some((1, 1))),
        ("server/listen", None),
        ("nothing", None),
        ("", None),
    ] {
        let keys: Vec<&str> = path.split('/').collect();
        assert_eq!(located.line_of(&keys), expected, "{path}");
    }
    let keys = ["routes", "echo", "integration", "integrationUri"].map(str::to_owned);
    let mistake = located.mistake("chat", &keys, "no");
    assert_eq!(mistake.to_string(), "wiregate.yaml:9:27: no");
    assert_eq!(
        mistake.path,
        "apis.chat.routes.echo.integration.integrationUri"
    );
}

#[test]
fn files_are_read_beside_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wiregate.yaml");
    fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    let load = |text: &[u8]| {
        fs::write(&file, text).unwrap();
        load(Request {
            file: Some(&file),
            env: [],
            overrides: Overrides::default(),
            default_preset: Preset::Aws,
        })
    };
    let loaded = load(
        b"server: { dataDir: d, tokens: [{ file: secret }], credentials: [{ accessKeyId: a, secretAccessKeyFile: secret }] }\napis: { chat: }",
    )
    .unwrap();
    let server = &loaded.config.server;
    assert_eq!(server.tokens[0].expose(), "hunter2");
    assert_eq!(server.credentials[0].secret_access_key.expose(), "hunter2");
    assert_eq!(server.data_dir, Some(folder.path().join("d")));
    assert_eq!(loaded.config.apis[0].limits.preset, Preset::Aws);
    assert!(
        loaded
            .warnings
            .iter()
            .all(|w| w.message.starts_with("every user of this machine may read"))
    );

    let said = |text: &[u8]| {
        load(text)
            .unwrap_err()
            .to_string()
            .replace(&*folder.path().to_string_lossy(), "F")
    };
    assert_eq!(
        said(b"server: { tokens: [{ file: empty }] }"),
        "F/wiregate.yaml:1:28: F/empty is empty"
    );
    assert_eq!(
        said(b"a: b\n\xff"),
        "F/wiregate.yaml: the file cannot be read: line 2 is not UTF-8"
    );
    let large = vec![b'#'; 4 * 1024 * 1024 + 1];
    assert_eq!(
        said(&large),
        "F/wiregate.yaml: the file cannot be read: it is larger than 4096 KiB"
    );
}

#[test]
fn what_is_in_force_shows_no_secret() {
    let text = LONG.replace("tokens: []", "tokens: [hunter2]").replace(
        "functions: {}",
        "functions: { f: { endpoint: 'http://u:hunter2@h/', headers: { a: hunter2 } } }",
    );
    let env = [("WIREGATE_DRAIN_TIMEOUT", "1m")];
    let page = render_effective(&load_with(&text, &env, flags("127.0.0.1:9")).unwrap());
    assert!(
        !page.contains("hunter2") && !page.contains("wJalrXUtnFEMI"),
        "{page}"
    );
    for line in [
        "  listen: 127.0.0.1:9                                # --listen",
        "  managementListen: 127.0.0.1:8081                   # wiregate.yaml:3",
        "  baseDomain: localhost                              # default",
        "  drainTimeout: 1m                                   # WIREGATE_DRAIN_TIMEOUT",
        "      idleTimeout: 5m                                # wiregate.yaml:17",
        "      maxAge: 2h                                     # preset aws",
    ] {
        assert!(
            page.lines().any(|found| found == line),
            "{line}\nis not in\n{page}"
        );
    }
    let page = page.replace("\"***\"", "a");
    assert_eq!(
        complaints(&page),
        "",
        "what is printed can be loaded again:\n{page}"
    );
    let short = render_effective(&load_text(SHORT).unwrap());
    let again = load_text(&short).unwrap_or_else(|errors| panic!("{errors}\n{short}"));
    assert_eq!(again.config.apis, load_text(SHORT).unwrap().config.apis);
}
