//! Wildcards of policies: `*` is any text, `?` any one character.

/// Comparisons of characters that one policy may cost. Far beyond what a policy of 8 KB asks of ordinary values, and a few
/// milliseconds.
const MOST_WORK: usize = 16_000_000;

/// What the patterns of one policy have cost so far.
#[derive(Debug, Default)]
pub(super) struct Work(usize);

impl Work {
    /// Whether a pattern takes a text as a whole.
    pub(super) fn glob(&mut self, pattern: &str, text: &str) -> Result<bool, &'static str> {
        // The most that it can cost: whoever comes to a star again begins one character further on.
        let cost = (pattern.len() + 1).saturating_mul(text.len() + 1);
        self.0 = self.0.saturating_add(cost);
        if self.0 > MOST_WORK {
            return Err("its patterns take too much work");
        }
        Ok(glob(pattern, text))
    }
}

/// Remembers the last star alone: an earlier one need not take more than it had to.
fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Behind the last star, and where the text that it took ends.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                star = Some((p, t));
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((behind, taken)) = star else {
                    return false;
                };
                star = Some((behind, taken + 1));
                (p, t) = (behind, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// The six parts of an ARN; the last may hold colons.
#[derive(Debug)]
pub(super) struct Arn<'a>([&'a str; 6]);

impl<'a> Arn<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let parts: [&str; 6] = parts.try_into().ok()?;
        (parts[0] == "arn").then_some(Self(parts))
    }

    /// Part by part: a wildcard does not reach over a colon, except in the last part.
    pub(super) fn matches(&self, arn: &Arn<'_>, work: &mut Work) -> Result<bool, &'static str> {
        let mut matches = true;
        for (pattern, part) in self.0.iter().zip(arn.0) {
            matches &= work.glob(pattern, part)?;
        }
        Ok(matches)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
    }

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        check("", "", true);
        check("", "a", false);
        check("*", "", true);
        check("*", "a/b:c", true);
        check("**", "", true);
        check("?", "", false);
        check("?", "é", true);
        check("a*c", "abbc", true);
        check("a*c", "abbcd", false);
        check("a*b*c", "aXbYbZc", true);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("*?", "a", true);
        check("?*", "", false);
        check("abc", "ABC", false);
        check("*ab", "aab", true);
        check("*aab*", "aaaab!", true);
        check("/prod/$connect", "/prod/$connect", true);
        check("[a-z]", "b", false);
    }

    #[test]
    fn a_bomb_costs_little_or_is_refused() {
        let stars = "*a".repeat(2_000) + "b";
        let mut work = Work::default();
        assert_eq!(work.glob(&stars, &"a".repeat(3_000)), Ok(false));
        assert!(work.glob(&stars, &"a".repeat(3_000)).is_err());
    }

    #[test]
    fn a_wildcard_stays_in_its_part() {
        let matches = |pattern: &str, arn: &str| {
            let (pattern, arn) = (Arn::parse(pattern).unwrap(), Arn::parse(arn).unwrap());
            pattern.matches(&arn, &mut Work::default()).unwrap()
        };
        let arn = "arn:aws:execute-api:eu-west-1:123456789012:a1/prod/$connect";
        assert!(matches("arn:aws:execute-api:*:*:*", arn));
        assert!(matches("arn:*:execute-api:eu-*-1:*:a1/*/$connect", arn));
        assert!(!matches("arn:aws:execute-api:*:*/prod:a1/*", arn));
        assert!(!matches("arn:aws:*:123456789012:a1/prod/$connect:", arn));
        assert!(matches("arn:aws:x:r:1:*", "arn:aws:x:r:1:a:b:c"));
        for text in [
            "",
            "arn",
            "arn:aws:execute-api:*",
            "arn:aws:a:b:c",
            "*:aws:a:b:c:d",
            "x",
        ] {
            assert!(Arn::parse(text).is_none(), "{text}");
        }
    }

    /// What a pattern means, without regard to cost.
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            (['*', rest @ ..], _) => (0..=text.len()).any(|n| plainly(rest, &text[n..])),
            (['?', rest @ ..], [_, more @ ..]) => plainly(rest, more),
            ([c, rest @ ..], [d, more @ ..]) => c == d && plainly(rest, more),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_means_what_it_plainly_means(pattern in "[ab*?é]{0,8}", text in "[abé]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(glob(&pattern, &text), plainly(&chars(&pattern), &chars(&text)));
        }
    }
}
