//! The file: lines are added at its end and are on the disk before anybody is told; now and then it is written anew.
//!
//! What was not written whole is cut off again. Where even that is not sure (the system did not say that it has the bytes, or
//! that it has not), the file is no longer `sound`, and the next line waits for a new file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Warning;
use super::line::{self, Flaw};
use crate::documents::ledger::Ledger;
use crate::documents::{DiskError, Documents};

const FILE: &str = "control.journal";
/// Beside it until it is complete.
const NEW: &str = "control.journal.new";
const LOCK: &str = "control.lock";

/// A smaller journal is not worth being written anew.
const SMALL: u64 = 256 * 1024;
/// So many times as large as it needs to be may a journal become.
const TIMES: u64 = 4;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    new: PathBuf,
    folder: File,
    file: File,
    /// So many bytes of the file are lines that were acknowledged.
    length: u64,
    /// Once it is longer than this it is written anew.
    most: u64,
    sound: bool,
    /// Held as long as this lives.
    _lock: File,
}

impl Journal {
    /// Opens the folder, which is made where it is missing, and reads what is there.
    pub(super) fn open(folder: &Path) -> Result<(Self, Ledger, Option<Warning>), DiskError> {
        make(folder).map_err(|error| failed(folder, &error))?;
        let lock = lock(folder)?;
        let (path, new) = (folder.join(FILE), folder.join(NEW));
        // Left by a process that was killed while it wrote; nobody was told that it is there.
        remove(&new).map_err(|error| failed(&new, &error))?;
        let opened = options().read(true).create(true).open(&path);
        let file = opened.map_err(|error| failed(&path, &error))?;
        let (ledger, length, warning) = read(&path, &file)?;
        // What a killed process wrote may not be on the disk yet, and neither the names of new files.
        let synced = (file.set_len(length))
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(folder))
            .and_then(|folder| folder.sync_all().map(|()| folder));
        let journal = Self {
            folder: synced.map_err(|error| failed(&path, &error))?,
            path,
            new,
            file,
            length,
            most: 0,
            sound: true,
            _lock: lock,
        };
        Ok((journal, ledger, warning))
    }

    /// Adds a line. After an error it is not there.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<(), DiskError> {
        self.sound = false;
        if let Err(error) = self.file.write_all(line) {
            self.sound = self.file.set_len(self.length).is_ok();
            return Err(failed(&self.path, &error));
        }
        if let Err(error) = self.file.sync_data() {
            // What a failed sync leaves on the disk is unknown, also to a later one.
            let _ = self.file.set_len(self.length);
            return Err(failed(&self.path, &error));
        }
        self.length += line.len() as u64;
        self.sound = true;
        Ok(())
    }

    /// Whether lines may be added; else it must be written anew before.
    pub(super) fn is_sound(&self) -> bool {
        self.sound
    }

    /// Whether it has grown to several times of what it must hold, which is about `bytes`.
    pub(super) fn is_due(&self, bytes: impl FnOnce() -> u64) -> bool {
        self.length > self.most.max(SMALL) && self.length > bytes().saturating_mul(TIMES)
    }

    /// Puts a file with only this line in its place. After an error the old one is in use, or, where it is no longer sound,
    /// the new one whose name may not be on the disk.
    pub(super) fn rewrite(&mut self, line: &[u8]) -> Result<(), DiskError> {
        // Where this fails it is tried again only after the journal has grown a good deal more.
        self.most = self.length.saturating_mul(2);
        let written = remove(&self.new).and_then(|()| {
            let mut file = options().create_new(true).open(&self.new)?;
            file.write_all(line)?;
            file.sync_all()?;
            fs::rename(&self.new, &self.path)?;
            Ok(file)
        });
        self.file = written.map_err(|error| {
            let _ = remove(&self.new);
            failed(&self.path, &error)
        })?;
        self.length = line.len() as u64;
        self.most = self.length.saturating_mul(TIMES);
        self.sound = false;
        let synced = self.folder.sync_all();
        synced.map_err(|error| failed(&self.path, &error))?;
        self.sound = true;
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).mode(0o600);
    options
}

/// Makes a folder and those above it, for its owner only, and sees that their names are on the disk.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(above) if above != Path::new("") => above,
        _ => Path::new("."),
    };
    make(above)?;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    File::open(above)?.sync_all()
}

/// The lock ends with the process, however that ends. It is not on the journal itself, since that is replaced.
fn lock(folder: &Path) -> Result<File, DiskError> {
    let path = folder.join(LOCK);
    let opened = options().create(true).open(&path);
    let file = opened.map_err(|error| failed(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DiskError::Taken(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(&path, &error)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// All lines, and how many bytes of the file they are.
fn read(path: &Path, file: &File) -> Result<(Ledger, u64, Option<Warning>), DiskError> {
    let (mut ledger, mut length, mut number) = (Ledger::default(), 0, 0);
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line);
        let bytes = bytes.map_err(|error| failed(path, &error))? as u64;
        if bytes == 0 {
            return Ok((ledger, length, None));
        }
        number += 1;
        let corrupt = |why: String| DiskError::Corrupt {
            path: path.to_owned(),
            line: number,
            why,
        };
        match line::unpack(&line) {
            Ok((after, documents)) => {
                follow(&mut ledger, after, &documents).map_err(corrupt)?;
            }
            Err(Flaw::Foreign(why)) => return Err(corrupt(why)),
            Err(Flaw::Damaged(why)) => {
                let more = reader.fill_buf().map_err(|error| failed(path, &error))?;
                if !more.is_empty() || line::holds_another(&line) {
                    return Err(corrupt(why));
                }
                let warning = Warning::TornLine {
                    path: path.to_owned(),
                    line: number,
                    bytes,
                };
                return Ok((ledger, length, Some(warning)));
            }
        }
        length += bytes;
    }
}

fn follow(ledger: &mut Ledger, after: u64, documents: &Documents) -> Result<(), String> {
    let revision = ledger.revision();
    if after != revision {
        return Err(format!(
            "it says what changed after revision {after}, but the lines before it end with {revision}"
        ));
    }
    ledger.take(documents);
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> DiskError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let (path, why) = (path.to_owned(), error.to_string());
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => DiskError::Full { path, why },
        _ => DiskError::Failed { path, why },
    }
}
