//! `wiregate outbox`: what lost nodes left untold.

use std::num::NonZeroUsize;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::json as value;

use super::client::{Client, Reply, Target};
use super::connections::USUAL_MAX;
use super::print::{escape, follow, json, more, rows};
use super::text::{Table, ago, cell};
use super::trouble::Trouble;

const PATH: &str = "/wiregate/outbox";
const DEAD: &str = "/wiregate/outbox/dead";

/// `$disconnect`s that lost nodes left untold; says how many wait where nothing else is said.
#[derive(Debug, Args)]
pub(super) struct Outbox {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How many wait, since when, and how many were given up.
    Status,
    /// List those that were given up, the oldest first.
    List {
        /// At most so many [default: 100].
        #[arg(long, value_name = "N")]
        max: Option<NonZeroUsize>,
    },
    /// Try again what was given up.
    Replay(Replay),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Replay {
    /// Of this connection.
    id: Option<String>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

impl Outbox {
    pub(super) fn run(&self) -> Result<String, Trouble> {
        let client = Client::new(&self.target)?;
        let as_json = self.target.json;
        match &self.command {
            None | Some(Command::Status) => {
                let reply = client.ask(&Method::GET, PATH)?;
                Ok(if as_json {
                    json(&reply.body)
                } else {
                    sheet(&reply)
                })
            }
            Some(Command::List { max }) => {
                let most = max.map_or(USUAL_MAX, NonZeroUsize::get);
                let reply = follow(&client, DEAD, &[], most)?;
                Ok(if as_json {
                    json(&reply.body)
                } else {
                    table(&reply)
                })
            }
            Some(Command::Replay(Replay { id: Some(id), .. })) if id.is_empty() => {
                let message = "the id is empty; wiregate outbox list lists ids";
                Err(Trouble::Usage(message.to_owned()))
            }
            Some(Command::Replay(Replay { id, .. })) => {
                let replayed = match id {
                    Some(id) => {
                        client.ask(&Method::POST, &format!("{DEAD}/{}/replay", escape(id)))?;
                        1
                    }
                    None => all(|| client.ask(&Method::POST, &format!("{DEAD}/replay")))?,
                };
                if as_json {
                    return Ok(json(&value!({ "replayed": replayed })));
                }
                Ok(format!("replayed {replayed}\n"))
            }
        }
    }
}

/// The gateway replays for some seconds and says how many are left: asked again until it is none, or as many as there were.
fn all(mut ask: impl FnMut() -> Result<Reply, Trouble>) -> Result<u64, Trouble> {
    let (mut replayed, mut there) = (0, None);
    loop {
        let reply = ask()?;
        let count = |name: &str| reply.body[name].as_u64().unwrap_or(0);
        let (done, left) = (count("replayed"), count("deadLetters"));
        replayed += done;
        // What dies again meanwhile is not raised for ever.
        let there = *there.get_or_insert(done + left);
        if done == 0 || left == 0 || replayed >= there {
            return Ok(replayed);
        }
    }
}

fn sheet(reply: &Reply) -> String {
    let body = &reply.body;
    let mut waiting = cell(&body["waiting"]);
    if !body["oldestSince"].is_null() {
        let oldest = ago(&body["oldestSince"], reply.now);
        waiting = format!("{waiting} (the oldest for {oldest})");
    }
    Table::of_facts(vec![
        ("waiting", waiting),
        ("dead letters", cell(&body["deadLetters"])),
    ])
    .render()
}

fn table(reply: &Reply) -> String {
    let mut table = Table::new(&[
        "CONNECTION",
        "API",
        "STAGE",
        "ENDED",
        "CODE",
        "TRIES",
        "GIVEN UP",
        "LAST ERROR",
    ]);
    for letter in rows(&reply.body) {
        table.row([
            cell(&letter["connectionId"]),
            cell(&letter["apiId"]),
            cell(&letter["stage"]),
            ago(&letter["endedAt"], reply.now),
            cell(&letter["disconnectStatusCode"]),
            cell(&letter["attempts"]),
            ago(&letter["givenUpAt"], reply.now),
            cell(&letter["lastError"]),
        ]);
    }
    table.render() + more(&reply.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_all(answers: &[(u64, u64)], expected: u64) {
        let mut answers = answers.iter();
        let ask = || {
            let (replayed, left) = answers.next().expect("asked too often");
            let body = value!({ "replayed": replayed, "deadLetters": left });
            Ok(Reply { body, now: 0 })
        };
        assert_eq!(all(ask).unwrap(), expected);
        assert_eq!(answers.next(), None, "asked too seldom");
    }

    #[test]
    fn all_are_replayed_but_not_for_ever() {
        check_all(&[(0, 0)], 0);
        check_all(&[(7, 0)], 7);
        check_all(&[(100, 150), (150, 0)], 250);
        // As fast as they are raised they die again.
        check_all(&[(100, 100), (100, 100)], 200);
        check_all(&[(0, 5)], 0);
    }

    #[test]
    fn what_waits_is_told_with_the_age_of_the_oldest() {
        let now = 1_700_000_192_000;
        let body =
            value!({"waiting": 3, "oldestSince": "2023-11-14T22:13:20.000Z", "deadLetters": 1});
        let told = sheet(&Reply { body, now });
        assert_eq!(
            told,
            "waiting       3 (the oldest for 3m12s)\ndead letters  1\n"
        );
        let body = value!({"waiting": 0, "oldestSince": null, "deadLetters": 0});
        let told = sheet(&Reply { body, now });
        assert_eq!(told, "waiting       0\ndead letters  0\n");
    }

    #[test]
    fn a_dead_letter_says_why_it_is_one() {
        let body = value!({"items": [{"connectionId": "AQ=", "apiId": "chat", "stage": "dev",
            "endedAt": "2023-11-14T22:13:20.000Z", "disconnectStatusCode": 1006, "attempts": 9,
            "givenUpAt": "2023-11-14T22:16:30.000Z", "lastError": "the backend answered 500"}]});
        let now = 1_700_000_192_000;
        assert_eq!(
            table(&Reply { body, now }),
            "CONNECTION  API   STAGE  ENDED  CODE  TRIES  GIVEN UP  LAST ERROR\n\
             AQ=         chat  dev    3m12s  1006  9      2s        the backend answered 500\n"
        );
    }
}
