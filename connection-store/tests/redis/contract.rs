//! Every behaviour of the contracts, on every topology and way to log in.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connection_store::Outbox;
use connection_store::contract::{outbox, registry};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

use crate::server::{Cluster, Server, Trio, free_port};
use crate::{assert_refused, assert_unavailable, renew, store};

async fn both_contracts_hold(url: &str) {
    let (one, other) = (store(url), store(url));
    // Without optimisation TLS takes longer to connect than a call may.
    for store in [&one, &other] {
        let began = Instant::now();
        while let Err(error) = store.backlog().await {
            assert!(began.elapsed() < Duration::from_secs(10), "{error}");
        }
    }
    registry::all(&one, &other).await;
    outbox::all(&one).await;
    assert_eq!((one.poisoned(), other.poisoned()), (0, 0));
}

#[tokio::test]
async fn a_single_redis_keeps_the_contracts() {
    let server = Server::start();
    both_contracts_hold(&format!("redis://127.0.0.1:{}", server.port)).await;
}

#[tokio::test]
async fn a_redis_with_a_password_and_another_database_keeps_the_contracts() {
    let server = Server::with_password("s3cret/@?", &[]);
    both_contracts_hold(&format!(
        "redis://:s3cret%2F%40%3F@127.0.0.1:{}/3",
        server.port
    ))
    .await;
    let url = format!("redis://:wrong@127.0.0.1:{}", server.port);
    assert_refused(&renew(&store(&url)).await, "WRONGPASS");
    assert_refused(
        &renew(&store(&format!("redis://127.0.0.1:{}", server.port))).await,
        "NOAUTH",
    );
}

/// All that a user needs; as the manual says.
pub(crate) const RIGHTS: &str = "~wg:* &wg:* -@all +hello +ping +info +role \
    +eval +evalsha +time +exists +get +set +del +pexpire +pttl \
    +zadd +zcard +zrange +zrangebylex +zrangebyscore +zrem +zremrangebylex +zscore +zpopmin \
    +hget +hset +hsetnx +hdel +hlen +hincrby +rename +persist +publish +subscribe";

/// And on a cluster.
const CLUSTER_RIGHTS: [&str; 5] = [
    "+cluster|slots",
    "+cluster|shards",
    "+asking",
    "+spublish",
    "+ssubscribe",
];

#[tokio::test]
async fn a_user_with_no_more_rights_than_needed_keeps_the_contracts() {
    let server = Server::start();
    let rule: Vec<_> = ["ACL", "SETUSER", "gate", "on", ">hunter2"]
        .into_iter()
        .chain(RIGHTS.split_whitespace())
        .collect();
    let () = server.command(&rule);
    let () = server.command(&["ACL", "SETUSER", "default", "off"]);
    both_contracts_hold(&format!("redis://gate:hunter2@127.0.0.1:{}", server.port)).await;
}

#[tokio::test]
async fn a_user_with_no_more_rights_than_needed_keeps_the_contracts_on_a_cluster() {
    let cluster = Cluster::start();
    let words = ["ACL", "SETUSER", "gate", "on", ">hunter2"];
    for server in &cluster.servers {
        let rights = RIGHTS.split_whitespace().chain(CLUSTER_RIGHTS);
        let rule: Vec<_> = words.into_iter().chain(rights).collect();
        let () = server.command(&rule);
    }
    let url = cluster.url();
    both_contracts_hold(&url.replace("://", "://gate:hunter2@")).await;
}

#[tokio::test]
async fn a_cluster_of_three_masters_keeps_the_contracts() {
    let cluster = Cluster::start();
    both_contracts_hold(&cluster.url()).await;
}

#[tokio::test]
async fn a_master_named_by_sentinels_keeps_the_contracts() {
    let trio = Trio::start();
    both_contracts_hold(&trio.url()).await;
}

/// An authority's certificate, a server's, and a client's, as files.
fn issue(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate for self-signed whose names are those of its issuer.
    params
        .distinguished_name
        .push(DnType::CommonName, "authority");
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("a certificate");
    let write = |name: &str, kind: &str, der: &[u8]| {
        let body = STANDARD.encode(der);
        let text = format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n");
        std::fs::write(folder.join(name), text).expect("the folder can be written");
    };
    write("ca.pem", "CERTIFICATE", authority.der());
    for name in ["server", "client"] {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let loopback = SanType::IpAddress([127, 0, 0, 1].into());
        params.subject_alt_names.push(loopback);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        write(&format!("{name}.pem"), "CERTIFICATE", certificate.der());
        write(&format!("{name}.key"), "PRIVATE KEY", key.serialized_der());
    }
}

#[tokio::test]
async fn a_redis_that_asks_for_certificates_keeps_the_contracts() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    issue(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let more = [
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "yes",
    ];
    let server = Server::with_tls(free_port(), &more);
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let (own, own_key) = (file("client.pem"), file("client.key"));
    both_contracts_hold(&format!("{url}?ca={ca}&cert={own}&key={own_key}")).await;
    // Nobody whom the system trusts issued it.
    assert_unavailable(&renew(&store(&url)).await);
    // It wants to know who we are.
    assert_unavailable(&renew(&store(&format!("{url}?ca={ca}"))).await);
    let plain = store(&format!("redis://127.0.0.1:{}", server.port));
    assert_unavailable(&renew(&plain).await);
    let missing = format!("{url}?ca=/nowhere.pem")
        .parse()
        .expect("it is a URL");
    let error = connection_store::Redis::new(missing, crate::LIMIT).expect_err("no such file");
    assert!(
        error
            .to_string()
            .starts_with("/nowhere.pem, which the store's URL names: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_cluster_with_tls_keeps_the_contracts() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    issue(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let cluster = Cluster::with_tls(&[
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ]);
    both_contracts_hold(&format!("{}?tls=true&ca={ca}", cluster.url())).await;
}
