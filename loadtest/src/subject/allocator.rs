//! Other allocators than the C library's, put in front of it by the loader: the same binary, so that nothing else differs.

use std::path::{Path, PathBuf};

use crate::error::LoadError;

/// Where distributions put libraries.
const FOLDERS: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
];

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allocator {
    /// mimalloc 2.
    Mimalloc,
    /// jemalloc 5.
    Jemalloc,
}

impl Allocator {
    /// Its library; an error that says how to get it.
    pub(super) fn find(self) -> Result<PathBuf, LoadError> {
        let (file, package) = match self {
            Self::Mimalloc => ("libmimalloc.so.2", "libmimalloc2.0"),
            Self::Jemalloc => ("libjemalloc.so.2", "libjemalloc2"),
        };
        FOLDERS
            .iter()
            .map(|folder| Path::new(folder).join(file))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                LoadError::Usage(format!(
                    "there is no {file} here; on Debian `apt install {package}`"
                ))
            })
    }
}
