//! What requests created, on disk: the catalog in one file, each archive unpacked in a folder named for what is in it.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gateway_core::lambda_api::{Catalog, Code, Entry};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::archive::{self, ArchiveError};

/// The catalog's file.
const FILE: &str = "functions.json";

/// A folder with functions.
#[derive(Debug)]
pub(super) struct Shelf {
    root: Root,
}

#[derive(Debug)]
enum Root {
    /// Below the data directory.
    Kept(PathBuf),
    /// Gone at the end, and not there before something is put into it.
    Temporary(OnceLock<TempDir>),
}

impl Shelf {
    /// Opens the folder below a data directory, or a temporary one, and reads what it holds. Archives that nothing names are removed.
    pub(super) fn open(data_dir: Option<&Path>) -> io::Result<(Self, Catalog)> {
        let Some(folder) = data_dir else {
            let root = Root::Temporary(OnceLock::new());
            return Ok((Self { root }, Catalog::default()));
        };
        let shelf = Self {
            root: Root::Kept(folder.join("functions")),
        };
        fs::create_dir_all(shelf.archives()?)?;
        // Environment variables are often secrets.
        fs::set_permissions(shelf.root()?, Permissions::from_mode(0o700))?;
        let file = shelf.root()?.join(FILE);
        let catalog = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|why| {
                io::Error::other(format!("{} holds no functions: {why}", file.display()))
            })?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => Catalog::default(),
            Err(why) => return Err(why),
        };
        shelf.sweep(&catalog)?;
        Ok((shelf, catalog))
    }

    /// Where an archive is unpacked.
    pub(super) fn folder(&self, code: &Code) -> io::Result<PathBuf> {
        Ok(self.archives()?.join(name(code)))
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
        let folder = self.folder(&Self::code_of(bytes))?;
        if folder.exists() {
            return Ok(());
        }
        fs::create_dir_all(self.archives()?)?;
        // Unpacked aside first: a folder with the archive's name is whole, whenever the process ends.
        let aside = tempfile::Builder::new()
            .prefix(".unpacking-")
            .tempdir_in(self.archives()?)?;
        archive::unpack(bytes, aside.path(), archive::MOST_BYTES)?;
        fs::set_permissions(aside.path(), Permissions::from_mode(0o755))?;
        sync(aside.path())?;
        match fs::rename(aside.path(), &folder) {
            Ok(()) => drop(aside.keep()),
            // Another request brought the same.
            Err(_) if folder.exists() => {}
            Err(why) => return Err(why.into()),
        }
        sync(&self.archives()?)?;
        Ok(())
    }

    /// Writes the catalog; it is there whole, or as it was.
    pub(super) fn save(&self, catalog: &Catalog) -> io::Result<()> {
        let text = serde_json::to_vec(catalog)?;
        let root = self.root()?;
        let aside = root.join(".functions.json.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&aside, root.join(FILE))?;
        sync(root)
    }

    fn root(&self) -> io::Result<&Path> {
        match &self.root {
            Root::Kept(folder) => Ok(folder),
            Root::Temporary(folder) => {
                if let Some(folder) = folder.get() {
                    return Ok(folder.path());
                }
                let made = tempfile::Builder::new()
                    .prefix("wiregate-functions-")
                    .tempdir()?;
                Ok(folder.get_or_init(|| made).path())
            }
        }
    }

    fn archives(&self) -> io::Result<PathBuf> {
        Ok(self.root()?.join("code"))
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
        for found in fs::read_dir(self.archives()?)? {
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
