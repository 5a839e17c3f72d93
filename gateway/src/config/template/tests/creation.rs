//! What becomes of templates in an account, and what the rules of the control plane say of them.

use gateway_core::control::{Account, Context, Kind, resources};
use gateway_core::live::compile;
use gateway_core::resource::{Preset, ProtocolType};

use super::*;

fn endpoint(api_id: &str, _: ProtocolType) -> String {
    format!("ws://{api_id}.localhost")
}

const SETTING: Setting<'static> = Setting {
    now: "2026-04-06T23:38:08Z",
    region: "us-east-1",
    account_id: "123456789012",
    endpoint: &endpoint,
};

fn context(new_id: &mut dyn FnMut(usize) -> String) -> Context<'_> {
    Context {
        now: SETTING.now.to_owned(),
        now_millis: 0,
        region: SETTING.region,
        account_id: SETTING.account_id,
        new_id,
        endpoint: SETTING.endpoint,
    }
}

#[test]
fn every_template_is_created_under_its_own_ids() {
    for (name, path) in files::templates() {
        let template = load(&path, &files::inputs_for(&name)).unwrap();
        let mut account = Account::default();
        if let Err(refusals) = apply(&template, &mut account, &SETTING) {
            let refusals: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            panic!("{name}: {refusals:#?}");
        }
        let mut unused = |_: usize| unreachable!("nothing is created");
        let context = context(&mut unused);
        for it in &template.declared {
            let parents: Vec<&str> = it.parents.iter().map(String::as_str).collect();
            let found = account.get(it.kind, &parents, &it.id, &context);
            let found = found.unwrap_or_else(|error| panic!("{name}: {}: {error}", it.logical_id));
            for (member, value) in &it.body {
                let kept = it.kind == Kind::Deployment && member == "stageName"
                    || found.get(member).is_some();
                assert!(kept, "{name}: {} lost {member} {value}", it.logical_id);
            }
        }
        for (id, api) in account.apis() {
            assert!(api.origin.is_some(), "{name}: {id} belongs to its file");
        }
        // Read again, everything is as it was.
        let mut again = account.without_files();
        apply(&template, &mut again, &SETTING).unwrap();
        assert_eq!(again.apis().count(), account.apis().count(), "{name}");
    }
}

#[test]
fn stages_show_what_was_declared() {
    for name in [
        "minimal.yaml",
        "mixed.yaml",
        "websocket-api.yaml",
        "serverless-short/serverless.yml",
    ] {
        let template = loaded(name, &inputs());
        let mut account = Account::default();
        apply(&template, &mut account, &SETTING).unwrap();
        let api = account.apis().find(|(_, api)| !api.stages.is_empty());
        let (_, api) = api.unwrap_or_else(|| panic!("{name} has no stage"));
        let stage = api.stages.values().next().unwrap();
        let deployed = api
            .deployed(stage)
            .unwrap_or_else(|| panic!("{name}: {stage:?}"));
        assert_eq!(
            deployed.configuration.routes.len(),
            api.configuration.routes.len(),
            "{name}"
        );
    }
}

/// What the rules say of the resources in lines 3 and on, beside an API `Api` in line 2.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let api = "Api: { Type: AWS::ApiGatewayV2::Api, Properties: { Name: a, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action } }";
    let text = format!("Resources:\n  {api}\n  {text}\n");
    let template = read(
        Path::new("template.yaml"),
        &text,
        &inputs(),
        &nothing_beside,
    )
    .unwrap();
    let before = Account::default();
    let mut account = before.clone();
    let refusals = apply(&template, &mut account, &SETTING).unwrap_err();
    let found: Vec<String> = refusals
        .iter()
        .map(|refusal| {
            refusal
                .to_string()
                .trim_start_matches("template.yaml:")
                .to_owned()
        })
        .collect();
    assert_eq!(found, expected, "in\n{text}");
    assert!(account == before, "a refusal leaves the account as it was");
}

#[test]
fn refusals_stand_at_their_lines() {
    check(
        "X: { Type: AWS::ApiGatewayV2::Route, Properties: { ApiId: nowhere, RouteKey: a } }",
        &["3:61: Invalid API identifier specified 123456789012:nowhere"],
    );
    check(
        "X: { Type: AWS::ApiGatewayV2::Route, Properties: { ApiId: !Ref Api, RouteKey: a } }\n  Y: { Type: AWS::ApiGatewayV2::Route, Properties: { ApiId: !Ref Api, RouteKey: a } }",
        &["4:3: Route with key a already exists for this API"],
    );
    check(
        "X: { Type: AWS::ApiGatewayV2::Integration, Properties: { ApiId: !Ref Api, IntegrationType: MOCK, TimeoutInMillis: 1 } }\n  Y: { Type: AWS::ApiGatewayV2::Route, Properties: { ApiId: !Ref Api, RouteKey: a, Target: !Sub 'integrations/${X}' } }",
        &[
            "3:117: 1 validation error detected: Value '1' at 'timeoutInMillis' failed to satisfy constraint: Member must have value greater than or equal to 50",
        ],
    );
    check(
        "X: { Type: AWS::ApiGatewayV2::Deployment, Properties: { ApiId: !Ref Api } }",
        &["3:3: At least one route is required before deploying the Api."],
    );
    check(
        "X: { Type: AWS::ApiGatewayV2::Stage, Properties: { ApiId: !Ref Api, StageName: 'a b', StageVariables: { h: '<' } } }",
        &["3:82: Invalid stage name a b: it takes letters, digits, '-' and '_', or is $default"],
    );
}

#[test]
fn a_taken_id_is_refused() {
    let template = loaded("minimal.yaml", &inputs());
    let mut account = Account::default();
    apply(&template, &mut account, &SETTING).unwrap();
    let refusals = apply(&template, &mut account, &SETTING).unwrap_err();
    let id = &template.declared[0].id;
    let expected = format!("the id {id} is taken: another template of the same stack name");
    let message = &refusals[0].message;
    assert!(message.starts_with(&expected), "{message}");
}

/// A notice that says that a stage is not served is true, and no other stage is refused.
#[test]
fn every_deployed_stage_compiles_unless_a_notice_says_so() {
    let mut stages = 0;
    for (name, path) in files::templates() {
        let template = load(&path, &files::inputs_for(&name)).unwrap();
        let unserved = notices(&template)
            .iter()
            .any(|notice| notice.contains("is not served until"));
        let mut account = Account::default();
        apply(&template, &mut account, &SETTING).unwrap();
        for (_, documents) in account.apis() {
            for stage in documents.stages.keys() {
                let Some(api) = resources(documents, stage, Preset::Open) else {
                    continue;
                };
                stages += 1;
                let compiled = compile(&api, &api.stages[0]).map(|_| ());
                assert_eq!(compiled.is_err(), unserved, "{name} {stage}: {compiled:?}");
            }
        }
    }
    assert!(stages > 10, "{stages}");
}

#[test]
fn what_a_function_says_in_vain_is_named() {
    let text = "Resources:
  A:
    Type: AWS::Serverless::Function
    Properties: { Handlr: app.f, Enviroment: {}, Timeout: 1s, MemorySize: 64, Events: {} }
  B:
    Type: AWS::Lambda::Function
    Properties: { CodeUri: x, Code: x, Timeout: 900, Unheard: 1 }
";
    let read = read(Path::new("template.yaml"), text, &inputs(), &nothing_beside);
    let said = notices(&read.unwrap());
    let expected = [
        "4:19: Resources.A: a function has no property 'Handlr', and it has no effect; did you mean 'Handler'?",
        "4:34: Resources.A: a function has no property 'Enviroment', and it has no effect; did you mean 'Environment'?",
        "4:50: Resources.A: Timeout must be a number from 1 to 900, not '1s'",
        "4:63: Resources.A: MemorySize must be a number from 128 to 10240, not '64'",
        "7:19: Resources.B: a function has no property 'CodeUri', and it has no effect",
        "7:54: Resources.B: a function has no property 'Unheard', and it has no effect",
    ];
    for line in expected {
        let (place, sentence) = line.split_once(": ").unwrap();
        let sentence = sentence.split_once(": ").unwrap().1;
        let found = said
            .iter()
            .any(|notice| notice.starts_with(place) && notice.contains(sentence));
        assert!(found, "{line} is not said: {said:#?}");
    }
}
