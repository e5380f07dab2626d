//! Tells open pages when there is something new: one event per evaluation step.

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;

use crate::console::Console;
use crate::params::Params;
use crate::problem::Problem;
use crate::source::Source;

/// Streams that are open at a time.
pub(crate) const MOST_LISTENERS: usize = 100;
/// How often it is looked whether there is something new.
const LOOK: Duration = Duration::from_millis(500);

/// The newest evaluation step, as the nanosecond at which the next one begins; closed when the server stops.
pub(crate) type Events = watch::Receiver<u64>;

/// Starts to look. It ends with the source, or when that is about to stop.
pub(crate) fn start(source: &Arc<dyn Source>) -> Events {
    let (newest, events) = watch::channel(0);
    let source = Arc::downgrade(source);
    tokio::spawn(async move {
        while let Ok(Some(step)) = tokio::task::spawn_blocking({
            let source = source.clone();
            move || look(&source)
        })
        .await
        {
            newest.send_if_modified(|known| std::mem::replace(known, step) != step);
            tokio::time::sleep(LOOK).await;
        }
    });
    events
}

fn look(source: &Weak<dyn Source>) -> Option<u64> {
    let source = source.upgrade().filter(|source| !source.is_stopping())?;
    let mut step = 0;
    source.monitoring(&mut |monitoring| step = monitoring.next_evaluation().unwrap_or_default());
    Some(step)
}

/// No parameters.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParams {}

/// Says when to ask again: an event `evaluated` at once and after every evaluation step.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", responses(
    (status = 200, description = "Events without end", content_type = "text/event-stream", body = String),
    (status = 503, description = "Too many listen already", content_type = "application/problem+json", body = Problem),
))]
pub(crate) async fn events(State(console): State<Console>, _: Params<NoParams>) -> Response {
    let Ok(permit) = Arc::clone(&console.listeners).try_acquire_owned() else {
        let detail = format!("{MOST_LISTENERS} listen already");
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    };
    let mut events = console.events.clone();
    events.mark_changed();
    let stream = stream::unfold((events, permit), |(mut events, permit)| async move {
        events.changed().await.ok()?;
        let step = *events.borrow_and_update();
        let event = Event::default().event("evaluated").data(step.to_string());
        Some((Ok::<_, Infallible>(event), (events, permit)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default()).into_response()
}
