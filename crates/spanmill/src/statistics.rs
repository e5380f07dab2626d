//! What is watched, in numbers: how many services, models, prompt versions and agents there were in the last hour, and how monitors,
//! alerts and objectives stand. Observed when metrics are collected, and looked up again when it is too old.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use monitor::{Health, MonitorState, Monitoring, Phase, Reach, SECOND, SeenCounts, Severity};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::applier::SharedPipeline;

/// Statistics, looked up at most once an interval.
#[derive(Debug, Clone)]
pub(crate) struct Statistics {
    pipeline: SharedPipeline,
    interval: Duration,
    newest: Arc<Mutex<Option<Newest>>>,
}

/// When they were looked up, and what they were then.
type Newest = (Instant, Arc<Figures>);

/// What they are at a time.
#[derive(Debug, PartialEq)]
struct Figures {
    seen: SeenCounts,
    /// Those that are not archived, in the order of [`Health::ALL`].
    monitors: [u64; Health::ALL.len()],
    /// In the order of [`Severity::ALL`].
    firing: [u64; Severity::ALL.len()],
    /// Whose history, in which steps, and how many seconds it reaches back.
    reaches: Vec<(&'static str, String, f64)>,
    /// Objective, monitor, and the share of the budget that is left.
    budgets: Vec<(String, String, f64)>,
}

impl Statistics {
    pub(crate) fn new(pipeline: SharedPipeline, interval: Duration) -> Self {
        Self { pipeline, interval, newest: Arc::default() }
    }

    /// Registers all instruments.
    pub(crate) fn register(self, meter: &Meter) {
        let version = || KeyValue::new("version", env!("CARGO_PKG_VERSION"));
        let statistics = self.clone();
        meter
            .u64_observable_gauge("spanmill.seen")
            .with_description("Different services, models, prompt versions and agents in the last hour")
            .with_unit("{value}")
            .with_callback(move |observer| {
                let SeenCounts { services, models, prompt_versions, agents } = statistics.figures().seen;
                for (of, count) in
                    [("service", services), ("model", models), ("prompt_version", prompt_versions), ("agent", agents)]
                {
                    observer.observe(count as u64, &[KeyValue::new("of", of), version()]);
                }
            })
            .build();
        let statistics = self.clone();
        meter
            .u64_observable_gauge("spanmill.monitors")
            .with_description("Monitors that are not archived")
            .with_unit("{monitor}")
            .with_callback(move |observer| {
                for (health, count) in Health::ALL.into_iter().zip(statistics.figures().monitors) {
                    observer.observe(count, &[KeyValue::new("health", health.name()), version()]);
                }
            })
            .build();
        let statistics = self.clone();
        meter
            .u64_observable_gauge("spanmill.alerts.firing")
            .with_description("Alerts that fire")
            .with_unit("{alert}")
            .with_callback(move |observer| {
                for (severity, count) in Severity::ALL.into_iter().zip(statistics.figures().firing) {
                    observer.observe(count, &[KeyValue::new("severity", severity.name()), version()]);
                }
            })
            .build();
        let statistics = self.clone();
        meter
            .f64_observable_gauge("spanmill.history.reach")
            .with_description("How far back the history reaches: less than an hour in steps of 10 s, a day of 1 min, 30 days of 15 min if it has too little memory")
            .with_unit("s")
            .with_callback(move |observer| {
                for (of, step, seconds) in &statistics.figures().reaches {
                    let labels = [KeyValue::new("of", *of), KeyValue::new("step", step.clone()), version()];
                    observer.observe(*seconds, &labels);
                }
            })
            .build();
        meter
            .f64_observable_gauge("spanmill.slo.budget_left")
            .with_description("Share of an error budget that is left; below 0 the objective is missed")
            .with_unit("1")
            .with_callback(move |observer| {
                for (slo, monitor, left) in &self.figures().budgets {
                    let names = [("slo", slo), ("monitor", monitor)];
                    let [slo, monitor] = names.map(|(key, name)| KeyValue::new(key, name.clone()));
                    observer.observe(*left, &[slo, monitor, version()]);
                }
            })
            .build();
    }

    /// The newest, unless they are too old.
    fn figures(&self) -> Arc<Figures> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*newest {
            Some((at, figures)) if at.elapsed() < self.interval => Arc::clone(figures),
            _ => {
                let figures = Arc::new(Figures::of(&self.pipeline.monitoring()));
                *newest = Some((Instant::now(), Arc::clone(&figures)));
                figures
            }
        }
    }
}

impl Figures {
    fn of(monitoring: &Monitoring) -> Self {
        let now = monitoring.now();
        let monitors = Health::ALL.map(|health| {
            let shown = monitoring.monitors().iter().filter(|monitor| monitor.state() != MonitorState::Archived);
            shown.filter(|monitor| monitor.health() == health).count() as u64
        });
        let firing = Severity::ALL.map(|severity| {
            let firing = monitoring.alerts().iter().filter(|alert| matches!(alert.phase(), Phase::Firing(_)));
            firing.filter(|alert| alert.rule().severity == severity).count() as u64
        });
        let budgets = monitoring.slos().iter().filter_map(|slo| {
            let definition = slo.definition();
            Some((definition.name.clone(), definition.monitor.clone(), slo.status(now).left?))
        });
        let seconds = |nanos: u64| nanos as f64 / SECOND as f64;
        let reaches = [("groups", monitoring.history().reaches()), ("monitors", monitoring.own_reaches())];
        let reaches = reaches.into_iter().flat_map(|(of, reaches)| {
            let seconds = |since| seconds(now.saturating_sub(since));
            reaches.map(|Reach { step, since, .. }| (of, format!("{}s", step / SECOND), seconds(since)))
        });
        Self { seen: monitoring.seen(), monitors, firing, reaches: reaches.collect(), budgets: budgets.collect() }
    }
}
