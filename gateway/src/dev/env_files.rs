//! The files of variables: `.env` beside the app, where there is one, and those that the command line names.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Options, dotenv};
use crate::config::{ConfigErrors, Diagnostic, Origin, Position};

/// The largest file.
const LONGEST: u64 = 1024 * 1024;

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    /// As it was named.
    pub path: PathBuf,
    /// What it sets, in its order.
    pub variables: Vec<(String, String)>,
}

/// All of them, the weakest first; or every mistake in any of them.
pub fn read(options: &Options) -> Result<Vec<EnvFile>, ConfigErrors> {
    let (mut files, mut mistakes) = (Vec::new(), Vec::new());
    let beside = options.folder.join(".env");
    let named = options.env_files.iter().map(|path| (path, true));
    for (path, must_be_there) in std::iter::once((&beside, false)).chain(named) {
        match text_of(path) {
            Ok(text) => match dotenv::parse(&text) {
                Ok(variables) => files.push(EnvFile {
                    path: path.clone(),
                    variables,
                }),
                Err(flaws) => mistakes.extend(flaws.into_iter().map(|flaw| {
                    let line = u32::try_from(flaw.line).unwrap_or(u32::MAX);
                    let origin = Origin::File(Position { line, column: 1 });
                    said(path, origin, flaw.message)
                })),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_be_there => {}
            Err(error) => {
                let message = format!("the file cannot be read: {error}");
                mistakes.push(said(path, Origin::WholeFile, message));
            }
        }
    }
    if mistakes.is_empty() {
        return Ok(files);
    }
    Err(ConfigErrors::from(mistakes))
}

/// The files whose change is worth a look, those that are not there yet too.
pub fn watched(options: &Options) -> impl Iterator<Item = PathBuf> {
    let beside = options.folder.join(".env");
    std::iter::once(beside).chain(options.env_files.clone())
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = fs::File::open(path)?
        .take(LONGEST + 1)
        .read_to_string(&mut text)?;
    if read as u64 > LONGEST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

fn said(path: &Path, origin: Origin, message: String) -> Diagnostic {
    Diagnostic {
        file: path.to_string_lossy().into(),
        origin,
        path: String::new(),
        message,
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_beside_the_app_is_read_where_there_is_one_and_named_ones_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut options = Options {
            folder: folder.path().to_owned(),
            ..Options::default()
        };
        assert_eq!(read(&options).unwrap(), []);
        fs::write(at(".env"), "A=1").unwrap();
        fs::write(at("local.env"), "A=2\nB=3").unwrap();
        options.env_files = vec![at("local.env")];
        let names: Vec<String> = read(&options)
            .unwrap()
            .iter()
            .map(|file| format!("{:?}", file.variables))
            .collect();
        assert_eq!(names, [r#"[("A", "1")]"#, r#"[("A", "2"), ("B", "3")]"#]);
        options.env_files = vec![at("missing")];
        fs::write(at(".env"), "A=1\nPASSWORD hunter2").unwrap();
        let said = read(&options).unwrap_err().to_string();
        assert!(said.contains(".env:2:1: expected NAME=value"), "{said}");
        assert!(said.contains("missing: the file cannot be read"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(watched(&options).count(), 2);
    }
}
