//! TLS between nodes: who is let in, who is not, and what each of the two says of it.

use super::*;

/// An owner and an asker with these.
async fn pair(owner: Option<LinkTls>, asker: Option<LinkTls>) -> (LinkBus, LinkBus) {
    let (listener, address) = listener().await;
    // The certificates are for a name.
    let address = address.replace("127.0.0.1", "localhost");
    let owner = LinkBus::new(LinkSettings {
        tls: owner,
        ..settings(OWNER)
    });
    owner.serve(listener, Arc::new(Counter::default()));
    let asker = LinkBus::new(LinkSettings {
        tls: asker,
        ..settings(ASKER)
    });
    asker.set_peers([(OWNER, address)]);
    (owner, asker)
}

/// What the asker says of an owner that it cannot reach.
async fn why(asker: &LinkBus) -> String {
    match ask(asker, b"order").await {
        Err(BusError::Unreachable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_cannot_come_in_is_told_why_and_comes_in_once_it_is_mended() {
    let (ours, others) = (|| Some(tls("localhost")), || Some(tls("localhost")));
    let own = ours();
    let no_tls = "it speaks without TLS, this node only with it";
    let cases = [
        (
            own.clone(),
            others(),
            "its certificate is of an authority that this node does not know",
        ),
        (
            own.clone(),
            None,
            "it speaks TLS only, this node without it",
        ),
        (None, own.clone(), no_tls),
    ];
    for (of_owner, of_asker, expected) in cases {
        let (owner, asker) = pair(of_owner, of_asker).await;
        let why = why(&asker).await;
        assert!(why.contains(expected), "{why}");
        eventually("it is refused", || owner.counts().refused == 1).await;
        assert_eq!(owner.counts().served, 0);
        // Without another start of either.
        owner.set_tls(own.clone());
        asker.set_tls(own.clone());
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(ask(&asker, b"order").await.as_deref(), Ok(&b"done"[..]));
    }
}

#[tokio::test]
async fn a_node_whose_certificate_the_owner_does_not_know_is_told_so() {
    // It trusts the owner, and shows what the owner does not trust.
    let (own, other) = (tls("localhost"), tls("localhost"));
    let shows_another = LinkTls {
        client: {
            let mut client = (*own.client).clone();
            client.client_auth_cert_resolver = other.client.client_auth_cert_resolver.clone();
            Arc::new(client)
        },
        ..own.clone()
    };
    let (owner, asker) = pair(Some(own), Some(shows_another)).await;
    let why = why(&asker).await;
    let expected = "it does not know the authority of this node's certificate";
    assert!(why.contains(expected), "{why}");
    eventually("it is refused", || owner.counts().refused == 1).await;
}
