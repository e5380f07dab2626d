//! The length-prefixed message of a unary gRPC call: one byte flag, four bytes length, the message.
use crate::Refusal;
use crate::budget::Hold;
use crate::gather::Gather;
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;

/// Flag and length.
const HEADER_LEN: usize = 5;

/// The success response: an export response without `partial_success` is an empty message.
pub(crate) const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; HEADER_LEN]);

/// One message as it was sent.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) compressed: bool,
    pub(crate) body: Bytes,
}

struct Header {
    compressed: bool,
    /// Header and message.
    frame_len: usize,
}

impl Header {
    /// Reads the header as soon as all of it has arrived, and refuses a length beyond the limit at once.
    fn read(start: &[u8], limit: usize) -> Result<Option<Header>, Refusal> {
        let Some(&[flag, a, b, c, d]) = start.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let compressed = match flag {
            0 => false,
            1 => true,
            other => {
                return Err(Refusal::Framing(format!("invalid compressed flag {other} in the gRPC frame")));
            }
        };
        let declared = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if declared > limit {
            return Err(Refusal::TooLarge { limit });
        }
        Ok(Some(Header { compressed, frame_len: HEADER_LEN + declared }))
    }
}

/// Reads the one message of a unary call to the end of its stream.
pub(crate) async fn read<B>(mut stream: B, limit: usize, hold: &mut Hold) -> Result<Message, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut gather = Gather::new(limit, HEADER_LEN);
    let mut header = None;
    while let Some(frame) = stream.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Interrupted)?.into_data() else {
            continue;
        };
        if gather.as_slice().is_empty() {
            let declared = Header::read(&data, limit)?.map_or(1, |header| header.frame_len);
            hold.admit(declared.max(data.len())).await;
        }
        gather.push(data, hold)?;
        if header.is_none() {
            header = Header::read(gather.as_slice(), limit)?;
            if let Some(Header { frame_len, .. }) = header {
                gather.expect(frame_len);
            }
        }
        if header.as_ref().is_some_and(|header| gather.as_slice().len() > header.frame_len) {
            return Err(Refusal::Framing("more than one message in a unary call".to_owned()));
        }
    }
    let received = gather.as_slice().len();
    match header {
        Some(Header { compressed, frame_len }) if received == frame_len => {
            Ok(Message { compressed, body: gather.finish(hold).slice(HEADER_LEN..) })
        }
        Some(Header { frame_len, .. }) => {
            Err(Refusal::Framing(format!("gRPC frame ends after {received} of {frame_len} bytes")))
        }
        None => Err(Refusal::Framing(format!("gRPC frame header ends after {received} of {HEADER_LEN} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use std::convert::Infallible;

    async fn read_frames(frames: &[&[u8]]) -> Result<Message, Refusal> {
        let frames: Vec<_> =
            frames.iter().map(|frame| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(frame)))).collect();
        read(StreamBody::new(stream::iter(frames)), 10, &mut Budget::new(1_000).hold()).await
    }

    // However the message is cut into frames, it is read whole.
    #[tokio::test]
    async fn any_cut_reads_the_same() {
        let wire = b"\x00\x00\x00\x00\x03abc";
        for cut in 0..=wire.len() {
            let (left, right) = wire.split_at(cut);
            let message = read_frames(&[left, b"", right]).await.unwrap();
            assert_eq!(&message.body[..], b"abc");
            assert!(!message.compressed);
        }
        let single: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(&read_frames(&single).await.unwrap().body[..], b"abc");
    }

    // Anything but exactly one message is a framing error; a length beyond the limit is known from the header alone.
    #[tokio::test]
    async fn odd_frames_are_refused() {
        for odd in
            [&b""[..], b"\x00\x00", b"\x00\x00\x00\x00\x03ab", b"\x00\x00\x00\x00\x01ab", b"\x02\x00\x00\x00\x00"]
        {
            assert!(matches!(read_frames(&[odd]).await, Err(Refusal::Framing(_))), "{odd:?}");
        }
        let oversize = read_frames(&[b"\x00\x00\x00\x00\x0b"]).await;
        assert_eq!(oversize.unwrap_err(), Refusal::TooLarge { limit: 10 });
    }
}
