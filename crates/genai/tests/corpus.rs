//! Goldens: what the spans of real clients mean, one line a span.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::corpus::{bodies, clients};
use common::line;
use spanmill_genai::Deriver;

fn table(client: &str) -> String {
    let deriver = Deriver::default();
    let mut table = String::new();
    for body in bodies(client) {
        for facts in deriver.derive(&body).unwrap() {
            table.push_str(&line(&body, &facts));
            table.push('\n');
        }
    }
    table
}

// The facts of every span of every client stay what they were when they were checked against the truth.
#[test]
fn facts_of_real_spans() {
    for client in clients() {
        insta::assert_snapshot!(client.as_str(), table(&client));
    }
}
