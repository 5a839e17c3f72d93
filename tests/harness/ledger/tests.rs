//! Each rule can be broken, and none is where nothing is wrong.

use super::*;

const CALM: Terms = Terms {
    calm: true,
    transit: 100,
    repeated: 100,
    holds: false,
};
const ROUGH: Terms = Terms {
    calm: false,
    ..CALM
};

type Line = (u64, Event);

fn push_of(n: u64, to: &str) -> Push {
    let (pusher, to) = ("p".to_owned(), to.to_owned());
    Push { pusher, n, to }
}

fn told(event_id: &str, by_others: bool) -> Event {
    Event::Disconnect {
        id: "X".to_owned(),
        event_id: event_id.to_owned(),
        taken: true,
        by_others,
    }
}

fn message(client: &str, n: u64) -> Event {
    let (id, client) = ("X".to_owned(), client.to_owned());
    Event::Message { id, client, n }
}

fn sent(n: u64) -> Event {
    let client = "c".to_owned();
    Event::Sent { client, n }
}

fn read(n: u64, to: &str) -> Event {
    let (client, push) = ("c".to_owned(), push_of(n, to));
    Event::Read { client, push }
}

fn posted(n: u64) -> Event {
    let push = push_of(n, "X");
    Event::Posted { push }
}

fn answered(n: u64, status: u16) -> Event {
    let push = push_of(n, "X");
    Event::Answered { push, status }
}

fn registered(ids: &[&str]) -> Event {
    let ids = ids.iter().map(ToString::to_string).collect();
    Event::Registered { ids }
}

fn vanished() -> Event {
    let client = "c".to_owned();
    Event::Vanished { client }
}

fn killed(unknown: &[&str]) -> Event {
    let unknown = unknown.iter().map(ToString::to_string).collect();
    let node = "n".to_owned();
    Event::Killed { node, unknown }
}

/// The client `c` connects as `X`, sends a message, reads two pushes and ends. `but` changes that.
#[track_caller]
fn check(terms: Terms, but: impl FnOnce(&mut Vec<Line>), expected: &[Rule]) {
    let (client, id) = ("c".to_owned(), "X".to_owned());
    let connect = Event::Connect {
        client: client.clone(),
        id: id.clone(),
        node: "n".to_owned(),
    };
    let judged = Event::Judged {
        id: id.clone(),
        accepted: true,
    };
    let mut lines = vec![
        (10, connect),
        (20, judged),
        (25, Event::Entered { id }),
        (
            30,
            Event::Opened {
                client: client.clone(),
            },
        ),
        (40, sent(1)),
        (50, message("c", 1)),
        (60, posted(1)),
        (65, read(1, "X")),
        (70, answered(1, 200)),
        (75, posted(2)),
        (78, read(2, "X")),
        (79, answered(2, 200)),
        (
            300,
            Event::Closing {
                client: client.clone(),
            },
        ),
        (310, Event::Over { client }),
        (320, told("e", false)),
        (900, registered(&[])),
    ];
    but(&mut lines);
    let entries: Vec<Entry> = lines
        .into_iter()
        .map(|(at, event)| Entry { at, event })
        .collect();
    let found = super::check(&entries, terms);
    let rules: Vec<Rule> = found.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, expected, "{found:#?}");
}

/// Adds lines.
fn with(more: &[Line]) -> impl FnOnce(&mut Vec<Line>) + use<> {
    let more = more.to_vec();
    move |lines| lines.extend(more)
}

/// Takes out what is like one of these, and adds lines.
fn without(like: &[Event], more: &[Line]) -> impl FnOnce(&mut Vec<Line>) + use<> {
    let (like, more) = (like.to_vec(), more.to_vec());
    move |lines| {
        let kind = |event: &Event| std::mem::discriminant(event);
        lines.retain(|(_, event)| !like.iter().any(|one| kind(one) == kind(event)));
        lines.extend(more);
    }
}

/// What stands in the ledger of a client that is still there.
fn ends() -> [Event; 4] {
    let (over, closing) = ("c".to_owned(), "c".to_owned());
    [
        Event::Over { client: over },
        Event::Closing { client: closing },
        told("e", false),
        registered(&[]),
    ]
}

#[test]
fn nothing_is_wrong_where_nothing_is() {
    check(CALM, |_| {}, &[]);
    check(CALM, without(&ends(), &[(900, registered(&["X"]))]), &[]);
}

#[test]
fn a_handshake_is_asked_about_once_and_its_answer_counts() {
    let again = |lines: &mut Vec<Line>| lines.push((12, lines[0].1.clone()));
    check(CALM, again, &[Rule::AskedOnce, Rule::OpenedAsAccepted]);
    let entered = Event::Entered { id: "X".to_owned() };
    let rules = [Rule::NoEndOfRefused, Rule::OpenedAsAccepted];
    check(CALM, without(&[entered], &[]), &rules);
}

#[test]
fn each_end_is_told_and_only_ends() {
    let end = [told("e", false)];
    check(ROUGH, without(&end, &[]), &[Rule::EndTold]);
    check(
        ROUGH,
        without(&end, &[(400, killed(&[]))]),
        &[Rule::EndTold],
    );
    // Nobody was left who could know.
    check(ROUGH, without(&end, &[(400, killed(&["X"]))]), &[]);
    let ids = vec!["X".to_owned()];
    check(
        ROUGH,
        without(&end, &[(400, Event::Forgotten { ids })]),
        &[],
    );
    let alive = without(
        &ends(),
        &[(320, told("e", true)), (900, registered(&["X"]))],
    );
    check(ROUGH, alive, &[Rule::NoEndWhileAlive]);
}

#[test]
fn an_end_is_told_again_only_in_trouble_and_as_the_same() {
    let again = with(&[(330, told("e", true))]);
    check(CALM, again, &[Rule::EndToldOnce]);
    check(ROUGH, with(&[(330, told("e", true))]), &[]);
    let other = with(&[(330, told("f", true))]);
    check(ROUGH, other, &[Rule::EndToldOnce]);
    let many = |lines: &mut Vec<Line>| {
        for n in 0..5 {
            let id = format!("Y{n}");
            for at in [1, 2] {
                lines.push((
                    at,
                    Event::Disconnect {
                        id: id.clone(),
                        event_id: "e".to_owned(),
                        taken: true,
                        by_others: true,
                    },
                ));
            }
        }
    };
    check(ROUGH, many, &[Rule::EndToldOnce]);
}

#[test]
fn messages_come_between_handshake_and_end() {
    let before = |lines: &mut Vec<Line>| lines[5].0 = 15;
    check(CALM, before, &[Rule::NothingBeforeConnect]);
    // Sent before the end, and on its way.
    check(CALM, with(&[(310, sent(2)), (350, message("c", 2))]), &[]);
    let late = with(&[(310, sent(2)), (450, message("c", 2))]);
    check(CALM, late, &[Rule::NothingAfterDisconnect]);
    let after = with(&[(330, sent(2)), (350, message("c", 2))]);
    check(CALM, after, &[Rule::NothingAfterDisconnect]);
}

#[test]
fn a_handshake_is_not_asked_about_after_its_end() {
    let early = |lines: &mut Vec<Line>| {
        lines.truncate(2);
        for line in lines {
            line.0 += 200;
        }
    };
    let rule = [Rule::NothingAfterDisconnect];
    check(
        ROUGH,
        |lines| {
            early(lines);
            lines.push((5, told("e", true)));
        },
        &rule,
    );
}

#[test]
fn messages_come_once_in_order_and_from_their_own_client() {
    check(CALM, with(&[(55, message("c", 1))]), &[Rule::SentOnce]);
    let swapped = with(&[(41, sent(2)), (45, message("c", 2))]);
    check(CALM, swapped, &[Rule::MessagesInOrder]);
    check(CALM, with(&[(55, message("d", 2))]), &[Rule::ToItsOwn]);
}

#[test]
fn what_was_answered_200_is_read_by_who_reads() {
    let acked = || with(&[(100, posted(3)), (110, answered(3, 200))]);
    check(CALM, acked(), &[Rule::AckedIsRead]);
    let but =
        |event: Event, at: u64| with(&[(100, posted(3)), (110, answered(3, 200)), (at, event)]);
    check(ROUGH, but(vanished(), 150), &[]);
    check(ROUGH, but(killed(&[]), 150), &[]);
    let late = Rule::AckedIsRead;
    check(ROUGH, but(vanished(), 290), &[late]);
    check(ROUGH, but(killed(&[]), 290), &[late]);
    let client = "c".to_owned();
    check(ROUGH, but(Event::Cut { client }, 90), &[]);
}

#[test]
fn what_was_called_gone_shows_no_life() {
    let gone = [(100, posted(3)), (110, answered(3, 410))];
    check(CALM, with(&gone), &[]);
    let rule = [Rule::GoneIsGone];
    let spoke = [
        gone[0].clone(),
        gone[1].clone(),
        (120, sent(2)),
        (130, message("c", 2)),
    ];
    check(CALM, with(&spoke), &rule);
    let heard = [
        gone[0].clone(),
        gone[1].clone(),
        (120, posted(4)),
        (130, read(4, "X")),
    ];
    check(CALM, with(&heard), &rule);
    let stays = [gone[0].clone(), gone[1].clone(), (900, registered(&["X"]))];
    check(CALM, without(&ends(), &stays), &rule);
}

#[test]
fn pushes_come_once_in_order_and_to_their_own_client() {
    check(CALM, with(&[(66, read(1, "X"))]), &[Rule::PushedOnce]);
    check(CALM, with(&[(66, read(3, "Y"))]), &[Rule::ToItsOwn]);
    let swapped = |lines: &mut Vec<Line>| lines[7].0 = 90;
    check(CALM, swapped, &[Rule::PushesInOrder]);
    // Who did not wait for the answer did not ask for an order.
    let impatient = |lines: &mut Vec<Line>| {
        lines[7].0 = 90;
        lines[8].0 = 95;
    };
    check(CALM, impatient, &[]);
}

#[test]
fn the_registry_says_who_is_connected() {
    let rule = [Rule::RegistryAsConnected];
    check(
        CALM,
        without(&[registered(&[])], &[(900, registered(&["X"]))]),
        &rule,
    );
    check(CALM, without(&ends(), &[(900, registered(&[]))]), &rule);
}

#[test]
fn a_panic_is_always_wrong() {
    let what = "there".to_owned();
    check(
        ROUGH,
        with(&[(1, Event::Panicked { what })]),
        &[Rule::NoPanic],
    );
}
