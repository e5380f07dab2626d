//! The bytes of all requests held at once, over all connections and both servers.
use crate::Refusal;
use crate::server::http2;
use crate::windows::Windows;
use bytes::Bytes;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// What a client is told to wait when the budget is spent. Requests are short; longer would leave the server idle.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a request waits for room: most of what is held is gone by then, and a client that waits for its answer is slowed
/// down without sending everything twice.
const ROOM_WITHIN: Duration = Duration::from_secs(1);
/// Those who wait may keep as much as HTTP/2 takes of a stream that is not read; no more of them wait than could keep a quarter of the
/// budget.
const WAITING_SHARE: usize = 4;

/// The part of the budget that there is beside it for the windows of connections.
const WINDOWS_SHARE: usize = 8;

/// A bound on the request bytes held at once: as received, as inflated, and until the last reference to an accepted body
/// is dropped. Who finds it spent waits a moment before the body is read or inflated, then is refused as busy. (Half read
/// bodies do not wait: they would wait for each other.)
#[derive(Clone, Debug)]
pub struct Budget(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    limit: usize,
    used: AtomicUsize,
    released: Notify,
    waiting: Semaphore,
    windows: Windows,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let waiting = (limit / WAITING_SHARE / http2::STREAM_WINDOW as usize).max(1);
        let (released, waiting) = (Notify::new(), Semaphore::new(waiting));
        let windows = Windows::new(limit / WINDOWS_SHARE);
        Budget(Arc::new(Counter { limit, used: AtomicUsize::new(0), released, waiting, windows }))
    }

    /// The bytes held now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The bytes that may be held.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// What clients may send before it is read, and so before it is counted here: an eighth of the budget beside it, and 64 KiB a
    /// connection.
    pub(crate) fn windows(&self) -> Windows {
        self.0.windows.clone()
    }

    /// The share of one request, still empty.
    pub(crate) fn hold(&self) -> Hold {
        Hold { budget: self.clone(), bytes: 0 }
    }
}

/// One request's share of the budget; returned when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    budget: Budget,
    bytes: usize,
}

impl Hold {
    /// Waits a moment until there is room for `bytes` more, unless there can never be or too many wait. Takes nothing.
    pub(crate) async fn wait_for_room(&self, bytes: usize) {
        let Counter { limit, used, released, waiting, .. } = &*self.budget.0;
        let has_room = || used.load(Ordering::Relaxed).saturating_add(bytes) <= *limit;
        if has_room() || self.bytes.saturating_add(bytes) > *limit {
            return;
        }
        let Ok(_place) = waiting.try_acquire() else { return };
        let room = async {
            loop {
                // listened to before the look, so that no release between the two is missed
                let mut next = pin!(released.notified());
                next.as_mut().enable();
                if has_room() {
                    return;
                }
                next.await;
            }
        };
        // what there is then is found by whoever takes it
        let _ = tokio::time::timeout(ROOM_WITHIN, room).await;
    }

    /// Takes `more` bytes. A request that cannot fit even alone is too large: "busy" would be repeated for ever.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Refusal> {
        let Counter { limit, used, .. } = &*self.budget.0;
        let fits = |taken: usize| taken.checked_add(more).filter(|total| total <= limit);
        if fits(self.bytes).is_none() {
            return Err(Refusal::TooLarge { limit: *limit });
        }
        if used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return Err(Refusal::Busy { retry_after: RETRY_AFTER });
        }
        self.bytes += more;
        Ok(())
    }

    /// Takes or returns what is between now and `bytes`.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.grow(bytes.saturating_sub(self.bytes))?;
        self.shrink_to(bytes);
        Ok(())
    }

    /// Returns what exceeds `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        if surplus > 0 {
            self.budget.0.used.fetch_sub(surplus, Ordering::Relaxed);
            self.budget.0.released.notify_waiters();
            self.bytes -= surplus;
        }
    }

    /// Ties the share to the body: it is returned when the last reference to the body is dropped.
    pub(crate) fn attach(self, body: Bytes) -> Bytes {
        Bytes::from_owner(HeldBody { body, _hold: self })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

struct HeldBody {
    body: Bytes,
    _hold: Hold,
}

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    // The share lives as long as any slice of the body, and no longer.
    #[test]
    fn share_is_returned_with_the_last_reference() {
        let budget = Budget::new(100);
        let mut hold = budget.hold();
        hold.grow(60).unwrap();
        hold.shrink_to(40);
        let body = hold.attach(Bytes::from(vec![7; 40]));
        assert_eq!(budget.used(), 40);
        let slice = body.slice(10..20);
        drop(body);
        assert_eq!(budget.used(), 40);
        drop(slice);
        assert_eq!(budget.used(), 0);
    }

    // Who waits is let in as soon as there is room, gives up after a moment, and does not wait for what can never be; of many
    // only some wait.
    #[tokio::test]
    async fn waiting_for_room() {
        let took = async |wait: &mut (dyn Future<Output = ()> + Unpin)| {
            let start = std::time::Instant::now();
            wait.await;
            start.elapsed()
        };
        let budget = Budget::new(100);
        let mut first = budget.hold();
        first.grow(70).unwrap();
        let (second, third) = (budget.hold(), budget.hold());
        assert!(took(&mut pin!(second.wait_for_room(30))).await < ROOM_WITHIN / 2, "there is room");
        assert!(took(&mut pin!(second.wait_for_room(101))).await < ROOM_WITHIN / 2, "there never will be");
        assert!(took(&mut pin!(second.wait_for_room(31))).await >= ROOM_WITHIN, "nobody makes room");

        let mut waits = pin!(second.wait_for_room(31));
        assert!(std::future::poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx))).await.is_pending());
        assert!(took(&mut pin!(third.wait_for_room(31))).await < ROOM_WITHIN / 2, "somebody waits already");
        drop(first);
        assert!(took(&mut waits).await < ROOM_WITHIN / 2, "there is room now");
    }

    // A spent budget refuses as busy; what could never fit is too large; a refused growth takes nothing.
    #[test]
    fn busy_when_spent_too_large_when_hopeless() {
        let budget = Budget::new(100);
        let mut first = budget.hold();
        first.grow(70).unwrap();
        let mut second = budget.hold();
        assert!(matches!(second.grow(31), Err(Refusal::Busy { .. })));
        assert_eq!(second.grow(101), Err(Refusal::TooLarge { limit: 100 }));
        assert_eq!(first.grow(usize::MAX), Err(Refusal::TooLarge { limit: 100 }));
        assert_eq!(budget.used(), 70);
        second.grow(30).unwrap();
        drop(first);
        assert_eq!(budget.used(), 30);
    }
}
