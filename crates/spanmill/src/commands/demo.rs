//! `spanmill demo`: a whole Spanmill in a temporary directory, fed with what real clients sent.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;

use super::{block_on, told_to_stop};
use crate::config::Config;
use crate::failure::Failure;
use crate::listeners::{Addresses, IfTaken, Listeners};
use crate::server::Server;
use crate::table::{self, Format};
use crate::telemetry;

/// Export requests of real clients, recorded with real instrumentation libraries (tests/corpus).
const PAYLOADS: &[(&str, &[u8])] = &[
    ("Anthropic SDK", include_bytes!("../../../../tests/corpus/anthropic-sdk-native/01.traces.binpb")),
    ("Anthropic SDK", include_bytes!("../../../../tests/corpus/anthropic-sdk-native/02.traces.binpb")),
    ("OpenTelemetry openai-v2", include_bytes!("../../../../tests/corpus/otel-openai-v2/01.traces.binpb")),
    ("OpenTelemetry openai-v2", include_bytes!("../../../../tests/corpus/otel-openai-v2/02.traces.binpb")),
    ("OpenTelemetry openai-v2", include_bytes!("../../../../tests/corpus/otel-openai-v2/03.traces.binpb")),
    ("OpenInference", include_bytes!("../../../../tests/corpus/openinference-old/01.traces.binpb")),
    ("OpenInference", include_bytes!("../../../../tests/corpus/openinference-old/02.traces.binpb")),
    ("OpenInference", include_bytes!("../../../../tests/corpus/openinference-old/03.traces.binpb")),
    ("OpenInference", include_bytes!("../../../../tests/corpus/openinference-old/04.traces.binpb")),
    ("OpenInference for OpenAI Agents", include_bytes!("../../../../tests/corpus/openai-agents-oinf/01.traces.binpb")),
    ("OpenInference for OpenAI Agents", include_bytes!("../../../../tests/corpus/openai-agents-oinf/02.traces.binpb")),
    ("OpenLLMetry", include_bytes!("../../../../tests/corpus/openllmetry-0.40/01.traces.binpb")),
    ("OpenLLMetry", include_bytes!("../../../../tests/corpus/openllmetry-0.40/02.traces.binpb")),
    ("OpenLLMetry", include_bytes!("../../../../tests/corpus/openllmetry-0.40/03.traces.binpb")),
    ("OpenLLMetry", include_bytes!("../../../../tests/corpus/openllmetry-0.40/04.traces.binpb")),
    ("Vercel AI SDK", include_bytes!("../../../../tests/corpus/vercel-ai-sdk-7-legacy/01.traces.binpb")),
    ("Vercel AI SDK", include_bytes!("../../../../tests/corpus/vercel-ai-sdk-7-legacy/02.traces.binpb")),
];

/// Serves, sends, shows; then exits, or serves on until told to stop.
///
/// A configuration is refused: made-up calls would reach the destinations, notifiers and data directory that it names.
pub(crate) fn run(config: Option<&Path>, once: bool) -> Result<(), Failure> {
    if config.is_some() {
        return Err(Failure::Usage(
            "demo takes no --config: it shows the defaults and sends nothing to anyone; \
             spanmill --config FILE serves as a file says, spanmill --config FILE replay PATH counts by its rules",
        ));
    }
    telemetry::init_logging();
    let directory = tempfile::tempdir().map_err(Failure::io("making a temporary directory"))?;
    // The environment is left out: a demonstration sends nothing to anyone's backend.
    let mut config = Config::load(None, &|_| None)?.config;
    config.storage.directory = directory.path().to_owned();
    let archive = directory.path().join("archive");
    if let Some(section) = &mut config.archive {
        section.directory = archive.clone();
        section.max_age = ARCHIVE_AGE;
    }
    block_on(async {
        let listeners = Listeners::bind(&config, IfTaken::UseAnother).await?;
        let server = Server::start(&config, listeners).await?;
        send(&server.addresses()).await?;
        server.drain().await;
        let report = server.pipeline().lock().report();
        let table = table::render(&report, Format::Table).map_err(|error| Failure::Demo(error.to_string()))?;
        if !once {
            wait_for_a_file(&archive).await;
        }
        print(&format!("{}\n{table}", introduction(&server.addresses(), (!once).then_some(&archive))))?;
        if !once {
            print("Serving on: send your own spans there. Ctrl-C ends it and removes the directory.\n")?;
            told_to_stop()?.await;
        }
        server.shutdown().await
    })
}

/// How soon the archive shows its first file: whoever looks there wants to see it.
const ARCHIVE_AGE: Duration = Duration::from_secs(1);

/// Waits until the archive has published something, or clearly will not.
async fn wait_for_a_file(archive: &Path) {
    const PAUSE: Duration = Duration::from_millis(50);
    let published = async {
        while !has_file(archive) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    // The table is worth printing without it, too.
    let _ = tokio::time::timeout(ARCHIVE_AGE * 5, published).await;
}

/// Whether there is a visible file somewhere below `directory`.
fn has_file(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() { has_file(&path) } else { path.extension().is_some_and(|extension| extension == "parquet") }
    })
}

/// Sends the payloads as an OTLP/gRPC client would.
async fn send(addresses: &Addresses) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Demo(format!("sending the payloads: {error}"));
    let mut client =
        TraceServiceClient::connect(format!("http://{}", addresses.grpc)).await.map_err(|error| failed(&error))?;
    for (_, payload) in PAYLOADS {
        let request = ExportTraceServiceRequest::decode(*payload).map_err(|error| failed(&error))?;
        client.export(request).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

fn introduction(addresses: &Addresses, archive: Option<&PathBuf>) -> String {
    let mut clients: Vec<&str> = PAYLOADS.iter().map(|(client, _)| *client).collect();
    clients.dedup();
    let metrics = addresses.prometheus.map_or_else(String::new, |at| format!("  metrics    http://{at}/metrics\n"));
    let archive = archive.map_or_else(String::new, |at| format!("  archive    {}\n", at.display()));
    format!(
        "Sent {} export requests of {} real clients ({}).\n\n  page       http://{}/\n  OTLP/gRPC  {}\n  OTLP/HTTP  http://{}\n{metrics}{archive}",
        PAYLOADS.len(),
        clients.len(),
        clients.join(", "),
        addresses.admin,
        addresses.grpc,
        addresses.http,
    )
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::io("printing"))
}
