//! The few calls to Linux that Rust's library has no safe name for, each with its argument.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// CPU time of a whole process, user and system, ended threads included, in nanoseconds.
#[allow(unsafe_code)]
pub(crate) fn cpu_nanoseconds(pid: u32) -> io::Result<u64> {
    let mut clock: libc::clockid_t = 0;
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: writes one clockid_t through a pointer to a live local; it answers an error number and does not touch errno.
    let refused = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if refused != 0 {
        return Err(io::Error::from_raw_os_error(refused));
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes one timespec through a pointer to a live local; a process that has ended since is an error, not a hazard.
    check(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    Ok(time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned())
}

/// Keeps this thread, and all that it starts from now on, to `cores`.
pub(crate) fn pin(cores: &[usize]) -> io::Result<()> {
    set_affinity(&cpu_set(cores))
}

/// Keeps the process that `command` starts to `cores` (none: anywhere), and ends it when the thread that starts it ends.
#[allow(unsafe_code)]
pub(crate) fn tie(command: &mut Command, cores: &[usize]) {
    let set = (!cores.is_empty()).then(|| cpu_set(cores));
    let prepare = move || {
        // SAFETY: prctl with PR_SET_PDEATHSIG takes a number and touches no memory.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
        set.as_ref().map_or(Ok(()), set_affinity)
    };
    // SAFETY: between fork and exec `prepare` makes two system calls on memory it owns: no allocation, no lock.
    unsafe { command.pre_exec(prepare) };
}

#[allow(unsafe_code)]
fn cpu_set(cores: &[usize]) -> libc::cpu_set_t {
    // SAFETY: cpu_set_t is an array of integers, for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for &core in cores {
        if core < libc::CPU_SETSIZE as usize {
            // SAFETY: sets one bit of a local; the bound was checked above.
            unsafe { libc::CPU_SET(core, &mut set) };
        }
    }
    set
}

#[allow(unsafe_code)]
fn set_affinity(set: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: reads one cpu_set_t, whose true size is handed over; 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, mem::size_of::<libc::cpu_set_t>(), set) })
}

/// Raises the limit of open files as far as the system lets us, and tells it. Processes that we start inherit it.
#[allow(unsafe_code)]
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: writes one rlimit through a pointer to a live local.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: reads one rlimit through a pointer to a live local.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(limit.rlim_cur)
}

/// Makes this process the parent of those whose parent ends, so that what a server started can be ended and waited for.
#[allow(unsafe_code)]
pub(crate) fn adopt_orphans() -> io::Result<()> {
    // SAFETY: prctl with PR_SET_CHILD_SUBREAPER takes a number and touches no memory.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) })
}

/// Kills the process `pid`; one that is gone is no error.
#[allow(unsafe_code)]
pub(crate) fn kill(pid: u32) {
    if let Some(pid) = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 1) {
        // SAFETY: takes numbers only; a pid above 1 is one process, not a group.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// Waits for the end of `pid` if it is a child, an adopted one too.
#[allow(unsafe_code)]
pub(crate) fn reap(pid: u32) {
    if let Some(pid) = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 1) {
        // SAFETY: takes numbers and a null pointer, which waitpid allows: nobody asks for the status.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    }
}

/// The ports from which the kernel takes those of outgoing connections.
pub(crate) fn ephemeral_ports() -> io::Result<std::ops::RangeInclusive<u16>> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let mut ports = text.split_ascii_whitespace().map(str::parse);
    match (ports.next(), ports.next()) {
        (Some(Ok(first)), Some(Ok(last))) => Ok(first..=last),
        _ => Err(io::Error::other(format!("not a range of ports: {text}"))),
    }
}

/// Leaves the choice of a port to connect, where the other end is known: it then has to be free for that pair only.
#[allow(unsafe_code)]
pub(crate) fn bind_without_port(socket: &impl AsRawFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let len = mem::size_of_val(&on) as libc::socklen_t;
    // SAFETY: reads one int from a live local, whose true size is handed over.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            len,
        )
    })
}

/// A timer whose file descriptor becomes readable to the microsecond; tokio's own timers count in milliseconds.
#[derive(Debug)]
pub(crate) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// An alarm that is not set; inside a tokio runtime.
    #[allow(unsafe_code)]
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes numbers only.
        let fd = unsafe {
            libc::timerfd_create(
                libc::CLOCK_MONOTONIC,
                libc::TFD_NONBLOCK | libc::TFD_CLOEXEC,
            )
        };
        check(fd)?;
        // SAFETY: the descriptor is new, valid and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: an OwnedFd is the same open descriptor as long as it lives, and it moves into the AsyncFd, which closes it.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        fd.map(Self).map_err(io::Error::from)
    }

    /// Waits until the alarm goes off.
    pub(crate) async fn ring(&self) -> io::Result<()> {
        self.0.readable().await?.clear_ready();
        Ok(())
    }

    /// Goes off once after `wait`; setting it anew also makes it unreadable again.
    #[allow(unsafe_code)]
    pub(crate) fn set(&self, wait: Duration) -> io::Result<()> {
        let mut spec = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
        };
        spec.it_value.tv_sec = libc::time_t::try_from(wait.as_secs()).map_err(io::Error::other)?;
        // Zero would switch it off.
        spec.it_value.tv_nsec = libc::c_long::from(wait.subsec_nanos()).max(1);
        // SAFETY: reads one itimerspec from a live local and writes nothing, the old value being declined with null.
        check(unsafe {
            libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut())
        })
    }
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
