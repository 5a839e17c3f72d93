//! On several nodes any of them answers for all.

use harness::{GatewayCommand, Nodes, Redis};
use serde_json::Value;

use super::commands::ask;
use crate::app::{App, BINARY};

#[tokio::test]
async fn any_node_lists_shows_and_closes_what_is_connected_to_another() {
    let backend = App::backend().await;
    let command = GatewayCommand::new(BINARY, &App::yaml(&backend, "", ""));
    let mut nodes = Nodes::start(command, &Redis::database().await, 2).await;
    let mut client = nodes[0].connect("/dev").await;
    let id = backend.next("/connect").await.connection_id();

    let exit = ask(&nodes[1], &["nodes", "--json"]).await;
    let list: Value = serde_json::from_str(&exit.stdout).unwrap();
    let items = list["items"].as_array().unwrap();
    let of = |own: bool| items.iter().find(|node| node["thisNode"] == own).unwrap();
    assert_eq!(
        (items.len(), &of(false)["state"]),
        (2, &"live".into()),
        "{list}"
    );
    let owner = of(false)["nodeId"].as_str().unwrap().to_owned();

    let exit = ask(&nodes[1], &["connections", "--node", &owner]).await;
    assert_eq!(exit.stdout.lines().count(), 2, "{exit:?}");
    assert!(exit.stdout.contains(&id), "{exit:?}");
    let exit = ask(&nodes[1], &["connections", "show", &id]).await;
    assert!(exit.stdout.contains("\nsocket       open\n"), "{exit:?}");
    let exit = ask(&nodes[1], &["connections", "close", &id, "--code", "4003"]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(client.closed().await, (4003, ""));

    nodes.kill(0).await;
    let exit = ask(&nodes[1], &["connections", "show", &id]).await;
    assert_ne!(
        exit.code,
        Some(0),
        "closed is closed, whoever is asked: {exit:?}"
    );
    let exit = ask(&nodes[1], &["outbox", "status"]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
}
