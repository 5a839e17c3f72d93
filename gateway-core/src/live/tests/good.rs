//! What a good API becomes.

use http::Uri;

use crate::auth::identity_source::IdentitySource;
use crate::lambda_arn::LambdaTarget;
use crate::live::fixture::{api, live, proxy, stage, two_way};
use crate::live::{AuthorizerBackend, LiveBackend, LiveRoute, LiveStage, compile_deployed};
use crate::resource::{
    Api, AuthorizationType, Authorizer, Integration, IntegrationType, ParameterConstraints, Preset,
    ProtocolType, Route, RouteSettings,
};

/// The first route of an API with one change.
fn route(change: impl FnOnce(&mut Api)) -> std::sync::Arc<LiveRoute> {
    let mut api = api(Preset::Open, &["send"], proxy());
    change(&mut api);
    live(&api, &stage()).routes[0].clone()
}

#[test]
fn routes_and_integrations_keep_their_places() {
    let mut api = api(Preset::Aws, &["$connect", "a", "b c/d"], proxy());
    api.integrations.push(Integration {
        integration_id: "j".to_owned(),
        max_in_flight: 0,
        ..proxy()
    });
    api.routes[2].target = Some("j".to_owned());
    api.routes.push(Route::new("silent"));
    let live = live(&api, &stage());
    let keys: Vec<&str> = live.routes.iter().map(|route| &*route.route_key).collect();
    assert_eq!(keys, ["$connect", "a", "b c/d", "silent"]);
    assert!(
        live.routes
            .iter()
            .enumerate()
            .all(|(n, route)| route.index == n)
    );
    assert!(
        live.integrations
            .iter()
            .enumerate()
            .all(|(n, i)| i.index == n)
    );
    let called = |n: usize| {
        live.routes[n]
            .integration
            .as_ref()
            .map(|i| &*i.integration_id)
    };
    assert_eq!(
        [called(0), called(1), called(2), called(3)],
        [Some("i"), Some("i"), Some("j"), None]
    );
    assert_eq!(
        live.integrations[1].max_in_flight, 1,
        "none at all would only time out"
    );
    assert!(live.connect_route().is_some() && live.disconnect_route().is_none());
}

#[test]
fn a_route_is_two_way_exactly_with_a_default_response() {
    assert!(!route(|_| {}).two_way);
    assert!(route(|api| *api = two_way(api.clone())).two_way);
    let expression_alone = |api: &mut Api| {
        api.routes[0].route_response_selection_expression = Some("$default".to_owned());
    };
    assert!(!route(expression_alone).two_way);
    let other_key = |api: &mut Api| {
        *api = two_way(api.clone());
        api.routes[0].route_responses[0].route_response_key = "other".to_owned();
    };
    assert!(!route(other_key).two_way);
}

#[test]
fn concurrency_is_the_routes_own_or_the_presets() {
    let check = |preset, own, expected| {
        let mut api = api(preset, &["send"], proxy());
        api.routes[0].concurrency = own;
        assert_eq!(live(&api, &stage()).routes[0].concurrency, expected);
    };
    check(Preset::Open, None, 1);
    check(Preset::Aws, None, 64);
    check(Preset::Open, Some(4), 4);
    check(Preset::Aws, Some(1), 1);
    check(Preset::Open, Some(0), 1);
}

type Setting = (Option<f64>, Option<u32>);

#[track_caller]
fn check_throttle(own: Setting, default: Setting, expected: Option<(f64, u32)>) {
    let settings = |(rate, burst): Setting| RouteSettings {
        throttling_rate_limit: rate,
        throttling_burst_limit: burst,
    };
    let mut stage = stage();
    stage.default_route_settings = settings(default);
    stage.route_settings = [("send".to_owned(), settings(own))].into();
    let live = live(&api(Preset::Open, &["send", "other"], proxy()), &stage);
    assert_eq!(live.routes[0].throttle, expected, "{own:?} {default:?}");
}

#[test]
fn throttles_are_the_routes_own_then_the_stages_then_awss() {
    let none = (None, None);
    check_throttle(none, none, None);
    check_throttle((Some(5.0), Some(2)), none, Some((5.0, 2)));
    check_throttle((Some(5.0), None), none, Some((5.0, 5_000)));
    check_throttle((None, Some(2)), none, Some((10_000.0, 2)));
    check_throttle(none, (Some(7.0), Some(3)), Some((7.0, 3)));
    check_throttle((Some(5.0), None), (Some(7.0), Some(3)), Some((5.0, 3)));
    check_throttle((None, Some(2)), (Some(7.0), Some(3)), Some((7.0, 2)));
    // An explicit 0 lets nothing through; it is no absence.
    check_throttle((Some(0.0), Some(0)), (Some(7.0), Some(3)), Some((0.0, 0)));
    check_throttle((Some(0.0), None), none, Some((0.0, 5_000)));

    let mut stage = stage();
    let limited = RouteSettings {
        throttling_rate_limit: Some(1.0),
        throttling_burst_limit: Some(1),
    };
    stage.route_settings = [("send".to_owned(), limited)].into();
    let live = live(&api(Preset::Open, &["send", "other"], proxy()), &stage);
    assert_eq!(live.routes[1].throttle, None, "settings are one route's");
}

#[test]
fn what_is_not_built_is_named() {
    let check = |change: fn(&mut Route), expected| {
        let expected: Option<&str> = expected;
        let expected = expected.map(|setting| format!("{setting} is not enforced yet"));
        let closed = route(|api| change(&mut api.routes[0])).closed.clone();
        assert_eq!(closed.as_deref(), expected.as_deref());
    };
    check(|_| {}, None);
    check(
        |r| r.authorization_type = AuthorizationType::AwsIam,
        Some("authorizationType AWS_IAM"),
    );
    check(
        |r| r.authorization_type = AuthorizationType::Jwt,
        Some("authorizationType JWT"),
    );
    check(|r| r.api_key_required = true, Some("apiKeyRequired"));
    check(
        |r| r.model_selection_expression = Some("m".to_owned()),
        Some("modelSelectionExpression"),
    );
}

/// An API whose `$connect` asks the authorizer `who` at that URI.
fn guarded(uri: &str) -> Api {
    let mut api = api(Preset::Open, &["$connect", "send"], proxy());
    api.authorizers = vec![Authorizer {
        authorizer_id: "who".to_owned(),
        authorizer_uri: uri.to_owned(),
        identity_source: vec!["route.request.header.Auth".to_owned()],
    }];
    guard(&mut api.routes[0]);
    api
}

fn guard(route: &mut Route) {
    route.authorization_type = AuthorizationType::Custom;
    route.authorizer_id = Some("who".to_owned());
}

#[test]
fn connect_is_judged_by_a_function_or_a_url() {
    let mut stage = stage();
    stage.stage_variables = [("fn", "judge"), ("host", "auth:3000")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let check = |uri: &str, expected: AuthorizerBackend| {
        let live = live(&guarded(uri), &stage);
        let authorizer = live.routes[0].authorizer.clone().unwrap();
        assert_eq!(authorizer.backend, expected, "{uri}");
        assert_eq!(authorizer.timeout.as_secs(), 29);
        let header = IdentitySource::Header("Auth".to_owned());
        assert_eq!(authorizer.identity_sources, [header]);
        assert!(live.routes[0].closed.is_none() && live.routes[1].authorizer.is_none());
        assert_eq!(live.authorizers.len(), 1);
    };
    let function = |text: &str| AuthorizerBackend::Lambda(LambdaTarget::parse(text).unwrap());
    let url = |text: &'static str| AuthorizerBackend::Http(Uri::from_static(text));
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:";
    check(&format!("{arn}f"), function(&format!("{arn}f")));
    let uri = |function: &str| {
        format!(
            "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}{function}/invocations"
        )
    };
    check(
        &uri("${stageVariables.fn}:live"),
        function(&format!("{arn}judge:live")),
    );
    check(
        "http://${stageVariables.host}/who?a=b",
        url("http://auth:3000/who?a=b"),
    );
    check("https://auth.example/", url("https://auth.example/"));
}

#[test]
fn custom_beyond_connect_says_nothing_where_connect_is_judged() {
    let mut api = guarded("http://auth/");
    guard(&mut api.routes[1]);
    let live = live(&api, &stage());
    assert!(live.routes[1].closed.is_none() && live.routes[1].authorizer.is_none());
    let warnings: Vec<_> = live.warnings.iter().map(|w| w.path.join("/")).collect();
    assert_eq!(warnings, ["routes/send/authorizationType"]);
}

#[test]
fn a_route_whose_authorizer_cannot_be_asked_is_closed() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Api), expected: &str) {
        let mut api = guarded("http://auth/");
        change(&mut api);
        let (live, mistakes) = compile_deployed(&api, &stage());
        let live = live.unwrap();
        assert!(!mistakes.is_empty());
        let connect = live.connect_route().unwrap();
        assert!(connect.authorizer.is_none());
        assert_eq!(connect.closed.as_deref(), Some(expected));
        assert!(live.routes[1].closed.is_none());
    }

    let cannot = "its authorizer cannot be asked";
    check(|api| api.authorizers.clear(), cannot);
    check(|api| api.routes[0].authorizer_id = None, cannot);
    check(
        |api| api.routes[0].authorizer_id = Some("else".into()),
        cannot,
    );
    check(
        |api| api.authorizers[0].authorizer_uri = "ftp://auth/".into(),
        cannot,
    );
    check(|api| api.authorizers[0].authorizer_uri.clear(), cannot);
    check(
        |api| api.authorizers[0].identity_source.push("Auth".into()),
        cannot,
    );
    // Nobody is judged, and somebody thinks that he is.
    let mut api = guarded("http://auth/");
    api.routes[0].authorization_type = AuthorizationType::None;
    guard(&mut api.routes[1]);
    let (live, _) = compile_deployed(&api, &stage());
    assert_eq!(live.unwrap().routes[1].closed.as_deref(), Some(cannot));
}

#[test]
fn required_parameters_are_called_by_their_whole_names() {
    let route = route(|api| {
        let parameters = &mut api.routes[0].request_parameters;
        for (name, required) in [
            ("route.request.header.X-A.b", true),
            ("route.request.querystring.token", true),
            ("route.request.querystring.free", false),
        ] {
            parameters.insert(name.to_owned(), ParameterConstraints { required });
        }
    });
    let names: Vec<&str> = route
        .required
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    assert_eq!(names, ["X-A.b", "token"]);
}

fn with_variables(integration: Integration, variables: &[(&str, &str)]) -> LiveStage {
    let mut stage = stage();
    stage.stage_variables = variables
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    live(&api(Preset::Open, &["send"], integration), &stage)
}

#[test]
fn stage_variables_stand_anywhere_in_a_uri() {
    let check = |uri: &str, variables: &[(&str, &str)], expected: &str| {
        let integration = Integration {
            integration_uri: Some(uri.to_owned()),
            ..proxy()
        };
        let stage = with_variables(integration, variables);
        let LiveBackend::Http(http) = &stage.integrations[0].backend else {
            panic!("this is no HTTP backend");
        };
        assert_eq!(
            http.uri.build(|_| None, "", &[]).unwrap(),
            expected,
            "{uri}"
        );
    };
    let variables = [("host", "h:81"), ("path", "a/b"), ("all", "https://h/x")];
    check(
        "http://${stageVariables.host}/x",
        &variables,
        "http://h:81/x",
    );
    check(
        "http://h/${stageVariables.path}?q=${stageVariables.host}",
        &variables,
        "http://h/a/b?q=h:81",
    );
    check(
        "http://[::1]:${stageVariables.port}/",
        &[("port", "81")],
        "http://[::1]:81/",
    );
    check("http://[::1]/", &[], "http://[::1]/");
    check("https://h/a/../b", &[], "https://h/a/../b");
    check("${stageVariables.all}", &variables, "https://h/x");
    check("http://h/${stageVariables.none}x", &variables, "http://h/x");
    // A value is text: it is not looked at again.
    check(
        "http://h/${stageVariables.a}",
        &[("a", "$x")],
        "http://h/$x",
    );

    let function = Integration {
        integration_uri: Some(
            "arn:aws:lambda:us-east-1:123456789012:function:${stageVariables.fn}".to_owned(),
        ),
        ..Integration::new("i", IntegrationType::AwsProxy)
    };
    let stage = with_variables(function, &[("fn", "echo:blue")]);
    let LiveBackend::Lambda { target, .. } = &stage.integrations[0].backend else {
        panic!("this is no function");
    };
    assert!(format!("{target:?}").contains("blue"), "{target:?}");
}

#[test]
fn a_deployment_closes_what_cannot_be_served_and_serves_the_rest() {
    let mut api = api(Preset::Open, &["good", "bad"], proxy());
    let mut aws = Integration::new("aws", IntegrationType::Aws);
    aws.integration_uri = Some("arn:aws:apigateway:us-east-1:sqs:path/1/queue".to_owned());
    api.integrations.push(aws);
    api.routes[1].target = Some("aws".to_owned());
    let (live, mistakes) = compile_deployed(&api, &stage());
    let live = live.unwrap();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert_eq!(live.routes[0].closed, None);
    let closed = live.routes[1].closed.as_deref();
    assert_eq!(closed, Some("its integration 'aws' cannot be called"));
    assert!(live.routes[1].integration.is_none());

    api.protocol_type = ProtocolType::Http;
    let (live, mistakes) = compile_deployed(&api, &stage());
    assert!(live.unwrap().routes.is_empty());
    assert_eq!(mistakes.len(), 1);
}
