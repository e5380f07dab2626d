//! Goldens: what the spans of real clients mean, one line a span.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::path::PathBuf;

use common::line;
use spanmill_genai::Deriver;

fn bodies(client: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus").join(client);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".traces.binpb"));
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

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

// The facts of every span of one client of each dialect stay what they were when they were checked against the truth.
#[test]
fn facts_of_real_spans() {
    for client in [
        "anthropic-sdk-native",
        "google-adk",
        "langfuse",
        "langsmith-otel",
        "litellm",
        "logfire-pydantic-ai",
        "mlflow-3.17",
        "openai-agents-oinf",
        "openlit",
        "openllmetry-0.40",
        "otel-openai-v2",
        "strands-agents",
        "vercel-ai-sdk-5",
    ] {
        insta::assert_snapshot!(client, table(client));
    }
}
