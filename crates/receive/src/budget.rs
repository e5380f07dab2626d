//! The bytes of all requests held at once, over all connections and both servers.
use crate::Refusal;
use crate::server::http2;
use crate::windows::Windows;
use bytes::Bytes;
use http::HeaderMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// What a client is told to wait when the budget is spent. Requests are short; longer would leave the server idle.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a request waits for room: most of what is held is gone by then, and a client that waits for its answer is slowed
/// down without sending everything twice.
const ROOM_WITHIN: Duration = Duration::from_secs(1);
/// Those who wait may keep as much as HTTP/2 takes of a stream that is not read; no more of them wait than could keep a quarter of the
/// budget.
const WAITING_SHARE: usize = 4;

/// The part of the budget that may be promised to bodies of which only the length is known. The rest is for what is there, however much
/// somebody declares and does not send.
const PROMISED_SHARE: usize = 2;

/// The part of the budget that there is beside it for the windows of connections.
const WINDOWS_SHARE: usize = 8;

/// What a request takes that is in flight, beside its head and its body.
const PLACE: usize = 4 << 10;
/// What a field of a head takes beside its name and its value: as RFC 9113 (6.5.2) counts it.
const FIELD: usize = 32;
/// The part of the budget that there is beside it for these and heads, ...
const PLACES_SHARE: usize = 8;
/// ... but so many bytes at least.
const LEAST_PLACES: usize = 256 << 10;

/// What a zstd decoder keeps of what it has written, at most.
pub(crate) const ZSTD_WINDOW: usize = 8 << 20;
/// The part of the budget that there is beside it for these, but at least one of them.
const ZSTD_SHARE: usize = 8;

/// A bound on the request bytes held at once: as received, as inflated, and until the last reference to an accepted body
/// is dropped. Who finds it spent waits a moment before the body is read or inflated, then is refused as busy. (Half read
/// bodies do not wait: they would wait for each other.) A body that declares its length is promised all of it where there is room, before
/// the rest of it is read: else those that are read at once would take the budget in parts, of which none can become whole.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    limit: usize,
    used: AtomicUsize,
    /// How much of that was promised and has not arrived.
    promised: AtomicUsize,
    released: Notify,
    waiting: Semaphore,
    windows: Windows,
    /// What requests in flight take beside it, and may take.
    places: AtomicUsize,
    places_limit: usize,
    /// A permit for each zstd decoder that may be at work.
    zstd_windows: Arc<Semaphore>,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let waiting = (limit / WAITING_SHARE / http2::STREAM_WINDOW as usize).max(1);
        let (released, waiting) = (Notify::new(), Semaphore::new(waiting));
        let windows = Windows::new(limit / WINDOWS_SHARE);
        let (used, promised) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let zstd_windows = Arc::new(Semaphore::new((limit / ZSTD_SHARE / ZSTD_WINDOW).max(1)));
        let (places, places_limit) = (AtomicUsize::new(0), (limit / PLACES_SHARE).max(LEAST_PLACES));
        Budget(Arc::new(Counter {
            limit,
            used,
            promised,
            released,
            waiting,
            windows,
            places,
            places_limit,
            zstd_windows,
        }))
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

    /// The place of a request with such a head, until it is answered, whatever comes of it: there may be many that wait. It is beside the budget, as
    /// a body may take all of that.
    pub(crate) fn place(&self, head: &HeaderMap) -> Result<Place, Refusal> {
        let Counter { places, places_limit, .. } = &*self.0;
        let head: usize = head.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum();
        let bytes = PLACE + head;
        let fits = |taken: usize| taken.checked_add(bytes).filter(|total| total <= places_limit);
        match places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(Place { budget: self.clone(), bytes }),
            Err(_) => Err(Refusal::Busy { retry_after: RETRY_AFTER }),
        }
    }

    /// The share of one request's body, still empty.
    pub(crate) fn hold(&self) -> Hold {
        Hold { budget: self.clone(), bytes: 0, promised: 0 }
    }
}

/// What a request takes beside its body; returned when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    budget: Budget,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.budget.0.places.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// One request's share of the budget; returned when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    budget: Budget,
    bytes: usize,
    /// How many of these were promised and have not arrived.
    promised: usize,
}

impl Hold {
    /// Waits a moment until there is room for a body that declares so many bytes, unless there can never be or too many wait. The room is
    /// promised to it, unless too much is promised already: then it is taken as the body arrives.
    pub(crate) async fn admit(&mut self, declared: usize) {
        let budget = self.budget.clone();
        let Counter { limit, used, released, waiting, .. } = &*budget.0;
        let has_room = || used.load(Ordering::Relaxed).saturating_add(declared) <= *limit;
        if self.promise(declared) || has_room() || self.bytes.saturating_add(declared) > *limit {
            return;
        }
        let Ok(_place) = waiting.try_acquire() else { return };
        let room = async {
            loop {
                // listened to before the look, so that no release between the two is missed
                let mut next = pin!(released.notified());
                next.as_mut().enable();
                if self.promise(declared) || has_room() {
                    return;
                }
                next.await;
            }
        };
        // what there is then is found by whoever takes it
        let _ = tokio::time::timeout(ROOM_WITHIN, room).await;
    }

    /// Waits until another zstd decoder may be at work, and lets one: then windows, which are beside the budget, are few. Those who have this wait
    /// for nobody.
    pub(crate) async fn zstd_window(&self) -> Option<OwnedSemaphorePermit> {
        // the semaphore is never closed
        Arc::clone(&self.budget.0.zstd_windows).acquire_owned().await.ok()
    }

    /// Takes room for bytes that are to come, if it may be promised; tells whether.
    fn promise(&mut self, bytes: usize) -> bool {
        let Counter { limit, used, promised, .. } = &*self.budget.0;
        let add = |counter: &AtomicUsize, most: usize| {
            let fits = |taken: usize| taken.checked_add(bytes).filter(|total| *total <= most);
            counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
        };
        if !add(promised, limit / PROMISED_SHARE) {
            return false;
        }
        if !add(used, *limit) {
            promised.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        (self.bytes, self.promised) = (self.bytes + bytes, self.promised + bytes);
        true
    }

    /// So many promised bytes are promised no more, or all that are; tells how many.
    fn redeem(&mut self, bytes: usize) -> usize {
        let redeemed = self.promised.min(bytes);
        if redeemed > 0 {
            self.promised -= redeemed;
            self.budget.0.promised.fetch_sub(redeemed, Ordering::Relaxed);
        }
        redeemed
    }

    /// Notes that bytes have arrived for which there is room already; tells how many of those that were promised are to come.
    pub(crate) fn arrive(&mut self, bytes: usize) -> usize {
        self.redeem(bytes);
        self.promised
    }

    /// Takes what is missing to so many bytes, promised ones included. See [`Hold::grow`].
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.take(bytes.saturating_sub(self.bytes))
    }

    /// Takes `more` bytes, those first that were promised. A request that cannot fit even alone is too large: "busy" would be repeated for
    /// ever.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Refusal> {
        let more = more - self.redeem(more);
        self.take(more)
    }

    fn take(&mut self, more: usize) -> Result<(), Refusal> {
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

    /// Gives back what was promised and does not come.
    pub(crate) fn is_read(&mut self) {
        let bytes = self.redeem(usize::MAX);
        self.shrink_to(self.bytes - bytes);
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
        self.is_read();
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
        let (mut second, mut third) = (budget.hold(), budget.hold());
        assert!(took(&mut pin!(second.admit(30))).await < ROOM_WITHIN / 2, "there is room");
        assert!(took(&mut pin!(second.admit(101))).await < ROOM_WITHIN / 2, "there never will be");
        assert!(took(&mut pin!(second.admit(31))).await >= ROOM_WITHIN, "nobody makes room");

        let mut waits = pin!(second.admit(31));
        assert!(std::future::poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx))).await.is_pending());
        assert!(took(&mut pin!(third.admit(31))).await < ROOM_WITHIN / 2, "somebody waits already");
        drop(first);
        assert!(took(&mut waits).await < ROOM_WITHIN / 2, "there is room now");
    }

    // What is promised is there when it arrives, whoever takes the rest meanwhile; it is no more than half of the budget, and comes back if it
    // does not arrive.
    #[tokio::test]
    async fn promises_are_kept() {
        let budget = Budget::new(100);
        let (mut first, mut second, mut third) = (budget.hold(), budget.hold(), budget.hold());
        first.admit(50).await;
        assert_eq!(budget.used(), 50);
        second.admit(40).await;
        assert_eq!(budget.used(), 50, "nothing more is promised");
        second.grow(40).unwrap();
        third.grow(10).unwrap();
        assert!(matches!(third.grow(1), Err(Refusal::Busy { .. })), "it is spent");
        first.grow(20).unwrap();
        first.grow(30).unwrap();
        assert_eq!(budget.used(), 100);
        assert!(matches!(first.grow(1), Err(Refusal::Busy { .. })), "there was no promise of more");
        drop(second);
        third.admit(30).await;
        third.grow(10).unwrap();
        third.is_read();
        assert_eq!(budget.used(), 70);
        third.admit(20).await;
        drop((first, third));
        assert_eq!((budget.used(), budget.0.promised.load(Ordering::Relaxed)), (0, 0));
    }

    // Requests in flight take room for themselves and their heads, beside what their bodies may take; beyond that they are told to come back.
    #[test]
    fn places_are_taken() {
        let head = HeaderMap::from_iter([(http::header::USER_AGENT, http::HeaderValue::from_static("otel"))]);
        let one = PLACE + "user-agentotel".len() + FIELD;
        let budget = Budget::new(100);
        let mut places: Vec<Place> = (0..LEAST_PLACES / one).map(|_| budget.place(&head).unwrap()).collect();
        assert!(matches!(budget.place(&head), Err(Refusal::Busy { .. })));
        budget.hold().grow(100).unwrap();
        places.pop();
        assert!(budget.place(&head).is_ok());
        assert_eq!(budget.used(), 0);
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
