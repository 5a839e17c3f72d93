//! Several nodes on one Redis: all serve what any of them was told.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use harness::{Backend, Client, Gateway, Opened, Redis, eventually, within};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::durable::hang_up;
use super::{Chat, api, ask, backend, command, done, handshake, items, made, two_way};
use crate::app::{only_the_echo_comes_back, text};

/// How long a change may take to the other nodes.
const LIVE: Duration = Duration::from_secs(1);

/// A node with a folder of its own.
async fn node(store: &str, folder: &TempDir) -> Gateway {
    let command = command().node_of(store).data_dir(folder.path());
    command.start().await
}

struct Pair {
    nodes: [Gateway; 2],
    folders: [TempDir; 2],
    backend: Backend,
}

impl Pair {
    async fn start(store: &str) -> Self {
        let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let nodes = [
            node(store, &folders[0]).await,
            node(store, &folders[1]).await,
        ];
        Self {
            nodes,
            folders,
            backend: backend().await,
        }
    }

    fn at(&self, node: usize) -> SocketAddr {
        self.nodes[node % 2].management()
    }
}

/// Waits until a node shows the stage of that API, which is made last.
async fn knows(at: SocketAddr, chat: &Chat) {
    eventually("the node knows the whole API", async || {
        let answer = ask(at, "GET", &chat.path("/stages/prod"), Value::Null).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// A socket of a stage, once this node lets one in.
async fn opened(gateway: &Gateway, api: &str, limit: Duration) -> Client {
    within(
        limit,
        "the stage lets clients in",
        async || match handshake(gateway, api, "prod").send().await {
            Opened::Open(client) => Some(*client),
            Opened::Refused(_) => None,
        },
    )
    .await
}

#[tokio::test]
async fn what_one_node_is_told_is_live_on_the_other_within_a_second() {
    let pair = Pair::start(&Redis::database().await).await;
    let chat = Chat::create(pair.at(0), &pair.backend).await;
    let mut client = opened(&pair.nodes[1], &chat.id, LIVE).await;
    only_the_echo_comes_back(&mut client, "through the other node").await;
    assert_eq!(items(pair.at(1), "/v2/apis").await.len(), 1);

    // A change by the second node reaches sockets of the first, which stay open.
    let mut first = chat.open(&pair.nodes[0]).await;
    let whoami = super::integration(pair.at(1), &chat.id, &pair.backend.url("/whoami")).await;
    two_way(pair.at(1), &chat.id, "whoami", &whoami).await;
    made(
        pair.at(1),
        &chat.path("/deployments"),
        json!({"stageName": "prod"}),
    )
    .await;
    within(
        LIVE,
        "the new route answers on the other node",
        async || {
            first.send_json(&json!({"action": "whoami"})).await;
            let answer = first.next_text().await;
            (!answer.contains("Forbidden")).then_some(())
        },
    )
    .await;

    assert_eq!(
        ask(pair.at(0), "DELETE", &chat.path(""), Value::Null)
            .await
            .status,
        204
    );
    within(LIVE, "the API is gone on the other node", async || {
        let status = handshake(&pair.nodes[1], &chat.id, "prod").status().await;
        (status == 403).then_some(())
    })
    .await;
}

#[tokio::test]
async fn writers_on_two_nodes_lose_nothing_of_each_other() {
    const WRITERS: usize = 6;
    const CHANGES: usize = 12;
    let pair = Pair::start(&Redis::database().await).await;
    let id = api(pair.at(0), "shared").await;
    made(
        pair.at(0),
        &format!("/v2/apis/{id}/stages"),
        json!({"stageName": "prod"}),
    )
    .await;
    within(LIVE, "the other node knows the API", async || {
        let answer = ask(
            pair.at(1),
            "GET",
            &format!("/v2/apis/{id}/stages/prod"),
            Value::Null,
        )
        .await;
        (answer.status == 200).then_some(())
    })
    .await;
    let writer = async |writer: usize| {
        for number in 0..CHANGES {
            let key = format!("route{writer}x{number}");
            made(
                pair.at(writer),
                &format!("/v2/apis/{id}/routes"),
                json!({"routeKey": key}),
            )
            .await;
            // One document, and all of them merge into the same map of it.
            let variables = json!({"stageVariables": {format!("v{writer}x{number}"): "x"}});
            done(
                pair.at(writer),
                "PATCH",
                &format!("/v2/apis/{id}/stages/prod"),
                variables,
            )
            .await;
        }
    };
    join_all((0..WRITERS).map(writer)).await;
    for at in [pair.at(0), pair.at(1)] {
        eventually("this node has all changes", async || {
            let routes = items(at, &format!("/v2/apis/{id}/routes")).await;
            let stage = done(
                at,
                "GET",
                &format!("/v2/apis/{id}/stages/prod"),
                Value::Null,
            )
            .await;
            let variables = stage["stageVariables"].as_object().unwrap().len();
            (routes.len() == WRITERS * CHANGES && variables == WRITERS * CHANGES).then_some(())
        })
        .await;
    }

    // Of those who want the same key at once, one gets it.
    for number in 0..5 {
        let body = json!({"routeKey": format!("wanted{number}")});
        let path = format!("/v2/apis/{id}/routes");
        let asking = (0..WRITERS).map(|writer| ask(pair.at(writer), "POST", &path, body.clone()));
        let mut statuses: Vec<u16> = join_all(asking)
            .await
            .iter()
            .map(|answer| answer.status)
            .collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [&[201][..], &[409; WRITERS - 1]].concat());
    }
}

#[tokio::test]
async fn an_emptied_redis_has_everything_again_and_so_has_a_node_that_joins_later() {
    let redis = Redis::start().await;
    let pair = Pair::start(&redis.url()).await;
    let chat = Chat::create(pair.at(0), &pair.backend).await;
    let late = TempDir::new().unwrap();
    let third = node(&redis.url(), &late).await;
    assert_eq!(
        items(third.management(), "/v2/apis").await.len(),
        1,
        "at once, when it is ready"
    );
    let mut client = opened(&third, &chat.id, Duration::from_secs(10)).await;
    only_the_echo_comes_back(&mut client, "through the third").await;

    redis.command(&["FLUSHALL"]).await;
    let restored = "wg:{control}:revision";
    eventually("the nodes put their copies back", async || {
        let found = redis.command(&["EXISTS", restored]).await;
        (found == ["1"]).then_some(())
    })
    .await;
    let later = TempDir::new().unwrap();
    let fourth = node(&redis.url(), &later).await;
    assert_eq!(items(fourth.management(), "/v2/apis").await.len(), 1);
    assert_eq!(
        items(fourth.management(), &chat.path("/routes"))
            .await
            .len(),
        2
    );
    // And nothing is lost that is written while Redis has nothing.
    redis.command(&["FLUSHALL"]).await;
    let second = made(
        pair.at(1),
        "/v2/apis",
        json!({"name": "second", "protocolType": "HTTP"}),
    )
    .await;
    for at in [
        pair.at(0),
        pair.at(1),
        third.management(),
        fourth.management(),
    ] {
        eventually("every node has both", async || {
            let found = items(at, "/v2/apis").await;
            let has = |id: &str| found.iter().any(|api| api["apiId"] == id);
            (has(&chat.id) && has(&text(&second["apiId"]))).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn all_nodes_start_again_on_an_emptied_redis_with_what_their_disks_hold() {
    let redis = Redis::start().await;
    let Pair {
        nodes,
        folders,
        backend,
    } = Pair::start(&redis.url()).await;
    let at = nodes[0].management();
    // Also after clients that did not wait for their answers.
    hang_up(at, 60).await;
    let chat = Chat::create(at, &backend).await;
    let known = items(at, "/v2/apis").await.len();
    knows(nodes[1].management(), &chat).await;
    drop(nodes);
    redis.command(&["FLUSHALL"]).await;
    for (number, folder) in folders.iter().enumerate() {
        // Each by itself: either disk is enough.
        let again = node(&redis.url(), folder).await;
        let found = items(again.management(), "/v2/apis").await;
        assert_eq!(found.len(), known, "node {number}");
        let mut client = opened(&again, &chat.id, Duration::from_secs(20)).await;
        only_the_echo_comes_back(&mut client, "as before").await;
        drop(again);
        redis.command(&["FLUSHALL"]).await;
    }
}
