//! Archives of function code: unpacked within bounds, and nowhere but below their folder.

use std::fs::{self, File, Permissions};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use zip::ZipArchive;
use zip::read::ZipFile;

/// "AWS quotas, Lambda: 250 MB unzipped".
pub(super) const MOST_BYTES: u64 = 262_144_000;
/// More than any package manager leaves behind.
const MOST_ENTRIES: usize = 200_000;
/// The longest target of a symbolic link.
const MOST_LINK: u64 = 4096;

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    /// It is none, or a broken one.
    #[error(
        "Could not unzip uploaded file. Please check your file, then try to upload again. ({0})"
    )]
    Broken(String),
    /// There would be too much of it.
    #[error(
        "Unzipped size must be smaller than {MOST_BYTES} bytes, of at most {MOST_ENTRIES} entries"
    )]
    TooLarge,
    /// An entry leads out of its folder.
    #[error("Could not unzip uploaded file: entry {0} leads out of the archive")]
    Outside(String),
    /// The disk.
    #[error("the archive could not be written: {0}")]
    Io(#[from] io::Error),
}

/// Unpacks an archive of at most so many bytes, unpacked, into a folder that is there and empty.
pub(super) fn unpack(archive: &[u8], folder: &Path, most: u64) -> Result<(), ArchiveError> {
    let mut archive = ZipArchive::new(Cursor::new(archive))
        .map_err(|why| ArchiveError::Broken(why.to_string()))?;
    if archive.len() > MOST_ENTRIES {
        return Err(ArchiveError::TooLarge);
    }
    let mut left = most;
    for index in 0..archive.len() {
        let mut entry = archive
            .by_index(index)
            .map_err(|why| ArchiveError::Broken(why.to_string()))?;
        left = write(&mut entry, folder, left)?;
    }
    Ok(())
}

/// Writes one entry; how many bytes may still come.
fn write<R: Read>(
    entry: &mut ZipFile<'_, R>,
    folder: &Path,
    left: u64,
) -> Result<u64, ArchiveError> {
    let written_name = String::from_utf8_lossy(entry.name_raw()).into_owned();
    let outside = || ArchiveError::Outside(written_name.clone());
    let name = entry.enclosed_name().ok_or_else(outside)?;
    let path = folder.join(&name);
    // A symbolic link that an earlier entry made must not be written through.
    let mut parent = folder.to_owned();
    for step in name.parent().into_iter().flat_map(Path::components) {
        parent.push(step);
        if fs::symlink_metadata(&parent).is_ok_and(|found| found.is_symlink()) {
            return Err(outside());
        }
    }
    if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
        return Err(outside());
    }
    if entry.is_dir() {
        fs::create_dir_all(&path)?;
        return Ok(left);
    }
    fs::create_dir_all(&parent)?;
    if entry.is_symlink() {
        let mut target = String::new();
        entry
            .take(MOST_LINK)
            .read_to_string(&mut target)
            .map_err(|why| ArchiveError::Broken(why.to_string()))?;
        if !stays_inside(&name, Path::new(&target)) {
            return Err(outside());
        }
        symlink(target, &path)?;
        return Ok(left);
    }
    let mode = entry.unix_mode().unwrap_or(0o644) & 0o777 | 0o400;
    let mut file = File::create(&path)?;
    // What an entry says of its size may be a lie.
    let written = match io::copy(&mut entry.take(left + 1), &mut file) {
        Ok(written) if written > left => return Err(ArchiveError::TooLarge),
        Ok(written) => written,
        Err(why) if why.raw_os_error().is_some() => return Err(why.into()),
        Err(why) => return Err(ArchiveError::Broken(why.to_string())),
    };
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(left - written)
}

/// Whether a link at `name` with that target leads to a place in the archive.
fn stays_inside(name: &Path, target: &Path) -> bool {
    let mut place: PathBuf = name.parent().map(Path::to_owned).unwrap_or_default();
    target.components().all(|step| match step {
        Component::Normal(step) => {
            place.push(step);
            true
        }
        Component::CurDir => true,
        Component::ParentDir => place.pop(),
        Component::RootDir | Component::Prefix(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(entries: &[(&str, &[u8], u32)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes, mode) in entries {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            if mode & 0o170_000 == 0o120_000 {
                let target = String::from_utf8(bytes.to_vec()).unwrap();
                writer.add_symlink(*name, target, options).unwrap();
            } else {
                writer.start_file(*name, options).unwrap();
                writer.write_all(bytes).unwrap();
            }
        }
        writer.finish().unwrap().into_inner()
    }

    #[track_caller]
    fn refused(bytes: &[u8], part: &str) {
        let folder = tempfile::tempdir().unwrap();
        let error = unpack(bytes, folder.path(), 1000).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn files_keep_their_places_and_modes() {
        const LINK: u32 = 0o120_777;
        let bytes = archive(&[
            ("app.mjs", b"code", 0o644),
            ("bootstrap", b"#!", 0o755),
            ("lib/a/b.txt", b"", 0o200),
            ("lib/link", b"../app.mjs", LINK),
        ]);
        let folder = tempfile::tempdir().unwrap();
        unpack(&bytes, folder.path(), MOST_BYTES).unwrap();
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        let mode = |name: &str| {
            fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(read("app.mjs"), b"code");
        assert_eq!(read("lib/link"), b"code");
        assert_eq!(
            (mode("app.mjs"), mode("bootstrap"), mode("lib/a/b.txt")),
            (0o644, 0o755, 0o600)
        );
    }

    #[test]
    fn nothing_is_written_outside_or_without_bound() {
        const LINK: u32 = 0o120_777;
        refused(b"", "Could not unzip");
        refused(b"PK\x03\x04 and no more", "Could not unzip");
        refused(&archive(&[("../evil", b"x", 0o644)]), "leads out");
        refused(&archive(&[("a", b"/etc/passwd", LINK)]), "leads out");
        refused(&archive(&[("a/b", b"../../etc", LINK)]), "leads out");
        let through = archive(&[("a", b".", LINK), ("a/b", b"x", 0o644)]);
        refused(&through, "leads out");
        let zeros = vec![0; 300];
        let bomb: Vec<(&str, &[u8], u32)> = ["a", "b", "c", "d"]
            .map(|name| (name, zeros.as_slice(), 0o644))
            .into();
        refused(&archive(&bomb), "Unzipped size");
        let mut broken = archive(&[("a", &[7; 900], 0o644)]);
        broken[40] ^= 0xff;
        refused(&broken, "Could not unzip");
    }
}
