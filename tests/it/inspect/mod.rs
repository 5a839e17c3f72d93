//! What operators see and do: nodes, connections and the outbox.

mod api;
mod commands;
mod nodes;

use std::collections::BTreeSet;

use harness::{Client, Gateway, Request};
use serde_json::Value;

use crate::app::{App, text};

/// An id that could be of a node that is not there.
const NOBODY: &str = "AQABq83v_zAxMjM0NTY3ODlhYmNkZWY=";
/// As AWS gives them out.
const OF_AWS: &str = "L0SM9cOFvHcCIhw=";

async fn get(gateway: &Gateway, path: &str) -> (u16, Value) {
    let answer = Request::get(gateway.management(), path).send().await;
    (answer.status, answer.json())
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("a list has items");
    items
        .iter()
        .map(|item| text(&item["connectionId"]))
        .collect()
}

/// That many connections, and their ids in the order in which lists have them.
async fn connect(app: &App, count: usize) -> (Vec<Client>, Vec<String>) {
    let (mut clients, mut ids) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (client, id) = app.connect().await;
        clients.push(client);
        ids.push(id);
    }
    // Ids are ordered by their bytes, which their text is not.
    let (_, list) = get(&app.gateway, "/wiregate/connections?maxResults=1000").await;
    let listed = self::ids(&list);
    let known: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(listed.iter().collect::<BTreeSet<_>>(), known);
    (clients, listed)
}
