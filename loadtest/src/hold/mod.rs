//! `idle --processes`: more connections than one process may have descriptors. Several servers and as many generators, each pair with
//! a port of its own; this process only conducts them.

mod generator;
mod memory;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use generator::Generator;
pub(crate) use generator::hold;
use memory::Memory;
use serde_json::json;

use crate::backend::Backend;
use crate::error::LoadError;
use crate::measure::figure::{self, Figures, Metric};
use crate::measure::processes::{self, CpuTime};
use crate::plan::Plan;
use crate::report::{Report, Trial};
use crate::scenario::idle::{Idle, Processes};
use crate::subject::{Need, Running, Subject};

/// Memory of both ends of one connection, bytes, a little more than was ever measured: kernel, server, generator.
const BOTH_ENDS: u64 = 17 * 1024;
/// Memory left to everybody else, bytes.
const REST: u64 = 1 << 30;

const fn metric(key: &'static str, title: &'static str, decimals: usize) -> Metric {
    Metric {
        key,
        title,
        decimals,
    }
}

const HELD: Metric = metric("connections_alive", "connections alive at the end", 0);
const COUNTED: Metric = metric(
    "connections_counted",
    "connections that the servers count",
    0,
);
const ANSWERED: Metric = metric("messages_answered", "of these, messages answered", 0);
const SERVERS: Metric = metric("server_processes", "server processes", 0);
const SECONDS: Metric = metric("seconds_to_open", "seconds to open all", 2);
const RATE: Metric = metric("connects_per_second", "connects/s", 0);
const CPU: Metric = metric("cpu_us_per_connect", "CPU µs/connect", 2);
const AFTER: Metric = metric(
    "rss_bytes_per_connection_after_check",
    "…after a ping on each",
    0,
);
const GENERATOR: Metric = metric(
    "generator_bytes_per_connection",
    "generators' RSS bytes/connection",
    0,
);
const KERNEL: Metric = metric(
    "slab_bytes_per_connection",
    "kernel (slab) bytes/connection, both ends",
    0,
);
const MACHINE: Metric = metric(
    "machine_bytes_per_connection",
    "memory used/connection, everything",
    0,
);
const CHECK: Metric = metric("seconds_to_check", "seconds to ask all", 2);

/// Opens all, measures, asks each, and closes; as often as the plan says, for each subject.
pub(crate) fn carry_out(plan: &Plan, idle: &Idle, files: u64) -> Result<Report, LoadError> {
    let most = usize::try_from(crate::cli::most_connections(files)).unwrap_or(usize::MAX);
    let needed = idle.connections.div_ceil(most.max(1));
    let pairs = match idle.processes {
        Some(Processes::Exactly(pairs)) if pairs < needed => {
            return Err(LoadError::Usage(format!(
                "{} connections need at least {needed} processes, the limit of open files being {files}",
                idle.connections
            )));
        }
        Some(Processes::Exactly(pairs)) => pairs,
        _ => needed,
    };
    let needed = idle.connections as u64 * BOTH_ENDS + REST;
    let available = Memory::now()?.available;
    if available < needed {
        return Err(LoadError::Usage(format!(
            "{} connections and their clients need about {} MiB, and {} MiB are available",
            idle.connections,
            needed >> 20,
            available >> 20
        )));
    }
    let backend = Backend::start()?;
    let need = Need {
        minimal: Some(crate::subject::Minimal::Idle),
        ..Need::plain(&backend)
    };
    let mut trials = Vec::new();
    for run in 1..=plan.runs {
        for &subject in &plan.subjects {
            let say = |what: &str| eprintln!("idle run {run}/{} {subject}: {what}", plan.runs);
            let at_once = idle.at_once.map_or(plan.machine_cores, usize::from);
            let spread = (pairs, at_once);
            let figures = measure(plan, subject, &need, idle.connections, spread, say)?;
            trials.push(Trial {
                run,
                subject: subject.to_string(),
                figures,
                first_failure: None,
            });
        }
    }
    Ok(Report {
        title: format!(
            "idle: {} connections over {pairs} servers and as many generators",
            idle.connections
        ),
        settings: json!({
            "scenario": "idle",
            "connections": idle.connections,
            "processes": pairs,
            "pairsAtOnce": idle.at_once.map_or(plan.machine_cores, usize::from),
            "runs": plan.runs,
            "machineCores": plan.machine_cores,
        }),
        trials,
    })
}

fn measure(
    plan: &Plan,
    subject: Subject,
    need: &Need,
    connections: usize,
    (pairs, at_once): (usize, usize),
    say: impl Fn(&str),
) -> Result<Figures, LoadError> {
    // One thread each: there are more servers than cores already.
    let subject = if subject == Subject::Wiregate {
        Subject::OneWorker
    } else {
        subject
    };
    let servers = (0..pairs)
        .map(|_| subject.start(&plan.launch, need))
        .collect::<Result<Vec<Running>, _>>()?;
    let mut generators = servers
        .iter()
        .enumerate()
        .map(|(number, server)| {
            let share = connections * (number + 1) / pairs - connections * number / pairs;
            Generator::start(server, share)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let pids = servers
        .iter()
        .map(Running::pids)
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    let generator_pids: Vec<u32> = generators.iter().map(Generator::id).collect();
    say(&format!("{pairs} servers are ready"));

    let base = processes::resident_bytes(&pids);
    let generator_base = processes::resident_bytes(&generator_pids);
    let (memory, cpu) = (Memory::now()?, CpuTime::of(&pids));
    let since = Instant::now();
    let mut opened = 0;
    for wave in generators.chunks_mut(at_once) {
        tell_all(wave, "open")?;
        opened += hear_all(wave).map_err(|error| with_logs(&error, &servers))?;
        let available = Memory::now()?.available;
        if available < REST {
            return Err(LoadError::Trial(format!(
                "stopped at {opened} connections: {} MiB of memory are left",
                available >> 20
            )));
        }
    }
    let seconds = since.elapsed().as_secs_f64();
    say(&format!("{opened} connections in {seconds:.1} s"));
    settle(&pids);
    let used = CpuTime::of(&pids) - cpu;
    let full = Memory::now()?;
    let count = connections as f64;
    let each = |now: u64, before: u64| now.saturating_sub(before) as f64 / count;
    let resident = processes::resident_bytes(&pids);
    let generator_resident = processes::resident_bytes(&generator_pids);

    let since = Instant::now();
    let mut answered = 0;
    // All at once, what is under way would be more than the kernel has memory for, and pongs would come too late.
    for wave in generators.chunks_mut(at_once) {
        tell_all(wave, "check")?;
        answered += hear_all(wave).map_err(|error| with_logs(&error, &servers))?;
    }
    let checked = since.elapsed().as_secs_f64();
    let counted = if subject.is_wiregate() {
        servers
            .iter()
            .map(|server| counted(server.management))
            .sum::<Result<u64, _>>()?
    } else {
        opened
    };
    if opened != connections as u64 || counted != opened {
        return Err(LoadError::Trial(format!(
            "{connections} connections were asked for, {opened} opened, and the servers count {counted}"
        )));
    }
    say(&format!("all alive, asked in {checked:.1} s"));
    Ok(vec![
        (HELD, opened as f64),
        (COUNTED, counted as f64),
        (ANSWERED, answered as f64),
        (SERVERS, pairs as f64),
        (SECONDS, seconds),
        (RATE, count / seconds),
        (CPU, used.nanoseconds as f64 / 1e3 / count),
        (figure::RESIDENT_EACH, each(resident, base)),
        (AFTER, each(processes::resident_bytes(&pids), base)),
        (GENERATOR, each(generator_resident, generator_base)),
        (KERNEL, each(full.slab, memory.slab)),
        (MACHINE, each(memory.available, full.available)),
        (CHECK, checked),
        (figure::FAILURES, 0.0),
    ])
}

/// A failure, with what the servers said at the end.
fn with_logs(error: &LoadError, servers: &[Running]) -> LoadError {
    let logs: Vec<String> = servers
        .iter()
        .map(Running::last_words)
        .filter(|log| !log.is_empty())
        .collect();
    LoadError::Trial(format!("{error}\n{}", logs.join("\n")))
}

fn tell_all(generators: &mut [Generator], what: &str) -> Result<(), LoadError> {
    generators
        .iter_mut()
        .try_for_each(|generator| generator.tell(what))
}

/// The sum of what all say; the first failure ends it.
fn hear_all(generators: &mut [Generator]) -> Result<u64, LoadError> {
    generators.iter_mut().map(Generator::hear).sum()
}

/// Waits until the servers have nothing left to do, or for some seconds if they always have.
fn settle(pids: &[u32]) {
    let mut before = CpuTime::of(pids);
    for _ in 0..30 {
        std::thread::sleep(Duration::from_millis(200));
        let now = CpuTime::of(pids);
        if (now - before).nanoseconds < 4_000_000 {
            return;
        }
        before = now;
    }
}

/// `wiregate_connections` of `/metrics`, all APIs together.
fn counted(management: SocketAddr) -> Result<u64, LoadError> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(management)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: {management}\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = ask().map_err(LoadError::system("/metrics did not answer"))?;
    parse_count(&text).ok_or_else(|| {
        LoadError::protocol("/metrics has no wiregate_connections: is that Wiregate?")
    })
}

fn parse_count(metrics: &str) -> Option<u64> {
    metrics
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("wiregate_connections")?;
            let (labels, value) = rest.rsplit_once(' ')?;
            (labels.is_empty() || labels.starts_with('{')).then_some(value)
        })
        .map(|value| value.trim().parse().ok())
        .reduce(|sum, value| Some(sum? + value?))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(metrics: &str, expected: Option<u64>) {
        assert_eq!(parse_count(metrics), expected);
    }

    #[test]
    fn the_gauge_is_read_and_no_other() {
        check("wiregate_connections 7\n", Some(7));
        check(
            "# TYPE wiregate_connections gauge\nwiregate_connections{api=\"a\"} 7\nwiregate_connections{api=\"b\"} 2\n\
             wiregate_connections_total 99\n",
            Some(9),
        );
        check("wiregate_connections_total 99\n", None);
        check("", None);
    }
}
