//! What `/metrics` counts: a known traffic, and every series that it moves.

use harness::{Answer, Request, Table, eventually};
use serde_json::json;

use crate::app::{App, only_the_echo_comes_back};

#[tokio::test]
async fn each_series_counts_what_its_name_says() {
    let app = App::alone("").await;
    let (mut ada, id) = app.connect().await;
    let (mut bob, gone) = app.connect().await;
    app.backend.on("/connect", |_| Answer::status(401));
    assert_eq!(app.gateway.handshake("/dev").status().await, 401);
    assert_eq!(app.gateway.handshake("/nowhere").status().await, 403);

    only_the_echo_comes_back(&mut ada, "one").await;
    only_the_echo_comes_back(&mut bob, "two").await;
    app.backend.on("/sendmessage", |_| Answer::hang_up());
    ada.send_json(&json!({"action": "sendmessage"})).await;
    // The error frame.
    ada.next_json().await;

    for text in ["first", "second"] {
        assert_eq!(app.gateway.push(&id, text).await.status, 200);
        assert_eq!(ada.next_text().await, text);
    }
    bob.close(Some((1000, ""))).await;
    app.backend.next("/disconnect").await;
    assert_eq!(app.gateway.push(&gone, "late").await.status, 410);
    let told =
        r#"wiregate_integration_latency_seconds_count{api="chat",stage="dev",route="$disconnect"}"#;
    eventually("the end is told and counted", async || {
        (app.gateway.metric(told).await == Some(1.0)).then_some(())
    })
    .await;

    let page = Request::get(app.gateway.management(), "/metrics");
    let page = page.send().await.text();
    let mut table = Table::about("series");
    for expected in SERIES.lines() {
        let name = expected.rsplit_once(' ').unwrap().0;
        let got = page
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        table.row(name, got, Some(expected));
    }
    // Nothing else was counted: the families whose series are all above.
    for family in [
        "wiregate_connects_total",
        "wiregate_refused_handshakes_total",
        "wiregate_closes_total",
        "wiregate_errors_total",
    ] {
        let of = |text: &str| text.lines().filter(|line| line.starts_with(family)).count();
        table.row(family, of(&page), of(SERIES));
    }
}

const SERIES: &str = r#"wiregate_connections 1
wiregate_connects_total{api="chat",stage="dev",status="101"} 2
wiregate_connects_total{api="chat",stage="dev",status="401"} 1
wiregate_refused_handshakes_total{kind="ACCESS_DENIED",fault="caller"} 1
wiregate_closes_total{cause="client"} 1
wiregate_messages_total{direction="in"} 3
wiregate_messages_total{direction="out"} 5
wiregate_routed_messages_total{api="chat",stage="dev",route="echo"} 2
wiregate_routed_messages_total{api="chat",stage="dev",route="sendmessage"} 1
wiregate_routed_messages_total{api="chat",stage="dev",route="$default"} 0
wiregate_integration_latency_seconds_count{api="chat",stage="dev",route="echo"} 2
wiregate_integration_latency_seconds_count{api="chat",stage="dev",route="sendmessage"} 1
wiregate_integration_latency_seconds_count{api="chat",stage="dev",route="$connect"} 3
wiregate_integration_latency_seconds_count{api="chat",stage="dev",route="$default"} 0
wiregate_errors_total{kind="INTEGRATION_FAILURE",fault="backend"} 1
wiregate_pushes_total{result="sent"} 2
wiregate_pushes_total{result="gone"} 1
wiregate_pushes_total{result="held"} 0
wiregate_pushes_total{result="refused"} 0
wiregate_slow_consumers_total 0
wiregate_disconnects_owed 0
wiregate_panics_total 0"#;
