//! Decompression under a hard cap: a bomb costs no more than the limit.
use crate::Refusal;
use crate::budget::{Hold, ZSTD_WINDOW};
use crate::headers::Compression;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, ErrorKind, Read};

/// The first guess never exceeds this multiple of the compressed size, whatever the sender declares.
const MAX_DECLARED_RATIO: usize = 16;
/// The smallest output buffer.
const MIN_BUFFER: usize = 4 << 10;
/// Other tasks get their turn after this much output: about 2 ms.
const STEP: usize = 1 << 20;
/// The same after this much input: it may be made of members and frames that hold nothing.
const SLICE: usize = 32 << 10;
/// 8 MiB, what RFC 9659 lets a sender use.
const ZSTD_WINDOW_LOG_MAX: u32 = ZSTD_WINDOW.ilog2();

/// Inflates `wire` into one buffer of at most `limit` bytes, taken from the budget as it grows.
pub(crate) async fn inflate(
    compression: Compression,
    wire: &[u8],
    limit: usize,
    hold: &mut Hold,
) -> Result<Vec<u8>, Refusal> {
    let declared = declared_size(compression, wire).unwrap_or(0);
    let first_guess =
        declared.min(wire.len().saturating_mul(MAX_DECLARED_RATIO)).clamp(MIN_BUFFER, limit.max(MIN_BUFFER));
    hold.admit(first_guess).await;
    hold.grow(first_guess)?;
    let out = vec![0; first_guess];
    match compression {
        Compression::Gzip => read_all(MultiGzDecoder::new(Slices::new(wire)), out, limit, hold).await,
        Compression::Zstd => {
            let _window = hold.zstd_window().await;
            read_all(zstd_decoder(wire).map_err(corrupt)?, out, limit, hold).await
        }
    }
}

fn zstd_decoder(wire: &[u8]) -> io::Result<zstd::Decoder<'static, Slices<'_>>> {
    let mut decoder = zstd::Decoder::with_buffer(Slices::new(wire))?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(decoder)
}

/// Bytes that come in slices: before each but the first, whoever reads is told once that it would block.
struct Slices<'a> {
    rest: &'a [u8],
    /// What is left of the slice.
    left: usize,
}

impl<'a> Slices<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest, left: SLICE }
    }
}

impl BufRead for Slices<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 && !self.rest.is_empty() {
            self.left = SLICE;
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(&self.rest[..self.rest.len().min(self.left)])
    }

    fn consume(&mut self, count: usize) {
        self.rest = &self.rest[count..];
        self.left -= count;
    }
}

impl Read for Slices<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// The inflated size the sender declares: exact for what honest clients send, so that one allocation is enough.
fn declared_size(compression: Compression, wire: &[u8]) -> Option<usize> {
    match compression {
        Compression::Gzip => wire.last_chunk().and_then(|size| usize::try_from(u32::from_le_bytes(*size)).ok()),
        Compression::Zstd => {
            let size = zstd::zstd_safe::get_frame_content_size(wire).ok().flatten()?;
            usize::try_from(size).ok()
        }
    }
}

async fn read_all(
    mut decoder: impl Read + Send,
    mut out: Vec<u8>,
    limit: usize,
    hold: &mut Hold,
) -> Result<Vec<u8>, Refusal> {
    let mut filled = 0;
    loop {
        if filled == out.len() {
            // full: end of input, over the limit, or a larger buffer - one byte more tells
            let mut next = [0];
            if read(&mut decoder, &mut next).await? == 0 {
                break;
            }
            if filled >= limit {
                return Err(Refusal::TooLarge { limit });
            }
            let larger = filled.saturating_mul(2).min(limit);
            hold.grow(larger - filled)?;
            // exactly what the budget was asked for
            out.reserve_exact(larger - filled);
            out.resize(larger, 0);
            out[filled..=filled].copy_from_slice(&next);
            filled += 1;
            continue;
        }
        let step_end = out.len().min(filled + STEP);
        let count = read(&mut decoder, &mut out[filled..step_end]).await?;
        if count == 0 {
            break;
        }
        let steps_before = filled / STEP;
        filled += count;
        if filled / STEP != steps_before {
            tokio::task::yield_now().await;
        }
    }
    if filled > limit {
        return Err(Refusal::TooLarge { limit });
    }
    out.truncate(filled);
    Ok(out)
}

async fn read(decoder: &mut (impl Read + Send), buffer: &mut [u8]) -> Result<usize, Refusal> {
    loop {
        match decoder.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::task::yield_now().await,
            result => return result.map_err(corrupt),
        }
    }
}

fn corrupt(error: io::Error) -> Refusal {
    Refusal::Malformed(format!("compressed body cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;
    use flate2::write::GzEncoder;
    use std::io::Write;
    use std::pin::pin;
    use std::task::Poll;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// Bytes that neither repeat nor compress well.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    async fn run(compression: Compression, wire: &[u8], limit: usize) -> (Result<Vec<u8>, Refusal>, usize) {
        let budget = Budget::new(1 << 30);
        let mut hold = budget.hold();
        let result = inflate(compression, wire, limit, &mut hold).await;
        (result, budget.used())
    }

    // What was compressed comes back, whatever its size and however it compresses, up to exactly the limit.
    #[tokio::test]
    async fn round_trip() {
        for plain in [vec![], vec![1], noise(5_000), noise(3 << 20), vec![0; 5 << 20], noise(MIN_BUFFER)] {
            let limit = plain.len();
            let (from_gzip, _) = run(Compression::Gzip, &gzip(&plain), limit).await;
            assert!(from_gzip.unwrap() == plain, "gzip of {limit}");
            let (from_zstd, _) = run(Compression::Zstd, &zstd::encode_all(&plain[..], 1).unwrap(), limit).await;
            assert!(from_zstd.unwrap() == plain, "zstd of {limit}");
        }
    }

    // One byte over the limit is too large, and memory never passed the limit.
    #[tokio::test]
    async fn one_byte_too_many() {
        for plain in [vec![0; (1 << 20) + 1], noise((1 << 20) + 1)] {
            for (compression, wire) in
                [(Compression::Gzip, gzip(&plain)), (Compression::Zstd, zstd::encode_all(&plain[..], 1).unwrap())]
            {
                let (result, held) = run(compression, &wire, 1 << 20).await;
                assert_eq!(result, Err(Refusal::TooLarge { limit: 1 << 20 }));
                assert!(held <= 1 << 20, "{held}");
            }
        }
    }

    // Several gzip members and several zstd frames are one body.
    #[tokio::test]
    async fn members_are_joined() {
        let two_members = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(run(Compression::Gzip, &two_members, 100).await.0.unwrap(), b"one two");
        let two_frames =
            [zstd::encode_all(&b"one "[..], 1).unwrap(), zstd::encode_all(&b"two"[..], 1).unwrap()].concat();
        assert_eq!(run(Compression::Zstd, &two_frames, 100).await.0.unwrap(), b"one two");
    }

    // Members and frames that hold nothing keep nobody else from their turn, however many there are: after them comes what was sent.
    #[tokio::test]
    async fn nothing_holds_up_nobody() {
        let frame = |content: &[u8]| zstd::encode_all(content, 1).unwrap();
        for (compression, nothing, wire) in
            [(Compression::Gzip, gzip(b""), gzip(b"sent")), (Compression::Zstd, frame(b""), frame(b"sent"))]
        {
            let members = 10 * SLICE / nothing.len();
            let wire = [nothing.repeat(members), wire].concat();
            let turns = std::cell::Cell::new(0);
            let others = async {
                loop {
                    turns.set(turns.get() + 1);
                    tokio::task::yield_now().await;
                }
            };
            let inflated = tokio::select! {
                (inflated, _) = run(compression, &wire, 100) => inflated,
                () = others => unreachable!("they never end"),
            };
            assert_eq!(inflated.unwrap(), b"sent");
            assert!(turns.get() >= 9, "{compression:?}: {} turns", turns.get());
        }
    }

    // Cut off, changed or foreign data is an error, never a shorter body.
    #[tokio::test]
    async fn corrupt_data_is_refused() {
        let plain = noise(10_000);
        for (compression, wire) in
            [(Compression::Gzip, gzip(&plain)), (Compression::Zstd, zstd::encode_all(&plain[..], 1).unwrap())]
        {
            for cut in [1, 5, wire.len() / 2, wire.len() - 1] {
                let (result, _) = run(compression, &wire[..cut], 1 << 20).await;
                assert!(matches!(result, Err(Refusal::Malformed(_))), "{compression:?} cut at {cut}");
            }
            let (result, _) = run(compression, b"not compressed at all", 1 << 20).await;
            assert!(matches!(result, Err(Refusal::Malformed(_))), "{compression:?}");
        }
        let mut flipped = gzip(&plain);
        flipped[5_000] ^= 1;
        assert!(run(Compression::Gzip, &flipped, 1 << 20).await.0.is_err());
    }

    // A sender cannot make us allocate by declaring: the guess stays in proportion to what was sent.
    #[tokio::test]
    async fn declared_size_is_not_trusted() {
        let mut liar = gzip(b"small");
        let at = liar.len() - 4;
        liar[at..].copy_from_slice(&u32::MAX.to_le_bytes());
        let (result, held) = run(Compression::Gzip, &liar, 64 << 20).await;
        assert!(matches!(result, Err(Refusal::Malformed(_))));
        assert!(held <= MIN_BUFFER, "{held}");
    }

    // Of several zstd bodies only as many are inflated at once as there is room for windows; the others wait, whatever these take, and none
    // for ever.
    #[tokio::test]
    async fn zstd_windows_take_turns() {
        let plain = noise(5 << 20);
        let wire = zstd::encode_all(&plain[..], 1).unwrap();
        let budget = Budget::new(64 << 20);
        let mut holds = [budget.hold(), budget.hold()];
        let [first, second] = &mut holds;
        let mut first = pin!(inflate(Compression::Zstd, &wire, 8 << 20, first));
        let mut second = pin!(inflate(Compression::Zstd, &wire, 8 << 20, second));
        let (mut turns, mut ends) = (0, Vec::new());
        std::future::poll_fn(|cx| {
            turns += 1;
            for inflating in [&mut first, &mut second].into_iter().skip(ends.len()) {
                if let Poll::Ready(inflated) = inflating.as_mut().poll(cx) {
                    assert!(inflated.unwrap() == plain);
                    ends.push(turns);
                }
            }
            if ends.len() == 2 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        // The second began when the first had ended: it took as many turns.
        assert!(ends[0] > 5 && ends[1] + 1 >= 2 * ends[0], "{ends:?}");
    }

    // A zstd frame that demands a window beyond 8 MiB is refused before the window is allocated.
    #[tokio::test]
    async fn zstd_window_is_bounded() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&noise(100)).unwrap();
        encoder.flush().unwrap();
        let wire = encoder.finish().unwrap();
        assert!(matches!(run(Compression::Zstd, &wire, 1 << 20).await.0, Err(Refusal::Malformed(_))));
    }
}
