//! A queue that grows in chunks: growing moves nothing and never takes twice the memory, and what is left in front comes free.

use std::collections::VecDeque;
use std::ops::Range;

/// Elements of a chunk.
const CHUNK: usize = 256;

/// The queue.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    /// All of them are full but the last.
    chunks: VecDeque<Vec<T>>,
    /// How many elements of the first chunk were left already.
    left: usize,
    len: usize,
    /// A chunk that is not in use, so that a queue which moves on allocates nothing.
    spare: Option<Vec<T>>,
}

impl<T> Ring<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: VecDeque::new(), left: 0, len: 0, spare: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        let place = place.wrapping_add(self.left);
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        let place = place.wrapping_add(self.left);
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.chunks.front()?.get(self.left)
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        if self.is_empty() { None } else { self.chunks.back_mut()?.last_mut() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.range(0..self.len)
    }

    pub(crate) fn range(&self, places: Range<usize>) -> impl Iterator<Item = &T> {
        places.filter_map(|place| self.get(place))
    }

    #[inline]
    pub(crate) fn push_back(&mut self, element: T) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(element),
            _ => {
                let mut chunk = self.spare.take().unwrap_or_else(|| Vec::with_capacity(CHUNK));
                chunk.push(element);
                self.chunks.push_back(chunk);
            }
        }
        self.len += 1;
    }

    /// Takes the newest element back.
    pub(crate) fn drop_back(&mut self) {
        if self.is_empty() {
            return;
        }
        self.len -= 1;
        let Some(chunk) = self.chunks.back_mut() else { return };
        chunk.pop();
        // An empty chunk behind would be taken for the last one.
        if chunk.is_empty() {
            self.spare = self.chunks.pop_back();
        }
        if self.chunks.is_empty() {
            self.left = 0;
        }
    }

    /// Leaves the oldest element. It is dropped when its chunk is.
    #[inline]
    pub(crate) fn leave_front(&mut self) {
        if self.is_empty() {
            return;
        }
        self.len -= 1;
        self.left += 1;
        if self.left == CHUNK {
            self.left = 0;
            if let Some(mut chunk) = self.chunks.pop_front() {
                chunk.clear();
                self.spare = Some(chunk);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push(usize),
        DropBack,
        Leave(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1..600_usize).prop_map(Step::Push),
            Just(Step::DropBack),
            (1..600_usize).prop_map(Step::Leave),
        ];
        proptest::collection::vec(step, 1..30)
    }

    proptest! {
        // It holds what a plain queue holds, whatever comes and goes.
        #[test]
        fn it_is_a_queue(steps in steps()) {
            let mut ring = Ring::new();
            let mut queue = VecDeque::new();
            let mut number = 0_u32;
            for step in steps {
                match step {
                    Step::Push(count) => (0..count).for_each(|_| {
                        number += 1;
                        ring.push_back(number);
                        queue.push_back(number);
                    }),
                    Step::DropBack => {
                        ring.drop_back();
                        queue.pop_back();
                    }
                    Step::Leave(count) => (0..count).for_each(|_| {
                        ring.leave_front();
                        queue.pop_front();
                    }),
                }
                prop_assert_eq!(ring.len(), queue.len());
                prop_assert!(ring.iter().eq(queue.iter()));
                prop_assert_eq!(ring.front(), queue.front());
                prop_assert_eq!(ring.back_mut().copied(), queue.back().copied());
                prop_assert_eq!(ring.get(queue.len()), None);
                prop_assert!(ring.chunks.len() <= queue.len() / CHUNK + 2);
            }
        }
    }
}
