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
