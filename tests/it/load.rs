//! The load tool drives the gateway: that it works, not how fast.

use serde_json::Value;
use tokio::process::Command;

use crate::app::BINARY;
use crate::sdk::{built, succeeds};

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
