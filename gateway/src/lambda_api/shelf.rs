//! What requests created, on disk: the catalog in one file, each archive unpacked in a folder named for what is in it.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gateway_core::lambda_api::{Catalog, Code, Entry};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::archive::{self, ArchiveError};

/// A folder with functions.
#[derive(Debug)]
pub(super) struct Shelf {
    root: PathBuf,
    /// Without a data directory everything is gone at the end.
    _temporary: Option<TempDir>,
}

impl Shelf {
    /// Opens the folder below a data directory, or a temporary one, and reads what it holds. Archives that nothing names are removed.
    pub(super) fn open(data_dir: Option<&Path>) -> io::Result<(Self, Catalog)> {
        let (root, temporary) = if let Some(folder) = data_dir {
            (folder.join("functions"), None)
        } else {
            let folder = tempfile::Builder::new()
                .prefix("wiregate-functions-")
                .tempdir()?;
            (folder.path().to_owned(), Some(folder))
        };
        let shelf = Self {
            root,
            _temporary: temporary,
        };
        fs::create_dir_all(shelf.archives())?;
        // Environment variables are often secrets.
        fs::set_permissions(&shelf.root, Permissions::from_mode(0o700))?;
        let catalog = match fs::read(shelf.file()) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|why| {
                let file = shelf.file();
                io::Error::other(format!("{} holds no functions: {why}", file.display()))
            })?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => Catalog::default(),
            Err(why) => return Err(why),
        };
        shelf.sweep(&catalog)?;
        Ok((shelf, catalog))
    }

    /// Where an archive is unpacked.
    pub(super) fn folder(&self, code: &Code) -> PathBuf {
        self.archives().join(name(code))
    }

    /// What an archive is known by.
    pub(super) fn code_of(bytes: &[u8]) -> Code {
        Code {
            sha256: STANDARD.encode(Sha256::digest(bytes)),
            size: bytes.len() as u64,
        }
    }

    /// Unpacks an archive; one that is there already is left alone.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), ArchiveError> {
        let folder = self.folder(&Self::code_of(bytes));
        if folder.exists() {
            return Ok(());
        }
        // Unpacked aside first: a folder with the archive's name is whole, whenever the process ends.
        let aside = tempfile::Builder::new()
            .prefix(".unpacking-")
            .tempdir_in(self.archives())?;
        archive::unpack(bytes, aside.path(), archive::MOST_BYTES)?;
        fs::set_permissions(aside.path(), Permissions::from_mode(0o755))?;
        sync(aside.path())?;
        match fs::rename(aside.path(), &folder) {
            Ok(()) => drop(aside.keep()),
            // Another request brought the same.
            Err(_) if folder.exists() => {}
            Err(why) => return Err(why.into()),
        }
        sync(&self.archives())?;
        Ok(())
    }

    /// Writes the catalog; it is there whole, or as it was.
    pub(super) fn save(&self, catalog: &Catalog) -> io::Result<()> {
        let text = serde_json::to_vec(catalog)?;
        let aside = self.root.join(".functions.json.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&aside, self.file())?;
        sync(&self.root)
    }

    fn file(&self) -> PathBuf {
        self.root.join("functions.json")
    }

    fn archives(&self) -> PathBuf {
        self.root.join("code")
    }

    fn sweep(&self, catalog: &Catalog) -> io::Result<()> {
        let versions = |entry: &Entry| {
            let all = entry.versions.values().chain([&entry.latest]);
            all.map(|version| name(&version.code)).collect::<Vec<_>>()
        };
        let wanted: BTreeSet<String> = catalog
            .stored()
            .flat_map(|(_, entry)| versions(entry))
            .collect();
        for found in fs::read_dir(self.archives())? {
            let found = found?;
            if !wanted.contains(&*found.file_name().to_string_lossy()) {
                fs::remove_dir_all(found.path())?;
            }
        }
        Ok(())
    }
}

/// The folder's name: the hash as a file name may have it.
fn name(code: &Code) -> String {
    let hash = STANDARD.decode(&code.sha256).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(hash)
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}
