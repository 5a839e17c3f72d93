//! Text that nobody would write: it loads or it is refused, with a place that exists, and in bounded time and space.

use proptest::prelude::*;

use super::*;

/// Every mistake points into the text.
fn check(text: &str) {
    let file = Path::new("template.yaml");
    let Err(ConfigErrors { mistakes, more }) = read(file, text, &inputs(), &nothing_beside) else {
        return;
    };
    assert!(!mistakes.is_empty(), "refused without a word: {more}");
    let lines = u32::try_from(text.lines().count().max(1)).unwrap();
    for mistake in mistakes {
        let line = mistake.line();
        let in_file = line.is_some_and(|line| (1..=lines).contains(&line));
        assert!(in_file, "{mistake:?} in {text:?}");
    }
}

/// Pieces of YAML and of templates, so that arbitrary text gets past the first character.
const PIECES: [&str; 60] = [
    "\n",
    "\n  ",
    "\n    ",
    "\n      ",
    ": ",
    "- ",
    ", ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: ",
    "!Ref ",
    "!Sub ",
    "!GetAtt ",
    "!Join ",
    "!If ",
    "!Select ",
    "!Split ",
    "!Cidr ",
    "!Unknown ",
    "!!str ",
    "Ref: ",
    "Fn::Sub: ",
    "Fn::If: ",
    "Fn::Equals: ",
    "Fn::FindInMap: ",
    "Fn::ForEach::x: ",
    "Parameters:\n  A: ",
    "Conditions:\n  C: ",
    "Mappings:\n  M: ",
    "Resources:\n  R: ",
    "Outputs:\n  O: {Value: ",
    "Globals: ",
    "Type: ",
    "Properties: ",
    "DependsOn: R",
    "Condition: C",
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::ApiGatewayV2::Route",
    "AWS::Serverless::WebSocketApi",
    "AWS::Serverless::Function",
    "Routes: {$connect: {FunctionArn: R}}",
    "ApiId",
    "Name",
    "${R}",
    "${!R}",
    "${R.Arn}",
    "${",
    "AWS::NoValue",
    "AWS::Region",
    "R",
    "0",
    "\"",
    "'",
    "~",
    "é\u{2028}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(text in any::<String>()) {
        check(&text);
        check(&format!("{{{text}"));
    }

    #[test]
    fn arbitrary_pieces(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        check(&pieces.concat());
        check(&format!("Resources:\n  R: {}", pieces.concat()));
    }

    #[test]
    fn templates_with_bytes_changed(
        file in prop::sample::select(&["chat-sam.yaml", "conditions.yaml", "nested.yaml", "websocket-api.yaml", "http-proxy.yaml"][..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..4),
    ) {
        let mut bytes = std::fs::read(folder().join(file)).unwrap();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                // The characters that mean something to YAML and to templates, more often than chance would have them.
                _ => bytes[at] = b"\n \t:-?[]{},&*!|>'\"%@#`$"[usize::from(byte) % 23],
            }
        }
        check(&String::from_utf8_lossy(&bytes));
    }
}

/// Pieces of services with their variables.
const SERVICE: [&str; 40] = [
    "\n",
    "\n  ",
    "\n    ",
    ": ",
    "- ",
    ", ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: *a",
    "custom: ",
    "functions: ",
    "resources: ",
    "events: ",
    "websocket: ",
    "route: ",
    "authorizer: ",
    "$connect",
    "f: ",
    "handler: h",
    "\"${self:custom}\"",
    "\"${self:custom.a, 'b'}\"",
    "\"${self:functions}\"",
    "\"${self:}\"",
    "\"${opt:a, ${env:B}}\"",
    "\"${file(a.yml):b}\"",
    "\"${file(b.yml)}\"",
    "\"${${self:custom}}\"",
    "${",
    "}",
    "${param:p, ",
    "'x'",
    "${sls:stage}",
    "a",
    "Resources: ",
    "Outputs: ",
    "extensions: ",
];

/// A service that includes files; each includes the other.
fn check_service(text: &str) {
    let beside = |name: &str| match name {
        "a.yml" => Ok((
            PathBuf::from(name),
            "b: ${file(b.yml):c}\nc: [1]".to_owned(),
        )),
        "b.yml" => Ok((
            PathBuf::from(name),
            "c: ${file(a.yml):b}\nd: ${self:custom}".to_owned(),
        )),
        _ => Err("there is nothing".to_owned()),
    };
    let read = read(Path::new("serverless.yml"), text, &inputs(), &beside);
    if let Err(errors) = read {
        assert!(
            !errors.mistakes.is_empty(),
            "refused without a word: {text:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_services(pieces in prop::collection::vec(prop::sample::select(&SERVICE[..]), 0..40)) {
        let text = pieces.concat();
        check_service(&format!("service: s\nprovider: {{ name: aws }}\n{text}"));
        check_service(&format!("service: s\nprovider: {{ name: aws }}\nfunctions:\n  f:\n    events: {text}"));
    }

    #[test]
    fn arbitrary_variables(text in "[${}():,'\"a-c. ]{0,60}") {
        let quoted = text.replace('\'', "''");
        check_service(&format!("service: s\nprovider: {{ name: aws }}\nfunctions: {{ f: {{ name: '{quoted}' }} }}"));
    }
}

/// Long, since a loaded machine without optimisation is slow: what is not bounded would take years.
const SOON: std::time::Duration = std::time::Duration::from_mins(3);

/// Refused, and soon.
#[track_caller]
fn refused(text: &str, why: &str) {
    let begun = std::time::Instant::now();
    let errors = read(Path::new("template.yaml"), text, &inputs(), &nothing_beside).unwrap_err();
    let said = errors.to_string();
    assert!(said.contains(why), "{}", &said[..said.len().min(500)]);
    assert!(begun.elapsed() < SOON, "{why}: {:?}", begun.elapsed());
}

#[test]
fn what_is_built_to_be_too_much() {
    let bomb = |n: usize| {
        let line = |n: usize| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(10));
        let lines: Vec<String> = (1..n).map(line).collect();
        format!("a0: &a0 [x]\n{}", lines.concat())
    };
    refused(&bomb(12), "the file holds more than 250000 keys and values");
    let long = "x".repeat(1024 * 1024);
    refused(
        &format!("a: &a {long}\nb: [{}]", "*a,".repeat(1000)),
        "the file holds more than 250000 keys and values",
    );
    let chain: Vec<String> = (1..80)
        .map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1))
        .collect();
    refused(
        &format!("a0: &a0 x\n{}", chain.concat()),
        "deeper than 64 levels",
    );

    let made = "what functions and variables make of this file is larger than";
    let doubling: Vec<String> = (1..60)
        .map(|n| format!("  F{n}: {{ Type: AWS::Lambda::Function, Properties: {{ FunctionName: !Sub '${{F{0}}}${{F{0}}}' }} }}\n", n - 1))
        .collect();
    refused(
        &format!(
            "Resources:\n  F0: {{ Type: AWS::Lambda::Function }}\n{}",
            doubling.concat()
        ),
        made,
    );
    refused(
        &format!(
            "Parameters: {{ P: {{ Type: String, Default: {long} }} }}\nResources: {{}}\nOutputs: {{ O: {{ Value: !Sub '{}' }} }}",
            "${P}".repeat(100_000)
        ),
        made,
    );
    let resources: Vec<String> = (0..20_000)
        .map(|n| {
            format!(
                "  R{n}: {{ Type: AWS::SNS::Topic, DependsOn: R{} }}\n",
                (n + 1) % 20_000
            )
        })
        .collect();
    refused(
        &format!("Resources:\n{}", resources.concat()),
        "resources need each other in a circle: R0 → R1 →",
    );
    let conditions: Vec<String> = (0..20_000)
        .map(|n| format!("  C{n}: !Not [!Condition C{}]\n", n + 1))
        .collect();
    refused(
        &format!("Conditions:\n{}Resources: {{}}", conditions.concat()),
        "conditions stand deeper than 200 levels in each other",
    );

    let service = |custom: &str, name: &str| {
        format!(
            "service: s\nprovider: {{ name: aws }}\ncustom:\n{custom}\nfunctions: {{ f: {{ name: \"{name}\" }} }}\n"
        )
    };
    let doubling: Vec<String> = (1..40)
        .map(|n| {
            format!(
                "  v{n}: ${{self:custom.v{0}}}${{self:custom.v{0}}}\n",
                n - 1
            )
        })
        .collect();
    refused(
        &service(
            &format!("  v0: xx\n{}", doubling.concat()),
            "${self:custom.v39}",
        ),
        made,
    );
    let chain: Vec<String> = (1..1000)
        .map(|n| format!("  v{n}: [\"${{self:custom.v{}}}\"]\n", n - 1))
        .collect();
    refused(
        &service(
            &format!("  v0: x\n{}", chain.concat()),
            "${self:custom.v999}",
        ),
        "variables and values stand deeper than 150 levels in each other",
    );
    for braces in [
        "${a ".repeat(500_000),
        "${self:".repeat(500_000),
        "${".repeat(1_000_000),
    ] {
        let ends = "}".repeat(braces.matches('{').count());
        let begun = std::time::Instant::now();
        let _ = read(
            Path::new("s.yml"),
            &service("  a: 1", &(braces + &ends)),
            &inputs(),
            &nothing_beside,
        );
        assert!(begun.elapsed() < SOON);
    }
}
