//! A number of calls in flight against one server, until time or spans run out, and what came back.
//!
//! Closed loop: a worker sends, waits for the answer, gives its body new ids and sends again.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use flate2::write::GzEncoder;
use tokio::task::JoinSet;

use crate::client::{Answer, Client, ClientError, Compression, Protocol, frame, prefix};
use crate::payload::{BuildError, IdSource, Payload, Shape};

/// What is sent, and how.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Plan {
    /// Host and port.
    pub address: String,
    /// gRPC or HTTP.
    pub protocol: Protocol,
    /// none or gzip.
    pub compression: Compression,
    /// gzip level, 1 to 9.
    pub gzip_level: u32,
    /// lean or heavy.
    pub shape: Shape,
    /// Spans in a request.
    pub batch: usize,
    /// Calls in flight.
    pub concurrency: usize,
    /// Connections that they share (gRPC); HTTP/1.1 has one connection for every call in flight.
    pub connections: usize,
    /// Where the ids begin: no two runs against one server may share it.
    pub seed: u64,
}

/// When to stop sending.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After this time; answers to what is in flight are still awaited.
    Elapsed(Duration),
    /// When requests with so many spans have been sent (rounded up to whole requests).
    Spans(u64),
}

/// What came back.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Counts {
    /// Spans in acknowledged requests, without those that partial success rejected.
    pub acknowledged: u64,
    /// Spans refused, by request or by partial success.
    pub refused: u64,
    /// Requests answered.
    pub requests: u64,
    /// Body bytes of acknowledged requests, before compression.
    pub bytes: u64,
    /// Requests refused, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// From the first send to the last answer.
    pub seconds: f64,
    /// From send to answer, of every acknowledged request.
    #[serde(skip)]
    pub latencies: Vec<Duration>,
}

/// How long clients waited for acknowledgements.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Latency {
    /// Half of them no longer than this, milliseconds; as the others.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// All of them.
    pub max: f64,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A mistake in the generator.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The server went away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Compression failed.
    #[error("compressing a body: {0}")]
    Compress(#[from] std::io::Error),
    /// A worker did not end.
    #[error("a sender broke: {0}")]
    Join(#[from] tokio::task::JoinError),
}

/// Spans that each worker has prebuilt, so that the requests of a run differ.
const SPANS_OF_A_WORKER: usize = 1_000;

/// The workers with their connections and bodies; it runs as often as wanted, and ids never repeat between the runs.
#[derive(Debug)]
pub struct Load {
    workers: Vec<Worker>,
}

impl Load {
    /// Connects and builds the bodies.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn prepare(plan: &Plan) -> Result<Self, LoadError> {
        let bodies = (SPANS_OF_A_WORKER / plan.batch.max(1)).max(1);
        let mut shared: Vec<Client> = Vec::new();
        let mut workers = Vec::with_capacity(plan.concurrency);
        for number in 0..plan.concurrency {
            let reused = shared.get(number % plan.connections.max(1)).and_then(Client::share);
            let client = match reused {
                Some(client) => client,
                None => Client::connect(&plan.address, plan.protocol, plan.compression).await?,
            };
            shared.extend(client.share());
            let bodies = (0..bodies).map(|body| {
                let payload = Payload::build(plan.shape, plan.batch, (number * bodies + body) as u64)?;
                Ok(Prepared::new(payload, plan.protocol))
            });
            workers.push(Worker {
                client,
                bodies: bodies.collect::<Result<_, BuildError>>()?,
                ids: IdSource::of_sender(plan.seed, number as u64),
                protocol: plan.protocol,
                gzip: (plan.compression == Compression::Gzip).then(|| flate2::Compression::new(plan.gzip_level)),
            });
        }
        Ok(Self { workers })
    }

    /// Sends until told to stop.
    ///
    /// # Errors
    /// If a connection breaks; refusals are counted, not errors.
    pub async fn run(&mut self, until: Until) -> Result<Counts, LoadError> {
        let started = Instant::now();
        let budget = Arc::new(Budget::new(until, started));
        let mut senders = JoinSet::new();
        for worker in self.workers.drain(..) {
            senders.spawn(worker.send(Arc::clone(&budget)));
        }
        let mut total = Counts::default();
        while let Some(sender) = senders.join_next().await {
            let (worker, counts) = sender??;
            self.workers.push(worker);
            total.add(counts);
        }
        total.seconds = started.elapsed().as_secs_f64();
        Ok(total)
    }
}

impl Counts {
    /// Percentiles of what was waited for, exact; zero if nothing was acknowledged.
    pub fn latency(&mut self) -> Latency {
        self.latencies.sort_unstable();
        let at = |percent: usize| {
            let rank = (self.latencies.len() * percent).div_ceil(100);
            self.latencies.get(rank.saturating_sub(1)).map_or(0.0, |waited| waited.as_secs_f64() * 1e3)
        };
        Latency { p50: at(50), p99: at(99), max: at(100) }
    }

    fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.latencies.extend(other.latencies);
        for (reason, requests) in other.refusals {
            *self.refusals.entry(reason).or_default() += requests;
        }
    }
}

/// What is left to be sent, shared by the workers.
#[derive(Debug)]
struct Budget {
    deadline: Option<Instant>,
    spans: AtomicU64,
}

impl Budget {
    fn new(until: Until, started: Instant) -> Self {
        match until {
            Until::Elapsed(time) => Self { deadline: Some(started + time), spans: AtomicU64::new(u64::MAX) },
            Until::Spans(spans) => Self { deadline: None, spans: AtomicU64::new(spans) },
        }
    }

    fn take(&self, spans: u64) -> bool {
        if let Some(deadline) = self.deadline {
            return Instant::now() < deadline;
        }
        let left = self.spans.fetch_update(Relaxed, Relaxed, |left| (left > 0).then(|| left.saturating_sub(spans)));
        left.is_ok()
    }
}

/// A payload and its bytes as they travel, behind room for the frame's prefix.
#[derive(Debug)]
struct Prepared {
    payload: Payload,
    framed: BytesMut,
}

impl Prepared {
    fn new(payload: Payload, protocol: Protocol) -> Self {
        let mut framed = BytesMut::zeroed(prefix(protocol));
        framed.extend_from_slice(payload.body());
        Self { payload, framed }
    }
}

#[derive(Debug)]
struct Worker {
    client: Client,
    bodies: Vec<Prepared>,
    ids: IdSource,
    protocol: Protocol,
    gzip: Option<flate2::Compression>,
}

impl Worker {
    async fn send(mut self, budget: Arc<Budget>) -> Result<(Self, Counts), LoadError> {
        let mut counts = Counts::default();
        'sending: loop {
            for prepared in &mut self.bodies {
                let spans = prepared.payload.spans() as u64;
                if !budget.take(spans) {
                    break 'sending;
                }
                let room = prefix(self.protocol);
                if let Some(body) = prepared.framed.get_mut(room..) {
                    prepared.payload.renew(body, &mut self.ids, unix_nanoseconds());
                }
                let bytes = match self.gzip {
                    Some(level) => compressed(&prepared.framed, self.protocol, level)?,
                    None => {
                        frame(&mut prepared.framed, self.protocol, Compression::None);
                        std::mem::take(&mut prepared.framed).freeze()
                    }
                };
                let sent = Instant::now();
                let answer = self.client.export(bytes.clone()).await?;
                let waited = sent.elapsed();
                if self.gzip.is_none() {
                    // The connection has let go of it by now, so this is the same memory again, not a copy.
                    prepared.framed = bytes.try_into_mut().unwrap_or_else(|held| BytesMut::from(&held[..]));
                }
                counts.requests += 1;
                match answer {
                    Answer::Acknowledged { rejected } => {
                        counts.acknowledged += spans.saturating_sub(rejected);
                        counts.refused += rejected.min(spans);
                        counts.bytes += prepared.payload.body().len() as u64;
                        counts.latencies.push(waited);
                    }
                    Answer::Refused(reason) => {
                        counts.refused += spans;
                        *counts.refusals.entry(reason).or_default() += 1;
                    }
                }
            }
        }
        Ok((self, counts))
    }
}

fn compressed(framed: &[u8], protocol: Protocol, level: flate2::Compression) -> Result<Bytes, std::io::Error> {
    let (room, body) = framed.split_at(prefix(protocol).min(framed.len()));
    let mut out = Vec::with_capacity(framed.len() / 3);
    out.extend_from_slice(room);
    let mut encoder = GzEncoder::new(out, level);
    encoder.write_all(body)?;
    let mut out = encoder.finish()?;
    frame(&mut out, protocol, Compression::Gzip);
    Ok(Bytes::from(out))
}

fn unix_nanoseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}
