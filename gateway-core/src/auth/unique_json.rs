//! JSON in which no object has a name twice: where one reader takes the first and another the last, a Deny could be hidden.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads a whole text; nothing where it is not JSON, is nested more than 128 deep, or says a name twice.
pub(crate) fn parse(json: &[u8]) -> Option<Value> {
    let unique: Unique = serde_json::from_slice(json).ok()?;
    Some(unique.0)
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder).map(Self)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        let number = Number::from_f64(number);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a name twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_stands_once() {
        let check = |text: &str, expected: Option<Value>| {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        };
        check(
            r#" {"b":[1,-2,0.5,"x",true,null],"a":{}} "#,
            Some(json!({"b": [1, -2, 0.5, "x", true, null], "a": {}})),
        );
        check(r#"{"a":1,"a":1}"#, None);
        check(r#"[{"a":{"b":1,"\u0062":2}}]"#, None);
        check("", None);
        check("{} x", None);
        check("1e999", None);
        check(&("[".repeat(2_000) + &"]".repeat(2_000)), None);
        assert_eq!(parse(b"\"\xff\""), None);
    }
}
