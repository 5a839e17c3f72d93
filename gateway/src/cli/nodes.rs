//! `wiregate nodes`.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::client::{Client, Reply, Target};
use super::print::{json, rows};
use super::text::{Table, ago, cell};
use super::trouble::Trouble;

/// Which nodes there are.
#[derive(Debug, Args)]
pub(super) struct Nodes {
    #[command(flatten)]
    target: Target,
}

impl Nodes {
    pub(super) fn run(&self) -> Result<String, Trouble> {
        let reply = Client::new(&self.target)?.ask(&Method::GET, "/wiregate/nodes")?;
        if self.target.json {
            return Ok(json(&reply.body));
        }
        Ok(table(&reply))
    }
}

fn table(reply: &Reply) -> String {
    let mut table = Table::new(&[
        "NODE",
        "STATE",
        "CONNECTIONS",
        "UP",
        "HEARD",
        "HOST",
        "LINK",
        "VERSION",
    ]);
    for node in rows(&reply.body) {
        // Who answers is marked, as the others may see it differently.
        let mark = if node["thisNode"] == Value::Bool(true) {
            "*"
        } else {
            ""
        };
        table.row([
            format!("{}{mark}", cell(&node["nodeId"])),
            cell(&node["state"]),
            cell(&node["connections"]),
            ago(&node["startedAt"], reply.now),
            ago(&node["heardAt"], reply.now),
            cell(&node["hostname"]),
            cell(&node["link"]),
            cell(&node["version"]),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_that_answers_is_marked() {
        let body = serde_json::json!({"items": [
            {"nodeId": "010101010101", "thisNode": true, "state": "live", "hostname": "one", "version": "0.1.0",
             "link": "10.0.0.1:8082", "startedAt": "2023-11-14T22:13:20.000Z", "heardAt": "2023-11-14T22:16:31.000Z", "connections": 12},
            {"nodeId": "020202020202", "thisNode": false, "state": "silent", "hostname": null, "version": null,
             "link": null, "startedAt": null, "heardAt": null, "connections": 0},
        ]});
        let now = 1_700_000_192_000;
        assert_eq!(
            table(&Reply { body, now }),
            "NODE           STATE   CONNECTIONS  UP     HEARD  HOST  LINK           VERSION\n\
             010101010101*  live    12           3m12s  1s     one   10.0.0.1:8082  0.1.0\n\
             020202020202   silent  0            -      -      -     -              -\n"
        );
    }
}
