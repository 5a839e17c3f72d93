//! `Condition` of a statement: operators over the keys that API Gateway sets.
//!
//! Sources: IAM user guide, condition operators; API Gateway developer guide, condition keys of resource policies. All operators
//! and all keys must hold; of several values one suffices, with a negated operator none may match. A key that the request lacks
//! fails the operator, unless that is negated or ends in `IfExists`.

use std::net::IpAddr;

use serde_json::{Map, Value};
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::Request;
use super::pattern::{Arn, Work};
use crate::context::iso_time;

/// What a key holds in this request.
#[derive(Clone, Copy)]
enum Known<'a> {
    Text(&'a str),
    /// Milliseconds of the epoch; as a text it is a date.
    Now(u64),
    /// Milliseconds of the epoch; as a text it is seconds.
    Epoch(u64),
    Flag(bool),
    Address(IpAddr),
    /// The key exists on AWS, and a WebSocket handshake with an authorizer never has it.
    Absent,
}

/// Keys that are there only with private endpoints or IAM callers.
const ABSENT: [&str; 15] = [
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:vpcsourceip",
    "aws:tokenissuetime",
    "aws:multifactorauthpresent",
    "aws:multifactorauthage",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principaltype",
    "aws:userid",
    "aws:username",
    "aws:sourceaccount",
];

/// How two ordered values must stand.
#[derive(Clone, Copy)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy)]
enum Kind {
    Text { ignore_case: bool },
    Like,
    Number(Order),
    Date(Order),
    Bool,
    Address,
    Arn,
}

struct Operator {
    kind: Kind,
    is_not: bool,
    if_exists: bool,
}

impl Operator {
    fn parse(name: &str) -> Option<Self> {
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (kind, is_not) = match name {
            "StringEquals" => (Kind::Text { ignore_case: false }, false),
            "StringNotEquals" => (Kind::Text { ignore_case: false }, true),
            "StringEqualsIgnoreCase" => (Kind::Text { ignore_case: true }, false),
            "StringNotEqualsIgnoreCase" => (Kind::Text { ignore_case: true }, true),
            "StringLike" => (Kind::Like, false),
            "StringNotLike" => (Kind::Like, true),
            "NumericNotEquals" => (Kind::Number(Order::Equal), true),
            "DateNotEquals" => (Kind::Date(Order::Equal), true),
            "Bool" => (Kind::Bool, false),
            "IpAddress" => (Kind::Address, false),
            "NotIpAddress" => (Kind::Address, true),
            "ArnEquals" | "ArnLike" => (Kind::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Kind::Arn, true),
            _ => {
                let number = name.strip_prefix("Numeric").map(|rest| (rest, true));
                let date = name.strip_prefix("Date").map(|rest| (rest, false));
                let (order, is_number) = number.or(date)?;
                let order = match order {
                    "Equals" => Order::Equal,
                    "LessThan" => Order::Less,
                    "LessThanEquals" => Order::LessOrEqual,
                    "GreaterThan" => Order::Greater,
                    "GreaterThanEquals" => Order::GreaterOrEqual,
                    _ => return None,
                };
                let kind = if is_number { Kind::Number } else { Kind::Date };
                (kind(order), false)
            }
        };
        Some(Self {
            kind,
            is_not,
            if_exists,
        })
    }
}

/// Whether all of it holds. All of it is read, whatever comes first.
pub(super) fn holds(
    condition: &Value,
    request: &Request<'_>,
    work: &mut Work,
) -> Result<bool, &'static str> {
    let mut all = true;
    for (name, keys) in condition.as_object().ok_or("must be a map of operators")? {
        let operator = if name == "Null" {
            None
        } else {
            Some(Operator::parse(name).ok_or("has an operator that is not understood")?)
        };
        for (key, values) in object(keys, "an operator must hold a map of keys")? {
            let known = known(key, request).ok_or("has a key that is not understood")?;
            let values = texts(values)?;
            all &= match &operator {
                None => is_null(known, &values)?,
                Some(operator) => compare(operator, known, &values, work)?,
            };
        }
    }
    Ok(all)
}

fn object<'a>(
    value: &'a Value,
    what: &'static str,
) -> Result<&'a Map<String, Value>, &'static str> {
    let map = value.as_object().filter(|map| !map.is_empty());
    map.ok_or(what)
}

/// Names of keys are the same in any case.
fn known<'a>(key: &str, request: &Request<'a>) -> Option<Known<'a>> {
    let key = key.to_ascii_lowercase();
    let sent = |text: Option<&'a str>| text.map_or(Known::Absent, Known::Text);
    Some(match key.as_str() {
        "aws:currenttime" => Known::Now(request.time),
        "aws:epochtime" => Known::Epoch(request.time),
        "aws:securetransport" => Known::Flag(request.secure),
        "aws:sourceip" => Known::Address(request.source_ip.to_canonical()),
        "aws:referer" => sent(request.referer),
        "aws:useragent" => sent(request.user_agent),
        key if ABSENT.contains(&key) || key.starts_with("aws:principaltag/") => Known::Absent,
        _ => return None,
    })
}

fn texts(values: &Value) -> Result<Vec<String>, &'static str> {
    let list = match values {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let text = |value: &Value| match value {
        Value::String(text) if text.contains("${") => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let texts: Option<Vec<String>> = list.iter().map(text).collect();
    texts
        .filter(|texts| !texts.is_empty())
        .ok_or("a key must hold values without variables, one or a list of them")
}

/// `Null`: `true` asks that the key is absent, `false` that it is there.
fn is_null(known: Known<'_>, values: &[String]) -> Result<bool, &'static str> {
    let is_absent = matches!(known, Known::Absent);
    let mut any = false;
    for value in values {
        any |= flag(value)? == is_absent;
    }
    Ok(any)
}

fn compare(
    operator: &Operator,
    known: Known<'_>,
    values: &[String],
    work: &mut Work,
) -> Result<bool, &'static str> {
    let mut any = false;
    for value in values {
        any |= operator.kind.matches(known, value, work)?;
    }
    if matches!(known, Known::Absent) {
        return Ok(operator.is_not || operator.if_exists);
    }
    Ok(any != operator.is_not)
}

const OF_ANOTHER_KIND: &str = "has an operator for a key of another kind";

impl Kind {
    /// The value is judged even where there is nothing to compare it with.
    fn matches(self, known: Known<'_>, value: &str, work: &mut Work) -> Result<bool, &'static str> {
        match self {
            Self::Text { ignore_case } => {
                let same = |text: &str| {
                    text == value || ignore_case && text.to_lowercase() == value.to_lowercase()
                };
                Ok(known.text().is_some_and(|text| same(&text)))
            }
            Self::Like => match known.text() {
                Some(text) => work.glob(value, &text),
                None => Ok(false),
            },
            Self::Number(order) => {
                let number: f64 = value.parse().map_err(|_| "a number is none")?;
                if !number.is_finite() {
                    return Err("a number is none");
                }
                match known {
                    Known::Epoch(millis) => Ok(order.holds(&((millis / 1000) as f64), &number)),
                    Known::Absent => Ok(false),
                    _ => Err(OF_ANOTHER_KIND),
                }
            }
            Self::Date(order) => {
                let date = date(value).ok_or("a date is none: write 2024-11-11T13:45:46Z")?;
                match known {
                    Known::Now(millis) | Known::Epoch(millis) => {
                        Ok(order.holds(&i128::from(millis), &date))
                    }
                    Known::Absent => Ok(false),
                    _ => Err(OF_ANOTHER_KIND),
                }
            }
            Self::Bool => {
                let wanted = flag(value)?;
                match known {
                    Known::Flag(flag) => Ok(flag == wanted),
                    Known::Absent => Ok(false),
                    _ => Err(OF_ANOTHER_KIND),
                }
            }
            Self::Address => {
                let net = Net::parse(value).ok_or("an address is none: write 203.0.113.0/24")?;
                match known {
                    Known::Address(address) => Ok(net.contains(address)),
                    Known::Absent => Ok(false),
                    _ => Err(OF_ANOTHER_KIND),
                }
            }
            Self::Arn => {
                Arn::parse(value).ok_or("an ARN must have six parts")?;
                match known {
                    Known::Absent => Ok(false),
                    _ => Err(OF_ANOTHER_KIND),
                }
            }
        }
    }
}

impl Known<'_> {
    fn text(&self) -> Option<String> {
        Some(match self {
            Self::Text(text) => (*text).to_owned(),
            // To the second, as IAM writes it.
            Self::Now(millis) => iso_time(millis / 1000 * 1000).replace(".000Z", "Z"),
            Self::Epoch(millis) => (millis / 1000).to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Address(address) => address.to_string(),
            Self::Absent => return None,
        })
    }
}

impl Order {
    fn holds<T: PartialOrd>(self, found: &T, given: &T) -> bool {
        match self {
            Self::Equal => found == given,
            Self::Less => found < given,
            Self::LessOrEqual => found <= given,
            Self::Greater => found > given,
            Self::GreaterOrEqual => found >= given,
        }
    }
}

fn flag(value: &str) -> Result<bool, &'static str> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("a flag must be true or false"),
    }
}

/// Milliseconds of the epoch of seconds of the epoch, or of a date in the W3C's profile of ISO 8601: a day, or a day and a time
/// with its zone.
fn date(text: &str) -> Option<i128> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(i128::from(seconds) * 1000);
    }
    let (day, time) = match text.split_once('T') {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let mut parts = day.splitn(3, '-');
    let year = digits(parts.next()?, 4)?;
    let month = u8::try_from(digits(parts.next()?, 2)?).ok()?;
    let day = u8::try_from(digits(parts.next()?, 2)?).ok()?;
    let month = Month::try_from(month).ok()?;
    let day = Date::from_calendar_date(i32::try_from(year).ok()?, month, day).ok()?;
    let (time, offset) = match time {
        None => (Time::MIDNIGHT, UtcOffset::UTC),
        Some(text) => zoned_time(text)?,
    };
    let moment = OffsetDateTime::new_in_offset(day, time, offset);
    Some(moment.unix_timestamp_nanos() / 1_000_000)
}

/// `13:45`, `13:45:46` or `13:45:46.5`, and `Z` or `+01:00`.
fn zoned_time(text: &str) -> Option<(Time, UtcOffset)> {
    let (time, offset) = if let Some(time) = text.strip_suffix('Z') {
        (time, UtcOffset::UTC)
    } else {
        let at = text.rfind(['+', '-'])?;
        let (hours, minutes) = text[at + 1..].split_once(':')?;
        let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
        let sign = if text[at..].starts_with('-') { -1 } else { 1 };
        let part = |n: u32| i8::try_from(n).ok().map(|n| n * sign);
        let offset = UtcOffset::from_hms(part(hours)?, part(minutes)?, 0).ok()?;
        (&text[..at], offset)
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.splitn(3, ':');
    let mut part = || parts.next().map(|text| digits(text, 2));
    let (hour, minute, second) = (part()??, part()??, part().unwrap_or(Some(0))?);
    let fraction = fraction.get(..3).unwrap_or(fraction);
    let scale = [1000, 100, 10, 1].get(fraction.len())?;
    let milli = u16::try_from(digits(fraction, fraction.len())? * scale).ok()?;
    let part = |n: u32| u8::try_from(n).ok();
    let time = Time::from_hms_milli(part(hour)?, part(minute)?, part(second)?, milli).ok()?;
    Some((time, offset))
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    let all = count > 0 && text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

/// Addresses with the same first bits.
struct Net {
    address: IpAddr,
    bits: u32,
}

impl Net {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => most,
        };
        (bits <= most).then_some(Self { address, bits })
    }

    fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(net), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                u32::from(net) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                u128::from(net) & mask == u128::from(other) & mask
            }
            _ => false,
        }
    }
}
