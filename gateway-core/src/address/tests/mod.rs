//! Where addresses lead.

mod names;

use super::*;

fn api(api_id: &str, stages: &[&str]) -> ApiEntry {
    ApiEntry {
        api_id: api_id.into(),
        stages: stages.iter().map(|&stage| stage.into()).collect(),
        disable_execute_api_endpoint: false,
    }
}

fn domain(name: &str, mappings: &[(&str, &str, &str)]) -> Domain {
    Domain {
        domain_name: name.to_owned(),
        mappings: mappings
            .iter()
            .map(|&(key, api_id, stage)| ApiMapping {
                api_mapping_key: key.to_owned(),
                api_id: api_id.into(),
                stage: stage.into(),
            })
            .collect(),
    }
}

fn directory(apis: &[ApiEntry]) -> Directory {
    Directory {
        apis: apis.to_vec(),
        base_domain: "localhost".to_owned(),
        public_host: "public.example".into(),
        ..Directory::default()
    }
}

/// `expected` is `api/stage` and what the rest means: nothing, `@id` or `?`; `None` is nothing found.
#[track_caller]
fn check(directory: &Directory, host: &str, path: &str, expected: Option<&str>) {
    let found = directory.resolve(host, path).map(|found| {
        let rest = match found.rest {
            Rest::Stage => String::new(),
            Rest::Connection(id) => format!(" @{id}"),
            Rest::Other => " ?".to_owned(),
        };
        format!("{}/{}{rest}", found.api_id, found.stage)
    });
    assert_eq!(found.as_deref(), expected, "{host} {path}");
}

#[test]
fn one_api_with_one_stage_serves_at_its_path_and_at_the_root() {
    let d = directory(&[api("chat", &["dev"])]);
    for host in [
        "localhost:8080",
        "10.0.0.1",
        "[::1]:8080",
        "any.example",
        "",
    ] {
        check(&d, host, "/dev", Some("chat/dev"));
    }
    let check = |path, expected| check(&d, "h", path, expected);
    check("/dev/", Some("chat/dev"));
    check("//dev", None);
    check("/dev//", None);
    check("dev", None);
    check("*", None);
    check("/", Some("chat/dev"));
    check("", None);
    check("//", None);
    check("/DEV", None);
    check("/prod", None);
    check("/%64ev", Some("chat/dev"));
    check("/%2564ev", None);
    check("/dev/x", Some("chat/dev ?"));
    check("/dev/@connections/id", Some("chat/dev @id"));
    check("/@connections/id", Some("chat/dev @id"));
    check("/x/@connections/id", None);
}

#[test]
fn the_root_serves_only_one_stage_and_one_api() {
    let two_stages = directory(&[api("chat", &["dev", "prod"])]);
    check(&two_stages, "h", "/", None);
    check(&two_stages, "h", "/@connections/id", None);
    check(&two_stages, "h", "/prod", Some("chat/prod"));

    let apis = [api("chat", &["dev"]), api("news", &["dev", "v2"])];
    let mut two_apis = directory(&apis);
    check(&two_apis, "h", "/", None);
    check(&two_apis, "h", "/dev", None);
    check(
        &two_apis,
        "h",
        "/_aws/execute-api/news/dev",
        Some("news/dev"),
    );
    check(&two_apis, "news.execute-api.h", "/dev", Some("news/dev"));
    two_apis.default_api = Some("news".into());
    check(&two_apis, "h", "/dev", Some("news/dev"));
    check(&two_apis, "h", "/", None);
    two_apis.default_api = Some("chat".into());
    check(&two_apis, "h", "/", Some("chat/dev"));
    check(&two_apis, "h", "/v2", None);
    two_apis.default_api = Some("gone".into());
    check(&two_apis, "h", "/dev", None);
}

#[test]
fn connections_are_found_in_every_encoding() {
    let d = directory(&[api("chat", &["dev", "$default"])]);
    let check = |path, expected| check(&d, "h", path, expected);
    check("/dev/@connections/A-_%3D", Some("chat/dev @A-_%3D"));
    check("/dev/@connections/A-_=", Some("chat/dev @A-_="));
    check("/dev/%40connections/A%3D", Some("chat/dev @A%3D"));
    check("/dev//@connections/A%3D", Some("chat/dev @A%3D"));
    check("/dev//%40connections/A%3D", Some("chat/dev @A%3D"));
    check("/dev///@connections/A", None);
    check("/dev/@connections//A", None);
    check("/dev/@connections/A/", None);
    check("//dev/@connections/A", None);
    check("/dev/@connections/", Some("chat/dev @"));
    check("/dev//@connections/", Some("chat/dev @"));
    check("/dev/@connections", Some("chat/dev @"));
    check("/dev/@connections/a%2Fb", Some("chat/dev @a%2Fb"));
    check("/$default/@connections/A", Some("chat/$default @A"));
    check("/%24default/@connections/A", Some("chat/$default @A"));
    check("/%24default/%40connections/A", Some("chat/$default @A"));
    // Neither decoded twice, nor without regard to case.
    check("/dev/%2540connections/A", Some("chat/dev ?"));
    check("/dev/@Connections/A", Some("chat/dev ?"));
    check("/dev/%40CONNECTIONS/A", Some("chat/dev ?"));
    check("/%2524default/@connections/A", None);
}

#[test]
fn extra_and_dot_segments_lead_nowhere() {
    let d = directory(&[api("chat", &["dev", "x"])]);
    let check = |path, expected| check(&d, "h", path, expected);
    check("/dev/x/@connections/id", Some("chat/dev ?"));
    check("/dev/dev/@connections/id", Some("chat/dev ?"));
    check("/dev/@connections/id/x", Some("chat/dev ?"));
    check("/dev/../x", Some("chat/dev ?"));
    check("/dev/../x/@connections/id", Some("chat/dev ?"));
    check("/dev/%2e%2e/x/@connections/id", Some("chat/dev ?"));
    check("/dev/./@connections/id", Some("chat/dev ?"));
    check("/./dev", None);
    check("/../dev", None);
    check("/%2e/dev", None);
    check("/dev%2F@connections%2Fid", None);
    check("/dev;a=1", None);
}

#[test]
fn a_host_may_name_its_api() {
    let mut d = directory(&[api("chat", &["dev"]), api("News", &["dev", "v2"])]);
    check(
        &d,
        "chat.execute-api.localhost:8080",
        "/dev",
        Some("chat/dev"),
    );
    check(
        &d,
        "chat.execute-api.eu-west-1.amazonaws.com",
        "/dev",
        Some("chat/dev"),
    );
    check(&d, "CHAT.Execute-API.localhost.", "/dev", Some("chat/dev"));
    check(&d, "news.execute-api.localhost", "/v2", Some("News/v2"));
    check(&d, "chat.execute-api.localhost", "/", Some("chat/dev"));
    check(&d, "chat.execute-api.localhost", "/v2", None);
    check(&d, "none.execute-api.localhost", "/dev", None);
    check(&d, "a.chat.execute-api.localhost", "/dev", None);
    check(&d, "chat.execute-api", "/dev", None);
    // The host has spoken: the path names no other API.
    check(
        &d,
        "chat.execute-api.localhost",
        "/_aws/execute-api/News/dev",
        None,
    );

    d.apis[0].disable_execute_api_endpoint = true;
    d.default_api = Some("chat".into());
    check(&d, "chat.execute-api.localhost", "/dev", None);
    check(
        &d,
        "CHAT.execute-api.localhost",
        "/dev/@connections/id",
        None,
    );
    check(&d, "news.execute-api.localhost", "/dev", Some("News/dev"));
    check(&d, "localhost", "/dev", Some("chat/dev"));
}

#[test]
fn a_path_may_name_its_api() {
    let d = directory(&[api("chat", &["dev"]), api("news", &["dev", "v2"])]);
    let check = |path, expected| check(&d, "h", path, expected);
    check("/_aws/execute-api/chat/dev", Some("chat/dev"));
    check("/_aws/execute-api/chat/dev/", Some("chat/dev"));
    check("/_aws/execute-api/chat", Some("chat/dev"));
    check("/_aws/execute-api/news", None);
    check(
        "/_aws/execute-api/news/v2/@connections/id",
        Some("news/v2 @id"),
    );
    check(
        "/_aws/execute-api/news/v2//%40connections/id",
        Some("news/v2 @id"),
    );
    check(
        "/_aws/execute-api/news/v2/x/@connections/id",
        Some("news/v2 ?"),
    );
    check("/_aws/execute-api/none/dev", None);
    check("/_aws/execute-api", None);
    check("/_aws", None);
}

#[test]
fn a_custom_domain_has_its_mappings() {
    let mut d = directory(&[api("chat", &["dev", "$default"]), api("news", &["v2"])]);
    d.default_api = Some("chat".into());
    d.domains = vec![domain(
        "ws.example.com",
        &[("v1", "chat", "dev"), ("n", "news", "v2")],
    )];
    for host in ["ws.example.com", "WS.Example.COM:8443", "ws.example.com."] {
        check(&d, host, "/v1", Some("chat/dev"));
    }
    let at = |path, expected| check(&d, "ws.example.com", path, expected);
    at("/v1/@connections/id", Some("chat/dev @id"));
    at("/%761/@connections/id", Some("chat/dev @id"));
    at("/n", Some("news/v2"));
    at("/", None);
    at("/@connections/id", None);
    at("/x", None);
    at("/v1/x", Some("chat/dev ?"));
    // Handlers build https://{domainName}/{stage}.
    at("/dev/@connections/id", Some("chat/dev @id"));
    at("/v2/@connections/id", Some("news/v2 @id"));
    // A mapped domain serves its mappings and nothing else.
    at("/_aws/execute-api/chat/dev", None);
    at("/$default", None);
    check(&d, "other.example.com", "/dev", Some("chat/dev"));
    check(&d, "a.ws.example.com", "/v1", None);
}

#[test]
fn an_empty_mapping_key_is_the_root() {
    let mut d = directory(&[api("chat", &["dev"]), api("news", &["v2"])]);
    d.domains = vec![domain(
        "ws.example.com",
        &[("", "chat", "$default"), ("n", "news", "v2")],
    )];
    let at = |path, expected| check(&d, "ws.example.com", path, expected);
    at("/", Some("chat/$default"));
    at("/@connections/id", Some("chat/$default @id"));
    at("/%40connections/id", Some("chat/$default @id"));
    at("/$default/@connections/id", Some("chat/$default @id"));
    at("/%24default/@connections/id", Some("chat/$default @id"));
    at("/n/@connections/id", Some("news/v2 @id"));
    at("/x", Some("chat/$default ?"));
    at("/x/@connections/id", Some("chat/$default ?"));
}

#[test]
fn where_both_readings_exist_the_mapping_key_wins() {
    let mut d = directory(&[]);
    d.domains = vec![domain("d", &[("", "a", "dev"), ("dev", "b", "prod")])];
    check(&d, "d", "/dev", Some("b/prod"));
    check(&d, "d", "/dev/@connections/id", Some("b/prod @id"));
    check(&d, "d", "/@connections/id", Some("a/dev @id"));
    check(&d, "d", "/prod/@connections/id", Some("b/prod @id"));
}

#[test]
fn a_stage_name_that_two_apis_share_means_neither() {
    let mut d = directory(&[]);
    d.domains = vec![
        domain("two", &[("a", "a", "dev"), ("b", "b", "dev")]),
        domain("root", &[("", "a", "dev"), ("b", "b", "dev")]),
        domain("same", &[("a", "a", "dev"), ("b", "a", "dev")]),
    ];
    check(&d, "two", "/dev/@connections/id", None);
    check(&d, "two", "/b/@connections/id", Some("b/dev @id"));
    check(&d, "root", "/dev/@connections/id", Some("a/dev ?"));
    check(&d, "same", "/dev/@connections/id", Some("a/dev @id"));
}

#[test]
fn a_wildcard_stands_for_one_label_and_yields_to_an_exact_name() {
    let mut d = directory(&[api("chat", &["dev"]), api("news", &["v2"])]);
    d.domains = vec![
        domain("*.example.com", &[("", "chat", "dev")]),
        domain("news.example.com", &[("", "news", "v2")]),
    ];
    check(&d, "a.example.com:8080", "/", Some("chat/dev"));
    check(
        &d,
        "A.EXAMPLE.com.",
        "/@connections/id",
        Some("chat/dev @id"),
    );
    check(&d, "News.example.com", "/", Some("news/v2"));
    check(&d, "a.b.example.com", "/", None);
    check(&d, "example.com", "/", None);
    check(&d, "aexample.com", "/", None);
    check(&d, "*.example.com", "/", Some("chat/dev"));
}

#[test]
fn a_stage_has_one_path_that_is_never_ambiguous() {
    let mut d = directory(&[api("chat", &["dev"]), api("news", &["dev"])]);
    assert_eq!(d.stage_path("chat", "dev"), "/_aws/execute-api/chat/dev");
    d.default_api = Some("chat".into());
    assert_eq!(d.stage_path("chat", "dev"), "/dev");
    assert_eq!(d.stage_path("news", "dev"), "/_aws/execute-api/news/dev");
    check(
        &d,
        "127.0.0.1:8081",
        &d.stage_path("news", "dev"),
        Some("news/dev"),
    );
    check(
        &d,
        "127.0.0.1:8081",
        &d.stage_path("chat", "dev"),
        Some("chat/dev"),
    );
}

#[test]
fn who_looked_elsewhere_can_be_told_the_places() {
    let mut d = directory(&[api("chat", &["dev", "prod"]), api("other", &["dev"])]);
    d.default_api = Some("chat".into());
    d.domains = vec![domain(
        "ws.example.com",
        &[("v1", "chat", "dev"), ("", "other", "dev")],
    )];
    let check = |host: &str, expected: &[&str]| {
        let places = d.places(host);
        assert_eq!(places, expected, "{host}");
        for place in &places {
            let (name, path) = place.split_at(place.find('/').unwrap());
            let name = if name.is_empty() { host } else { name };
            let found = d.resolve(name, path).map(|found| found.rest);
            assert_eq!(found, Some(Rest::Stage), "{name} {path}");
        }
    };
    check(
        "localhost:8080",
        &["/dev", "/prod", "/_aws/execute-api/other/dev"],
    );
    check("ws.example.com", &["/v1", "/"]);
    check("chat.execute-api.localhost:8080", &["/dev", "/prod"]);
    check(
        "chta.execute-api.localhost",
        &[
            "chat.execute-api.localhost/dev",
            "chat.execute-api.localhost/prod",
            "other.execute-api.localhost/dev",
        ],
    );
}
