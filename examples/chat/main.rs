//! The chat example: the backend of a chat that holds no sockets. Wiregate holds them and calls this program over HTTP;
//! what is to be said it posts back to Wiregate. It serves the chat's page too.
//!
//! `call` reads what the gateway says about a call, `room` decides, `push` posts, `routes` ties the three together.

mod call;
mod page;
mod push;
mod room;
mod routes;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const HELP: &str = "\
The backend and the page of the chat example.

chat [--listen ADDR] [--gateway URL]

  --listen ADDR   where to listen; port 0 takes a free one   [CHAT_LISTEN, 127.0.0.1:3000]
  --gateway URL   where the page connects to                 [CHAT_GATEWAY, ws://127.0.0.1:8080/dev]
";

/// How long calls that are under way may take after a signal to stop.
const LAST_CALLS: Duration = Duration::from_secs(5);

struct Settings {
    listen: String,
    gateway: page::Gateway,
}

impl Settings {
    /// From the flags, else the environment, else the defaults. `None`: only help was asked for.
    fn read(
        flags: impl IntoIterator<Item = String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        let mut listen = environment("CHAT_LISTEN").unwrap_or_else(|| "127.0.0.1:3000".to_owned());
        let mut gateway =
            environment("CHAT_GATEWAY").unwrap_or_else(|| "ws://127.0.0.1:8080/dev".to_owned());
        let mut flags = flags.into_iter();
        while let Some(flag) = flags.next() {
            let target = match flag.as_str() {
                "--listen" => &mut listen,
                "--gateway" => &mut gateway,
                "--help" | "-h" => return Ok(None),
                other => return Err(format!("{other:?} is not known; --help shows what is")),
            };
            *target = flags
                .next()
                .ok_or_else(|| format!("{flag} needs a value; --help shows which"))?;
        }
        Ok(Some(Self {
            listen,
            gateway: page::Gateway::parse(&gateway)?,
        }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = match Settings::read(env::args().skip(1), |name| env::var(name).ok()) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("chat: {why}");
            return ExitCode::from(64);
        }
    };
    match serve(&settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("chat: cannot serve on {}: {why}", settings.listen);
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: &Settings) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(&settings.listen).await?;
    println!("chat backend on http://{}", listener.local_addr()?);

    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    let app = page::router(&settings.gateway).merge(routes::router());
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = stopping.await;
    });
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        ended = &mut server => return ended?,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let _ = stop.send(());
    match tokio::time::timeout(LAST_CALLS, server).await {
        Ok(ended) => ended?,
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        flags: &[&str],
        environment: &[(&str, &str)],
        expected: Result<Option<(&str, &str)>, &str>,
    ) {
        let environment = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let found = Settings::read(flags.iter().map(|flag| (*flag).to_owned()), environment);
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                let expected = expected
                    .map(|(listen, url)| (listen.to_owned(), page::Gateway::parse(url).unwrap()));
                assert_eq!(
                    found.map(|settings| (settings.listen, settings.gateway)),
                    expected
                );
            }
            (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
            (found, expected) => panic!("{:?}, not {expected:?}", found.err()),
        }
    }

    #[test]
    fn settings_come_from_flags_environment_and_defaults() {
        check(
            &[],
            &[],
            Ok(Some(("127.0.0.1:3000", "ws://127.0.0.1:8080/dev"))),
        );
        check(
            &[],
            &[("CHAT_LISTEN", "[::1]:0")],
            Ok(Some(("[::1]:0", "ws://127.0.0.1:8080/dev"))),
        );
        check(
            &["--gateway", "wss://h/s", "--listen", "a:1"],
            &[("CHAT_LISTEN", "b:2"), ("CHAT_GATEWAY", "ws://x")],
            Ok(Some(("a:1", "wss://h/s"))),
        );
        check(&["--help"], &[], Ok(None));
        check(&["--port"], &[], Err("--port"));
        check(&["--listen"], &[], Err("needs a value"));
        check(
            &["--gateway", "http://x"],
            &[],
            Err("ws://127.0.0.1:8080/dev"),
        );
    }
}
