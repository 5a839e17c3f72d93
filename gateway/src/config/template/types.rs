//! The `AWS::ApiGatewayV2` resource types and their properties ("AWS CloudFormation, API Gateway V2 resource type reference").

use gateway_core::control::Kind;

/// One of `AWS::ApiGatewayV2::…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Type {
    /// An API with all below it.
    Api,
    /// A way into a private network.
    VpcLink,
    /// A custom domain name.
    DomainName,
    /// Who lets clients in.
    Authorizer,
    /// A JSON schema.
    Model,
    /// A backend.
    Integration,
    /// What is made of a backend's answer.
    IntegrationResponse,
    /// A route.
    Route,
    /// What makes a route two-way.
    RouteResponse,
    /// A frozen copy of an API's configuration.
    Deployment,
    /// Where a deployment is served.
    Stage,
    /// A path of a domain name and the stage that it shows.
    ApiMapping,
    /// Changes to what a quick create of an HTTP API made.
    ManagedOverrides,
    /// A rule that sends requests of a domain name to an API.
    RoutingRule,
}

/// How a property's value becomes the wire's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Text,
    Flag,
    Whole,
    Number,
    Texts,
    /// Names and texts; a value that is an object becomes its JSON text.
    TextMap,
    /// JSON text; an object becomes it.
    Json,
    Object(&'static [Property]),
    Objects(&'static [Property]),
    /// The user's own keys, each with an object.
    ObjectMap(&'static [Property]),
    /// Status codes with what is to be done to the answer, which CloudFormation writes in its own way.
    ResponseParameters,
    /// The id of a resource above this one; no part of the body. The outermost first.
    Parent(u8),
    /// Kept out of the body, with a notice that says why.
    PassedOver(&'static str),
}

/// One property of a type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Property {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) required: bool,
}

const fn may(name: &'static str, form: Form) -> Property {
    Property {
        name,
        form,
        required: false,
    }
}

const fn must(name: &'static str, form: Form) -> Property {
    Property {
        name,
        form,
        required: true,
    }
}

impl Type {
    /// All, in an order in which each may be created: a resource names only those of kinds before its own.
    pub(super) const ALL: [Self; 14] = [
        Self::Api,
        Self::VpcLink,
        Self::DomainName,
        Self::Authorizer,
        Self::Model,
        Self::Integration,
        Self::IntegrationResponse,
        Self::Route,
        Self::RouteResponse,
        Self::Deployment,
        Self::Stage,
        Self::ApiMapping,
        Self::ManagedOverrides,
        Self::RoutingRule,
    ];

    /// The last part of the type's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Api => "Api",
            Self::VpcLink => "VpcLink",
            Self::DomainName => "DomainName",
            Self::Authorizer => "Authorizer",
            Self::Model => "Model",
            Self::Integration => "Integration",
            Self::IntegrationResponse => "IntegrationResponse",
            Self::Route => "Route",
            Self::RouteResponse => "RouteResponse",
            Self::Deployment => "Deployment",
            Self::Stage => "Stage",
            Self::ApiMapping => "ApiMapping",
            Self::ManagedOverrides => "ApiGatewayManagedOverrides",
            Self::RoutingRule => "RoutingRule",
        }
    }

    /// The type `AWS::ApiGatewayV2::…`, by what stands behind that.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The kind of resource that the control plane keeps of it, where it keeps one.
    pub(super) fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Api => Kind::Api,
            Self::VpcLink => Kind::VpcLink,
            Self::DomainName => Kind::DomainName,
            Self::Authorizer => Kind::Authorizer,
            Self::Model => Kind::Model,
            Self::Integration => Kind::Integration,
            Self::IntegrationResponse => Kind::IntegrationResponse,
            Self::Route => Kind::Route,
            Self::RouteResponse => Kind::RouteResponse,
            Self::Deployment => Kind::Deployment,
            Self::Stage => Kind::Stage,
            Self::ApiMapping => Kind::ApiMapping,
            Self::ManagedOverrides | Self::RoutingRule => return None,
        })
    }

    /// Characters of its id; `None` where its name is its id.
    pub(super) fn id_length(self) -> Option<usize> {
        self.kind().map_or(Some(6), Kind::id_length)
    }

    /// The property, and the member of the body, whose value is the id of a kind without generated ids.
    pub(super) fn named_by(self) -> Option<&'static str> {
        match self {
            Self::Stage => Some("stageName"),
            Self::DomainName => Some("domainName"),
            _ => None,
        }
    }

    /// The attribute that is the id, as `Ref` gives it.
    pub(super) fn id_attribute(self) -> Option<&'static str> {
        match self {
            Self::Api => Some("ApiId"),
            Self::VpcLink => Some("VpcLinkId"),
            Self::Authorizer => Some("AuthorizerId"),
            Self::Model => Some("ModelId"),
            Self::Integration => Some("IntegrationId"),
            Self::IntegrationResponse => Some("IntegrationResponseId"),
            Self::Route => Some("RouteId"),
            Self::RouteResponse => Some("RouteResponseId"),
            Self::Deployment => Some("DeploymentId"),
            Self::ApiMapping => Some("ApiMappingId"),
            Self::ManagedOverrides => Some("Id"),
            Self::RoutingRule => Some("RoutingRuleId"),
            Self::DomainName | Self::Stage => None,
        }
    }

    pub(super) fn properties(self) -> &'static [Property] {
        match self {
            Self::Api => API,
            Self::VpcLink => VPC_LINK,
            Self::DomainName => DOMAIN_NAME,
            Self::Authorizer => AUTHORIZER,
            Self::Model => MODEL,
            Self::Integration => INTEGRATION,
            Self::IntegrationResponse => INTEGRATION_RESPONSE,
            Self::Route => ROUTE,
            Self::RouteResponse => ROUTE_RESPONSE,
            Self::Deployment => DEPLOYMENT,
            Self::Stage => STAGE,
            Self::ApiMapping => API_MAPPING,
            Self::ManagedOverrides => MANAGED_OVERRIDES,
            Self::RoutingRule => ROUTING_RULE,
        }
    }
}

const API_ID: Property = must("ApiId", Form::Parent(0));
const TAGS: Property = may("Tags", Form::TextMap);
const DESCRIPTION: Property = may("Description", Form::Text);
const IMPORT: Form =
    Form::PassedOver("an OpenAPI definition is not imported; its routes are not there");

const API: &[Property] = &[
    may("ApiKeySelectionExpression", Form::Text),
    may("BasePath", IMPORT),
    may("Body", IMPORT),
    may("BodyS3Location", IMPORT),
    may("CorsConfiguration", Form::Object(CORS)),
    may("CredentialsArn", Form::Text),
    DESCRIPTION,
    may("DisableExecuteApiEndpoint", Form::Flag),
    may("DisableSchemaValidation", Form::Flag),
    may("FailOnWarnings", IMPORT),
    may("IpAddressType", Form::Text),
    may("Name", Form::Text),
    may("ProtocolType", Form::Text),
    may("RouteKey", Form::Text),
    may("RouteSelectionExpression", Form::Text),
    TAGS,
    may("Target", Form::Text),
    may("Version", Form::Text),
];

const CORS: &[Property] = &[
    may("AllowCredentials", Form::Flag),
    may("AllowHeaders", Form::Texts),
    may("AllowMethods", Form::Texts),
    may("AllowOrigins", Form::Texts),
    may("ExposeHeaders", Form::Texts),
    may("MaxAge", Form::Whole),
];

const VPC_LINK: &[Property] = &[
    must("Name", Form::Text),
    may("SecurityGroupIds", Form::Texts),
    must("SubnetIds", Form::Texts),
    TAGS,
];

const DOMAIN_NAME: &[Property] = &[
    must("DomainName", Form::Text),
    may(
        "DomainNameConfigurations",
        Form::Objects(DOMAIN_CONFIGURATION),
    ),
    may("MutualTlsAuthentication", Form::Object(MUTUAL_TLS)),
    may("RoutingMode", Form::Text),
    TAGS,
];

const DOMAIN_CONFIGURATION: &[Property] = &[
    may("CertificateArn", Form::Text),
    may("CertificateName", Form::Text),
    may("EndpointType", Form::Text),
    may("IpAddressType", Form::Text),
    may("OwnershipVerificationCertificateArn", Form::Text),
    may("SecurityPolicy", Form::Text),
];

const MUTUAL_TLS: &[Property] = &[
    may("TruststoreUri", Form::Text),
    may("TruststoreVersion", Form::Text),
];

const AUTHORIZER: &[Property] = &[
    API_ID,
    may("AuthorizerCredentialsArn", Form::Text),
    may("AuthorizerPayloadFormatVersion", Form::Text),
    may("AuthorizerResultTtlInSeconds", Form::Whole),
    must("AuthorizerType", Form::Text),
    may("AuthorizerUri", Form::Text),
    may("EnableSimpleResponses", Form::Flag),
    may("IdentitySource", Form::Texts),
    may("IdentityValidationExpression", Form::Text),
    may("JwtConfiguration", Form::Object(JWT)),
    must("Name", Form::Text),
];

const JWT: &[Property] = &[may("Audience", Form::Texts), may("Issuer", Form::Text)];

const MODEL: &[Property] = &[
    API_ID,
    may("ContentType", Form::Text),
    DESCRIPTION,
    must("Name", Form::Text),
    must("Schema", Form::Json),
];

const INTEGRATION: &[Property] = &[
    API_ID,
    may("ConnectionId", Form::Text),
    may("ConnectionType", Form::Text),
    may("ContentHandlingStrategy", Form::Text),
    may("CredentialsArn", Form::Text),
    DESCRIPTION,
    may("IntegrationMethod", Form::Text),
    may("IntegrationSubtype", Form::Text),
    must("IntegrationType", Form::Text),
    may("IntegrationUri", Form::Text),
    may("PassthroughBehavior", Form::Text),
    may("PayloadFormatVersion", Form::Text),
    may("RequestParameters", Form::TextMap),
    may("RequestTemplates", Form::TextMap),
    may("ResponseParameters", Form::ResponseParameters),
    may("TemplateSelectionExpression", Form::Text),
    may("TimeoutInMillis", Form::Whole),
    may("TlsConfig", Form::Object(TLS)),
];

const TLS: &[Property] = &[may("ServerNameToVerify", Form::Text)];

const INTEGRATION_RESPONSE: &[Property] = &[
    API_ID,
    may("ContentHandlingStrategy", Form::Text),
    must("IntegrationId", Form::Parent(1)),
    must("IntegrationResponseKey", Form::Text),
    may("ResponseParameters", Form::TextMap),
    may("ResponseTemplates", Form::TextMap),
    may("TemplateSelectionExpression", Form::Text),
];

const ROUTE: &[Property] = &[
    API_ID,
    may("ApiKeyRequired", Form::Flag),
    may("AuthorizationScopes", Form::Texts),
    may("AuthorizationType", Form::Text),
    may("AuthorizerId", Form::Text),
    may("ModelSelectionExpression", Form::Text),
    may("OperationName", Form::Text),
    may("RequestModels", Form::TextMap),
    may("RequestParameters", Form::ObjectMap(CONSTRAINTS)),
    must("RouteKey", Form::Text),
    may("RouteResponseSelectionExpression", Form::Text),
    may("Target", Form::Text),
];

const CONSTRAINTS: &[Property] = &[may("Required", Form::Flag)];

const ROUTE_RESPONSE: &[Property] = &[
    API_ID,
    may("ModelSelectionExpression", Form::Text),
    may("ResponseModels", Form::TextMap),
    may("ResponseParameters", Form::ObjectMap(CONSTRAINTS)),
    must("RouteId", Form::Parent(1)),
    must("RouteResponseKey", Form::Text),
];

const DEPLOYMENT: &[Property] = &[API_ID, DESCRIPTION, may("StageName", Form::Text)];

const STAGE: &[Property] = &[
    may("AccessLogSettings", Form::Object(ACCESS_LOG)),
    may(
        "AccessPolicyId",
        Form::PassedOver("AWS reserves AccessPolicyId; it has no effect"),
    ),
    API_ID,
    may("AutoDeploy", Form::Flag),
    may("ClientCertificateId", Form::Text),
    may("DefaultRouteSettings", Form::Object(ROUTE_SETTINGS)),
    may("DeploymentId", Form::Text),
    DESCRIPTION,
    may("RouteSettings", Form::ObjectMap(ROUTE_SETTINGS)),
    must("StageName", Form::Text),
    may("StageVariables", Form::TextMap),
    TAGS,
];

const ACCESS_LOG: &[Property] = &[may("DestinationArn", Form::Text), may("Format", Form::Text)];

const ROUTE_SETTINGS: &[Property] = &[
    may("DataTraceEnabled", Form::Flag),
    may("DetailedMetricsEnabled", Form::Flag),
    may("LoggingLevel", Form::Text),
    may("ThrottlingBurstLimit", Form::Whole),
    may("ThrottlingRateLimit", Form::Number),
];

const API_MAPPING: &[Property] = &[
    must("ApiId", Form::Text),
    may("ApiMappingKey", Form::Text),
    must("DomainName", Form::Parent(0)),
    must("Stage", Form::Text),
];

const QUICK: Form = Form::PassedOver("only an HTTP API made by quick create has managed resources");

const MANAGED_OVERRIDES: &[Property] = &[
    API_ID,
    may("Integration", QUICK),
    may("Route", QUICK),
    may("Stage", QUICK),
];

const RULES: Form = Form::PassedOver("routing rules are not built yet");

const ROUTING_RULE: &[Property] = &[
    must("Actions", RULES),
    must("Conditions", RULES),
    must("DomainNameArn", Form::Parent(0)),
    must("Priority", Form::Whole),
];

/// `RouteKey` is `routeKey` on the wire.
pub(super) fn wire_name(property: &str) -> String {
    let mut name = property.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    name
}
