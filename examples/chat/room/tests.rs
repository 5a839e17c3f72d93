//! The rooms' promises, a table each.

use super::*;

fn address(id: &str) -> Address {
    Address {
        connection: id.to_owned(),
        uri: Uri::from_static("http://127.0.0.1:8081/dev/@connections/x"),
    }
}

fn person(name: &str) -> Person {
    Person {
        id: format!("id-{name}"),
        name: Name::parse(name).unwrap(),
    }
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

/// One thing that happens to connection `.0`.
enum Act {
    Join(&'static str, &'static str, &'static str),
    Leave(&'static str),
    Say(&'static str, &'static str, &'static str),
    Type(&'static str, bool),
    Here(&'static str),
}
use Act::{Here, Join, Leave, Say, Type};

fn act(rooms: &mut Rooms, act: &Act) -> Step {
    match act {
        Join(id, name, to) => rooms.join(address(id), &room(to), &person(name)),
        Leave(id) => rooms.leave(id),
        Say(id, text, reference) => rooms.say(
            id,
            Text::parse(text).unwrap(),
            Reference::parse(reference).unwrap(),
            1_000,
        ),
        Type(id, on) => rooms.typing(id, *on),
        Here(id) => rooms.here(id),
    }
}

/// An event in a few words.
fn brief(event: &Event) -> String {
    let json: serde_json::Value = serde_json::from_str(&event.encode()).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let list = |key: &str, pick: &dyn Fn(&serde_json::Value) -> String| {
        json[key]
            .as_array()
            .unwrap()
            .iter()
            .map(pick)
            .collect::<Vec<_>>()
            .join(" ")
    };
    match text(&json["type"]).as_str() {
        "joined" => format!(
            "joined {}#{} you={} members=[{}] history=[{}]",
            text(&json["room"]),
            json["seq"],
            text(&json["you"]["name"]),
            list("members", &|member| text(&member["name"])),
            list("history", &|said| text(&said["text"])),
        ),
        "message" => format!(
            "message#{} {}: {}",
            json["seq"],
            text(&json["from"]["name"]),
            text(&json["text"])
        ),
        kind @ ("arrived" | "left") => {
            format!("{kind}#{} {}", json["seq"], text(&json["person"]["name"]))
        }
        "typing" => format!("typing {} {}", text(&json["person"]["name"]), json["on"]),
        "here" => format!("here#{}", json["seq"]),
        "error" => format!(
            "error {}: {}",
            text(&json["action"]),
            text(&json["message"])
        ),
        other => other.to_owned(),
    }
}

/// After `before`, `last` gives exactly `expected`: the answer first, then `receivers < event`.
#[track_caller]
fn check(before: &[Act], last: &Act, expected: &[&str]) {
    let mut rooms = Rooms::new("boot");
    for earlier in before {
        act(&mut rooms, earlier);
    }
    let step = act(&mut rooms, last);
    let mut found: Vec<String> = step.answer.iter().map(brief).collect();
    for push in &step.pushes {
        let to: Vec<_> = push
            .to
            .iter()
            .map(|address| address.connection.as_str())
            .collect();
        found.push(format!("{} < {}", to.join(" "), brief(&push.event)));
    }
    assert_eq!(found, expected);
}

#[test]
fn joining_answers_the_room_and_tells_the_others() {
    let ada = Join("a", "Ada", "lobby");
    check(
        &[],
        &ada,
        &["joined lobby#1 you=Ada members=[Ada] history=[]"],
    );
    check(
        &[Join("a", "Ada", "lobby"), Say("a", "hello", "r1")],
        &Join("b", "Bob", " Lobby "),
        &[
            "joined lobby#3 you=Bob members=[Ada Bob] history=[hello]",
            "a < arrived#3 Bob",
        ],
    );
    // Again: nothing new for anyone.
    check(
        &[Join("a", "Ada", "lobby"), Join("b", "Bob", "lobby")],
        &Join("b", "Bob", "lobby"),
        &["joined lobby#2 you=Bob members=[Ada Bob] history=[]"],
    );
    // Another room: out of the first.
    check(
        &[
            Join("a", "Ada", "lobby"),
            Join("b", "Bob", "lobby"),
            Join("c", "Cy", "attic"),
        ],
        &Join("b", "Bob", "attic"),
        &[
            "joined attic#2 you=Bob members=[Cy Bob] history=[]",
            "a < left#3 Bob",
            "c < arrived#2 Bob",
        ],
    );
    // Another name on the same connection: one goes, one comes.
    check(
        &[Join("a", "Ada", "lobby"), Join("b", "Bob", "lobby")],
        &Join("b", "Rob", "lobby"),
        &[
            "joined lobby#4 you=Rob members=[Ada Rob] history=[]",
            "a < left#3 Bob",
            "a < arrived#4 Rob",
        ],
    );
}

#[test]
fn a_person_in_two_windows_comes_and_goes_once() {
    let both = || vec![Join("a", "Ada", "lobby"), Join("b1", "Bob", "lobby")];
    check(
        &both(),
        &Join("b2", "Bob", "lobby"),
        &["joined lobby#2 you=Bob members=[Ada Bob] history=[]"],
    );
    let mut before = both();
    before.push(Join("b2", "Bob", "lobby"));
    check(&before, &Leave("b1"), &[]);
    before.push(Leave("b1"));
    check(&before, &Leave("b2"), &["a < left#3 Bob"]);
}

#[test]
fn leaving_is_idempotent() {
    check(&[], &Leave("a"), &[]);
    check(
        &[Join("a", "Ada", "lobby"), Join("b", "Bob", "lobby")],
        &Leave("b"),
        &["a < left#3 Bob"],
    );
    check(
        &[
            Join("a", "Ada", "lobby"),
            Join("b", "Bob", "lobby"),
            Leave("b"),
        ],
        &Leave("b"),
        &[],
    );
    check(&[Join("a", "Ada", "lobby")], &Leave("a"), &[]);
}

#[test]
fn a_message_goes_to_everyone_in_the_room() {
    let two = || {
        vec![
            Join("a", "Ada", "lobby"),
            Join("b", "Bob", "lobby"),
            Join("c", "Cy", "attic"),
        ]
    };
    check(
        &two(),
        &Say("a", " hi\n", "r1"),
        &["a b < message#3 Ada: hi"],
    );
    // Repeated because the receipt was lost: the sender alone hears it again, with the first number.
    let mut before = two();
    before.extend([Say("a", "hi", "r1"), Say("b", "ho", "r1")]);
    check(&before, &Say("a", "hi", "r1"), &["message#3 Ada: hi"]);
    check(&before, &Say("a", "hi", "r2"), &["a b < message#5 Ada: hi"]);
}

#[test]
fn typing_goes_to_the_others() {
    check(&[Join("a", "Ada", "lobby")], &Type("a", true), &[]);
    check(
        &[Join("a", "Ada", "lobby"), Join("b", "Bob", "lobby")],
        &Type("a", true),
        &["b < typing Ada true"],
    );
    check(
        &[Join("a", "Ada", "lobby"), Join("b", "Bob", "lobby")],
        &Type("b", false),
        &["a < typing Bob false"],
    );
}

#[test]
fn who_is_unknown_is_asked_to_join_again() {
    for last in [Say("a", "hi", "r1"), Type("a", true), Here("a")] {
        check(&[], &last, &["rejoin"]);
        check(&[Join("a", "Ada", "lobby"), Leave("a")], &last, &["rejoin"]);
    }
    check(
        &[Join("a", "Ada", "lobby"), Say("a", "hi", "r1")],
        &Here("a"),
        &["here#2"],
    );
}

#[test]
fn history_outlives_the_last_member() {
    check(
        &[Join("a", "Ada", "lobby"), Say("a", "hi", "r1"), Leave("a")],
        &Join("a2", "Ada", "lobby"),
        &["joined lobby#4 you=Ada members=[Ada] history=[hi]"],
    );
}

/// After `count` messages of `chars` characters each, a join shows the last `kept`.
#[track_caller]
fn check_history(count: usize, chars: usize, kept: usize) {
    let mut rooms = Rooms::new("boot");
    rooms.join(address("a"), &room("lobby"), &person("Ada"));
    for number in 0..count {
        let reference = Reference::parse(&format!("r{number}")).unwrap();
        rooms.say(
            "a",
            Text::parse(&"\"".repeat(chars)).unwrap(),
            reference,
            1_000,
        );
    }
    let Some(Event::Joined { history, .. }) = rooms
        .join(address("a"), &room("lobby"), &person("Ada"))
        .answer
    else {
        panic!("no answer to a join");
    };
    assert_eq!(history.len(), kept);
    assert_eq!(
        history.last().map(|said| said.reference.clone()),
        Reference::parse(&format!("r{}", count - 1)).ok()
    );
    let bytes = serde_json::to_string(&history).unwrap().len();
    assert!(bytes <= HISTORY_BYTES + 2, "{bytes} bytes of history");
}

#[test]
fn history_is_bounded() {
    check_history(49, 1, 49);
    check_history(51, 1, 50);
    check_history(50, 2_000, 8);
}

#[test]
fn a_room_takes_so_many_members_and_no_more() {
    let mut rooms = Rooms::new("boot");
    for number in 0..MEMBERS_PER_ROOM {
        let step = rooms.join(address(&number.to_string()), &room("lobby"), &person("Ada"));
        assert!(
            matches!(step.answer, Some(Event::Joined { .. })),
            "{number}"
        );
    }
    let refused = rooms.join(address("late"), &room("lobby"), &person("Bob"));
    let full = Some(Event::refusal("join", Refusal::RoomIsFull, None));
    assert_eq!(
        refused,
        Step {
            answer: full,
            pushes: Vec::new()
        }
    );
    // Whoever is in can still rename, and a refused one stays where it was.
    let renamed = rooms.join(address("7"), &room("lobby"), &person("Bob"));
    assert!(matches!(renamed.answer, Some(Event::Joined { .. })));
    rooms.join(address("other"), &room("attic"), &person("Cy"));
    rooms.join(address("other"), &room("lobby"), &person("Cy"));
    assert!(matches!(
        rooms.here("other").answer,
        Some(Event::Here { .. })
    ));
}

#[test]
fn the_empty_room_unused_the_longest_makes_way() {
    let mut rooms = Rooms::new("boot");
    for number in 0..ROOMS {
        rooms.join(
            address(&number.to_string()),
            &room(&format!("room {number}")),
            &person("Ada"),
        );
    }
    let refused = rooms.join(address("late"), &room("one more"), &person("Bob"));
    assert_eq!(
        refused.answer,
        Some(Event::refusal("join", Refusal::TooManyRooms, None))
    );
    // Used last, by coming back and by a message: 5 and 6. So 7 goes.
    rooms.leave("5");
    rooms.join(address("5"), &room("room 5"), &person("Ada"));
    rooms.here("6");
    for connection in ["5", "6", "7"] {
        rooms.leave(connection);
    }
    let taken = rooms.join(address("late"), &room("one more"), &person("Bob"));
    assert!(matches!(taken.answer, Some(Event::Joined { .. })));
    let kept = ["room 5", "room 6", "room 7"].map(|name| rooms.by_name.contains_key(&room(name)));
    assert_eq!(kept, [true, true, false]);
    assert_eq!(rooms.by_name.len(), ROOMS);
}

#[test]
fn a_full_room_fits_into_one_message() {
    let mut rooms = Rooms::new("0123456789abcdef");
    let longest = "\u{1F980}".repeat(words::NAME_CHARS);
    for number in 0..MEMBERS_PER_ROOM {
        let person = Person {
            id: format!("{number:016x}"),
            name: Name::parse(&longest).unwrap(),
        };
        rooms.join(address(&number.to_string()), &room("lobby"), &person);
        let text = Text::parse(&"\u{1F980}".repeat(words::TEXT_CHARS)).unwrap();
        rooms.say(
            &number.to_string(),
            text,
            Reference::parse("r1").unwrap(),
            1_000,
        );
    }
    let person = Person {
        id: format!("{:016x}", 1),
        name: Name::parse(&longest).unwrap(),
    };
    let step = rooms.join(address("1"), &room("lobby"), &person);
    let bytes = step.answer.unwrap().encode().len();
    assert!(bytes < 128 * 1024, "{bytes} bytes");
}

#[test]
fn a_room_that_came_again_has_another_epoch() {
    let mut rooms = Rooms::new("boot");
    let epoch = |step: Step| match step.answer {
        Some(Event::Joined { epoch, .. }) => epoch,
        other => panic!("{other:?}"),
    };
    let first = epoch(rooms.join(address("a"), &room("lobby"), &person("Ada")));
    assert_eq!(
        epoch(rooms.join(address("a"), &room("lobby"), &person("Ada"))),
        first
    );
    rooms.by_name.clear();
    assert_ne!(
        epoch(rooms.join(address("a"), &room("lobby"), &person("Ada"))),
        first
    );
}

#[track_caller]
fn check_word<T>(result: Result<T, Refusal>, expected: Option<Refusal>) {
    assert_eq!(result.err(), expected);
}

#[test]
fn words_are_bounded() {
    let long = |count: usize| "\u{e9}".repeat(count);
    check_word(Name::parse(" Ada Lovelace "), None);
    check_word(Name::parse(" \t "), Some(Refusal::NameIsEmpty));
    check_word(Name::parse(&long(32)), None);
    check_word(Name::parse(&long(33)), Some(Refusal::NameIsBad));
    check_word(Name::parse("A\nda"), Some(Refusal::NameIsBad));
    check_word(RoomName::parse("Caf\u{e9} no. 5_b-c"), None);
    check_word(RoomName::parse(""), Some(Refusal::RoomIsEmpty));
    check_word(RoomName::parse(&long(32)), None);
    check_word(RoomName::parse(&long(33)), Some(Refusal::RoomIsBad));
    check_word(RoomName::parse("a/b"), Some(Refusal::RoomIsBad));
    check_word(Text::parse("\u{7}\u{1b}\r\n"), Some(Refusal::TextIsEmpty));
    check_word(Text::parse(&long(2_000)), None);
    check_word(Text::parse(&long(2_001)), Some(Refusal::TextIsTooLong));
    check_word(
        Reference::parse("2f1b6a0e-5d0f-4b53-9d6b-0c1f5a1d2e3f"),
        None,
    );
    check_word(Reference::parse(""), Some(Refusal::ReferenceIsBad));
    check_word(Reference::parse("a b"), Some(Refusal::ReferenceIsBad));
    check_word(
        Reference::parse(&"a".repeat(41)),
        Some(Refusal::ReferenceIsBad),
    );
    assert_eq!(Text::parse("a\r\nb\u{7}\tc"), Text::parse("a\nb\tc"));
    assert_eq!(
        RoomName::parse(" LOBBY ").ok(),
        RoomName::parse("lobby").ok()
    );
}
