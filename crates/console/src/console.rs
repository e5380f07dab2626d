//! Page and API together.

use std::fmt;
use std::sync::Arc;

use aggregate::ErrorIndex;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use monitor::{Answer, Filter, GroupBy, Monitoring, Range, Scan, Stats};
use tokio::sync::Semaphore;

use crate::answers::Answers;
use crate::events::{Events, MOST_LISTENERS};
use crate::problem::Problem;
use crate::source::Source;
use crate::{api, events, guard, page};

/// Steps of the history that are read while counting waits: less than a millisecond.
const STEPS_OF_A_PART: usize = 2_000;

/// What is configured of page and API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where a trace is shown: an address in which `{trace_id}` and `{span_id}` stand for the ids, e.g.
    /// `https://signoz.example/trace/{trace_id}?spanId={span_id}`. Without one the ids are shown to be copied.
    pub trace_link: Option<String>,
}

/// Page and API.
#[derive(Clone)]
pub struct Console {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) events: Events,
    pub(crate) listeners: Arc<Semaphore>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Console {
    /// Page and API of a source. To be called within a tokio runtime: a task tells open pages when there is something new.
    pub fn new(source: impl Source, settings: Settings) -> Self {
        let source: Arc<dyn Source> = Arc::new(source);
        Self {
            events: events::start(&source),
            source,
            settings: Arc::new(settings),
            answers: Arc::default(),
            listeners: Arc::new(Semaphore::new(MOST_LISTENERS)),
        }
    }

    /// Everything that is answered: `/`, the other pages, `/assets` and `/api/v1`, and that there is nothing else. Whoever mounts it asks
    /// for credentials.
    pub fn router(self) -> Router {
        let pages = page::routes().with_state(self.clone());
        let api = api::routes()
            .fallback(|| async { Problem::not_found("there is no such resource: see /api/v1/openapi.json") })
            .method_not_allowed_fallback(|| async {
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the resource does not know this method")
            })
            .with_state(self);
        pages
            .nest("/api/v1", api)
            .fallback(page::no_page)
            .layer(middleware::from_fn(guard::refuse_other_origins))
            .layer(middleware::map_response(guard::add_headers))
    }

    /// Asks where it may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let console = self.clone();
        let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made");
        tokio::task::spawn_blocking(move || ask(&console)).await.map_err(failed)?
    }

    /// What `ask` says of what is watched.
    pub(crate) fn monitoring<T>(&self, ask: impl FnOnce(&Monitoring) -> T) -> Result<T, Problem> {
        let (mut ask, mut answer) = (Some(ask), None);
        self.source.monitoring(&mut |monitoring| answer = ask.take().map(|ask| ask(monitoring)));
        answer.ok_or_else(|| self.not_running())
    }

    /// What the history says of a time, in each of the `ways`. It is asked in parts: counting goes on in between.
    pub(crate) fn scan<const WAYS: usize>(
        &self,
        range: Range,
        step: u64,
        filter: &Filter,
        ways: [GroupBy; WAYS],
    ) -> Result<[Answer; WAYS], Problem> {
        let mut scan = Scan::new(range, step, filter.clone(), ways);
        while !self.monitoring(|monitoring| scan.advance(monitoring.history(), STEPS_OF_A_PART))? {}
        let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made");
        scan.answers().try_into().map_err(broken)
    }

    /// What was counted in a time, in the shortest steps that are kept of it.
    pub(crate) fn totals(&self, range: Range, filter: &Filter) -> Result<Stats, Problem> {
        self.scan(range, 0, filter, [GroupBy::EVERYTHING]).map(|[all]| all.total())
    }

    /// The newest time of the log.
    pub(crate) fn now(&self) -> Result<u64, Problem> {
        self.monitoring(Monitoring::now)
    }

    /// What `ask` says of the error records.
    pub(crate) fn errors<T>(&self, ask: impl FnOnce(&ErrorIndex) -> T) -> Result<T, Problem> {
        let (mut ask, mut answer) = (Some(ask), None);
        self.source.errors(&mut |errors| answer = ask.take().map(|ask| ask(errors)));
        answer.ok_or_else(|| self.not_running())
    }

    /// Why nothing can be asked: it starts, for example.
    fn not_running(&self) -> Problem {
        let why = self.source.health().not_ready.unwrap_or_else(|| "nothing is counted now".to_owned());
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
    }
}
