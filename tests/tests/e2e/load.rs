//! Many clients that send calls and send again what was not acknowledged.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::Span;
use spanmill_tests::{Addresses, Encoded, PATIENCE, Signal, Spanmill, Stopped, archived_ids};
use tokio::task::JoinSet;
use tonic::Code;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};

use crate::spans::payload;

/// How long a client that was refused waits before it sends again.
const PAUSE: Duration = Duration::from_millis(50);
/// Clients that share a connection.
const CALLS: usize = 8;

/// What clients send, and what became of it. Clones share it.
#[derive(Clone)]
pub struct Load(Arc<Shared>);

struct Shared {
    /// Spans in a request.
    batch: u64,
    make: Box<dyn Fn(Range<u64>) -> Bytes + Send + Sync>,
    /// Spans that were ever made; their ids are counted from 1.
    made: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    /// Requests that were not acknowledged.
    unsent: Mutex<Vec<Unsent>>,
    is_ending: AtomicBool,
}

/// A request that was not acknowledged.
struct Unsent {
    body: Bytes,
    /// Whether it may have been taken all the same: there was no answer.
    is_in_doubt: bool,
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
        Self::of_bodies(batch, move |ids| payload(ids.map(span).collect()).body)
    }

    /// Requests of so many spans, made as a whole of their ids.
    pub fn of_bodies(batch: u64, make: impl Fn(Range<u64>) -> Bytes + Send + Sync + 'static) -> Self {
        let zero = AtomicU64::default;
        Self(Arc::new(Shared {
            batch,
            make: Box::new(make),
            made: zero(),
            acknowledged: zero(),
            refused: zero(),
            unsent: Mutex::default(),
            is_ending: AtomicBool::default(),
        }))
    }

    /// Clients that send until [`Load::end`], or until the server is gone.
    pub fn start(&self, server: Addresses, clients: usize) -> JoinSet<()> {
        self.start_paced(server, clients, Duration::ZERO)
    }

    /// As [`Load::start`]; each client sends no more than one request in a while.
    pub fn start_paced(&self, server: Addresses, clients: usize, every: Duration) -> JoinSet<()> {
        self.0.is_ending.store(false, Relaxed);
        let connections = (0..clients.div_ceil(CALLS)).map(|_| Client::of(server));
        let all = connections.flat_map(|client| std::iter::repeat_n(client, CALLS)).take(clients);
        all.map(|client| self.clone().send_on(client, every)).collect()
    }

    /// No client begins another request.
    pub fn end(&self) {
        self.0.is_ending.store(true, Relaxed);
    }

    /// Sends what was not acknowledged until it is.
    pub async fn finish(&self, server: Addresses) {
        self.send_unsent(server).await;
        assert_eq!(self.acknowledged(), self.0.made.load(Relaxed));
    }

    /// Forgets what was refused, and sends what may have been taken until it is acknowledged.
    pub async fn give_up_refused(&self, server: Addresses) {
        self.0.unsent.lock().unwrap().retain(|unsent| unsent.is_in_doubt);
        self.send_unsent(server).await;
    }

    async fn send_unsent(&self, server: Addresses) {
        let mut client = Client::of(server);
        while let Some(unsent) = self.take_unsent() {
            self.offer(&mut client, unsent).await.expect("a server");
        }
    }

    /// Spans that were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.0.acknowledged.load(Relaxed)
    }

    /// Requests that were acknowledged.
    pub fn served(&self) -> u64 {
        self.acknowledged() / self.0.batch
    }

    /// Requests that were refused.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }

    /// Ends the server, which must have counted and archived every span once that was acknowledged, and nothing else: all of them are
    /// calls.
    pub async fn is_exact(&self, spanmill: Spanmill) -> Stopped {
        let spans = self.acknowledged();
        let counted = spanmill.counted(spans).await;
        assert_eq!((counted.requests, counted.tokens.input, counted.tokens.output), (spans, 10 * spans, 5 * spans));
        let stopped = spanmill.stop();
        let archived = archived_ids(&stopped.archive());
        let unique: BTreeSet<&String> = archived.iter().collect();
        assert_eq!(
            (archived.len() as u64, unique.len() as u64),
            (spans, spans),
            "archived, and different ones of them"
        );
        stopped
    }

    async fn send_on(self, mut client: Client, every: Duration) {
        let mut pace = tokio::time::interval(every.max(Duration::from_nanos(1)));
        while !self.0.is_ending.load(Relaxed) {
            if !every.is_zero() {
                pace.tick().await;
            }
            let unsent = self.take_unsent().unwrap_or_else(|| self.make());
            if self.offer(&mut client, unsent).await.is_none() {
                return;
            }
        }
    }

    fn make(&self) -> Unsent {
        let first = self.0.made.fetch_add(self.0.batch, Relaxed) + 1;
        Unsent { body: (self.0.make)(first..first + self.0.batch), is_in_doubt: false }
    }

    fn take_unsent(&self) -> Option<Unsent> {
        self.0.unsent.lock().unwrap().pop()
    }

    /// Sends once; `None` if the server is gone.
    async fn offer(&self, client: &mut Client, Unsent { body, is_in_doubt }: Unsent) -> Option<()> {
        let verdict = client.send(body.clone()).await;
        if let Verdict::Acknowledged = verdict {
            self.0.acknowledged.fetch_add(self.0.batch, Relaxed);
            return Some(());
        }
        let is_in_doubt = is_in_doubt || matches!(verdict, Verdict::Gone);
        self.0.unsent.lock().unwrap().push(Unsent { body, is_in_doubt });
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

/// A gRPC client that sends encoded requests as they are. Clones share its connection.
#[derive(Clone)]
struct Client(Grpc<Channel>);

impl Client {
    fn of(server: Addresses) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
        Self(Grpc::new(endpoint.timeout(4 * PATIENCE).connect_lazy()))
    }

    /// Sends once. A refusal that makes clients drop what they sent is a fault.
    async fn send(&mut self, body: Bytes) -> Verdict {
        let path = Signal::Traces.grpc_path().parse().unwrap();
        // An error comes again with the answer.
        let _ = self.0.ready().await;
        let Err(status) = self.0.unary(tonic::Request::new(body), path, Encoded).await else {
            return Verdict::Acknowledged;
        };
        if std::error::Error::source(&status).is_some() {
            return Verdict::Gone;
        }
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        Verdict::Refused
    }
}
