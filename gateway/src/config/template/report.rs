//! What is said about a template: mistakes, and notices of what is passed over.

use std::cell::{Cell, RefCell};

use super::value::Place;
use crate::config::diagnostic::{ConfigErrors, Diagnostic, MAX_REPORTED, Origin};

/// Collects what is said; reading goes on after each.
#[derive(Default)]
pub(super) struct Report {
    found: RefCell<Found>,
    /// What is not needed is being read: nothing in it is a mistake.
    soft: Cell<bool>,
}

#[derive(Default)]
struct Found {
    subject: String,
    mistakes: Vec<Diagnostic>,
    more: usize,
    notices: Vec<Diagnostic>,
}

impl Report {
    /// What the following is about, such as `Resources.Chat`.
    pub(super) fn about(&self, subject: impl Into<String>) {
        self.found.borrow_mut().subject = subject.into();
    }

    pub(super) fn mistake(&self, place: &Place, message: impl Into<String>) {
        self.add(place, message.into(), None);
    }

    pub(super) fn mistake_with_hint(
        &self,
        place: &Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(place, message.into(), Some(hint.into()));
    }

    /// A mistake, with the hint where there is one.
    pub(super) fn add(&self, place: &Place, message: String, hint: Option<String>) {
        if self.soft.get() {
            self.notify(place, message, hint);
            return;
        }
        let mut found = self.found.borrow_mut();
        if found.mistakes.len() >= MAX_REPORTED {
            found.more += 1;
            return;
        }
        let said = diagnostic(place, &found.subject, message, hint);
        // What aliases and variables repeat is wrong once.
        let repeated = |earlier: &Diagnostic| {
            earlier.origin == said.origin
                && earlier.message == said.message
                && earlier.file == said.file
        };
        if !found.mistakes.iter().any(repeated) {
            found.mistakes.push(said);
        }
    }

    /// Whether further mistakes are only counted: a hint for one of them would be lost work.
    pub(super) fn is_full(&self) -> bool {
        self.found.borrow().mistakes.len() >= MAX_REPORTED
    }

    /// A mistake on the command line.
    pub(super) fn flag(&self, flag: &'static str, message: String, hint: Option<String>) {
        let mut found = self.found.borrow_mut();
        if found.mistakes.len() >= MAX_REPORTED {
            found.more += 1;
            return;
        }
        found.mistakes.push(Diagnostic {
            file: "".into(),
            origin: Origin::Flag(flag),
            path: String::new(),
            message,
            hint,
        });
    }

    /// What the reader should know and may leave as it is.
    pub(super) fn notice(&self, place: &Place, message: impl Into<String>) {
        self.notify(place, message.into(), None);
    }

    fn notify(&self, place: &Place, message: String, hint: Option<String>) {
        let mut found = self.found.borrow_mut();
        let said = diagnostic(place, &found.subject, message, hint);
        found.notices.push(said);
    }

    /// Reads what only others than the gateway need, where a mistake is a notice.
    pub(super) fn softly<T>(&self, read: impl FnOnce() -> T) -> T {
        let before = self.soft.replace(true);
        let result = read();
        self.soft.set(before);
        result
    }

    /// The notices, or all mistakes, each in the order of the files.
    pub(super) fn finish(self) -> Result<Vec<Diagnostic>, ConfigErrors> {
        let mut found = self.found.into_inner();
        let order =
            |a: &Diagnostic, b: &Diagnostic| (&a.origin, &a.file).cmp(&(&b.origin, &b.file));
        if found.mistakes.is_empty() {
            found.notices.sort_by(order);
            let place = |notice: &mut Diagnostic| {
                let Diagnostic {
                    file,
                    origin,
                    message,
                    ..
                } = &*notice;
                (file.clone(), origin.clone(), message.clone())
            };
            found.notices.dedup_by_key(place);
            return Ok(found.notices);
        }
        found.mistakes.sort_by(order);
        Err(ConfigErrors {
            mistakes: found.mistakes,
            more: found.more,
        })
    }
}

fn diagnostic(place: &Place, subject: &str, message: String, hint: Option<String>) -> Diagnostic {
    Diagnostic {
        file: std::sync::Arc::clone(&place.file),
        origin: Origin::File(place.position),
        path: subject.to_owned(),
        message,
        hint,
    }
}
