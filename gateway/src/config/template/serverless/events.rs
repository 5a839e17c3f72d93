//! Functions and their events as CloudFormation ("Serverless Framework, AWS, Websocket event").

use std::collections::HashSet;

use super::variables::Variables;
use super::{normalized, text_at};
use crate::config::diagnostic::{quoted, suggestion};
use crate::config::template::report::Report;
use crate::config::template::sam::{invocations, over};
use crate::config::template::value::{Member, Place, Value, What};

/// What the framework writes where nothing is written ("Serverless Framework, AWS, Functions").
const RUNTIME: &str = "nodejs20.x";
const TIMEOUT: &str = "6";
const MEMORY: &str = "1024";

const KEYS: [&str; 3] = ["authorizer", "route", "routeResponseSelectionExpression"];

pub(super) struct Events<'a> {
    service: &'a str,
    stage: &'a str,
    provider: &'a Value,
    variables: &'a Variables<'a>,
    pub(super) report: &'a Report,
    resources: Vec<Member>,
    pub(super) taken: HashSet<String>,
    /// Logical ids of the routes.
    routes: Vec<String>,
    implied: Vec<(String, &'static str)>,
    /// Where the first websocket event stands.
    first: Option<Place>,
}

/// What functions became.
pub(super) struct Made {
    /// `Resources` and `Outputs`.
    pub(super) sections: Vec<Member>,
    /// What the framework would make besides.
    pub(super) implied: Vec<(String, &'static str)>,
}

impl<'a> Events<'a> {
    pub(super) fn new(
        service: &'a str,
        stage: &'a str,
        provider: &'a Value,
        variables: &'a Variables<'a>,
        report: &'a Report,
    ) -> Self {
        let implied = [
            ("IamRoleLambdaExecution", "AWS::IAM::Role"),
            ("ServerlessDeploymentBucket", "AWS::S3::Bucket"),
            ("WebsocketsLogGroup", "AWS::Logs::LogGroup"),
        ];
        Self {
            service,
            stage,
            provider,
            variables,
            report,
            resources: Vec::new(),
            taken: HashSet::new(),
            routes: Vec::new(),
            implied: implied.map(|(name, of)| (name.to_owned(), of)).into(),
            first: None,
        }
    }

    /// One member of `functions`.
    pub(super) fn function(&mut self, member: &Member) {
        let function = self.variables.shallow(&member.value);
        let place = &member.place;
        let What::Map(_) = &function.what else {
            if !function.is_broken() {
                let message = format!("expected a map, found {}", function.describe());
                self.report.mistake(&function.place, message);
            }
            return;
        };
        let logical_id = format!("{}LambdaFunction", normalized(&member.key));
        self.implied.push((
            format!("{}LogGroup", normalized(&member.key)),
            "AWS::Logs::LogGroup",
        ));
        let name = self.variables.child(&function, "name");
        let default = format!("{}-{}-{}", self.service, self.stage, member.key);
        let name = name.unwrap_or_else(|| text_at(&default, place));
        let own = |key: &str| self.variables.child(&function, key);
        let or_provider = |key: &str| own(key).or_else(|| self.variables.child(self.provider, key));
        let softly = |read: &dyn Fn() -> Option<Value>| self.report.softly(read);
        let properties = [
            ("FunctionName", Some(name)),
            ("Handler", softly(&|| own("handler"))),
            (
                "Runtime",
                softly(&|| or_provider("runtime")).or_else(|| Some(text_at(RUNTIME, place))),
            ),
            (
                "Timeout",
                softly(&|| or_provider("timeout")).or_else(|| Some(text_at(TIMEOUT, place))),
            ),
            (
                "MemorySize",
                softly(&|| or_provider("memorySize")).or_else(|| Some(text_at(MEMORY, place))),
            ),
            ("Layers", softly(&|| or_provider("layers"))),
            ("Code", softly(&|| self.code(&function))),
            ("Environment", Some(self.environment(&function, place))),
        ];
        self.add(&logical_id, "AWS::Lambda::Function", place, properties);
        self.events(&member.key, &function, &logical_id);
    }

    /// Where a function's code is, where that is said: the service's own folder otherwise.
    fn code(&self, function: &Value) -> Option<Value> {
        if let Some(image) = self.variables.child(function, "image") {
            let place = image.place.clone();
            return Some(Value::map([("ImageUri", image)], &place));
        }
        let package = self.variables.shallow(function.child("package")?);
        self.variables.child(&package, "artifact")
    }

    /// The provider's variables and the function's over them. Those without a value are left out: only the function needs
    /// them.
    fn environment(&self, function: &Value, place: &Place) -> Value {
        let mut variables = Value::new(What::Map(Vec::new()), place);
        for settings in [self.provider, function] {
            let Some(environment) = settings.child("environment") else {
                continue;
            };
            let environment = self.report.softly(|| self.variables.resolve(environment));
            let has_value =
                |member: &&Member| !matches!(member.value.what, What::Broken | What::Null);
            let known = environment.members().iter().filter(has_value).cloned();
            variables = over(&variables, &Value::new(What::Map(known.collect()), place));
        }
        Value::map([("Variables", variables)], place)
    }

    fn events(&mut self, function: &str, value: &Value, logical_id: &str) {
        let Some(events) = value.child("events") else {
            return;
        };
        let events = self.variables.shallow(events);
        let What::List(items) = &events.what else {
            if !events.is_broken() {
                let message = format!("events takes a list, found {}", events.describe());
                self.report.mistake(&events.place, message);
            }
            return;
        };
        for item in items {
            let event = self.variables.shallow(item);
            match (event.single(), event.as_text()) {
                (Some(member), _) if member.key == "websocket" => {
                    let websocket = self.variables.resolve(&member.value);
                    self.websocket(function, logical_id, &websocket, &member.place);
                }
                (Some(member), _) => self.other(&member.key, &member.place),
                (None, Some(name)) => self.other(name, &event.place),
                (None, None) if event.is_broken() => {}
                (None, None) => {
                    let message = "an event is a map with one key, such as websocket: $connect";
                    self.report.mistake(&event.place, message);
                }
            }
        }
    }

    fn other(&mut self, event: &str, place: &Place) {
        let said = match event {
            "http" => {
                self.implied
                    .push(("ApiGatewayRestApi".to_owned(), "AWS::ApiGateway::RestApi"));
                "comes by a REST API, which is not served yet"
            }
            "httpApi" => {
                self.implied
                    .push(("HttpApi".to_owned(), "AWS::ApiGateway::HttpApi"));
                "comes by an HTTP API, which is not served yet"
            }
            _ => "is not delivered here",
        };
        self.report
            .notice(place, format!("the event {} {said}", quoted(event)));
    }

    fn websocket(&mut self, function: &str, logical_id: &str, event: &Value, place: &Place) {
        if event.is_broken() {
            return;
        }
        let (route, route_place) = match (event.as_text(), event.child("route")) {
            (Some(route), _) => (route, &event.place),
            (None, Some(route)) if route.as_text().is_some() => {
                (route.as_text().unwrap_or_default(), &route.place)
            }
            (None, Some(route)) if route.is_broken() => return,
            _ => {
                let hint = "websocket: $connect, or websocket: { route: $connect }";
                self.report
                    .mistake_with_hint(place, "a websocket event names its route", hint);
                return;
            }
        };
        for member in event.members() {
            if !KEYS.contains(&&*member.key) {
                let message = format!("unknown key {}", quoted(&member.key));
                let hint = suggestion(&member.key, "the keys here are", &KEYS);
                self.report.add(&member.place, message, hint);
            }
        }
        self.first.get_or_insert_with(|| place.clone());
        let function_id = normalized(function);
        let integration = format!("{function_id}WebsocketsIntegration");
        if !self.taken.contains(&integration) {
            let uri = invocations(Value::attribute(logical_id, "Arn", place));
            let properties = [
                ("ApiId", Some(self.api_id(place))),
                ("IntegrationType", Some(text_at("AWS_PROXY", place))),
                ("IntegrationUri", Some(uri)),
            ];
            self.add(
                &integration,
                "AWS::ApiGatewayV2::Integration",
                place,
                properties,
            );
        }
        let id = format!("{}WebsocketsRoute", route_id(route));
        if self.taken.contains(&id) {
            let message = format!("two functions have the route {}", quoted(route));
            self.report.mistake(route_place, message);
            return;
        }
        let authorizer = self.authorizer(event.child("authorizer"), route);
        let kind = if authorizer.is_some() {
            "CUSTOM"
        } else {
            "NONE"
        };
        let kind_place = event
            .member("authorizer")
            .map_or(route_place, |member| &member.place);
        let target = [
            text_at("integrations/", place),
            Value::reference(&integration, place),
        ];
        let response = event.child("routeResponseSelectionExpression");
        let properties = [
            ("ApiId", Some(self.api_id(route_place))),
            ("RouteKey", Some(text_at(route, route_place))),
            ("AuthorizationType", Some(text_at(kind, kind_place))),
            (
                "AuthorizerId",
                authorizer.map(|id| Value::reference(&id, kind_place)),
            ),
            ("RouteResponseSelectionExpression", response.cloned()),
            ("Target", Some(Value::joined(target, route_place))),
        ];
        self.add(&id, "AWS::ApiGatewayV2::Route", route_place, properties);
        if let Some(response) = response {
            let place = &response.place;
            let properties = [
                ("ApiId", Some(self.api_id(place))),
                ("RouteId", Some(Value::reference(&id, place))),
                ("RouteResponseKey", Some(text_at("$default", place))),
            ];
            self.add(
                &format!("{id}Response"),
                "AWS::ApiGatewayV2::RouteResponse",
                place,
                properties,
            );
        }
        self.routes.push(id);
    }

    /// The API of the routes: one that exists, or the service's own.
    pub(super) fn api_id(&self, place: &Place) -> Value {
        self.existing_api()
            .unwrap_or_else(|| Value::reference("WebsocketsApi", place))
    }

    fn existing_api(&self) -> Option<Value> {
        let settings = self.variables.shallow(self.provider.child("apiGateway")?);
        self.variables.child(&settings, "websocketApiId")
    }

    fn setting(&self, key: &str, default: &str, place: &Place) -> Value {
        let written = self.variables.child(self.provider, key);
        written.unwrap_or_else(|| text_at(default, place))
    }

    /// Adds the API, its deployment and its stage.
    pub(super) fn finish(mut self) -> Made {
        let mut sections = Vec::new();
        if let Some(place) = self.first.clone() {
            let existing = self.existing_api();
            if existing.is_none() {
                self.api(&place);
            }
            self.deployment(&place, existing.as_ref());
            if existing.is_none() {
                self.stage(&place);
                sections.push(Member::new("Outputs", self.output(&place), &place));
            }
        }
        let place = self.provider.place.clone();
        let resources = Value::new(What::Map(self.resources), &place);
        sections.push(Member::new("Resources", resources, &place));
        Made {
            sections,
            implied: self.implied,
        }
    }

    fn tags(&self) -> Option<Value> {
        let settings = self.variables.shallow(self.provider.child("websocket")?);
        let use_tags = self.variables.child(&settings, "useProviderTags")?;
        (use_tags.as_bool() == Some(true)).then(|| self.variables.child(self.provider, "tags"))?
    }

    fn api(&mut self, place: &Place) {
        let name = format!("{}-{}-websockets", self.stage, self.service);
        let expression = "websocketsApiRouteSelectionExpression";
        let properties = [
            (
                "Name",
                Some(self.setting("websocketsApiName", &name, place)),
            ),
            (
                "Description",
                Some(self.setting("websocketsDescription", "Serverless Websockets", place)),
            ),
            ("ProtocolType", Some(text_at("WEBSOCKET", place))),
            (
                "RouteSelectionExpression",
                Some(self.setting(expression, "$request.body.action", place)),
            ),
            ("Tags", self.tags()),
        ];
        self.add("WebsocketsApi", "AWS::ApiGatewayV2::Api", place, properties);
    }

    fn deployment(&mut self, place: &Place, existing: Option<&Value>) {
        if let Some(id) = existing {
            let message = "the routes are added to an API that must exist";
            self.report.notice(&id.place, message);
        }
        let stage = existing.map(|_| text_at(self.stage, place));
        let properties = [
            ("ApiId", Some(self.api_id(place))),
            ("StageName", stage),
            ("Description", Some(text_at("Serverless Websockets", place))),
        ];
        self.add(
            "WebsocketsDeployment",
            "AWS::ApiGatewayV2::Deployment",
            place,
            properties,
        );
        let routes = self
            .routes
            .iter()
            .map(|route| text_at(route, place))
            .collect();
        let needs = Member::new("DependsOn", Value::list(routes, place), place);
        if let Some(What::Map(deployment)) =
            self.resources.last_mut().map(|last| &mut last.value.what)
        {
            deployment.push(needs);
        }
    }

    fn stage(&mut self, place: &Place) {
        let logs = self
            .provider
            .child("logs")
            .map(|logs| self.variables.shallow(logs));
        if let Some(member) = logs.as_ref().and_then(|logs| logs.member("websocket"))
            && self.variables.resolve(&member.value).as_bool() != Some(false)
        {
            let message = "logs.websocket is passed over: the log is the gateway's own";
            self.report.notice(&member.place, message);
        }
        let properties = [
            ("ApiId", Some(self.api_id(place))),
            ("StageName", Some(text_at(self.stage, place))),
            ("Description", Some(text_at("Serverless Websockets", place))),
            (
                "DeploymentId",
                Some(Value::reference("WebsocketsDeployment", place)),
            ),
            ("Tags", self.tags()),
        ];
        self.add(
            "WebsocketsDeploymentStage",
            "AWS::ApiGatewayV2::Stage",
            place,
            properties,
        );
    }

    fn output(&self, place: &Place) -> Value {
        let parts = [
            text_at("wss://", place),
            Value::reference("WebsocketsApi", place),
            text_at(".execute-api.", place),
            Value::reference("AWS::Region", place),
            text_at(".", place),
            Value::reference("AWS::URLSuffix", place),
            text_at(&format!("/{}", self.stage), place),
        ];
        let value = Value::map([("Value", Value::joined(parts, place))], place);
        Value::map([("ServiceEndpointWebsocket", value)], place)
    }

    pub(super) fn add<const N: usize>(
        &mut self,
        logical_id: &str,
        type_name: &str,
        place: &Place,
        properties: [(&str, Option<Value>); N],
    ) {
        let given = properties.into_iter();
        let members = given.filter_map(|(key, value)| Some(Member::new(key, value?, place)));
        let properties = Value::new(What::Map(members.collect()), place);
        let resource = [
            ("Type", text_at(type_name, place)),
            ("Properties", properties),
        ];
        let resource = Value::map(resource, place);
        self.taken.insert(logical_id.to_owned());
        self.resources
            .push(Member::new(logical_id, resource, place));
    }
}

/// `$connect` is `Sconnect`, as the framework has it in logical ids.
fn route_id(route: &str) -> String {
    let mut id = String::new();
    for c in route.chars() {
        match c {
            '$' => id.push('S'),
            '/' => id.push_str("Slash"),
            '-' => id.push_str("Dash"),
            '_' => id.push_str("Underscore"),
            '.' => id.push_str("Period"),
            // The framework leaves others as they are and CloudFormation refuses them; here they need no refusal.
            c if !c.is_ascii_alphanumeric() => {
                let code = u32::from(c);
                id.push('U');
                id.push_str(&code.to_string());
            }
            c => id.push(c),
        }
    }
    id
}
