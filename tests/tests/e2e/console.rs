//! Page and API of the running server.

use serde_json::{Value, json};
use spanmill_tests::{Client, Setup, Signal, Spanmill, corpus, eventually, get, post};

use crate::corpus::replayed;
use crate::spans::{call, payload};

const JSON: (&str, &str) = ("content-type", "application/json");

// What the clients of the corpus sent is what the API says and the page shows: in all, and by model.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_the_corpus_comes_to() {
    let spanmill = Spanmill::start(&Setup::default());
    let client = Client::grpc(spanmill.addresses);
    for payload in corpus().iter().flat_map(|client| &client.payloads).filter(|one| one.signal == Signal::Traces) {
        client.send(payload).await.unwrap();
    }
    let (truth, admin) = (replayed(), spanmill.addresses.admin);
    let told = eventually("everything is watched", async || {
        let told = get(admin, "/api/v1/overview?range=15m").await.json();
        (told["totals"]["requests"] == truth.requests).then_some(told)
    })
    .await;
    let totals = &told["totals"];
    assert_eq!(totals["failed"], truth.errors);
    let figure = |name: &str| totals["figures"][name].as_f64().unwrap();
    assert_eq!(
        (figure("input_tokens"), figure("output_tokens")),
        (truth.tokens.input as f64, truth.tokens.output as f64)
    );
    for model in told["models"].as_array().unwrap().iter().filter(|model| model["name"] != "_OTHER") {
        let expected = &truth.by_model[model["name"].as_str().unwrap()];
        assert_eq!(model["totals"]["requests"], expected.requests, "{}", model["name"]);
        assert_eq!(model["totals"]["failed"], expected.errors, "{}", model["name"]);
    }
    eventually("the page shows it", async || {
        let page = get(admin, "/?range=15m").await.text();
        let requests = format!("<data value=\"{}\">", truth.requests);
        let failed = format!("<data value=\"{}\">", truth.errors);
        (page.contains(&requests) && page.contains(&failed)).then_some(())
    })
    .await;
    assert_eq!(get(admin, "/api/v1/health").await.json()["unaccounted_spans"], 0);
    spanmill.stop();
}

// What is done to a monitor is done when that is answered, and stays so after `kill -9`.
#[tokio::test(flavor = "multi_thread")]
async fn commands_outlive_the_process() {
    let setup = Setup { wal: "enabled: true", ..Setup::default() };
    let spanmill = Spanmill::start(&setup);
    Client::grpc(spanmill.addresses).send(&payload(vec![call(1, "gpt-4o")])).await.unwrap();
    let admin = spanmill.addresses.admin;
    let created = post(admin, "/api/v1/monitors", &[JSON], json!({ "name": "mine" }).to_string()).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let again = post(admin, "/api/v1/monitors", &[JSON], json!({ "name": "mine" }).to_string()).await;
    assert_eq!((again.status.as_u16(), &again.json()["status"]), (409, &json!(409)));
    assert_eq!(post(admin, "/api/v1/monitors/mine/pause", &[JSON], "{}").await.status, 204);
    let spanmill = Spanmill::start_in(spanmill.kill(), &setup);
    let monitors: Value = get(spanmill.addresses.admin, "/api/v1/monitors").await.json();
    assert_eq!((&monitors[0]["name"], &monitors[0]["state"]), (&json!("mine"), &json!("paused")));
    spanmill.stop();
}
