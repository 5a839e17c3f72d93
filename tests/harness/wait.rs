//! Waiting for facts, and tables that report every wrong row at once.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The longest wait for something that should happen at once; generous, since many tests share few cores.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How often [`eventually`] looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Asks again and again until `fact` answers; fails naming `what` after [`PATIENCE`].
pub async fn eventually<T>(what: &str, fact: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, fact).await
}

/// As [`eventually`], with a limit of the caller's.
pub async fn within<T>(limit: Duration, what: &str, mut fact: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = fact().await {
            return found;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Collects the rows of a table that are wrong and fails once, at its end, with all of them.
#[derive(Debug)]
pub struct Table {
    subject: String,
    rows: usize,
    wrong: Vec<String>,
}

impl Table {
    /// An empty table about `subject`.
    pub fn about(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            rows: 0,
            wrong: Vec::new(),
        }
    }

    /// One row: wrong unless `got` equals `expected`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "rows read better without a borrow in each"
    )]
    pub fn row<T: PartialEq<U> + Debug, U: Debug>(&mut self, name: &str, got: T, expected: U) {
        self.holds(
            name,
            got == expected,
            &format!("expected {expected:?}, got {got:?}"),
        );
    }

    /// One row: wrong unless `holds`, explained by `otherwise`.
    pub fn holds(&mut self, name: &str, holds: bool, otherwise: &str) {
        self.rows += 1;
        if !holds {
            self.wrong.push(format!("  {name}: {otherwise}"));
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for wrong in &self.wrong {
                eprintln!("{}: {}", self.subject, wrong.trim_start());
            }
            return;
        }
        assert!(self.rows > 0, "{}: the table is empty", self.subject);
        assert!(
            self.wrong.is_empty(),
            "{}: {} of {} rows are wrong\n{}",
            self.subject,
            self.wrong.len(),
            self.rows,
            self.wrong.join("\n")
        );
    }
}
