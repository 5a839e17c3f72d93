//! Handshakes, messages, ends, and who is registered.

use std::collections::BTreeSet;

use super::index::{Index, Life};
use super::{Rule, Terms, Violation};

pub(super) fn check(index: &Index<'_>, terms: Terms, found: &mut Vec<Violation>) {
    let mut broken = |rule, how| found.push(Violation { rule, how });
    for (id, life) in &index.lives {
        if life.connects.len() > 1 {
            let how = format!("{id} at {:?}", life.connects);
            broken(Rule::AskedOnce, how);
        }
        end(index, id, life, terms, &mut broken);
        messages(index, id, life, terms, &mut broken);
    }
    repeated(index, terms, &mut broken);
    for (name, client) in &index.clients {
        if let Some(at) = client.opened {
            let accepted = |id: &&str| index.lives[*id].entered.is_some();
            let accepted: Vec<_> = client.ids.iter().filter(|id| accepted(id)).collect();
            if accepted.len() != 1 || client.ids.len() != 1 {
                let how = format!(
                    "{name} got a 101 at {at}; of {:?} these were accepted: {accepted:?}",
                    client.ids
                );
                broken(Rule::OpenedAsAccepted, how);
            }
        }
    }
    registry(index, &mut broken);
    for what in &index.panics {
        broken(Rule::NoPanic, (*what).to_owned());
    }
}

fn end(
    index: &Index<'_>,
    id: &str,
    life: &Life<'_>,
    terms: Terms,
    broken: &mut impl FnMut(Rule, String),
) {
    let connected = (index.client_of(life)).is_some_and(super::index::Client::is_connected);
    let taken = || life.disconnects.iter().filter(|told| told.taken);
    if connected
        && !terms.holds
        && let Some(told) = life.disconnects.first()
    {
        let how = format!("{id} of {}, told at {}", life.client, told.at);
        broken(Rule::NoEndWhileAlive, how);
    }
    let entered = life.entered.is_some();
    if entered && !connected && taken().next().is_none() && !index.forgotten.contains(id) {
        let told: Vec<_> = life.disconnects.iter().map(|told| told.at).collect();
        let how = format!(
            "{id} of {} at node {}, accepted at {:?}; told in vain at {told:?}",
            life.client, life.node, life.entered
        );
        broken(Rule::EndTold, how);
    }
    // Whoever buries a node cannot know how far its handshakes had come.
    let own = life.disconnects.iter().find(|told| !told.by_others);
    if !entered && let Some(told) = own {
        let how = format!("{id} of {}, told at {}", life.client, told.at);
        broken(Rule::NoEndOfRefused, how);
    }
    let (asked, told) = (life.connects.first(), life.disconnects.first());
    if let (Some(asked), Some(told)) = (asked, told)
        && *asked > told.at + terms.transit
    {
        let how = format!(
            "$connect of {id} at {asked}, the end was told at {}",
            told.at
        );
        broken(Rule::NothingAfterDisconnect, how);
    }
    let ids: BTreeSet<&str> = life.disconnects.iter().map(|told| told.event_id).collect();
    if ids.len() > 1 || terms.calm && taken().count() > 1 {
        let times: Vec<_> = life.disconnects.iter().map(|told| told.at).collect();
        let how = format!("{id} at {times:?}, as {ids:?}");
        broken(Rule::EndToldOnce, how);
    }
}

fn repeated(index: &Index<'_>, terms: Terms, broken: &mut impl FnMut(Rule, String)) {
    let taken = |life: &Life<'_>| life.disconnects.iter().filter(|told| told.taken).count();
    let ends = index.lives.values().filter(|life| taken(life) > 0).count();
    let again = index.lives.values().filter(|life| taken(life) > 1).count();
    // Of few ends one or two are a large share.
    if again > ends * terms.repeated / 1000 + 3 {
        broken(
            Rule::EndToldOnce,
            format!("{again} of {ends} were told again"),
        );
    }
}

fn messages(
    index: &Index<'_>,
    id: &str,
    life: &Life<'_>,
    terms: Terms,
    broken: &mut impl FnMut(Rule, String),
) {
    let sender = index.client_of(life);
    let ended = life.disconnects.first().map(|told| told.at);
    let (mut seen, mut before) = (BTreeSet::new(), None);
    for &(at, client, n) in &life.messages {
        let what = || format!("message {n} of {client} on {id} at {at}");
        if client != life.client {
            broken(Rule::ToItsOwn, what());
        }
        if !life
            .judged
            .is_some_and(|(judged, accepted)| accepted && judged <= at)
        {
            broken(Rule::NothingBeforeConnect, what());
        }
        if let Some(ended) = ended.filter(|ended| at > *ended && !terms.holds) {
            // One that was under way already may still arrive.
            let sent = sender.and_then(|sender| sender.sent.get(&n));
            let late = at > ended + terms.transit;
            if sent.is_none_or(|sent| *sent > ended) || late {
                let how = format!("{}, sent at {sent:?}, the end was told at {ended}", what());
                broken(Rule::NothingAfterDisconnect, how);
            }
        }
        if !seen.insert(n) {
            broken(Rule::SentOnce, what());
        }
        if before.is_some_and(|before| before > n) {
            broken(
                Rule::MessagesInOrder,
                format!("{}, after {before:?}", what()),
            );
        }
        before = Some(n);
    }
}

fn registry(index: &Index<'_>, broken: &mut impl FnMut(Rule, String)) {
    let Some(registered) = &index.registered else {
        return;
    };
    let connected: BTreeSet<&str> = (index.lives.iter())
        .filter(|(_, life)| life.entered.is_some())
        .filter(|(_, life)| (index.client_of(life)).is_some_and(super::index::Client::is_connected))
        .map(|(id, _)| *id)
        .collect();
    for id in registered.symmetric_difference(&connected) {
        let is = |set: &BTreeSet<&str>| if set.contains(id) { "is" } else { "is not" };
        let client = index.lives.get(id).map_or("nobody", |life| life.client);
        let how = format!(
            "{id} of {client} {} registered and {} connected",
            is(registered),
            is(&connected)
        );
        broken(Rule::RegistryAsConnected, how);
    }
}
