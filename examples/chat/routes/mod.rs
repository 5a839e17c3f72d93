//! What the gateway calls: one address for each route of `wiregate.yaml`.
//!
//! `join` and `here` are two-way routes: the body of our answer goes back on the socket. The others are one-way, so
//! what the sender should hear is pushed to it like everything else.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::call::Caller;
use crate::push::Pusher;
use crate::room::{
    Address, Event, Name, Person, Push, Reference, Refusal, RoomName, Rooms, Step, Text,
};

/// The largest message read; the longest that can be right has less than half of this.
const MESSAGE_BYTES: usize = 32 * 1024;
/// The longest key of a person; the page's have 36 characters.
const KEY_BYTES: usize = 64;

/// The chat, without a single socket.
pub(crate) struct Chat {
    rooms: Mutex<Rooms>,
    pusher: Arc<Pusher>,
    /// Keyed afresh at each start: makes public ids of private keys.
    ids: RandomState,
}

type Shared = State<Arc<Chat>>;

/// One address for each route.
pub(crate) fn router() -> Router {
    let boot = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let chat = Chat {
        rooms: Mutex::new(Rooms::new(format!("{boot:x}"))),
        pusher: Arc::default(),
        ids: RandomState::new(),
    };
    Router::new()
        .route("/connect", post(connect))
        .route("/disconnect", post(disconnect))
        .route("/join", post(join))
        .route("/here", post(here))
        .route("/sendmessage", post(send_message))
        .route("/typing", post(typing))
        .route("/default", post(unknown))
        .with_state(Arc::new(chat))
}

#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    name: String,
    #[serde(default)]
    room: String,
}

impl Wish {
    fn check(&self) -> Result<(Name, RoomName), Refusal> {
        Ok((Name::parse(&self.name)?, RoomName::parse(&self.room)?))
    }
}

/// `$connect`: anything but a 2xx refuses the handshake, so whoever has no proper name does not get a socket.
async fn connect(_: Caller, Query(wish): Query<Wish>) -> (StatusCode, String) {
    match wish.check() {
        Ok(_) => (StatusCode::OK, String::new()),
        Err(refusal) => (StatusCode::BAD_REQUEST, refusal.to_string()),
    }
}

/// `$disconnect`: comes at least once, perhaps twice, perhaps late.
async fn disconnect(State(chat): Shared, Caller(address): Caller) -> StatusCode {
    let step = chat.rooms().leave(&address.connection);
    chat.send(step.pushes).await;
    StatusCode::OK
}

#[derive(Deserialize)]
struct Join {
    #[serde(flatten)]
    wish: Wish,
    #[serde(default)]
    key: String,
}

async fn join(State(chat): Shared, Caller(address): Caller, body: Bytes) -> String {
    let join: Join = match read(&body) {
        Ok(join) => join,
        Err(why) => return error("join", why).encode(),
    };
    let (name, room) = match join.wish.check() {
        Ok(checked) => checked,
        Err(refusal) => return Event::refusal("join", refusal, None).encode(),
    };
    let person = chat.person(&join.key, name, &address);
    let step = chat.rooms().join(address, &room, &person);
    chat.two_way(step).await
}

async fn here(State(chat): Shared, Caller(address): Caller) -> String {
    let step = chat.rooms().here(&address.connection);
    chat.two_way(step).await
}

#[derive(Deserialize)]
struct Say {
    #[serde(default)]
    text: String,
    #[serde(default, rename = "ref")]
    reference: String,
}

async fn send_message(State(chat): Shared, Caller(address): Caller, body: Bytes) -> StatusCode {
    let step = match read(&body) {
        Ok(say) => chat.say(&address, &say),
        Err(why) => only(error("sendmessage", why)),
    };
    chat.one_way(address, step).await
}

#[derive(Deserialize)]
struct Typing {
    #[serde(default)]
    on: bool,
}

async fn typing(State(chat): Shared, Caller(address): Caller, body: Bytes) -> StatusCode {
    let step = match read::<Typing>(&body) {
        Ok(typing) => chat.rooms().typing(&address.connection, typing.on),
        Err(why) => only(error("typing", why)),
    };
    chat.one_way(address, step).await
}

/// `$default`: no route has that action.
async fn unknown(State(chat): Shared, Caller(address): Caller) -> StatusCode {
    let message = "There is no such action. There are: join, here, sendmessage, typing.".to_owned();
    chat.one_way(address, only(error("default", message))).await
}

/// The message, or what is wrong with it.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, String> {
    if body.len() > MESSAGE_BYTES {
        return Err(format!("The message is larger than {MESSAGE_BYTES} bytes."));
    }
    serde_json::from_slice(body).map_err(|why| format!("The message cannot be read: {why}."))
}

fn error(action: &'static str, message: String) -> Event {
    Event::Error {
        action,
        message,
        reference: None,
    }
}

/// Nothing but an answer.
fn only(answer: Event) -> Step {
    Step {
        answer: Some(answer),
        pushes: Vec::new(),
    }
}

impl Chat {
    /// Short steps only: no await while it is held.
    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same key and name are the same person, in another window or after a reload. Without a key (a terminal, a
    /// test) each connection is a person of its own.
    fn person(&self, key: &str, name: Name, address: &Address) -> Person {
        let key = if key.is_empty() || key.len() > KEY_BYTES {
            &address.connection
        } else {
            key
        };
        let id = format!(
            "{:016x}",
            self.ids.hash_one((key, serde_json::to_string(&name).ok()))
        );
        Person { id, name }
    }

    fn say(&self, address: &Address, say: &Say) -> Step {
        let refuse = |refusal, reference| only(Event::refusal("sendmessage", refusal, reference));
        let reference = match Reference::parse(&say.reference) {
            Ok(reference) => reference,
            Err(refusal) => return refuse(refusal, None),
        };
        let text = match Text::parse(&say.text) {
            Ok(text) => text,
            Err(refusal) => return refuse(refusal, Some(reference)),
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.rooms().say(&address.connection, text, reference, now)
    }

    /// The answer is the body; the gateway puts it on the socket.
    async fn two_way(&self, step: Step) -> String {
        self.send(step.pushes).await;
        step.answer.map(|event| event.encode()).unwrap_or_default()
    }

    /// The answer is pushed; the gateway throws a one-way route's body away.
    async fn one_way(&self, address: Address, step: Step) -> StatusCode {
        let mut pushes = step.pushes;
        pushes.extend(step.answer.map(|event| Push {
            to: vec![address],
            event,
        }));
        self.send(pushes).await;
        StatusCode::OK
    }

    /// Sends all, and forgets whoever turns out to be gone, which is news for the rest.
    async fn send(&self, pushes: Vec<Push>) {
        let mut waiting = VecDeque::from(pushes);
        while let Some(push) = waiting.pop_front() {
            let body = Bytes::from(push.event.encode());
            for gone in self.pusher.fan_out(push.to, body).await {
                let step = self.rooms().leave(&gone);
                waiting.extend(step.pushes);
            }
        }
    }
}
