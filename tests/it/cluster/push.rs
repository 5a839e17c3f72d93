//! A push that is posted to any node reaches any connection, and is answered as by the connection's own.

use std::time::Duration;

use futures_util::future::join_all;
use harness::{Gate, Handshake, Opened, PATIENCE, RawSocket, Request, Table, read_answer};
use socket2::{Domain, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::Cluster;
use super::ledger::{Event, push_text};
use crate::app::only_the_echo_comes_back;

#[tokio::test]
async fn any_node_reaches_any_connection() {
    let cluster = Cluster::start(3, "10s").await;
    let mut table = Table::about("from node, to node");
    for owner in 0..3 {
        for via in 0..3 {
            let name = format!("{via} to {owner}");
            let (mut client, id) = cluster.connect(owner).await;
            let node = &cluster.nodes[via];
            table.row(&name, node.push(&id, &name).await.status, 200);
            table.row(&name, client.next_text().await, name.as_str());
            let found = node.connection(&id).await;
            table.row(&name, found.status, 200);
            let own = cluster.nodes[owner].connection(&id).await;
            for fact in ["connectedAt", "identity"] {
                table.row(&name, &found.json()[fact], &own.json()[fact]);
            }

            tokio::time::sleep(Duration::from_millis(20)).await;
            only_the_echo_comes_back(&mut client, &name).await;
            let last = |answer: harness::HttpAnswer| answer.json()["lastActiveAt"].to_string();
            let later = last(node.connection(&id).await);
            table.holds(
                &name,
                later > last(found),
                "its owner's lastActiveAt stands still",
            );

            table.row(&name, node.delete(&id).await.status, 204);
            table.row(
                &name,
                client.closed().await,
                (1000, "Connection Closed Normally"),
            );
            let gone = [
                node.push(&id, "x").await.status,
                node.connection(&id).await.status,
                node.delete(&id).await.status,
            ];
            table.row(&name, gone, [410; 3]);
        }
    }
}

#[tokio::test]
async fn another_node_refuses_as_the_owner_does() {
    let api = "stages: { dev: {}, other: {} }\nlimits: { maxMessageBytes: 64KiB, writeTimeout: 10s, pingInterval: 0 }";
    let cluster = Cluster::with(2, "server: { cluster: { lease: 10s } }", api).await;
    let mut table = Table::about("refusals, by the owner and by another node");
    let (mut client, id) = cluster.connect(0).await;
    for (via, node) in [(0, &cluster.nodes[0]), (1, &cluster.nodes[1])] {
        let longest = vec![b'x'; 64 * 1024];
        table.row(
            &format!("64 KiB by {via}"),
            node.push(&id, &longest).await.status,
            200,
        );
        table.row("64 KiB", client.next_text().await.len(), longest.len());
        let answer = node.push(&id, vec![b'x'; 64 * 1024 + 1]).await;
        let error = answer.header("x-amzn-errortype").map(str::to_owned);
        let expected = (413, Some("PayloadTooLargeException".to_owned()));
        table.row(
            &format!("one byte more by {via}"),
            (answer.status, error),
            expected,
        );

        let path = format!("/other/@connections/{}", id.replace('=', "%3D"));
        let answer = Request::post(node.management(), &path, "x").send().await;
        table.row(&format!("another stage by {via}"), answer.status, 410);
    }
    only_the_echo_comes_back(&mut client, "after").await;

    let (_slow, slow) = narrow(&cluster, 0).await;
    for via in [1, 0] {
        let node = &cluster.nodes[via];
        let mut status = 200;
        for _ in 0..200 {
            let answer = node.push(&slow, vec![b'x'; 32 * 1024]).await;
            status = answer.status;
            if status != 200 {
                break;
            }
        }
        table.row(&format!("a slow reader by {via}"), status, 429);
    }
}

/// An open socket whose kernel takes in very little.
async fn narrow(cluster: &Cluster, node: usize) -> (RawSocket, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let public = cluster.nodes[node].public();
    socket.connect(&public.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut stream = TcpStream::from_std(socket.into()).unwrap();
    let request = Handshake::to(public, "/dev").bytes();
    stream.write_all(&request).await.unwrap();
    let (answer, _) = read_answer(&mut stream, false).await.unwrap();
    assert_eq!(answer.status, 101);
    let id = cluster.backend.next("/connect").await.connection_id();
    (RawSocket::from_stream(stream), id)
}

#[tokio::test]
async fn a_push_by_another_node_during_connect_is_held_or_under_the_aws_preset_gone() {
    for preset in ["open", "aws"] {
        let api = format!("limits: {{ preset: {preset} }}");
        let cluster = Cluster::with(2, "server: { cluster: { lease: 10s } }", &api).await;
        let gate = Gate::shut();
        cluster.backend.hold("/connect", &gate);
        let opening = tokio::spawn(cluster.nodes[0].handshake("/dev").send());
        let id = cluster.backend.next("/connect").await.connection_id();
        let node = &cluster.nodes[1];
        let early = node.push(&id, "early").await;
        let (status, held) = match preset {
            "open" => (200, Some("held")),
            _ => (410, None),
        };
        assert_eq!(early.status, status, "{preset}");
        assert_eq!(early.header("x-wiregate-delivery"), held, "{preset}");
        gate.open();
        let Opened::Open(mut client) = opening.await.unwrap() else {
            panic!("refused");
        };
        assert_eq!(node.push(&id, "late").await.status, 200);
        if preset == "open" {
            assert_eq!(client.next_text().await, "early");
        }
        assert_eq!(client.next_text().await, "late");
    }
}

#[tokio::test]
async fn pushes_that_wait_for_their_answers_arrive_in_order_by_whichever_nodes_they_go() {
    let cluster = Cluster::start(3, "10s").await;
    let members = cluster.crowd(0, 10).await;
    // Each pusher to all connections, each push by another node.
    let pushers = (0..4).map(|pusher| {
        let (cluster, members) = (&cluster, &members);
        async move {
            for n in 0..40 {
                for member in members {
                    let text = push_text(&format!("pusher{pusher}"), n, &member.id);
                    let status = cluster.push((pusher + n) % 3, &member.id, &text).await;
                    assert_eq!(status, 200);
                }
            }
        }
    });
    join_all(pushers).await;
    harness::eventually("all are read", async || {
        let entries = cluster.ledger.entries();
        let read = entries
            .iter()
            .filter(|entry| matches!(entry.event, Event::Read(_)));
        (read.count() == 4 * 40 * 10).then_some(())
    })
    .await;
    cluster.holds();
}

#[tokio::test]
async fn a_push_that_is_sent_again_by_another_node_is_written_once() {
    let cluster = Cluster::start(3, "10s").await;
    for header in ["idempotency-key", "amz-sdk-invocation-id"] {
        for first in 0..3 {
            let (mut client, id) = cluster.connect(0).await;
            for again in 0..3 {
                let node = &cluster.nodes[(first + again) % 3];
                let push = node.push_request(&id, "once").header(header, "5e1f");
                assert_eq!(push.send().await.status, 200);
            }
            assert_eq!(client.next_text().await, "once");
            only_the_echo_comes_back(&mut client, header).await;
            // The same name for another connection is another push.
            let (mut other, id) = cluster.connect(0).await;
            let push = cluster.nodes[1]
                .push_request(&id, "once")
                .header(header, "5e1f");
            assert_eq!(push.send().await.status, 200);
            assert_eq!(other.next_text().await, "once");
        }
    }
}

#[tokio::test]
async fn an_id_with_a_forged_node_is_gone_and_makes_nobody_dial() {
    let cluster = Cluster::start(2, "10s").await;
    let (mut client, id) = cluster.connect(0).await;
    let node = &cluster.nodes[1];
    assert_eq!(node.push(&id, "warm").await.status, 200);
    assert_eq!(client.next_text().await, "warm");
    let sockets = || {
        std::fs::read_dir(format!("/proc/{}/fd", node.process()))
            .unwrap()
            .count()
    };
    let before = sockets();
    let mut table = Table::about("forged ids");
    for n in 0..64_u8 {
        // Characters 2 to 8 say the node, the rest is the connection's own.
        let mut forged = id.clone().into_bytes();
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for character in &mut forged[2..9] {
            let old = alphabet.iter().position(|c| c == character).unwrap();
            *character = alphabet[(old + 1 + usize::from(n)) % 64];
        }
        let forged = String::from_utf8(forged).unwrap();
        if forged == id {
            continue;
        }
        let answers = [
            node.push(&forged, "x").await.status,
            node.connection(&forged).await.status,
            node.delete(&forged).await.status,
        ];
        table.row(&forged, answers, [410; 3]);
    }
    let after = sockets();
    table.holds(
        "sockets",
        after <= before + 2,
        &format!("{before} before, {after} after"),
    );
    // A real node, and a connection that it never had.
    let mut forged = id.clone().into_bytes();
    forged[20] = if forged[20] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    table.row(
        "no connection of its node",
        node.push(&forged, "x").await.status,
        410,
    );
    only_the_echo_comes_back(&mut client, "after").await;
}

#[tokio::test]
async fn a_node_that_joined_a_moment_ago_is_reached_at_once() {
    // The others look who is there every six seconds.
    let mut cluster = Cluster::start(2, "30s").await;
    let third = cluster.nodes.join().await;
    let (mut client, id) = cluster.connect(third).await;
    let begun = std::time::Instant::now();
    for via in 0..2 {
        let answer = cluster.nodes[via].push(&id, format!("by {via}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(client.next_text().await, format!("by {via}"));
    }
    assert!(begun.elapsed() < PATIENCE / 4, "{:?}", begun.elapsed());
    // And it reaches the others.
    let (mut client, id) = cluster.connect(0).await;
    assert_eq!(cluster.nodes[third].push(&id, "back").await.status, 200);
    assert_eq!(client.next_text().await, "back");
}
