//! What holds for every text and every message: nothing panics, and an expression prints as it parses.

use proptest::prelude::*;

use super::{Evaluation, Kind, Scope, SelectionExpression};

const KINDS: [Kind; 8] = [
    Kind::Route,
    Kind::ApiKey,
    Kind::ApiMapping,
    Kind::Model,
    Kind::RouteResponse,
    Kind::RequestTemplate,
    Kind::IntegrationResponse,
    Kind::ResponseTemplate,
];

const CHAT: &str = r#"{"a":"join","b":{"k":[1,2]},"action":null}"#;

/// Pieces of the grammar in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "$",
        "${",
        "}",
        r"\$",
        r"\",
        "request.body",
        "request.body.",
        ".",
        "..",
        "action",
        "[0]",
        "[-1]",
        "[*]",
        "['",
        "']",
        "[\"k\"]",
        "context.",
        "stage",
        "stageVariables.v",
        "integration.response.statuscode",
        "integration.response.header.X",
        "request.header.x-api-key",
        "default",
        "/",
        "-",
        " ",
        "é",
        "😀",
        "{",
        "$request.body.a",
        "${request.body.b}",
    ]);
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// A small document of the names that the paths below use.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["1", "\"x\"", "null", "\"\\n\""]).prop_map(str::to_owned);
    leaf.prop_recursive(4, 30, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec(("[ab]", inner), 0..4).prop_map(|all| {
                let members: Vec<_> = all.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
                format!("{{{}}}", members.join(" ,"))
            }),
        ]
    })
}

fn check_any_text(text: &str, message: &str) -> Result<(), TestCaseError> {
    for kind in KINDS {
        match SelectionExpression::parse(text, kind) {
            Ok(expression) => {
                let again = SelectionExpression::parse(&expression.to_string(), kind);
                prop_assert_eq!(again.as_ref(), Ok(&expression));
                expression.evaluate(&Scope::of_message(message));
                expression.evaluate(&Scope::of_message(CHAT));
            }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.position), "{}: {}", text, error);
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_text_does_harm(text in any::<String>(), message in any::<String>()) {
        check_any_text(&text, &message)?;
    }

    #[test]
    fn no_mix_of_the_grammar_does_harm(text in soup(), message in any::<String>()) {
        check_any_text(&text, &message)?;
    }

    #[test]
    fn variables_are_evaluated_together_as_one_by_one(
        paths in prop::collection::vec("(\\.\\.?[ab]|\\[0\\]|\\[-1\\]|\\[\\*\\]){1,4}", 1..8),
        message in document(),
    ) {
        let parse = |text: &str| SelectionExpression::parse(text, Kind::Model).ok();
        let variables: Vec<String> =
            paths.iter().map(|path| format!("${{request.body{path}}}")).collect();
        // Two `..` in one path are refused.
        prop_assume!(variables.iter().all(|text| parse(text).is_some()));
        let mut expected = String::new();
        for text in &variables {
            let one = parse(text).unwrap();
            match one.evaluate(&Scope::of_message(&message)) {
                Evaluation::Key(key) => expected.push_str(&key),
                other => panic!("{text}: {other:?}"),
            }
        }
        let all = parse(&variables.concat()).unwrap();
        prop_assert_eq!(
            all.evaluate(&Scope::of_message(&message)),
            Evaluation::Key(expected.into())
        );
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_any_text(&String::from_utf8_lossy(&bytes), &String::from_utf8_lossy(&bytes))?;
    }
}
