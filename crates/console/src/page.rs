//! The pages: what is seen in a browser.

mod alerts;
mod assets;
mod chart;
mod errors;
mod health;
mod layout;
mod monitor;
mod monitors;
mod notifications;
mod overview;
mod place;
mod prices;
mod text;
mod traces;

pub use traces::is_of_the_web;

use ::monitor::{EVALUATION_STEP, Monitoring};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::Markup;

use crate::console::Console;
use crate::packed::Packed;
use crate::params::MAX_QUERY;
use crate::problem::Problem;
use place::{PageParams, Place};

/// A page: its path, its name, what it can be looked at by, and what makes it.
#[derive(Debug, Clone, Copy)]
struct Page {
    path: &'static str,
    name: &'static str,
    controls: Controls,
    render: Render,
}

/// What a page can be looked at by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Controls {
    /// It is what it is.
    Nothing,
    /// A time.
    Time,
    /// A time and a filter.
    TimeAndFilter,
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// After how many seconds a browser asks again.
const REFRESH: (HeaderName, HeaderValue) = (HeaderName::from_static("refresh"), HeaderValue::from_static("5"));

type Render = fn(&Console, &Place) -> Result<Markup, Problem>;

/// The pages that are linked from every page.
const PAGES: [Page; 6] = [
    Page { path: "/", name: "Overview", controls: Controls::TimeAndFilter, render: overview::render },
    Page { path: "/errors", name: "Errors", controls: Controls::TimeAndFilter, render: errors::render },
    Page { path: "/monitors", name: "Monitors", controls: Controls::Nothing, render: monitors::render },
    Page { path: "/alerts", name: "Alerts", controls: Controls::Nothing, render: alerts::render },
    Page { path: "/prices", name: "Prices", controls: Controls::TimeAndFilter, render: prices::render },
    Page { path: "/health", name: "Health", controls: Controls::Nothing, render: health::render },
];

/// The page of a monitor.
const MONITOR: Page = Page { path: "/monitors/", name: "Monitor", controls: Controls::Time, render: monitor::render };

pub(crate) fn routes() -> Router<Console> {
    let pages = PAGES.into_iter().fold(Router::new(), |router, page| {
        router.route(page.path, get(move |State(console), uri, headers| show(console, uri, headers, page)))
    });
    let of_monitor = |State(console), uri, headers, _: Path<String>| show(console, uri, headers, MONITOR);
    pages.route("/monitors/{name}", get(of_monitor)).merge(assets::routes())
}

/// Bytes of ids as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn show(console: Console, uri: Uri, headers: HeaderMap, page: Page) -> Response {
    let answer = match parse(&uri) {
        Ok(place) => console.blocking(move |console| newest(console, &place, page)).await,
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(packed) => packed.answer(&headers, HTML),
        Err(problem) => refuse(&problem),
    }
}

fn refuse(problem: &Problem) -> Response {
    let (status, text) = (problem.status(), layout::problem(problem).into_string());
    match status {
        // It starts, for example: browsers ask again by themselves.
        StatusCode::SERVICE_UNAVAILABLE => (status, [(CONTENT_TYPE, HTML), REFRESH], text).into_response(),
        _ => (status, [(CONTENT_TYPE, HTML)], text).into_response(),
    }
}

/// What is said where there is no page.
pub(crate) async fn no_page(uri: Uri) -> Response {
    refuse(&Problem::not_found(format!("there is no page {}", uri.path())))
}

fn parse(uri: &Uri) -> Result<Place, Problem> {
    if uri.query().is_some_and(|query| query.len() > MAX_QUERY) {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, format!("the query is longer than {MAX_QUERY} bytes")));
    }
    let params = Query::<PageParams>::try_from_uri(uri).map_err(|error| Problem::bad_request(error.body_text()))?;
    Place::new(uri.path(), params.0)
}

/// A page as it is at the newest evaluation step, or, if it is of a long time, was not long before.
fn newest(console: &Console, place: &Place, page: Page) -> Result<Packed, Problem> {
    let make = || {
        let content = (page.render)(console, place)?;
        Ok(Packed::new(layout::page(console, place, page, content)?.into_string()))
    };
    let lasts = if page.controls == Controls::TimeAndFilter { place.view.lasts() } else { EVALUATION_STEP };
    match console.monitoring(Monitoring::next_evaluation)? {
        Some(next) => console.answers.get(next / lasts, &place.href(), make),
        None => make(),
    }
}
