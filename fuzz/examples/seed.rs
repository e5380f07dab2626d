//! Writes the seeds of the fuzz targets: the real payloads of tests/corpus, each cut to the first span of every scope, as
//! libFuzzer works best with small inputs.

use std::fs;
use std::path::Path;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

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
    Ok(())
}

fn write(here: &Path, target: &str, name: &str, seed: &[u8]) -> std::io::Result<()> {
    let folder = here.join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), seed)
}
