//! The style, the script and the icon. Their addresses say what is in them, so browsers keep them.

use std::sync::LazyLock;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::console::Console;
use crate::packed::Packed;

/// Something that pages load.
#[derive(Debug)]
pub(super) struct Asset {
    path: &'static str,
    kind: &'static str,
    packed: LazyLock<Packed>,
    hash: LazyLock<String>,
}

macro_rules! asset {
    ($name:ident, $file:literal, $kind:literal) => {
        pub(super) static $name: Asset = Asset {
            path: concat!("/assets/", $file),
            kind: $kind,
            packed: LazyLock::new(|| Packed::new(sent(include_str!(concat!("../../assets/", $file))))),
            hash: LazyLock::new(|| hash(&sent(include_str!(concat!("../../assets/", $file))))),
        };
    };
}

asset!(STYLE, "console.css", "text/css; charset=utf-8");
asset!(SCRIPT, "console.js", "text/javascript; charset=utf-8");
asset!(ICON, "icon.svg", "image/svg+xml");

/// What is sent of a file: no indentation, no lines of comments.
fn sent(content: &str) -> String {
    let is_comment = |line: &str| line.starts_with("//") || line.starts_with("/*") && line.ends_with("*/");
    let lines = content.lines().map(str::trim).filter(|line| !line.is_empty() && !is_comment(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn hash(content: &str) -> String {
    format!("{:032x}", twox_hash::XxHash3_128::oneshot(content.as_bytes()))
}

impl Asset {
    /// Where it is.
    pub(super) fn href(&self) -> String {
        format!("{}?v={}", self.path, self.hash.get(..12).unwrap_or_default())
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = format!("\"{}\"", *self.hash);
        let kept = [(ETAG, tag.clone()), (CACHE_CONTROL, "private, max-age=31536000, immutable".to_owned())];
        match headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
            true => (StatusCode::NOT_MODIFIED, kept).into_response(),
            false => (kept, self.packed.answer(headers, HeaderValue::from_static(self.kind))).into_response(),
        }
    }
}

pub(super) fn routes() -> Router<Console> {
    [&STYLE, &SCRIPT, &ICON].into_iter().fold(Router::new(), |router, asset| {
        router.route(asset.path, get(move |headers: HeaderMap| async move { asset.answer(&headers) }))
    })
}
