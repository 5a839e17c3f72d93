//! The form of variables: `${source:address, default}`, one inside the other.

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Text(&'t str),
    /// What stands between `${` and `}`.
    Variable(&'t str),
}

/// Where a value comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source<'t> {
    /// In quotes.
    Text(&'t str),
    /// A number, `true`, `false` or `null`.
    Plain(&'t str),
    /// Another variable as a whole, by what stands in its braces.
    Variable(&'t str),
    /// `name(argument):address`.
    Named {
        name: &'t str,
        argument: Option<&'t str>,
        address: &'t str,
    },
}

/// Cuts a text into variables and what stands between them. `${AWS::Region}`, `${Function.Arn}` and `${!Text}` are no
/// variables; CloudFormation reads them.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut done, mut at) = (0, 0);
    while let Some(found) = text[at..].find("${") {
        let begin = at + found;
        at = begin + 2;
        let Some(inside) = braced(&text[begin..]).filter(|inside| is_variable(inside)) else {
            continue;
        };
        at += inside.len() + 1;
        if begin > done {
            parts.push(Part::Text(&text[done..begin]));
        }
        parts.push(Part::Variable(inside));
        done = at;
    }
    if done < text.len() || parts.is_empty() {
        parts.push(Part::Text(&text[done..]));
    }
    parts
}

/// Braces inside each other; with more, looking for each one's end would take too long.
const DEEPEST: usize = 32;

/// What stands in the braces of `${…}`, with which `text` begins.
fn braced(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if at > 0 && bytes[at - 1] == b'$' => depth += 1,
            _ if depth > DEEPEST => return None,
            b'}' if depth == 1 => return Some(&text[2..at]),
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn is_variable(inside: &str) -> bool {
    let first = sources(inside).into_iter().next().unwrap_or_default();
    matches!(
        source(first),
        Some(Source::Named { .. } | Source::Variable(_))
    )
}

/// The source and its defaults, cut at commas that stand outside of quotes, braces and parentheses.
pub(super) fn sources(inside: &str) -> Vec<&str> {
    let mut sources = Vec::new();
    let (mut begin, mut depth, mut quote) = (0, 0_usize, None);
    for (at, c) in inside.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '{' | '(') => depth += 1,
            (None, '}' | ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                sources.push(inside[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    sources.push(inside[begin..].trim());
    sources
}

/// Reads one source; `None` where it has no form that is known.
pub(super) fn source(text: &str) -> Option<Source<'_>> {
    for quote in ['\'', '"'] {
        if let Some(rest) = text.strip_prefix(quote) {
            return rest.strip_suffix(quote).map(Source::Text);
        }
    }
    if text.starts_with("${") {
        let inside = braced(text)?;
        return (inside.len() + 3 == text.len()).then_some(Source::Variable(inside));
    }
    let is_number =
        text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.parse::<f64>().is_ok();
    if is_number || matches!(text, "true" | "false" | "null") {
        return Some(Source::Plain(text));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let end = text.find(|c| !legal(c))?;
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    let (argument, rest) = match rest.strip_prefix('(') {
        Some(rest) => {
            // A path may hold a variable, and that may hold parentheses.
            let close = closing(rest)?;
            (Some(rest[..close].trim()), &rest[close + 1..])
        }
        None => (None, rest),
    };
    match rest.strip_prefix(':') {
        // `AWS::Region`.
        Some(address) if address.starts_with(':') => None,
        Some(address) => Some(Source::Named {
            name,
            argument,
            address: address.trim(),
        }),
        None if argument.is_some() && rest.is_empty() => Some(Source::Named {
            name,
            argument,
            address: "",
        }),
        None => None,
    }
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return Some(at),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_text() {
        use Part::{Text, Variable};
        let check = |text: &str, expected: &[Part<'_>]| assert_eq!(parts(text), expected, "{text}");
        check("plain $connect", &[Text("plain $connect")]);
        check("", &[Text("")]);
        check("${self:a}", &[Variable("self:a")]);
        check(
            "a-${self:b}-c",
            &[Text("a-"), Variable("self:b"), Text("-c")],
        );
        check(
            "${self:${opt:x}}${env:Y}",
            &[Variable("self:${opt:x}"), Variable("env:Y")],
        );
        check(
            "${AWS::Region}/${Fn.Arn}/${!x}",
            &[Text("${AWS::Region}/${Fn.Arn}/${!x}")],
        );
        check(
            "${AWS::Region}${sls:stage}",
            &[Text("${AWS::Region}"), Variable("sls:stage")],
        );
        check("${file(a.yml)}", &[Variable("file(a.yml)")]);
        check("${self:a", &[Text("${self:a")]);
        check("${", &[Text("${")]);
    }

    #[test]
    fn sources_of_a_variable() {
        let check = |text: &str, expected: &[&str]| assert_eq!(sources(text), expected, "{text}");
        check(
            "opt:stage, self:custom.stage, 'a, b'",
            &["opt:stage", "self:custom.stage", "'a, b'"],
        );
        check("opt:x, ${self:a, 'b'}", &["opt:x", "${self:a, 'b'}"]);
        check("file(a,b.yml):c", &["file(a,b.yml):c"]);
        check("", &[""]);
    }

    #[test]
    fn one_source() {
        let named = |name, argument, address| Source::Named {
            name,
            argument,
            address,
        };
        let check =
            |text: &str, expected: Option<Source<'_>>| assert_eq!(source(text), expected, "{text}");
        check("'a'", Some(Source::Text("a")));
        check("12", Some(Source::Plain("12")));
        check("false", Some(Source::Plain("false")));
        check("${self:a}", Some(Source::Variable("self:a")));
        check("${self:a}b", None);
        check("self:a.b", Some(named("self", None, "a.b")));
        check("self:", Some(named("self", None, "")));
        check("file(./a.yml):b", Some(named("file", Some("./a.yml"), "b")));
        check(
            "strToBool(${self:a})",
            Some(named("strToBool", Some("${self:a}"), "")),
        );
        check(
            "cf(eu-west-1):stack.Out",
            Some(named("cf", Some("eu-west-1"), "stack.Out")),
        );
        check("AWS::Region", None);
        check("Name", None);
        check("", None);
        check("'a", None);
    }
}
