//! Pushes: what an answer promised, and where they arrived.

use std::collections::BTreeMap;

use super::index::{Client, Index, Life, Posts};
use super::{Push, Rule, Terms, Violation};

/// A node that is killed may take so much with it, in milliseconds: what it had answered and not yet written.
const LOST_WITH_NODE: u64 = 100;

pub(super) fn check(index: &Index<'_>, terms: Terms, found: &mut Vec<Violation>) {
    let mut broken = |rule, how| found.push(Violation { rule, how });
    for (push, posts) in &index.pushes {
        let Some(life) = index.lives.get(push.to.as_str()) else {
            continue;
        };
        let Some(client) = index.client_of(life) else {
            continue;
        };
        for &(at, status) in &posts.answered {
            let what = || format!("{push:?} of {} answered at {at}", life.client);
            match status {
                200 if !is_excused(index, life, client, at, terms)
                    && !client.read.iter().any(|(_, read)| read == push) =>
                {
                    broken(Rule::AckedIsRead, what());
                }
                410 => {
                    if let Some(sign) = sign_of_life(index, life, client, at) {
                        broken(Rule::GoneIsGone, format!("{}, but {sign}", what()));
                    }
                }
                _ => {}
            }
        }
    }
    for (name, client) in &index.clients {
        read(index, name, client, &mut broken);
    }
}

/// Whether a push that was answered at that time need not have been read.
fn is_excused(
    index: &Index<'_>,
    life: &Life<'_>,
    client: &Client<'_>,
    at: u64,
    terms: Terms,
) -> bool {
    let killed = index.killed.get(life.node);
    // A push that waits for a handshake ends with it.
    client.opened.is_none()
        || killed.is_some_and(|killed| *killed < at + LOST_WITH_NODE)
        || client
            .vanished
            .is_some_and(|gone| gone <= at + terms.transit)
        || client.cut.is_some_and(|cut| cut <= at + terms.transit)
        || index.last <= at + terms.transit
}

/// What shows that a connection went on after it had been called gone.
fn sign_of_life(
    index: &Index<'_>,
    life: &Life<'_>,
    client: &Client<'_>,
    at: u64,
) -> Option<String> {
    if client.is_connected() {
        return Some("it is still connected".to_owned());
    }
    let later = |n: &u64| client.sent.get(n).is_some_and(|sent| *sent > at);
    let message = life.messages.iter().find(|(_, _, n)| later(n));
    if let Some((arrived, _, n)) = message {
        return Some(format!("message {n}, sent later, arrived at {arrived}"));
    }
    let posted = |push: &Push| {
        let posts: Option<&Posts> = index.pushes.get(push);
        posts.and_then(|posts| posts.posted.first())
    };
    let read = client
        .read
        .iter()
        .find(|(_, push)| posted(push).is_some_and(|posted| *posted > at));
    read.map(|(arrived, push)| format!("{push:?}, posted later, was read at {arrived}"))
}

fn read(index: &Index<'_>, name: &str, client: &Client<'_>, broken: &mut impl FnMut(Rule, String)) {
    let mut by_pusher: BTreeMap<&str, Vec<(u64, &Push)>> = BTreeMap::new();
    for &(at, push) in &client.read {
        if index
            .lives
            .get(push.to.as_str())
            .is_none_or(|life| life.client != name)
        {
            broken(Rule::ToItsOwn, format!("{push:?}, read by {name} at {at}"));
        }
        by_pusher.entry(&push.pusher).or_default().push((at, push));
    }
    for reads in by_pusher.values() {
        for (place, (at, push)) in reads.iter().enumerate() {
            if reads[..place].iter().any(|(_, before)| before.n == push.n) {
                broken(
                    Rule::PushedOnce,
                    format!("{push:?}, read by {name} at {at}"),
                );
            }
            let overtaken = reads[..place]
                .iter()
                .find(|(_, before)| before.n > push.n && came_first(index, push, before));
            if let Some((earlier, before)) = overtaken {
                let how = format!("{name} read {before:?} at {earlier} and {push:?} at {at}");
                broken(Rule::PushesInOrder, how);
            }
        }
    }
}

/// Whether every post of one push was answered before the other was posted.
fn came_first(index: &Index<'_>, one: &Push, other: &Push) -> bool {
    let (Some(one), Some(other)) = (index.pushes.get(one), index.pushes.get(other)) else {
        return false;
    };
    let answered = one.answered.iter().map(|(at, _)| *at).max();
    let posted = other.posted.first();
    one.posted.len() == one.answered.len()
        && answered
            .zip(posted)
            .is_some_and(|(answered, posted)| answered <= *posted)
}
