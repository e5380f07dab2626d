//! The bytes of all requests held at once, over all connections and both servers.
use crate::Refusal;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a client is told to wait when the budget is spent. Requests are short; longer would leave the server idle.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A bound on the request bytes held at once: as received, as inflated, and until the last reference to an accepted body
/// is dropped. Nobody waits for it: who finds it spent is refused as busy. (A semaphore would queue bodies half read.)
#[derive(Clone, Debug)]
pub struct Budget(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Budget(Arc::new(Counter { limit, used: AtomicUsize::new(0) }))
    }

    /// The bytes held now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The bytes that may be held.
    pub fn limit(&self) -> usize {
        self.0.limit
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
    /// Takes `more` bytes. A request that cannot fit even alone is too large: "busy" would be repeated for ever.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Refusal> {
        let Counter { limit, used } = &*self.budget.0;
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

    /// Returns what exceeds `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.budget.0.used.fetch_sub(surplus, Ordering::Relaxed);
        self.bytes -= surplus;
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
