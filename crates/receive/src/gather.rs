//! Collecting a body as it arrives, with as little copying as its frames allow.
use crate::Refusal;
use crate::budget::Hold;
use bytes::Bytes;

/// Reserved at once for a body of several frames.
const FIRST_RESERVE: usize = 64 << 10;
/// The buffer grows to this multiple of what has arrived: few copies, and never more than the sender has earned.
const GROWTH: usize = 2;

/// A frame is a part of the buffer that the connection was read into, and holds all of it: one below this size is copied.
const SMALL: usize = 16 << 10;

/// A body in the making. One frame is kept as it is, unless it is small; several are copied into one buffer. It is as large as the body from the beginning if that is
/// promised; else it grows with what has arrived: a declared length alone reserves nothing. All that is reserved is taken from the budget, as
/// memory may have been touched before.
#[derive(Debug)]
pub(crate) struct Gather {
    first: Bytes,
    joined: Vec<u8>,
    limit: usize,
    framing: usize,
    expected: usize,
}

impl Gather {
    /// A body of at most `limit` bytes, and `framing` bytes around it.
    pub(crate) fn new(limit: usize, framing: usize) -> Self {
        let expected = limit.saturating_add(framing);
        Gather { first: Bytes::new(), joined: Vec::new(), limit, framing, expected }
    }

    /// Announces how long the body will be: the buffer will not grow beyond that without need.
    pub(crate) fn expect(&mut self, bytes: usize) {
        self.expected = bytes;
    }

    /// Appends a frame, taking its bytes from the budget.
    pub(crate) fn push(&mut self, frame: Bytes, hold: &mut Hold) -> Result<(), Refusal> {
        if frame.is_empty() {
            return Ok(());
        }
        let total = self.as_slice().len().saturating_add(frame.len());
        if total > self.limit.saturating_add(self.framing) {
            return Err(Refusal::TooLarge { limit: self.limit });
        }
        if self.joined.is_empty() && self.first.is_empty() {
            hold.grow(frame.len())?;
            self.first = frame;
            return Ok(());
        }
        let to_come = hold.arrive(frame.len());
        if total > self.joined.capacity() {
            let earned = total.saturating_mul(GROWTH).max(FIRST_RESERVE).min(self.expected);
            let capacity = earned.max(total.saturating_add(to_come));
            hold.cover(capacity)?;
            self.joined.reserve_exact(capacity - self.joined.len());
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        self.joined.extend_from_slice(&frame);
        Ok(())
    }

    /// What has arrived.
    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.joined.is_empty() { &self.first } else { &self.joined }
    }

    /// The whole body. What it does not need is given back.
    pub(crate) fn finish(mut self, hold: &mut Hold) -> Bytes {
        hold.is_read();
        if self.joined.is_empty() {
            return if self.first.len() < SMALL { Bytes::copy_from_slice(&self.first) } else { self.first };
        }
        trim(&mut self.joined);
        hold.shrink_to(self.joined.capacity());
        Bytes::from(self.joined)
    }
}

/// Gives memory back that a body does not need, if it is worth a copy.
pub(crate) fn trim(body: &mut Vec<u8>) {
    if body.capacity() - body.len() > body.len() / 4 {
        body.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;

    // A body of one frame is not copied, unless it is small: then it does not hold what it was read into.
    #[test]
    fn one_frame_is_kept() {
        for size in [1, SMALL - 1, SMALL, 2 * SMALL] {
            let mut hold = Budget::new(1 << 20).hold();
            let read = Bytes::from(vec![1; 64 << 10]);
            let mut gather = Gather::new(1 << 20, 0);
            gather.push(read.slice(..size), &mut hold).unwrap();
            gather.push(Bytes::new(), &mut hold).unwrap();
            let body = gather.finish(&mut hold);
            assert_eq!(body, read.slice(..size));
            assert_eq!(read.is_unique(), size < SMALL, "{size}");
        }
    }

    // Frames are joined in order; the buffer is never larger than what was announced, nor than what was taken from the budget.
    #[test]
    fn frames_are_joined() {
        let budget = Budget::new(1 << 30);
        let mut hold = budget.hold();
        let mut gather = Gather::new(1 << 30, 0);
        gather.expect(1_000_000);
        for n in 0..1_000_u32 {
            gather.push(Bytes::from(vec![n as u8; 1_000]), &mut hold).unwrap();
            assert!(budget.used() >= gather.joined.capacity());
        }
        assert_eq!(gather.joined.capacity(), 1_000_000);
        let body = gather.finish(&mut hold);
        assert!(body.chunks(1_000).zip(0_u32..).all(|(chunk, n)| chunk.iter().all(|byte| *byte == n as u8)));
    }

    // What is promised to a body is one buffer from its second frame on, and nothing is taken for it twice.
    #[tokio::test]
    async fn promised_bodies_are_copied_once() {
        const FRAMES: usize = 100;
        let budget = Budget::new(1 << 30);
        let mut hold = budget.hold();
        hold.admit(FRAMES << 20).await;
        let mut gather = Gather::new(1 << 30, 0);
        gather.expect(FRAMES << 20);
        let frame = Bytes::from(vec![1; 1 << 20]);
        gather.push(frame.clone(), &mut hold).unwrap();
        gather.push(frame.clone(), &mut hold).unwrap();
        let address = gather.as_slice().as_ptr();
        for _ in 2..FRAMES {
            gather.push(frame.clone(), &mut hold).unwrap();
        }
        let body = gather.finish(&mut hold);
        assert_eq!((body.as_ptr(), body.len(), budget.used()), (address, FRAMES << 20, FRAMES << 20));
    }

    // A body of which nobody knew how long it would be takes no more in the end than it is.
    #[test]
    fn what_is_not_needed_is_given_back() {
        let budget = Budget::new(1 << 30);
        let mut hold = budget.hold();
        let mut gather = Gather::new(1 << 30, 0);
        gather.push(Bytes::from_static(b"ab"), &mut hold).unwrap();
        gather.push(Bytes::from_static(b"cd"), &mut hold).unwrap();
        let body = gather.finish(&mut hold);
        assert_eq!((&*body, budget.used()), (&b"abcd"[..], 4));
    }

    // A huge announcement reserves little while little has arrived.
    #[test]
    fn announcement_reserves_nothing() {
        let mut hold = Budget::new(1 << 30).hold();
        let mut gather = Gather::new(64 << 20, 5);
        gather.push(Bytes::from_static(b"a"), &mut hold).unwrap();
        gather.push(Bytes::from_static(b"b"), &mut hold).unwrap();
        assert!(gather.joined.capacity() <= FIRST_RESERVE);
    }

    // The limit counts the bytes of all frames, announced or not.
    #[test]
    fn limit_holds() {
        let mut hold = Budget::new(1_000).hold();
        let mut gather = Gather::new(2, 1);
        gather.push(Bytes::from_static(b"ab"), &mut hold).unwrap();
        gather.push(Bytes::from_static(b"c"), &mut hold).unwrap();
        assert_eq!(gather.push(Bytes::from_static(b"d"), &mut hold), Err(Refusal::TooLarge { limit: 2 }));
    }
}
