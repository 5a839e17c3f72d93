//! A line for each call and for each line of its log, for people, or as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

/// Something worth a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A call is over.
    Call(Call),
    /// A function wrote a line.
    Line {
        /// The function.
        function: String,
        /// The call under way.
        request_id: Option<String>,
        /// What it wrote.
        line: String,
    },
    /// A function failed.
    Failed {
        /// The function.
        function: String,
        /// The call, where it was one.
        request_id: Option<String>,
        /// `TypeError`, `Runtime.ImportModuleError`.
        error_type: String,
        /// What it says.
        message: String,
    },
    /// Something that `wiregate dev` does.
    Note(String),
}

/// A call that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// `CONNECT`, `MESSAGE` or `DISCONNECT`.
    pub event: &'static str,
    /// The API's id.
    pub api: String,
    /// The stage.
    pub stage: String,
    /// The route's key.
    pub route: String,
    /// The connection's id.
    pub connection: String,
    /// What was called: a function's name, a URL, or nothing.
    pub backend: Option<String>,
    /// How long that took.
    pub milliseconds: Option<u64>,
    /// The status that the caller saw, or would have seen.
    pub status: u16,
    /// Why it was refused, in the words of the log.
    pub error: Option<String>,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Text {
        /// With colours.
        colour: bool,
    },
    /// One JSON object a line.
    Json,
}

const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
/// Functions are told apart by their colours.
const OF_FUNCTIONS: [&str; 5] = ["36", "35", "34", "33", "32"];

impl Said {
    /// The line, or several; `at` is the time in milliseconds since 1970.
    pub fn render(&self, at: u64, style: Style) -> String {
        match style {
            Style::Json => self.json(at).to_string() + "\n",
            Style::Text { colour } => Page { colour }.render(self, at),
        }
    }

    fn json(&self, at: u64) -> Json {
        let mut object = match self {
            Self::Call(call) => json!({
                "kind": "call",
                "event": call.event,
                "api": call.api,
                "stage": call.stage,
                "route": call.route,
                "connection": call.connection,
                "backend": call.backend,
                "milliseconds": call.milliseconds,
                "status": call.status,
                "error": call.error,
            }),
            Self::Line {
                function,
                request_id,
                line,
            } => json!({
                "kind": "log",
                "function": function,
                "requestId": request_id,
                "line": line,
            }),
            Self::Failed {
                function,
                request_id,
                error_type,
                message,
            } => json!({
                "kind": "error",
                "function": function,
                "requestId": request_id,
                "errorType": error_type,
                "errorMessage": message,
            }),
            Self::Note(text) => json!({ "kind": "note", "text": text }),
        };
        object["time"] = gateway_core::context::iso_time(at).into();
        object
    }
}

struct Page {
    colour: bool,
}

impl Page {
    fn render(&self, said: &Said, at: u64) -> String {
        let mut text = String::new();
        let time = self.paint(DIM, &clock(at));
        match said {
            Said::Call(call) => {
                let outcome = self.outcome(call);
                let took = call
                    .milliseconds
                    .map_or(String::new(), |took| format!("{took} ms"));
                let backend = call.backend.as_deref().unwrap_or("-");
                let backend = self.of(backend, &format!("{backend:<20}"));
                let _ = writeln!(
                    text,
                    "{time} {:<10} {:<16} {backend} {took:>8}  {outcome}",
                    call.event,
                    plain(&call.route, false)
                );
            }
            Said::Line { function, line, .. } => match stack_of(line) {
                Some(stack) => self.lines(&mut text, function, &stack, Some(RED)),
                None => self.lines(&mut text, function, line, None),
            },
            // For people, the line of its call, or the log, says why it failed.
            Said::Failed { .. } => {}
            Said::Note(note) => {
                let _ = writeln!(text, "{time} {}", plain(note, false));
            }
        }
        text
    }

    /// `ok`, or the status and the reason.
    fn outcome(&self, call: &Call) -> String {
        match (&call.error, call.status) {
            (None, 101 | 200) => self.paint(GREEN, "ok"),
            (None, status) => self.paint(YELLOW, &format!("{status} by its answer")),
            (Some(error), status) => self.paint(RED, &format!("{status} {}", plain(error, false))),
        }
    }

    /// Each line of a text, behind the function's name.
    fn lines(&self, into: &mut String, function: &str, text: &str, colour: Option<&str>) {
        let name = self.of(function, &format!("{function:>20}"));
        for line in text.split('\n') {
            let line = plain(line, self.colour && colour.is_none());
            let line = match colour {
                Some(colour) => self.paint(colour, &line),
                None => line,
            };
            let _ = writeln!(into, "{name} {} {line}", self.paint(DIM, "|"));
        }
    }

    /// In the colour of a function.
    fn of(&self, function: &str, shown: &str) -> String {
        let sum: usize = function.bytes().map(usize::from).sum();
        self.paint(OF_FUNCTIONS[sum % OF_FUNCTIONS.len()], shown)
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour {
            return format!("\u{1b}[{colour}m{text}\u{1b}[0m");
        }
        text.to_owned()
    }
}

/// The time of day, UTC.
fn clock(at: u64) -> String {
    let seconds = at / 1000;
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}Z", seconds % 60)
}

/// A line that does nothing to a terminal but to appear there; `colours` lets colours pass.
fn plain(text: &str, colours: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '\u{1b}' {
            let colour = rest.strip_prefix("\u{1b}[").and_then(|after| {
                let end = after.find(|c: char| !c.is_ascii_digit() && c != ';')?;
                after[end..].starts_with('m').then_some(2 + end + 1)
            });
            if let Some(length) = colour {
                if colours {
                    shown.push_str(&rest[..length]);
                }
                rest = &rest[length..];
                continue;
            }
        }
        if c == '\t' || !c.is_control() {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
        rest = &rest[c.len_utf8()..];
    }
    shown
}

/// The stack of an error that a Node.js function logged in AWS's form: `Invoke Error {"errorType": …, "trace": […]}`.
fn stack_of(line: &str) -> Option<String> {
    let labels = [
        "Invoke Error",
        "Uncaught Exception",
        "Unhandled Promise Rejection",
        "Init Error",
    ];
    let (_, object) = labels.iter().find_map(|label| line.split_once(label))?;
    let object: Json = serde_json::from_str(object.trim()).ok()?;
    let text = |key: &str| object.get(key).and_then(Json::as_str);
    let trace = ["trace", "stack"]
        .iter()
        .find_map(|key| object.get(*key)?.as_array());
    let trace: Vec<&str> = trace
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let head = format!(
        "{}: {}",
        text("errorType").unwrap_or("Error"),
        text("errorMessage").unwrap_or_default()
    );
    let frames = trace.iter().skip(usize::from(
        trace
            .first()
            .is_some_and(|first| !first.trim_start().starts_with("at ")),
    ));
    Some(frames.fold(head, |all, frame| format!("{all}\n{frame}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T20:00:07Z
    const AT: u64 = 1_795_291_207_000;

    fn call() -> Call {
        Call {
            event: "MESSAGE",
            api: "chat".to_owned(),
            stage: "dev".to_owned(),
            route: "sendmessage".to_owned(),
            connection: "AZ".to_owned(),
            backend: Some("SendMessage".to_owned()),
            milliseconds: Some(34),
            status: 200,
            error: None,
        }
    }

    fn line(text: &str) -> Said {
        Said::Line {
            function: "OnConnect".to_owned(),
            request_id: Some("r".to_owned()),
            line: text.to_owned(),
        }
    }

    #[track_caller]
    fn check(said: &Said, colour: bool, expected: &str) {
        assert_eq!(said.render(AT, Style::Text { colour }), expected);
    }

    #[test]
    fn a_call_is_a_line() {
        check(
            &Said::Call(call()),
            false,
            "20:00:07Z MESSAGE    sendmessage      SendMessage             34 ms  ok\n",
        );
        let refused = Call {
            status: 502,
            error: Some("function error: SendMessage: TypeError: x".to_owned()),
            ..call()
        };
        check(
            &Said::Call(refused),
            false,
            "20:00:07Z MESSAGE    sendmessage      SendMessage             34 ms  502 function error: SendMessage: TypeError: x\n",
        );
        let nothing = Call {
            event: "CONNECT",
            route: "$connect".to_owned(),
            backend: None,
            milliseconds: None,
            status: 403,
            ..call()
        };
        check(
            &Said::Call(nothing),
            false,
            "20:00:07Z CONNECT    $connect         -                              403 by its answer\n",
        );
    }

    #[test]
    fn lines_of_functions_stand_behind_their_names() {
        check(&line("hello"), false, "           OnConnect | hello\n");
        check(
            &line("\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}\ttab"),
            false,
            "           OnConnect | red\\u{1b}]0;title\\u{7}\ttab\n",
        );
        let coloured = line("\u{1b}[31mred\u{1b}[0m").render(AT, Style::Text { colour: true });
        assert!(coloured.contains("\u{1b}[31mred\u{1b}[0m"), "{coloured:?}");
        let failed = Said::Failed {
            function: "OnConnect".to_owned(),
            request_id: None,
            error_type: "Sandbox.Timedout".to_owned(),
            message: "Task timed out after 3.00 seconds".to_owned(),
        };
        check(&failed, false, "");
        check(
            &Said::Note("reloaded".to_owned()),
            false,
            "20:00:07Z reloaded\n",
        );
    }

    #[test]
    fn stacks_are_spread_out() {
        let logged = r#"2026 r ERROR Invoke Error {"errorType":"TypeError","errorMessage":"x is not a function","trace":["TypeError: x is not a function","    at handler (/app/a.js:3:9)"]}"#;
        check(
            &line(logged),
            false,
            "           OnConnect | TypeError: x is not a function\n           OnConnect |     at handler (/app/a.js:3:9)\n",
        );
        check(
            &line("Invoke Error {"),
            false,
            "           OnConnect | Invoke Error {\n",
        );
    }

    #[test]
    fn programs_read_one_object_a_line() {
        let parsed = |said: &Said| -> Json {
            let text = said.render(AT, Style::Json);
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            serde_json::from_str(&text).unwrap()
        };
        let found = parsed(&Said::Call(call()));
        assert_eq!(found["kind"], "call");
        assert_eq!(found["route"], "sendmessage");
        assert_eq!(found["backend"], "SendMessage");
        assert_eq!(found["milliseconds"], 34);
        assert_eq!(found["time"], "2026-11-21T20:00:07.000Z");
        let found = parsed(&line("a\nb"));
        assert_eq!(found["line"], "a\nb");
        assert_eq!(found["requestId"], "r");
    }
}
