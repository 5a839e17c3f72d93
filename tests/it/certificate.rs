//! Certificate and key of the clients' port: what is refused, what is taken up while it runs, and who must use it.

use std::fs;

use harness::{Authority, Gateway, Issued, Request, Table, check, eventually, secure};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::app::{App, BINARY};
use crate::tls::{connect, echoes, server};

/// The common name of the certificate that new connections get.
async fn served(gateway: &Gateway, authority: &Authority) -> Vec<u8> {
    let stream = authority.connect(gateway.public()).await;
    let certificates = stream.get_ref().1.peer_certificates().unwrap();
    certificates[0].to_vec()
}

fn contains(der: &[u8], name: &str) -> bool {
    der.windows(name.len()).any(|part| part == name.as_bytes())
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_without_closing_a_socket() {
    let authority = Authority::new();
    let folder = TempDir::new().unwrap();
    let write = |issued: &Issued| {
        fs::write(folder.path().join("cert.pem"), &issued.cert).unwrap();
        fs::write(folder.path().join("key.pem"), &issued.key).unwrap();
    };
    write(&authority.issue("the first"));
    let backend = App::backend().await;
    let top = format!(
        "server: {{ tls: {{ cert: {0}/cert.pem, key: {0}/key.pem }} }}",
        folder.path().display()
    );
    let yaml = App::yaml(&backend, &top, "");
    let gateway = crate::app::start(&yaml).await;
    let app = App { gateway, backend };
    assert!(contains(
        &served(&app.gateway, &authority).await,
        "the first"
    ));
    let (mut client, _) = connect(&app, &authority).await;

    // The files alone: the watcher sees them.
    write(&authority.issue("the second"));
    eventually("the second certificate", async || {
        contains(&served(&app.gateway, &authority).await, "the second").then_some(())
    })
    .await;
    echoes(&mut client, "still here").await;

    // A key that belongs to another certificate changes nothing.
    let third = authority.issue("the third");
    fs::write(folder.path().join("cert.pem"), &third.cert).unwrap();
    app.gateway.signal("HUP");
    eventually("the refusal", async || {
        let log = app.gateway.log();
        log.contains("does not belong to the certificate")
            .then_some(())
    })
    .await;
    assert!(contains(
        &served(&app.gateway, &authority).await,
        "the second"
    ));
    fs::write(folder.path().join("key.pem"), &third.key).unwrap();
    app.gateway.signal("HUP");
    eventually("the third certificate", async || {
        contains(&served(&app.gateway, &authority).await, "the third").then_some(())
    })
    .await;
    echoes(&mut client, "and here").await;

    // TLS may go and come with a reload as well.
    app.gateway.rewrite(&App::yaml(&app.backend, "", ""));
    eventually("no TLS any more", async || {
        let tcp = TcpStream::connect(app.gateway.public()).await.ok()?;
        let client = authority.client(rustls::ALL_VERSIONS, &[]);
        secure(&client, tcp).await.is_err().then_some(())
    })
    .await;
    echoes(&mut client, "even now").await;
}

#[tokio::test]
async fn tls_can_be_demanded() {
    let authority = Authority::new();
    let issued = authority.issue("wiregate");
    let yaml = server(&issued, "").replace("  tls:\n", "  tls:\n    required: true\n");
    let app = App::with_server(&yaml, "").await;
    let answer = app.gateway.handshake("/dev").refused().await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("TLS"), "{}", answer.text());
    let (mut client, id) = connect(&app, &authority).await;
    echoes(&mut client, "encrypted").await;
    // Backends reach the management listener as before.
    assert_eq!(app.gateway.push(&id, "pushed").await.status, 200);
    let path = format!("/dev/@connections/{id}");
    let answer = Request::post(app.gateway.public(), &path, "x").send().await;
    assert_eq!(answer.status, 400);
    let banner = app.gateway.output();
    assert!(!banner.contains(" ws://"), "{banner}");
}

#[test]
fn mistakes_in_certificate_and_key_are_named_and_never_shown() {
    let authority = Authority::new();
    let (mine, other) = (authority.issue("mine"), authority.issue("other"));
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let cert = file("cert.pem", &mine.cert);
    let key = file("key.pem", &mine.key);
    let cut = file("cut.pem", &mine.key[..mine.key.len() - 30]);
    let damaged = file("damaged.pem", &mine.key.replace("\nM", "\n!"));
    let other_key = file("other.pem", &other.key);
    let empty = file("empty.pem", "");
    let locked = file(
        "locked.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIC\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let strange = file(
        "strange.pem",
        "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n",
    );
    let bare: String = mine.key.lines().nth(1).unwrap().to_owned();
    let folder_path = folder.path().display().to_string();
    let mut table = Table::about("server.tls");
    for (name, cert, key, line, words) in [
        (
            "no such file",
            "nowhere.pem",
            key.as_str(),
            3,
            "cannot be read: No such file",
        ),
        ("a folder", &folder_path, &key, 3, "it is a folder"),
        ("an empty certificate", &empty, &key, 3, "no certificate"),
        ("swapped: cert", &key, &key, 3, "swapped"),
        ("swapped: key", &cert, &cert, 4, "swapped"),
        ("an empty key", &cert, &empty, 4, "no private key"),
        (
            "a key that is cut off",
            &cert,
            &cut,
            4,
            "no well-formed PEM",
        ),
        ("a damaged key", &cert, &damaged, 4, "no well-formed PEM"),
        ("another's key", &cert, &other_key, 4, "does not belong"),
        ("a locked key", &cert, &locked, 4, "password"),
        (
            "a key of no known kind",
            &cert,
            &strange,
            4,
            "not supported",
        ),
        (
            "a key without its first line",
            &cert,
            &bare,
            4,
            "cannot be read",
        ),
    ] {
        let exit = check(
            BINARY,
            &format!("server:\n  tls:\n    cert: {cert}\n    key: {key}\n"),
        );
        table.row(name, exit.code, Some(64));
        let at = format!("wiregate.yaml:{line}:");
        table.holds(
            name,
            exit.stderr.contains(&at) && exit.stderr.contains(words),
            &format!("{at} and '{words}' are not in: {}", exit.stderr),
        );
        table.holds(name, !exit.stderr.contains(&bare), "the key is shown");
    }
    let both = check(BINARY, "server:\n  tls: { cert: nowhere, key: neither }\n");
    table.row(
        "both at once",
        both.stderr.matches("cannot be read").count(),
        2,
    );
    let half = check(BINARY, &format!("server:\n  tls: {{ cert: {cert} }}\n"));
    table.holds(
        "half",
        half.stderr.contains("'key' is missing"),
        &half.stderr,
    );
    for yaml in [
        format!("server:\n  tls: {{ cert: {cert}, key: {key} }}\napis: {{ chat: {{}} }}\n"),
        server(&mine, "") + "apis: { chat: {} }\n",
    ] {
        let good = check(BINARY, &yaml);
        table.row("a good pair", good.code, Some(0));
        let said = format!("{}{}", good.stdout, good.stderr);
        table.holds("a good pair", !said.contains(&bare), "the key is shown");
    }
}

#[test]
fn a_relative_path_begins_beside_the_file() {
    let authority = Authority::new();
    let issued = authority.issue("beside");
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("both.pem"), issued.cert + &issued.key).unwrap();
    let config = folder.path().join("wiregate.yaml");
    fs::write(
        &config,
        "server: { tls: { cert: both.pem, key: both.pem } }\napis: { chat: {} }\n",
    )
    .unwrap();
    let output = std::process::Command::new(
        std::env::var("WIREGATE_BIN").unwrap_or_else(|_| BINARY.to_owned()),
    )
    .arg("check")
    .arg(&config)
    .current_dir("/")
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}
