//! Connections on which nothing is asked: they must not hold a slot for ever.
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The requests of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Requests(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    in_flight: usize,
    /// When the last one ended, or the connection began.
    since: Instant,
    had_any: bool,
}

impl Requests {
    /// Of a connection that begins now.
    pub(crate) fn none() -> Self {
        Self(Arc::new(Mutex::new(State { in_flight: 0, since: Instant::now(), had_any: false })))
    }

    /// One more, until it is dropped.
    pub(crate) fn begin(&self) -> Ongoing {
        let mut state = self.lock();
        state.in_flight += 1;
        state.had_any = true;
        Ongoing(self.clone())
    }

    /// Resolves when there was no request for so long: `first` from the beginning of the connection, `next` since the last one ended. Requests
    /// wake nobody: it looks again when it may be time.
    pub(crate) async fn idle(&self, first: Duration, next: Duration) {
        loop {
            let end = {
                let state = self.lock();
                let patience = if state.had_any { next } else { first };
                if state.in_flight > 0 { Instant::now() + patience } else { state.since + patience }
            };
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct Ongoing(Requests);

impl Drop for Ongoing {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_flight -= 1;
        state.since = Instant::now();
    }
}

/// The body of an answer: its request is in flight until all of it was sent, and streams of events are so for as long as they last.
pub(crate) struct Answer<B> {
    body: Pin<Box<B>>,
    _ongoing: Ongoing,
}

impl<B> Answer<B> {
    pub(crate) fn new(body: B, ongoing: Ongoing) -> Self {
        Self { body: Box::pin(body), _ongoing: ongoing }
    }
}

impl<B: Body> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.body.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A connection is idle when its first request does not come in time, and later when none came for long; a request that lasts is one
    // all the while.
    #[tokio::test]
    async fn idle_is_without_requests() {
        let [first, next, lasts] = [20, 60, 100].map(Duration::from_millis);
        let idle = async |requests: &Requests| {
            let begin = Instant::now();
            requests.idle(first, next).await;
            begin.elapsed()
        };
        let after = idle(&Requests::none()).await;
        assert!(after >= first, "{after:?}");
        let requests = Requests::none();
        let ongoing = requests.begin();
        let request = async {
            tokio::time::sleep(lasts).await;
            drop(ongoing);
        };
        let (after, ()) = tokio::join!(idle(&requests), request);
        assert!(after >= lasts + next, "{after:?}");
    }
}
