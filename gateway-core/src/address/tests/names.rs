//! Which names are ours, and which of them events carry.

use super::{api, directory, domain};
use crate::address::{Directory, host_name};

#[test]
fn hosts_are_read_without_port_and_trailing_dot() {
    let check = |host, expected| assert_eq!(host_name(host), expected, "{host}");
    check("localhost", "localhost");
    check("localhost:8080", "localhost");
    check("ws.example.com.:443", "ws.example.com");
    check("[::1]:8080", "[::1]");
    check("[::1]", "[::1]");
    check("::1", "::1");
    check("h:", "h");
    check("", "");
}

#[test]
fn a_host_is_known_where_some_api_answers() {
    let mut d = directory(&[api("chat", &["dev"]), api("news", &["dev"])]);
    d.domains = vec![domain("*.example.com", &[("n", "news", "dev")])];
    d.apis[1].disable_execute_api_endpoint = true;
    let check = |d: &Directory, host, expected| assert_eq!(d.knows(host), expected, "{host}");
    check(&d, "chat.execute-api.localhost:8080", true);
    check(&d, "news.execute-api.localhost:8080", false);
    check(&d, "none.execute-api.localhost:8080", false);
    check(&d, "a.example.com", true);
    check(&d, "localhost", false);
    d.default_api = Some("chat".into());
    check(&d, "localhost", true);
}

fn named() -> Directory {
    let mut d = directory(&[api("chat", &["dev"])]);
    d.public_host = "public.example:8443".into();
    d.hostnames = vec!["gw.example".to_owned()];
    d.domains = vec![domain("*.example.com", &[("", "chat", "dev")])];
    d
}

/// `None`: the public name stands instead.
#[track_caller]
fn check_name(base_domain: &str, host: &str, listener: &str, expected: Option<&str>) {
    let mut directory = named();
    directory.base_domain = base_domain.to_owned();
    let name = directory.domain_name(host, listener.parse().unwrap());
    assert_eq!(
        &*name,
        expected.unwrap_or("public.example:8443"),
        "{host} at {listener}"
    );
}

#[test]
fn events_carry_only_names_that_are_ours() {
    let ours = |host, expected| check_name("localhost", host, "127.0.0.1:8080", Some(expected));
    ours("public.example:8443", "public.example:8443");
    ours("gw.example", "gw.example");
    ours("GW.Example:444", "gw.example:444");
    ours("ws.example.com", "ws.example.com");
    ours("ws.example.com.:8443", "ws.example.com:8443");
    ours("localhost:8080", "localhost:8080");
    ours("LocalHost.:8080", "localhost:8080");
    ours("127.0.0.1:8080", "127.0.0.1:8080");
    ours(
        "chat.execute-api.localhost:8080",
        "chat.execute-api.localhost:8080",
    );

    let strange = |host| check_name("localhost", host, "127.0.0.1:8080", None);
    strange("evil.example");
    strange("");
    strange("public.example:1");
    strange("localhost");
    strange("localhost:22");
    strange("localhost:");
    strange("localhost:+8080");
    strange("localhost:8080@evil.example");
    strange("evil.example:8080");
    strange("localhost.evil.example:8080");
    strange("127.0.0.1:22");
    strange("127.0.0.2:8080");
    strange("169.254.169.254:8080");
    strange("169.254.169.254");
    strange("2130706433:8080");
    strange("0x7f.1:8080");
    strange("[::1]:8080");
    strange("::1");
    strange("gw.example:99999");
    strange("gw.example:+80");
    strange("gw.example:80:80");
    strange("gw.example/x");
    strange("a.b.example.com");
    strange("example.com");
    strange("none.execute-api.localhost:8080");
    strange("chat.execute-api.localhost:22");
    strange("chat.execute-api.localhost");
    strange("chat.execute-api.evil.example:8080");
    strange("chat.execute-api.eu-west-1.amazonaws.com");
}

#[test]
fn addresses_and_ports_are_the_listeners_own() {
    check_name("localhost", "localhost", "127.0.0.1:80", Some("localhost"));
    check_name("localhost", "127.0.0.1", "127.0.0.1:443", Some("127.0.0.1"));
    check_name("localhost", "[::1]:8080", "[::1]:8080", Some("[::1]:8080"));
    check_name("localhost", "[::1]", "[::1]:80", Some("[::1]"));
    check_name("localhost", "::1", "[::1]:80", None);
    check_name("localhost", "[[::1]]:8080", "[::1]:8080", None);
    check_name("localhost", "[127.0.0.1]:8080", "127.0.0.1:8080", None);
    check_name(
        "localhost",
        "127.0.0.1:8080",
        "0.0.0.0:8080",
        Some("127.0.0.1:8080"),
    );
    check_name(
        "localhost",
        "127.0.0.1:8080",
        "[::]:8080",
        Some("127.0.0.1:8080"),
    );
    check_name(
        "localhost",
        "127.0.0.1:8080",
        "[::ffff:127.0.0.1]:8080",
        Some("127.0.0.1:8080"),
    );
    check_name(
        "localhost",
        "10.0.0.9:8080",
        "10.0.0.9:8080",
        Some("10.0.0.9:8080"),
    );
    check_name("localhost", "10.0.0.9:8080", "0.0.0.0:8080", None);
}

#[test]
fn behind_a_load_balancer_the_api_stays_in_the_name() {
    let check = |host, expected| check_name("gw.internal", host, "10.0.0.9:8080", expected);
    check(
        "chat.execute-api.gw.internal",
        Some("chat.execute-api.gw.internal"),
    );
    check(
        "CHAT.execute-api.gw.internal:443",
        Some("chat.execute-api.gw.internal:443"),
    );
    check("none.execute-api.gw.internal", None);
    check("chat.execute-api.gw.internal.evil.example", None);
}

#[test]
fn own_names_are_those_that_were_configured() {
    let d = named();
    let check = |name, expected| assert_eq!(d.is_own_name(name), expected, "{name}");
    check("gw.example", true);
    check("GW.EXAMPLE", true);
    check("ws.example.com", true);
    check("public.example", true);
    check("chat.execute-api.localhost", true);
    check("chat.execute-api.evil.example", false);
    check("evil.example", false);
    check("localhost", false);
    check("", false);
    let without_public_host = Directory::default();
    assert!(!without_public_host.is_own_name(""));
}

#[test]
fn the_name_in_an_event_leads_back_to_its_stage() {
    let mut directory = directory(&[api("one", &["dev"]), api("two", &["dev"])]);
    directory.default_api = Some("one".into());
    directory.base_domain = "gw.example".into();
    directory.public_host = "localhost:8080".into();
    let name = |host: &str, api: &str| {
        let listener = "127.0.0.1:8080".parse().unwrap();
        directory.event_name(host, listener, api, "dev").to_string()
    };
    assert_eq!(name("localhost:8080", "one"), "localhost:8080");
    assert_eq!(
        name("localhost:8080", "two"),
        "two.execute-api.gw.example:8080"
    );
    assert_eq!(
        name("evil.example", "two"),
        "two.execute-api.gw.example:8080"
    );
    assert_eq!(
        name("two.execute-api.gw.example", "two"),
        "two.execute-api.gw.example"
    );
}
