//! Memory of the whole machine, from `/proc/meminfo`.

use std::fs;

use crate::error::LoadError;

/// At one moment, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// That new programs could have without swapping.
    pub(super) available: u64,
    /// Of the kernel's own objects, sockets among them.
    pub(super) slab: u64,
}

impl Memory {
    pub(super) fn now() -> Result<Self, LoadError> {
        let text = fs::read_to_string("/proc/meminfo")
            .map_err(LoadError::system("cannot read /proc/meminfo"))?;
        Self::parse(&text)
            .ok_or_else(|| LoadError::protocol("/proc/meminfo lacks MemAvailable or Slab"))
    }

    fn parse(text: &str) -> Option<Self> {
        let find = |name: &str| -> Option<u64> {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kibibytes * 1024)
        };
        Some(Self {
            available: find("MemAvailable:")?,
            slab: find("Slab:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kibibytes_become_bytes() {
        let text = "MemTotal: 9 kB\nMemAvailable:   2 kB\nSlab:            1 kB\n";
        let expected = Memory {
            available: 2048,
            slab: 1024,
        };
        assert_eq!(Memory::parse(text), Some(expected));
        assert_eq!(Memory::parse("MemAvailable: 2 kB"), None);
    }
}
