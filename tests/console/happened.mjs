// What calls add up to, computed anew from what the test tells of each of them.
export const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
export const told = (values) => values.filter((value) => value !== null && value !== undefined);
export const service = (call) => call.service;
export const model = (call) => call.model;
/// Pairs of a key and the calls that have it.
export function groups(calls, key) {
  const found = new Map();
  for (const call of calls) found.set(key(call), [...(found.get(key(call)) ?? []), call]);
  return [...found];
}
/// The value that a share is not above, by nearest rank; null of nothing.
export function quantile(values, share) {
  const sorted = told(values).sort((one, other) => one - other);
  return sorted[Math.max(Math.ceil(share * sorted.length), 1) - 1] ?? null;
}

/// Calls of each batch, in their order.
export const batches = (calls) => groups(calls, (call) => call.counted[0]).sort(([one], [other]) => one - other).map(([, calls]) => calls);
/// The bucket of a histogram that holds a value: of 16 between two powers of two, by its ends.
export function bucket(value) {
  const width = 2 ** Math.max(Math.floor(Math.log2(value)) - 4, 0);
  const from = Math.floor(value / width) * width;
  return [from, from + width];
}
/// How many standard deviations the second sample lies above the first by the test of Mann and Whitney, corrected for ties and continuity.
export function ranks(first, second) {
  const all = first.concat(second);
  let [wins, ties] = [0, 0];
  for (const one of second) for (const other of first) wins += one > other ? 1 : one === other ? 0.5 : 0;
  for (const [, { length: tied }] of groups(all, (value) => value)) ties += tied ** 3 - tied;
  const variance = ((first.length * second.length) / 12) * (all.length + 1 - ties / (all.length * (all.length - 1)));
  const difference = wins - (first.length * second.length) / 2;
  return (Math.sign(difference) * Math.max(Math.abs(difference) - 0.5, 0)) / Math.sqrt(variance);
}
/// How probable it is by chance to be so many standard deviations away, in either direction.
export function chance(z) {
  const steps = 2_000;
  const width = Math.abs(z) / steps;
  const density = (at) => Math.exp((-at * at) / 2) / Math.sqrt(2 * Math.PI);
  return 1 - 2 * sum(Array.from({ length: steps }, (_, step) => density((step + 0.5) * width) * width));
}
/// The population stability index: bins are tenths of the reference, and one for what lies below and one for what lies above all of it.
export function stability(reference, current) {
  const sorted = reference.toSorted((one, other) => one - other);
  const bin = (value) => (value < sorted[0] ? 0 : 1 + Math.floor((sorted.filter((known) => known < value).length * 10) / sorted.length));
  const shares = (values) => Array.from({ length: 12 }, (_, of) => Math.max(values.filter((value) => bin(value) === of).length / values.length, 1e-4));
  const [expected, actual] = [reference, current].map(shares);
  return sum(expected.map((share, of) => (actual[of] - share) * Math.log(actual[of] / share)));
}

/// What calls add up to; what is not known of all of them is left out.
export function totals(calls) {
  const usage = told(calls.map((call) => call.tokens));
  const of = (name) => sum(usage.map((tokens) => tokens[name]));
  const [input, output, cacheRead, cacheWrite, reasoning] = ["input", "output", "cache_read", "cache_write", "reasoning"].map(of);
  const priced = told(calls.map((call) => call.cost));
  const made = calls.every((call) => call.made) && calls.map((call) => call.made);
  const durations = made && made.map((call) => call.duration);
  const firsts = made && made.map((call) => call.first_token);
  const perToken = made && calls.map(({ made, tokens }) => made.first_token && (made.duration - made.first_token) / (tokens.output - 1));
  return {
    requests: calls.length,
    failed: calls.filter((call) => call.failed).length,
    input, output, tokens: usage.length ? input + output : null,
    classes: [input - cacheRead - cacheWrite, cacheRead, cacheWrite, output - reasoning, reasoning],
    cacheShare: input ? cacheRead / input : null,
    cost: priced.length ? sum(priced) / 1e12 : null,
    priced: priced.length,
    usageMissing: calls.length - usage.length,
    duration: (share) => made && quantile(durations, share),
    lasted: (share) => [0, 1].map((end) => quantile(calls.map((call) => call.lasted[end]), share)),
    firstToken: (share) => made && quantile(firsts, share),
    perToken: made && quantile(perToken, 0.5),
  };
}
