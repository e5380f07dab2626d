//! Hands on what applications sent, as they sent it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use otlp::rewrite;

use crate::courier::{Courier, Delivered, Delivery, Piece};
use crate::destination::Destination;
use crate::split::items_of;
use crate::stats::{Amount, Signal, Stats};

/// Delivers requests of applications to one destination. Whoever calls it decides what comes next and remembers how far it has come.
pub struct Forwarder {
    name: String,
    courier: Courier,
    stats: Arc<Stats>,
    max_request_size: usize,
    replaced_metrics: Vec<&'static str>,
    /// When no more is begun, once it is to end.
    ends_at: Option<Instant>,
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarder").field("destination", &self.name).finish_non_exhaustive()
    }
}

/// How handing on ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// The destination has answered for all of it.
    Answered,
    /// It was dropped, and counted, because there was no room or no time to wait longer.
    Dropped,
    /// The exporter ends, and the destination has not answered for all of it.
    Ended,
}

impl Forwarder {
    pub(crate) fn new(destination: &Destination, courier: Courier, stats: Arc<Stats>) -> Self {
        let replaced_metrics = if destination.metrics { destination.replaced_metrics.clone() } else { Vec::new() };
        Self {
            name: destination.name.clone(),
            courier,
            stats,
            max_request_size: destination.max_request_size,
            replaced_metrics,
            ends_at: None,
        }
    }

    /// Counts items that will not be delivered.
    pub fn count_dropped(&self, signal: Signal, amount: Amount) {
        self.stats.of(signal).dropped.add(amount);
    }

    /// Counts requests that cannot be delivered because they cannot be read.
    pub fn count_unreadable(&self, requests: u64) {
        self.stats.count_unreadable(requests);
    }

    /// Bytes of a request that the destination takes at once.
    pub fn max_request_size(&self) -> usize {
        self.max_request_size
    }

    /// Delivers protobuf requests of one signal, each with the number of its items, as one request, byte for byte unless that is too large;
    /// returns when the destination has answered for all of it. If it refuses them together, they are sent one by one, so that nobody
    /// loses by what another one sent. `is_given_up` is asked before every further attempt.
    pub async fn deliver(
        &mut self,
        signal: Signal,
        requests: Vec<(Bytes, u64)>,
        is_given_up: impl Fn() -> bool,
    ) -> Forwarded {
        if let Some(grace) = self.courier.grace()
            && *self.ends_at.get_or_insert_with(|| Instant::now() + grace) <= Instant::now()
        {
            return Forwarded::Ended;
        }
        let requests = requests.into_iter().map(|(body, items)| match signal {
            Signal::Metrics => self.without_replaced(body),
            Signal::Traces | Signal::Logs => (body, items),
        });
        let parts: Vec<Piece> =
            requests.filter(|(_, items)| *items > 0).map(|(body, items)| Piece::whole(body, items)).collect();
        if parts.is_empty() {
            return Forwarded::Answered;
        }
        let mut delivery = Delivery::new(signal, Piece::together(parts), self.max_request_size);
        let time_is_up = self.courier.time_is_up();
        let delivered = tokio::select! {
            delivered = self.courier.deliver(&mut delivery, is_given_up) => delivered,
            () = time_is_up => return Forwarded::Ended,
        };
        match delivered {
            Delivered::Answered => Forwarded::Answered,
            Delivered::TimedOut => Forwarded::Dropped,
            Delivered::GivenUp => {
                self.count_dropped(signal, delivery.rest());
                Forwarded::Dropped
            }
        }
    }

    /// Metrics without those that the destination gets from Spanmill itself, and how many points are left. The bytes are the same if there
    /// are none of these.
    fn without_replaced(&self, body: Bytes) -> (Bytes, u64) {
        let points = items_of(Signal::Metrics);
        let Ok(all) = points.count(&body) else {
            // Nobody can tell what is in it but the destination.
            return (body, 1);
        };
        let is_replaced = |name: &[u8]| self.replaced_metrics.iter().any(|replaced| replaced.as_bytes() == name);
        let Ok(Some(rest)) = rewrite::without_metrics(&body, is_replaced) else { return (body, all) };
        let left = points.count(&rest).unwrap_or_default();
        let bytes = body.len().saturating_sub(rest.len()) as u64;
        self.stats.of(Signal::Metrics).replaced.add(Amount { items: all - left.min(all), bytes });
        (rest.into(), left)
    }
}
