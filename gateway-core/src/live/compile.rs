//! Resources to [`LiveStage`], or the list of all their mistakes at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::authorizer;
use super::templates::refusal;
use super::uri::{UriTemplate, substitute};
use super::{
    HttpMapping, LiveAuthorizer, LiveBackend, LiveHttp, LiveIntegration, LiveResponse, LiveRoute,
    LiveStage, Parameter, Parameters, Source, Target, Templates,
};
use crate::expression::{Kind, ResponseKey, SelectionExpression};
use crate::lambda_arn::LambdaTarget;
use crate::resource::{
    Api, AuthorizationType, ContentHandling, Integration, IntegrationType, PassthroughBehavior,
    ProtocolType, Route, Stage,
};

/// One thing wrong with an API, where it stands and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Members from the API down, such as `["routes", "echo", "integration", "integrationUri"]`.
    pub path: Vec<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Compiles one stage of an API.
pub fn compile(api: &Api, stage: &Stage) -> Result<LiveStage, Vec<Mistake>> {
    match compiled(api, stage) {
        (Some(live), mistakes) if mistakes.is_empty() => Ok(live),
        (_, mistakes) => Err(mistakes),
    }
}

/// Compiles one stage as far as it goes: a route that cannot be served is closed and the others are served, as on AWS, where a
/// deployment does not look behind its resources. No stage where the API's own expression makes no sense.
pub fn compile_deployed(api: &Api, stage: &Stage) -> (Option<LiveStage>, Vec<Mistake>) {
    let (live, mut mistakes) = compiled(api, stage);
    if api.protocol_type == ProtocolType::Http {
        // The rest is judged by rules that are not its own.
        mistakes.truncate(1);
    }
    (live, mistakes)
}

fn compiled(api: &Api, stage: &Stage) -> (Option<LiveStage>, Vec<Mistake>) {
    let mut compiler = Compiler {
        stage,
        mistakes: Vec::new(),
        warnings: Vec::new(),
    };
    let live = compiler.stage(api).map(|live| LiveStage {
        warnings: compiler.warnings,
        ..live
    });
    (live, compiler.mistakes)
}

struct Compiler<'a> {
    stage: &'a Stage,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

impl Mistake {
    fn at(path: &[&str], message: impl Into<String>) -> Self {
        Self {
            path: path.iter().map(|&member| member.to_owned()).collect(),
            message: message.into(),
        }
    }
}

impl Compiler<'_> {
    fn stage(&mut self, api: &Api) -> Option<LiveStage> {
        if api.protocol_type == ProtocolType::Http {
            self.wrong(
                &["protocolType"],
                "HTTP APIs are not served yet; only WEBSOCKET",
            );
        }
        let route_selection = self.expression(
            &["routeSelectionExpression"],
            &api.route_selection_expression,
            Kind::Route,
        );
        let mut integrations = Vec::new();
        let mut by_id = HashMap::new();
        for integration in &api.integrations {
            let before = self.mistakes.len();
            let place = ["integrations", integration.integration_id.as_str()];
            if let Some(live) = self.integration(integration, integrations.len(), &place) {
                let live = Arc::new(live);
                by_id.insert(integration.integration_id.as_str(), Arc::clone(&live));
                integrations.push(live);
            }
            debug_assert!(
                by_id.contains_key(integration.integration_id.as_str())
                    || self.mistakes.len() > before
            );
        }
        let authorizers = self.authorizers(api);
        let (mut routes, mut by_key) = (Vec::new(), HashMap::new());
        for route in &api.routes {
            let live = Arc::new(self.route(api, route, routes.len(), &by_id, &authorizers));
            if by_key
                .insert(live.route_key.clone(), Arc::clone(&live))
                .is_some()
            {
                self.wrong(
                    &["routes", &route.route_key],
                    "this route key is defined twice",
                );
            }
            routes.push(live);
        }
        if api.protocol_type == ProtocolType::Http {
            let unused = SelectionExpression::parse(Api::DEFAULT_ROUTE_SELECTION, Kind::Route);
            return Some(self.empty(api, unused.ok()?));
        }
        Some(LiveStage {
            routes,
            integrations,
            authorizers,
            by_key,
            ..self.empty(api, route_selection?)
        })
    }

    /// A stage without routes.
    fn empty(&self, api: &Api, route_selection: SelectionExpression) -> LiveStage {
        LiveStage {
            warnings: Vec::new(),
            api_id: api.api_id.as_str().into(),
            stage_name: self.stage.stage_name.as_str().into(),
            protocol_type: api.protocol_type,
            limits: api.limits.clone(),
            allowed_origins: api.allowed_origins.clone(),
            disable_execute_api_endpoint: api.disable_execute_api_endpoint,
            stage_variables: self.stage.stage_variables.clone(),
            routes: Vec::new(),
            integrations: Vec::new(),
            authorizers: Vec::new(),
            route_selection,
            by_key: HashMap::new(),
        }
    }

    fn route(
        &mut self,
        api: &Api,
        route: &Route,
        index: usize,
        integrations: &HashMap<&str, Arc<LiveIntegration>>,
        authorizers: &[Arc<LiveAuthorizer>],
    ) -> LiveRoute {
        let key = route.route_key.as_str();
        let before = self.mistakes.len();
        let mut broken = None;
        let at = |member: &'static str| ["routes", key, member];
        if key.starts_with('$') && !["$connect", "$disconnect", "$default"].contains(&key) {
            self.wrong(
                &["routes", key],
                "only $connect, $disconnect and $default may begin with '$'",
            );
        }
        if key.is_empty() {
            self.wrong(&["routes", key], "an empty route key can never be selected");
        }
        let integration = route.target.as_deref().and_then(|target| {
            let id = target.strip_prefix("integrations/").unwrap_or(target);
            let known = api
                .integrations
                .iter()
                .any(|integration| integration.integration_id == id);
            if !known {
                self.wrong(&at("target"), format!("there is no integration '{id}'"));
            }
            let integration = integrations.get(id).cloned();
            if integration.is_none() {
                broken = Some(format!("its integration '{id}' cannot be called"));
            }
            integration
        });
        let authorizer = self.authorizer(api, route, authorizers);
        if authorizer.is_err() {
            broken = Some("its authorizer cannot be asked".to_owned());
        }
        if let Some(expression) = &route.route_response_selection_expression {
            self.expression(
                &at("routeResponseSelectionExpression"),
                expression,
                Kind::RouteResponse,
            );
        }
        let required = route
            .request_parameters
            .iter()
            .filter_map(|(name, constraints)| {
                let source = match Source::parse(name, &self.stage.stage_variables) {
                    Ok(source) => source,
                    Err(error) => {
                        self.wrong(&["routes", key, "requestParameters", name], error);
                        return None;
                    }
                };
                // `route.request.header.NAME`, and a name may hold dots.
                let short = name.splitn(4, '.').last().unwrap_or(name).to_owned();
                constraints.required.then_some((source, short))
            })
            .collect();
        let settings = self
            .stage
            .route_settings
            .get(key)
            .copied()
            .unwrap_or_default();
        let defaults = self.stage.default_route_settings;
        let rate = settings
            .throttling_rate_limit
            .or(defaults.throttling_rate_limit);
        let burst = settings
            .throttling_burst_limit
            .or(defaults.throttling_burst_limit);
        let not_built = unenforced(route).map(|setting| format!("{setting} is not enforced yet"));
        let wrong = self.mistakes.get(before).map(|first| first.message.clone());
        let closed = not_built.or(broken).or(wrong);
        LiveRoute {
            index,
            route_key: key.into(),
            closed: closed.map(Into::into),
            authorizer: authorizer.ok().flatten(),
            two_way: route
                .route_responses
                .iter()
                .any(|r| r.route_response_key == "$default"),
            integration,
            concurrency: route.concurrency.unwrap_or(api.limits.concurrency).max(1),
            required,
            // "Route default throttle: rate 10,000, burst 5,000": the half that was not set.
            throttle: (rate.is_some() || burst.is_some())
                .then(|| (rate.unwrap_or(10_000.0), burst.unwrap_or(5_000))),
        }
    }

    /// Those that can be asked.
    fn authorizers(&mut self, api: &Api) -> Vec<Arc<LiveAuthorizer>> {
        let mut live = Vec::new();
        for authorizer in &api.authorizers {
            match authorizer::compile(authorizer, live.len(), &self.stage.stage_variables) {
                Ok(authorizer) => live.push(Arc::new(authorizer)),
                Err(mistakes) => {
                    let id = authorizer.authorizer_id.as_str();
                    for (member, message) in mistakes {
                        self.wrong(&["authorizers", id, member], message);
                    }
                }
            }
        }
        live
    }

    /// Who judges the route's calls: nobody but on `$connect` (AWS authorizes the handshake alone).
    fn authorizer(
        &mut self,
        api: &Api,
        route: &Route,
        authorizers: &[Arc<LiveAuthorizer>],
    ) -> Result<Option<Arc<LiveAuthorizer>>, ()> {
        if route.authorization_type != AuthorizationType::Custom {
            return Ok(None);
        }
        let key = route.route_key.as_str();
        let Some(id) = route.authorizer_id.as_deref() else {
            let message = "authorizationType CUSTOM needs an authorizerId";
            self.wrong(&["routes", key, "authorizationType"], message);
            return Err(());
        };
        let place = ["routes", key, "authorizerId"];
        let mut known = api.authorizers.iter();
        if !known.any(|authorizer| authorizer.authorizer_id == id) {
            self.wrong(&place, format!("there is no authorizer '{id}'"));
            return Err(());
        }
        if key == "$connect" {
            let live = authorizers.iter().find(|live| &*live.authorizer_id == id);
            return live.cloned().map(Some).ok_or(());
        }
        // On AWS it says nothing. Where nobody comes in unjudged that does no harm; elsewhere it would be an open door.
        let mut routes = api.routes.iter();
        let place = ["routes", key, "authorizationType"];
        if routes
            .any(|r| r.route_key == "$connect" && r.authorization_type == AuthorizationType::Custom)
        {
            let message = "only $connect is authorized, as on AWS; authorizationType CUSTOM says nothing here";
            self.warnings.push(Mistake::at(&place, message));
            return Ok(None);
        }
        let message = "only $connect is authorized, as on AWS; put authorizationType CUSTOM there";
        self.wrong(&place, message);
        Err(())
    }

    fn integration(
        &mut self,
        integration: &Integration,
        index: usize,
        place: &[&str],
    ) -> Option<LiveIntegration> {
        let before = self.mistakes.len();
        let parameters = self.parameters(integration, place);
        let backend = match integration.integration_type {
            IntegrationType::Aws => {
                let message = "AWS integrations need mapping templates, which are not built yet; use AWS_PROXY";
                self.wrong(&join(place, "integrationType"), message);
                None
            }
            IntegrationType::AwsProxy => self.lambda(integration, place),
            IntegrationType::Http | IntegrationType::HttpProxy => self
                .http(integration, place, &parameters)
                .map(LiveBackend::Http),
            IntegrationType::Mock => Some(self.mock(integration, place)),
        };
        let backend = backend.filter(|_| self.mistakes.len() == before)?;
        Some(LiveIntegration {
            index,
            integration_id: integration.integration_id.as_str().into(),
            timeout: integration.timeout,
            max_in_flight: integration.max_in_flight.max(1),
            parameters: Parameters::new(parameters),
            backend,
        })
    }

    fn parameters(&mut self, integration: &Integration, place: &[&str]) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        for (target, source) in &integration.request_parameters {
            let at = [place, &["requestParameters", target]].concat();
            match (
                Target::parse(target),
                Source::parse(source, &self.stage.stage_variables),
            ) {
                (Ok(target), Ok(source)) => parameters.push(Parameter { target, source }),
                (target, source) => {
                    for error in [target.err(), source.err()].into_iter().flatten() {
                        self.wrong(&at, error);
                    }
                }
            }
        }
        parameters
    }

    fn uri(&mut self, integration: &Integration, place: &[&str]) -> Option<String> {
        let Some(uri) = &integration.integration_uri else {
            self.wrong(
                &join(place, "integrationUri"),
                "this integration type needs an integrationUri",
            );
            return None;
        };
        Some(substitute(uri, &self.stage.stage_variables))
    }

    fn lambda(&mut self, integration: &Integration, place: &[&str]) -> Option<LiveBackend> {
        let uri = self.uri(integration, place)?;
        let target = LambdaTarget::parse(&uri)
            .map_err(|error| self.wrong(&join(place, "integrationUri"), error.to_string()))
            .ok()?;
        let encode_body =
            integration.content_handling_strategy == Some(ContentHandling::ConvertToBinary);
        Some(LiveBackend::Lambda {
            target,
            encode_body,
        })
    }

    fn http(
        &mut self,
        integration: &Integration,
        place: &[&str],
        parameters: &[Parameter],
    ) -> Option<LiveHttp> {
        let text = self.uri(integration, place)?;
        let uri = UriTemplate::parse(&text)
            .map_err(|error| self.wrong(&join(place, "integrationUri"), error))
            .ok()?;
        for name in uri.names() {
            if !parameters
                .iter()
                .any(|p| matches!(&p.target, Target::Path(path) if path == name))
            {
                let message = format!(
                    "'{{{name}}}' has no value: map one with integration.request.path.{name}"
                );
                self.wrong(&join(place, "integrationUri"), message);
            }
        }
        let method = http::Method::from_bytes(integration.integration_method.as_bytes()).ok();
        let Some(method) = method.filter(|method| *method != http::Method::CONNECT) else {
            self.wrong(
                &join(place, "integrationMethod"),
                "this is not an HTTP method",
            );
            return None;
        };
        let mapping =
            (integration.integration_type == IntegrationType::Http).then(|| HttpMapping {
                request: self.request_templates(integration, place),
                responses: self.responses(integration, place),
            });
        Some(LiveHttp {
            method,
            uri,
            version: integration.http_version,
            decode_body: integration.content_handling_strategy
                == Some(ContentHandling::ConvertToBinary),
            mapping,
        })
    }

    fn mock(&mut self, integration: &Integration, place: &[&str]) -> LiveBackend {
        let request = self.request_templates(integration, place);
        for text in request.texts() {
            if super::templates::mock_status(text).is_none() {
                let message =
                    "a MOCK request template must give a status, such as {\"statusCode\": 200}";
                self.wrong(&join(place, "requestTemplates"), message);
            }
        }
        if request.texts().next().is_none() {
            let message = "a MOCK integration answers from its templates; give it one, such as \
                           application/json: '{\"statusCode\": 200}'";
            self.wrong(&join(place, "requestTemplates"), message);
        }
        LiveBackend::Mock {
            request,
            responses: self.responses(integration, place),
        }
    }

    fn request_templates(&mut self, integration: &Integration, place: &[&str]) -> Templates {
        let selection = integration
            .template_selection_expression
            .as_deref()
            .and_then(|text| {
                self.expression(
                    &join(place, "templateSelectionExpression"),
                    text,
                    Kind::RequestTemplate,
                )
            });
        let place = join(place, "requestTemplates");
        self.templates(
            &place,
            selection,
            &integration.request_templates,
            integration.passthrough_behavior,
        )
    }

    fn responses(&mut self, integration: &Integration, place: &[&str]) -> Vec<LiveResponse> {
        let mut responses = Vec::new();
        for response in &integration.integration_responses {
            let key = response.integration_response_key.as_str();
            let place = [place, &["integrationResponses", key]].concat();
            let selection = response
                .template_selection_expression
                .as_deref()
                .and_then(|text| {
                    self.expression(
                        &join(&place, "templateSelectionExpression"),
                        text,
                        Kind::ResponseTemplate,
                    )
                });
            let at = join(&place, "responseTemplates");
            let templates = self.templates(
                &at,
                selection,
                &response.response_templates,
                PassthroughBehavior::WhenNoMatch,
            );
            match ResponseKey::parse(key) {
                Ok(key) => responses.push(LiveResponse {
                    key,
                    templates,
                    content_handling: response.content_handling_strategy,
                }),
                Err(error) => self.wrong(&place, error.to_string()),
            }
        }
        responses
    }

    fn templates(
        &mut self,
        place: &[&str],
        selection: Option<SelectionExpression>,
        by_key: &BTreeMap<String, String>,
        passthrough: PassthroughBehavior,
    ) -> Templates {
        for (key, text) in by_key {
            if let Some(refusal) = refusal(text) {
                self.wrong(&join(place, key), refusal);
            }
        }
        let variables = match &selection {
            Some(_) => self.stage.stage_variables.clone(),
            None => BTreeMap::new(),
        };
        Templates::new(selection, variables, by_key.clone(), passthrough)
    }

    fn expression(
        &mut self,
        place: &[&str],
        text: &str,
        kind: Kind,
    ) -> Option<SelectionExpression> {
        match SelectionExpression::parse(text, kind) {
            Ok(expression) => {
                let doubts = expression.warnings().iter();
                self.warnings
                    .extend(doubts.map(|doubt| Mistake::at(place, doubt.to_string())));
                Some(expression)
            }
            Err(error) => {
                self.wrong(place, error.to_string());
                None
            }
        }
    }

    fn wrong(&mut self, path: &[&str], message: impl Into<String>) {
        self.mistakes.push(Mistake::at(path, message));
    }
}

fn join<'a>(place: &[&'a str], member: &'a str) -> Vec<&'a str> {
    [place, &[member]].concat()
}

/// A setting that is stored and not enforced yet must never open the door.
fn unenforced(route: &Route) -> Option<&'static str> {
    match route.authorization_type {
        AuthorizationType::None | AuthorizationType::Custom => {}
        AuthorizationType::AwsIam => return Some("authorizationType AWS_IAM"),
        AuthorizationType::Jwt => return Some("authorizationType JWT"),
    }
    if route.api_key_required {
        return Some("apiKeyRequired");
    }
    route
        .model_selection_expression
        .as_ref()
        .map(|_| "modelSelectionExpression")
}
