//! Tells of alerts: what waits to be told goes to the notifiers, and that they are through with it goes into the log.
//!
//! So nobody is told twice after a restart. Only where the process dies between a delivery and its record is the notification delivered
//! again, with the same key.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use monitor::{Command, Incident, Monitoring, Notification, Phase};
use notify::{Message, Notifier, Notifiers, NotifyError, Settled, Statuses};
use opentelemetry::metrics::Meter;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use wal::{AppendError, Log};

use crate::applier::SharedPipeline;
use crate::recorder::LogRecord;
use crate::server::{append_record, told};

/// How often is looked for something to tell.
const LOOK: Duration = Duration::from_millis(500);
/// How long an attempt under way may take to end when the server stops.
const LAST_ATTEMPT: Duration = Duration::from_secs(5);

/// Notifiers at work.
#[derive(Debug)]
pub(crate) struct Notifying {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    statuses: Statuses,
}

impl Notifying {
    /// Starts them, when all of the log is applied: what an earlier run delivered is known then.
    ///
    /// # Errors
    /// A notifier cannot be used: its name, and why.
    pub(crate) fn start(
        notifiers: &[Notifier],
        instance: String,
        pipeline: SharedPipeline,
        log: Log<LogRecord>,
        meter: &Meter,
    ) -> Result<Self, (String, NotifyError)> {
        let (notifiers, settled) = Notifiers::start(notifiers, meter)?;
        let (stop, stopping) = watch::channel(false);
        let statuses = notifiers.statuses();
        let teller = Teller { notifiers, instance, pipeline, log, handed: Handed::default() };
        Ok(Self { stop, task: tokio::spawn(teller.run(settled, stopping)), statuses })
    }

    /// How they do.
    pub(crate) fn statuses(&self) -> Statuses {
        self.statuses.clone()
    }

    /// Lets attempts under way end, and notes what was delivered. To be called before the log is closed.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the notifiers died");
        }
    }
}

/// The notifiers that were given a notification, by its id. What no longer waits is forgotten.
#[derive(Debug, Default)]
struct Handed(HashMap<String, HashSet<String>>);

/// What is to be done, as of one moment.
#[derive(Debug, Default)]
struct Due {
    /// What lasts that somebody was told of.
    firing: Vec<Incident>,
    /// What a notifier is to be given, in the order in which it is to be told.
    offers: Vec<(String, Notification)>,
    /// What all notifiers are through with.
    through: Vec<String>,
}

struct Teller {
    notifiers: Notifiers,
    instance: String,
    pipeline: SharedPipeline,
    log: Log<LogRecord>,
    handed: Handed,
}

impl Teller {
    async fn run(mut self, mut settled: mpsc::Receiver<Settled>, stopping: watch::Receiver<bool>) {
        if let Err(error) = self.work(&mut settled, stopping).await {
            tracing::warn!(%error, "nobody is told any more");
        }
        let Self { notifiers, log, .. } = self;
        // The notifiers wait for what they are through with to be taken.
        let noting = async {
            while let Some(settled) = settled.recv().await {
                if note(&log, settled).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(notifiers.stop(LAST_ATTEMPT), noting);
    }

    /// Works until it is told to stop, and never stops in the middle: what is taken from the notifiers is noted.
    async fn work(
        &mut self,
        settled: &mut mpsc::Receiver<Settled>,
        stopping: watch::Receiver<bool>,
    ) -> Result<(), AppendError> {
        let mut stopped = std::pin::pin!(told(stopping));
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stopped => return Ok(()),
                _ = looks.tick() => self.look().await?,
                Some(settled) = settled.recv() => note(&self.log, settled).await?,
            }
        }
    }

    async fn look(&mut self) -> Result<(), AppendError> {
        let due = {
            let names: Vec<&str> = self.notifiers.names().collect();
            self.handed.due(&self.pipeline.monitoring(), &names)
        };
        // What no longer lasts is not told again behind its end.
        self.notifiers.set_firing(due.firing);
        let mut full = HashSet::new();
        for (notifier, notification) in due.offers {
            let id = notification.id.clone();
            // In order: what comes behind something that has to wait waits as well.
            if full.contains(&notifier) || !self.notifiers.offer(&notifier, Message::new(&self.instance, notification))
            {
                full.insert(notifier);
            } else {
                self.handed.0.entry(id).or_default().insert(notifier);
            }
        }
        for id in due.through {
            append_record(&self.log, || LogRecord::Command(Command::Acknowledge(id.clone()))).await?;
            tracing::debug!(notification = id, "all notifiers are through with a notification");
        }
        Ok(())
    }
}

/// Notes in the log that a notifier is through with a notification.
async fn note(log: &Log<LogRecord>, Settled { notification, delivery }: Settled) -> Result<(), AppendError> {
    let command = Command::Delivered { notification, delivery };
    append_record(log, || LogRecord::Command(command.clone())).await.map(drop)
}

impl Handed {
    fn due(&mut self, monitoring: &Monitoring, notifiers: &[&str]) -> Due {
        let mut due = Due { firing: firing(monitoring), ..Due::default() };
        let mut waiting = HashSet::new();
        for (notification, through) in monitoring.deliveries() {
            let id = &notification.id;
            waiting.insert(id);
            let handed = self.0.get(id);
            let mut missing =
                notifiers.iter().filter(|name| !through.iter().any(|delivery| delivery.notifier == **name)).peekable();
            if missing.peek().is_none() {
                due.through.push(id.clone());
                continue;
            }
            let not_handed = missing.filter(|name| !handed.is_some_and(|handed| handed.contains(**name)));
            due.offers.extend(not_handed.map(|name| ((*name).to_owned(), notification.clone())));
        }
        self.0.retain(|id, _| waiting.contains(id));
        due
    }
}

/// What lasts that somebody was told of and that is not muted by now.
fn firing(monitoring: &Monitoring) -> Vec<Incident> {
    let is_muted =
        |monitor: &str| monitoring.monitor(monitor).is_some_and(|monitor| monitor.muted_until() > monitoring.now());
    let incident = |alert: &monitor::Alert| match alert.phase() {
        Phase::Firing(incident) => Some((**incident).clone()),
        Phase::Inactive | Phase::Pending { .. } => None,
    };
    let lasting = monitoring.alerts().iter().filter_map(incident);
    lasting.filter(|incident| incident.told.is_some() && !is_muted(&incident.monitor)).collect()
}

#[cfg(test)]
mod tests {
    use monitor::{
        AlertRule, Call, Condition, Config, Delivery, DeliveryOutcome, Field, MonitorDefinition, SECOND, Selector, Side,
    };

    use super::*;

    /// Calls that fail, and an alert on that.
    fn failing() -> Monitoring {
        let threshold = monitor::AlertThreshold::Fixed(0.1);
        let condition = Condition::Field { field: Field::ErrorRate, side: Side::Above, threshold };
        let mut monitoring = Monitoring::new(&Config {
            monitors: vec![MonitorDefinition::new("chat", Selector::default())],
            alerts: vec![AlertRule::new("errors", "chat", condition)],
            ..Config::default()
        })
        .unwrap();
        let call = Call { error: Some(genai::ErrorClass::Timeout), ..Call::default() };
        (0..60).for_each(|second| monitoring.record((1_790_000_000 + second) * SECOND, &call));
        monitoring
    }

    // Each notifier is given what it does not have, once; what all have is acknowledged, which with no notifiers is at once; and what fires
    // is told again until it is muted.
    #[test]
    fn what_is_due() {
        let mut monitoring = failing();
        let id = monitoring.notifications().next().unwrap().id.clone();
        let mut handed = Handed::default();
        assert_eq!(handed.due(&monitoring, &[]).through, [&*id]);
        let offered = |due: &Due| -> Vec<String> { due.offers.iter().map(|(name, _)| name.clone()).collect() };
        let due = handed.due(&monitoring, &["a", "b"]);
        assert_eq!((offered(&due), due.through.len()), (vec!["a".to_owned(), "b".to_owned()], 0));
        assert_eq!(due.firing.iter().map(Incident::id).collect::<Vec<_>>(), [id.strip_suffix("#0").unwrap()]);

        handed.0.insert(id.clone(), HashSet::from(["b".to_owned()]));
        let now = monitoring.now();
        let mut delivered = |notifier: &str| {
            let (notifier, outcome) = (notifier.to_owned(), DeliveryOutcome::Delivered);
            let delivery = Delivery { notifier, outcome, at: now, attempts: 1, error: None };
            let command = Command::Delivered { notification: id.clone(), delivery };
            monitoring.apply(now, command).unwrap();
        };
        delivered("a");
        delivered("b");
        assert_eq!(handed.due(&monitoring, &["a", "b"]).through, [&*id]);
        assert_eq!(offered(&handed.due(&monitoring, &["a", "b", "c"])), ["c"]);
        monitoring.apply(now, Command::Acknowledge(id.clone())).unwrap();
        let due = handed.due(&monitoring, &["a", "b"]);
        assert_eq!((due.offers.len(), due.through.len(), due.firing.len(), handed.0.len()), (0, 0, 1, 0));
        monitoring.apply(now, Command::Mute("chat".to_owned(), u64::MAX)).unwrap();
        assert!(handed.due(&monitoring, &["a", "b"]).firing.is_empty());
    }
}
