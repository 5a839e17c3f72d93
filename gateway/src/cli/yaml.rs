//! Values as YAML that people read.

use serde_json::Value;

/// One document, with a line break at its end.
pub(super) fn written(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                text.extend([indent.as_str(), &scalar(key), ":"]);
                below(value, depth, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                text.extend([indent.as_str(), "-"]);
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        // The first member stands behind the dash, the others below it.
                        let mut members = String::new();
                        write(item, depth + 1, &mut members);
                        text.extend([" ", members.trim_start()]);
                    }
                    _ => below(item, depth, text),
                }
            }
        }
        _ => text.extend([indent.as_str(), &leaf(value), "\n"]),
    }
}

fn below(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            write(value, depth + 1, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            write(value, depth + 1, text);
        }
        _ => text.extend([" ", &leaf(value), "\n"]),
    }
}

fn leaf(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        value => value.to_string(),
    }
}

/// Plain where no reader could take it for anything else; JSON's quotes otherwise, which YAML reads alike.
fn scalar(text: &str) -> String {
    let first = text.chars().next();
    let is_word = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '$' || c == '/')
        && !text.ends_with(':')
        && !text.contains(": ")
        && !text.contains(" #")
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "$_-./:@+ ".contains(c))
        && !text.ends_with(' ');
    let means_something = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if is_word && !means_something.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_stand_as_people_write_them() {
        let value = json!({
            "apis": {"chat": {"routes": {"$connect": {"target": "integrations/a"}, "a b": {}, "on": "0x1"},
            "list": [1, "two", {"a": "b", "c": ["d"]}, []], "empty": "", "text": "x: y", "json": "{\"a\":1}\n"}},
        });
        let expected = "apis:\n  chat:\n    routes:\n      $connect:\n        target: integrations/a\n      a b: {}\n      \"on\": \"0x1\"\n    list:\n      - 1\n      - two\n      - a: b\n        c:\n          - d\n      - []\n    empty: \"\"\n    text: \"x: y\"\n    json: \"{\\\"a\\\":1}\\n\"\n";
        assert_eq!(written(&value), expected);
    }
}
