//! Which paths lead where, whatever is created.

use harness::Request;
use serde_json::json;

use super::{Plane, api, deploy, made, two_way};
use crate::app::only_the_echo_comes_back;

/// An API with an echo, deployed at a stage of this name.
async fn echo(plane: &Plane, name: &str, stage: &str) -> String {
    let id = api(plane.at(), name).await;
    let integration = super::integration(plane.at(), &id, &plane.backend.url("/echo")).await;
    two_way(plane.at(), &id, "echo", &integration).await;
    let deployment = deploy(plane.at(), &id).await;
    let body = json!({"stageName": stage, "deploymentId": deployment});
    made(plane.at(), &format!("/v2/apis/{id}/stages"), body).await;
    id
}

#[tokio::test]
async fn an_api_that_comes_later_takes_no_path_from_an_older_one() {
    let plane = Plane::start().await;
    let http = json!({"name": "h", "protocolType": "HTTP", "target": "http://127.0.0.1:9/"});
    made(plane.at(), "/v2/apis", http).await;
    let first = echo(&plane, "first", "prod").await;
    let mut clients = Vec::new();
    for name in ["second", "third", "fourth"] {
        echo(&plane, name, "prod").await;
        clients.push(plane.gateway.connect("/prod").await);
        let path = format!("/wiregate/connections?apiId={first}");
        let list = Request::get(plane.at(), &path).send().await.json();
        let found = list["items"].as_array().unwrap().len();
        assert_eq!(found, clients.len(), "{name} is there");
    }
}

#[tokio::test]
async fn a_stage_called_v2_is_pushed_to_below_its_name() {
    let plane = Plane::start().await;
    let id = echo(&plane, "versions", "v2").await;
    let mut client = plane.gateway.connect("/v2").await;
    only_the_echo_comes_back(&mut client, "v2").await;
    let list = Request::get(plane.at(), "/wiregate/connections")
        .send()
        .await
        .json();
    let connection = list["items"][0]["connectionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v2/@connections/{connection}");
    assert_eq!(
        Request::post(plane.at(), &path, "pushed")
            .send()
            .await
            .status,
        200
    );
    assert_eq!(client.next_text().await, "pushed");
    assert_eq!(
        Request::get(plane.at(), &format!("/v2/apis/{id}"))
            .send()
            .await
            .status,
        200
    );
}
