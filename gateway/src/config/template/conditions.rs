//! `Conditions`: what is true of this stack.

use super::functions::call;
use super::scope::{MOST_COMPARED, MOST_NESTED, Scope};
use super::value::{Place, Value};
use crate::config::diagnostic::{quoted, suggestion};

impl Scope<'_> {
    /// Whether a condition is true; `None` where that has been reported as a mistake.
    pub(super) fn condition(&self, name: &str, place: &Place) -> Option<bool> {
        let known = self.truths.borrow().get(name).copied();
        match known {
            Some(Some(truth)) => return Some(truth),
            Some(None) => {
                let message = format!("the condition {} is made of itself", quoted(name));
                self.report.mistake(place, message);
                return None;
            }
            None => {}
        }
        let Some(member) = self.conditions.get(name) else {
            let mut known: Vec<&str> = self.conditions.keys().copied().collect();
            known.sort_unstable();
            known.truncate(MOST_COMPARED);
            let message = format!("there is no condition {}", quoted(name));
            let hint = suggestion(name, "the conditions are", &known);
            self.report.add(place, message, hint);
            return None;
        };
        self.truths.borrow_mut().insert(name.to_owned(), None);
        let truth = self.truth(&member.value);
        // One that is wrong counts as false from here on, so that it is reported once.
        self.truths
            .borrow_mut()
            .insert(name.to_owned(), Some(truth.unwrap_or(false)));
        truth
    }

    fn truth(&self, value: &Value) -> Option<bool> {
        if self.nested.get() >= MOST_NESTED {
            let message =
                format!("conditions stand deeper than {MOST_NESTED} levels in each other");
            self.report.mistake(&value.place, message);
            return None;
        }
        self.nested.set(self.nested.get() + 1);
        let truth = self.truth_here(value);
        self.nested.set(self.nested.get() - 1);
        truth
    }

    fn truth_here(&self, value: &Value) -> Option<bool> {
        if value.is_broken() {
            return None;
        }
        if let Some(name) = value.single().filter(|only| only.key == "Condition") {
            let name = self.text_of(&name.value)?;
            return self.condition(&name, &value.place);
        }
        if let Some((name @ ("Fn::And" | "Fn::Equals" | "Fn::Not" | "Fn::Or"), argument)) =
            call(value)
        {
            return self.truth_of(name, argument, &value.place);
        }
        let known = self.evaluate(value)?;
        if known.is_broken() {
            return None;
        }
        known.as_bool().or_else(|| {
            self.wrong_arguments(
                "a condition is Fn::Equals, Fn::And, Fn::Or, Fn::Not or another Condition",
                &value.place,
            )
        })
    }

    /// A function that is true or false.
    pub(super) fn truth_of(&self, name: &str, argument: &Value, place: &Place) -> Option<bool> {
        let items = argument.items();
        match (name, items) {
            ("Fn::Equals", [left, right]) => {
                let (left, right) = (self.evaluate(left), self.evaluate(right));
                if left.iter().chain(&right).any(Value::is_broken) {
                    return None;
                }
                Some(match (&left, &right) {
                    (Some(left), Some(right)) if left.as_text().is_some() => {
                        left.as_text() == right.as_text()
                    }
                    _ => left == right,
                })
            }
            ("Fn::Equals", _) => {
                self.wrong_arguments("Fn::Equals takes a list of two values", place)
            }
            ("Fn::Not", [one]) => self.truth(one).map(|truth| !truth),
            ("Fn::Not", _) => self.wrong_arguments("Fn::Not takes a list of one condition", place),
            (_, [_, _, ..]) if items.len() <= 10 => {
                // All are looked at, so that a mistake in a later one is not hidden.
                let truths: Vec<Option<bool>> = items.iter().map(|item| self.truth(item)).collect();
                let truths: Vec<bool> = truths.into_iter().collect::<Option<_>>()?;
                Some(match name {
                    "Fn::And" => truths.into_iter().all(|truth| truth),
                    _ => truths.into_iter().any(|truth| truth),
                })
            }
            _ => self.wrong_arguments(
                &format!("{name} takes a list of two to ten conditions"),
                place,
            ),
        }
    }
}
