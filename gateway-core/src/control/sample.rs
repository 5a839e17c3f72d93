//! `GetModelTemplate`: a mapping template that copies what a model's schema describes.

use serde_json::Value;

/// Schemas nest as deep as a caller likes.
const DEEPEST: usize = 32;

/// A template for the schema's shape, as AWS generates it: members of objects by path, lists by a loop.
pub(super) fn of_schema(schema: &str) -> String {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let template = of(&schema, "$inputRoot", 0);
    format!("#set($inputRoot = $input.path('$'))\n{template}")
}

fn of(schema: &Value, path: &str, depth: usize) -> String {
    let indent = "  ".repeat(depth + 1);
    match schema.get("type").and_then(Value::as_str) {
        Some("object") if depth < DEEPEST => {
            let members = schema.get("properties").and_then(Value::as_object);
            let lines = members.into_iter().flatten().map(|(name, member)| {
                let value = of(member, &format!("{path}.{name}"), depth + 1);
                format!("{indent}{} : {value}", Value::from(name.as_str()))
            });
            let lines: Vec<String> = lines.collect();
            format!("{{\n{}\n{}}}", lines.join(",\n"), "  ".repeat(depth))
        }
        Some("array") if depth < DEEPEST => {
            let item = schema.get("items").unwrap_or(&Value::Null);
            let item = of(item, "$elem", depth + 1);
            format!(
                "[\n#foreach($elem in {path})\n{indent}{item}#if($foreach.hasNext),#end\n#end\n]"
            )
        }
        Some("string") => format!("\"{path}\""),
        _ => path.to_owned(),
    }
}
