//! Delivers requests to one destination: in order, one at a time, again and again while the destination may yet take it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use crate::client::{Client, whole};
use crate::destination::{Destination, ExportError};
use crate::outcome::{Accepted, Failure, Verdict};
use crate::retry::Backoff;
use crate::shorten::halved;
use crate::split::Pieces;
use crate::stats::{Amount, Signal, Stats, count};

/// How much of a destination's own words a log line shows.
const MAX_LOGGED_CHARS: usize = 256;

/// One request, as much of it as the destination has not answered for yet.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) signal: Signal,
    waiting: VecDeque<Waiting>,
}

/// What is to be sent, in the size that it has or in smaller pieces.
#[derive(Debug)]
enum Waiting {
    Piece(Piece),
    Pieces(Pieces),
}

/// An encoded request in the size that the destination takes.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Stand behind each other: their fields are repeated messages, so requests of one signal are one together, without being copied.
    pub(crate) bodies: Vec<Bytes>,
    pub(crate) items: u64,
    /// The requests that it is made of, if there are several: what is refused together is tried one by one, what takes too long in halves.
    parts: Vec<Piece>,
}

impl Piece {
    /// One request.
    pub(crate) fn whole(body: Bytes, items: u64) -> Piece {
        Piece { bodies: vec![body], items, parts: Vec::new() }
    }

    /// Requests of one signal as one.
    pub(crate) fn together(mut parts: Vec<Piece>) -> Piece {
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return only;
        }
        let bodies = parts.iter().flat_map(|part| part.bodies.iter().cloned()).collect();
        Piece { bodies, items: parts.iter().map(|part| part.items).sum(), parts }
    }

    /// Bytes of the request.
    pub(crate) fn size(&self) -> usize {
        self.bodies.iter().map(Bytes::len).sum()
    }

    pub(crate) fn amount(&self) -> Amount {
        Amount { items: self.items, bytes: self.size() as u64 }
    }

    /// The request as one.
    pub(crate) fn body(&self) -> Bytes {
        whole(&self.bodies)
    }
}

impl Delivery {
    /// A request in pieces of at most so many bytes; as it is if it is small enough.
    pub(crate) fn new(signal: Signal, request: Piece, max_bytes: usize) -> Delivery {
        let waiting = match request.size() <= max_bytes {
            true => Waiting::Piece(request),
            false => Waiting::Pieces(Pieces::of(signal, request.body(), request.items, max_bytes)),
        };
        Delivery { signal, waiting: VecDeque::from([waiting]) }
    }

    /// What was not answered for.
    pub(crate) fn rest(&self) -> Amount {
        let rest = |waiting: &Waiting| match waiting {
            Waiting::Piece(piece) => piece.amount(),
            Waiting::Pieces(pieces) => pieces.rest(),
        };
        self.waiting.iter().map(rest).sum()
    }

    /// What is to be sent next, and waits until it is answered for; `None` if all is.
    fn next(&mut self) -> Option<&Piece> {
        while let Some(Waiting::Pieces(pieces)) = self.waiting.front_mut() {
            match pieces.next() {
                Some(piece) => self.waiting.push_front(Waiting::Piece(piece)),
                None => drop(self.waiting.pop_front()),
            }
        }
        self.front()
    }

    fn front(&self) -> Option<&Piece> {
        match self.waiting.front()? {
            Waiting::Piece(piece) => Some(piece),
            Waiting::Pieces(_) => None,
        }
    }

    pub(crate) fn is_done(&mut self) -> bool {
        self.next().is_none()
    }

    /// What is next was answered for.
    fn pass(&mut self) {
        self.waiting.pop_front();
    }

    /// What is next was found too large: it is to be sent in smaller pieces, or with shorter texts if it cannot be divided. Tells whether
    /// it can be made smaller.
    fn halve(&mut self) -> bool {
        let Some(piece) = self.front() else { return false };
        let (body, items) = (piece.body(), piece.items);
        let shorter = || Some(Waiting::Piece(Piece::whole(halved(self.signal, &body)?, items)));
        let Some(smaller) = Pieces::halves(self.signal, &body, items).map(Waiting::Pieces).or_else(shorter) else {
            return false;
        };
        self.waiting.pop_front();
        self.waiting.push_front(smaller);
        true
    }

    /// What is next was refused: if it is made of several requests, they are to be sent one by one. Tells whether it is.
    fn take_apart(&mut self) -> bool {
        let Some(Waiting::Piece(piece)) = self.waiting.front_mut() else { return false };
        let parts = std::mem::take(&mut piece.parts);
        if parts.is_empty() {
            return false;
        }
        self.waiting.pop_front();
        parts.into_iter().rev().for_each(|part| self.waiting.push_front(Waiting::Piece(part)));
        true
    }

    /// Makes two of what is next, if it is made of several requests: a slow destination would never answer for all of them in time.
    fn lighten(&mut self) {
        let Some(Waiting::Piece(piece)) = self.waiting.front_mut() else { return };
        let mut earlier = std::mem::take(&mut piece.parts);
        if earlier.is_empty() {
            return;
        }
        self.waiting.pop_front();
        let later = earlier.split_off(earlier.len() / 2);
        for parts in [later, earlier] {
            self.waiting.push_front(Waiting::Piece(Piece::together(parts)));
        }
    }
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// The destination has answered for all of it, be it with a refusal.
    Answered,
    /// It was tried for as long as it may be; what is left is counted as dropped.
    TimedOut,
    /// Its sender does not want it to be tried again; what is left is in the delivery.
    GivenUp,
}

/// Whoever delivers, and what it knows of the destination.
pub(crate) struct Courier {
    name: String,
    /// Header values and what they are made of, which a destination might repeat in its answers.
    secrets: Vec<String>,
    client: Client,
    stats: Arc<Stats>,
    backoff: Backoff,
    /// How long the destination may take for its next answer, once all is to end.
    ending: watch::Receiver<Option<Duration>>,
    /// Whether what is not delivered waits for the next process.
    outlives: bool,
    /// How often the destination has answered.
    answers: Arc<AtomicU64>,
    /// Whether the last attempt failed and this has been logged.
    unreachable: bool,
    /// Refusals that have been logged.
    logged: HashSet<(Signal, String)>,
}

impl Courier {
    /// Checks the destination; connects to nothing yet.
    pub(crate) fn new(
        destination: &Destination,
        stats: Arc<Stats>,
        backoff: Backoff,
        ending: watch::Receiver<Option<Duration>>,
        outlives: bool,
    ) -> Result<Courier, ExportError> {
        Ok(Courier {
            name: destination.name.clone(),
            secrets: secrets(destination.headers.iter().map(|(_, secret)| secret.expose())),
            client: Client::new(destination)?,
            stats,
            backoff,
            ending,
            outlives,
            answers: Arc::default(),
            unreachable: false,
            logged: HashSet::new(),
        })
    }

    /// Returns when it is to end, and the grace has passed: all of it without an answer, if what is left would be lost.
    pub(crate) fn time_is_up(&self) -> impl Future<Output = ()> + use<> {
        time_is_up(self.ending.clone(), (!self.outlives).then(|| Arc::clone(&self.answers)))
    }

    /// How long is left, once it is to end, for what waits for the next process anyway.
    pub(crate) fn grace(&self) -> Option<Duration> {
        (*self.ending.borrow()).filter(|_| self.outlives)
    }

    /// Sends the pieces, each until it is answered for; `is_given_up` is asked before every further attempt.
    pub(crate) async fn deliver(&mut self, delivery: &mut Delivery, is_given_up: impl Fn() -> bool) -> Delivered {
        while !delivery.is_done() {
            match self.deliver_piece(delivery, &is_given_up).await {
                Delivered::Answered => {}
                ended => return ended,
            }
        }
        Delivered::Answered
    }

    /// The same for the first piece, which may become smaller ones on the way: then for the first of these.
    pub(crate) async fn deliver_piece(
        &mut self,
        delivery: &mut Delivery,
        is_given_up: &impl Fn() -> bool,
    ) -> Delivered {
        let signal = delivery.signal;
        while let Some(piece) = delivery.next() {
            let amount = piece.amount();
            match self.client.send(signal, &piece.bodies).await {
                Ok(accepted) => {
                    delivery.pass();
                    self.on_accepted(signal, amount, &accepted);
                    break;
                }
                Err(failure) => match failure.verdict {
                    Verdict::Permanent | Verdict::TooLarge if delivery.take_apart() => self.on_answer(),
                    Verdict::TooLarge if delivery.halve() => {
                        self.on_too_large(signal, &failure);
                        self.pause(None).await;
                        if is_given_up() {
                            return Delivered::GivenUp;
                        }
                    }
                    Verdict::Permanent | Verdict::TooLarge => {
                        delivery.pass();
                        self.on_refused(signal, amount, &failure);
                        break;
                    }
                    Verdict::Transient { .. } | Verdict::TimedOut => {
                        self.on_unreachable(signal, &failure);
                        self.pause(failure.verdict.retry_after()).await;
                        if self.backoff.gives_up(Instant::now()) {
                            self.on_timed_out(delivery);
                            return Delivered::TimedOut;
                        }
                        if is_given_up() {
                            return Delivered::GivenUp;
                        }
                        if failure.verdict == Verdict::TimedOut {
                            delivery.lighten();
                        }
                    }
                },
            }
        }
        Delivered::Answered
    }

    fn on_accepted(&mut self, signal: Signal, Amount { items, bytes }: Amount, accepted: &Accepted) {
        let rejected = accepted.rejected.min(items);
        let failed_bytes = if rejected > 0 && rejected == items { bytes } else { 0 };
        self.stats.of(signal).sent.add(Amount { items: items - rejected, bytes: bytes - failed_bytes });
        self.stats.of(signal).failed.add(Amount { items: rejected, bytes: failed_bytes });
        if rejected > 0 || !accepted.message.is_empty() {
            self.log_refusal(signal, "partial success", &accepted.message);
        }
        if self.unreachable {
            tracing::info!(destination = %self.name, "destination is back");
        }
        self.on_answer();
    }

    fn on_refused(&mut self, signal: Signal, amount: Amount, failure: &Failure) {
        self.stats.of(signal).failed.add(amount);
        self.log_refusal(signal, &failure.status, &failure.message);
        self.on_answer();
    }

    /// The pieces are sent in its place, so that nothing is lost but the attempt. That is no reason to hurry: should it mean something else
    /// than it says, the pieces are refused as well.
    fn on_too_large(&mut self, signal: Signal, failure: &Failure) {
        self.unreachable = false;
        self.answers.fetch_add(1, Ordering::Relaxed);
        if self.logged.insert((signal, "too large".to_owned())) {
            let (status, message) = (&failure.status, self.presentable(&failure.message));
            tracing::warn!(
                destination = %self.name, signal = signal.name(), %status, %message,
                "the destination takes smaller requests only: a smaller max_request_size spares it the others"
            );
        }
    }

    /// The request has been tried for as long as it may be.
    fn on_timed_out(&self, delivery: &Delivery) {
        let (rest, signal) = (delivery.rest(), delivery.signal.name());
        self.stats.of(delivery.signal).dropped.add(rest);
        let items = rest.items;
        tracing::warn!(destination = %self.name, signal, items, "not delivered within max_elapsed_time, dropped");
    }

    fn on_answer(&mut self) {
        self.unreachable = false;
        self.backoff.reset();
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    fn on_unreachable(&mut self, signal: Signal, failure: &Failure) {
        count(&self.stats.of(signal).retries, 1);
        if self.unreachable {
            return;
        }
        self.unreachable = true;
        let (status, message) = (&failure.status, self.presentable(&failure.message));
        tracing::warn!(destination = %self.name, signal = signal.name(), %status, %message, "export failed, trying again");
    }

    /// Waits for the time of the next attempt. The beginning of a shutdown ends the wait: little time is left then.
    async fn pause(&mut self, retry_after: Option<Duration>) {
        let pause = tokio::time::sleep(self.backoff.pause(retry_after, Instant::now()));
        let shutting_down = self.ending.borrow().is_some();
        if shutting_down {
            pause.await;
            return;
        }
        tokio::select! {
            () = pause => {}
            _ = self.ending.changed() => self.backoff.reset(),
        }
    }

    /// One line per distinct refusal: a destination that does not know a signal refuses it at every interval.
    fn log_refusal(&mut self, signal: Signal, status: &str, message: &str) {
        if !self.logged.insert((signal, status.to_owned())) {
            return;
        }
        let message = self.presentable(message);
        tracing::warn!(
            destination = %self.name, signal = signal.name(), %status, %message,
            "export refused; further refusals of this kind are only counted"
        );
    }

    fn presentable(&self, message: &str) -> String {
        presentable(message, &self.secrets)
    }
}

/// Returns when a grace was given and has passed, since the last answer if these are told.
async fn time_is_up(mut grace: watch::Receiver<Option<Duration>>, answers: Option<Arc<AtomicU64>>) {
    // An error means that the exporter was dropped: time is up now.
    let Ok(Some(grace)) = grace.wait_for(Option::is_some).await.map(|grace| *grace) else { return };
    let Some(answers) = answers else { return tokio::time::sleep(grace).await };
    let mut before = None;
    loop {
        let now = answers.load(Ordering::Relaxed);
        if before.replace(now) == Some(now) {
            return;
        }
        tokio::time::sleep(grace).await;
    }
}

/// The shortest part of a secret that is taken for one by itself.
const MIN_SECRET_PART: usize = 8;

/// What is not to be logged: the values of headers, what stands behind the scheme in each (`Bearer`, `Basic`), and every longer word. The
/// longest come first, so that of what is in another one nothing is left.
fn secrets<'a>(values: impl Iterator<Item = &'a str>) -> Vec<String> {
    let parts = values.flat_map(|value| {
        let behind_scheme = value.split_once(' ').map(|(_, rest)| rest.trim());
        let words = value.split_whitespace().filter(|word| word.len() >= MIN_SECRET_PART);
        [value].into_iter().chain(behind_scheme).chain(words)
    });
    let mut secrets: Vec<String> = parts.filter(|part| !part.is_empty()).map(str::to_owned).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets
}

/// A destination's words, cut, on one line, and without our secrets.
fn presentable(message: &str, secrets: &[String]) -> String {
    let masked = secrets.iter().fold(message.to_owned(), |text, secret| text.replace(secret.as_str(), "***"));
    masked.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_LOGGED_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // A destination that repeats our key in its answer, or answers with a novel, does not fill the log with it.
    #[test]
    fn answers_are_logged_with_care() {
        let secrets = secrets(["s3cret", "", "Bearer abc", "tenant=one token=0123456789"].into_iter());
        for (words, expected) in [
            ("bad key s3cret\nsorry", "bad key *** sorry"),
            ("header Bearer abc", "header ***"),
            ("invalid token abc", "invalid token ***"),
            ("token=0123456789 is over", "*** is over"),
        ] {
            assert_eq!(presentable(words, &secrets), expected);
        }
        assert_eq!(presentable(&"x".repeat(10_000), &secrets).len(), MAX_LOGGED_CHARS);
    }
}
