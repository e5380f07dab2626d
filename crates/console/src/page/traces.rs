//! Ids of traces: links to where they are shown, or texts to be copied.

use maud::{Markup, html};

use super::hex;
use crate::console::Settings;
use crate::view::encoded;

/// A link to a trace, or its id to be copied.
pub(super) fn trace(settings: &Settings, trace_id: &[u8], span_id: Option<&[u8]>) -> Markup {
    let id = hex(trace_id);
    let short = id.get(..8).unwrap_or_default();
    match href(settings, &id, &span_id.map(hex).unwrap_or_default()) {
        Some(href) => html! {
            a.trace href=(href) target="_blank" rel="noopener noreferrer" title=(id) { code { (short) } span.sr { " trace, in a new tab" } }
        },
        None => {
            html! { button.trace type="button" data-copy=(id) title={ "Copy " (id) } { code { (short) } span.sr { " copy trace id" } } }
        }
    }
}

/// Whether the page links to it: only to addresses of the web.
pub fn is_of_the_web(link: &str) -> bool {
    ["https://", "http://", "/"].iter().any(|start| link.starts_with(start))
}

fn href(settings: &Settings, trace_id: &str, span_id: &str) -> Option<String> {
    let template = settings.trace_link.as_deref()?;
    is_of_the_web(template)
        .then(|| template.replace("{trace_id}", &encoded(trace_id)).replace("{span_id}", &encoded(span_id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Ids stand where the template says, and nothing but an address of the web becomes a link.
    #[test]
    fn links_are_of_the_web() {
        let href = |link: &str| href(&Settings { trace_link: Some(link.into()) }, "ab", "cd");
        assert_eq!(href("https://s/{trace_id}?spanId={span_id}").as_deref(), Some("https://s/ab?spanId=cd"));
        assert_eq!(href("javascript:alert({trace_id})"), None);
    }
}
