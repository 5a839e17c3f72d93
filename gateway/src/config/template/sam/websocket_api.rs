//! `AWS::Serverless::WebSocketApi`: the API, routes, integrations, authorizer, stage and domain name that it stands for.

use super::invocations;
use crate::config::diagnostic::{quoted, suggestion};
use crate::config::template::document::Resource;
use crate::config::template::scope::Scope;
use crate::config::template::value::{Member, Place, Value, What};

const PROPERTIES: [&str; 17] = [
    "AccessLogSettings",
    "ApiKeySelectionExpression",
    "Auth",
    "DefaultRouteSettings",
    "Description",
    "DisableExecuteApiEndpoint",
    "DisableSchemaValidation",
    "Domain",
    "IpAddressType",
    "Name",
    "PropagateTags",
    "RouteSelectionExpression",
    "RouteSettings",
    "Routes",
    "StageName",
    "StageVariables",
    "Tags",
];

const ROUTE: [&str; 8] = [
    "ApiKeyRequired",
    "FunctionArn",
    "IntegrationTimeout",
    "ModelSelectionExpression",
    "OperationName",
    "RequestModels",
    "RequestParameters",
    "RouteResponseSelectionExpression",
];

const AUTH: [&str; 5] = [
    "AuthArn",
    "AuthType",
    "IdentitySource",
    "InvokeRole",
    "Name",
];

const DOMAIN: [&str; 9] = [
    "BasePath",
    "CertificateArn",
    "DomainName",
    "EndpointConfiguration",
    "IpAddressType",
    "MutualTlsAuthentication",
    "OwnershipVerificationCertificateArn",
    "Route53",
    "SecurityPolicy",
];

/// The tag of what SAM makes for a WebSocket API.
const CREATED_BY: &str = "websocketapi:createdBy";

/// One of them on its way to its parts.
pub(super) struct WebSocketApi<'a, 'i> {
    resource: &'a Resource,
    properties: &'a Value,
    scope: &'a Scope<'i>,
    made: Vec<Resource>,
    aliases: Vec<(String, String)>,
}

impl<'a, 'i> WebSocketApi<'a, 'i> {
    pub(super) fn new(resource: &'a Resource, properties: &'a Value, scope: &'a Scope<'i>) -> Self {
        Self {
            resource,
            properties,
            scope,
            made: Vec::new(),
            aliases: Vec::new(),
        }
    }

    /// Its parts, and their other names.
    pub(super) fn expand(mut self) -> (Vec<Resource>, Vec<(String, String)>) {
        self.check_keys(self.properties, &PROPERTIES);
        self.api();
        let routes = self
            .properties
            .child("Routes")
            .map(Value::members)
            .unwrap_or_default();
        if routes.is_empty() {
            let hint = "a WebSocketApi has at least one route";
            self.scope
                .report
                .mistake_with_hint(&self.resource.place, "'Routes' is missing", hint);
        }
        let auth = self.auth(routes);
        for route in routes {
            self.route(route, auth.as_ref());
        }
        self.stage();
        self.domain();
        for made in &mut self.made {
            made.condition.clone_from(&self.resource.condition);
        }
        (self.made, self.aliases)
    }

    /// Another name of one of the parts, as SAM has them.
    fn alias(&mut self, part: &str, logical_id: &str) {
        let name = format!("{}.{part}", self.id());
        self.aliases.push((name, logical_id.to_owned()));
    }

    /// The tags of the whole, where parts get them, and SAM's own.
    fn tags(&self, whole: bool) -> Member {
        let created_by = Member::new(CREATED_BY, Value::text("SAM", self.place()), self.place());
        let tags = self.properties.child("Tags").filter(|_| whole);
        let tags = tags.map(Value::members).unwrap_or_default();
        let all = tags.iter().cloned().chain([created_by]).collect();
        given("Tags", Value::new(What::Map(all), self.place()))
    }

    fn id(&self) -> &'a str {
        &self.resource.logical_id
    }

    fn place(&self) -> &'a Place {
        &self.resource.place
    }

    fn check_keys(&self, value: &Value, known: &[&str]) {
        for member in value.members() {
            if !known.contains(&&*member.key) {
                let message = format!("unknown property {}", quoted(&member.key));
                let hint = suggestion(&member.key, "there are", known);
                self.scope.report.add(&member.place, message, hint);
            }
        }
    }

    /// Adds a resource with the members that there are.
    fn add(&mut self, logical_id: String, kind: &str, place: &Place, members: Vec<Option<Member>>) {
        let members = members.into_iter().flatten().collect();
        let properties = Value::new(What::Map(members), place);
        let type_name = format!("AWS::ApiGatewayV2::{kind}");
        self.made
            .push(Resource::made(logical_id, &type_name, properties));
    }

    /// A property as it is, under the same or another name.
    fn api_id(&self) -> Member {
        given("ApiId", Value::reference(self.id(), self.place()))
    }

    fn api(&mut self) {
        let text = |text: &str| Value::text(text, self.place());
        if self.properties.child("RouteSelectionExpression").is_none() {
            let message = "'RouteSelectionExpression' is missing";
            let hint = "usually $request.body.action";
            self.scope
                .report
                .mistake_with_hint(self.place(), message, hint);
        }
        let name = taken(self.properties, "Name", "Name");
        let mut members = vec![
            name.or_else(|| Some(given("Name", text(self.id())))),
            Some(given("ProtocolType", text("WEBSOCKET"))),
        ];
        for key in [
            "ApiKeySelectionExpression",
            "Description",
            "DisableExecuteApiEndpoint",
            "DisableSchemaValidation",
            "IpAddressType",
            "RouteSelectionExpression",
        ] {
            members.push(taken(self.properties, key, key));
        }
        members.push(Some(self.tags(true)));
        self.add(self.id().to_owned(), "Api", self.place(), members);
        if let Some(api) = self.made.last_mut() {
            api.depends_on.clone_from(&self.resource.depends_on);
        }
    }

    /// What the `$connect` route says of authorization.
    fn auth(&mut self, routes: &[Member]) -> Option<(Value, Option<String>)> {
        let auth = self.properties.child("Auth")?;
        self.check_keys(auth, &AUTH);
        let report = self.scope.report;
        if !routes.iter().any(|route| route.key == "$connect") {
            let message = "Auth needs a $connect route, which is the one that it guards";
            report.mistake(&auth.place, message);
            return None;
        }
        let Some(kind) = auth.child("AuthType") else {
            report.mistake(&auth.place, "'AuthType' is missing");
            return None;
        };
        let written = kind.as_text().map(str::to_ascii_uppercase);
        let upper = Value::text(written.clone().unwrap_or_default(), &kind.place);
        match written.as_deref() {
            Some("CUSTOM") => {}
            Some("AWS_IAM" | "NONE") => {
                if auth.members().len() > 1 {
                    let message = "AuthType AWS_IAM and NONE stand alone";
                    report.mistake(&auth.place, message);
                }
                return Some((upper, None));
            }
            _ => {
                let message = format!(
                    "expected NONE, AWS_IAM or CUSTOM, found {}",
                    kind.describe()
                );
                report.mistake(&kind.place, message);
                return None;
            }
        }
        let Some(arn) = auth.child("AuthArn") else {
            let message = "'AuthArn' is missing";
            self.scope.report.mistake(&auth.place, message);
            return None;
        };
        let id = format!("{}ConnectAuthorizer", self.id());
        let name = taken(auth, "Name", "Name");
        let members = vec![
            Some(self.api_id()),
            name.or_else(|| Some(given("Name", Value::text(&*id, &auth.place)))),
            Some(given("AuthorizerType", Value::text("REQUEST", &auth.place))),
            Some(given("AuthorizerUri", invocations(arn.clone()))),
            taken(auth, "IdentitySource", "IdentitySource"),
            taken(auth, "InvokeRole", "AuthorizerCredentialsArn"),
        ];
        self.add(id.clone(), "Authorizer", &auth.place, members);
        Some((upper, Some(id)))
    }

    fn route(&mut self, route: &Member, auth: Option<&(Value, Option<String>)>) {
        let Member { key, place, value } = route;
        let bare = match &**key {
            "$connect" | "$disconnect" | "$default" => capitalized(&key[1..]),
            key if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric()) => {
                capitalized(key)
            }
            key => {
                let message = format!(
                    "the route key {} must consist of letters and digits",
                    quoted(key)
                );
                let hint = "or be $connect, $disconnect or $default";
                self.scope.report.mistake_with_hint(place, message, hint);
                return;
            }
        };
        self.check_keys(value, &ROUTE);
        let Some(function) = value.child("FunctionArn") else {
            self.scope.report.mistake(place, "'FunctionArn' is missing");
            return;
        };
        if let Some(parameters) = value
            .member("RequestParameters")
            .filter(|_| key != "$connect")
        {
            let message = "RequestParameters belong to $connect; messages have none";
            self.scope.report.mistake(&parameters.place, message);
        }
        let integration = format!("{}{bare}Integration", self.id());
        let members = vec![
            Some(self.api_id()),
            Some(given(
                "IntegrationType",
                Value::text("AWS_PROXY", &function.place),
            )),
            Some(given("IntegrationUri", invocations(function.clone()))),
            taken(value, "IntegrationTimeout", "TimeoutInMillis"),
        ];
        self.add(integration.clone(), "Integration", place, members);
        let target = [
            Value::text("integrations/", place),
            Value::reference(&integration, place),
        ];
        let mut members = vec![
            Some(self.api_id()),
            Some(given("RouteKey", Value::text(&**key, place))),
            Some(given("Target", Value::joined(target, place))),
        ];
        if let Some((kind, authorizer)) = auth.filter(|_| key == "$connect") {
            members.push(Some(given("AuthorizationType", kind.clone())));
            if let Some(id) = authorizer {
                members.push(Some(given(
                    "AuthorizerId",
                    Value::reference(id, &kind.place),
                )));
            }
        }
        for key in [
            "ApiKeyRequired",
            "ModelSelectionExpression",
            "OperationName",
            "RequestModels",
            "RequestParameters",
            "RouteResponseSelectionExpression",
        ] {
            members.push(taken(value, key, key));
        }
        self.add(format!("{}{bare}Route", self.id()), "Route", place, members);
    }

    fn stage(&mut self) {
        let name = taken(self.properties, "StageName", "StageName");
        if let Some(name) = name
            .as_ref()
            .filter(|name| name.value.as_text() == Some("$default"))
        {
            let message = "a WebSocket API has no $default stage";
            self.scope.report.mistake(&name.value.place, message);
        }
        // A name that is a function tells SAM nothing when it makes the logical id.
        let part = match name.as_ref().map(|name| name.value.as_text()) {
            None | Some(Some("default")) => "Default",
            Some(name) => name.unwrap_or_default(),
        };
        let id = format!("{}{part}Stage", self.id());
        let default = Value::text("default", self.place());
        let mut members = vec![
            Some(self.api_id()),
            name.or_else(|| Some(given("StageName", default))),
            Some(given("AutoDeploy", Value::text("true", self.place()))),
        ];
        for key in [
            "AccessLogSettings",
            "DefaultRouteSettings",
            "RouteSettings",
            "StageVariables",
        ] {
            members.push(taken(self.properties, key, key));
        }
        let propagate = self
            .properties
            .child("PropagateTags")
            .and_then(Value::as_bool);
        members.push(Some(self.tags(propagate == Some(true))));
        self.alias("Stage", &id);
        self.add(id, "Stage", self.place(), members);
    }

    fn domain(&mut self) {
        let Some(domain) = self.properties.child("Domain") else {
            return;
        };
        self.check_keys(domain, &DOMAIN);
        if let Some(route53) = domain.member("Route53") {
            let said = "Route53 is passed over: names are resolved by whoever runs the DNS";
            self.scope.report.notice(&route53.place, said);
        }
        let endpoint = taken(domain, "EndpointConfiguration", "EndpointType");
        let configuration = [
            taken(domain, "CertificateArn", "CertificateArn"),
            endpoint.or_else(|| {
                Some(given(
                    "EndpointType",
                    Value::text("REGIONAL", &domain.place),
                ))
            }),
            taken(domain, "IpAddressType", "IpAddressType"),
            taken(
                domain,
                "OwnershipVerificationCertificateArn",
                "OwnershipVerificationCertificateArn",
            ),
            taken(domain, "SecurityPolicy", "SecurityPolicy"),
        ];
        let configuration = configuration.into_iter().flatten().collect();
        let configuration = Value::new(What::Map(configuration), &domain.place);
        let configurations = Value::list(vec![configuration], &domain.place);
        let id = format!("{}DomainName", self.id());
        let members = vec![
            taken(domain, "DomainName", "DomainName"),
            Some(given("DomainNameConfigurations", configurations)),
            taken(domain, "MutualTlsAuthentication", "MutualTlsAuthentication"),
        ];
        self.add(id.clone(), "DomainName", &domain.place, members);
        self.alias("DomainName", &id);
        let paths: Vec<Option<&Value>> = match domain.child("BasePath") {
            None => vec![None],
            Some(list) if !list.items().is_empty() => list.items().iter().map(Some).collect(),
            Some(path) => vec![Some(path)],
        };
        for path in paths {
            let place = path.map_or(&domain.place, |path| &path.place);
            let text = path.and_then(Value::as_text).unwrap_or_default();
            if path.is_some_and(|path| path.as_text().is_none()) {
                self.scope
                    .report
                    .mistake(place, "BasePath takes text, or a list of texts");
            }
            let key = text.trim_matches('/');
            let key = (!key.is_empty()).then(|| Value::text(key, place));
            let members = vec![
                Some(self.api_id()),
                key.map(|key| given("ApiMappingKey", key)),
                Some(given("DomainName", Value::reference(&id, place))),
                Some(given(
                    "Stage",
                    Value::reference(&format!("{}.Stage", self.id()), place),
                )),
            ];
            let part: String = text.chars().filter(|c| !"-_/".contains(*c)).collect();
            self.add(
                format!("{}{part}ApiMapping", self.id()),
                "ApiMapping",
                place,
                members,
            );
        }
    }
}

/// A property as it is, under the same or another name.
fn taken(from: &Value, key: &str, as_key: &str) -> Option<Member> {
    let member = from.member(key)?;
    Some(Member {
        key: as_key.to_owned(),
        ..member.clone()
    })
}

/// A property that stands where its value stands.
fn given(key: &str, value: Value) -> Member {
    let place = value.place.clone();
    Member::new(key, value, &place)
}

/// `sendMessage` is `Sendmessage`, as SAM has it.
fn capitalized(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut chars = lower.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}
