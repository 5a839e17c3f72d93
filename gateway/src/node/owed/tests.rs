//! What waits, in which order, and who gives way.

use gateway_core::address::Directory;
use gateway_core::call::Connection;
use gateway_core::id::{ConnectionId, NodeId};
use gateway_core::live;
use gateway_core::resource::{Api, Preset, Stage};
use gateway_core::session::CloseCause;

use super::*;
use crate::node::{Deployed, Drain, Stages};
use crate::observe::{AccessLog, Observe};

/// Slots of an API without routes, by the names of its stages.
fn slots<const N: usize>(names: [&str; N]) -> [Arc<StageSlot>; N] {
    let observe = Observe::new(AccessLog::Off);
    let api = Api::new("chat", Preset::Open);
    let deploy = |name: &str| {
        let stage = Stage {
            stage_name: name.to_owned(),
            ..Stage::default()
        };
        Deployed::new(
            live::compile(&api, &stage).unwrap(),
            String::new(),
            &observe.metrics,
        )
    };
    let stages = Stages::default();
    stages.replace(Directory::default(), names.map(deploy).into());
    let served = stages.load();
    names.map(|name| Arc::clone(served.slot(&"chat".into(), &name.into()).unwrap()))
}

fn end(number: u8) -> End {
    End {
        connection: Arc::new(Connection {
            id: ConnectionId::new(NodeId([0; 6]), [number; 16]),
            api_id: "chat".into(),
            stage: "dev".into(),
            connected_at: 0,
            source_ip: [127, 0, 0, 1].into(),
            user_agent: None,
            domain_name: "localhost".into(),
            authorizer: None,
        }),
        cause: CloseCause::Lost,
        ended_at: 0,
        guard: Arc::new(Drain::default()).begin(),
    }
}

fn number(end: &End) -> u8 {
    (0..=u8::MAX)
        .find(|number| end.connection.id == ConnectionId::new(NodeId([0; 6]), [*number; 16]))
        .unwrap()
}

#[track_caller]
fn tell(owed: &Owed, slot: &Arc<StageSlot>) -> Attempt {
    match owed.next(slot) {
        Next::Tell(attempt) => attempt,
        other => panic!("{other:?}"),
    }
}

const FAILURE: Failure = Failure::IntegrationTimeout;

#[test]
fn an_end_is_as_small_as_its_comment_says() {
    assert_eq!(size_of::<End>(), 64);
}

#[tokio::test(start_paused = true)]
async fn ends_are_told_in_their_order_and_one_that_failed_waits_behind_the_others() {
    let owed = Owed::new(10);
    let [slot] = slots(["dev"]);
    for n in 1..=3 {
        assert!(owed.add(&slot, end(n)).is_none());
    }
    let first = tell(&owed, &slot);
    assert_eq!(number(&first.end), 1);
    owed.failed(&slot, first, &FAILURE);
    // Its backend fails: nobody is told before the pause is over, and one caller sleeps for all.
    let Next::Sleep(until) = owed.next(&slot) else {
        panic!("told at once");
    };
    assert!(matches!(owed.next(&slot), Next::Nothing));
    tokio::time::sleep_until(env::instant_at(until)).await;
    owed.awake(&slot);
    let probe = tell(&owed, &slot);
    assert_eq!(number(&probe.end), 2);
    assert!(matches!(owed.next(&slot), Next::Sleep(_)), "one probe");
    owed.told(&slot, probe);
    let rest = [tell(&owed, &slot), tell(&owed, &slot)];
    assert_eq!(rest.map(|attempt| number(&attempt.end)), [3, 1]);
    assert!(matches!(owed.next(&slot), Next::Nothing));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_longest_gives_way_in_whichever_stage() {
    let owed = Owed::new(3);
    let [one, other] = slots(["one", "other"]);
    let later = async || tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    for (slot, n) in [(&other, 1), (&one, 2), (&other, 3)] {
        assert!(owed.add(slot, end(n)).is_none());
        later().await;
    }
    let lost = [4, 5, 6].map(|n| owed.add(&one, end(n)).map(|end| number(&end)));
    assert_eq!(lost, [Some(1), Some(2), Some(3)]);
    later().await;
    // One that was tried is not the one that waits longest any more.
    let tried = tell(&owed, &one);
    assert!(owed.add(&other, end(7)).is_none());
    let lost = owed.failed(&one, tried, &FAILURE);
    assert_eq!(lost.map(|end| number(&end)), Some(5));
    assert_eq!(owed.lock().waiting, 3);
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_is_gone_is_forgotten_once_it_owes_nothing() {
    let owed = Owed::new(10);
    let [gone, stays, new] = slots(["gone", "stays", "new"]);
    for slot in [&gone, &stays] {
        owed.add(slot, end(1));
    }
    let attempt = tell(&owed, &gone);
    owed.told(&gone, attempt);
    drop(gone);
    owed.add(&new, end(2));
    assert_eq!(owed.lock().by_stage.len(), 2);
}

/// What the log hears of a line whose backend fails and answers at these seconds.
#[track_caller]
fn check_notes(events: &[(u64, bool)], expected: &[&str]) {
    let [slot] = slots(["dev"]);
    let mut lines = Lines::default();
    let line = lines.line(&slot);
    let mut said = Vec::new();
    for (second, answers) in events {
        let now = second * 1000;
        let round = line.pace.start(now, 1.0);
        let note = if *answers {
            line.succeeded(round, now)
        } else {
            line.failed(round, now, 1.0)
        };
        said.extend(note.map(|note| match note {
            Note::Failing { millis, .. } => format!("{second}: fails for {} s", millis / 1000),
            Note::Recovered { millis, .. } => format!("{second}: failed for {} s", millis / 1000),
            other => format!("{second}: {other:?}"),
        }));
    }
    assert_eq!(said, expected);
}

#[test]
fn the_log_hears_of_a_trouble_at_most_every_half_minute() {
    check_notes(&[(1, true), (2, true)], &[]);
    check_notes(
        &[
            (1, false),
            (2, false),
            (20, false),
            (31, false),
            (40, false),
            (50, true),
        ],
        &[
            "1: fails for 0 s",
            "31: fails for 30 s",
            "50: failed for 49 s",
        ],
    );
    // A backend that fails now and then.
    check_notes(
        &[
            (1, false),
            (2, true),
            (3, false),
            (4, true),
            (5, false),
            (31, false),
            (32, true),
        ],
        &[
            "1: fails for 0 s",
            "2: failed for 1 s",
            "31: fails for 26 s",
            "32: failed for 27 s",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn the_log_hears_at_once_that_ends_are_given_up_and_then_how_many() {
    let [slot] = slots(["dev"]);
    let mut lines = Lines::default();
    let mut said = Vec::new();
    for n in 0..70 {
        lines.line(&slot).waiting.add(end(1), n);
        lines.waiting += 1;
        let (lost, note) = lines.shorten(1, n * 1000);
        assert_eq!(lost.is_some(), n > 0);
        said.extend(note.map(|note| (n, note)));
    }
    let given_up = |count| Note::GivenUp { count };
    assert_eq!(
        said,
        [(1, given_up(1)), (31, given_up(30)), (61, given_up(30))]
    );
    assert_eq!(lines.say_given_up(), Some(given_up(8)));
    assert_eq!(lines.say_given_up(), None);
}

/// Tells all that may be told now; those up to 100 are refused. Who was told, in order.
fn tell_all(owed: &Owed, slot: &Arc<StageSlot>) -> Vec<u8> {
    let mut told = Vec::new();
    while let Next::Tell(attempt) = owed.next(slot) {
        let whose = number(&attempt.end);
        told.push(whose);
        if whose <= 100 {
            owed.failed(slot, attempt, &Failure::NotNow(503));
        } else {
            owed.told(slot, attempt);
        }
    }
    told
}

#[tokio::test(start_paused = true)]
async fn ends_that_are_refused_keep_no_other_waiting() {
    let owed = Owed::new(100);
    let [slot] = slots(["dev"]);
    for n in [1, 2, 101] {
        owed.add(&slot, end(n));
    }
    assert_eq!(tell_all(&owed, &slot), [1, 2, 101]);
    owed.add(&slot, end(102));
    assert_eq!(tell_all(&owed, &slot), [102], "at once");
    tokio::time::sleep(std::time::Duration::from_millis(101)).await;
    owed.add(&slot, end(103));
    let mut told = tell_all(&owed, &slot);
    assert_eq!(told.remove(0), 103, "before those that were tried");
    told.sort_unstable();
    assert_eq!(told, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn where_several_are_refused_the_oldest_and_the_newest_are_probed_in_turn() {
    let owed = Owed::new(100);
    let [slot] = slots(["dev"]);
    for n in (1..=10).chain(101..=110) {
        owed.add(&slot, end(n));
    }
    assert_eq!(tell_all(&owed, &slot), [1, 2, 3, 4, 5]);
    for expected in [6, 110] {
        assert!(!matches!(owed.next(&slot), Next::Tell(_)), "one probe");
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        owed.awake(&slot);
        let probe = tell(&owed, &slot);
        assert_eq!(number(&probe.end), expected);
        if expected == 110 {
            owed.told(&slot, probe);
        } else {
            owed.failed(&slot, probe, &Failure::NotNow(503));
        }
    }
    assert_eq!(
        number(&tell(&owed, &slot).end),
        7,
        "all that were never tried"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_must_come_sooner_than_somebody_does_is_told_so() {
    let owed = Owed::new(100);
    let [slot] = slots(["dev"]);
    let mut untils = Vec::new();
    for n in [1, 2] {
        owed.add(&slot, end(n));
        for _ in 0..3 {
            tell_all(&owed, &slot);
            tokio::time::sleep(std::time::Duration::from_millis(if n == 1 {
                401
            } else {
                0
            }))
            .await;
        }
        if let Next::Sleep(until) = owed.next(&slot) {
            untils.push(until);
        }
    }
    assert!(matches!(owed.next(&slot), Next::Nothing), "{untils:?}");
    assert!(untils.is_sorted_by(|one, other| one > other), "{untils:?}");
}

#[tokio::test(start_paused = true)]
async fn an_end_whose_telling_panics_each_time_is_given_up() {
    let owed = Owed::new(10);
    let [slot] = slots(["dev"]);
    owed.add(&slot, end(1));
    for times in 1..=MOST_PANICS {
        let attempt = tell(&owed, &slot);
        let lost = owed.panicked(&slot, attempt);
        assert_eq!(lost.is_some(), times == MOST_PANICS);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let mut lines = owed.lock();
    assert_eq!(lines.waiting, 0);
    assert!(lines.line(&slot).is_idle());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_hands_on_what_waits_and_what_is_being_told_and_nothing_else() {
    let owed = Owed::new(10);
    let [slot] = slots(["dev"]);
    for n in 1..=4 {
        owed.add(&slot, end(n));
    }
    let [told, failed, _hangs] = [(); 3].map(|()| tell(&owed, &slot));
    owed.told(&slot, told);
    owed.failed(&slot, failed, &Failure::NotNow(503));
    let mut left: Vec<String> = (owed.take_all().into_iter())
        .map(|owed| owed.record.connection.id.to_string())
        .collect();
    left.sort_unstable();
    let expected = [2, 3, 4].map(|n| end(n).connection.id.to_string());
    assert_eq!(left, expected);
    assert!(owed.take_all().is_empty());
}
