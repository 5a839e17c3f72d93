//! CPU time and memory of a server's processes, its children too, read from `/proc`.

use std::fs;
use std::ops::{Add, Sub};

use crate::error::LoadError;
use crate::system;

/// CPU time that processes have used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct CpuTime {
    /// User and system together, nanoseconds: the kernel's own count, finer than the clock ticks of `/proc/PID/stat`.
    pub(crate) nanoseconds: u64,
    /// Clock ticks in user mode.
    pub(crate) user_ticks: u64,
    /// Clock ticks in the kernel.
    pub(crate) system_ticks: u64,
}

impl CpuTime {
    /// Of all `pids` together. A process that has ended counts for nothing.
    pub(crate) fn of(pids: &[u32]) -> Self {
        pids.iter().fold(Self::default(), |sum, &pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
                .ok()
                .and_then(|text| Stat::parse(&text));
            let (user, system) = stat.map_or((0, 0), |stat| (stat.user_ticks, stat.system_ticks));
            Self {
                nanoseconds: sum.nanoseconds + system::cpu_nanoseconds(pid).unwrap_or(0),
                user_ticks: sum.user_ticks + user,
                system_ticks: sum.system_ticks + system,
            }
        })
    }

    /// The kernel's share of it, 0 to 1; `None` when it is too short to say.
    pub(crate) fn system_share(&self) -> Option<f64> {
        let all = self.user_ticks + self.system_ticks;
        (all >= 20).then(|| self.system_ticks as f64 / all as f64)
    }
}

impl Add for CpuTime {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            nanoseconds: self.nanoseconds + more.nanoseconds,
            user_ticks: self.user_ticks + more.user_ticks,
            system_ticks: self.system_ticks + more.system_ticks,
        }
    }
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            nanoseconds: self.nanoseconds.saturating_sub(earlier.nanoseconds),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }
}

/// CPU time of the whole machine, seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct MachineTime {
    /// Of all processes, interrupts included.
    pub(crate) busy_seconds: f64,
    /// That the host gave to others while this machine could have used it.
    pub(crate) stolen_seconds: f64,
}

impl MachineTime {
    /// Since the machine started.
    pub(crate) fn now() -> Self {
        fs::read_to_string("/proc/stat")
            .ok()
            .and_then(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    /// The first line of `/proc/stat`: user nice system idle iowait irq softirq steal, in hundredths of a second.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u32> = line
            .split_ascii_whitespace()
            .map_while(|field| field.parse().ok())
            .collect();
        let seconds = |fields: &[usize]| -> Option<f64> {
            fields
                .iter()
                .map(|field| Some(f64::from(*ticks.get(*field)?) / 100.0))
                .sum()
        };
        Some(Self {
            busy_seconds: seconds(&[0, 1, 2, 5, 6])?,
            stolen_seconds: seconds(&[7])?,
        })
    }
}

impl Add for MachineTime {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            busy_seconds: self.busy_seconds + more.busy_seconds,
            stolen_seconds: self.stolen_seconds + more.stolen_seconds,
        }
    }
}

impl Sub for MachineTime {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            busy_seconds: self.busy_seconds - earlier.busy_seconds,
            stolen_seconds: self.stolen_seconds - earlier.stolen_seconds,
        }
    }
}

/// Resident memory of all `pids` together, bytes. `smaps_rollup`, since `VmRSS` may be wrong by some pages for each core.
pub(crate) fn resident_bytes(pids: &[u32]) -> u64 {
    pids.iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok())
        .filter_map(|text| parse_rss(&text))
        .sum()
}

/// `root`, all processes that descend from it, and those left of its process group, where it leads one.
pub(crate) fn family(root: u32) -> Result<Vec<u32>, LoadError> {
    let entries = fs::read_dir("/proc").map_err(LoadError::system("cannot read /proc"))?;
    let stats: Vec<(u32, Stat)> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, Stat::parse(&text)?))
        })
        .collect();
    let parents: Vec<(u32, u32)> = stats
        .iter()
        .map(|(pid, stat)| (*pid, stat.parent))
        .collect();
    let mut family = descend(root, &parents);
    for (pid, stat) in stats {
        if stat.group == root && !family.contains(&pid) {
            family.push(pid);
        }
    }
    Ok(family)
}

fn descend(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut family = vec![root];
    let mut seen = 0;
    while let Some(&parent) = family.get(seen) {
        family.extend(
            parents
                .iter()
                .filter(|(pid, of)| *of == parent && *pid != parent)
                .map(|(pid, _)| pid),
        );
        seen += 1;
    }
    family
}

/// What is needed of `/proc/PID/stat` (proc(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    group: u32,
    user_ticks: u64,
    system_ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the name in parentheses, and a name may itself hold spaces and parentheses.
        let (_, after_name) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        // Field 3, the state, is the first here: ppid is field 4, pgrp 5, utime 14, stime 15.
        let field = |number: usize| fields.get(number - 3);
        Some(Self {
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            user_ticks: field(14)?.parse().ok()?,
            system_ticks: field(15)?.parse().ok()?,
        })
    }
}

/// The `Rss` of `/proc/PID/smaps_rollup`, bytes.
fn parse_rss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4711 (odd) name (x) S 17 4711 4711 0 -1 4194560 1234 0 0 0 250 75 9 8 20 0 3 0 99 1000 200 184467";

    #[test]
    fn a_name_with_parentheses_moves_no_field() {
        assert_eq!(
            Stat::parse(STAT),
            Some(Stat {
                parent: 17,
                group: 4711,
                user_ticks: 250,
                system_ticks: 75
            })
        );
        assert_eq!(Stat::parse("4711 (cut) S 17"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn the_machine_is_busy_or_idle_or_robbed() {
        let text =
            "cpu  204291 409676 62598 357347 3156 0 2452 7761 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        let expected = MachineTime {
            busy_seconds: 6790.17,
            stolen_seconds: 77.61,
        };
        let read = MachineTime::parse(text).unwrap();
        assert!(
            (read.busy_seconds - expected.busy_seconds).abs() < 0.001,
            "{read:?}"
        );
        assert!(
            (read.stolen_seconds - expected.stolen_seconds).abs() < 0.001,
            "{read:?}"
        );
        assert_eq!(MachineTime::parse("intr 1 2 3"), None);
        assert_eq!(MachineTime::parse("cpu  1 2 3"), None);
    }

    #[test]
    fn rss_is_read_in_bytes() {
        let text = "55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:                1772 kB\nPss:      432 kB\n";
        assert_eq!(parse_rss(text), Some(1772 * 1024));
        assert_eq!(parse_rss("Pss: 1 kB"), None);
    }

    #[test]
    fn a_family_is_everyone_below() {
        let parents = [
            (1, 0),
            (10, 1),
            (11, 10),
            (12, 11),
            (13, 10),
            (20, 1),
            (21, 20),
        ];
        assert_eq!(descend(10, &parents), [10, 11, 13, 12]);
        assert_eq!(descend(21, &parents), [21]);
    }

    #[test]
    fn our_own_process_is_measured() {
        let me = std::process::id();
        let before = CpuTime::of(&[me]);
        let mut sum = 0u64;
        for i in 0..3_000_000u64 {
            sum = std::hint::black_box(sum.wrapping_add(i));
        }
        let used = CpuTime::of(&[me]) - before;
        assert!(
            used.nanoseconds > 0 && used.nanoseconds < 60_000_000_000,
            "{used:?}"
        );
        assert!(resident_bytes(&[me]) > 500_000);
        assert!(family(me).unwrap().contains(&me));
    }
}
