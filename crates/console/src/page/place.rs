//! Where on the page somebody is: all of it stands in the address.

use monitor::{Dimension, Range};

use crate::problem::Problem;
use crate::view::{Span, View, encoded, view_params};

view_params! {
    /// What a page is asked for.
    PageParams {
        /// Series that are not drawn: names, encoded, with `~` between them.
        hide: Option<String>,
        /// Errors: of which group.
        group: Option<String>,
        /// Errors: of which class.
        class: Option<String>,
        /// Monitors: whether the archived ones are shown, with `1`.
        archived: Option<String>,
    }
}

/// A page, and how it is looked at.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The path, encoded.
    pub(super) path: String,
    pub(super) view: View,
    more: Vec<(&'static str, String)>,
}

impl Place {
    pub(super) fn new(path: &str, params: PageParams) -> Result<Self, Problem> {
        let view = params.view()?;
        let PageParams { hide, group, class, archived, .. } = params;
        let more = [("hide", hide), ("group", group), ("class", class), ("archived", archived)];
        let more = more.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
        Ok(Self { path: path.to_owned(), view: without_empty(view), more: more.collect() })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.more.iter().find(|(of, _)| *of == name).map(|(_, value)| &**value)
    }

    /// What stands in the address beside time and filter.
    pub(super) fn more(&self) -> &[(&'static str, String)] {
        &self.more
    }

    /// Its address.
    pub(super) fn href(&self) -> String {
        let more = self.more.iter().map(|(name, value)| format!("&{name}={}", encoded(value)));
        format!("{}?{}{}", self.path, self.view.query(), more.collect::<String>())
    }

    /// The address of another page, looked at in the same way.
    pub(super) fn elsewhere(&self, path: &str) -> String {
        format!("{path}?{}", self.view.query())
    }

    /// The same page at another time.
    pub(super) fn at(&self, span: Span) -> Self {
        Self { view: self.view.with(span), ..self.clone() }
    }

    /// The same page with something else beside time and filter.
    pub(super) fn with(&self, name: &'static str, value: Option<String>) -> Self {
        let mut place = self.clone();
        place.more.retain(|(of, _)| *of != name);
        place.more.extend(value.map(|value| (name, value)));
        place
    }

    /// The same page, of one value of a dimension only, or of all.
    pub(super) fn only(&self, dimension: Dimension, value: Option<&str>) -> Self {
        let mut place = self.clone();
        let accepted = &mut place.view.filter.accepted;
        accepted.retain(|(of, _)| *of != dimension);
        accepted.extend(value.map(|value| (dimension, value.to_owned())));
        place
    }

    fn hidden(&self) -> impl Iterator<Item = &str> {
        self.get("hide").into_iter().flat_map(|hidden| hidden.split('~'))
    }

    /// Whether a series of a chart is not drawn.
    pub(super) fn hides(&self, chart: &str, series: &str) -> bool {
        let key = key(chart, series);
        self.hidden().any(|hidden| hidden == key)
    }

    /// The same page with a series drawn that is hidden, or the other way round.
    pub(super) fn toggled(&self, chart: &str, series: &str) -> Self {
        let key = key(chart, series);
        let mut hidden: Vec<&str> = self.hidden().filter(|hidden| *hidden != key).collect();
        if !self.hides(chart, series) {
            hidden.push(&key);
        }
        self.with("hide", Some(hidden.join("~")).filter(|hidden| !hidden.is_empty()))
    }

    /// Whether the newest time is looked at, so that there is something to refresh.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.view.span, Span::Last(_))
    }

    /// A time half or twice as long, around the same middle.
    pub(super) fn wider(&self, range: Range) -> Self {
        let half = range.length() / 2;
        let (most, least) = (31 * monitor::DAY, monitor::MINUTE);
        let from = range.from.saturating_sub(half);
        let to = (range.to + half).min(from + most).max(from + least);
        self.at(Span::Between(Range { from, to }))
    }
}

fn key(chart: &str, series: &str) -> String {
    format!("{chart}.{}", encoded(series))
}

/// A form sends empty values for what is not filtered by. A service without a name can be asked for through the API.
fn without_empty(mut view: View) -> View {
    view.filter.accepted.retain(|(_, value)| !value.is_empty());
    view
}
