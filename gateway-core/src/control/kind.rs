//! The resources of the control plane and their members ("Amazon API Gateway V2 API reference", one table a resource).

use super::member::{Member, Shape};
use crate::resource::ProtocolType;

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An API with all below it.
    Api,
    /// A route.
    Route,
    /// What makes a route two-way.
    RouteResponse,
    /// A backend.
    Integration,
    /// What is made of a backend's answer.
    IntegrationResponse,
    /// A JSON schema.
    Model,
    /// Who lets clients in.
    Authorizer,
    /// A frozen copy of an API's configuration.
    Deployment,
    /// Where a deployment is served.
    Stage,
    /// A custom domain name.
    DomainName,
    /// A path of a domain name and the stage that it shows.
    ApiMapping,
    /// A way into a private network; kept, not used.
    VpcLink,
}

impl Kind {
    /// The member that holds the id.
    pub fn id_member(self) -> &'static str {
        match self {
            Self::Api => "apiId",
            Self::Route => "routeId",
            Self::RouteResponse => "routeResponseId",
            Self::Integration => "integrationId",
            Self::IntegrationResponse => "integrationResponseId",
            Self::Model => "modelId",
            Self::Authorizer => "authorizerId",
            Self::Deployment => "deploymentId",
            Self::Stage => "stageName",
            Self::DomainName => "domainName",
            Self::ApiMapping => "apiMappingId",
            Self::VpcLink => "vpcLinkId",
        }
    }

    /// Characters of an id that the service chooses; `None` where the caller names the resource.
    pub fn id_length(self) -> Option<usize> {
        match self {
            Self::Api => Some(10),
            Self::Route | Self::Integration => Some(7),
            Self::Stage | Self::DomainName => None,
            _ => Some(6),
        }
    }

    /// As it is called in messages.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Api => "API",
            Self::Route => "Route",
            Self::RouteResponse => "RouteResponse",
            Self::Integration => "Integration",
            Self::IntegrationResponse => "IntegrationResponse",
            Self::Model => "Model",
            Self::Authorizer => "Authorizer",
            Self::Deployment => "Deployment",
            Self::Stage => "stage",
            Self::DomainName => "domain name",
            Self::ApiMapping => "API mapping",
            Self::VpcLink => "VPC link",
        }
    }

    pub(super) fn members(self) -> &'static [Member] {
        match self {
            Self::Api => API,
            Self::Route => ROUTE,
            Self::RouteResponse => ROUTE_RESPONSE,
            Self::Integration => INTEGRATION,
            Self::IntegrationResponse => INTEGRATION_RESPONSE,
            Self::Model => MODEL,
            Self::Authorizer => AUTHORIZER,
            Self::Deployment => DEPLOYMENT,
            Self::Stage => STAGE,
            Self::DomainName => DOMAIN_NAME,
            Self::ApiMapping => API_MAPPING,
            Self::VpcLink => VPC_LINK,
        }
    }
}

const DESCRIPTION: Member = Member::text("description", 0, 1024);
const TAGS: Member = Member::new("tags", Shape::TextMap(0, 1600)).once();
const NAME: Member = Member::text("name", 1, 128).required();

const API: &[Member] = &[
    NAME,
    Member::new("protocolType", Shape::Choice(&["HTTP", "WEBSOCKET"]))
        .required()
        .once(),
    Member::text("apiKeySelectionExpression", 1, 1024),
    Member::new("corsConfiguration", Shape::Object(CORS)).http(),
    Member::text("credentialsArn", 1, 2048).passing().http(),
    DESCRIPTION,
    Member::flag("disableExecuteApiEndpoint"),
    Member::flag("disableSchemaValidation").websocket(),
    Member::new("ipAddressType", Shape::Choice(&["ipv4", "dualstack"])),
    Member::text("routeKey", 1, 1024).passing().http(),
    Member::text("routeSelectionExpression", 1, 1024),
    TAGS,
    Member::text("target", 1, 2048).passing().http(),
    Member::text("version", 1, 64),
];

const CORS: &[Member] = &[
    Member::flag("allowCredentials"),
    Member::new("allowHeaders", Shape::Texts(0, 1024)),
    Member::new("allowMethods", Shape::Texts(0, 64)),
    Member::new("allowOrigins", Shape::Texts(0, 1024)),
    Member::new("exposeHeaders", Shape::Texts(0, 1024)),
    Member::new("maxAge", Shape::Whole(-1, 86_400)),
];

const ROUTE: &[Member] = &[
    Member::text("routeKey", 1, 1024).required(),
    Member::flag("apiKeyRequired"),
    Member::new("authorizationScopes", Shape::Texts(1, 64)).http(),
    Member::new(
        "authorizationType",
        Shape::Choice(&["NONE", "AWS_IAM", "CUSTOM", "JWT"]),
    ),
    Member::text("authorizerId", 1, 128),
    Member::text("modelSelectionExpression", 1, 1024).websocket(),
    Member::text("operationName", 1, 64),
    Member::new("requestModels", Shape::TextMap(1, 128))
        .merge()
        .websocket(),
    Member::new("requestParameters", Shape::ObjectMap(CONSTRAINTS))
        .merge()
        .websocket(),
    Member::text("routeResponseSelectionExpression", 1, 1024).websocket(),
    Member::text("target", 1, 128),
];

const CONSTRAINTS: &[Member] = &[Member::flag("required")];

const ROUTE_RESPONSE: &[Member] = &[
    Member::text("routeResponseKey", 1, 1024).required(),
    Member::text("modelSelectionExpression", 1, 1024),
    Member::new("responseModels", Shape::TextMap(1, 128)).merge(),
    Member::new("responseParameters", Shape::ObjectMap(CONSTRAINTS)).merge(),
];

const INTEGRATION: &[Member] = &[
    Member::new(
        "integrationType",
        Shape::Choice(&["AWS", "HTTP", "MOCK", "HTTP_PROXY", "AWS_PROXY"]),
    )
    .required(),
    Member::text("connectionId", 1, 1024),
    Member::new("connectionType", Shape::Choice(&["INTERNET", "VPC_LINK"])),
    Member::new(
        "contentHandlingStrategy",
        Shape::Choice(&["CONVERT_TO_BINARY", "CONVERT_TO_TEXT"]),
    )
    .websocket(),
    Member::text("credentialsArn", 1, 2048),
    DESCRIPTION,
    Member::text("integrationMethod", 1, 64),
    Member::text("integrationSubtype", 1, 128).http(),
    Member::text("integrationUri", 1, 2048),
    Member::new(
        "passthroughBehavior",
        Shape::Choice(&["WHEN_NO_MATCH", "NEVER", "WHEN_NO_TEMPLATES"]),
    ),
    Member::text("payloadFormatVersion", 1, 64),
    Member::new("requestParameters", Shape::TextMap(0, 512)).merge_or_remove(),
    Member::new("requestTemplates", Shape::TextMap(0, 32_768))
        .merge()
        .websocket(),
    Member::new("responseParameters", Shape::TextMaps(0, 512))
        .merge()
        .http(),
    Member::text("templateSelectionExpression", 1, 1024).websocket(),
    Member::new("timeoutInMillis", Shape::Whole(50, 30_000)),
    Member::new("tlsConfig", Shape::Object(TLS)).http(),
];

const TLS: &[Member] = &[Member::text("serverNameToVerify", 1, 512)];

const INTEGRATION_RESPONSE: &[Member] = &[
    Member::text("integrationResponseKey", 1, 1024).required(),
    Member::new(
        "contentHandlingStrategy",
        Shape::Choice(&["CONVERT_TO_BINARY", "CONVERT_TO_TEXT"]),
    ),
    Member::new("responseParameters", Shape::TextMap(0, 512)).merge_or_remove(),
    Member::new("responseTemplates", Shape::TextMap(0, 32_768)).merge(),
    Member::text("templateSelectionExpression", 1, 1024),
];

const MODEL: &[Member] = &[
    NAME,
    Member::text("contentType", 1, 256),
    DESCRIPTION,
    Member::new("schema", Shape::Json(32_768)).required(),
];

const AUTHORIZER: &[Member] = &[
    NAME,
    Member::new("authorizerType", Shape::Choice(&["REQUEST", "JWT"])).required(),
    Member::new("identitySource", Shape::Texts(0, 1024)).required(),
    Member::text("authorizerCredentialsArn", 1, 2048),
    Member::text("authorizerPayloadFormatVersion", 1, 64),
    Member::new("authorizerResultTtlInSeconds", Shape::Whole(0, 3600)),
    Member::text("authorizerUri", 1, 2048),
    Member::flag("enableSimpleResponses").http(),
    Member::text("identityValidationExpression", 0, 1024),
    Member::new("jwtConfiguration", Shape::Object(JWT)).http(),
];

const JWT: &[Member] = &[
    Member::new("audience", Shape::Texts(0, 1024)),
    Member::text("issuer", 1, 2048),
];

const DEPLOYMENT: &[Member] = &[DESCRIPTION, Member::text("stageName", 1, 128).passing()];

const STAGE: &[Member] = &[
    Member::text("stageName", 1, 128).required().once(),
    Member::new("accessLogSettings", Shape::Object(ACCESS_LOG)),
    Member::flag("autoDeploy"),
    Member::text("clientCertificateId", 1, 64).websocket(),
    Member::new("defaultRouteSettings", Shape::Object(ROUTE_SETTINGS)),
    Member::text("deploymentId", 1, 64),
    DESCRIPTION,
    Member::new("routeSettings", Shape::ObjectMap(ROUTE_SETTINGS)).merge(),
    Member::new("stageVariables", Shape::TextMap(0, 2048)).merge_or_remove(),
    TAGS,
];

const ACCESS_LOG: &[Member] = &[
    Member::text("destinationArn", 1, 2048),
    Member::text("format", 1, 1024),
];

const ROUTE_SETTINGS: &[Member] = &[
    Member::flag("dataTraceEnabled"),
    Member::flag("detailedMetricsEnabled"),
    Member::new("loggingLevel", Shape::Choice(&["ERROR", "INFO", "OFF"])),
    Member::new("throttlingBurstLimit", Shape::Whole(0, i32::MAX as i64)),
    Member::new("throttlingRateLimit", Shape::Number),
];

const DOMAIN_NAME: &[Member] = &[
    Member::text("domainName", 1, 512).required().once(),
    Member::new(
        "domainNameConfigurations",
        Shape::Objects(DOMAIN_CONFIGURATION),
    ),
    Member::new("mutualTlsAuthentication", Shape::Object(MUTUAL_TLS)),
    Member::new(
        "routingMode",
        Shape::Choice(&[
            "API_MAPPING_ONLY",
            "ROUTING_RULE_ONLY",
            "ROUTING_RULE_THEN_API_MAPPING",
        ]),
    ),
    TAGS,
];

const DOMAIN_CONFIGURATION: &[Member] = &[
    Member::text("certificateArn", 1, 2048),
    Member::text("certificateName", 1, 128),
    Member::new("endpointType", Shape::Choice(&["REGIONAL", "EDGE"])),
    Member::new("ipAddressType", Shape::Choice(&["ipv4", "dualstack"])),
    Member::text("ownershipVerificationCertificateArn", 1, 2048),
    Member::new("securityPolicy", Shape::Choice(&["TLS_1_0", "TLS_1_2"])),
];

const MUTUAL_TLS: &[Member] = &[
    Member::text("truststoreUri", 1, 2048),
    Member::text("truststoreVersion", 1, 64),
];

const API_MAPPING: &[Member] = &[
    Member::text("apiId", 1, 128).required(),
    Member::text("apiMappingKey", 0, 300),
    Member::text("stage", 1, 128).required(),
];

const VPC_LINK: &[Member] = &[
    NAME,
    Member::new("securityGroupIds", Shape::Texts(0, 256)).once(),
    Member::new("subnetIds", Shape::Texts(0, 256))
        .required()
        .once(),
    TAGS,
];

/// `protocolType` as documents write it.
pub(super) fn protocol_of(api: &super::Document) -> ProtocolType {
    match api.get("protocolType").and_then(serde_json::Value::as_str) {
        Some("HTTP") => ProtocolType::Http,
        _ => ProtocolType::Websocket,
    }
}
