//! Which route takes a message.

use std::sync::Arc;

use super::{LiveRoute, LiveStage};
use crate::expression::{Evaluation, Scope};
use crate::failure::Failure;

const CONNECT: &str = "$connect";
const DISCONNECT: &str = "$disconnect";
const DEFAULT: &str = "$default";

impl LiveStage {
    /// The route whose key equals what the selection expression yields, byte for byte, else `$default`.
    ///
    /// A message that is not JSON is never evaluated and goes to `$default`. No message reaches
    /// `$connect` or `$disconnect`: those speak for the gateway, and a client must not.
    pub fn select(&self, scope: &Scope<'_>) -> Result<&Arc<LiveRoute>, Failure> {
        let chosen = match self.route_selection.evaluate(scope) {
            Evaluation::Key(key) if !key.is_empty() && !key.starts_with('$') => {
                self.by_key.get(&*key)
            }
            Evaluation::Key(_) | Evaluation::NotJson => None,
        };
        chosen
            .or_else(|| self.by_key.get(DEFAULT))
            .ok_or(Failure::NoRoute)
    }

    /// The `$connect` route, if there is one.
    pub fn connect_route(&self) -> Option<&Arc<LiveRoute>> {
        self.by_key.get(CONNECT)
    }

    /// The `$disconnect` route, if there is one.
    pub fn disconnect_route(&self) -> Option<&Arc<LiveRoute>> {
        self.by_key.get(DISCONNECT)
    }
}
