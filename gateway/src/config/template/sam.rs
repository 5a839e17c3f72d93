//! SAM: what its resources stand for ("AWS SAM, generated CloudFormation resources").

use std::collections::HashSet;

use super::document::Resource;
use super::scope::Scope;
use super::thing::{Foreign, Thing};
use super::value::{Member, Place, Value, What};
use crate::config::diagnostic::{quoted, suggestion};

const WEBSOCKET_API: &str = "AWS::Serverless::WebSocketApi";

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

const AUTH: [&str; 5] = ["AuthArn", "AuthType", "IdentitySource", "InvokeRole", "Name"];

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

/// The resources, each `AWS::Serverless::WebSocketApi` replaced by what it stands for.
pub(super) fn expand(resources: &[Resource], globals: &Value, scope: &Scope<'_>) -> Vec<Resource> {
    let mut expanded = Vec::new();
    for resource in resources {
        scope.report.about(format!("Resources.{}", resource.logical_id));
        if resource.type_name == "AWS::Serverless::Function" {
            events(resource, globals, scope);
        }
        if resource.type_name == WEBSOCKET_API {
            let merged = merged(globals.child("WebSocketApi"), &resource.properties, scope);
            let made = WebSocketApi::new(resource, &merged, scope).expand();
            expanded.extend(made);
        } else {
            expanded.push(resource.clone());
        }
    }
    let mut taken = HashSet::new();
    expanded.retain(|resource| {
        let new = taken.insert(resource.logical_id.clone());
        if !new {
            let message = format!("two resources have the logical id {}", quoted(&resource.logical_id));
            scope.report.mistake(&resource.place, message);
        }
        new
    });
    expanded
}

/// Events of a function that would come by other ways than a WebSocket API.
fn events(resource: &Resource, globals: &Value, scope: &Scope<'_>) {
    let implied = |name: &str| {
        let foreign = Foreign::new("AWS::ApiGateway::RestApi", name.to_owned(), scope);
        let mut things = scope.things.borrow_mut();
        things.entry(name.to_owned()).or_insert(Thing::Foreign(foreign));
    };
    let events = resource.properties.child("Events");
    let events = events.or_else(|| globals.child("Function")?.child("Events"));
    for event in events.map(Value::members).unwrap_or_default() {
        let Some(kind) = event.value.child("Type") else { continue };
        let name = &event.key;
        let said = match kind.as_text() {
            Some("Api") => {
                implied("ServerlessRestApi");
                implied("ServerlessRestApiProdStage");
                format!("the event {name} comes by a REST API, which is not served yet")
            }
            Some("HttpApi") => {
                implied("ServerlessHttpApi");
                implied("ServerlessHttpApiApiGatewayDefaultStage");
                format!("the event {name} comes by an HTTP API, which is not served yet")
            }
            _ => format!("the event {name} ({}) is not delivered here", kind.describe()),
        };
        scope.report.notice(&kind.place, said);
    }
}

/// Properties over `Globals`: maps are merged, lists joined, anything else is replaced.
fn merged(globals: Option<&Value>, own: &Value, scope: &Scope<'_>) -> Value {
    let Some(globals) = globals.filter(|globals| scope.spend(weight(globals), &globals.place)) else {
        return own.clone();
    };
    over(globals, own)
}

fn weight(value: &Value) -> usize {
    let items = value.items().iter().chain(value.members().iter().map(|member| &member.value));
    1 + value.as_text().map_or(0, str::len) + items.map(weight).sum::<usize>()
}

fn over(below: &Value, above: &Value) -> Value {
    let what = match (&below.what, &above.what) {
        (_, What::Null) => return below.clone(),
        (What::List(below), What::List(above)) => What::List([&below[..], above].concat()),
        (What::Map(below), What::Map(members))
            if super::functions::call(above).is_none() =>
        {
            let mut all: Vec<Member> = below.clone();
            for member in members {
                match all.iter_mut().find(|earlier| earlier.key == member.key) {
                    Some(earlier) => earlier.value = over(&earlier.value, &member.value),
                    None => all.push(member.clone()),
                }
            }
            What::Map(all)
        }
        (_, above) => above.clone(),
    };
    Value::new(what, &above.place)
}

struct WebSocketApi<'a, 'i> {
    resource: &'a Resource,
    properties: &'a Value,
    scope: &'a Scope<'i>,
    made: Vec<Resource>,
}

impl<'a, 'i> WebSocketApi<'a, 'i> {
    fn new(resource: &'a Resource, properties: &'a Value, scope: &'a Scope<'i>) -> Self {
        Self {
            resource,
            properties,
            scope,
            made: Vec::new(),
        }
    }

    fn expand(mut self) -> Vec<Resource> {
        self.check_keys(self.properties, &PROPERTIES);
        self.api();
        let routes = self.properties.child("Routes").map(Value::members).unwrap_or_default();
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
        self.made
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
        self.made.push(Resource::made(logical_id, &type_name, properties));
    }

    /// A property as it is, under the same or another name.
    fn taken(&self, from: &Value, key: &str, as_key: &str) -> Option<Member> {
        let member = from.member(key)?;
        Some(Member {
            key: as_key.to_owned(),
            ..member.clone()
        })
    }

    fn given(&self, key: &str, value: Value) -> Option<Member> {
        let place = value.place.clone();
        Some(Member::new(key, value, &place))
    }

    fn api_id(&self) -> Option<Member> {
        self.given("ApiId", Value::reference(self.id(), self.place()))
    }

    fn api(&mut self) {
        let text = |text: &str| Value::text(text, self.place());
        if self.properties.child("RouteSelectionExpression").is_none() {
            let message = "'RouteSelectionExpression' is missing";
            let hint = "usually $request.body.action";
            self.scope.report.mistake_with_hint(self.place(), message, hint);
        }
        let name = self.taken(self.properties, "Name", "Name");
        let mut members = vec![
            name.or_else(|| self.given("Name", text(self.id()))),
            self.given("ProtocolType", text("WEBSOCKET")),
        ];
        for key in [
            "ApiKeySelectionExpression",
            "Description",
            "DisableExecuteApiEndpoint",
            "DisableSchemaValidation",
            "IpAddressType",
            "RouteSelectionExpression",
            "Tags",
        ] {
            members.push(self.taken(self.properties, key, key));
        }
        self.add(self.id().to_owned(), "Api", self.place(), members);
    }

    /// What the `$connect` route says of authorization.
    fn auth(&mut self, routes: &[Member]) -> Option<(Value, Option<String>)> {
        let auth = self.properties.child("Auth")?;
        self.check_keys(auth, &AUTH);
        let kind = auth.child("AuthType")?;
        let connect = routes.iter().find(|route| route.key == "$connect");
        match kind.as_text() {
            Some("NONE") => return None,
            Some("AWS_IAM" | "CUSTOM") => {}
            _ => {
                let message = format!("expected NONE, AWS_IAM or CUSTOM, found {}", kind.describe());
                self.scope.report.mistake(&kind.place, message);
                return None;
            }
        }
        if connect.is_none() {
            let message = "Auth needs a $connect route, which is the one that it guards";
            self.scope.report.mistake(&auth.place, message);
            return None;
        }
        if kind.as_text() == Some("AWS_IAM") {
            return Some((kind.clone(), None));
        }
        let Some(arn) = auth.child("AuthArn") else {
            let message = "'AuthArn' is missing";
            self.scope.report.mistake(&auth.place, message);
            return None;
        };
        let id = format!("{}ConnectAuthorizer", self.id());
        let name = self.taken(auth, "Name", "Name");
        let members = vec![
            self.api_id(),
            name.or_else(|| self.given("Name", Value::text(&*id, &auth.place))),
            self.given("AuthorizerType", Value::text("REQUEST", &auth.place)),
            self.given("AuthorizerUri", invocations(arn.clone())),
            self.taken(auth, "IdentitySource", "IdentitySource"),
            self.taken(auth, "InvokeRole", "AuthorizerCredentialsArn"),
        ];
        self.add(id.clone(), "Authorizer", &auth.place, members);
        Some((kind.clone(), Some(id)))
    }

    fn route(&mut self, route: &Member, auth: Option<&(Value, Option<String>)>) {
        let Member { key, place, value } = route;
        let bare = match &**key {
            "$connect" => "Connect",
            "$disconnect" => "Disconnect",
            "$default" => "Default",
            key if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric()) => key,
            key => {
                let message = format!("the route key {} must consist of letters and digits", quoted(key));
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
        if let Some(parameters) = value.member("RequestParameters").filter(|_| key != "$connect") {
            let message = "RequestParameters belong to $connect; messages have none";
            self.scope.report.mistake(&parameters.place, message);
        }
        let integration = format!("{}{bare}Integration", self.id());
        let members = vec![
            self.api_id(),
            self.given("IntegrationType", Value::text("AWS_PROXY", &function.place)),
            self.given("IntegrationUri", invocations(function.clone())),
            self.taken(value, "IntegrationTimeout", "TimeoutInMillis"),
        ];
        self.add(integration.clone(), "Integration", place, members);
        let target = [
            Value::text("integrations/", place),
            Value::reference(&integration, place),
        ];
        let mut members = vec![
            self.api_id(),
            self.given("RouteKey", Value::text(&**key, place)),
            self.given("Target", Value::joined(target, place)),
        ];
        if let Some((kind, authorizer)) = auth.filter(|_| key == "$connect") {
            members.push(self.given("AuthorizationType", kind.clone()));
            if let Some(id) = authorizer {
                members.push(self.given("AuthorizerId", Value::reference(id, &kind.place)));
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
            members.push(self.taken(value, key, key));
        }
        self.add(format!("{}{bare}Route", self.id()), "Route", place, members);
    }

    fn stage(&mut self) {
        let name = self.taken(self.properties, "StageName", "StageName");
        if let Some(name) = name.as_ref().filter(|name| name.value.as_text() == Some("$default")) {
            let message = "a WebSocket API has no $default stage";
            self.scope.report.mistake(&name.value.place, message);
        }
        let default = Value::text("default", self.place());
        let mut members = vec![
            self.api_id(),
            name.or_else(|| self.given("StageName", default)),
            self.given("AutoDeploy", Value::text("true", self.place())),
        ];
        for key in [
            "AccessLogSettings",
            "DefaultRouteSettings",
            "RouteSettings",
            "StageVariables",
            "Tags",
        ] {
            members.push(self.taken(self.properties, key, key));
        }
        self.add(format!("{}Stage", self.id()), "Stage", self.place(), members);
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
        let endpoint = self.taken(domain, "EndpointConfiguration", "EndpointType");
        let configuration = [
            self.taken(domain, "CertificateArn", "CertificateArn"),
            endpoint.or_else(|| self.given("EndpointType", Value::text("REGIONAL", &domain.place))),
            self.taken(domain, "IpAddressType", "IpAddressType"),
            self.taken(
                domain,
                "OwnershipVerificationCertificateArn",
                "OwnershipVerificationCertificateArn",
            ),
            self.taken(domain, "SecurityPolicy", "SecurityPolicy"),
        ];
        let configuration = configuration.into_iter().flatten().collect();
        let configuration = Value::new(What::Map(configuration), &domain.place);
        let configurations = Value::list(vec![configuration], &domain.place);
        let id = format!("{}DomainName", self.id());
        let members = vec![
            self.taken(domain, "DomainName", "DomainName"),
            self.given("DomainNameConfigurations", configurations),
            self.taken(domain, "MutualTlsAuthentication", "MutualTlsAuthentication"),
        ];
        self.add(id.clone(), "DomainName", &domain.place, members);
        let paths = domain.child("BasePath");
        let one = |path: &Value| vec![path.clone()];
        let paths: Vec<Option<Value>> = match paths {
            None => vec![None],
            Some(value) if value.items().is_empty() => one(value).into_iter().map(Some).collect(),
            Some(list) => list.items().iter().cloned().map(Some).collect(),
        };
        for (n, path) in paths.into_iter().enumerate() {
            // "/" is the root, which a mapping says by saying nothing.
            let path = path.filter(|path| path.as_text() != Some("/"));
            let number = if n == 0 { String::new() } else { n.to_string() };
            let members = vec![
                self.api_id(),
                path.and_then(|path| self.given("ApiMappingKey", path)),
                self.given("DomainName", Value::reference(&id, &domain.place)),
                self.given("Stage", Value::reference(&format!("{}Stage", self.id()), &domain.place)),
            ];
            self.add(format!("{}ApiMapping{number}", self.id()), "ApiMapping", &domain.place, members);
        }
    }
}

/// The URI by which an integration invokes a function.
pub(super) fn invocations(function: Value) -> Value {
    let place = function.place.clone();
    let text = |text: &str| Value::text(text, &place);
    let parts = [
        text("arn:"),
        Value::reference("AWS::Partition", &place),
        text(":apigateway:"),
        Value::reference("AWS::Region", &place),
        text(":lambda:path/2015-03-31/functions/"),
        function,
        text("/invocations"),
    ];
    Value::joined(parts, &place)
}
