//! What holds for every path and every document: no text breaks anything, and both evaluators agree.

use std::borrow::Cow;
use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

use super::{JsonPath, PathSet, Reading, Step, is_json};

/// Prints a `Value` as Java would: written apart from the evaluator, to hold it to.
fn print(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(elements) => {
            let printed: Vec<_> = elements.iter().map(print).collect();
            write!(out, "[{}]", printed.join(", ")).unwrap();
        }
        Value::Object(members) => {
            let printed: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{key}={}", print(value)))
                .collect();
            write!(out, "{{{}}}", printed.join(", ")).unwrap();
        }
        scalar => write!(out, "{scalar}").unwrap(),
    }
    out
}

fn expected_of(path: &JsonPath, document: &Value) -> Reading<'static> {
    let found = path.select(document).unwrap();
    match (path.is_definite(), found.as_slice()) {
        (_, []) => Reading::Missing,
        (true, [Value::Null]) => Reading::Null,
        (true, [one]) => Reading::Text(Cow::Owned(print(one))),
        (true, many) => panic!("{path} is definite, and found {}", many.len()),
        (false, many) => Reading::Text(Cow::Owned(print(&many.iter().copied().cloned().collect()))),
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[abc]", 1 => "[a-c .\\[\\]'\"\\\\\u{0}é😀]{0,3}"]
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Quarters, whose text a `Value` keeps; of other floats it may change the last digit.
        any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        name().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// JSON text with names that repeat, spaces and escapes, which no `Value` would print.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        document().prop_map(|value| value.to_string()),
        Just(r#""\u0061\ud83d\ude00\n""#.to_owned()),
        Just(" 12 ".to_owned()),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let member = ("[abc]|\\\\u0061", inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4)
                .prop_map(|elements| format!("[ {} ]", elements.join(" ,\n"))),
            prop::collection::vec(member, 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| format!("\"{key}\" :\t{value}"))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    })
}

fn any_path() -> impl Strategy<Value = JsonPath> {
    let step = || {
        prop_oneof![
            6 => name().prop_map(Step::Key),
            3 => (-3_i64..4).prop_map(Step::Index),
            1 => Just(Step::Every),
        ]
    };
    let steps = || prop::collection::vec(step(), 0..4);
    (steps(), prop::option::weighted(0.2, step()), steps()).prop_map(
        |(mut before, below, after)| {
            if let Some(step) = below {
                before.extend([Step::Descendants, step]);
            }
            before.extend(after);
            JsonPath { steps: before }
        },
    )
}

proptest! {
    #[test]
    fn both_evaluators_agree(path in any_path(), json in json_text()) {
        let document: Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(path.read(&json), Ok(expected_of(&path, &document)));
    }

    #[test]
    fn paths_read_together_as_one_by_one(
        paths in prop::collection::vec(any_path(), 0..12),
        json in json_text(),
    ) {
        let document: Value = serde_json::from_str(&json).unwrap();
        let mut readings = vec![Reading::Missing; paths.len()];
        PathSet::new(&paths).read(&json, &mut readings).unwrap();
        for (path, reading) in paths.iter().zip(readings) {
            prop_assert_eq!(&reading, &path.read(&json).unwrap(), "{}", path);
            prop_assert_eq!(reading, expected_of(path, &document), "{}", path);
        }
    }

    #[test]
    fn a_printed_path_parses_to_itself(path in any_path()) {
        prop_assert_eq!(JsonPath::parse(&path.to_string()), Ok(path));
    }

    #[test]
    fn no_text_breaks_the_parser(text in any::<String>()) {
        let _ = JsonPath::parse(&text);
    }

    #[test]
    fn no_mix_of_signs_breaks_the_parser(text in "([$.*?,:()'\"\\\\ -]|\\[|\\]|a|0|é|\\.\\.|\\['){0,12}") {
        if let Ok(path) = JsonPath::parse(&text) {
            prop_assert_eq!(JsonPath::parse(&path.to_string()), Ok(path));
        }
    }

    #[test]
    fn no_text_breaks_the_evaluator(path in any_path(), json in any::<String>()) {
        let _ = path.read(&json);
    }

    #[test]
    fn json_is_what_a_value_takes(json in "([{}:,\"0-9ae.+ -]|\\[|\\]|\\\\u0061|true|null|\"a\":){0,10}") {
        let found = JsonPath { steps: vec![Step::Key("a".into())] }.read(&json);
        prop_assert_eq!(found.is_ok(), is_json(&json));
        match serde_json::from_str::<Value>(&json) {
            Ok(_) => prop_assert!(is_json(&json)),
            // The one thing these signs can spell that only a `Value` refuses.
            Err(error) => prop_assert!(!is_json(&json) || error.to_string().contains("out of range")),
        }
    }
}
