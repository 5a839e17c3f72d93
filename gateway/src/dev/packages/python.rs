//! What a Python function's `requirements.txt` names.

use std::fs;
use std::path::Path;

use super::Need;

/// What a function of this folder needs installed; boto3 and the runtime's client are there anyway.
pub(super) fn need(code: &Path, runtime: &str) -> Option<Need> {
    let file = code.join("requirements.txt");
    let requirements = fs::read_to_string(&file).ok()?;
    names_something(&requirements).then(|| Need::Python {
        file,
        requirements,
        runtime: runtime.to_owned(),
    })
}

fn names_something(requirements: &str) -> bool {
    let lines = requirements.lines().map(str::trim);
    lines
        .into_iter()
        .any(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_names_nothing_needs_nothing() {
        assert!(!names_something(""));
        assert!(!names_something("# none\n\n"));
        assert!(names_something("# some\nrequests==2\n"));
    }
}
