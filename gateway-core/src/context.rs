//! The `$context` variables: one table, read by parameter mappings, templates and access logs.

use std::borrow::Cow;
use std::fmt::Write;

use crate::call::{Call, Event};

/// The value of `$context.{name}`, or `None` where it is unset or unknown.
pub fn lookup<'a>(call: &'a Call<'a>, name: &str) -> Option<Cow<'a, str>> {
    let connection = call.connection;
    let value = match name {
        "connectionId" => connection.id.to_string().into(),
        "connectedAt" => connection.connected_at.to_string().into(),
        "domainName" => Cow::Borrowed(&*connection.domain_name),
        "domainPrefix" => connection.domain_name.split(['.', ':']).next()?.into(),
        "eventType" => call.event.event_type().into(),
        "messageDirection" => "IN".into(),
        "messageId" => match call.event {
            Event::Message { id, .. } => id.to_string().into(),
            _ => return None,
        },
        "disconnectStatusCode" => match call.event {
            Event::Disconnect { code, .. } => code.to_string().into(),
            _ => return None,
        },
        "disconnectReason" => match call.event {
            Event::Disconnect { reason, .. } => reason.into(),
            _ => return None,
        },
        "routeKey" => call.route_key.into(),
        "requestId" | "extendedRequestId" => call.request_id.to_string().into(),
        "requestTime" => request_time(call.time).into(),
        "requestTimeEpoch" => call.time.to_string().into(),
        "apiId" => Cow::Borrowed(&*connection.api_id),
        "stage" => Cow::Borrowed(&*connection.stage),
        "eventId" => call.event_id().into(),
        "identity.sourceIp" => connection.source_ip.to_string().into(),
        "identity.userAgent" => connection.user_agent.as_deref()?.into(),
        _ => {
            let authorizer = connection.authorizer.as_deref()?;
            let name = name.strip_prefix("authorizer.")?;
            let latency = call.event.handshake().and_then(|h| h.authorizer_latency);
            match (name, latency) {
                ("principalId", _) => authorizer.principal_id.as_str().into(),
                ("integrationLatency", Some(latency)) => latency.to_string().into(),
                _ => {
                    let mut context = authorizer.context.iter();
                    context.find(|(key, _)| key == name)?.1.as_str().into()
                }
            }
        }
    };
    Some(value)
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `$context.requestTime`: CLF, always UTC, such as `11/Nov/2024:13:45:46 +0000`.
pub fn request_time(epoch_millis: u64) -> String {
    let Some(t) = utc(epoch_millis) else {
        return String::new();
    };
    format!(
        "{:02}/{}/{:04}:{:02}:{:02}:{:02} +0000",
        t.day(),
        MONTHS[usize::from(u8::from(t.month())) - 1],
        t.year(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// ISO 8601 in UTC with three fraction digits, as `GetConnection` answers.
pub fn iso_time(epoch_millis: u64) -> String {
    let Some(t) = utc(epoch_millis) else {
        return String::new();
    };
    let mut text = String::with_capacity(24);
    write!(
        text,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second(),
        t.millisecond()
    )
    .expect("writing to a String cannot fail");
    text
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The `Date` header of an HTTP response, such as `Mon, 11 Nov 2024 13:45:46 GMT`.
pub fn http_date(epoch_millis: u64) -> String {
    let Some(t) = utc(epoch_millis) else {
        return String::new();
    };
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        DAYS[usize::from(t.weekday().number_days_from_monday())],
        t.day(),
        MONTHS[usize::from(u8::from(t.month())) - 1],
        t.year(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

fn utc(epoch_millis: u64) -> Option<time::OffsetDateTime> {
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(epoch_millis) * 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{AuthorizerContext, Connection, Handshake};
    use crate::id::{ConnectionId, NodeId, RequestId};

    fn connection() -> Connection {
        Connection {
            id: ConnectionId::new(NodeId([1; 6]), [2; 16]),
            api_id: "chat".into(),
            stage: "dev".into(),
            connected_at: 1_731_332_732_513,
            source_ip: [203, 0, 113, 7].into(),
            user_agent: Some("Mozilla/5.0".into()),
            domain_name: "ws.example.com:8080".into(),
            authorizer: Some(Box::new(AuthorizerContext {
                principal_id: "user-1".into(),
                context: vec![("level".into(), "3".into())],
            })),
        }
    }

    #[track_caller]
    fn check(event: Event<'_>, name: &str, expected: Option<&str>) {
        let connection = connection();
        let call = Call {
            connection: &connection,
            event,
            route_key: "send",
            request_id: RequestId::new([0; 11]),
            time: 1_731_332_746_514,
            trace: [0; 12],
        };
        assert_eq!(lookup(&call, name).as_deref(), expected, "{name}");
    }

    #[test]
    fn each_variable_has_its_documented_form() {
        let body = bytes::Bytes::from_static(b"hi");
        let message = Event::Message {
            id: RequestId::new([9; 11]),
            body: &body,
            text: Some("hi"),
        };
        check(message, "apiId", Some("chat"));
        check(message, "stage", Some("dev"));
        check(message, "routeKey", Some("send"));
        check(message, "eventType", Some("MESSAGE"));
        check(message, "messageDirection", Some("IN"));
        check(message, "messageId", Some("CQkJCQkJCQkJCQk="));
        check(message, "requestId", Some("AAAAAAAAAAAAAAA="));
        check(message, "extendedRequestId", Some("AAAAAAAAAAAAAAA="));
        check(message, "requestTime", Some("11/Nov/2024:13:45:46 +0000"));
        check(message, "requestTimeEpoch", Some("1731332746514"));
        check(message, "connectedAt", Some("1731332732513"));
        check(message, "domainName", Some("ws.example.com:8080"));
        check(message, "domainPrefix", Some("ws"));
        check(message, "identity.sourceIp", Some("203.0.113.7"));
        check(message, "identity.userAgent", Some("Mozilla/5.0"));
        check(message, "authorizer.principalId", Some("user-1"));
        check(message, "authorizer.level", Some("3"));
        check(message, "authorizer.none", None);
        check(message, "disconnectReason", None);
        check(message, "httpMethod", None);
        check(message, "authorizer.integrationLatency", None);
        let judged = Handshake {
            authorizer_latency: Some(41),
            ..Handshake::default()
        };
        let connect = Event::Connect(&judged);
        check(connect, "authorizer.integrationLatency", Some("41"));
        check(connect, "authorizer.level", Some("3"));
        let end = Event::Disconnect {
            code: 1001,
            reason: "Going away",
        };
        check(end, "disconnectStatusCode", Some("1001"));
        check(end, "disconnectReason", Some("Going away"));
        check(end, "messageId", None);
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(iso_time(1_588_277_433_236), "2020-04-30T20:10:33.236Z");
        assert_eq!(iso_time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            http_date(1_731_332_746_514),
            "Mon, 11 Nov 2024 13:45:46 GMT"
        );
    }
}
