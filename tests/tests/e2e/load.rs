//! Many clients that send calls and send again what was not acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::Span;
use spanmill_tests::{Addresses, PATIENCE, Spanmill, Stopped, rows};
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::spans::request;

/// How long a client that was refused waits before it sends again.
const PAUSE: Duration = Duration::from_millis(50);

/// What clients send, and what became of it. Clones share it.
#[derive(Clone)]
pub struct Load(Arc<Shared>);

struct Shared {
    batch: u64,
    span: fn(u64) -> Span,
    /// Spans that were ever made; their ids are counted from 1.
    made: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    /// Batches that were not acknowledged.
    unsent: Mutex<Vec<ExportTraceServiceRequest>>,
    is_ending: AtomicBool,
}

/// What a server said.
enum Verdict {
    Acknowledged,
    Refused,
    Gone,
}

impl Load {
    /// Requests of so many spans, made of their ids.
    pub fn new(batch: u64, span: fn(u64) -> Span) -> Self {
        let zero = AtomicU64::default;
        let (unsent, is_ending) = (Mutex::default(), AtomicBool::default());
        Self(Arc::new(Shared { batch, span, made: zero(), acknowledged: zero(), refused: zero(), unsent, is_ending }))
    }

    /// Clients that send until [`Load::end`], or until the server is gone.
    pub fn start(&self, server: Addresses, clients: usize) -> JoinSet<()> {
        self.0.is_ending.store(false, Relaxed);
        (0..clients).map(|_| self.clone().send_on(server)).collect()
    }

    /// No client begins another request.
    pub fn end(&self) {
        self.0.is_ending.store(true, Relaxed);
    }

    /// Sends what was not acknowledged until it is.
    pub async fn finish(&self, server: Addresses) {
        let mut client = connect(server);
        while let Some(batch) = self.take_unsent() {
            self.offer(&mut client, batch).await.expect("a server");
        }
        assert_eq!(self.acknowledged(), self.made());
    }

    /// Spans that were ever made.
    pub fn made(&self) -> u64 {
        self.0.made.load(Relaxed)
    }

    /// Spans that were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.0.acknowledged.load(Relaxed)
    }

    /// Requests that were refused.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }

    /// Ends the server, which must have counted and archived every span once, and nothing else: all of them are calls.
    pub async fn is_exact(&self, spanmill: Spanmill) -> Stopped {
        let made = self.made();
        assert_eq!(self.acknowledged(), made, "not everything was acknowledged");
        let counted = spanmill.counted(made).await;
        assert_eq!((counted.requests, counted.tokens.input, counted.tokens.output), (made, 10 * made, 5 * made));
        let stopped = spanmill.stop();
        let archived = rows(&stopped.archive());
        let unique: BTreeSet<&str> = archived.iter().map(|row| &*row.span_id).collect();
        assert_eq!((archived.len() as u64, unique.len() as u64), (made, made), "archived, and different ones of them");
        stopped
    }

    async fn send_on(self, server: Addresses) {
        let mut client = connect(server);
        while !self.0.is_ending.load(Relaxed) {
            let batch = self.take_unsent().unwrap_or_else(|| self.make());
            if self.offer(&mut client, batch).await.is_none() {
                return;
            }
        }
    }

    fn make(&self) -> ExportTraceServiceRequest {
        let first = self.0.made.fetch_add(self.0.batch, Relaxed) + 1;
        request((first..first + self.0.batch).map(self.0.span).collect())
    }

    fn take_unsent(&self) -> Option<ExportTraceServiceRequest> {
        self.0.unsent.lock().unwrap().pop()
    }

    /// Sends once; `None` if the server is gone.
    async fn offer(&self, client: &mut TraceServiceClient<Channel>, batch: ExportTraceServiceRequest) -> Option<()> {
        let verdict = send(client, &batch).await;
        if let Verdict::Acknowledged = verdict {
            self.0.acknowledged.fetch_add(self.0.batch, Relaxed);
            return Some(());
        }
        self.0.unsent.lock().unwrap().push(batch);
        match verdict {
            Verdict::Gone => None,
            _ => {
                self.0.refused.fetch_add(1, Relaxed);
                tokio::time::sleep(PAUSE).await;
                Some(())
            }
        }
    }
}

fn connect(server: Addresses) -> TraceServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
    TraceServiceClient::new(endpoint.timeout(PATIENCE).connect_lazy())
}

/// Sends once. A refusal that makes clients drop what they sent is a fault.
async fn send(client: &mut TraceServiceClient<Channel>, batch: &ExportTraceServiceRequest) -> Verdict {
    let Err(status) = client.export(batch.clone()).await else { return Verdict::Acknowledged };
    if std::error::Error::source(&status).is_some() {
        return Verdict::Gone;
    }
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    Verdict::Refused
}
