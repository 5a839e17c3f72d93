//! By the commands that use it.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use harness::{Authority, Exit, Gateway, GatewayCommand, Table};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{NOBODY, OF_AWS, connect, ids};
use crate::app::{App, BINARY, only_the_echo_comes_back};

/// Runs a command to its end, away from the variables of whoever runs the tests.
async fn run(args: &[&str], variables: &[(&str, &str)]) -> Exit {
    let binary = std::env::var("WIREGATE_BIN").unwrap_or_else(|_| BINARY.to_owned());
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WIREGATE_")) {
        command.env_remove(name);
    }
    command.args(args).envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().expect("the binary runs");
    Exit {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a command that asks this gateway.
pub(super) async fn ask(gateway: &Gateway, args: &[&str]) -> Exit {
    let url = format!("http://{}", gateway.management());
    run(args, &[("WIREGATE_URL", &url)]).await
}

#[tokio::test]
async fn commands_list_show_and_close() {
    let app = App::start().await;
    let (mut clients, all) = connect(&app, 12).await;
    let exit = ask(&app.gateway, &["connections"]).await;
    assert_eq!((exit.code, exit.stderr.as_str()), (Some(0), ""), "{exit:?}");
    let lines: Vec<&str> = exit.stdout.lines().collect();
    let head = lines[0].split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(head, "CONNECTION API STAGE NODE AGE SOURCE USER AGENT");
    let column = lines[0].find("API").unwrap();
    for (line, id) in lines[1..].iter().zip(&all) {
        assert!(line.starts_with(id), "{line}");
        assert_eq!(&line[column..column + 4], "chat", "{}", exit.stdout);
    }
    assert_eq!(lines.len(), 13, "{}", exit.stdout);

    let exit = ask(
        &app.gateway,
        &["connections", "list", "--api", "chat", "--max", "5"],
    )
    .await;
    assert_eq!(exit.stdout.lines().count(), 7, "{}", exit.stdout);
    assert!(
        exit.stdout
            .ends_with("There are more; --max shows more of them.\n")
    );
    let exit = ask(&app.gateway, &["connections", "--json", "--max", "5"]).await;
    let list: Value = serde_json::from_str(&exit.stdout).unwrap();
    assert_eq!(ids(&list), all[..5]);
    assert_eq!(list["nextToken"], all[4]);
    let exit = ask(&app.gateway, &["connections", "list", "--stage", "prod"]).await;
    assert_eq!((exit.code, exit.stdout.lines().count()), (Some(0), 1));

    let (mut client, id) = app.connect().await;
    let exit = ask(&app.gateway, &["connections", "show", &id]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(
        exit.stdout.starts_with(&format!("connection   {id}\n")),
        "{exit:?}"
    );
    assert!(exit.stdout.contains("\nsocket       open\n"), "{exit:?}");
    let args = [
        "connections",
        "close",
        &id,
        "--code",
        "4002",
        "--reason",
        "a=b & c",
    ];
    let exit = ask(&app.gateway, &args).await;
    assert_eq!(
        (exit.code, exit.stdout),
        (Some(0), format!("closing {id}\n"))
    );
    let closed = client.closed().await;
    assert_eq!(closed, (4002, "a=b & c"));
    only_the_echo_comes_back(&mut clients[0], "only that one is closed").await;

    let exit = ask(&app.gateway, &["nodes"]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(exit.stdout.starts_with("NODE"), "{exit:?}");
    assert_eq!(exit.stdout.lines().count(), 2, "{exit:?}");
    assert!(exit.stdout.contains("*  live"), "{exit:?}");
}

#[tokio::test]
async fn a_command_that_cannot_be_done_says_why_in_one_line_and_by_its_exit_code() {
    let app = App::start().await;
    let url = format!("http://{}", app.gateway.management());
    let public = format!("http://{}", app.gateway.public());
    let nobody = "http://127.0.0.1:1";
    let mut table = Table::about("troubles of commands");
    for (args, code, said) in [
        (
            vec!["connections", "show", NOBODY, "--url", &url],
            1,
            "The connection is gone",
        ),
        (
            vec!["connections", "close", NOBODY, "--url", &url],
            1,
            "The connection is gone",
        ),
        (
            vec!["connections", "show", OF_AWS, "--url", &url],
            1,
            "is no id of this gateway's",
        ),
        (
            vec!["connections", "show", "x", "--url", &url],
            64,
            "Invalid connectionId: x",
        ),
        (
            vec!["connections", "show", "../nodes", "--url", &url],
            64,
            "Invalid connectionId: ../nodes",
        ),
        (
            vec!["connections", "close", NOBODY, "--code", "5", "--url", &url],
            64,
            "code=5: use 1000",
        ),
        (
            vec!["connections", "--node", "x", "--url", &url],
            64,
            "12 lower-case hexadecimal digits",
        ),
        (
            vec!["connections", "--api", "chat", "show", NOBODY],
            64,
            "stands behind the word list",
        ),
        (vec!["outbox", "--url", &url], 1, "There is no outbox"),
        (
            vec!["outbox", "list", "--url", &url],
            1,
            "There is no outbox",
        ),
        (
            vec!["outbox", "replay", "--all", "--url", &url],
            1,
            "There is no outbox",
        ),
        (
            vec!["outbox", "replay", NOBODY, "--url", &url],
            1,
            "There is no outbox",
        ),
        (
            vec!["nodes", "--url", nobody],
            69,
            "cannot connect to http://127.0.0.1:1: ",
        ),
        (
            vec!["nodes", "--url", "127.0.0.1:8081"],
            64,
            "does not begin with http:// or https://",
        ),
        (
            vec!["nodes", "--url", &url, "--token", "wrong"],
            77,
            "the token is none of its server.tokens",
        ),
        (
            vec!["nodes", "--url", &url, "--token-file", "/nowhere"],
            64,
            "--token-file /nowhere: No such file",
        ),
        (
            vec!["nodes", "--url", &url.replace("http:", "https:")],
            69,
            "cannot connect to https://",
        ),
    ] {
        let name = args.join(" ");
        let exit = run(&args, &[]).await;
        table.row(&name, exit.code, Some(code));
        table.row(&name, exit.stdout.as_str(), "");
        table.holds(&name, exit.stderr.contains(said), &exit.stderr);
        let one_line = exit.stderr.starts_with("wiregate: ") && exit.stderr.lines().count() == 1;
        table.holds(&name, one_line, &exit.stderr);
    }
    let exit = run(&["nodes", "--url", &public], &[]).await;
    table.holds("the clients' listener", exit.code != Some(0), &exit.stderr);
    table.row("the clients' listener", exit.stderr.lines().count(), 1);
}

#[tokio::test]
async fn beyond_loopback_commands_need_a_token() {
    let yaml = "server: { tokens: [opensesame] }\napis: { chat: { routes: {} } }";
    let gateway = GatewayCommand::new(BINARY, yaml)
        .management_listen("0.0.0.0:0")
        .start()
        .await;
    let file = gateway.directory().join("token");
    std::fs::write(&file, "opensesame\n").unwrap();
    let file = file.to_str().unwrap();
    let mut table = Table::about("tokens of commands");
    for (args, token, code, said) in [
        (
            vec![],
            "",
            77,
            "it asks for a token: --token-file, --token or WIREGATE_TOKEN",
        ),
        (
            vec!["--token", "wrong"],
            "",
            77,
            "the token is none of its server.tokens",
        ),
        (vec!["--token", "opensesame"], "", 0, ""),
        (vec!["--token-file", file], "", 0, ""),
        (vec!["--token-file", file], "wrong", 0, ""),
        (vec![], "opensesame", 0, ""),
    ] {
        let name = format!("{args:?} {token}");
        let url = format!("http://{}", gateway.management());
        let variables = [("WIREGATE_URL", url.as_str()), ("WIREGATE_TOKEN", token)];
        let exit = run(&[vec!["nodes"], args].concat(), &variables).await;
        table.row(&name, exit.code, Some(code));
        table.holds(&name, exit.stderr.contains(said), &exit.stderr);
        let shown = format!("{}{}", exit.stdout, exit.stderr);
        table.holds(&name, !shown.contains("opensesame"), &shown);
    }
}

/// In front of the management listener, which speaks plain HTTP only, stands a proxy that speaks TLS.
#[tokio::test]
async fn commands_speak_tls_with_whom_the_system_trusts() {
    let app = App::start().await;
    let authority = Authority::new();
    let proxy = tls_proxy(&authority, app.gateway.management()).await;
    let trusted = app.gateway.directory().join("authority.pem");
    std::fs::write(&trusted, authority.pem()).unwrap();
    let url = format!("https://localhost:{}", proxy.port());
    let args = ["nodes", "--url", &url];
    let exit = run(&args, &[("SSL_CERT_FILE", trusted.to_str().unwrap())]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(exit.stdout.contains("*  live"), "{exit:?}");
    let stranger = app.gateway.directory().join("stranger.pem");
    std::fs::write(&stranger, Authority::new().pem()).unwrap();
    let exit = run(&args, &[("SSL_CERT_FILE", stranger.to_str().unwrap())]).await;
    assert_eq!(exit.code, Some(69), "{exit:?}");
    assert!(exit.stderr.contains("certificate"), "{exit:?}");
}

async fn tls_proxy(authority: &Authority, to: SocketAddr) -> SocketAddr {
    let issued = authority.issue("proxy");
    let cert = CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(socket).await else {
                    return;
                };
                let mut far = tokio::net::TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_command_does_not_trust_whoever_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let page = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>";
            let _ = socket.write_all(page.as_bytes()).await;
        }
    });
    let exit = run(&["nodes", "--url", &format!("http://{address}")], &[]).await;
    assert_eq!(exit.code, Some(69), "{exit:?}");
    let said = "but not as a management listener of Wiregate does";
    assert!(exit.stderr.contains(said), "{exit:?}");
}
