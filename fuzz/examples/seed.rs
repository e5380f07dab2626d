//! Writes the seeds of the fuzz targets: the real payloads of tests/corpus, each cut to the first span of every scope, as
//! libFuzzer works best with small inputs.

#[path = "../fuzz_targets/checkpoint/settings.rs"]
mod settings;

use std::fs;
use std::path::Path;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanmill_aggregate::{Logged, Pipeline, Record};
use spanmill_genai::Deriver;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for client in fs::read_dir(here.join("../tests/corpus"))? {
        let client = client?;
        if !client.file_type()?.is_dir() {
            continue;
        }
        for payload in fs::read_dir(client.path())? {
            let payload = payload?.path();
            let Some(file) = payload.file_name().and_then(|file| file.to_str()) else { continue };
            let name = format!("{}-{file}", client.file_name().display());
            let body = fs::read(&payload)?;
            let json = if file.ends_with(".traces.binpb") {
                let mut request = ExportTraceServiceRequest::decode(body.as_slice())?;
                for resource_spans in &mut request.resource_spans {
                    resource_spans.scope_spans.iter_mut().for_each(|scope_spans| scope_spans.spans.truncate(1));
                }
                write(here, "otlp_reader", &name, &request.encode_to_vec())?;
                write(here, "derive", &name, &request.encode_to_vec())?;
                write(here, "explain", &name, &request.encode_to_vec())?;
                write(here, "checkpoint", &name, &checkpoint(request.encode_to_vec(), Record::Tick)?)?;
                write(
                    here,
                    "checkpoint",
                    &format!("{name}-drained"),
                    &checkpoint(request.encode_to_vec(), Record::Drain)?,
                )?;
                serde_json::to_vec(&request)?
            } else if file.ends_with(".metrics.binpb") {
                serde_json::to_vec(&ExportMetricsServiceRequest::decode(body.as_slice())?)?
            } else if file.ends_with(".logs.binpb") {
                serde_json::to_vec(&ExportLogsServiceRequest::decode(body.as_slice())?)?
            } else {
                continue;
            };
            write(here, "otlp_json", &name, &json)?;
        }
    }
    for (number, seed) in PRICES.iter().enumerate() {
        write(here, "prices", &number.to_string(), seed.as_bytes())?;
    }
    Ok(())
}

/// A blank is followed by what is looked for, an exclamation mark by a catalogue (see the target).
const PRICES: &[&str] = &[
    " openai\nft:gpt-4o-2024-08-06:org::id\ngpt-4o-20240806\n\u{1}\u{1}\0\0\u{1}\0\0\0",
    " aws.bedrock\narn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0\n\n",
    " \nopenrouter/google/gemini-2.5-flash-001\nmodels/gemini-2.5-flash@latest\n",
    " https://api.x.ai/v1\ngrok-4.3-20260101\n\n",
    r#"![{"id": "p", "provider_match": {"contains": "p"}, "model_match": {"regex": "^m(?!x)"}, "fallback_model_providers": ["q"],
        "models": [{"id": "m", "match": {"or": [{"equals": "m"}, {"starts_with": "n"}]}, "prices": [
        {"prices": {"input_mtok": 0.08333333333333334, "output_mtok": {"base": 1e-3, "tiers": [{"start": 5, "price": 2}]}}},
        {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": 1, "cache_read_mtok": 0.1}},
        {"constraint": {"start_time": "00:30:00Z", "end_time": "16:30:00+01:00"}, "prices": {"requests_kcount": 5}}],
        "price_variants": [{"when": {"processing": "batch"}, "prices": {"input_mtok": 1}}]}]}, {"id": "q", "models": []}]"#,
];

/// The state after a request and a record. Nobody wants applied requests, as the target has not got their bodies.
fn checkpoint(request: Vec<u8>, last: Record) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let traces = Record::of_traces(&Deriver::default(), request.into(), None, false)?;
    let mut pipeline = Pipeline::new(settings::settings(None));
    for (lsn, record) in (1..).zip(traces.into_iter().chain([last])) {
        pipeline.apply(Logged { lsn, receive_time: 1_700_000_000_000_000_000, record }, drop);
    }
    Ok(pipeline.checkpoint())
}

fn write(here: &Path, target: &str, name: &str, seed: &[u8]) -> std::io::Result<()> {
    let folder = here.join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), seed)
}
