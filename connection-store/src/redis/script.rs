//! Steps that Redis takes as one: a Lua script and the digest by which it is called.

use redis::{Cmd, Script as Source};

/// One `.lua` file.
pub(super) struct Script {
    text: &'static str,
    digest: String,
}

impl Script {
    pub(super) fn new(text: &'static str) -> Self {
        let digest = Source::new(text).get_hash().to_owned();
        Self { text, digest }
    }

    /// By its digest: Redis answers NOSCRIPT if it has not seen the text since it was started.
    pub(super) fn by_digest(&self, step: &Step) -> Cmd {
        step.command("EVALSHA", &self.digest)
    }

    /// With its text, which Redis remembers.
    pub(super) fn by_text(&self, step: &Step) -> Cmd {
        step.command("EVAL", self.text)
    }
}

/// Names `.lua` files of this folder; `then` lets one follow another.
macro_rules! scripts {
    ($($name:ident = $($file:literal) then *),* $(,)?) => {
        $(static $name: std::sync::LazyLock<$crate::redis::script::Script> =
            std::sync::LazyLock::new(|| $crate::redis::script::Script::new(concat!($(include_str!($file)),+)));)*
    };
}

pub(super) use scripts;

/// What a script is called with. All keys are in one slot.
#[derive(Default)]
pub(super) struct Step {
    keys: Vec<String>,
    args: Vec<Vec<u8>>,
}

impl Step {
    pub(super) fn on(keys: impl IntoIterator<Item = String>) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            args: Vec::new(),
        }
    }

    pub(super) fn with(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Numbers travel as decimal text.
    pub(super) fn with_number(self, number: impl Into<i128>) -> Self {
        self.with(number.into().to_string())
    }

    pub(super) fn with_all(mut self, args: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.args.extend(args);
        self
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len());
        command.arg(&self.keys).arg(&self.args);
        command
    }
}
