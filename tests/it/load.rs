//! The load tool drives the gateway: that it works, not how fast.

use std::io::Write;

use serde_json::Value;
use tokio::process::Command;

use crate::app::BINARY;
use crate::sdk::{built, succeeds};

/// Set where nothing else runs.
const ALONE: &str = "TESTS_ALONE";

async fn figures(scenario: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let mut command = Command::new(built("loadtest", "loadtest").await);
    command.arg(scenario).args(["--wiregate", BINARY]);
    command.args([
        "--connections",
        "8",
        "--seconds",
        "1",
        "--warm-up",
        "0",
        "--runs",
        "1",
    ]);
    succeeds(command.arg("--json").arg(&report)).await;
    let text = std::fs::read_to_string(&report).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    report["trials"][0]["figures"].clone()
}

#[tokio::test]
async fn the_load_tool_routes_messages_through_the_gateway() {
    let figures = figures("route").await;
    assert_eq!(figures["failures"], 0.0, "{figures}");
    assert!(
        figures["messages_per_second"].as_f64().unwrap() > 0.0,
        "{figures}"
    );
}

#[tokio::test]
async fn the_load_tool_pushes_through_the_gateway() {
    let figures = figures("push").await;
    assert_eq!(figures["failures"], 0.0, "{figures}");
    assert_eq!(figures["lost"], 0.0, "{figures}");
}

#[tokio::test]
async fn the_load_tool_lets_connections_come_and_go() {
    let figures = figures("churn").await;
    assert_eq!(figures["failures"], 0.0, "{figures}");
    assert!(figures["lives"].as_f64().unwrap() > 0.0, "{figures}");
}

/// A step of its own in `tests/run`: it keeps all cores busy for a while, which other tests would feel. Needs 3 GiB of memory.
#[tokio::test]
async fn a_hundred_thousand_connections_are_held_and_all_of_them_live() {
    if std::env::var_os(ALONE).is_none() {
        // Past the capture of tests.
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED 100,000 connections: set {ALONE}=1 and run it alone, as tests/run does\n"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let mut command = Command::new(built("loadtest", "loadtest").await);
    command.args(["idle", "--connections", "100000", "--processes", "auto"]);
    command.args(["--wiregate", BINARY]);
    command.arg("--json").arg(&report).kill_on_drop(true);
    // Half a minute on two free cores; a machine that others use too may take several.
    let limit = std::time::Duration::from_mins(5);
    let output = tokio::time::timeout(limit, command.output()).await;
    let output = output.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let figures = &report["trials"][0]["figures"];
    for alive in ["connections_alive", "connections_counted"] {
        assert_eq!(figures[alive], 100_000.0, "{figures:#}");
    }
    assert!(
        figures["messages_answered"].as_f64().unwrap() >= 1000.0,
        "{figures:#}"
    );
    // Without optimization futures are larger.
    if !cfg!(debug_assertions) {
        let each = figures["rss_bytes_per_connection_after_check"].as_f64();
        assert!(each.unwrap() <= 4096.0, "{figures:#}");
    }
}
