//! Prices, and Spanmill itself.

use axum::Json;
use axum::extract::State;
use monitor::{Reach, SECOND};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use crate::console::Console;
use crate::events::NoParams;
use crate::params::Params;
use crate::problem::Problem;
use crate::source::{Saved, ServiceHealth};
use crate::view::{millis, view_params};

/// Models that are listed at most.
const MOST_MODELS: usize = 1_000;

view_params! {
    /// What prices are asked of.
    PricesParams {}
}

/// What is known of costs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PricesBody {
    /// Calls of the time, those whose cost is not known, and those that did not tell what they used.
    requests: u64,
    unpriced: u64,
    usage_missing: u64,
    /// Dollars, as far as they are known.
    cost: Option<f64>,
    /// Models without a price, since the start of the log, the most called first.
    unpriced_models: Vec<UnpricedBody>,
    saved: Option<SavedBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct UnpricedBody {
    provider: String,
    request_model: String,
    response_model: String,
    calls: u64,
}

/// What would have been counted twice, since the start of the log.
#[derive(Debug, Serialize, ToSchema)]
struct SavedBody {
    /// Spans that tell of calls which others tell, too.
    spans: u64,
    /// Dollars that they would have added, as far as that is known.
    cost: Option<f64>,
}

impl From<Saved> for SavedBody {
    fn from(Saved { spans, cost }: Saved) -> Self {
        Self { spans, cost }
    }
}

/// How much of the cost is known, and which models have no price.
#[utoipa::path(get, path = "/api/v1/prices", tag = "prices", params(PricesParams), responses(
    (status = 200, body = PricesBody),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn prices(State(console): State<Console>, Params(params): Params<PricesParams>) -> Answer<PricesBody> {
    let view = params.view()?;
    let answer = console.blocking(move |console| {
        let stats = console.totals(view.range(console.now()?), &view.filter)?;
        let models = console.source.unpriced().into_iter().take(MOST_MODELS);
        Ok(PricesBody {
            requests: stats.requests,
            unpriced: stats.unpriced,
            usage_missing: stats.usage_missing,
            cost: monitor::Field::Cost.of(&stats, 1),
            unpriced_models: models
                .map(|model| UnpricedBody {
                    provider: model.provider,
                    request_model: model.request_model,
                    response_model: model.response_model,
                    calls: model.calls,
                })
                .collect(),
            saved: console.source.health().saved.map(SavedBody::from),
        })
    });
    answer.await.map(Json)
}

/// How Spanmill does. What it cannot tell is null.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthBody {
    #[schema(value_type = String)]
    version: &'static str,
    /// Why it takes no requests; null if it does.
    not_ready: Option<String>,
    received_spans: Option<u64>,
    /// What became of them.
    outcomes: Vec<OutcomeBody>,
    waiting_spans: Option<u64>,
    /// Spans received beyond those that have an outcome or wait for one: anything but 0 is a fault.
    unaccounted_spans: Option<i64>,
    cursors: Vec<CursorBody>,
    log_bytes: Option<u64>,
    log_limit_bytes: Option<u64>,
    duplicate_window_seconds: Option<f64>,
    settled_early: Option<u64>,
    saved: Option<SavedBody>,
    /// off, working or failed.
    #[schema(value_type = String)]
    archive: &'static str,
    history_groups: usize,
    history_bytes: usize,
    history_limit_bytes: usize,
    /// How far back the history reaches, in steps of each length.
    history: Vec<ReachBody>,
    /// The same of what monitors and canaries keep.
    monitors: Vec<ReachBody>,
}

/// How far back the history reaches in steps of a length.
#[derive(Debug, Serialize, ToSchema)]
struct ReachBody {
    step_seconds: u64,
    /// For how long they are kept if there is memory for that.
    kept_seconds: u64,
    /// From when on everything is known in them.
    since: u64,
    /// Whether that is later than it would be with more memory: `history.memory` in the configuration.
    is_cut: bool,
}

impl From<Reach> for ReachBody {
    fn from(Reach { step, kept, since, is_cut }: Reach) -> Self {
        Self { step_seconds: step / SECOND, kept_seconds: kept / SECOND, since: millis(since), is_cut }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct OutcomeBody {
    #[schema(value_type = String)]
    outcome: &'static str,
    spans: u64,
}

/// What follows the log, and how many records it has yet to take.
#[derive(Debug, Serialize, ToSchema)]
struct CursorBody {
    name: String,
    records: u64,
}

/// How Spanmill itself does.
#[utoipa::path(get, path = "/api/v1/health", tag = "health", responses((status = 200, body = HealthBody)))]
pub(super) async fn health(State(console): State<Console>, _: Params<NoParams>) -> Answer<HealthBody> {
    let answer = console.blocking(|console| {
        let ServiceHealth {
            version,
            not_ready,
            received,
            outcomes,
            waiting,
            unaccounted,
            cursors,
            log,
            duplicate_window,
            settled_early,
            saved,
            archive,
        } = console.source.health();
        let (history_groups, history_bytes, history_limit_bytes, reaches) = console.monitoring(|monitoring| {
            let history = monitoring.history();
            let reaches = [history.reaches(), monitoring.own_reaches()];
            (history.group_count(), history.memory(), history.most_memory(), reaches)
        })?;
        let [history, monitors] = reaches.map(|reaches| reaches.map(ReachBody::from).into());
        Ok(HealthBody {
            version,
            not_ready,
            received_spans: received,
            outcomes: outcomes.into_iter().map(|(outcome, spans)| OutcomeBody { outcome, spans }).collect(),
            waiting_spans: waiting,
            unaccounted_spans: unaccounted,
            cursors: cursors
                .into_iter()
                .map(|cursor| CursorBody { name: cursor.name, records: cursor.records })
                .collect(),
            log_bytes: log.map(|(bytes, _)| bytes),
            log_limit_bytes: log.map(|(_, limit)| limit),
            duplicate_window_seconds: duplicate_window.map(|nanos| nanos as f64 / 1e9),
            settled_early,
            saved: saved.map(SavedBody::from),
            archive: archive.name(),
            history_groups,
            history_bytes,
            history_limit_bytes,
            history,
            monitors,
        })
    });
    answer.await.map(Json)
}
