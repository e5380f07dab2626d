//! What clients may send over HTTP/2 before anybody asks for it: memory outside of the budget, and so bounded over all connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What every connection gets, however many there are: what HTTP/2 gives before anything is agreed upon.
const LEAST: usize = 65_535;
/// More is of no use.
const MOST: usize = 16 << 20;
/// A connection takes this part of what is left: a few get large windows, which are fast, and many get small ones.
const SHARE: usize = 8;

/// Bytes for the windows of connections, beside those that each gets in any case.
#[derive(Clone, Debug)]
pub struct Windows(Arc<AtomicUsize>);

impl Windows {
    /// So many bytes for all connections together.
    pub fn new(bytes: usize) -> Self {
        Windows(Arc::new(AtomicUsize::new(bytes)))
    }

    /// The window of a new connection.
    pub(crate) fn take(&self) -> Window {
        let wanted = |left: usize| (left / SHARE).min(MOST - LEAST);
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left - wanted(left)));
        Window { windows: self.clone(), taken: left.map_or(0, wanted) }
    }
}

/// The window of one connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Window {
    windows: Windows,
    taken: usize,
}

impl Window {
    /// How large it is.
    pub(crate) fn bytes(&self) -> u32 {
        u32::try_from(LEAST + self.taken).unwrap_or(u32::MAX)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.windows.0.fetch_add(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // However many connections there are, their windows are no larger than what there is for them, and what each gets in any case; when
    // they are gone, a new one gets as much as the first did.
    #[test]
    fn windows_are_bounded() {
        const BYTES: usize = 64 << 20;
        let windows = Windows::new(BYTES);
        let first = windows.take().bytes() as usize;
        assert_eq!(first, LEAST + BYTES / SHARE);
        let connections: Vec<_> = (0..1_000).map(|_| windows.take()).collect();
        let all: usize = connections.iter().map(|window| window.bytes() as usize).sum();
        assert!(all <= BYTES + 1_000 * LEAST, "{all}");
        assert!(connections.iter().all(|window| window.bytes() as usize >= LEAST));
        drop(connections);
        assert_eq!(windows.take().bytes() as usize, first);
        assert!(Windows::new(1 << 40).take().bytes() as usize <= MOST);
    }
}
