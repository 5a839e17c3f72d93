//! Integration URIs: stage variables are filled in when a stage is compiled, path parameters at each call.

use std::collections::BTreeMap;
use std::fmt;

use http::Uri;
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};

use crate::failure::Failure;

/// RFC 3986's unreserved characters stay; all else in a path segment or a query value is encoded,
/// so that a message can fill a place in the URI but never change its shape.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What may not stand in a query as it is; clients send it all the same. Escapes that are there stay.
const IN_QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'#');

/// `${stageVariables.name}` replaced by the stage's values; an unset one becomes empty, as on AWS.
pub(super) fn substitute(text: &str, variables: &BTreeMap<String, String>) -> String {
    const OPEN: &str = "${stageVariables.";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let after = &rest[at + OPEN.len()..];
        let Some(end) = after.find('}') else { break };
        out.push_str(&rest[..at]);
        out.push_str(variables.get(&after[..end]).map_or("", String::as_str));
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    out
}

/// An absolute `http` or `https` URI with places for path parameters.
#[derive(Debug, Clone)]
pub struct UriTemplate {
    /// Literal parts; between two of them stands the parameter of the same place in `names`.
    literals: Vec<String>,
    names: Vec<String>,
    /// The whole URI where it has no parameters: the common case costs no formatting.
    fixed: Option<Uri>,
}

/// As it was written.
impl fmt::Display for UriTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, literal) in self.literals.iter().enumerate() {
            f.write_str(literal)?;
            if let Some(name) = self.names.get(n) {
                write!(f, "{{{name}}}")?;
            }
        }
        Ok(())
    }
}

impl UriTemplate {
    /// Parses a URI whose stage variables are already filled in. Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!(
                "'{text}' is not an absolute URL; write http://host:port/path or https://…"
            ));
        };
        if scheme != "http" && scheme != "https" {
            return Err(format!(
                "scheme '{scheme}' cannot be called; use http or https"
            ));
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err(format!("'{text}' names no host"));
        }
        if authority.contains(['{', '}']) {
            return Err("a parameter may stand in the path or query, never in the host".to_owned());
        }
        if authority.contains('@') {
            return Err(
                "credentials in a URL would end up in logs; map a header instead".to_owned(),
            );
        }
        if text.contains('#') {
            return Err("a URL to call has no fragment ('#')".to_owned());
        }
        let (mut literals, mut names) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let close = rest[open..]
                .find('}')
                .ok_or_else(|| format!("'{{' is not closed in '{text}'"))?
                + open;
            let name = &rest[open + 1..close];
            if name.is_empty() {
                return Err(format!("'{{}}' names no parameter in '{text}'"));
            }
            literals.push(rest[..open].to_owned());
            names.push(name.to_owned());
            rest = &rest[close + 1..];
        }
        literals.push(rest.to_owned());
        let sample = literals.join("x");
        let uri: Uri = sample
            .parse()
            .map_err(|error| format!("'{text}' is not a URL: {error}"))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(format!("'{text}' names no host"));
        }
        // `host:` and ports above 65,535 parse as an authority, but name no port.
        let has_port = uri.host() != Some(authority);
        if has_port && uri.port_u16().is_none_or(|port| port == 0) {
            return Err(format!(
                "the port of '{text}' is not a number from 1 to 65535"
            ));
        }
        if !names.is_empty() && has_dot_segment(&sample) {
            return Err(format!(
                "'{text}' has a '.' or '..' segment; write the path that it leads to"
            ));
        }
        let fixed = names.is_empty().then_some(uri);
        Ok(Self {
            literals,
            names,
            fixed,
        })
    }

    /// The URI, if it has no path parameters.
    pub(super) fn fixed(&self) -> Option<&Uri> {
        self.fixed.as_ref()
    }

    /// Names of the path parameters it needs.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The URI of one call: `value` gives path parameters, `query` what is appended, both encoded here.
    /// `raw_query` is a client's own query string: what may stand in a URI stays as it is.
    ///
    /// A value that makes a dot segment is refused: no encoding keeps a backend from climbing with it.
    pub fn build<'a>(
        &self,
        value: impl Fn(&str) -> Option<&'a str>,
        raw_query: &str,
        query: &[(&str, &str)],
    ) -> Result<Uri, Failure> {
        if let (Some(uri), true, true) = (&self.fixed, raw_query.is_empty(), query.is_empty()) {
            return Ok(uri.clone());
        }
        let mut text = self.literals[0].clone();
        for (name, literal) in self.names.iter().zip(&self.literals[1..]) {
            text.extend(utf8_percent_encode(value(name).unwrap_or_default(), VALUE));
            text.push_str(literal);
        }
        if !self.names.is_empty() && has_dot_segment(&text) {
            return Err(Failure::BadRequest(
                "a path parameter may not be a dot segment",
            ));
        }
        if text
            .split("://")
            .nth(1)
            .is_some_and(|rest| !rest.contains(['/', '?']))
        {
            text.push('/');
        }
        let mut separator = if text.contains('?') { '&' } else { '?' };
        if !raw_query.is_empty() {
            text.push(separator);
            text.extend(utf8_percent_encode(raw_query, IN_QUERY));
            separator = '&';
        }
        for (name, value) in query {
            text.push(separator);
            text.extend(utf8_percent_encode(name, VALUE));
            text.push('=');
            text.extend(utf8_percent_encode(value, VALUE));
            separator = '&';
        }
        text.parse().map_err(|error| {
            Failure::Configuration(format!("the integration's URL cannot be built: {error}"))
        })
    }
}

/// True where a segment of the path is `.` or `..`, however it is spelled.
fn has_dot_segment(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    path.split('/').any(|segment| {
        let segment = percent_decode_str(segment);
        segment.clone().eq(*b".") || segment.eq(*b"..")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_variables_are_filled_in() {
        let variables = BTreeMap::from([("host".to_owned(), "a.example:81".to_owned())]);
        let check = |text: &str, expected: &str| assert_eq!(substitute(text, &variables), expected);
        check("http://${stageVariables.host}/x", "http://a.example:81/x");
        check("http://h/${stageVariables.none}/x", "http://h//x");
        check(
            "${stageVariables.host}${stageVariables.host}",
            "a.example:81a.example:81",
        );
        check(
            "http://h/${stageVariables.host",
            "http://h/${stageVariables.host",
        );
        check("http://h/$x", "http://h/$x");
    }

    #[track_caller]
    fn check(template: &str, room: &str, raw_query: &str, query: &[(&str, &str)], expected: &str) {
        let uri = UriTemplate::parse(template).unwrap();
        let built = uri
            .build(|name| (name == "room").then_some(room), raw_query, query)
            .unwrap();
        assert_eq!(built.to_string(), expected);
    }

    #[test]
    fn a_message_fills_a_place_and_never_changes_the_shape() {
        check("http://h:1/a/{room}/b", "x", "", &[], "http://h:1/a/x/b");
        check(
            "http://h/{room}",
            "../../admin?x=1#f",
            "",
            &[],
            "http://h/..%2F..%2Fadmin%3Fx%3D1%23f",
        );
        check(
            "http://h/{room}",
            "a\r\nHost: evil",
            "",
            &[],
            "http://h/a%0D%0AHost%3A%20evil",
        );
        check("http://h/{room}", "é", "", &[], "http://h/%C3%A9");
        check(
            "http://h",
            "",
            "a=1",
            &[("b", "2&c=3")],
            "http://h/?a=1&b=2%26c%3D3",
        );
        check(
            "http://h/p?z=0",
            "",
            "a=1",
            &[("b", "@evil.example")],
            "http://h/p?z=0&a=1&b=%40evil.example",
        );
        check("http://h/{none}/x", "", "", &[], "http://h//x");
        check(
            "http://h/p",
            "",
            "q={\"a\":1}&b=%20<\u{e9}>",
            &[],
            "http://h/p?q=%7B%22a%22:1%7D&b=%20%3C%C3%A9%3E",
        );
    }

    #[test]
    fn a_bad_url_is_refused_with_the_reason() {
        let refused = |text: &str, part: &str| {
            let error = UriTemplate::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        };
        refused("backend/x", "not an absolute URL");
        refused("gopher://h/x", "scheme 'gopher'");
        refused("unix:///var/run/docker.sock", "scheme 'unix'");
        refused("file:///etc/passwd", "scheme 'file'");
        refused("http:///x", "names no host");
        refused("http://{room}.example/x", "never in the host");
        refused("http://user:secret@h/x", "credentials");
        refused("http://h/{room", "not closed");
        refused("http://h/{}", "names no parameter");
        refused("http://h/a b", "not a URL");
        refused("http://h/#x", "fragment");
    }
}
