//! Ids that a template's resources have: made from the names of stack and resource, so a reload keeps them.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::types::Type;

/// Gives ids, each once.
pub(super) struct Ids<'a> {
    stack_name: &'a str,
    taken: HashSet<(Type, String)>,
}

impl<'a> Ids<'a> {
    pub(super) fn of_stack(stack_name: &'a str) -> Self {
        Self {
            stack_name,
            taken: HashSet::new(),
        }
    }

    /// The id of a resource; `None` where its name is its id.
    pub(super) fn give(&mut self, of: Type, logical_id: &str) -> Option<String> {
        let length = of.id_length()?;
        // Two names of one template may lead to one id; the later one in the file yields.
        let mut attempt = 0;
        loop {
            let id = derive(self.stack_name, logical_id, attempt, length);
            if self.taken.insert((of, id.clone())) {
                return Some(id);
            }
            attempt += 1;
        }
    }
}

/// `[a-z0-9]`, as AWS's ids are.
pub(super) fn derive(stack_name: &str, logical_id: &str, attempt: u32, length: usize) -> String {
    let mut hash = Sha256::new();
    for part in [
        stack_name.as_bytes(),
        logical_id.as_bytes(),
        &attempt.to_be_bytes(),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut number = digest[..16]
        .iter()
        .fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
    let digit = |_| {
        let digit = (number % 36) as u32;
        number /= 36;
        char::from_digit(digit, 36).unwrap_or('0')
    };
    (0..length).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_form_and_stay() {
        let mut ids = Ids::of_stack("chat");
        let api = ids.give(Type::Api, "Api").unwrap();
        assert_eq!(api.len(), 10);
        assert!(
            api.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        );
        assert_eq!(ids.give(Type::Route, "Connect").unwrap().len(), 7);
        assert_eq!(ids.give(Type::Model, "Message").unwrap().len(), 6);
        assert_eq!(ids.give(Type::Stage, "Prod"), None);
        assert_eq!(
            Ids::of_stack("chat").give(Type::Api, "Api"),
            Some(api.clone())
        );
        assert_ne!(
            Ids::of_stack("cha").give(Type::Api, "tApi"),
            Some(api.clone())
        );
        assert_ne!(ids.give(Type::Api, "Api"), Some(api), "each is given once");
    }
}
