//! What the headers of a request say: content type and compression.
use crate::Refusal;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// What a client may send, as `grpc-accept-encoding` and `Accept-Encoding` say it.
pub(crate) const ACCEPTED: &str = "identity,gzip,zstd";

/// Longer names of encodings and content types are cut before they are repeated to the client.
const MAX_ECHO: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

/// Every name a client may write, in lower case, and what it means.
const NAMES: [(&[u8], Option<Compression>); 6] = [
    (b"", None),
    (b"identity", None),
    (b"none", None),
    (b"gzip", Some(Compression::Gzip)),
    (b"x-gzip", Some(Compression::Gzip)),
    (b"zstd", Some(Compression::Zstd)),
];

impl Compression {
    /// Reads `grpc-encoding` or `Content-Encoding`. One name only: nested compression is for bombs.
    pub(crate) fn from_headers(headers: &HeaderMap, header: HeaderName) -> Result<Option<Self>, Refusal> {
        let mut values = headers.get_all(header).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Refusal::UnsupportedEncoding("more than one".to_owned()));
        }
        let sent = value.as_bytes().trim_ascii();
        let known = NAMES.iter().find(|(name, _)| sent.eq_ignore_ascii_case(name));
        known.map(|(_, compression)| *compression).ok_or_else(|| Refusal::UnsupportedEncoding(echo(sent)))
    }
}

/// The media type without its parameters: `charset=utf-8` does not matter. Empty if there is none.
pub(crate) fn media_type(headers: &HeaderMap) -> &[u8] {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// The start of a header value, fit to be repeated in an error text.
pub(crate) fn echo(value: &[u8]) -> String {
    let start = value.get(..MAX_ECHO).unwrap_or(value);
    String::from_utf8_lossy(start).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CONTENT_ENCODING;

    fn parse(values: &[&'static str]) -> Result<Option<Compression>, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        Compression::from_headers(&headers, CONTENT_ENCODING)
    }

    // Known names in any case are understood; anything unknown, listed or repeated is refused.
    #[test]
    fn one_known_encoding() {
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&["none"]), Ok(None));
        assert_eq!(parse(&["GZIP"]), Ok(Some(Compression::Gzip)));
        assert_eq!(parse(&[" zstd"]), Ok(Some(Compression::Zstd)));
        for refused in [&["snappy"][..], &["gzip, gzip"], &["gzip", "gzip"], &["deflate"]] {
            assert!(matches!(parse(refused), Err(Refusal::UnsupportedEncoding(_))), "{refused:?}");
        }
    }
}
