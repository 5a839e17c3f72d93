//! The one place where settings are read from the disk.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a file says, and whether everyone on the machine may read it.
pub(super) struct Contents {
    pub(super) text: String,
    pub(super) open_to_all: bool,
}

/// Reads a text file of at most `longest` bytes; the error continues the sentence "… cannot be read: ".
pub(super) fn read(path: &Path, longest: usize) -> Result<Contents, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("it is a folder".to_owned());
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells that there is too much, also of an endless device.
    file.take(longest as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > longest {
        return Err(format!("it is larger than {} KiB", longest / 1024));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|b| **b == b'\n');
        format!("line {} is not UTF-8", line.count() + 1)
    })?;
    Ok(Contents {
        text,
        open_to_all: is_open_to_all(&metadata),
    })
}

/// Reads a file below a folder; one that lies elsewhere, by its path or by a link, is refused.
pub(super) fn read_below(
    folder: &Path,
    relative: &Path,
    longest: usize,
) -> Result<Contents, String> {
    let folder = if folder == Path::new("") {
        Path::new(".")
    } else {
        folder
    };
    let folder = folder.canonicalize().map_err(|error| error.to_string())?;
    let path = folder.join(relative);
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    if !path.starts_with(&folder) {
        return Err("it lies outside of the folder of the file that names it".to_owned());
    }
    read(&path, longest)
}

#[cfg(unix)]
fn is_open_to_all(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn is_open_to_all(_: &std::fs::Metadata) -> bool {
    false
}
