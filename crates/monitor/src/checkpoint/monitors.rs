//! Monitors, their definitions included: the API may have made them.

use genai::{ErrorClass, Money};

use super::{RestoreError, check, code, messages, named, required, rings};
use crate::definition::{ColdStartRule, MonitorDefinition, Window};
use crate::health::{Health, HealthRules, Threshold};
use crate::monitor::{Monitor, MonitorState};
use crate::sample::{Sample, SampleKind, Samples};
use crate::selector::Selector;
use crate::snapshot::{Field, Snapshot};

pub(super) fn message(monitor: &Monitor) -> messages::Monitor {
    messages::Monitor {
        definition: Some(definition_message(&monitor.definition)),
        is_configured: monitor.is_configured,
        state: code(&MonitorState::ALL, monitor.state),
        muted_until: monitor.muted_until,
        first_call: monitor.first_call,
        last_call: monitor.last_call,
        usual_wait: monitor.usual_wait,
        snapshot: monitor.snapshot.as_ref().map(snapshot_message),
        health: code(&Health::ALL, monitor.health),
        newest_samples: monitor.samples.newest,
        samples: samples_message(&monitor.samples),
        rings: Some(rings::message(&monitor.rings)),
        since: monitor.since,
    }
}

/// The monitor of a checkpoint, for which `configured` may stand in the configuration: then that defines it, and its calls go
/// on if they are the same. Tells whether they do.
pub(super) fn restored(
    told: messages::Monitor,
    configured: Option<&MonitorDefinition>,
    now: u64,
) -> Result<(Monitor, bool), RestoreError> {
    let mut monitor = Monitor::new(definition(told.definition.unwrap_or_default())?, configured.is_some(), told.since);
    monitor.state = required(&MonitorState::ALL, told.state, "state")?;
    monitor.muted_until = told.muted_until;
    check(told.since <= now, "since", "later than all that was told")?;
    check(told.first_call <= told.last_call && told.last_call <= now, "last_call", "later than all that was told")?;
    (monitor.first_call, monitor.last_call) = (told.first_call, told.last_call);
    monitor.usual_wait = told.usual_wait;
    monitor.snapshot = told.snapshot.map(|told| snapshot(&told)).transpose()?;
    check(monitor.snapshot.as_ref().is_none_or(|snapshot| snapshot.at <= now), "snapshot", "later than all")?;
    monitor.health = required(&Health::ALL, told.health, "health")?;
    monitor.samples = samples(told.newest_samples, told.samples)?;
    monitor.rings = rings::restored(told.rings.as_ref(), now)?;
    let goes_on = configured.is_none_or(|defined| monitor.redefine(defined.clone(), now));
    Ok((monitor, goes_on))
}

pub(super) fn definition_message(definition: &MonitorDefinition) -> messages::MonitorDefinition {
    let Selector { service, environment, provider, model, response_model, operation, service_version, server_address } =
        definition.selector.clone();
    let thresholds = definition.health.thresholds.iter().map(|threshold| messages::Threshold {
        field: code(&Field::ALL, threshold.field),
        warning: threshold.warning,
        critical: threshold.critical,
    });
    messages::MonitorDefinition {
        name: definition.name.clone(),
        selector: Some(messages::Selector {
            service,
            environment,
            provider,
            model,
            response_model,
            operation,
            service_version,
            server_address,
        }),
        window: code(&Window::ALL, definition.window),
        minimum_requests: definition.health.minimum_requests,
        thresholds: thresholds.collect(),
        idle: definition.cold_starts.idle,
        factor: definition.cold_starts.factor,
    }
}

pub(super) fn definition(told: messages::MonitorDefinition) -> Result<MonitorDefinition, RestoreError> {
    let messages::Selector {
        service,
        environment,
        provider,
        model,
        response_model,
        operation,
        service_version,
        server_address,
    } = told.selector.unwrap_or_default();
    let thresholds = told.thresholds.into_iter().map(|told| {
        let field = required(&Field::ALL, told.field, "field")?;
        Ok(Threshold { field, warning: told.warning, critical: told.critical })
    });
    Ok(MonitorDefinition {
        name: told.name,
        selector: Selector {
            service,
            environment,
            provider,
            model,
            response_model,
            operation,
            service_version,
            server_address,
        },
        window: required(&Window::ALL, told.window, "window")?,
        health: HealthRules {
            minimum_requests: told.minimum_requests,
            thresholds: thresholds.collect::<Result<_, RestoreError>>()?,
        },
        cold_starts: ColdStartRule { idle: told.idle, factor: told.factor },
    })
}

fn snapshot_message(snapshot: &Snapshot) -> messages::Snapshot {
    let known = || Field::ALL.into_iter().filter_map(|field| Some((field, snapshot.get(field)?)));
    messages::Snapshot {
        at: snapshot.at,
        length: snapshot.length,
        requests: snapshot.requests,
        fields: known().map(|(field, _)| code(&Field::ALL, field)).collect(),
        values: known().map(|(_, value)| value).collect(),
    }
}

fn snapshot(told: &messages::Snapshot) -> Result<Snapshot, RestoreError> {
    check(told.fields.len() == told.values.len(), "values", "not one for each field")?;
    check(told.length <= told.at, "length", "longer than the time before it")?;
    let mut values = [None; Field::ALL.len()];
    for (field, value) in told.fields.iter().zip(&told.values) {
        values[required(&Field::ALL, *field, "fields")? as usize] = Some(*value);
    }
    Ok(Snapshot { at: told.at, length: told.length, requests: told.requests, values })
}

fn samples_message(samples: &Samples) -> Vec<messages::Sample> {
    let mut told = Vec::new();
    for (place, period) in samples.periods.iter().enumerate() {
        for (kind, samples) in SampleKind::ALL.into_iter().zip(period) {
            told.extend(samples.iter().map(|sample| sample_message(place as u32, kind, sample)));
        }
    }
    told
}

fn sample_message(period: u32, kind: SampleKind, sample: &Sample) -> messages::Sample {
    messages::Sample {
        period,
        kind: code(&SampleKind::ALL, kind),
        at: sample.at,
        trace_id: sample.trace_id.to_vec(),
        span_id: sample.span_id.to_vec(),
        error: sample.error.map_or(0, |class| code(&ErrorClass::ALL, class)),
        duration: sample.duration,
        time_to_first_token: sample.time_to_first_token,
        input_tokens: sample.input_tokens,
        output_tokens: sample.output_tokens,
        cost: sample.cost.map(|cost| messages::Money { high: (cost.pico() >> 64) as i64, low: cost.pico() as u64 }),
    }
}

fn samples(newest: u64, told: Vec<messages::Sample>) -> Result<Samples, RestoreError> {
    let mut samples = Samples { newest, ..Samples::default() };
    for told in told {
        let kind = required(&SampleKind::ALL, told.kind, "kind")?;
        let period = samples.periods.get_mut(told.period as usize);
        let kept = period.map(|period| &mut period[kind as usize]).filter(|kept| kept.len() < Samples::KEPT);
        let kept = kept.ok_or_else(|| RestoreError::invalid("samples", "too many"))?;
        let ids = told.trace_id.try_into().ok().zip(told.span_id.try_into().ok());
        let (trace_id, span_id) = ids.ok_or_else(|| RestoreError::invalid("samples", "no ids"))?;
        kept.push(Sample {
            at: told.at,
            trace_id,
            span_id,
            error: named(&ErrorClass::ALL, told.error, "error")?,
            duration: told.duration,
            time_to_first_token: told.time_to_first_token,
            input_tokens: told.input_tokens,
            output_tokens: told.output_tokens,
            cost: told.cost.map(|cost| Money::from_pico(i128::from(cost.high) << 64 | i128::from(cost.low))),
        });
    }
    Ok(samples)
}
