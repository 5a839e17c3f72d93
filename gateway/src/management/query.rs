//! The parameters of a path, strictly read: one that is misspelt must not go unnoticed, or a list is longer than it was
//! meant to be.

use std::str::FromStr;

use gateway_core::call::decode_query;

use super::answer::Refusal;

/// Results in a page where nothing is said.
const USUAL_RESULTS: usize = 100;
/// Results in a page at most.
pub(super) const MOST_RESULTS: usize = 1000;

/// The parameters of one request.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query in which each of the `known` parameters may stand once, and nothing else.
    pub(super) fn read(raw: Option<&str>, known: &[&str]) -> Result<Self, Refusal> {
        let pairs = decode_query(raw.unwrap_or_default());
        for (place, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(unknown(name, known));
            }
            if pairs[..place].iter().any(|(earlier, _)| earlier == name) {
                return Err(Refusal::bad(format!("{name} stands twice; give it once")));
            }
        }
        Ok(Self(pairs))
    }

    /// A value as it stands, which may be empty.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A value that may not be empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.raw(name) {
            Some("") => Err(Refusal::bad(format!(
                "{name} is empty; give it a value or leave it out"
            ))),
            value => Ok(value),
        }
    }

    /// A value that is read as something; `expected` says what would be right.
    pub(super) fn parse<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let mistake = |_| Refusal::bad(format!("{name}={text}: expected {expected}"));
        text.parse().map(Some).map_err(mistake)
    }

    /// How many results the caller wants at most.
    pub(super) fn max_results(&self) -> Result<usize, Refusal> {
        let expected = "a number from 1 to 1000";
        let wanted: usize = self.parse("maxResults", expected)?.unwrap_or(USUAL_RESULTS);
        if (1..=MOST_RESULTS).contains(&wanted) {
            return Ok(wanted);
        }
        Err(Refusal::bad(format!(
            "maxResults={wanted}: expected {expected}"
        )))
    }
}

fn unknown(name: &str, known: &[&str]) -> Refusal {
    let Some((last, others)) = known.split_last() else {
        return Refusal::bad(format!(
            "Unknown parameter '{name}': this path takes none with this method"
        ));
    };
    let known = if others.is_empty() {
        (*last).to_owned()
    } else {
        format!("{} or {last}", others.join(", "))
    };
    Refusal::bad(format!("Unknown parameter '{name}': use {known}"))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[track_caller]
    fn check(raw: &str, known: &[&str], expected: Result<usize, &str>) {
        let read = || {
            let query = Query::read(Some(raw), known)?;
            query.text("apiId")?;
            query.parse::<IpAddr>("sourceIp", "an IP address")?;
            query.max_results()
        };
        let found = read().map_err(|refusal| {
            assert_eq!(refusal.status, 400);
            refusal.message
        });
        assert_eq!(found, expected.map_err(str::to_owned), "{raw}");
    }

    #[test]
    fn a_parameter_is_right_or_the_answer_says_what_would_be() {
        let known = ["apiId", "sourceIp", "maxResults"];
        check("", &known, Ok(100));
        check("maxResults=1", &known, Ok(1));
        check(
            "apiId=chat&sourceIp=%3A%3A1&maxResults=1000",
            &known,
            Ok(1000),
        );
        for (bad, said) in [
            ("0", "maxResults=0: expected a number from 1 to 1000"),
            ("1001", "maxResults=1001: expected a number from 1 to 1000"),
            ("-1", "maxResults=-1: expected a number from 1 to 1000"),
            ("ten", "maxResults=ten: expected a number from 1 to 1000"),
        ] {
            check(&format!("maxResults={bad}"), &known, Err(said));
        }
        let use_these = "Unknown parameter 'api': use apiId, sourceIp or maxResults";
        check("api=chat", &known, Err(use_these));
        let case = "Unknown parameter 'apiid': use apiId, sourceIp or maxResults";
        check("apiid=chat", &known, Err(case));
        check("x=", &["code"], Err("Unknown parameter 'x': use code"));
        let none = "Unknown parameter 'x': this path takes none with this method";
        check("x", &[], Err(none));
        let twice = "apiId stands twice; give it once";
        check("apiId=a&apiId=a", &known, Err(twice));
        let empty = "apiId is empty; give it a value or leave it out";
        check("apiId=", &known, Err(empty));
        check("apiId", &known, Err(empty));
        let address = "sourceIp=10.0.0: expected an IP address";
        check("sourceIp=10.0.0", &known, Err(address));
    }
}
