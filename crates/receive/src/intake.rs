//! What both servers hand a received body to.
use crate::budget::{Hold, Place};
use crate::gather::trim;
use crate::headers::Compression;
use crate::inflate::inflate;
use crate::json::Converter;
use crate::metrics::{Metrics, Ongoing};
use crate::{Budget, Credentials, Ingest, Refusal, Request, Signal};
use bytes::Bytes;
use http::HeaderMap;
use opentelemetry::metrics::Meter;
use std::sync::Arc;

/// The shared middle of the receivers: who may call, one budget, one set of metrics, one [`Ingest`] behind
/// it.
#[derive(Debug)]
pub struct Intake<I> {
    ingest: Arc<I>,
    converter: Converter,
    pub(crate) credentials: Credentials,
    pub(crate) budget: Budget,
    pub(crate) metrics: Metrics,
}

// not derived: I need not be Clone
impl<I> Clone for Intake<I> {
    fn clone(&self) -> Self {
        Intake {
            ingest: Arc::clone(&self.ingest),
            converter: self.converter.clone(),
            credentials: self.credentials.clone(),
            budget: self.budget.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

/// A body as it was received.
pub(crate) struct Received {
    pub(crate) signal: Signal,
    pub(crate) compression: Option<Compression>,
    pub(crate) format: Format,
    pub(crate) wire: Bytes,
    /// The budget share of `wire`.
    pub(crate) hold: Hold,
}

/// How the message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Protobuf,
    Json,
}

impl<I: Ingest> Intake<I> {
    /// An intake in front of `ingest`; `meter` takes its telemetry.
    pub fn new(ingest: Arc<I>, budget: Budget, meter: &Meter) -> Self {
        let metrics = Metrics::new(meter, &budget);
        Intake { ingest, converter: Converter::new(), credentials: Credentials::default(), budget, metrics }
    }

    /// The same for callers who show these credentials. The health service of the gRPC server is for everybody: it tells
    /// nothing but whether the server serves, and orchestrators that ask it have no credentials.
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Intake { credentials, ..self }
    }

    /// Lets in who shows credentials that are asked for, as long as there is room for those who wait. The place is theirs until they are answered.
    pub(crate) async fn admit(&self, head: &HeaderMap) -> Result<Place, Refusal> {
        let place = self.budget.place(head)?;
        self.credentials.check(head).await?;
        Ok(place)
    }

    /// Inflates, converts and hands on. `limit` bounds the body in every form it passes through. Gives the number of spans.
    pub(crate) async fn accept(
        &self,
        received: Received,
        limit: usize,
        ongoing: &mut Ongoing<'_>,
    ) -> Result<u64, Refusal> {
        let Received { signal, compression, format, wire, mut hold } = received;
        let plain = match compression {
            Some(compression) if !wire.is_empty() => {
                let mut inflated = inflate(compression, &wire, limit, &mut hold).await?;
                drop(wire);
                trim(&mut inflated);
                hold.shrink_to(inflated.capacity());
                Bytes::from(inflated)
            }
            _ => wire,
        };
        let body = match format {
            Format::Protobuf => plain,
            Format::Json => {
                let protobuf = self.converter.convert(signal, plain).await?;
                replaced(protobuf, limit, &mut hold, ongoing)?
            }
        };
        let body = match self.ingest.rewrite(signal, &body) {
            Ok(None) => body,
            Ok(Some(rewritten)) => {
                drop(body);
                replaced(rewritten, limit, &mut hold, ongoing)?
            }
            Err(refusal) => {
                ongoing.holds(body);
                return Err(refusal);
            }
        };
        if body.is_empty() {
            return Ok(0);
        }
        let body = hold.attach(body);
        ongoing.holds(body.clone());
        self.ingest.ingest(Request { signal, body }).await
    }
}

/// A body in the place of another, which is gone by now.
fn replaced(mut body: Vec<u8>, limit: usize, hold: &mut Hold, ongoing: &mut Ongoing<'_>) -> Result<Bytes, Refusal> {
    trim(&mut body);
    let room = if body.len() > limit { Err(Refusal::TooLarge { limit }) } else { hold.resize(body.capacity()) };
    let body = Bytes::from(body);
    if room.is_err() {
        ongoing.holds(body.clone());
    }
    room.map(|()| body)
}
