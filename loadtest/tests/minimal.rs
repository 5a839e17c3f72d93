//! Each scenario runs whole against its minimal program: server, backend, generator and report, without a gateway.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

fn loadtest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(arguments)
        .output()
        .expect("the binary is built beside this test")
}

/// Runs a scenario for a second and gives its figures.
#[track_caller]
fn figures(name: &str, arguments: &[&str]) -> Value {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let path = file
        .to_str()
        .expect("the target folder has a name in UTF-8");
    let common = [
        "--subjects",
        "limit",
        "--runs",
        "1",
        "--seconds",
        "1",
        "--warm-up",
        "0",
        "--json",
        path,
    ];
    let output = loadtest(&[arguments, &common].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("median [min-max] of 1 runs"), "{text}");
    let json = fs::read_to_string(&file).expect("--json names a file that is written");
    let json: Value = serde_json::from_str(&json).expect("--json writes JSON");
    let figures = json["trials"][0]["figures"].clone();
    assert_eq!(figures["failures"], 0.0, "{json:#}");
    figures
}

#[track_caller]
fn check_positive(figures: &Value, keys: &[&str]) {
    for key in keys {
        assert!(
            figures[key].as_f64().is_some_and(|value| value > 0.0),
            "{key}: {figures:#}"
        );
    }
}

#[test]
fn route() {
    let figures = figures("route", &["echo", "--connections", "8"]);
    check_positive(
        &figures,
        &[
            "cpu_us_per_message",
            "messages_per_second",
            "p50_us",
            "p99_us",
            "max_us",
            "rss_mib",
        ],
    );
}

#[test]
fn route_over_tls() {
    for (name, manner) in [("tls", None), ("tls-turns", Some("--turns"))] {
        let arguments = ["route", "--connections", "8", "--tls"];
        let arguments: Vec<&str> = arguments.into_iter().chain(manner).collect();
        let figures = figures(name, &arguments);
        check_positive(&figures, &["cpu_us_per_message", "p50_us"]);
    }
}

#[test]
fn route_in_an_open_loop_on_two_lanes() {
    let figures = figures(
        "open",
        &[
            "route",
            "--connections",
            "8",
            "--open-loop",
            "200",
            "--generator-threads",
            "2",
        ],
    );
    let rate = figures["messages_per_second"].as_f64().unwrap();
    assert!((150.0..=250.0).contains(&rate), "{rate} in place of 200");
}

#[test]
fn push() {
    for (name, manner) in [
        ("push", "--posters=8"),
        ("push-new", "--connection-per-post"),
    ] {
        let figures = figures(name, &["push", "--connections", "32", manner]);
        check_positive(
            &figures,
            &["cpu_us_per_message", "p50_us", "delivery_p50_us"],
        );
        assert_eq!(figures["lost"], 0.0);
    }
}

#[test]
fn in_turns() {
    for scenario in ["route", "push"] {
        let figures = figures(
            &format!("turns-{scenario}"),
            &[scenario, "--connections", "8", "--turns"],
        );
        check_positive(
            &figures,
            &["cpu_us_per_message", "messages_per_second", "p50_us"],
        );
    }
}

#[test]
fn broadcast() {
    let figures = figures("broadcast", &["broadcast", "--connections", "32"]);
    check_positive(&figures, &["cpu_us_per_message", "last_socket_p50_us"]);
}

#[test]
fn connect_with_and_without_the_backend() {
    check_positive(
        &figures("connect", &["connect", "--connections", "200"]),
        &["cpu_us_per_connect", "p50_us"],
    );
    let asked = figures("asked", &["connect", "--connections", "200", "--backend"]);
    check_positive(&asked, &["cpu_us_per_connect", "cpu_us_per_close"]);
}

#[test]
fn idle() {
    let figures = figures("idle", &["idle", "--connections", "200"]);
    check_positive(
        &figures,
        &[
            "rss_bytes_per_connection",
            "rss_bytes_per_connection_after_large",
        ],
    );
}

#[test]
fn idle_over_several_processes() {
    let figures = figures(
        "spread",
        &[
            "idle",
            "--connections",
            "300",
            "--processes",
            "3",
            "--at-once",
            "2",
        ],
    );
    check_positive(&figures, &["rss_bytes_per_connection", "seconds_to_open"]);
    assert_eq!(figures["connections_alive"], 300.0);
    assert_eq!(figures["server_processes"], 3.0);
    assert_eq!(figures["messages_answered"], 3.0);
}

/// What Ctrl-C at a terminal asks for.
#[test]
fn a_run_that_is_stopped_leaves_nothing_behind() {
    let temporary = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("stopped");
    fs::create_dir_all(&temporary).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["route", "--subjects", "limit", "--seconds", "60"])
        .env("TMPDIR", &temporary)
        .spawn()
        .unwrap();
    let servers = || {
        let children = format!("/proc/{0}/task/{0}/children", run.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        let pids = children.split_ascii_whitespace();
        pids.map(str::to_owned).collect::<Vec<_>>()
    };
    let folders = || fs::read_dir(&temporary).unwrap().count();
    let until = Instant::now() + Duration::from_secs(30);
    let mut pids = servers();
    while (pids.is_empty() || folders() == 0) && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
        pids = servers();
    }
    assert!(!pids.is_empty() && folders() > 0, "nothing was started");
    let interrupt = Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_eq!(folders(), 0);
    for pid in pids {
        assert!(!Path::new("/proc").join(&pid).exists(), "{pid} is left");
    }
}

#[test]
fn a_report_is_made_of_its_json_alone() {
    let docs = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("docs");
    fs::create_dir_all(docs.join("performance")).unwrap();
    let trial = |subject: &str, cpu: f64| {
        let figures = serde_json::json!({ "cpu_us_per_message": cpu });
        serde_json::json!({ "run": 1, "subject": subject, "figures": figures })
    };
    let results = serde_json::json!({ "exhibits": { "peers-push": {
        "heading": "Peers", "title": "push", "settings": { "runs": 1 }, "table": [["", "a"], ["b", "c"]],
        "trials": [trial("wiregate", 7.0), trial("limit", 6.0), trial("pushpin", 63.0)],
    } } });
    fs::write(docs.join("performance/results.json"), results.to_string()).unwrap();
    let (begin, end) = (
        "<!-- loadtest report: begin -->",
        "<!-- loadtest report: end -->",
    );
    let page = docs.join("performance.md");
    fs::write(&page, format!("# Mine\n{begin}\nold\n{end}\nmine too\n")).unwrap();
    let path = docs.to_str().unwrap();
    let output = loadtest(&["report", "--render", "--docs", path]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.starts_with("# Mine\n") && text.ends_with("\nmine too\n"));
    assert!(
        text.contains("CPU of Pushpin, by ours | ≥ 10× | 9.00× | **no** |"),
        "{text}"
    );
    assert!(text.contains("by 10 % of the goal"), "{text}");
    assert!(text.contains("](performance/push-cpu.svg)"), "{text}");
    let svg = fs::read_to_string(docs.join("performance/push-cpu.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("63.0"), "{svg}");
}

#[test]
fn slow_reader() {
    let none = figures("none-slow", &["slow-reader", "--stalled", "0"]);
    check_positive(&none, &["delivery_p50_us"]);
    let figures = figures(
        "slow",
        &[
            "slow-reader",
            "--stalled",
            "2",
            "--connections",
            "4",
            "--rate",
            "100",
        ],
    );
    check_positive(
        &figures,
        &[
            "accepted_kib_per_stalled",
            "stalled_200",
            "stalled_429",
            "delivery_p50_us",
        ],
    );
    assert_eq!(figures["lost"], 0.0);
}

#[track_caller]
fn check_refused(arguments: &[&str], expected: &str) {
    let output = loadtest(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_is_not_possible_is_said_before_anything_starts() {
    check_refused(
        &["route", "--wiregate", "/nowhere/wiregate"],
        "cargo build --release -p wiregate",
    );
    check_refused(&["route", "--connections", "0"], "limit of open files");
    check_refused(
        &["idle", "--connections", "99000000"],
        "limit of open files",
    );
    check_refused(&["mixed", "--subjects", "limit"], "no minimal program");
    check_refused(&["idle", "--turns"], "--turns is for");
    check_refused(&["route", "--runs", "0"], "--runs");
    check_refused(
        &[
            "route",
            "--subjects",
            "limit,pushpin",
            "--tools",
            "/nowhere",
        ],
        "run loadtest/peers/install",
    );
    check_refused(
        &["push", "--subjects", "limit,nginx"],
        "nginx cannot do this",
    );
    let spread = |processes| {
        [
            "idle",
            "--connections",
            "100000000",
            "--processes",
            processes,
        ]
    };
    check_refused(
        &[&spread("7")[..], &["--subjects", "limit"]].concat(),
        "need at least",
    );
    check_refused(
        &[&spread("auto")[..], &["--subjects", "limit"]].concat(),
        "MiB are available",
    );
    check_refused(&["idle", "--processes", "0"], "`auto`, or a number");
    check_refused(&["idle", "--at-once", "2"], "--processes");
    check_refused(
        &["push", "--subjects", "limit", "--tls"],
        "nobody can do this over TLS",
    );
    check_refused(&["report", "--only", "nothing"], "route-64");
}
