//! `wiregate connections`: list, show, close.

use std::num::NonZeroUsize;

use clap::{Args, Subcommand};
use http::Method;

use super::client::{Client, Reply, Target};
use super::print::{escape, follow, json, more, path, rows};
use super::text::{Table, ago, cell, cut};
use super::trouble::Trouble;

const PATH: &str = "/wiregate/connections";
/// Characters of a `User-Agent` in the list; browsers send more than a line.
const AGENT: usize = 32;

/// Who is connected, to any node; lists them where nothing else is said.
#[derive(Debug, Args)]
pub(super) struct Connections {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    wanted: Wanted,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List connections, in the order of their ids.
    List(Wanted),
    /// Show one connection, and when its last message went.
    Show {
        /// Its id.
        id: String,
    },
    /// Close one connection.
    Close {
        /// Its id.
        id: String,
        /// Code of the close frame: 1000, 1001, 1008, 1011 to 1013 or 3000 to 4999 [default: 1000].
        #[arg(long)]
        code: Option<String>,
        /// Its reason, at most 123 bytes.
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, Default, PartialEq, Eq, Args)]
struct Wanted {
    /// Only of this API.
    #[arg(long, value_name = "API")]
    api: Option<String>,
    /// Only of stages with this name.
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Only those that this node holds.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only those from this address.
    #[arg(long, value_name = "ADDRESS")]
    source_ip: Option<String>,
    /// At most so many [default: 100].
    #[arg(long, value_name = "N")]
    max: Option<NonZeroUsize>,
}

/// Lines of a list where nothing is said.
pub(super) const USUAL_MAX: usize = 100;

impl Connections {
    pub(super) fn run(self) -> Result<String, Trouble> {
        let wanted = match self.command {
            None => self.wanted,
            Some(_) if self.wanted != Wanted::default() => {
                let message = "what narrows a list stands behind the word list, as in: wiregate connections list --api chat";
                return Err(Trouble::Usage(message.to_owned()));
            }
            Some(Command::List(wanted)) => wanted,
            Some(Command::Show { id }) => return show(&self.target, &id),
            Some(Command::Close { id, code, reason }) => {
                return close(&self.target, &id, code.as_deref(), reason.as_deref());
            }
        };
        list(&self.target, &wanted)
    }
}

fn list(target: &Target, wanted: &Wanted) -> Result<String, Trouble> {
    let parameters = [
        ("apiId", wanted.api.as_deref()),
        ("stage", wanted.stage.as_deref()),
        ("nodeId", wanted.node.as_deref()),
        ("sourceIp", wanted.source_ip.as_deref()),
    ];
    let most = wanted.max.map_or(USUAL_MAX, NonZeroUsize::get);
    let reply = follow(&Client::new(target)?, PATH, &parameters, most)?;
    if target.json {
        return Ok(json(&reply.body));
    }
    Ok(table(&reply))
}

fn show(target: &Target, id: &str) -> Result<String, Trouble> {
    let reply = Client::new(target)?.ask(&Method::GET, &one(id)?)?;
    if target.json {
        return Ok(json(&reply.body));
    }
    Ok(sheet(&reply))
}

fn close(
    target: &Target,
    id: &str,
    code: Option<&str>,
    reason: Option<&str>,
) -> Result<String, Trouble> {
    let path = path(&one(id)?, &[("code", code), ("reason", reason)]);
    Client::new(target)?.ask(&Method::DELETE, &path)?;
    if target.json {
        let closing = serde_json::json!({ "connectionId": id });
        return Ok(json(&closing));
    }
    Ok(format!("closing {id}\n"))
}

fn one(id: &str) -> Result<String, Trouble> {
    if id.is_empty() {
        let message = "the id is empty; wiregate connections lists ids";
        return Err(Trouble::Usage(message.to_owned()));
    }
    Ok(format!("{PATH}/{}", escape(id)))
}

fn table(reply: &Reply) -> String {
    let mut table = Table::new(&[
        "CONNECTION",
        "API",
        "STAGE",
        "NODE",
        "AGE",
        "SOURCE",
        "USER AGENT",
    ]);
    for connection in rows(&reply.body) {
        table.row([
            cell(&connection["connectionId"]),
            cell(&connection["apiId"]),
            cell(&connection["stage"]),
            cell(&connection["nodeId"]),
            ago(&connection["connectedAt"], reply.now),
            cell(&connection["sourceIp"]),
            cut(&cell(&connection["userAgent"]), AGENT),
        ]);
    }
    table.render() + more(&reply.body)
}

fn sheet(reply: &Reply) -> String {
    let body = &reply.body;
    let since = |time: &serde_json::Value| match time.as_str() {
        Some(text) => format!("{text} ({} ago)", ago(time, reply.now)),
        None => "-".to_owned(),
    };
    let socket = if body["open"] == serde_json::Value::Bool(true) {
        "open"
    } else {
        "not open: $connect has not answered, or $disconnect is not delivered yet"
    };
    Table::of_facts(vec![
        ("connection", cell(&body["connectionId"])),
        ("api", cell(&body["apiId"])),
        ("stage", cell(&body["stage"])),
        ("node", cell(&body["nodeId"])),
        ("socket", socket.to_owned()),
        ("connected", since(&body["connectedAt"])),
        ("last active", since(&body["lastActiveAt"])),
        ("source", cell(&body["sourceIp"])),
        ("user agent", cell(&body["userAgent"])),
        ("domain name", cell(&body["domainName"])),
        ("principal", cell(&body["principalId"])),
    ])
    .render()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_700_000_192_000;

    #[test]
    fn a_list_has_a_line_for_each_and_says_when_there_are_more() {
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36";
        let body = json!({"items": [
            {"connectionId": "AQ=", "apiId": "chat", "stage": "dev", "nodeId": "01", "connectedAt": "2023-11-14T22:13:20.000Z",
             "sourceIp": "127.0.0.1", "userAgent": agent, "domainName": "localhost"},
            {"connectionId": "AR=", "apiId": "chat", "stage": "dev", "nodeId": "01", "connectedAt": "2023-11-14T22:16:30.000Z",
             "sourceIp": "::1", "userAgent": null, "domainName": "localhost"},
        ], "nextToken": "AR="});
        assert_eq!(
            table(&Reply { body, now: NOW }),
            "CONNECTION  API   STAGE  NODE  AGE    SOURCE     USER AGENT\n\
             AQ=         chat  dev    01    3m12s  127.0.0.1  Mozilla/5.0 (X11; Linux x86_64)…\n\
             AR=         chat  dev    01    2s     ::1        -\n\
             There are more; --max shows more of them.\n"
        );
    }

    #[test]
    fn one_is_shown_with_what_is_not_known_of_it() {
        let body = json!({"connectionId": "AQ=", "apiId": null, "stage": null, "nodeId": "01",
            "connectedAt": "2023-11-14T22:13:20.000Z", "sourceIp": "::1", "userAgent": null, "domainName": null, "principalId": null, "open": true,
            "lastActiveAt": "2023-11-14T22:16:31.000Z"});
        assert_eq!(
            sheet(&Reply { body, now: NOW }),
            "connection   AQ=\n\
             api          -\n\
             stage        -\n\
             node         01\n\
             socket       open\n\
             connected    2023-11-14T22:13:20.000Z (3m12s ago)\n\
             last active  2023-11-14T22:16:31.000Z (1s ago)\n\
             source       ::1\n\
             user agent   -\n\
             domain name  -\n\
             principal    -\n"
        );
    }

    #[test]
    fn an_id_is_one_part_of_a_path() {
        assert_eq!(one("AQ=").unwrap(), "/wiregate/connections/AQ%3D");
        assert_eq!(
            one("a/../b?c").unwrap(),
            "/wiregate/connections/a%2F..%2Fb%3Fc"
        );
        assert!(one("").is_err());
    }
}
