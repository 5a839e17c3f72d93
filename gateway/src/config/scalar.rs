//! What a piece of text means: durations, sizes, numbers, addresses, names.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The text is not of the form asked for; perhaps with a word on how to mend it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) Option<&'static str>);

type Parsed<T> = Result<T, Refusal>;

const NO: Refusal = Refusal(None);

/// Longest duration that is taken: adding it to a point in time never overflows.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// `2026-11-21T08:55:43Z`, as AWS writes the end of temporary credentials (RFC 3339), in seconds since 1970.
pub(super) fn time(text: &str) -> Parsed<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NO)?;
    u64::try_from(time.unix_timestamp()).map_err(|_| NO)
}

/// `250ms`, `10s`, `10m`, `1h30m`, `7d`, or a plain `0`.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    const UNITS: [(&str, u64); 5] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if is_digits(text) {
        return Err(Refusal(Some("add a unit: ms, s, m, h or d")));
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut units = &UNITS[..];
    while !rest.is_empty() {
        let (number, after) = split_at_end_of(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_at_end_of(after, |c| c.is_ascii_alphabetic());
        // Each unit once, the larger before the smaller.
        let at = units.iter().position(|(name, _)| *name == unit).ok_or(NO)?;
        let millis = number.parse::<u64>().map_err(|_| NO)?;
        let millis = millis.checked_mul(units[at].1).ok_or(NO)?;
        total = total.saturating_add(Duration::from_millis(millis));
        units = &units[at + 1..];
        rest = after;
    }
    match total {
        _ if text.is_empty() => Err(NO),
        total if total > LONGEST => Err(Refusal(Some("the longest is 366d"))),
        total => Ok(total),
    }
}

/// Bytes: `128KiB`, `1MiB`, `64KB` (thousands), or a plain number.
pub(super) fn size(text: &str) -> Parsed<u32> {
    let (number, unit) = split_at_end_of(text, |c| c.is_ascii_digit());
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => {
            return Err(Refusal(Some(
                "the units are B, KiB, MiB, GiB, KB, MB and GB",
            )));
        }
    };
    let bytes = number.parse::<u64>().map_err(|_| NO)?.checked_mul(factor);
    bytes
        .and_then(|bytes| u32::try_from(bytes).ok())
        .ok_or(Refusal(Some("it must be less than 4 GiB")))
}

/// A whole number without sign.
pub(super) fn whole(text: &str) -> Parsed<u64> {
    if !is_digits(text) {
        return Err(NO);
    }
    text.parse().map_err(|_| NO)
}

/// A number that is not negative.
pub(super) fn number(text: &str) -> Parsed<f64> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    match text.parse::<f64>() {
        Ok(value) if plain && value.is_finite() => Ok(value),
        _ => Err(NO),
    }
}

/// `true` or `false`; YAML 1.1's other words are left as text.
pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        "yes" | "on" | "True" | "TRUE" | "1" => Err(Refusal(Some("write true"))),
        "no" | "off" | "False" | "FALSE" | "0" => Err(Refusal(Some("write false"))),
        _ => Err(NO),
    }
}

/// An address with a port.
pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| {
        Refusal(if text.starts_with(':') || is_digits(text) {
            Some("name the address too: 127.0.0.1 for this machine, 0.0.0.0 for all")
        } else if text.parse::<IpAddr>().is_ok() {
            Some("add the port")
        } else if text.starts_with("localhost") {
            Some("write 127.0.0.1 for localhost")
        } else {
            None
        })
    })
}

/// An `http://` or `https://` URL with a host.
pub(super) fn http_url(text: &str) -> Parsed<String> {
    let uri: Uri = text.parse().map_err(|_| NO)?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    if !web || uri.host().is_none_or(str::is_empty) {
        return Err(NO);
    }
    Ok(text.to_owned())
}

/// A host name or address, with or without a port.
pub(super) fn authority(text: &str) -> Parsed<String> {
    if text.contains("://") {
        return Err(Refusal(Some("leave out the scheme")));
    }
    let authority: Authority = text.parse().map_err(|_| NO)?;
    let bracketed = authority.host().starts_with('[');
    if text.contains('@') || !(bracketed || is_host_name(authority.host())) {
        return Err(NO);
    }
    // The parser takes `host:` and `host:x` as an authority without a port.
    let port = text[authority.host().len()..].strip_prefix(':');
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(Refusal(Some("the port is a number up to 65535")));
    }
    Ok(text.to_owned())
}

/// A host name without a port.
pub(super) fn host_name(text: &str) -> Parsed<String> {
    if text.contains("://") {
        return Err(Refusal(Some("leave out the scheme")));
    }
    if text.contains(':') {
        return Err(Refusal(Some("leave out the port")));
    }
    if !is_host_name(text) {
        return Err(NO);
    }
    Ok(text.to_ascii_lowercase())
}

/// The value of an `Origin` header.
pub(super) fn web_origin(text: &str) -> Parsed<String> {
    if text == "*" {
        return Err(Refusal(Some(
            "without allowedOrigins every origin may connect",
        )));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(NO);
    };
    if rest.ends_with('/') {
        return Err(Refusal(Some("leave out the slash at its end")));
    }
    let named = !scheme.is_empty()
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !named || authority(rest).is_err() {
        return Err(NO);
    }
    Ok(text.to_owned())
}

/// Twelve digits.
pub(super) fn account_id(text: &str) -> Parsed<String> {
    if text.len() != 12 || !is_digits(text) {
        return Err(NO);
    }
    Ok(text.to_owned())
}

/// Letters, digits, `-` and `_`, up to `longest` of them.
pub(super) fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn is_host_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|label| is_name(label, 63))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn split_at_end_of(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: PartialEq + std::fmt::Debug>(
        parse: fn(&str) -> Parsed<T>,
        text: &str,
        expected: impl Into<Option<T>>,
    ) {
        assert_eq!(parse(text).ok(), expected.into(), "{text:?}");
    }

    #[test]
    fn durations() {
        let millis = |n| Some(Duration::from_millis(n));
        check(duration, "0", millis(0));
        check(duration, "0s", millis(0));
        check(duration, "250ms", millis(250));
        check(duration, "10m", millis(600_000));
        check(duration, "1h30m", millis(5_400_000));
        check(duration, "1d2h3m4s5ms", millis(93_784_005));
        check(duration, "366d", millis(366 * 86_400_000));
        for bad in [
            "",
            "10",
            "m",
            "1.5s",
            "-1s",
            "1m1h",
            "1s1s",
            "1 s",
            "10min",
            "367d",
            "1h30",
            "00",
            "99999999999999999999s",
            "18446744073709551615h",
            "１s",
        ] {
            check(duration, bad, None);
        }
    }

    #[test]
    fn sizes() {
        check(size, "0", Some(0));
        check(size, "131072", Some(131_072));
        check(size, "128KiB", Some(131_072));
        check(size, "64KB", Some(64_000));
        check(size, "1 MiB", Some(1_048_576));
        check(size, "3GiB", Some(3_221_225_472));
        for bad in [
            "",
            "KiB",
            "1K",
            "1kb",
            "-1",
            "1.5MiB",
            "4GiB",
            "99999999999999999999",
            "1MiBx",
        ] {
            check(size, bad, None);
        }
    }

    #[test]
    fn numbers() {
        check(whole, "7", Some(7));
        for bad in ["", "-1", "+1", "1.0", "1e3", "0x10", "18446744073709551616"] {
            check(whole, bad, None);
        }
        check(number, "0.5", Some(0.5));
        check(number, "10", Some(10.0));
        for bad in ["", ".", "-1", "nan", "inf", "1e3", "1.2.3"] {
            check(number, bad, None);
        }
    }

    #[test]
    fn hosts_and_urls() {
        let same = |text: &str| Some(text.to_owned());
        for good in ["localhost:8080", "ws.example.com", "127.0.0.1", "[::1]:80"] {
            check(authority, good, same(good));
        }
        for bad in [
            "", "http://a", "a b", "u@h", "a:", "a:x", "a:70000", "a/b", "a..b", "[::1",
        ] {
            check(authority, bad, None);
        }
        check(host_name, "WS.example.com", same("ws.example.com"));
        for bad in ["", "a:1", "a/b", "-".repeat(64).as_str(), "*.example.com"] {
            check(host_name, bad, None);
        }
        check(http_url, "https://h:1/p?q", same("https://h:1/p?q"));
        for bad in ["", "h", "ftp://h", "http://", "http:///p", "/p"] {
            check(http_url, bad, None);
        }
        for good in [
            "https://a.example",
            "http://localhost:3000",
            "chrome-extension://abc",
        ] {
            check(web_origin, good, same(good));
        }
        for bad in ["*", "https://a/", "a.example", "https://a/b", "://a"] {
            check(web_origin, bad, None);
        }
    }
}
