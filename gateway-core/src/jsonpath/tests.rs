//! What paths mean, and that no text and no document can do harm.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    JsonPath, JsonPathProblem as Problem, MAX_DEPTH, MAX_STEPS, ReadError, Reading, is_json,
};

#[track_caller]
fn path(text: &str) -> JsonPath {
    JsonPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn check(text: &str, json: &str, expected: &str) {
    let reading = path(text)
        .read(json)
        .unwrap_or_else(|error| panic!("{json}: {error}"));
    assert_eq!(
        reading,
        Reading::Text(Cow::Borrowed(expected)),
        "{text} on {json}"
    );
}

#[track_caller]
fn check_missing(text: &str, json: &str) {
    assert_eq!(
        path(text).read(json),
        Ok(Reading::Missing),
        "{text} on {json}"
    );
}

#[track_caller]
fn check_not_json(json: &str) {
    for text in ["$", "action", "a.b", "[0]", "[-1]", "a[*]", "..a"] {
        assert_eq!(path(text).read(json), Err(ReadError::NotJson), "{text}");
    }
    assert!(!is_json(json));
}

#[test]
fn a_path_finds_its_value() {
    let chat = r#"{"service":"chat","action":"join","data":{"room":"room1234"}}"#;
    check("action", chat, "join");
    check("$.action", chat, "join");
    check("['action']", chat, "join");
    check(r#"$["action"]"#, chat, "join");
    check("data.room", chat, "room1234");
    check("data['room']", chat, "room1234");
    check("data.[ 'room' ]", chat, "room1234");
    check("data", chat, "{room=room1234}");
    check(
        "$",
        chat,
        "{service=chat, action=join, data={room=room1234}}",
    );

    let list = r#" { "a" : [ 1 , [ 2 , 3 ] , { "b" : "x" } ] } "#;
    check("a[0]", list, "1");
    check("a[1][1]", list, "3");
    check("a[2].b", list, "x");
    check("a[-1].b", list, "x");
    check("a[-3]", list, "1");
    check("a[*]", list, "[1, [2, 3], {b=x}]");
    check("a.*", list, "[1, [2, 3], {b=x}]");
    check("a[1][*]", list, "[2, 3]");
    check("a[*].b", list, "[x]");
    check("a[*][0]", list, "[2]");
    check("..b", list, "[x]");
    check("$..[0]", list, "[1, 2]");
    check("a..*", list, "[1, [2, 3], {b=x}, 2, 3, x]");
    check("*", r#"{"a":1,"b":[2]}"#, "[1, [2]]");
    check("..k", r#"{"a":{"k":1,"b":{"k":2}},"k":3}"#, "[3, 1, 2]");

    check("[0]", "[7]", "7");
    check("$[0].a", r#"[{"a":"x"}]"#, "x");
    check("['a.b']", r#"{"a.b":1}"#, "1");
    check("['it\\'s']", r#"{"it's":1}"#, "1");
    check("['']", r#"{"":1}"#, "1");
    check("['a]b}']", r#"{"a]b}":1}"#, "1");
    check("@type", r#"{"@type":"x"}"#, "x");
    check("größe", r#"{"größe":3}"#, "3");
    check("0", r#"{"0":"zero"}"#, "zero");
}

#[test]
fn a_path_that_leads_nowhere_is_missing() {
    for text in ["b", "a.b", "a[0]", "[0]", "[-1]", "a[*]", "..b", "a.b.c"] {
        check_missing(text, r#"{"a":"x"}"#);
    }
    for text in [
        "[2]",
        "[-3]",
        "[9223372036854775807]",
        "[-9223372036854775808]",
        "a",
    ] {
        check_missing(text, "[1,2]");
    }
    for scalar in ["5", "\"x\"", "null", "true", " 1e999 ", "\"\\ud800\""] {
        check_missing("action", scalar);
        check_missing("[0]", scalar);
    }
    check_missing("action", "[]");
    check_missing("a[*]", r#"{"a":[]}"#);
}

#[test]
fn values_become_text() {
    let read = |value: &str| {
        path("a")
            .read(&format!("{{\"a\":{value}}}"))
            .map(|r| format!("{r:?}"))
    };
    let check = |value: &str, expected: Reading<'_>| {
        assert_eq!(read(value), Ok(format!("{expected:?}")), "{value}");
    };
    let text = |text| Reading::Text(Cow::Borrowed(text));
    check("\"join\"", text("join"));
    check("\"\"", text(""));
    check("7", text("7"));
    check("-0.50", text("-0.50"));
    check("1E+2", text("1E+2"));
    check("true", text("true"));
    check("false", text("false"));
    check("null", Reading::Null);
    check("[\"a\", 1,null]", text("[a, 1, null]"));
    check("[]", text("[]"));
    check("{\"a\" : 1, \"b\":\"x\"}", text("{a=1, b=x}"));
    check("{}", text("{}"));
    check("[[],[{}]]", text("[[], [{}]]"));
    assert_eq!(Reading::Null.into_text(), "");
    assert_eq!(Reading::Missing.into_text(), "");
}

#[test]
fn strings_are_decoded() {
    let checks = [
        (r#""a\"b\\c\/d""#, "a\"b\\c/d"),
        (r#""\b\f\n\r\t""#, "\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9\u20AC""#, "Aé€"),
        (r#""\ud83d\ude00!""#, "😀!"),
        (r#""\u0000""#, "\0"),
        (r#""\u0024default""#, "$default"),
        // Halves of surrogate pairs, which no UTF-8 can hold.
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""a\ud83d\u0041""#, "a\u{fffd}A"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
    ];
    for (literal, expected) in checks {
        check("a", &format!("{{\"a\":{literal}}}"), expected);
        check("a[-1]", &format!("{{\"a\":[{literal}]}}"), expected);
    }
    check("é", r#"{"\u00e9":"escaped name"}"#, "escaped name");
    check("b", r#"{"\ud800":1,"a":"\udfff","b":2}"#, "2");
}

#[test]
fn of_equal_names_the_last_wins() {
    let twice = r#"{"a":1,"b":2,"a":3}"#;
    check("a", twice, "3");
    check("$", twice, "{a=3, b=2}");
    check("*", twice, "[3, 2]");
    check("..a", twice, "[3]");
    check("a", r#"{"a":1,"\u0061":2}"#, "2");
    check_missing("a.b", r#"{"a":{"b":1},"a":2}"#);
    check("a.b", r#"{"a":{"b":1},"a":{"b":2}}"#, "2");
    check("a[-1]", r#"{"a":[1],"a":[2]}"#, "2");
}

#[test]
fn numbers_keep_their_text() {
    let long = "1".repeat(5000);
    for number in [
        "1e999",
        "-1e-999",
        "123456789012345678901234567890",
        "0.1000000000000000055",
        "1.0",
        &long,
    ] {
        check("a", &format!("{{\"a\":{number}}}"), number);
        check(
            "a[*]",
            &format!("{{\"a\":[{number}]}}"),
            &format!("[{number}]"),
        );
        check("b", &format!("{{\"a\":{number},\"b\":1}}"), "1");
        check_missing("a.b", &format!("{{\"a\":{number}}}"));
    }
}

#[test]
fn only_a_whole_document_is_json() {
    let texts = [
        "",
        " ",
        "hello",
        "{",
        "{}}",
        "{\"a\":1} x",
        "{} {}",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "{'a':1}",
        "{a:1}",
        "{\"a\" 1}",
        "01",
        "1.",
        ".5",
        "+1",
        "NaN",
        "Infinity",
        "nul",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"a\nb\"",
        "{\"a\u{1}\":1}",
        "\u{feff}{}",
        "// x\n{}",
        "\0",
        "{\"action\":\"x\"",
    ];
    for text in texts {
        check_not_json(text);
    }
    // Invalid behind what the path needs is invalid all the same.
    check_not_json(r#"{"action":"join","x":}"#);
    check_not_json(r#"{"action":"join","x":"\q"}"#);
    check_not_json(r#"[{"b":1},]"#);
    assert!(is_json(" {\"a\":[1,2]}\r\n"));
}

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn depth_bombs_are_not_json() {
    for bomb in [
        "[".repeat(128 * 1024),
        "{\"a\":".repeat(20_000),
        "[{\"a\":".repeat(20_000),
        nested(64 * 1024),
        nested(MAX_DEPTH + 1),
        format!(
            "{{\"action\":{}1{}}}",
            "{\"action\":".repeat(199),
            "}".repeat(199)
        ),
        format!("{{\"action\":\"x\",\"d\":{}}}", nested(MAX_DEPTH)),
    ] {
        check_not_json(&bomb);
        assert!(serde_json::from_str::<Value>(&bomb).is_err());
    }
    for deep in [
        nested(MAX_DEPTH),
        format!("{{\"action\":\"x\",\"d\":{}}}", nested(MAX_DEPTH - 1)),
        // Brackets in strings are no nesting, nor are many side by side.
        format!("[\"{}\\\"{}\"]", "[".repeat(500), "[".repeat(500)),
        format!("[{}1]", "[],".repeat(500)),
    ] {
        assert!(is_json(&deep));
        assert!(serde_json::from_str::<Value>(&deep).is_ok());
        assert!(path("$").read(&deep).is_ok());
        assert!(path("..a[0]").read(&deep).is_ok());
    }
}

#[test]
fn a_plain_string_is_borrowed_from_the_message() {
    let message = String::from(r#"{"action":"sendmessage","data":{"n":12,"l":[1,"x"]}}"#);
    for text in ["action", "data.n", "data.l[1]", "data.l[-1]"] {
        let Ok(Reading::Text(Cow::Borrowed(found))) = path(text).read(&message) else {
            panic!("{text} made a copy");
        };
        assert!(message.as_bytes().as_ptr_range().contains(&found.as_ptr()));
    }
}

#[test]
fn text_does_not_grow_without_bound() {
    // `..*` names each byte once for each level above it.
    let wide = format!(
        "{}\"{}\"{}",
        "[".repeat(100),
        "x".repeat(100_000),
        "]".repeat(100)
    );
    assert_eq!(path("..*").read(&wide), Err(ReadError::OutOfFuel));
    let flat = format!("{{\"a\":[{}0]}}", "0,".repeat(300_000));
    assert!(
        matches!(path("a").read(&flat), Ok(Reading::Text(text)) if text.len() == 3 * 300_000 + 3)
    );
}

#[track_caller]
fn check_refused(text: &str, position: usize, problem: &Problem) {
    let error = JsonPath::parse(text).expect_err(text);
    assert_eq!(
        (error.position, &error.problem),
        (position, problem),
        "{text}: {error}"
    );
}

#[test]
fn bad_paths_are_refused() {
    check_refused("", 0, &Problem::EmptyPath);
    check_refused("a.", 2, &Problem::EmptyKey);
    check_refused("$.", 2, &Problem::EmptyKey);
    check_refused("a...b", 3, &Problem::EmptyKey);
    check_refused("a..", 3, &Problem::EmptyKey);
    check_refused("a[", 1, &Problem::UnclosedBracket);
    check_refused("a[0", 1, &Problem::UnclosedBracket);
    check_refused("a['b'", 1, &Problem::UnclosedBracket);
    check_refused("a['b'x]", 1, &Problem::UnclosedBracket);
    check_refused("a['b", 1, &Problem::UnclosedQuote('\''));
    check_refused("a[\"b']", 1, &Problem::UnclosedQuote('"'));
    check_refused("a[]", 1, &Problem::BadIndex(String::new()));
    check_refused("a[x]", 1, &Problem::BadIndex("x".into()));
    check_refused("a[+1]", 1, &Problem::BadIndex("+1".into()));
    check_refused("a[-]", 1, &Problem::BadIndex("-".into()));
    check_refused("a[1.5]", 1, &Problem::BadIndex("1.5".into()));
    check_refused(
        "a[99999999999999999999]",
        1,
        &Problem::BadIndex("99999999999999999999".into()),
    );
    check_refused("a[0:2]", 1, &Problem::Slice);
    check_refused("a[0,1]", 1, &Problem::Union);
    check_refused("a['b','c']", 1, &Problem::Union);
    check_refused("a[?(@.b>1)]", 1, &Problem::Filter);
    check_refused("a[(@.length-1)]", 1, &Problem::Filter);
    check_refused("a.length()", 8, &Problem::Unexpected('('));
    check_refused("a b", 1, &Problem::Unexpected(' '));
    check_refused("a.b$", 3, &Problem::Unexpected('$'));
    check_refused("a. b", 2, &Problem::Unexpected(' '));
    check_refused("*a", 1, &Problem::Unexpected('a'));
    check_refused("..a..b", 3, &Problem::SecondDescent);
    check_refused(
        &format!("a{}", ".a".repeat(MAX_STEPS)),
        2 * MAX_STEPS,
        &Problem::TooManySteps,
    );
    assert!(JsonPath::parse(&format!("a{}", ".a".repeat(MAX_STEPS - 1))).is_ok());
}

#[test]
fn a_path_prints_in_one_spelling() {
    for (text, expected) in [
        ("a.b", "$.a.b"),
        ("$['a']['b c']", "$.a['b c']"),
        (r#"["it's \\ x"]"#, r"$['it\'s \\ x']"),
        ("a[ 0 ].*", "$.a[0][*]"),
        ("..a", "$..a"),
        ("$..['a b'][-1]", "$..['a b'][-1]"),
        ("$", "$"),
    ] {
        assert_eq!(path(text).to_string(), expected, "{text}");
        assert_eq!(path(expected), path(text));
    }
}
