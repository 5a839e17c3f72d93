//! Names of Lambda functions: integration URIs, full and partial ARNs, plain names, each with or without a qualifier.
//!
//! The forms are those that API Gateway takes as an `integrationUri` and the Lambda Invoke API as a `FunctionName`. Stage
//! variables have been put in before; what this reads is the text that remains.

/// Which function an integration calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LambdaTarget {
    /// The function's name, without version or alias.
    pub name: String,
    /// A version, an alias or `$LATEST`, if the text holds one.
    pub qualifier: Option<String>,
    /// The function's full ARN without the qualifier, if the text holds one.
    pub arn: Option<String>,
    /// The region, if the text says or implies one.
    pub region: Option<String>,
}

/// Why a text names no Lambda function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LambdaArnError {
    /// There is nothing.
    #[error("the Lambda function's name is empty: write its name, its ARN or an integration URI")]
    Empty,
    /// A `${...}` is left in it.
    #[error("`{0}` still holds a variable: give the stage variable a value")]
    Unresolved(String),
    /// An integration URI of another service, or of another form.
    #[error(
        "`{0}` is no Lambda integration URI: it must read \
         arn:aws:apigateway:REGION:lambda:path/2015-03-31/functions/FUNCTION_ARN/invocations"
    )]
    NotLambda(String),
    /// An ARN that is not a function's.
    #[error(
        "`{0}` is not a Lambda function's ARN: it must read arn:aws:lambda:REGION:ACCOUNT:function:NAME, a qualifier may follow"
    )]
    NotFunction(String),
    /// A name with a wrong character, or too long.
    #[error("`{0}` is not a function's name: 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`")]
    BadName(String),
    /// A qualifier with a wrong character, or too long.
    #[error(
        "`{0}` is not a qualifier: $LATEST, a version's number, or an alias of up to {MAX_QUALIFIER} letters, digits, `-` and `_`"
    )]
    BadQualifier(String),
}

/// The longest name, in characters (Lambda API, `FunctionName`: 64, but compatible servers prefix stack and stage).
const MAX_NAME: usize = 140;
/// The longest qualifier, in characters (Lambda API, `Qualifier`).
const MAX_QUALIFIER: usize = 128;
/// What stands between region and function in an integration URI.
const INVOCATION_PATH: &str = "lambda:path/2015-03-31/functions/";

impl LambdaTarget {
    /// Reads an integration URI, an ARN, a partial ARN or a name.
    pub fn parse(text: &str) -> Result<Self, LambdaArnError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(LambdaArnError::Empty);
        }
        if text.contains("${") {
            return Err(LambdaArnError::Unresolved(text.to_owned()));
        }
        match split_integration_uri(text)? {
            Some((region, function)) => {
                let target = parse_function(function)?;
                Ok(Self {
                    region: target.region.or(Some(region.to_owned())),
                    ..target
                })
            }
            None => parse_function(text),
        }
    }
}

/// The region and the function's text of `arn:{partition}:apigateway:{region}:lambda:path/...`; nothing if it is no such ARN.
fn split_integration_uri(text: &str) -> Result<Option<(&str, &str)>, LambdaArnError> {
    let mut parts = text.splitn(5, ':');
    let (Some("arn"), Some(partition), Some("apigateway"), Some(region), Some(rest)) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return Ok(None);
    };
    let function = rest
        .strip_prefix(INVOCATION_PATH)
        .and_then(|rest| rest.strip_suffix("/invocations"));
    match function {
        Some(function) if is_partition(partition) && !region.is_empty() => {
            Ok(Some((region, function)))
        }
        _ => Err(LambdaArnError::NotLambda(text.to_owned())),
    }
}

fn parse_function(text: &str) -> Result<LambdaTarget, LambdaArnError> {
    if text.starts_with("arn:") {
        parse_arn(text)
    } else {
        parse_partial(text)
    }
}

fn parse_arn(text: &str) -> Result<LambdaTarget, LambdaArnError> {
    let parts: Vec<&str> = text.split(':').collect();
    let (
        [
            "arn",
            partition,
            "lambda",
            region,
            account,
            "function",
            name,
        ],
        qualifier,
    ) = (match parts.as_slice() {
        [head @ .., qualifier] if parts.len() == 8 => (head, Some(*qualifier)),
        all => (all, None),
    })
    else {
        return Err(LambdaArnError::NotFunction(text.to_owned()));
    };
    if !is_partition(partition) || !is_region(region) || !is_account(account) {
        return Err(LambdaArnError::NotFunction(text.to_owned()));
    }
    let arn = format!("arn:{partition}:lambda:{region}:{account}:function:{name}");
    Ok(LambdaTarget {
        arn: Some(arn),
        region: Some((*region).to_owned()),
        ..named(name, qualifier)?
    })
}

/// `[region:][account:][function:]name[:qualifier]`, read from the left as the Lambda API's pattern does.
fn parse_partial(text: &str) -> Result<LambdaTarget, LambdaArnError> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut rest = parts.as_slice();
    let region = skip(&mut rest, is_region);
    skip(&mut rest, is_account);
    skip(&mut rest, |part| part == "function");
    let target = match rest {
        [name] => named(name, None)?,
        [name, qualifier] => named(name, Some(qualifier))?,
        _ => return Err(LambdaArnError::BadName(text.to_owned())),
    };
    Ok(LambdaTarget {
        region: region.map(str::to_owned),
        ..target
    })
}

/// Takes the first part if it is of the kind and not the last: the last is the name.
fn skip<'a>(rest: &mut &[&'a str], kind: impl Fn(&str) -> bool) -> Option<&'a str> {
    match *rest {
        [first, more @ ..] if !more.is_empty() && kind(first) => {
            *rest = more;
            Some(first)
        }
        _ => None,
    }
}

fn named(name: &str, qualifier: Option<&str>) -> Result<LambdaTarget, LambdaArnError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(good) {
        return Err(LambdaArnError::BadName(name.to_owned()));
    }
    if let Some(qualifier) = qualifier.filter(|qualifier| !is_qualifier(qualifier)) {
        return Err(LambdaArnError::BadQualifier(qualifier.to_owned()));
    }
    let qualifier = qualifier.map(str::to_owned);
    Ok(LambdaTarget {
        name: name.to_owned(),
        qualifier,
        arn: None,
        region: None,
    })
}

fn is_qualifier(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    text == "$LATEST" || !text.is_empty() && text.len() <= MAX_QUALIFIER && text.bytes().all(good)
}

/// `aws`, `aws-cn`, `aws-us-gov`, ...
fn is_partition(text: &str) -> bool {
    text.strip_prefix("aws")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// `us-east-1`, `us-gov-west-1`, `us-iso-east-1`, ...: lower-case words and a number.
fn is_region(text: &str) -> bool {
    let words: Vec<&str> = text.split('-').collect();
    let [first, .., last] = words.as_slice() else {
        return false;
    };
    words.len() >= 3
        && first.len() == 2
        && (last.len() == 1 || last.len() == 2)
        && last.bytes().all(|byte| byte.is_ascii_digit())
        && words[..words.len() - 1]
            .iter()
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:chat";

    fn target(
        name: &str,
        qualifier: Option<&str>,
        arn: Option<&str>,
        region: Option<&str>,
    ) -> LambdaTarget {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        LambdaTarget {
            name: name.to_owned(),
            qualifier: owned(qualifier),
            arn: owned(arn),
            region: owned(region),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &LambdaTarget) {
        assert_eq!(LambdaTarget::parse(text).as_ref(), Ok(expected), "{text}");
    }

    #[track_caller]
    fn check_err(text: &str, expected: fn(String) -> LambdaArnError, part: &str) {
        assert_eq!(
            LambdaTarget::parse(text),
            Err(expected(part.to_owned())),
            "{text}"
        );
    }

    #[test]
    fn names_and_partial_arns() {
        check("chat", &target("chat", None, None, None));
        check("  chat\n", &target("chat", None, None, None));
        check(
            "my-service_dev.fn-1",
            &target("my-service_dev.fn-1", None, None, None),
        );
        check("chat:live", &target("chat", Some("live"), None, None));
        check("chat:7", &target("chat", Some("7"), None, None));
        check("chat:$LATEST", &target("chat", Some("$LATEST"), None, None));
        check("function:chat", &target("chat", None, None, None));
        check(
            "123456789012:function:chat",
            &target("chat", None, None, None),
        );
        check(
            "123456789012:function:chat:live",
            &target("chat", Some("live"), None, None),
        );
        check("123456789012:chat", &target("chat", None, None, None));
        check(
            "us-east-1:123456789012:function:chat:2",
            &target("chat", Some("2"), None, Some("us-east-1")),
        );
        // A word of a partial ARN that stands alone is a name like any other.
        check("function", &target("function", None, None, None));
        check("us-east-1", &target("us-east-1", None, None, None));
        check("123456789012", &target("123456789012", None, None, None));
    }

    #[test]
    fn full_arns() {
        check(ARN, &target("chat", None, Some(ARN), Some("us-east-1")));
        check(
            &format!("{ARN}:live"),
            &target("chat", Some("live"), Some(ARN), Some("us-east-1")),
        );
        check(
            &format!("{ARN}:$LATEST"),
            &target("chat", Some("$LATEST"), Some(ARN), Some("us-east-1")),
        );
        for (partition, region) in [
            ("aws-cn", "cn-north-1"),
            ("aws-us-gov", "us-gov-west-1"),
            ("aws", "ap-southeast-12"),
        ] {
            let arn = format!("arn:{partition}:lambda:{region}:123456789012:function:chat");
            check(&arn, &target("chat", None, Some(&arn), Some(region)));
        }
    }

    #[test]
    fn integration_uris() {
        let uri = |function: &str| {
            format!(
                "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{function}/invocations"
            )
        };
        check(
            &uri(ARN),
            &target("chat", None, Some(ARN), Some("us-east-1")),
        );
        check(
            &uri(&format!("{ARN}:live")),
            &target("chat", Some("live"), Some(ARN), Some("us-east-1")),
        );
        check(
            &uri("123456789012:function:chat"),
            &target("chat", None, None, Some("eu-west-1")),
        );
        check(&uri("chat"), &target("chat", None, None, Some("eu-west-1")));
        check(
            &uri(ARN).replace("arn:aws:api", "arn:aws-cn:api"),
            &target("chat", None, Some(ARN), Some("us-east-1")),
        );
    }

    #[test]
    fn what_names_no_function_says_why() {
        use LambdaArnError::{BadName, BadQualifier, NotFunction, NotLambda, Unresolved};
        let same = |text: &'static str, expected| check_err(text, expected, text);
        assert_eq!(LambdaTarget::parse(" "), Err(LambdaArnError::Empty));
        same(
            "arn:aws:lambda:us-east-1:123456789012:function:${stageVariables.fn}",
            Unresolved,
        );
        same(
            "arn:aws:apigateway:us-east-1:sqs:path/123456789012/queue",
            NotLambda,
        );
        same(
            "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/chat",
            NotLambda,
        );
        same(
            "arn:aws:apigateway:us-east-1:lambda:path/2014-11-13/functions/chat/invocations",
            NotLambda,
        );
        same(
            "arn:aws:apigateway::lambda:path/2015-03-31/functions/chat/invocations",
            NotLambda,
        );
        same(
            "arn:aws:lambda:us-east-1:123456789012:layer:chat:1",
            NotFunction,
        );
        same(
            "arn:aws:lambda:us-east-1:123456789012:function",
            NotFunction,
        );
        same("arn:aws:lambda:us-east-1:12345:function:chat", NotFunction);
        same("arn:aws:lambda::123456789012:function:chat", NotFunction);
        same(
            "arn:aws:lambda:us-east-1:123456789012:function:chat:live:more",
            NotFunction,
        );
        same(
            "arn:gcp:lambda:us-east-1:123456789012:function:chat",
            NotFunction,
        );
        same("arn:aws:sns:us-east-1:123456789012:topic", NotFunction);
        same("http://127.0.0.1:3000/x", BadName);
        same("chat/../other", BadName);
        same("ch at", BadName);
        same("a:b:c:d", BadName);
        check_err(
            "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions//invocations",
            BadName,
            "",
        );
        check_err("chat:", BadQualifier, "");
        check_err("chat:$latest", BadQualifier, "$latest");
        check_err("chat:a b", BadQualifier, "a b");
        check_err(":live", BadName, "");
        let long = "x".repeat(MAX_NAME + 1);
        check_err(&long, BadName, &long);
        let long = "x".repeat(MAX_QUALIFIER + 1);
        check_err(&format!("chat:{long}"), BadQualifier, &long);
    }
}
