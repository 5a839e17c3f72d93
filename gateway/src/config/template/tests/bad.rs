//! Templates with mistakes, and every word of what is said of them.

use super::*;

/// A whole file and all complaints about it.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_with(text, &inputs(), expected);
}

#[track_caller]
fn check_with(text: &str, inputs: &Inputs, expected: &[&str]) {
    let found = complaints(text, inputs);
    let found: Vec<&str> = found
        .iter()
        .map(|line| line.trim_start_matches("template.yaml:"))
        .collect();
    assert_eq!(found, expected, "in\n{text}");
}

/// What stands in `Resources`, from line 2 on, beside an API named `Api` in line 2.
#[track_caller]
fn resources(text: &str, expected: &[&str]) {
    let api =
        "Api: { Type: AWS::ApiGatewayV2::Api, Properties: { Name: a, ProtocolType: WEBSOCKET } }";
    check(&format!("Resources:\n  {api}\n  {text}\n"), expected);
}

/// A value that is the name of an API, in line 4.
#[track_caller]
fn value(text: &str, expected: &[&str]) {
    let sections =
        "Mappings: { M: { a: { b: c } } }\nConditions: { C: !Equals [a, a] }\nResources:\n";
    check(
        &format!(
            "{sections}  A: {{ Type: AWS::ApiGatewayV2::Api, Properties: {{ ProtocolType: WEBSOCKET, Name: {text} }} }}\n"
        ),
        expected,
    );
}

#[test]
fn no_templates() {
    let neither = "this is no template; a CloudFormation or SAM template has Resources, a serverless.yml has service and provider";
    check("", &[&format!("1:1: {neither}")]);
    check("apis: {}", &[&format!("1:1: {neither}")]);
    check(
        "{\"Resources\": ",
        &["1:1: this is not YAML: while parsing a node, did not find expected node content"],
    );
    check(
        "Resources: !Reff x",
        &[
            "1:12: unknown tag '!Reff'; templates know CloudFormation's functions, such as !Ref, !Sub and !GetAtt",
        ],
    );
    check("Resources: [a]", &["1:12: expected a map, found a list"]);
    check(
        "Resources: {}\nResorces: {}",
        &["2:1: unknown section 'Resorces'; did you mean 'Resources'?"],
    );
    check(
        "Resources: { A: &a [*a] }",
        &["1:21: this alias stands inside what it names"],
    );
    check(
        "Resources: { <<: 1 }",
        &["1:18: << takes a map, or a list of maps"],
    );
}

#[test]
fn parameters() {
    let text = |parameter: &str| format!("Parameters:\n  P: {parameter}\nResources: {{}}\n");
    check(
        &text("{ Type: String }"),
        &["2:3: the parameter 'P' has no value; add --parameter P=value, or a Default"],
    );
    check(
        &text("{ Default: a }"),
        &["2:3: 'Type' is missing; write Type: String"],
    );
    check(&text("x"), &["2:6: expected a map with Type, found 'x'"]);
    check(
        &text("{ Type: String, Defalt: a }"),
        &[
            "2:3: the parameter 'P' has no value; add --parameter P=value, or a Default",
            "2:22: unknown key 'Defalt'; did you mean 'Default'?",
        ],
    );
    check(
        &text("{ Type: String, Default: c, AllowedValues: [a, b] }"),
        &["2:3: the parameter 'P': 'c' is none of the AllowedValues a and b"],
    );
    check(
        &text("{ Type: Number, Default: c }"),
        &["2:3: the parameter 'P': 'c' is not a number"],
    );
    check(
        &text("{ Type: String, Default: secret, NoEcho: true, MaxLength: 3 }"),
        &["2:3: the parameter 'P': its value is longer than MaxLength"],
    );
    check(
        &text(
            "{ Type: String, Default: A, AllowedPattern: '[a-z]+', ConstraintDescription: small letters }",
        ),
        &["2:3: the parameter 'P': 'A' does not match the AllowedPattern '[a-z]+'; small letters"],
    );
    check_with(
        &text("{ Type: String, Default: a }"),
        &with(&[("Pp", "b")]),
        &["--parameter: nothing asks for the parameter 'Pp'; did you mean 'P'?"],
    );
}

#[test]
fn functions() {
    value(
        "!Ref Ap",
        &["4:83: 'Ap' is neither a parameter nor a resource of this template; did you mean 'A'?"],
    );
    value(
        "!Ref AWS::Regoin",
        &["4:83: unknown pseudo parameter 'AWS::Regoin'; did you mean 'AWS::Region'?"],
    );
    value(
        "!GetAtt X",
        &["4:83: Fn::GetAtt takes Name.Attribute, or a list of both"],
    );
    value(
        "!Join [a]",
        &["4:83: Fn::Join takes a list of two: what stands between, and a list of parts"],
    );
    value(
        "!Join [a, b]",
        &["4:83: Fn::Join takes a list of two: what stands between, and a list of parts"],
    );
    value(
        "!Select [1, [a]]",
        &["4:83: Fn::Select asks for number 1 of a list of 1; the first is 0"],
    );
    value(
        "!Split ['', a]",
        &["4:83: Fn::Split cannot split by nothing"],
    );
    value("!FindInMap [M, a, x]", &["4:83: Mappings has no 'M.a.x'"]);
    value(
        "!If [D, a, b]",
        &["4:88: there is no condition 'D'; did you mean 'C'?"],
    );
    value(
        "!If [C, a]",
        &[
            "4:83: Fn::If takes a list of three: the name of a condition, the value if it is true, the value if not",
        ],
    );
    value(
        "!ImportValue net-Vpc",
        &[
            "4:83: the export 'net-Vpc' of another stack is not looked up; give its value with --parameter net-Vpc=value",
        ],
    );
    value(
        "!Sub 'x-${stageVariables.host}'",
        &[
            "4:83: 'stageVariables' is neither a parameter nor a resource of this template; text that is to stay is written ${!stageVariables.name}",
        ],
    );
    value(
        "!Sub 'x-${a b}'",
        &[
            "4:83: 'a b' is no name that Fn::Sub could replace; text that is to stay is written ${!a b}",
        ],
    );
    value(
        "!Sub [a]",
        &["4:83: Fn::Sub takes a text, or a list of a text and a map of its variables"],
    );
    value(
        "{ Fn::Subb: a }",
        &["4:83: unknown function 'Fn::Subb'; did you mean 'Fn::Sub'?"],
    );
    value(
        "{ Fn::Sub: a, Other: b }",
        &[
            "4:83: expected text, found a map",
            "4:85: 'Fn::Sub' stands beside other keys; a function is the only key of its map",
        ],
    );
    value(
        "!Transform { Name: AWS::Include }",
        &["4:83: Fn::Transform is run by AWS and not here; write out what it puts in its place"],
    );
    value(
        "!Cidr [10.0.0.0/33, 1]",
        &[
            "4:83: Fn::Cidr takes a list: an address block, how many (up to 256), and the bits of each",
        ],
    );
    value("[a]", &["4:83: expected text, found a list"]);
    value(
        "",
        &["4:77: 'Name' says nothing; leave it out, or use !Ref AWS::NoValue"],
    );
}

#[test]
fn conditions() {
    let text = |conditions: &str| format!("Conditions:\n  {conditions}\nResources: {{}}\n");
    check(
        &text("A: !Condition B\n  B: !Not [!Condition A]"),
        &["3:12: the condition 'A' is made of itself"],
    );
    check(
        &text("A: !Equals [a]"),
        &["2:6: Fn::Equals takes a list of two values"],
    );
    check(
        &text("A: !And [!Equals [a, b]]"),
        &["2:6: Fn::And takes a list of two to ten conditions"],
    );
    check(
        &text("A: maybe"),
        &["2:6: a condition is Fn::Equals, Fn::And, Fn::Or, Fn::Not or another Condition"],
    );
    check(
        "Conditions: { C: !Equals [!Ref Api, a] }\nResources:\n  Api: { Type: 'AWS::SNS::Topic' }",
        &["1:27: the resource 'Api' cannot be named here; conditions may name parameters only"],
    );
}

#[test]
fn forms_of_resources() {
    resources(
        "X: { Properties: {} }",
        &["3:3: 'Type' is missing; such as Type: AWS::ApiGatewayV2::Route"],
    );
    resources(
        "X: { Type: AWS::ApiGatewayV2::Rout }",
        &["3:14: unknown type 'AWS::ApiGatewayV2::Rout'; did you mean 'Route'?"],
    );
    resources(
        "X: { Type: Custom::X, DependOn: Api }",
        &["3:25: unknown key 'DependOn'; did you mean 'DependsOn'?"],
    );
    resources(
        "X: { Type: Custom::X, DependsOn: Ap }",
        &["3:36: DependsOn names 'Ap', which is no resource of this template; did you mean 'Api'?"],
    );
    resources(
        "X-Y: { Type: Custom::X }",
        &["3:3: the logical id 'X-Y' must consist of letters and digits"],
    );
    resources(
        "X: { Type: Custom::X, Condition: C }",
        &["3:36: there is no condition 'C'"],
    );
    resources(
        "X: { Type: AWS::ApiGatewayV2::Route, Properties: { ApiId: !Ref Api, RouteKy: a } }",
        &[
            "3:3: 'RouteKey' is missing",
            "3:71: unknown property 'RouteKy'; did you mean 'RouteKey'?",
        ],
    );
    resources(
        "X: { Type: AWS::ApiGatewayV2::Api, Properties: { ProtocolType: HTTP } }",
        &["3:3: 'Name' is missing"],
    );
    resources(
        "X: { Type: AWS::ApiGatewayV2::Route, Properties: { ApiId: !GetAtt Api.Id, RouteKey: a } }",
        &[
            "3:61: AWS::ApiGatewayV2::Api has no attribute 'Id'; there are: ApiId, ApiEndpoint and ExecuteApiArn",
        ],
    );
    resources(
        "X: { Type: AWS::ApiGatewayV2::Integration, Properties: { ApiId: !Ref Api, IntegrationType: MOCK, TimeoutInMillis: soon } }",
        &["3:117: expected a whole number, found 'soon'"],
    );
    resources(
        "X: { Type: AWS::ApiGatewayV2::Stage, Properties: { ApiId: !Ref Api, StageName: a, AutoDeploy: perhaps, DefaultRouteSettings: { Burst: 1 }, StageVariables: '{' } }",
        &[
            "3:97: expected true or false, found 'perhaps'",
            "3:130: unknown property 'Burst'; there are: DataTraceEnabled, DetailedMetricsEnabled, LoggingLevel, ThrottlingBurstLimit and ThrottlingRateLimit",
            "3:158: this text should be JSON: this is not JSON: a key in quotes is missing",
        ],
    );
    resources(
        "X: { Type: AWS::ApiGatewayV2::RoutingRule, Properties: { DomainNameArn: a, Priority: 1, Actions: [], Conditions: [] } }",
        &[
            "3:14: routing rules are not built yet; show the API under a path of the domain name with AWS::ApiGatewayV2::ApiMapping",
        ],
    );
    resources(
        "X: { Type: AWS::ApiGatewayV2::DomainName, Properties: { DomainName: a.b, RoutingMode: ROUTING_RULE_ONLY } }",
        &["3:89: routing rules are not built yet; RoutingMode must be API_MAPPING_ONLY"],
    );
}

#[test]
fn circles() {
    let stage = |name: &str, other: &str| {
        format!(
            "{name}: {{ Type: AWS::ApiGatewayV2::Stage, Properties: {{ ApiId: !Ref Api, StageName: !Ref {other} }} }}"
        )
    };
    resources(
        &format!(
            "{}\n  {}\n  {}",
            stage("S", "T"),
            stage("T", "U"),
            stage("U", "S")
        ),
        &[
            "3:3: resources need each other in a circle: S → T → U → S; one of them must do without the next, by Ref, Fn::GetAtt, Fn::Sub or DependsOn",
        ],
    );
    resources(
        "X: { Type: AWS::SNS::Topic, DependsOn: Y }\n  Y: { Type: AWS::SNS::Topic, Properties: { TopicName: !Sub '${X}' } }",
        &[
            "3:3: resources need each other in a circle: X → Y → X; one of them must do without the next, by Ref, Fn::GetAtt, Fn::Sub or DependsOn",
        ],
    );
}

#[test]
fn resources_that_are_not_created() {
    check(
        "Conditions: { C: !Equals [a, b] }\nResources:\n  T: { Type: AWS::SNS::Topic, Condition: C }\nOutputs:\n  A: { Value: !Ref T }\n  B: { Value: !GetAtt T.Arn, Condition: C }",
        &["5:15: 'T' is not created, since the condition 'C' is false"],
    );
}

#[test]
fn sam() {
    let api = |properties: &str| {
        format!(
            "Resources:\n  W:\n    Type: AWS::Serverless::WebSocketApi\n    Properties: {{ RouteSelectionExpression: $request.body.action, {properties} }}\n"
        )
    };
    check(
        &api("Name: a"),
        &["2:3: 'Routes' is missing; a WebSocketApi has at least one route"],
    );
    check(
        &api("Routes: { a: {} }"),
        &["4:77: 'FunctionArn' is missing"],
    );
    check(
        &api("Routes: { a-b: { FunctionArn: a } }"),
        &[
            "4:77: the route key 'a-b' must consist of letters and digits; or be $connect, $disconnect or $default",
        ],
    );
    check(
        &api("Routes: { a: { FunctionArn: f, RequestParameters: {} } }, StageName: $default"),
        &[
            "4:98: RequestParameters belong to $connect; messages have none",
            "4:136: a WebSocket API has no $default stage",
        ],
    );
    check(
        &api("Routes: { a: { FunctionArn: f } }, Auth: { AuthType: AWS_IAM }, Rutes: {}"),
        &[
            "4:108: Auth needs a $connect route, which is the one that it guards",
            "4:131: unknown property 'Rutes'; did you mean 'Routes'?",
        ],
    );
    check(
        &api("Routes: { $connect: { FunctionArn: f } }, Auth: { AuthType: CUSTOM }"),
        &["4:115: 'AuthArn' is missing"],
    );
}

/// A service whose first four lines are the same.
#[track_caller]
fn service(text: &str, expected: &[&str]) {
    check(
        &format!(
            "service: s\nprovider: {{ name: aws }}\ncustom: {{ a: 1, m: {{ b: 2 }} }}\n{text}\n"
        ),
        expected,
    );
}

#[test]
fn services() {
    service(
        "functions: { f: { handler: a, events: [{ websocket: {} }] } }",
        &[
            "4:42: a websocket event names its route; websocket: $connect, or websocket: { route: $connect }",
        ],
    );
    service(
        "functions: { f: { events: [{ websocket: { route: a, authoriser: g } }] } }",
        &["4:53: unknown key 'authoriser'; did you mean 'authorizer'?"],
    );
    service(
        "functions: { f: { events: [{ websocket: { route: a, authorizer: g } }] } }",
        &["4:65: only $connect has an authorizer: it decides who may connect"],
    );
    service(
        "functions: { f: { events: [{ websocket: { route: $connect, authorizer: g } }] } }",
        &[
            "4:72: 'GLambdaFunction' is neither a parameter nor a resource of this template; did you mean 'FLambdaFunction'?",
        ],
    );
    service(
        "functions: { f: { events: [{ websocket: a }, { websocket: a }] } }",
        &["4:59: two functions have the route 'a'"],
    );
    service("functions: { f: { events: [1, 2: 3] } }", &[]);
    service(
        "functions: 1",
        &["4:12: functions takes a map, or a list of maps, found '1'"],
    );
    let name = |text: &str| format!("functions: {{ f: {{ name: \"{text}\" }} }}");
    service(
        &name("${self:custom.x}"),
        &["4:25: '${self:custom.x}' has no value"],
    );
    service(
        &name("${cf:net.Id}"),
        &["4:25: '${cf:net.Id}' has no value; give its value with --parameter 'cf:net.Id=value'"],
    );
    service(
        &name("${env:NOTHING}"),
        &["4:25: '${env:NOTHING}' has no value"],
    );
    service(
        &name("${param:p}"),
        &["4:25: '${param:p}' has no value; give its value with --parameter p=value"],
    );
    service(
        &name("x-${self:custom.m}"),
        &["4:25: '${self:custom.m}' stands in a text and is a map"],
    );
    service(
        &name("${self:functions.f.name}"),
        &["4:25: '${self:functions.f.name}' is made of itself"],
    );
    service(
        &name("${opt:a, b}"),
        &["4:25: 'b' is no source of a variable; text stands in quotes: 'text'"],
    );
    service(
        &name("${file(../x.yml):a}"),
        &["4:25: the file '../x.yml' cannot be read: there is nothing"],
    );
    service(
        &name("${file(x.js):a}"),
        &[
            "4:25: 'x.js' is a program, and programs are not run; write what it gives into a YAML or JSON file",
        ],
    );
    check(
        "service: s\nprovider: { name: google }",
        &["2:19: the provider 'google' has no WebSocket APIs; only aws has"],
    );
    check(
        "service: [a]\nprovider: aws",
        &["1:10: service takes a name"],
    );
}
