//! What was measured in a series.

use genai::price::Cost;
use genai::{ErrorClass, Money, TokenClasses};
use otlp::exponential::Exponential;

use super::codes::{code, named};
use super::plain::{amount, count, money, trace_halves, trace_id};
use super::{RestoreError, check, messages};
use crate::histogram::{Buckets, Exemplar, Histogram, SECONDS, TOKEN_SECONDS, TOKENS};
use crate::instruments::{Instruments, SCORE_BUCKETS, duration_bounds};
use crate::key::Kind;
use crate::pricing::Costs;

pub(super) fn message(measured: &Instruments) -> messages::Instruments {
    let Instruments { tokens, costs, .. } = measured;
    messages::Instruments {
        succeeded: measured.succeeded,
        failed: measured.failed,
        usage_reported: measured.usage_reported,
        tokens: trimmed(&[
            tokens.input_uncached,
            tokens.cache_read,
            tokens.cache_write,
            tokens.output_visible,
            tokens.reasoning,
        ]),
        catalogue: match costs.catalogue == Cost::default() {
            true => Vec::new(),
            false => costs.catalogue.by_class().iter().map(|(_, amount)| money(*amount)).collect(),
        },
        unpriced_tokens: costs.catalogue.unpriced_tokens,
        supplied: (costs.supplied != Money::ZERO).then(|| money(costs.supplied)),
        calls: trimmed(&costs.calls),
        input_tokens: histogram_message(&measured.input_tokens),
        output_tokens: histogram_message(&measured.output_tokens),
        durations: measured.durations.iter().map(duration_message).collect(),
        time_to_first_chunk: histogram_message(&measured.time_to_first_chunk),
        time_per_output_token: histogram_message(&measured.time_per_output_token),
        evaluations: measured.evaluations,
        scores: histogram_message(&measured.scores),
    }
}

pub(super) fn measured(
    message: messages::Instruments,
    kind: Kind,
    exponential: bool,
) -> Result<Instruments, RestoreError> {
    let buckets = |bounds| Buckets { bounds, exponential };
    let [input_uncached, cache_read, cache_write, output_visible, reasoning] = list(&message.tokens, "tokens")?;
    let tokens = TokenClasses { input_uncached, cache_read, cache_write, output_visible, reasoning };
    let costs = Costs {
        catalogue: catalogue(&message)?,
        supplied: message.supplied.map_or(Money::ZERO, amount),
        calls: counts(&message.calls, "calls")?,
    };
    Ok(Instruments {
        exponential,
        succeeded: count(message.succeeded, "succeeded")?,
        failed: count(message.failed, "failed")?,
        usage_reported: message.usage_reported,
        tokens,
        costs,
        input_tokens: histogram(message.input_tokens, buckets(TOKENS), "input_tokens")?,
        output_tokens: histogram(message.output_tokens, buckets(TOKENS), "output_tokens")?,
        durations: durations(message.durations, buckets(duration_bounds(kind)))?,
        time_to_first_chunk: histogram(message.time_to_first_chunk, buckets(SECONDS), "time_to_first_chunk")?,
        time_per_output_token: histogram(
            message.time_per_output_token,
            buckets(TOKEN_SECONDS),
            "time_per_output_token",
        )?,
        evaluations: count(message.evaluations, "evaluations")?,
        scores: histogram(message.scores, SCORE_BUCKETS, "scores")?,
    })
}

/// Counts of a list; none if all are zero.
fn trimmed(counts: &[u64]) -> Vec<u64> {
    if counts.iter().all(|count| *count == 0) { Vec::new() } else { counts.into() }
}

fn counts<const N: usize>(told: &[u64], field: &'static str) -> Result<[u64; N], RestoreError> {
    told.iter().try_for_each(|told| count(*told, field).map(drop))?;
    list(told, field)
}

/// Numbers of a list: sums of what calls tell are as large as they make them.
fn list<const N: usize>(told: &[u64], field: &'static str) -> Result<[u64; N], RestoreError> {
    if told.is_empty() {
        return Ok([0; N]);
    }
    told.try_into().map_err(|_| RestoreError::invalid(field, "too many or too few"))
}

fn catalogue(message: &messages::Instruments) -> Result<Cost, RestoreError> {
    let unpriced_tokens = message.unpriced_tokens;
    if message.catalogue.is_empty() {
        return Ok(Cost { unpriced_tokens, ..Cost::default() });
    }
    let amounts: Vec<Money> = message.catalogue.iter().copied().map(amount).collect();
    let [input_uncached, cache_read, cache_write, output_visible, reasoning, request] = amounts[..] else {
        return Err(RestoreError::invalid("catalogue", "too many or too few"));
    };
    Ok(Cost { input_uncached, cache_read, cache_write, output_visible, reasoning, request, unpriced_tokens })
}

fn duration_message((class, histogram): &(Option<ErrorClass>, Histogram)) -> messages::Duration {
    messages::Duration {
        error_class: class.map_or(0, |class| code(&ErrorClass::ALL, class)),
        histogram: histogram_message(histogram),
    }
}

fn durations(
    told: Vec<messages::Duration>,
    buckets: Buckets,
) -> Result<Vec<(Option<ErrorClass>, Histogram)>, RestoreError> {
    check(told.len() <= 1 + ErrorClass::ALL.len(), "durations", "more than there are classes")?;
    let duration = |told: messages::Duration| {
        let class = named(&ErrorClass::ALL, told.error_class, "durations.error_class")?;
        Ok((class, histogram(told.histogram, buckets, "durations.histogram")?))
    };
    told.into_iter().map(duration).collect()
}

fn histogram_message(histogram: &Histogram) -> Option<messages::Histogram> {
    (!histogram.is_empty()).then(|| messages::Histogram {
        counts: histogram.counts.to_vec(),
        sum: histogram.sum,
        min: histogram.min,
        max: histogram.max,
        exemplars: histogram.exemplars.iter().map(exemplar_message).collect(),
        exponential: histogram.exponential.as_deref().map(exponential_message),
    })
}

fn exponential_message(exponential: &Exponential) -> messages::Exponential {
    let (scale, zeros, offset, counts) = exponential.parts();
    messages::Exponential { scale, zeros, offset, counts }
}

fn exponential(told: messages::Exponential, count: u64, field: &'static str) -> Result<Exponential, RestoreError> {
    let messages::Exponential { scale, zeros, offset, counts } = told;
    let total = counts.iter().try_fold(zeros, |total, count| total.checked_add(*count));
    check(total == Some(count), field, "not as many in exponential buckets as in the others")?;
    let exponential = Exponential::of_parts(scale, zeros, offset, counts);
    exponential.ok_or_else(|| RestoreError::invalid(field, "no exponential buckets"))
}

fn exemplar_message((bucket, exemplar): &(u8, Exemplar)) -> messages::Exemplar {
    let [trace_high, trace_low] = trace_halves(exemplar.trace_id);
    messages::Exemplar {
        bucket: u32::from(*bucket),
        trace_high,
        trace_low,
        span: u64::from_be_bytes(exemplar.span_id),
        time: exemplar.time,
        value: exemplar.value,
    }
}

/// A version with other bounds has to say here what becomes of counts over those of before.
fn histogram(
    told: Option<messages::Histogram>,
    buckets: Buckets,
    field: &'static str,
) -> Result<Histogram, RestoreError> {
    let Some(told) = told else { return Ok(Histogram::default()) };
    let bounds = buckets.bounds;
    check(told.counts.len() == bounds.len() + 1, field, "not as many buckets as there are")?;
    let are_finite = [told.sum, told.min, told.max].iter().all(|value| value.is_finite());
    check(are_finite, field, "not a number")?;
    check(told.min <= told.max, field, "the least is above the greatest")?;
    check(told.exemplars.len() <= told.counts.len(), field, "more exemplars than buckets")?;
    told.counts.iter().try_for_each(|told| count(*told, field).map(drop))?;
    let count = told.counts.iter().sum();
    check(count > 0, field, "nothing was measured")?;
    let exemplar = |told: &messages::Exemplar| exemplar(told, bounds, field);
    let exponential = told.exponential.map(|told| exponential(told, count, field)).transpose()?;
    let mut histogram = Histogram {
        counts: told.counts.into(),
        count,
        sum: told.sum,
        min: told.min,
        max: told.max,
        exemplars: told.exemplars.iter().map(exemplar).collect::<Result<_, _>>()?,
        exponential: exponential.map(Box::new),
    };
    histogram.keep_exponential(buckets);
    Ok(histogram)
}

fn exemplar(told: &messages::Exemplar, bounds: &[f64], field: &'static str) -> Result<(u8, Exemplar), RestoreError> {
    let bucket = u8::try_from(told.bucket).ok().filter(|bucket| usize::from(*bucket) <= bounds.len());
    let Some(bucket) = bucket else { return Err(RestoreError::invalid(field, "an exemplar without its bucket")) };
    let trace_id = trace_id([told.trace_high, told.trace_low]);
    Ok((bucket, Exemplar { trace_id, span_id: told.span.to_be_bytes(), time: told.time, value: told.value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Sums of tokens come back however large they are: what calls tell is not in our hands, and a checkpoint must be readable.
    #[test]
    fn sums_have_no_limit() {
        let most = TokenClasses { input_uncached: u64::MAX, output_visible: 1 << 50, ..TokenClasses::default() };
        let catalogue = Cost { unpriced_tokens: u64::MAX, ..Cost::default() };
        let told =
            Instruments { tokens: most, costs: Costs { catalogue, ..Costs::default() }, ..Instruments::default() };
        let mut restored = measured(message(&told), Kind::Call, false).unwrap();
        assert_eq!((restored.tokens, restored.costs.catalogue.unpriced_tokens), (most, u64::MAX));
        restored.merge(&told);
        assert_eq!((restored.tokens.input_uncached, restored.tokens.output_visible), (u64::MAX, 2 << 50));
    }

    // A histogram is refused whose least and greatest, or whose exponential buckets, contradict the rest.
    #[test]
    fn contradictions_are_refused() {
        let sound = messages::Histogram {
            counts: [0; 17].into_iter().chain([2]).collect(),
            sum: 1700.0,
            min: 700.0,
            max: 1000.0,
            exemplars: Vec::new(),
            exponential: Some(messages::Exponential { scale: 0, zeros: 0, offset: 9, counts: vec![2] }),
        };
        let restored = |change: fn(&mut messages::Histogram)| {
            let mut told = sound.clone();
            change(&mut told);
            let restored = histogram(Some(told), Buckets { bounds: SECONDS, exponential: true }, "durations");
            restored.map(|histogram| histogram.count).map_err(|error| error.to_string())
        };
        assert_eq!(restored(|_| {}), Ok(2));
        let refused = |problem: &str| Err(format!("checkpoint: durations: {problem}"));
        assert_eq!(restored(|told| told.min = 1000.5), refused("the least is above the greatest"));
        let not_as_many = || refused("not as many in exponential buckets as in the others");
        assert_eq!(restored(|told| told.exponential.as_mut().unwrap().counts = vec![1]), not_as_many());
        assert_eq!(restored(|told| told.exponential.as_mut().unwrap().zeros = u64::MAX), not_as_many());
        assert_eq!(restored(|told| told.exponential.as_mut().unwrap().scale = 9), refused("no exponential buckets"));
    }
}
