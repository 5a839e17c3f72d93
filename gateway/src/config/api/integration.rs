//! Reads integrations: a URL or ARN alone, or a map with AWS's members.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use gateway_core::resource::{
    ContentHandling, HttpVersion, Integration, IntegrationResponse, IntegrationType,
    PassthroughBehavior, Preset,
};

use crate::config::keyed::{self, Keyed};
use crate::config::reader::{Cursor, Fields};
use crate::config::scalar;

const TYPES: [(&str, IntegrationType); 5] = [
    ("HTTP_PROXY", IntegrationType::HttpProxy),
    ("AWS_PROXY", IntegrationType::AwsProxy),
    ("HTTP", IntegrationType::Http),
    ("AWS", IntegrationType::Aws),
    ("MOCK", IntegrationType::Mock),
];

pub(super) const SHORT_FORM: &str =
    "a URL (http://…) or the ARN of a Lambda function (arn:aws:lambda:…)";

/// The ids that are taken, and how to make another.
#[derive(Default)]
pub(super) struct Ids(HashMap<String, u32>);

impl Ids {
    fn take(&mut self, id: &str) {
        self.0.insert(id.to_owned(), 1);
    }

    /// Those that are taken by now.
    pub(super) fn all(&self) -> HashSet<String> {
        self.0.keys().cloned().collect()
    }

    /// `$connect` becomes `connect`, `send message` becomes `send-message`; where that is taken, a number is added.
    pub(super) fn for_route(&mut self, route_key: &str) -> String {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let bare = route_key.strip_prefix('$').unwrap_or(route_key);
        let chars = bare.chars().take(64);
        let base: String = chars.map(|c| if legal(c) { c } else { '-' }).collect();
        let mut id = base.clone();
        // The count of a base only grows, so many equal ones do not search from the start each time.
        while self.0.contains_key(&id) {
            let count = self.0.entry(base.clone()).or_insert(1);
            *count += 1;
            id = format!("{base}-{count}");
        }
        self.take(&id);
        id
    }
}

pub(super) fn read_all(map: &Cursor<'_>, preset: Preset, ids: &mut Ids) -> Vec<Integration> {
    let mut integrations = Vec::new();
    for member in keyed::read(map, "integrationId") {
        // Taken even if it is wrong: what names it should not be reported as well.
        ids.take(member.id);
        if !scalar::is_name(member.id, 64) {
            member.mistake(
                "the id of an integration consists of up to 64 letters, digits, - and _",
                None,
            );
        }
        match &member.body {
            None => member.mistake("this integration says nothing; set integrationUri", None),
            Some(body) => {
                let fields = || member.fields();
                integrations.extend(read(body, fields, member.id, preset));
            }
        }
    }
    integrations
}

/// One integration; `fields` opens the map of the long form.
pub(super) fn read<'a>(
    cursor: &Cursor<'a>,
    fields: impl FnOnce() -> Option<Fields<'a>>,
    id: &str,
    preset: Preset,
) -> Option<Integration> {
    if let Some(uri) = cursor.scalar() {
        let Some(integration_type) = type_of(uri) else {
            cursor.expected(SHORT_FORM, None);
            return None;
        };
        let mut integration = Integration::new(id, integration_type);
        integration.integration_uri = Some(uri.to_owned());
        return Some(integration);
    }
    read_long(fields()?, id, preset)
}

/// What a URI without an integration type can only mean.
pub(super) fn type_of(uri: &str) -> Option<IntegrationType> {
    if uri.starts_with("http://") || uri.starts_with("https://") {
        return Some(IntegrationType::HttpProxy);
    }
    is_lambda(uri).then_some(IntegrationType::AwsProxy)
}

/// `arn:aws:lambda:…` or `arn:aws:apigateway:…`, in any partition.
fn is_lambda(uri: &str) -> bool {
    let mut parts = uri.split(':');
    let partition_is_aws = |partition: &str| partition == "aws" || partition.starts_with("aws-");
    parts.next() == Some("arn")
        && parts.next().is_some_and(partition_is_aws)
        && matches!(parts.next(), Some("lambda" | "apigateway"))
        && parts.next().is_some()
}

fn read_long(mut fields: Fields<'_>, id: &str, preset: Preset) -> Option<Integration> {
    let type_at = fields.take("integrationType");
    let uri_at = fields.take("integrationUri");
    let uri = uri_at.as_ref().and_then(Cursor::string);
    let integration_type = match (&type_at, &uri) {
        (Some(cursor), _) => cursor.one_of(&TYPES),
        (None, Some(uri)) if type_of(uri).is_some() => type_of(uri),
        _ => {
            fields.mistake("integrationType is missing");
            None
        }
    };
    let needs_uri = integration_type.is_some_and(|kind| kind != IntegrationType::Mock);
    if needs_uri && uri_at.is_none() {
        fields.mistake("integrationUri is missing");
    }
    let mut integration = Integration::new(id, integration_type.unwrap_or(IntegrationType::Mock));
    let i = &mut integration;
    i.integration_uri = uri;
    fields.set("integrationMethod", &mut i.integration_method, method);
    fields.set("timeoutInMillis", &mut i.timeout, |at| timeout(at, preset));
    fields.set("requestParameters", &mut i.request_parameters, |map| {
        Some(texts(map))
    });
    fields.set("requestTemplates", &mut i.request_templates, |map| {
        Some(texts(map))
    });
    i.template_selection_expression = fields.read("templateSelectionExpression", Cursor::string);
    fields.set("passthroughBehavior", &mut i.passthrough_behavior, |at| {
        at.one_of(&[
            ("WHEN_NO_MATCH", PassthroughBehavior::WhenNoMatch),
            ("WHEN_NO_TEMPLATES", PassthroughBehavior::WhenNoTemplates),
            ("NEVER", PassthroughBehavior::Never),
        ])
    });
    i.content_handling_strategy = fields.read("contentHandlingStrategy", content_handling);
    fields.set("integrationResponses", &mut i.integration_responses, |at| {
        Some(responses(at))
    });
    fields.set("httpVersion", &mut i.http_version, |at| {
        at.one_of(&[
            ("auto", HttpVersion::Auto),
            ("1.1", HttpVersion::Http1),
            ("2", HttpVersion::Http2),
        ])
    });
    fields.set("maxInFlight", &mut i.max_in_flight, |at| at.count(1));
    fields.finish();
    integration_type.map(|_| integration)
}

fn method(cursor: &Cursor<'_>) -> Option<String> {
    let method = cursor.string()?;
    if method != method.to_ascii_uppercase() || http::Method::from_bytes(method.as_bytes()).is_err()
    {
        cursor.expected("an HTTP method such as POST", None);
        return None;
    }
    Some(method)
}

/// "AWS quotas, WebSocket: integration timeout 50 milliseconds - 29 seconds"; only the preset `aws` holds to it.
fn timeout(cursor: &Cursor<'_>, preset: Preset) -> Option<Duration> {
    let (least, most) = match preset {
        Preset::Aws => (50, 29_000),
        Preset::Open => (1, 86_400_000),
    };
    let what = format!("a number of milliseconds from {least} to {most}");
    let millis = cursor.number_of(&what, least, most)?;
    Some(Duration::from_millis(u64::from(millis)))
}

fn content_handling(cursor: &Cursor<'_>) -> Option<ContentHandling> {
    cursor.one_of(&[
        ("CONVERT_TO_BINARY", ContentHandling::ConvertToBinary),
        ("CONVERT_TO_TEXT", ContentHandling::ConvertToText),
    ])
}

/// A map of texts.
pub(super) fn texts(map: &Cursor<'_>) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for (entry, cursor) in map.members() {
        if let Some(text) = cursor.text() {
            texts.insert(entry.key.clone(), text.to_owned());
        }
    }
    texts
}

fn responses(map: &Cursor<'_>) -> Vec<IntegrationResponse> {
    let members = keyed::read(map, "integrationResponseKey");
    members.iter().map(response).collect()
}

fn response(member: &Keyed<'_>) -> IntegrationResponse {
    let mut response = IntegrationResponse {
        integration_response_key: member.id.to_owned(),
        template_selection_expression: None,
        response_templates: BTreeMap::new(),
        content_handling_strategy: None,
    };
    if let Some(mut fields) = member.fields() {
        response.template_selection_expression =
            fields.read("templateSelectionExpression", Cursor::string);
        fields.set(
            "responseTemplates",
            &mut response.response_templates,
            |map| Some(texts(map)),
        );
        response.content_handling_strategy =
            fields.read("contentHandlingStrategy", content_handling);
        fields.finish();
    }
    response
}
