//! The operations, one after the other, on one catalog.
#![allow(clippy::needless_pass_by_value)] // `json!` at each call reads better without a borrow.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::lambda_arn::LambdaTarget;

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

/// A catalog with a clock that goes on by a second with each request.
struct Service {
    catalog: Catalog,
    now: u64,
    ids: u32,
}

impl Service {
    fn new() -> Self {
        Self {
            catalog: Catalog::default(),
            now: 1_731_332_732_513,
            ids: 0,
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Result<Answer, LambdaApiError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = format!("/2015-03-31/functions{path}");
        let body = match body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        let request = Request {
            method,
            path: &path,
            query,
            body: body.as_bytes(),
        };
        let archive = upload(&request)?;
        self.now += 1000;
        let ids = &mut self.ids;
        let mut context = Context {
            now: self.now,
            region: "us-east-1",
            account_id: "000000000000",
            architecture: "x86_64",
            code: archive.map(|bytes| Code {
                sha256: String::from_utf8(bytes.clone()).unwrap(),
                size: bytes.len() as u64,
            }),
            new_id: &mut || {
                *ids += 1;
                format!("revision-{ids}")
            },
        };
        let mut catalog = self.catalog.clone();
        let answer = answer(&mut catalog, &request, &mut context)?;
        self.catalog = catalog;
        Ok(answer)
    }

    #[track_caller]
    fn done(&mut self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.ask(method, path, &body).unwrap();
        assert!(answer.status < 300);
        answer.body.unwrap_or_default()
    }

    #[track_caller]
    fn refused(&mut self, method: &str, path: &str, body: Value, shape: &str, part: &str) {
        let error = self.ask(method, path, &body).unwrap_err();
        assert_eq!(error.shape(), shape, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }

    fn with_function() -> Self {
        let mut service = Self::new();
        service.done("POST", "", function("f"));
        service
    }
}

/// `Zip*` is legal base64 of three bytes.
fn function(name: &str) -> Value {
    json!({"FunctionName": name, "Runtime": "nodejs20.x", "Role": ROLE, "Handler": "app.handler", "Code": {"ZipFile": "b25l"}})
}

fn with(name: &str, value: Value) -> Value {
    let mut body = function("g");
    body[name] = value;
    body
}

#[test]
fn a_new_function_has_the_defaults_of_aws() {
    let mut service = Service::new();
    let made = service.ask("POST", "", &function("f")).unwrap();
    assert_eq!(made.status, 201);
    let made = made.body.unwrap();
    let expected = json!({
        "FunctionName": "f",
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "Runtime": "nodejs20.x", "Role": ROLE, "Handler": "app.handler",
        "CodeSize": 3, "CodeSha256": "one", "Description": "", "Timeout": 3, "MemorySize": 128,
        "LastModified": "2024-11-11T13:45:33.513+0000",
        "Version": "$LATEST", "State": "Active", "LastUpdateStatus": "Successful", "PackageType": "Zip",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name}");
    }
    assert!(made.get("Environment").is_none());
    let got = service.done("GET", "/f", Value::Null);
    assert_eq!(got["Configuration"], made);
    let listed = service.done("GET", "/", Value::Null);
    assert_eq!(listed["Functions"], json!([made]));
    assert_eq!(listed["NextMarker"], Value::Null);
}

#[test]
fn members_that_break_a_rule_are_named() {
    let mut service = Service::with_function();
    let mut bad =
        |body: Value, shape: &str, part: &str| service.refused("POST", "", body, shape, part);
    let invalid = "InvalidParameterValueException";
    let validation = "ValidationException";
    bad(
        function("f"),
        "ResourceConflictException",
        "Function already exist: f",
    );
    bad(json!({}), validation, "'functionName'");
    bad(
        json!("[]"),
        "SerializationException",
        "must be a JSON object",
    );
    bad(json!("{"), "SerializationException", "Could not parse");
    bad(function("a b"), validation, "'functionName'");
    bad(function("a:1"), validation, "'functionName'");
    bad(
        with("Runtime", json!("java21")),
        invalid,
        "endpoint in wiregate.yaml",
    );
    bad(with("Runtime", Value::Null), validation, "'runtime'");
    bad(
        with("Runtime", json!(3)),
        "SerializationException",
        "Runtime must be a string",
    );
    bad(with("Handler", json!("a b")), validation, "'handler'");
    bad(with("Handler", Value::Null), validation, "'handler'");
    bad(with("Role", json!("r")), validation, "'role'");
    bad(with("Role", Value::Null), validation, "'role'");
    bad(
        with("Timeout", json!(0)),
        validation,
        "greater than or equal to 1",
    );
    bad(
        with("Timeout", json!(901)),
        validation,
        "less than or equal to 900",
    );
    bad(
        with("Timeout", json!(99_999_999_999_u64)),
        validation,
        "less than or equal to 900",
    );
    bad(
        with("MemorySize", json!(64)),
        validation,
        "greater than or equal to 128",
    );
    bad(
        with("Description", json!("x".repeat(257))),
        validation,
        "'description'",
    );
    bad(
        with("Environment", json!({"Variables": {"1a": "x"}})),
        validation,
        "'environment.variables'",
    );
    bad(
        with("Environment", json!({"Variables": {"_HANDLER": "x"}})),
        invalid,
        "reserved keys",
    );
    bad(
        with(
            "Environment",
            json!({"Variables": {"AB": "x".repeat(5000)}}),
        ),
        invalid,
        "4KB",
    );
    bad(
        with("Environment", json!({"Variables": {"AB": 1}})),
        "SerializationException",
        "Variables.AB",
    );
    bad(
        with("Layers", json!(["arn:aws:lambda:us-east-1:1:layer:x:1"])),
        invalid,
        "Layers:",
    );
    bad(
        with("PackageType", json!("Image")),
        invalid,
        "PackageType Image",
    );
    bad(with("Code", json!({})), invalid, "source for function code");
    bad(
        with("Code", json!({"S3Bucket": "b", "S3Key": "k"})),
        invalid,
        "ZipFile",
    );
    bad(
        with("Code", json!({"ZipFile": "!"})),
        "SerializationException",
        "base64",
    );
}

#[test]
fn functions_are_found_by_every_form_of_their_name() {
    let mut service = Service::with_function();
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    for name in [
        "f",
        "f:$LATEST",
        "000000000000:function:f",
        "function:f",
        arn,
        &arn.replace(':', "%3A"),
    ] {
        let got = service.done("GET", &format!("/{name}/configuration"), Value::Null);
        assert_eq!(got["FunctionName"], "f", "{name}");
    }
    let not = "ResourceNotFoundException";
    service.refused(
        "GET",
        "/g",
        Value::Null,
        not,
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:g",
    );
    service.refused("GET", "/f?Qualifier=7", Value::Null, not, ":function:f:7");
    service.refused("GET", "/f:live", Value::Null, not, ":function:f:live");
    service.refused(
        "GET",
        "/arn:aws:lambda:us-east-1:111111111111:function:f",
        Value::Null,
        not,
        ":111111111111:",
    );
    service.refused(
        "GET",
        "/f:1?Qualifier=2",
        Value::Null,
        "InvalidParameterValueException",
        "does not match",
    );
    service.refused(
        "GET",
        "/a%20b",
        Value::Null,
        "ValidationException",
        "'functionName'",
    );
    service.refused("PATCH", "/f", Value::Null, not, "no operation");
}

#[test]
fn what_is_published_never_changes_and_aliases_move() {
    let mut service = Service::with_function();
    let first = service.done("POST", "/f/versions", json!({"Description": "first"}));
    assert_eq!(
        (&first["Version"], &first["Description"]),
        (&json!("1"), &json!("first"))
    );
    assert_eq!(
        first["FunctionArn"],
        "arn:aws:lambda:us-east-1:000000000000:function:f:1"
    );
    // Nothing has changed since.
    assert_eq!(
        service.done("POST", "/f/versions", Value::Null)["Version"],
        "1"
    );
    let alias = json!({"Name": "live", "FunctionVersion": "1"});
    let made = service.done("POST", "/f/aliases", alias.clone());
    assert_eq!(
        made["AliasArn"],
        "arn:aws:lambda:us-east-1:000000000000:function:f:live"
    );
    service.refused(
        "POST",
        "/f/aliases",
        alias,
        "ResourceConflictException",
        "Alias already exists",
    );
    service.refused(
        "POST",
        "/f/aliases",
        json!({"Name": "7", "FunctionVersion": "1"}),
        "ValidationException",
        "'name'",
    );
    service.refused(
        "POST",
        "/f/aliases",
        json!({"Name": "x", "FunctionVersion": "9"}),
        "ResourceNotFoundException",
        ":f:9",
    );
    let weights = json!({"Name": "x", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}});
    service.refused(
        "POST",
        "/f/aliases",
        weights,
        "InvalidParameterValueException",
        "RoutingConfig",
    );

    service.done(
        "PUT",
        "/f/configuration",
        json!({"Timeout": 9, "Environment": {"Variables": {"AB": "1"}}}),
    );
    let updated = service.done(
        "PUT",
        "/f/code",
        json!({"ZipFile": "dHdv", "Publish": true}),
    );
    assert_eq!(
        (&updated["Version"], &updated["CodeSha256"]),
        (&json!("2"), &json!("two"))
    );
    let live = service.done("GET", "/f:live/configuration", Value::Null);
    assert_eq!(
        (&live["CodeSha256"], &live["Timeout"], &live["Version"]),
        (&json!("one"), &json!(3), &json!("1"))
    );
    service.done("PUT", "/f/aliases/live", json!({"FunctionVersion": "2"}));
    let live = service.done("GET", "/f?Qualifier=live", Value::Null);
    assert_eq!(live["Configuration"]["CodeSha256"], "two");
    assert_eq!(
        live["Configuration"]["Environment"],
        json!({"Variables": {"AB": "1"}})
    );

    service.refused(
        "DELETE",
        "/f:2",
        Value::Null,
        "ResourceConflictException",
        "alias live",
    );
    service.refused(
        "DELETE",
        "/f:$LATEST",
        Value::Null,
        "InvalidParameterValueException",
        "$LATEST",
    );
    service.done("DELETE", "/f?Qualifier=1", Value::Null);
    let versions = service.done("GET", "/f/versions", Value::Null);
    let numbers: Vec<&Value> = versions["Versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["Version"])
        .collect();
    assert_eq!(numbers, ["$LATEST", "2"]);
    service.done("DELETE", "/f/aliases/live", Value::Null);
    service.refused(
        "GET",
        "/f/aliases/live",
        Value::Null,
        "ResourceNotFoundException",
        "Cannot find alias arn",
    );
    service.done("DELETE", "/f", Value::Null);
    service.refused(
        "DELETE",
        "/f",
        Value::Null,
        "ResourceNotFoundException",
        "Function not found",
    );
}

#[test]
fn whoever_names_an_old_revision_changes_nothing() {
    let mut service = Service::with_function();
    let old = service.done("GET", "/f/configuration", Value::Null)["RevisionId"].clone();
    service.done(
        "PUT",
        "/f/configuration",
        json!({"Timeout": 9, "RevisionId": old}),
    );
    let stale = json!({"Timeout": 5, "RevisionId": old});
    service.refused(
        "PUT",
        "/f/configuration",
        stale,
        "PreconditionFailedException",
        "RevisionId",
    );
    let stale = json!({"ZipFile": "dHdv", "RevisionId": old});
    service.refused(
        "PUT",
        "/f/code",
        stale,
        "PreconditionFailedException",
        "RevisionId",
    );
    let dry = service.done(
        "PUT",
        "/f/code",
        json!({"ZipFile": "dHdv", "DryRun": true, "Publish": true}),
    );
    assert_eq!(
        (&dry["CodeSha256"], &dry["Version"]),
        (&json!("one"), &json!("$LATEST"))
    );
    let hash = json!({"CodeSha256": "other"});
    service.refused(
        "POST",
        "/f/versions",
        hash,
        "InvalidParameterValueException",
        "CodeSHA256",
    );
    let got = service.done("GET", "/f/configuration", Value::Null);
    assert_eq!(
        (&got["Timeout"], &got["CodeSha256"]),
        (&json!(9), &json!("one"))
    );
}

#[test]
fn permissions_are_kept_and_told() {
    let mut service = Service::with_function();
    let given = json!({"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com",
        "SourceArn": "arn:aws:execute-api:us-east-1:000000000000:a/*"});
    let added = service.ask("POST", "/f/policy", &given).unwrap();
    assert_eq!(added.status, 201);
    let statement: Value =
        serde_json::from_str(added.body.unwrap()["Statement"].as_str().unwrap()).unwrap();
    assert_eq!(
        statement["Principal"],
        json!({"Service": "apigateway.amazonaws.com"})
    );
    assert_eq!(
        statement["Condition"]["ArnLike"]["AWS:SourceArn"],
        "arn:aws:execute-api:us-east-1:000000000000:a/*"
    );
    service.refused(
        "POST",
        "/f/policy",
        given,
        "ResourceConflictException",
        "(s) provided already exists",
    );
    let policy = service.done("GET", "/f/policy", Value::Null);
    let policy: Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"], json!([statement]));
    service.refused(
        "GET",
        "/f/policy?Qualifier=$LATEST",
        Value::Null,
        "ResourceNotFoundException",
        "does not exist",
    );
    service.done("DELETE", "/f/policy/s", Value::Null);
    service.refused(
        "DELETE",
        "/f/policy/s",
        Value::Null,
        "ResourceNotFoundException",
        "does not exist",
    );
}

#[test]
fn a_list_comes_in_pages_without_gap_or_overlap() {
    let mut service = Service::new();
    for number in 0..7 {
        service.done("POST", "", function(&format!("f{number}")));
    }
    let (mut names, mut marker) = (Vec::new(), String::new());
    loop {
        let page = service.done(
            "GET",
            &format!("?MaxItems=3&Marker={}", marker.replace('=', "%3D")),
            Value::Null,
        );
        let functions = page["Functions"].as_array().unwrap();
        assert!(functions.len() <= 3);
        names.extend(
            functions
                .iter()
                .map(|one| one["FunctionName"].as_str().unwrap().to_owned()),
        );
        match page["NextMarker"].as_str() {
            Some(next) => next.clone_into(&mut marker),
            None => break,
        }
    }
    assert_eq!(names, ["f0", "f1", "f2", "f3", "f4", "f5", "f6"]);
    service.refused(
        "GET",
        "?Marker=x",
        Value::Null,
        "InvalidParameterValueException",
        "marker",
    );
    service.refused(
        "GET",
        "?MaxItems=0",
        Value::Null,
        "ValidationException",
        "'maxItems'",
    );
    service.refused(
        "GET",
        "?FunctionVersion=x",
        Value::Null,
        "ValidationException",
        "[ALL]",
    );
    service.done("POST", "/f0/versions", Value::Null);
    let all = service.done("GET", "?FunctionVersion=ALL", Value::Null);
    assert_eq!(all["Functions"].as_array().unwrap().len(), 8);
}

#[test]
fn what_a_file_declares_is_seen_and_not_changed() {
    let mut service = Service::with_function();
    let (_, entry) = service.catalog.created().next().unwrap();
    let declared = BTreeMap::from([
        ("f".to_owned(), entry.clone()),
        ("g".to_owned(), entry.clone()),
    ]);
    service.catalog.declare(declared);
    let conflict = "ResourceConflictException";
    service.refused("POST", "", function("g"), conflict, "comes from a file");
    service.refused("DELETE", "/f", Value::Null, conflict, "comes from a file");
    service.refused(
        "PUT",
        "/g/configuration",
        json!({"Timeout": 5}),
        conflict,
        "comes from a file",
    );
    let listed = service.done("GET", "", Value::Null);
    assert_eq!(listed["Functions"].as_array().unwrap().len(), 2);
    assert_eq!(service.catalog.created().count(), 0);
    // The file gave it back.
    service.catalog.declare(BTreeMap::new());
    assert_eq!(service.catalog.created().count(), 1);
}

#[test]
fn invocations_are_told_from_all_else() {
    let check = |method: &str, path: &str, query: &str, expected: Option<(&str, Option<&str>)>| {
        let path = format!("/2015-03-31/functions/{path}");
        let request = Request {
            method,
            path: &path,
            query,
            body: b"",
        };
        let target = invocation(&request).map(|target: Result<LambdaTarget, _>| target.unwrap());
        let target = target
            .as_ref()
            .map(|target| (target.name.as_str(), target.qualifier.as_deref()));
        assert_eq!(target, expected, "{path}");
    };
    check("POST", "f/invocations", "", Some(("f", None)));
    check("POST", "f:live/invocations", "", Some(("f", Some("live"))));
    check(
        "POST",
        "f/invocations",
        "Qualifier=2",
        Some(("f", Some("2"))),
    );
    check("GET", "f/invocations", "", None);
    check("POST", "f/versions", "", None);
    check("POST", "", "", None);
}
