//! Every mistake with its place and its sentence.

use std::collections::BTreeMap;

use crate::live::compile;
use crate::live::fixture::{api, proxy, stage};
use crate::resource::{
    Api, AuthorizationType, Authorizer, Integration, IntegrationResponse, IntegrationType,
    ParameterConstraints, Preset, ProtocolType, Route, Stage,
};

/// The mistakes of a good API after `change`, as `path: sentence`.
fn mistakes(change: impl FnOnce(&mut Api, &mut Stage)) -> Vec<String> {
    let mut api = api(Preset::Open, &["send"], proxy());
    let mut stage = stage();
    change(&mut api, &mut stage);
    let found = compile(&api, &stage).err().unwrap_or_default();
    let line =
        |mistake: super::super::Mistake| format!("{}: {}", mistake.path.join("/"), mistake.message);
    found.into_iter().map(line).collect()
}

#[track_caller]
fn check(change: impl FnOnce(&mut Api, &mut Stage), expected: &[&str]) {
    assert_eq!(mistakes(change), expected);
}

#[test]
fn the_unchanged_api_is_good() {
    check(|_, _| {}, &[]);
}

#[test]
fn an_api_says_what_is_wrong_with_it() {
    check(
        |api, _| api.protocol_type = ProtocolType::Http,
        &["protocolType: HTTP APIs are not served yet; only WEBSOCKET"],
    );
    check(
        |api, _| api.route_selection_expression.clear(),
        &[
            "routeSelectionExpression: at byte 0: the expression is empty: write one, such as `$request.body.action`",
        ],
    );
    check(
        |api, _| api.route_selection_expression = "${request.body.action".to_owned(),
        &["routeSelectionExpression: at byte 0: `${` is not closed: add `}`"],
    );
}

#[test]
fn an_authorizer_says_what_is_wrong_with_it() {
    let with = |uri: &str, source: &str, id: Option<&str>, key: &str| {
        let authorizer = Authorizer {
            authorizer_id: "who".to_owned(),
            authorizer_uri: uri.to_owned(),
            identity_source: vec![source.to_owned()],
        };
        let route = Route {
            authorization_type: AuthorizationType::Custom,
            authorizer_id: id.map(str::to_owned),
            ..Route::new(key)
        };
        move |api: &mut Api, _: &mut Stage| {
            api.authorizers.push(authorizer);
            api.routes.push(route);
        }
    };
    let (url, source) = ("http://auth/", "route.request.header.Auth");
    check(with(url, source, Some("who"), "$connect"), &[]);
    check(
        with(url, "Auth", Some("who"), "$connect"),
        &[
            "authorizers/who/identitySource: 'Auth' is no identity source; write route.request.header.NAME, \
             route.request.querystring.NAME, stageVariables.NAME or context.NAME",
        ],
    );
    check(
        with("http://auth/{x}", source, Some("who"), "$connect"),
        &[
            "authorizers/who/authorizerUri: an authorizer's URL has no path parameters, and 'http://auth/{x}' has one",
        ],
    );
    check(
        with("http://user:word@auth/", source, Some("who"), "$connect"),
        &[
            "authorizers/who/authorizerUri: credentials in a URL would end up in logs; map a header instead",
        ],
    );
    check(
        with(
            "arn:aws:sns:us-east-1:123456789012:topic",
            source,
            Some("who"),
            "$connect",
        ),
        &[
            "authorizers/who/authorizerUri: `arn:aws:sns:us-east-1:123456789012:topic` is not a Lambda function's ARN: it must \
             read arn:aws:lambda:REGION:ACCOUNT:function:NAME, a qualifier may follow",
        ],
    );
    check(
        with(url, source, None, "$connect"),
        &["routes/$connect/authorizationType: authorizationType CUSTOM needs an authorizerId"],
    );
    check(
        with(url, source, Some("else"), "$connect"),
        &["routes/$connect/authorizerId: there is no authorizer 'else'"],
    );
    check(
        with(url, source, Some("who"), "other"),
        &[
            "routes/other/authorizationType: only $connect is authorized, as on AWS; put authorizationType CUSTOM there",
        ],
    );
}

#[test]
fn a_route_says_what_is_wrong_with_it() {
    let with = |key: &str, change: fn(&mut Route)| {
        let key = key.to_owned();
        move |api: &mut Api, _: &mut Stage| {
            let mut route = Route::new(key);
            change(&mut route);
            api.routes.push(route);
        }
    };
    check(
        with("send", |_| {}),
        &["routes/send: this route key is defined twice"],
    );
    for key in ["$other", "$", "$Connect", "$connect "] {
        check(
            with(key, |_| {}),
            &[&format!(
                "routes/{key}: only $connect, $disconnect and $default may begin with '$'"
            )],
        );
    }
    check(
        with("", |_| {}),
        &["routes/: an empty route key can never be selected"],
    );
    check(
        with("r", |route| {
            route.target = Some("integrations/none".to_owned());
        }),
        &["routes/r/target: there is no integration 'none'"],
    );
    check(
        with("r", |route| {
            route.route_response_selection_expression = Some("$request.body.x".to_owned());
        }),
        &["routes/r/routeResponseSelectionExpression: at byte 0: only `$default` may stand here"],
    );
    check(
        with("r", |route| {
            let name = "route.request.cookie.x".to_owned();
            route
                .request_parameters
                .insert(name, ParameterConstraints { required: true });
        }),
        &[
            "routes/r/requestParameters/route.request.cookie.x: 'route.request.cookie.x' is no source; after \
           route.request comes header, multivalueheader, querystring, multivaluequerystring or body",
        ],
    );
}

/// The one mistake of the integration `i` after `change`: its member and its sentence.
#[track_caller]
fn check_integration(change: impl FnOnce(&mut Integration), expected: &str) {
    let found = mistakes(|api, _| change(&mut api.integrations[0]));
    assert_eq!(found, [format!("integrations/i/{expected}")]);
}

#[test]
fn a_url_says_what_is_wrong_with_it() {
    let check = |uri: &str, sentence: &str| {
        check_integration(
            |integration| integration.integration_uri = Some(uri.to_owned()),
            &format!("integrationUri: {sentence}"),
        );
    };
    check(
        "backend/x",
        "'backend/x' is not an absolute URL; write http://host:port/path or https://…",
    );
    check(
        "",
        "'' is not an absolute URL; write http://host:port/path or https://…",
    );
    check(
        "unix:///x",
        "scheme 'unix' cannot be called; use http or https",
    );
    check(
        "file:///etc/passwd",
        "scheme 'file' cannot be called; use http or https",
    );
    check(
        "HTTP://h/",
        "scheme 'HTTP' cannot be called; use http or https",
    );
    check("http:///x", "'http:///x' names no host");
    check("http://?x", "'http://?x' names no host");
    check(
        "http://{host}/x",
        "a parameter may stand in the path or query, never in the host",
    );
    check(
        "http://u:p@h/x",
        "credentials in a URL would end up in logs; map a header instead",
    );
    check("http://h/x#y", "a URL to call has no fragment ('#')");
    check("http://h/{room", "'{' is not closed in 'http://h/{room'");
    check("http://h/{}", "'{}' names no parameter in 'http://h/{}'");
    check(
        "http://h/{room}",
        "'{room}' has no value: map one with integration.request.path.room",
    );
    check(
        "http://h/a b",
        "'http://h/a b' is not a URL: invalid uri character",
    );
    check(
        "http://h:0/",
        "the port of 'http://h:0/' is not a number from 1 to 65535",
    );
    check(
        "http://h:/",
        "the port of 'http://h:/' is not a number from 1 to 65535",
    );
    check(
        "http://h:65536/",
        "the port of 'http://h:65536/' is not a number from 1 to 65535",
    );
    check(
        "http://h:x/",
        "the port of 'http://h:x/' is not a number from 1 to 65535",
    );
    check(
        "http://${stageVariables.none}/x",
        "'http:///x' names no host",
    );
    check_integration(
        |integration| integration.integration_uri = None,
        "integrationUri: this integration type needs an integrationUri",
    );
    check_integration(
        |integration| {
            let target = "integration.request.path.p".to_owned();
            integration
                .request_parameters
                .insert(target, "context.stage".to_owned());
            integration.integration_uri = Some("http://h/a/../{p}".to_owned());
        },
        "integrationUri: 'http://h/a/../{p}' has a '.' or '..' segment; write the path that it leads to",
    );
}

#[test]
fn a_function_says_what_is_wrong_with_it() {
    let check = |uri: Option<&str>, sentence: &str| {
        check_integration(
            |integration| {
                *integration = Integration::new("i", IntegrationType::AwsProxy);
                integration.integration_uri = uri.map(str::to_owned);
            },
            &format!("integrationUri: {sentence}"),
        );
    };
    check(None, "this integration type needs an integrationUri");
    check(
        Some(""),
        "the Lambda function's name is empty: write its name, its ARN or an integration URI",
    );
    check(
        Some("${stageVariables.fn}"),
        "the Lambda function's name is empty: write its name, its ARN or an integration URI",
    );
    check(
        Some("${other.fn}"),
        "`${other.fn}` still holds a variable: give the stage variable a value",
    );
    check(
        Some("a b"),
        "`a b` is not a function's name: 1 to 140 letters, digits, `-`, `_` and `.`",
    );
}

#[test]
fn methods_and_types_say_what_is_wrong_with_them() {
    for method in ["CONNECT", "", "GET /x", "P\u{d6}ST"] {
        check_integration(
            |integration| integration.integration_method = method.to_owned(),
            "integrationMethod: this is not an HTTP method",
        );
    }
    check_integration(
        |integration| integration.integration_type = IntegrationType::Aws,
        "integrationType: AWS integrations need mapping templates, which are not built yet; use AWS_PROXY",
    );
}

#[test]
fn a_mapping_says_what_is_wrong_with_it() {
    let check = |target: &str, source: &str, sentence: &str| {
        check_integration(
            |integration| {
                let (target, source) = (target.to_owned(), source.to_owned());
                integration.request_parameters.insert(target, source);
            },
            &format!("requestParameters/{target}: {sentence}"),
        );
    };
    let forms = "integration.request.header.NAME, integration.request.querystring.NAME or integration.request.path.NAME";
    let name = "is no parameter name; use letters, digits and . _ $ -";
    let target = |target: &str, sentence: &str| check(target, "'x'", sentence);
    target(
        "header.x",
        &format!("'header.x' is no target; write {forms}"),
    );
    target(
        "integration.request.header",
        &format!("'integration.request.header' names nothing; write {forms}"),
    );
    target("integration.request.header.", &format!("'' {name}"));
    target(
        "integration.request.cookie.x",
        &format!("'integration.request.cookie.x' is no target; write {forms}"),
    );
    target("integration.request.header.a b", &format!("'a b' {name}"));
    target("integration.request.querystring.é", &format!("'é' {name}"));
    for header in [
        "Content-Length",
        "transfer-encoding",
        "X-Amzn-Trace-Id",
        "x-amzn-apigateway-api-id",
        "Connection",
        "Upgrade",
        "Expect",
        "X-Wiregate-Stage",
    ] {
        target(
            &format!("integration.request.header.{header}"),
            &format!("header '{header}' is set by the gateway and cannot be mapped"),
        );
    }

    let source =
        |source: &str, sentence: &str| check("integration.request.header.x", source, sentence);
    let sources =
        "write route.request.…, context.…, stageVariables.… or a 'literal' in single quotes";
    source("", &format!("'' is no source; {sources}"));
    source("literal", &format!("'literal' is no source; {sources}"));
    source(
        "$context.stage",
        &format!("'$context.stage' is no source; {sources}"),
    );
    source("'open", "'open lacks its closing single quote");
    source("'", "' lacks its closing single quote");
    source("context.", &format!("'' {name}"));
    source("stageVariables.a b", &format!("'a b' {name}"));
    source(
        "route.request.header",
        &format!("'route.request.header': '' {name}"),
    );
    source(
        "route.request.header.a:b",
        &format!("'route.request.header.a:b': 'a:b' {name}"),
    );
    source(
        "route.request.cookie.x",
        "'route.request.cookie.x' is no source; after route.request comes header, multivalueheader, querystring, \
         multivaluequerystring or body",
    );
    let found = mistakes(|api, _| {
        let parameters = &mut api.integrations[0].request_parameters;
        let target = "integration.request.header.x".to_owned();
        parameters.insert(target, "route.request.body.a[".to_owned());
        parameters.insert("both".to_owned(), "wrong".to_owned());
    });
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("'both' is no target") && found[1].contains("'wrong' is no source"));
    assert!(
        found[2].contains("header.x: 'route.request.body.a[': "),
        "{}",
        found[2]
    );
}

#[test]
fn templates_say_what_is_wrong_with_them() {
    let http = |change: fn(&mut Integration)| {
        move |integration: &mut Integration| {
            integration.integration_type = IntegrationType::Http;
            change(integration);
        }
    };
    check_integration(
        http(|i| {
            let template = "a\n$input.body".to_owned();
            i.request_templates.insert("k".to_owned(), template);
        }),
        "requestTemplates/k: mapping templates with '$' (line 2 of the template) are not built yet; only literal \
         templates without '$' and '#' are served",
    );
    check_integration(
        http(|i| i.template_selection_expression = Some("${".to_owned())),
        "templateSelectionExpression: at byte 0: `${` is not closed: add `}`",
    );
    let response = || IntegrationResponse {
        integration_response_key: "/2\\d\\d/".to_owned(),
        template_selection_expression: None,
        response_templates: [("k".to_owned(), "#if".to_owned())].into(),
        content_handling_strategy: None,
    };
    check_integration(
        |i| {
            i.integration_type = IntegrationType::Http;
            i.integration_responses = vec![response()];
        },
        "integrationResponses//2\\d\\d//responseTemplates/k: mapping templates with '#' (line 1 of the template) are \
         not built yet; only literal templates without '$' and '#' are served",
    );
    check_integration(
        |i| {
            i.integration_type = IntegrationType::Http;
            i.integration_responses = vec![IntegrationResponse {
                template_selection_expression: Some(String::new()),
                response_templates: BTreeMap::new(),
                ..response()
            }];
        },
        "integrationResponses//2\\d\\d//templateSelectionExpression: at byte 0: the expression is empty: write one, such \
         as `$request.body.action`",
    );
    check_integration(
        |i| {
            i.integration_type = IntegrationType::Http;
            i.integration_responses = vec![IntegrationResponse {
                integration_response_key: "/2".to_owned(),
                response_templates: BTreeMap::new(),
                ..response()
            }];
        },
        "integrationResponses//2: the pattern is not closed: add `/` at its end",
    );
    check_integration(
        |i| *i = Integration::new("i", IntegrationType::Mock),
        "requestTemplates: a MOCK integration answers from its templates; give it one, such as application/json: \
         '{\"statusCode\": 200}'",
    );
    check_integration(
        |i| {
            *i = Integration::new("i", IntegrationType::Mock);
            i.request_templates
                .insert("$default".to_owned(), "{}".to_owned());
        },
        "requestTemplates: a MOCK request template must give a status, such as {\"statusCode\": 200}",
    );
}

#[test]
fn all_mistakes_come_at_once() {
    let found = mistakes(|api, _| {
        api.protocol_type = ProtocolType::Http;
        api.route_selection_expression = "$".to_owned();
        api.integrations[0].integration_uri = Some("ftp://h".to_owned());
        api.integrations[0].template_selection_expression = Some("${".to_owned());
        let target = "integration.request.header.connection".to_owned();
        api.integrations[0]
            .request_parameters
            .insert(target, "wrong".to_owned());
        api.integrations
            .push(Integration::new("mock", IntegrationType::Mock));
        api.routes.push(Route::new("$other"));
        api.routes.push(Route {
            target: Some("gone".to_owned()),
            ..Route::new("$other")
        });
    });
    let places: Vec<&str> = found
        .iter()
        .map(|line| {
            line.split_once(": ")
                .map_or(line.as_str(), |(place, _)| place)
        })
        .collect();
    assert_eq!(
        places,
        [
            "protocolType",
            "routeSelectionExpression",
            "integrations/i/requestParameters/integration.request.header.connection",
            "integrations/i/requestParameters/integration.request.header.connection",
            "integrations/i/integrationUri",
            "integrations/mock/requestTemplates",
            "routes/$other",
            "routes/$other",
            "routes/$other/target",
            "routes/$other",
        ]
    );
}
