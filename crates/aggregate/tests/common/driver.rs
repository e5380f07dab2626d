//! A pipeline that is driven by hand.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use aggregate::{
    Applied, DuplicateSettings, Effect, Forms, Interval, Layout, Logged, Pipeline, Pricing, Record, Semconv, Settings,
    SettleSettings, SpanOutcome, Totals,
};
use bytes::Bytes;
use genai::Deriver;
use genai::price::{Catalogue, Overrides, Prices};
use spanmill_aggregate as aggregate;

pub const SECOND: u64 = 1_000_000_000;
pub const START: u64 = 1_700_000_000 * SECOND;

static PRICES: LazyLock<Arc<Prices>> =
    LazyLock::new(|| Arc::new(Prices::new(Catalogue::builtin().unwrap(), Overrides::default())));

pub fn settings(cardinality_limit: usize) -> Settings {
    Settings {
        layout: Layout {
            resource_attributes: vec!["service.name".to_owned()],
            dimensions: Vec::new(),
            max_label_length: 256,
        },
        semconv: Semconv::V1_41,
        cardinality_limit,
        error_records: 1_000,
        instance_id: "test".to_owned(),
        delta: Forms { explicit: true, exponential: true },
        cumulative: Forms { explicit: true, exponential: true },
        error_logs: true,
        duplicates: DuplicateSettings { window: 1800 * SECOND, max_entries: 20_000 },
        settle: SettleSettings { wait: 10 * SECOND, memory: 64 << 20, merge_unlinked: false },
        pending: Some(usize::MAX),
        pricing: Pricing { prices: Arc::clone(&PRICES), honour_supplied: true },
        redactor: genai::Redactor::Keep,
        watched: true,
    }
}

/// A pipeline and the log position that it has reached.
pub struct Driver {
    pub pipeline: Pipeline,
    pub lsn: u64,
    /// Receive time of the next record.
    pub now: u64,
    pub received: u64,
    pub outcomes: Vec<SpanOutcome>,
    pub applied: Vec<Applied>,
    pub intervals: Vec<Interval>,
    /// What those who watch each counted call come to, by model.
    pub watched: BTreeMap<String, Totals>,
}

impl Driver {
    pub fn new(settings: Settings) -> Self {
        let pipeline = Pipeline::new(settings);
        Self {
            pipeline,
            lsn: 0,
            now: START,
            received: 0,
            outcomes: Vec::new(),
            applied: Vec::new(),
            intervals: Vec::new(),
            watched: BTreeMap::new(),
        }
    }

    pub fn apply(&mut self, record: Record) {
        self.lsn += 1;
        let logged = Logged { lsn: self.lsn, receive_time: self.now, record };
        let Self { pipeline, outcomes, applied, intervals, .. } = self;
        pipeline.apply(logged, |effect| match effect {
            Effect::Applied(request) => {
                outcomes.extend(request.outcomes.iter().cloned());
                applied.push(request);
            }
            Effect::Interval(interval) => intervals.push(interval),
        });
        assert_eq!(pipeline.unaccounted(), 0, "after record {}", self.lsn);
        self.watch();
    }

    fn watch(&mut self) {
        for call in self.pipeline.counted() {
            let names = call.attributes(&["gen_ai.response.model", "gen_ai.request.model"]);
            let model = names.into_iter().find(|model| !model.is_empty()).unwrap_or("unknown");
            let totals = self.watched.entry(model.to_owned()).or_default();
            totals.requests += u64::from(!call.is_late());
            totals.errors += u64::from(call.error().is_some());
            totals.tokens += call.usage().map(|usage| usage.classes()).unwrap_or_default();
            totals.cost += call.cost().unwrap_or_default();
        }
    }

    pub fn traces(&mut self, body: &Bytes) {
        // Half of the requests come as from a handler that looked its series up, half as after a restart.
        let index = self.lsn.is_multiple_of(2).then(|| self.pipeline.index());
        let record = Record::of_traces(&Deriver::default(), body.clone(), index.as_deref(), false).unwrap();
        let Some(record) = record else { return };
        if let Record::Traces { facts, .. } = &record {
            self.received += facts.len() as u64;
        }
        self.apply(record);
    }

    /// As the server does: logs without evaluations are no record.
    pub fn logs(&mut self, body: &Bytes) {
        let evaluations = Deriver::default().derive_logs(body).unwrap();
        if !evaluations.is_empty() {
            self.apply(Record::Logs { body: body.clone(), evaluations });
        }
    }

    pub fn drain(&mut self) {
        self.apply(Record::Drain);
    }
}
