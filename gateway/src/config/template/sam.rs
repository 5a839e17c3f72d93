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

/// The resources, each `AWS::Serverless::WebSocketApi` replaced by what it stands for. Its parts may also be named by
/// aliases such as `Chat.Stage`, which are added to the scope.
pub(super) fn expand(
    resources: &[Resource],
    globals: &Value,
    scope: &mut Scope<'_>,
) -> Vec<Resource> {
    let mut expanded = Vec::new();
    let mut aliases = Vec::new();
    for resource in resources {
        scope
            .report
            .about(format!("Resources.{}", resource.logical_id));
        if resource.type_name == "AWS::Serverless::Function" {
            events(resource, globals, scope);
        }
        if resource.type_name == WEBSOCKET_API {
            let merged = merged(globals.child("WebSocketApi"), &resource.properties, scope);
            let (made, named) = WebSocketApi::new(resource, &merged, scope).expand();
            expanded.extend(made);
            aliases.extend(named);
        } else {
            expanded.push(resource.clone());
        }
    }
    scope.aliases.extend(aliases);
    let mut taken = HashSet::new();
    expanded.retain(|resource| {
        let new = taken.insert(resource.logical_id.clone());
        if !new {
            let message = format!(
                "two resources have the logical id {}",
                quoted(&resource.logical_id)
            );
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
        things
            .entry(name.to_owned())
            .or_insert(Thing::Foreign(foreign));
    };
    let events = resource.properties.child("Events");
    let events = events.or_else(|| globals.child("Function")?.child("Events"));
    for event in events.map(Value::members).unwrap_or_default() {
        let Some(kind) = event.value.child("Type") else {
            continue;
        };
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
            _ => format!(
                "the event {name} ({}) is not delivered here",
                kind.describe()
            ),
        };
        scope.report.notice(&kind.place, said);
    }
}

/// Properties over `Globals`: maps are merged, lists joined, anything else is replaced.
fn merged(globals: Option<&Value>, own: &Value, scope: &Scope<'_>) -> Value {
    let Some(globals) = globals.filter(|globals| scope.spend(weight(globals), &globals.place))
    else {
        return own.clone();
    };
    over(globals, own)
}

pub(super) fn weight(value: &Value) -> usize {
    let items = value
        .items()
        .iter()
        .chain(value.members().iter().map(|member| &member.value));
    1 + value.as_text().map_or(0, str::len) + items.map(weight).sum::<usize>()
}

pub(super) fn over(below: &Value, above: &Value) -> Value {
    let what = match (&below.what, &above.what) {
        (_, What::Null) => return below.clone(),
        (What::List(below), What::List(above)) => What::List([&below[..], above].concat()),
        (What::Map(below), What::Map(members)) if super::functions::call(above).is_none() => {
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
    aliases: Vec<(String, String)>,
}

impl<'a, 'i> WebSocketApi<'a, 'i> {
    fn new(resource: &'a Resource, properties: &'a Value, scope: &'a Scope<'i>) -> Self {
        Self {
            resource,
            properties,
            scope,
            made: Vec::new(),
            aliases: Vec::new(),
        }
    }

    fn expand(mut self) -> (Vec<Resource>, Vec<(String, String)>) {
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
    fn tags(&self, whole: bool) -> Option<Member> {
        let created_by = Member::new(CREATED_BY, Value::text("SAM", self.place()), self.place());
        let tags = self.properties.child("Tags").filter(|_| whole);
        let tags = tags.map(Value::members).unwrap_or_default();
        let all = tags.iter().cloned().chain([created_by]).collect();
        self.given("Tags", Value::new(What::Map(all), self.place()))
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
            self.scope
                .report
                .mistake_with_hint(self.place(), message, hint);
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
        ] {
            members.push(self.taken(self.properties, key, key));
        }
        members.push(self.tags(true));
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
            self.api_id(),
            name.or_else(|| self.given("StageName", default)),
            self.given("AutoDeploy", Value::text("true", self.place())),
        ];
        for key in [
            "AccessLogSettings",
            "DefaultRouteSettings",
            "RouteSettings",
            "StageVariables",
        ] {
            members.push(self.taken(self.properties, key, key));
        }
        let propagate = self
            .properties
            .child("PropagateTags")
            .and_then(Value::as_bool);
        members.push(self.tags(propagate == Some(true)));
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
                self.api_id(),
                key.and_then(|key| self.given("ApiMappingKey", key)),
                self.given("DomainName", Value::reference(&id, place)),
                self.given(
                    "Stage",
                    Value::reference(&format!("{}.Stage", self.id()), place),
                ),
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

/// `sendMessage` is `Sendmessage`, as SAM has it.
fn capitalized(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut chars = lower.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
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
