//! Members of a request's body, with the limits of the Lambda API's shapes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::LambdaApiError;

/// A body, read member by member.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

/// A request body; nothing is an empty object.
pub(super) fn read(body: &[u8]) -> Result<Fields, LambdaApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Fields(Map::new()));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(Fields(members)),
        Ok(_) => Err(LambdaApiError::Serialization(
            "The body must be a JSON object".to_owned(),
        )),
        Err(why) => Err(LambdaApiError::Serialization(format!(
            "Could not parse request body into json: {why}"
        ))),
    }
}

impl Fields {
    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A member as it was written, for those that are told back and not acted upon.
    pub(super) fn written(&self, name: &str) -> Option<Value> {
        self.value(name).cloned()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, LambdaApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, LambdaApiError> {
        self.text(name)?.ok_or_else(|| LambdaApiError::absent(name))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, LambdaApiError> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong_type(name, "true or false")),
        }
    }

    /// A number within bounds.
    pub(super) fn number(
        &self,
        name: &str,
        (least, most): (u32, u32),
    ) -> Result<Option<u32>, LambdaApiError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let number = value.as_i64().ok_or_else(|| wrong_type(name, "a number"))?;
        let breaks = |constraint: String| {
            Err(LambdaApiError::breaks(
                name,
                &number.to_string(),
                &constraint,
            ))
        };
        match u32::try_from(number) {
            Ok(number) if number > most => breaks(format!(
                "Member must have value less than or equal to {most}"
            )),
            Ok(number) if number >= least => Ok(Some(number)),
            _ if number > i64::from(most) => breaks(format!(
                "Member must have value less than or equal to {most}"
            )),
            _ => breaks(format!(
                "Member must have value greater than or equal to {least}"
            )),
        }
    }

    /// The object in a member.
    pub(super) fn object(&self, name: &str) -> Result<Option<Fields>, LambdaApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Fields(members.clone()))),
            Some(_) => Err(wrong_type(name, "an object")),
        }
    }

    /// A map of texts.
    pub(super) fn texts(
        &self,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, LambdaApiError> {
        let Some(Fields(members)) = self.object(name)? else {
            return Ok(None);
        };
        let texts = members.into_iter().map(|(key, value)| match value {
            Value::String(text) => Ok((key, text)),
            _ => Err(wrong_type(&format!("{name}.{key}"), "a string")),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }
}

fn wrong_type(name: &str, expected: &str) -> LambdaApiError {
    LambdaApiError::Serialization(format!("{name} must be {expected}"))
}
