//! The server that Spanmill is measured against: what a receiver costs that is put together from the usual parts.
//!
//! The generated tonic `TraceService`, prost decode, drop. Allocator and HTTP/2 settings are Spanmill's.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MIB: u32 = 1024 * 1024;

#[derive(Parser)]
#[command(about = "OTLP/gRPC server that decodes and drops")]
struct Arguments {
    /// Where to listen; port 0 is any free port, printed at start.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Threads of the runtime.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

struct Drain;

#[tonic::async_trait]
impl TraceService for Drain {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        drop(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse { partial_success: None }))
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("baseline: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(arguments.threads).enable_all().build()?;
    runtime.block_on(serve(arguments.listen))
}

async fn serve(listen: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let service = TraceServiceServer::new(Drain)
        .max_decoding_message_size(64 * MIB as usize)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd);
    let incoming = TcpIncoming::bind(listen)?.with_nodelay(Some(true));
    println!("listening on {}", incoming.local_addr()?);
    Server::builder()
        .initial_stream_window_size(4 * MIB)
        .initial_connection_window_size(16 * MIB)
        .max_frame_size(MIB)
        .add_service(service)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}
