//! TLS between nodes: who has a certificate of the same authority is reached directly, who has not is refused, and both say why.

use harness::{
    Authority, Backend, Gateway, GatewayCommand, Nodes, Redis, Table, check, eventually,
};

use crate::app::{App, BINARY, indent};

/// A node with a certificate of `issuer`, which believes those of `trusted`.
fn top(issuer: &Authority, trusted: &Authority) -> String {
    let issued = issuer.issue("a node");
    format!(
        "server:\n  cluster:\n    lease: 10s\n    tls:\n      cert: |\n{}      key: |\n{}      ca: |\n{}",
        indent(8, &issued.cert),
        indent(8, &issued.key),
        indent(8, &trusted.pem())
    )
}

fn command(backend: &Backend, top: &str) -> GatewayCommand {
    // With a link also where all other tests have none.
    GatewayCommand::new(BINARY, &App::yaml(backend, top, ""))
}

/// Two nodes with certificates of one authority, and the Redis that they can be deprived of.
async fn pair(authority: &Authority) -> (Nodes, Backend, Redis) {
    let redis = Redis::start().await;
    let backend = App::backend().await;
    let first = command(&backend, &top(authority, authority));
    let nodes = Nodes::start(linked(first), &redis.url(), 2).await;
    (nodes, backend, redis)
}

fn linked(command: GatewayCommand) -> GatewayCommand {
    command.env("WIREGATE_NODE_LISTEN", "127.0.0.1:0")
}

async fn says(node: &Gateway, words: &str) {
    eventually(&format!("the log says '{words}'"), async || {
        node.log().contains(words).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nodes_with_certificates_of_one_authority_reach_each_other_without_redis() {
    let (nodes, backend, mut redis) = pair(&Authority::new()).await;
    let mut client = nodes[0].connect("/dev").await;
    let id = backend.next("/connect").await.connection_id();
    assert_eq!(nodes[1].push(&id, "over TLS").await.status, 200);
    redis.kill();
    for n in 0..10 {
        let push = nodes[1].push(&id, format!("by the link alone, {n}")).await;
        assert_eq!(push.status, 200, "{}", push.text());
    }
    assert_eq!(client.next_text().await, "over TLS");
    for n in 0..10 {
        assert_eq!(client.next_text().await, format!("by the link alone, {n}"));
    }
}

#[tokio::test]
async fn a_node_of_another_authority_or_without_tls_is_refused_and_both_say_why() {
    let (ours, others) = (Authority::new(), Authority::new());
    for (name, stranger, asked, asks) in [
        (
            "of another authority",
            top(&others, &others),
            "its certificate is of an authority that this node does not know",
            "it does not know the authority of this node's certificate",
        ),
        (
            "without TLS",
            "server: { cluster: { lease: 10s } }".to_owned(),
            "it speaks TLS only, this node without it",
            "it speaks without TLS, this node only with it",
        ),
    ] {
        let (mut nodes, backend, mut redis) = pair(&ours).await;
        let stranger = linked(command(&backend, &stranger)).node_of(&redis.url());
        let stranger = nodes.join_with(stranger).await;
        nodes.know_each_other(&[0, 1, stranger]).await;
        let mut client = nodes[0].connect("/dev").await;
        let id = backend.next("/connect").await.connection_id();
        // The other road is there all the same, once the first is known to lead nowhere.
        eventually("it is reached through Redis", async || {
            let push = nodes[stranger].push(&id, name).await;
            (push.status == 200).then_some(())
        })
        .await;
        assert_eq!(client.next_text().await, name);
        says(&nodes[stranger], asked).await;
        says(&nodes[0], asks).await;

        redis.kill();
        assert_eq!(nodes[stranger].push(&id, "x").await.status, 503, "{name}");
        assert_eq!(nodes[1].push(&id, "known").await.status, 200, "{name}");
        // What was answered 503 may have come, too.
        while client.next_text().await != "known" {}

        // With a certificate of the same authority it is let in, without another start.
        let mended = App::yaml(&backend, &top(&ours, &ours), "");
        nodes[stranger].rewrite(&mended);
        eventually("it is let in", async || {
            let push = nodes[stranger].push(&id, "mended").await;
            (push.status == 200).then_some(())
        })
        .await;
        while client.next_text().await != "mended" {}
    }
}

#[test]
fn what_other_nodes_would_refuse_is_a_mistake() {
    let (ours, others) = (Authority::new(), Authority::new());
    let head = "apis: { chat: {} }\n";
    let node = |listen: &str| format!("  store: redis://127.0.0.1:1\n  nodeListen: {listen}\n");
    let secret = "server:\n  cluster:\n    secret: 0123456789abcdef0123456789abcdef\n";
    let with = |top: String| top.replacen("server:\n  cluster:\n", secret, 1);
    let good = with(top(&ours, &ours));
    let mut table = Table::about("server.cluster.tls");
    for (name, yaml, words) in [
        (
            "a certificate of another authority",
            with(top(&others, &ours)) + &node("127.0.0.1:0"),
            "the certificate was not issued by an authority in ca",
        ),
        (
            "a certificate for another address",
            good.clone() + &node("127.0.0.2:0"),
            "the certificate is not for 127.0.0.2, where the other nodes reach this one",
        ),
        (
            "one for another name",
            good.replacen(
                "    tls:",
                "    advertise: node-1.internal:8082\n    tls:",
                1,
            ) + &node("127.0.0.1:0"),
            "the certificate is not for node-1.internal, where the other nodes reach this one",
        ),
        (
            "no authority",
            format!("{secret}    tls: {{ cert: nowhere, key: neither }}\n"),
            "'ca' is missing",
        ),
    ] {
        let exit = check(BINARY, &format!("{head}{yaml}"));
        table.row(name, exit.code, Some(64));
        table.holds(name, exit.stderr.contains(words), &exit.stderr);
    }
    for more in [
        node("127.0.0.1:0"),
        node("127.0.0.2:0") + "  publicHost: x\n",
    ] {
        let named = good.replacen("    tls:", "    advertise: localhost:8082\n    tls:", 1);
        let yaml = if more.contains(".2:") { &named } else { &good };
        let exit = check(BINARY, &format!("{head}{yaml}{more}"));
        table.row("a good one", exit.code, Some(0));
        table.holds(
            "a good one",
            !exit.stdout.contains("-----BEGIN"),
            &exit.stdout,
        );
    }
}
