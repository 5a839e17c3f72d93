//! The templates of `tests/templates`, each beside a page of what it declares, and what parameters make of them.

use super::*;

/// The parameters with which a template of the folder is loaded.
pub(super) fn inputs_for(name: &str) -> Inputs {
    match name {
        "serverless-object" => with(&[("cf:network-dev.VpcId", "vpc-1")]),
        _ => inputs(),
    }
}

/// A template with its name: a file of the folder, or the service in a folder of it.
pub(super) fn templates() -> Vec<(String, PathBuf)> {
    let mut templates = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            templates.push((name, path.join("serverless.yml")));
        } else if path
            .extension()
            .is_none_or(|extension| extension != "declares")
        {
            templates.push((name, path));
        }
    }
    templates.sort();
    templates
}

/// Everything that a template declares and what is said of it.
fn page(template: &Template) -> String {
    let mut page = table(template);
    for notice in notices(template) {
        writeln!(page, "notice {notice}").unwrap();
    }
    page
}

#[test]
fn each_declares_what_its_page_says() {
    let templates = templates();
    assert!(templates.len() >= 15, "{templates:?}");
    for (name, path) in templates {
        let template = load(&path, &inputs_for(&name)).unwrap_or_else(|errors| panic!("{errors}"));
        let found = page(&template);
        let expected = folder().join(format!("{name}.declares"));
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert!(
            found == expected,
            "{name} declares\n{found}\nand its page says\n{expected}"
        );
    }
}

#[test]
fn each_declares_the_same_ids_again() {
    for (name, path) in templates() {
        let ids = || {
            let template = load(&path, &inputs_for(&name)).unwrap();
            let id = |declared: Declared| declared.id;
            template
                .declared
                .into_iter()
                .map(id)
                .collect::<Vec<String>>()
        };
        assert_eq!(ids(), ids(), "{name}");
    }
}

/// The lines of a page that are not on the page of another.
fn without(page: &str, other: &str) -> Vec<String> {
    let other: Vec<&str> = other.lines().collect();
    let new = page.lines().filter(|line| !other.contains(line));
    new.map(str::to_owned).collect()
}

/// What parameters change of what a template declares, and what is gone.
#[track_caller]
fn check_change(file: &str, inputs: &Inputs, gone: &[&str], new: &[&str]) {
    let name = file.split(['.', '/']).next().unwrap();
    let (before, after) = (
        page(&loaded(file, &inputs_for(name))),
        page(&loaded(file, inputs)),
    );
    assert_eq!(without(&before, &after), gone, "gone from {file}");
    assert_eq!(without(&after, &before), new, "new in {file}");
}

#[test]
fn parameters_change_what_is_declared() {
    check_change(
        "minimal.yaml",
        &with(&[("StageName", "prod")]),
        &[r#"Stage Stage of <Ws>: {"stageName":"dev","deploymentId":"<Dep>"}"#],
        &[r#"Stage Stage of <Ws>: {"stageName":"prod","deploymentId":"<Dep>"}"#],
    );
    check_change(
        "conditions.yaml",
        &with(&[
            ("Environment", "prod"),
            ("Keys", "a,b"),
            ("BackendUrl", "/x"),
        ]),
        &[
            r#"Api Api: {"name":"ws-dev-1.10","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action"}"#,
            r#"Integration Backend of <Api>: {"integrationType":"HTTP_PROXY","integrationMethod":"POST","integrationUri":"http://b.local/chat/backend"}"#,
            r#"Route Hello of <Api>: {"routeKey":"hello","target":"integrations/<Backend>"}"#,
            r#"Route Bye of <Api>: {"routeKey":"bye","target":"integrations/<Backend>"}"#,
            "output Keys: hello and bye",
            "notice 5:70: the value of the SSM parameter '/chat/backend' is not looked up, its name stands for it; give one with --parameter BackendUrl=value",
        ],
        &[
            r#"Api Api: {"name":"chat","description":"live","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action"}"#,
            r#"Integration Backend of <Api>: {"integrationType":"HTTP_PROXY","integrationMethod":"POST","integrationUri":"http://b.example.com/x"}"#,
            r#"Route Hello of <Api>: {"routeKey":"a","target":"integrations/<Backend>"}"#,
            r#"Route Admin of <Api>: {"routeKey":"admin","target":"integrations/<Backend>"}"#,
            "output Admin: <Admin>",
            "output Keys: a and b",
        ],
    );
    let production = Inputs {
        stage: Some("prod".to_owned()),
        environment: BTreeMap::from([("OWNER".to_owned(), "me".to_owned())]),
        ..with(&[
            ("cf:network-prod.VpcId", "vpc-2"),
            ("ssm:/game/secret", "s"),
        ])
    };
    check_change(
        "serverless-object/serverless.yml",
        &production,
        &[
            r#"Api WebsocketsApi: {"name":"play-dev","description":"A game, at example.net","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.route","tags":{"owner":"nobody","stage":"dev"},"version":"3"}"#,
            r#"Integration MoveWebsocketsIntegration of <WebsocketsApi>: {"integrationType":"AWS_PROXY","integrationUri":"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:game-dev-move/invocations"}"#,
            r#"Stage WebsocketsDeploymentStage of <WebsocketsApi>: {"stageName":"dev","description":"Serverless Websockets","deploymentId":"<WebsocketsDeployment>","tags":{"owner":"nobody","stage":"dev"}}"#,
            "output ServiceEndpointWebsocket: wss://<WebsocketsApi>.execute-api.us-east-1.amazonaws.com/dev",
            "output Board: arn:aws:dynamodb:us-east-1:123456789012:table/board-dev",
            r#"function MoveLambdaFunction: game-dev-move game.move python3.12 - {"LEVEL": "3", "VPC": "vpc-1"}"#,
            r#"function StateLambdaFunction: game-state game.state python3.12 - {"VPC": "vpc-1"}"#,
            "notice resources.yml:3:11: Board (AWS::DynamoDB::Table) is not created here; !Ref gives 'board-dev'",
            "notice 27:13: '${ssm:/game/secret}' has no value; give its value with --parameter 'ssm:/game/secret=value'",
        ],
        &[
            r#"Api WebsocketsApi: {"name":"play","description":"A game, at example.com","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.route","tags":{"owner":"me","stage":"prod"},"version":"3"}"#,
            r#"Integration MoveWebsocketsIntegration of <WebsocketsApi>: {"integrationType":"AWS_PROXY","integrationUri":"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:game-prod-move/invocations"}"#,
            r#"Stage WebsocketsDeploymentStage of <WebsocketsApi>: {"stageName":"prod","description":"Serverless Websockets","deploymentId":"<WebsocketsDeployment>","tags":{"owner":"me","stage":"prod"}}"#,
            "output ServiceEndpointWebsocket: wss://<WebsocketsApi>.execute-api.us-east-1.amazonaws.com/prod",
            "output Board: arn:aws:dynamodb:us-east-1:123456789012:table/board-prod",
            r#"function MoveLambdaFunction: game-prod-move game.move python3.12 - {"LEVEL": "3", "SECRET": "s", "VPC": "vpc-2"}"#,
            r#"function StateLambdaFunction: game-state game.state python3.12 - {"SECRET": "s", "VPC": "vpc-2"}"#,
            "notice resources.yml:3:11: Board (AWS::DynamoDB::Table) is not created here; !Ref gives 'board-prod'",
        ],
    );
}

#[test]
fn files_beside_a_service_are_read_and_named() {
    let template = loaded(
        "serverless-object/serverless.yml",
        &inputs_for("serverless-object"),
    );
    let names: Vec<String> = template
        .files
        .iter()
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "serverless.yml",
            "functions.yml",
            "settings.yml",
            "resources.yml"
        ]
    );
}

#[test]
fn files_outside_of_a_service_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let service = folder.path().join("service");
    std::fs::create_dir(&service).unwrap();
    std::fs::write(folder.path().join("secret.yml"), "key: value").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret.yml", service.join("link.yml")).unwrap();
    let absolute = folder
        .path()
        .join("secret.yml")
        .to_string_lossy()
        .into_owned();
    for path in [
        "../secret.yml",
        "link.yml",
        "./x/../../secret.yml",
        &absolute,
    ] {
        let text =
            format!("service: s\nprovider: {{ name: aws }}\nfunctions: ${{file({path}):key}}\n");
        let file = service.join("serverless.yml");
        std::fs::write(&file, text).unwrap();
        let said = load(&file, &inputs()).unwrap_err().to_string();
        assert!(said.contains("cannot be read: "), "{path}: {said}");
        assert!(!said.contains("value"), "{path}: {said}");
    }
}
