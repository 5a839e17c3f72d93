//! What is stored but not acted upon yet: named with its place, and whether traffic is refused for it.
//!
//! A feature that lands takes its line out of this table.

use gateway_core::control::Kind;
use serde_json::Value as Json;

use super::declare::Declared;
use super::report::Report;

/// A member, by its path, and the values of it that ask for what is not there.
struct Unserved {
    kind: Kind,
    member: &'static str,
    values: Values,
    sentence: &'static str,
}

enum Values {
    Any,
    True,
    These(&'static [&'static str]),
    Other(&'static str),
    /// Texts of which one holds what only a template language would replace.
    Templates,
}

const UNSERVED: &[Unserved] = &[
    Unserved {
        kind: Kind::Api,
        member: "protocolType",
        values: Values::These(&["HTTP"]),
        sentence: "an HTTP API is stored, and answers 501 until HTTP APIs are built",
    },
    Unserved {
        kind: Kind::Route,
        member: "authorizationType",
        values: Values::These(&["AWS_IAM", "JWT"]),
        sentence: "this authorization is stored, and the route refuses until it is built",
    },
    Unserved {
        kind: Kind::Route,
        member: "apiKeyRequired",
        values: Values::True,
        sentence: "API keys are stored, and the route refuses until they are built",
    },
    Unserved {
        kind: Kind::Route,
        member: "modelSelectionExpression",
        values: Values::Any,
        sentence: "validation by models is stored, and the route refuses until it is built",
    },
    Unserved {
        kind: Kind::Authorizer,
        member: "authorizerType",
        values: Values::These(&["JWT"]),
        sentence: "a JWT authorizer is stored, and routes that ask for it refuse until it is built",
    },
    Unserved {
        kind: Kind::Authorizer,
        member: "authorizerCredentialsArn",
        values: Values::Any,
        sentence: "authorizerCredentialsArn is stored and not used: no role is assumed",
    },
    Unserved {
        kind: Kind::Authorizer,
        member: "identityValidationExpression",
        values: Values::Any,
        sentence: "identityValidationExpression is stored and not used, as on AWS for WebSocket APIs",
    },
    Unserved {
        kind: Kind::Integration,
        member: "integrationType",
        values: Values::These(&["AWS"]),
        sentence: "an AWS integration is stored; a stage that deploys it is not served until such integrations are built",
    },
    Unserved {
        kind: Kind::Integration,
        member: "connectionType",
        values: Values::These(&["VPC_LINK"]),
        sentence: "a VPC link is stored and not used: the URI is called directly",
    },
    Unserved {
        kind: Kind::Integration,
        member: "credentialsArn",
        values: Values::Any,
        sentence: "credentialsArn is stored and not used: no role is assumed",
    },
    Unserved {
        kind: Kind::Integration,
        member: "requestTemplates",
        values: Values::Templates,
        sentence: "a template with $ or # is stored, and refuses until templates are built",
    },
    Unserved {
        kind: Kind::IntegrationResponse,
        member: "responseTemplates",
        values: Values::Templates,
        sentence: "a template with $ or # is stored, and refuses until templates are built",
    },
    Unserved {
        kind: Kind::RouteResponse,
        member: "modelSelectionExpression",
        values: Values::Any,
        sentence: "AWS does not act upon this member of a route response, and neither does Wiregate",
    },
    Unserved {
        kind: Kind::Stage,
        member: "accessLogSettings",
        values: Values::Any,
        sentence: "access log settings are stored and not used: the log is the gateway's own",
    },
    Unserved {
        kind: Kind::Stage,
        member: "clientCertificateId",
        values: Values::Any,
        sentence: "a client certificate is stored and not used",
    },
    Unserved {
        kind: Kind::Stage,
        member: "defaultRouteSettings.loggingLevel",
        values: Values::Other("OFF"),
        sentence: "loggingLevel is stored and not used: the log is the gateway's own",
    },
    Unserved {
        kind: Kind::Stage,
        member: "defaultRouteSettings.dataTraceEnabled",
        values: Values::True,
        sentence: "dataTraceEnabled is stored and not used: bodies are never logged",
    },
    Unserved {
        kind: Kind::DomainName,
        member: "domainNameConfigurations",
        values: Values::Any,
        sentence: "the certificate of a domain name is stored and not used: server.tls has it",
    },
    Unserved {
        kind: Kind::VpcLink,
        member: "name",
        values: Values::Any,
        sentence: "a VPC link is stored and not used",
    },
];

/// What would open a door if it were stored and not acted upon: it is a mistake.
const REFUSED: &[Unserved] = &[
    Unserved {
        kind: Kind::DomainName,
        member: "mutualTlsAuthentication",
        values: Values::Any,
        sentence: "client certificates are not built, and AWS has none for WebSocket APIs; leave out MutualTlsAuthentication",
    },
    Unserved {
        kind: Kind::DomainName,
        member: "routingMode",
        values: Values::Other("API_MAPPING_ONLY"),
        sentence: "routing rules are not built yet; RoutingMode must be API_MAPPING_ONLY",
    },
];

/// Reports what of a resource is not acted upon.
pub(super) fn notice(declared: &Declared, report: &Report) {
    report.about(format!("Resources.{}", declared.logical_id));
    for (table, is_mistake) in [(UNSERVED, false), (REFUSED, true)] {
        for unserved in table
            .iter()
            .filter(|unserved| unserved.kind == declared.kind)
        {
            let pointer = format!("/{}", unserved.member.replace('.', "/"));
            let Some(value) = at(declared, &pointer) else {
                continue;
            };
            if !unserved.values.hold(value) {
                continue;
            }
            let place = declared
                .places
                .get(unserved.member)
                .unwrap_or(&declared.place);
            if is_mistake {
                report.mistake(place, unserved.sentence);
            } else {
                report.notice(place, unserved.sentence);
            }
        }
    }
}

fn at<'d>(declared: &'d Declared, pointer: &str) -> Option<&'d Json> {
    let mut steps = pointer.split('/').skip(1);
    let first = declared.body.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

impl Values {
    fn hold(&self, value: &Json) -> bool {
        let text = value.as_str();
        match self {
            Self::Any => true,
            Self::True => value.as_bool() == Some(true),
            Self::These(texts) => text.is_some_and(|text| texts.contains(&text)),
            Self::Other(usual) => text.is_some_and(|text| text != *usual),
            Self::Templates => {
                let texts = value.as_object().into_iter().flat_map(|map| map.values());
                let mut texts = texts.filter_map(Json::as_str);
                texts.any(|text| text.contains(['$', '#']))
            }
        }
    }
}
