//! Whoever pushes: to anybody, at any node, some of them again and again until they are answered.

use std::sync::Arc;
use std::time::Duration;

use harness::ledger::{Event, Push};

use crate::dice::Dice;
use crate::letters;
use crate::world::{NODES, World};

pub(crate) const PORT: u16 = 8001;
/// How long a pusher waits for an answer.
const LIMIT: Duration = Duration::from_secs(3);
const PUSHERS: usize = 6;

/// A POST to `@connections`.
pub(crate) struct Post {
    pub(crate) push: Push,
    /// What makes another post the same push.
    pub(crate) name: Option<String>,
}

/// What the client reads.
pub(crate) fn text(push: &Push) -> String {
    format!("push {} {} {}", push.pusher, push.n, push.to)
}

/// What [`text`] wrote.
pub(crate) fn read(text: &str) -> Option<Push> {
    let mut words = text.strip_prefix("push ")?.split(' ');
    Some(Push {
        pusher: words.next()?.to_owned(),
        n: words.next()?.parse().ok()?,
        to: words.next()?.to_owned(),
    })
}

/// The pushers' machine.
pub(crate) async fn host(world: Arc<World>) -> turmoil::Result {
    for number in 0..PUSHERS {
        tokio::spawn(push(Arc::clone(&world), format!("p{number}")));
    }
    std::future::pending().await
}

async fn push(world: Arc<World>, pusher: String) {
    let mut dice = Dice::new(world.seed, &pusher);
    for n in 0.. {
        let pause = if world.is_quiet() { 1_000 } else { 250 };
        tokio::time::sleep(dice.millis(0, pause)).await;
        let to = {
            let shared = world.lock();
            // Mostly of those who came last: they are connected, or are about to be.
            let recent = shared.known.len().saturating_sub(20);
            let from = if dice.permille(800) { recent } else { 0 };
            let known = &shared.known[from..];
            if known.is_empty() {
                continue;
            }
            dice.pick(known).clone()
        };
        let push = Push {
            pusher: pusher.clone(),
            n,
            to,
        };
        let named = dice.permille(500);
        for _ in 0..if named { 4 } else { 1 } {
            let post = Post {
                push: push.clone(),
                name: named.then(|| format!("{pusher}-{n}")),
            };
            let push = push.clone();
            world.write(Event::Posted { push: push.clone() });
            let place = *dice.pick(&NODES);
            let answered = letters::ask::<Post, u16>(place, PORT, post, LIMIT).await;
            if let Ok(status) = answered {
                world.write(Event::Answered { push, status });
                if status < 500 {
                    break;
                }
            }
            tokio::time::sleep(dice.millis(100, 500)).await;
        }
    }
}
