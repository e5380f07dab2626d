//! Control charts: a field of a monitor, point by point, against the mean and the spread that it had while it was learned.

use std::collections::VecDeque;

use crate::monitor::Monitor;
use crate::snapshot::Field;
use crate::time::{MINUTE, Range};

/// A control chart of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartDefinition {
    /// Its name.
    pub name: String,
    /// The monitor.
    pub monitor: String,
    /// The field.
    pub field: Field,
    /// How long the time is that makes a point, in nanoseconds: a multiple of 10 s, at most an hour.
    pub step: u64,
    /// How many points are learned from, at least 2.
    pub learning: usize,
    /// With fewer calls a time makes no point.
    pub minimum_requests: u64,
}

impl ChartDefinition {
    /// A chart with the defaults: points of 5 minutes, a day to learn, 20 calls a point.
    pub fn new(name: &str, monitor: &str, field: Field) -> Self {
        let (name, monitor) = (name.to_owned(), monitor.to_owned());
        Self { name, monitor, field, step: 5 * MINUTE, learning: 288, minimum_requests: 20 }
    }
}

/// What is out of control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChartRule {
    /// The point is further than three standard deviations from the mean.
    Outside,
    /// The last seven points rise, or fall: each is above, or below, the one before it.
    Trend,
    /// The last seven points lie on one side of the mean.
    OneSide,
}

impl ChartRule {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Outside, Self::Trend, Self::OneSide];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Trend => "trend",
            Self::OneSide => "one_side",
        }
    }
}

/// A point of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartPoint {
    /// When the time ends that makes it.
    pub at: u64,
    /// The field.
    pub value: f64,
    /// What is out of control at it.
    pub broken: Vec<ChartRule>,
}

/// The limits of a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The mean of what was learned.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
}

impl Limits {
    /// The least value that is not outside.
    pub fn lower(&self) -> f64 {
        self.mean - 3.0 * self.deviation
    }

    /// The greatest value that is not outside.
    pub fn upper(&self) -> f64 {
        self.mean + 3.0 * self.deviation
    }
}

/// Points that runs are made of.
const RUN: usize = 7;
/// Points that are kept to be shown: two days of five minutes.
const KEPT: usize = 576;
/// A spread below this share of the mean is none that was measured: histograms and sums are not that exact.
const LEAST_SPREAD: f64 = 0.01;

/// A control chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub(crate) definition: ChartDefinition,
    /// What is learned from, until there is enough.
    pub(crate) learned: Vec<f64>,
    pub(crate) limits: Option<Limits>,
    pub(crate) points: VecDeque<ChartPoint>,
}

impl Chart {
    pub(crate) fn new(definition: ChartDefinition) -> Self {
        Self { definition, learned: Vec::new(), limits: None, points: VecDeque::new() }
    }

    /// What it is of.
    pub fn definition(&self) -> &ChartDefinition {
        &self.definition
    }

    /// The limits; `None` while they are learned.
    pub fn limits(&self) -> Option<Limits> {
        self.limits
    }

    /// How many points were learned from so far.
    pub fn learned(&self) -> usize {
        if self.limits.is_some() { self.definition.learning } else { self.learned.len() }
    }

    /// The newest points, oldest first, those that were learned from left out.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = &ChartPoint> {
        self.points.iter()
    }

    /// Whether the newest point is out of control; `None` while there is none.
    pub fn is_out_of_control(&self) -> Option<bool> {
        self.points.back().map(|point| !point.broken.is_empty())
    }

    /// Adds the point of the time that ends, if one does, all of it is known and there are enough calls in it.
    pub(crate) fn evaluate(&mut self, now: u64, monitor: &Monitor, unseen: Range) {
        let ChartDefinition { field, step, minimum_requests, .. } = self.definition;
        let is_seen = Range::before(now, step).overlap(unseen) == 0;
        if !now.is_multiple_of(step) || !monitor.is_active() || !is_seen {
            return;
        }
        let stats = monitor.rings.window(now, step);
        if let Some(value) = field.of(&stats, step).filter(|_| stats.requests >= minimum_requests.max(1)) {
            self.add(now, value);
        }
    }

    /// Adds a point.
    pub(crate) fn add(&mut self, at: u64, value: f64) {
        let Some(limits) = self.limits else {
            self.learned.push(value);
            if self.learned.len() >= self.definition.learning.max(2) {
                self.limits = Some(learn(&std::mem::take(&mut self.learned)));
            }
            return;
        };
        let before = self.points.iter().rev().take(RUN - 1).map(|point| point.value);
        let newest_first: Vec<f64> = std::iter::once(value).chain(before).collect();
        let broken = ChartRule::ALL.into_iter().filter(|rule| rule.is_broken(&newest_first, &limits)).collect();
        if self.points.len() >= KEPT {
            self.points.pop_front();
        }
        self.points.push_back(ChartPoint { at, value, broken });
    }
}

/// Mean and standard deviation of a sample.
fn learn(values: &[f64]) -> Limits {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Limits { mean, deviation: variance.sqrt().max(LEAST_SPREAD * mean.abs()) }
}

impl ChartRule {
    /// Whether the newest points break it. Where nothing but zero was learned, there are no limits to be outside of.
    fn is_broken(self, newest_first: &[f64], limits: &Limits) -> bool {
        let is_run = newest_first.len() == RUN;
        let [newest, ..] = newest_first else { return false };
        match self {
            Self::Outside => limits.deviation > 0.0 && (newest - limits.mean).abs() > 3.0 * limits.deviation,
            Self::Trend => {
                let pairs = || newest_first.iter().zip(&newest_first[1..]);
                is_run && (pairs().all(|(newer, older)| newer > older) || pairs().all(|(newer, older)| newer < older))
            }
            Self::OneSide => {
                let mean = limits.mean;
                is_run
                    && (newest_first.iter().all(|value| *value > mean)
                        || newest_first.iter().all(|value| *value < mean))
            }
        }
    }
}
