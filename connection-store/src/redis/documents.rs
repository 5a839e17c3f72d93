//! The documents on Redis.
//!
//! A call that carries much would keep Redis from others, and would not be over within the time limit: what is large is
//! read in pieces until they make one state, and written beside the rest (`stage.lua`) before one script makes it count.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;

use super::client::Redis;
use super::endpoint::{InvalidRedisUrl, RedisUrl};
use super::keys;
use super::script::{Script, Step, scripts};
use crate::documents::{Versioned, check_commit};
use crate::{Change, Committed, DocumentError, DocumentStore, Documents, StoreError};

scripts! {
    CHANGES = "changes.lua",
    TEXTS = "texts.lua",
    STAGE = "stage.lua",
    COMMIT = "commit.lua",
    RESTORE = "restore.lua",
}

/// So many bytes of texts go in one call, or one text.
const PIECE: usize = 1024 * 1024;
/// So many documents go in one call.
const MOST_IN_A_PIECE: usize = 1_000;
/// So often a state that has another past than its beginning is read anew.
const ATTEMPTS: usize = 10;

/// The documents on Redis, for all nodes.
///
/// Each call takes one command, within the connection's time limit, unless it carries more than 1 MiB: then it takes one
/// for each MiB, or for each text that is longer. A cluster's client sends a command again where its connection broke; a commit
/// is made once all the same, but is told as [`Committed::Behind`] where another one came in between.
#[derive(Debug, Clone)]
pub struct RedisDocuments {
    redis: Redis,
}

/// An answer of `changes.lua`.
struct Listed {
    revision: u64,
    era: Vec<u8>,
    found: Vec<Found>,
}

struct Found {
    key: String,
    revision: u64,
    text: Text,
}

/// What texts were that were read after they were listed.
enum Fetched {
    AsListed,
    /// Some were changed meanwhile.
    Changed,
    /// All were lost or restored meanwhile.
    OfAnotherPast,
}

enum Text {
    Is(Option<Arc<str>>),
    /// There was no room for it.
    Later,
}

impl RedisDocuments {
    /// Connects with the first call, so it can be made while Redis is away. `timeout` is how long one command may take.
    pub fn connect(url: RedisUrl, timeout: Duration) -> Result<Self, InvalidRedisUrl> {
        Ok(Self::on(Redis::new(url, timeout)?))
    }

    /// On a connection that others share. Large texts delay them: where these are expected, a connection of its own is better.
    pub fn on(redis: Redis) -> Self {
        Self { redis }
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        step: Step,
    ) -> Result<T, StoreError> {
        self.redis.run(script, &step, self.redis.deadline()).await
    }

    async fn list(&self, after: u64) -> Result<Listed, StoreError> {
        let step = Step::on([keys::REVISION, keys::DOCS, keys::AT, keys::ERA].map(str::to_owned))
            .with_number(after)
            .with_number(PIECE as u64);
        let mut answer: Vec<Vec<u8>> = self.run(&CHANGES, step).await?;
        if answer.first().is_some_and(|first| first == b"torn") {
            return Err(torn(keys::DOCS));
        }
        let revision = answer.first().and_then(|first| whole(first));
        let revision = revision.ok_or_else(|| torn(keys::REVISION))?;
        let mut found = Vec::new();
        if answer.len() > 2 {
            for entry in answer[2..].chunks(4) {
                let [key, at, kind, text] = entry else {
                    return Err(StoreError::Corrupt("half a document".to_owned()));
                };
                found.push(Found {
                    key: text_of(key)?,
                    revision: at_of(at)?,
                    text: match &kind[..] {
                        b"later" => Text::Later,
                        kind => Text::Is(read(kind, text)?),
                    },
                });
            }
        }
        Ok(Listed {
            revision,
            era: answer.get_mut(1).map(std::mem::take).unwrap_or_default(),
            found,
        })
    }

    /// Reads texts for which there was no room, and says what they were.
    async fn fetch(
        &self,
        mut wanted: &[(String, u64)],
        era: &[u8],
        known: &mut BTreeMap<String, (u64, Option<Arc<str>>)>,
    ) -> Result<Fetched, StoreError> {
        let mut fetched = Fetched::AsListed;
        while !wanted.is_empty() {
            let asked = wanted.len().min(MOST_IN_A_PIECE);
            let step = Step::on([keys::DOCS, keys::AT, keys::ERA].map(str::to_owned))
                .with_number(PIECE as u64)
                .with_all(wanted[..asked].iter().map(|(key, _)| key.clone().into()));
            let answer: Vec<Vec<u8>> = self.run(&TEXTS, step).await?;
            let (now, texts) = answer.split_first().unwrap_or((const { &Vec::new() }, &[]));
            if now != era {
                return Ok(Fetched::OfAnotherPast);
            }
            let told = texts.len() / 3;
            if !(1..=asked).contains(&told) || !texts.len().is_multiple_of(3) {
                let why = format!("{} values for {asked} documents", answer.len());
                return Err(StoreError::Corrupt(why));
            }
            for ((key, revision), entry) in wanted.iter().zip(texts.chunks(3)) {
                if at_of(&entry[0])? == *revision {
                    let text = read(&entry[1], &entry[2])?;
                    known.insert(key.clone(), (*revision, text));
                } else {
                    fetched = Fetched::Changed;
                }
            }
            wanted = &wanted[told..];
        }
        Ok(fetched)
    }

    /// One state, or `None` where data were lost or restored while it was read.
    async fn read_once(&self, after: u64) -> Result<Option<Documents>, StoreError> {
        let mut known = BTreeMap::new();
        let (mut at, mut era) = (after, None);
        loop {
            let listed = self.list(at).await?;
            let first = era.is_none();
            if listed.revision <= at {
                return Ok(first.then(|| Documents {
                    revision: listed.revision,
                    changed: Vec::new(),
                }));
            }
            if *era.get_or_insert_with(|| listed.era.clone()) != listed.era {
                return Ok(None);
            }
            at = listed.revision;
            let mut later = Vec::new();
            for Found {
                key,
                revision,
                text,
            } in listed.found
            {
                match text {
                    Text::Is(text) => drop(known.insert(key, (revision, text))),
                    Text::Later => later.push((key, revision)),
                }
            }
            match self.fetch(&later, &listed.era, &mut known).await? {
                Fetched::AsListed => break,
                // That is among what changed after this revision.
                Fetched::Changed => {}
                Fetched::OfAnotherPast => return Ok(None),
            }
        }
        let changed = known.into_iter().map(|(key, (revision, text))| Versioned {
            key,
            revision,
            text,
        });
        let mut documents = Documents {
            revision: at,
            changed: changed.collect(),
        };
        documents.sort();
        match documents.check(after) {
            Ok(()) => Ok(Some(documents)),
            Err(unfit) => Err(StoreError::Corrupt(format!("{unfit}{MEND}"))),
        }
    }

    /// Puts what is large beside the rest.
    async fn stage<'a>(
        &self,
        token: &str,
        entries: impl Iterator<Item = (&'a str, u64, Option<&'a str>)>,
    ) -> Result<(), StoreError> {
        let begin = || Step::on(keys::staged(token)).with_number(keys::STAGED_MILLIS);
        let (mut step, mut bytes, mut count) = (begin(), 0, 0);
        for (key, revision, text) in entries {
            let more = text.map_or(0, str::len);
            if count == MOST_IN_A_PIECE || (count > 0 && bytes + more > PIECE) {
                let full = std::mem::replace(&mut step, begin());
                let _: Value = self.run(&STAGE, full).await?;
                (bytes, count) = (0, 0);
            }
            let [kind, text] = words(text);
            step = (step.with(key).with_number(revision)).with(kind).with(text);
            (bytes, count) = (bytes + more, count + 1);
        }
        let _: Value = self.run(&STAGE, step).await?;
        Ok(())
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        let mut command = redis::cmd("GET");
        command.arg(keys::REVISION);
        let answer = self.redis.call(&command).await?;
        let text: Option<Vec<u8>> = self.redis.read(answer)?;
        match text {
            None => Ok(0),
            Some(text) => whole(&text).ok_or_else(|| torn(keys::REVISION)),
        }
    }
}

const MEND: &str = ". To have the nodes put their copies back: DEL wg:{control}:revision";

fn torn(key: &str) -> StoreError {
    StoreError::Corrupt(format!("{key} is not what was written{MEND}"))
}

/// What decides whether something was written is answered in words.
fn no_word(answer: &str) -> StoreError {
    let answer: String = answer.chars().take(20).collect();
    StoreError::Corrupt(format!("an answer that no step gives: {answer:?}"))
}

fn lost() -> StoreError {
    let why = "what was to be written was lost on the way, as where Redis is emptied; try again";
    StoreError::Refused(why.to_owned())
}

fn whole(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(text).ok().filter(|_| digits);
    number.and_then(|number| number.parse().ok())
}

/// A score: Redis writes large ones with an exponent.
fn at_of(score: &[u8]) -> Result<u64, StoreError> {
    let number = str::from_utf8(score)
        .ok()
        .and_then(|score| score.parse().ok());
    let revision = number.filter(|number: &f64| *number >= 0.0 && number.fract() == 0.0);
    #[allow(clippy::cast_sign_loss)] // It is not below zero; what is too large is found to be so.
    revision
        .map(|number| number as u64)
        .ok_or_else(|| torn(keys::AT))
}

fn text_of(bytes: &[u8]) -> Result<String, StoreError> {
    let text = str::from_utf8(bytes);
    text.map(str::to_owned)
        .map_err(|_| StoreError::Corrupt(format!("a document that is no text{MEND}")))
}

fn read(kind: &[u8], text: &[u8]) -> Result<Option<Arc<str>>, StoreError> {
    match kind {
        b"gone" => Ok(None),
        b"text" => Ok(Some(text_of(text)?.into())),
        kind => Err(no_word(&String::from_utf8_lossy(kind))),
    }
}

fn words(text: Option<&str>) -> [&str; 2] {
    text.map_or(["gone", ""], |text| ["text", text])
}

/// Says which call it was that Redis acted upon.
fn token() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn on(token: &str) -> Step {
    let own = [keys::REVISION, keys::DOCS, keys::AT, keys::ERA].map(str::to_owned);
    Step::on(own.into_iter().chain(keys::staged(token)))
}

#[async_trait]
impl DocumentStore for RedisDocuments {
    async fn changes_after(&self, revision: u64) -> Result<Documents, DocumentError> {
        for _ in 0..ATTEMPTS {
            if let Some(documents) = self.read_once(revision).await? {
                return Ok(documents);
            }
        }
        let why = "the documents were lost or restored again and again while they were read";
        Err(StoreError::Unavailable(why.to_owned()).into())
    }

    async fn era(&self) -> Result<String, DocumentError> {
        let mut command = redis::cmd("GET");
        command.arg(keys::ERA);
        let answer = self.redis.call(&command).await?;
        let era: Option<String> = self.redis.read(answer)?;
        Ok(era.unwrap_or_default())
    }

    async fn commit(
        &self,
        expected_revision: u64,
        changes: &[Change],
    ) -> Result<Committed, DocumentError> {
        check_commit(expected_revision, changes)?;
        let (revision, token) = (expected_revision + 1, token());
        let entries = changes
            .iter()
            .map(|(key, text)| (key.as_str(), text.as_deref()));
        let bytes: usize = (entries.clone())
            .map(|(_, text)| text.map_or(0, str::len))
            .sum();
        let texts = entries.clone().filter(|(_, text)| text.is_some()).count();
        let large = bytes > PIECE;
        let mut step = on(&token)
            .with_number(expected_revision)
            .with_number(revision)
            .with(token.as_str())
            .with_number(if large { changes.len() as u64 } else { 0 })
            .with_number(if large { texts as u64 } else { 0 });
        if large {
            // It would be staged for nothing.
            if self.revision().await? != expected_revision {
                return Ok(Committed::Behind);
            }
            let staged = entries.map(|(key, text)| (key, revision, text));
            self.stage(&token, staged).await?;
        } else {
            for (key, text) in entries {
                let [kind, text] = words(text);
                step = step.with(key).with(kind).with(text);
            }
        }
        let done: String = self.run(&COMMIT, step).await?;
        match &*done {
            "done" => Ok(Committed::At(revision)),
            "behind" => Ok(Committed::Behind),
            "lost" => Err(lost().into()),
            "torn" => Err(torn(keys::DOCS).into()),
            _ => Err(no_word(&done).into()),
        }
    }

    async fn restore(&self, documents: &Documents) -> Result<bool, DocumentError> {
        documents.check(0)?;
        if self.revision().await? >= documents.revision {
            return Ok(false);
        }
        let token = token();
        let entries = documents.changed.iter();
        let staged =
            (entries.clone()).map(|one| (one.key.as_str(), one.revision, one.text.as_deref()));
        self.stage(&token, staged).await?;
        let texts = entries.filter(|one| one.text.is_some()).count();
        let step = on(&token)
            .with_number(documents.revision)
            .with(token.as_str())
            .with_number(texts as u64)
            .with_number(documents.changed.len() as u64);
        let done: String = self.run(&RESTORE, step).await?;
        match &*done {
            "done" => Ok(true),
            "higher" => Ok(false),
            "lost" => Err(lost().into()),
            "foreign" => Err(torn(keys::REVISION).into()),
            _ => Err(no_word(&done).into()),
        }
    }
}
