//! Where what outlives a run is kept: the XDG base directories.

use std::path::{Path, PathBuf};

/// The folders of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// What must not be lost: the local authority's key.
    pub state: PathBuf,
    /// What can be made again: installed packages.
    pub cache: PathBuf,
}

impl Folders {
    /// From the environment; a sentence where it names no home.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        // The specification has relative paths ignored.
        let absolute = |name: &str| {
            let path = PathBuf::from(variable(name).filter(|path| !path.is_empty())?);
            path.is_absolute().then_some(path)
        };
        let home = absolute("HOME");
        let folder = |name: &str, below: &str| {
            let base = absolute(name).or_else(|| Some(home.as_deref()?.join(below)));
            let base = base.ok_or_else(|| {
                format!("HOME is not set, so there is no place to keep things; set HOME or {name}")
            })?;
            Ok::<_, String>(base.join("wiregate"))
        };
        Ok(Self {
            state: folder("XDG_STATE_HOME", ".local/state")?,
            cache: folder("XDG_CACHE_HOME", ".cache")?,
        })
    }
}

/// A path as people write it: below their home with `~`.
pub fn shown(path: &Path, home: Option<&Path>) -> String {
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(below) => format!("~/{}", below.display()),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(environment: &[(&str, &str)], expected: Result<(&str, &str), ()>) {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let found = Folders::of(variable);
        let shown = found.as_ref().map(|folders| {
            let text = |path: &PathBuf| path.display().to_string();
            (text(&folders.state), text(&folders.cache))
        });
        let expected = expected.map(|(state, cache)| (state.to_owned(), cache.to_owned()));
        assert_eq!(shown.map_err(|_| ()), expected, "{environment:?}");
    }

    #[test]
    fn the_environment_says_where() {
        check(
            &[("HOME", "/home/a")],
            Ok(("/home/a/.local/state/wiregate", "/home/a/.cache/wiregate")),
        );
        check(
            &[
                ("HOME", "/home/a"),
                ("XDG_STATE_HOME", "/s"),
                ("XDG_CACHE_HOME", "relative"),
            ],
            Ok(("/s/wiregate", "/home/a/.cache/wiregate")),
        );
        check(
            &[
                ("XDG_STATE_HOME", "/s"),
                ("XDG_CACHE_HOME", "/c"),
                ("HOME", ""),
            ],
            Ok(("/s/wiregate", "/c/wiregate")),
        );
        check(&[("XDG_STATE_HOME", "/s")], Err(()));
        check(&[], Err(()));
    }

    #[test]
    fn paths_are_shown_as_people_write_them() {
        let home = Some(Path::new("/home/a"));
        assert_eq!(shown(Path::new("/home/a/x/y"), home), "~/x/y");
        assert_eq!(shown(Path::new("/home/ab/x"), home), "/home/ab/x");
        assert_eq!(shown(Path::new("/x"), None), "/x");
    }
}
