//! The pages: what is seen in a browser.

mod alerts;
mod assets;
mod chart;
mod errors;
mod health;
mod layout;
mod monitor;
mod monitors;
mod overview;
mod place;
mod prices;
mod text;
mod traces;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use maud::Markup;

use crate::console::Console;
use crate::params::MAX_QUERY;
use crate::problem::Problem;
use place::{PageParams, Place};

/// A page: its path, its name, and what makes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    path: &'static str,
    name: &'static str,
    render: fn(&Console, &Place) -> Result<Markup, Problem>,
}

/// The pages that are linked from every page.
const PAGES: [Page; 6] = [
    Page { path: "/", name: "Overview", render: overview::render },
    Page { path: "/errors", name: "Errors", render: errors::render },
    Page { path: "/monitors", name: "Monitors", render: monitors::render },
    Page { path: "/alerts", name: "Alerts", render: alerts::render },
    Page { path: "/prices", name: "Prices", render: prices::render },
    Page { path: "/health", name: "Health", render: health::render },
];

pub(crate) fn routes() -> Router<Console> {
    let pages = PAGES.into_iter().fold(Router::new(), |router, page| {
        router.route(page.path, get(move |State(console), uri| show(console, uri, page.render)))
    });
    let of_monitor = |State(console), uri, _: Path<String>| show(console, uri, monitor::render);
    pages.route("/monitors/{name}", get(of_monitor)).merge(assets::routes())
}

/// Bytes of ids as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn show(console: Console, uri: Uri, render: fn(&Console, &Place) -> Result<Markup, Problem>) -> Response {
    let answer = match parse(&uri) {
        Ok(place) => console.blocking(move |console| page(console, &place, render)).await,
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(page) => html(StatusCode::OK, page),
        Err(problem) => html(problem.status(), Bytes::from(layout::problem(&problem).into_string())),
    }
}

fn html(status: StatusCode, page: Bytes) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(CONTENT_TYPE, kind)], page).into_response()
}

fn parse(uri: &Uri) -> Result<Place, Problem> {
    if uri.query().is_some_and(|query| query.len() > MAX_QUERY) {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, format!("the query is longer than {MAX_QUERY} bytes")));
    }
    let params = Query::<PageParams>::try_from_uri(uri).map_err(|error| Problem::bad_request(error.body_text()))?;
    Place::new(uri.path(), params.0)
}

/// A page as it is at the newest evaluation step.
fn page(
    console: &Console,
    place: &Place,
    render: fn(&Console, &Place) -> Result<Markup, Problem>,
) -> Result<Bytes, Problem> {
    let step = console.monitoring(|monitoring| monitoring.next_evaluation())?;
    let asked = place.href();
    if let Some(page) = step.and_then(|step| console.answers.get(step, &asked)) {
        return Ok(page);
    }
    let page = Bytes::from(layout::page(console, place, render(console, place)?)?.into_string());
    if let Some(step) = step {
        console.answers.keep(step, asked, &page);
    }
    Ok(page)
}
