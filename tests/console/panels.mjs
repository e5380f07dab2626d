// Reads every panel of every page and compares it with what happened. The test tells all calls if it is asked for `truth`, and lets more of them
// happen before if it is asked for `more`.
import assert from "node:assert/strict";
import { address, ask, close, context, open, page, step } from "./browser.mjs";
import { batches, bucket, chance, groups, model, quantile, ranks, service, stability, sum, told, totals } from "./happened.mjs";
import { ESTIMATED, EXACT, RELATIVE_ERROR, addsUp, checkSpark, is, parse, read, same, seen } from "./shown.mjs";

/// Series of a chart, and rows of a list, beside those that are told together.
const MOST_SERIES = 5;
const MOST_ROWS = 8;
const MINUTES = 15;
const RANGE = `range=${MINUTES}m`;

/// A chart over time: what each series adds up to, in the steps in which its calls were counted and in no other.
function overTime(chart, what, series, figure, accuracy = EXACT) {
  for (const [name, calls] of series) {
    const column = chart.columns[name] ?? assert.fail(`${what} has no ${name}, but ${Object.keys(chart.columns)}`);
    const place = (time) => Math.floor((time - chart.from) / chart.step);
    const isTold = new Set();
    for (const [, together] of groups(calls, (call) => call.counted[0])) {
      const [first, last] = together[0].counted.map(place);
      const cells = column.slice(first, last + 1);
      for (let at = first; at <= last; at += 1) isTold.add(at);
      addsUp(cells, figure(together), `${what} of ${name} at step ${first}`, accuracy);
    }
    const others = column.filter((text, at) => !isTold.has(at) && parse(text)?.value);
    assert.deepEqual(others, [], `${what} of ${name} when there was nothing`);
  }
}

/// The series that a chart shows: those with the most, and all others as one.
function mostOf(calls, key, most, measure, names, what) {
  const all = groups(calls, key);
  const shown = all.filter(([name]) => names.includes(name));
  const others = all.filter(([name]) => !names.includes(name));
  assert.equal(shown.length, Math.min(most, all.length), `${what}: ${names}`);
  const least = Math.min(...shown.map(([, calls]) => measure(calls)));
  assert.ok(others.every(([, calls]) => measure(calls) <= least), `${what} shows the largest: ${names}`);
  assert.equal(names.includes("others"), others.length > 0, what);
  return others.length ? [...shown, ["others", others.flatMap(([, calls]) => calls)]] : shown;
}

const requests = (calls) => calls.length;
const tokens = (calls) => totals(calls).tokens;

/// The tiles of the overview.
function checkTiles({ tiles, sparks, charts, now }, calls, what) {
  const all = totals(calls);
  // The time of rates begins with a step of the charts, and ends with what the page was made of, which is older than what it tells by one
  // evaluation if that came just then, and by some where the machine is busy.
  const seconds = all.requests / tiles["total-requests"][1];
  const most = (now - charts.requests.from + 1) / 1_000;
  assert.ok(seconds >= MINUTES * 60 && seconds <= most && seconds > most - 31, `${seconds} s of ${most}`);
  const tile = (id, expected, accuracy = []) =>
    expected.forEach((value, place) => value !== undefined && same(tiles[id][place] ?? null, value, `${id} of ${what}`, accuracy[place]));
  tile("total-requests", [all.requests]);
  tile("error-rate", [all.failed / all.requests, all.failed]);
  tile("total-tokens", all.tokens === null ? [null] : [all.tokens, all.input, all.output]);
  tile("total-cost", all.cost === null ? [all.priced / all.requests] : [all.cost, all.priced / all.requests]);
  tile("cache-share", [all.cacheShare]);
  tile("token-rate", [all.tokens === null ? null : all.tokens / seconds]);
  // Of calls of clients it is known how long each of their spans took, but not which of them tells it of the call.
  tiles["latency-p95"].forEach((shown, place) => {
    const [least, most] = all.lasted([0.95, 0.5][place]);
    assert.ok(shown >= least * (1 - RELATIVE_ERROR) && shown <= most * (1 + RELATIVE_ERROR), `duration of ${what}: ${shown} for ${least} to ${most}`);
  });
  if (!calls.every((call) => call.made)) return;
  const steps = { ...charts.requests, when: "counted" };
  checkSpark(sparks["total-requests"], steps, calls, requests, `requests of ${what}`);
  checkSpark(sparks["error-rate"], steps, calls, (calls) => totals(calls).failed / calls.length, `error rate of ${what}`);
  checkSpark(sparks["latency-p95"], steps, calls, (calls) => totals(calls).duration(0.95), `duration of ${what}`, ESTIMATED);
  const estimated = [ESTIMATED, ESTIMATED];
  tile("latency-p95", [all.duration(0.95), all.duration(0.5)], estimated);
  tile("first-token", [all.firstToken(0.95), all.firstToken(0.5)], estimated);
  tile("token-rate", [undefined, all.perToken], estimated);
}

/// Lists of models: how requests and tokens are distributed.
function checkLists(lists, calls, what) {
  const names = (list) => list.map((row) => row.name);
  const row = (list, name) => list.find((row) => row.name === name);
  for (const [name, of] of mostOf(calls, model, MOST_SERIES, requests, names(lists.models), `models of ${what}`)) {
    const { values, parts } = row(lists.models, name);
    assert.equal(values[0], of.length, `requests of ${name} in ${what}`);
    same(values[1], of.length / calls.length, `share of ${name} in ${what}`);
    same(parts[0], (of.length / calls.length) * 100, `bar of ${name} in ${what}`, { relative: 0, slack: 0.005 });
  }
  const list = lists["model-tokens"];
  const shown = mostOf(calls, model, MOST_ROWS, tokens, [...names(list), ...(new Set(calls.map((call) => call.model)).size > list.length ? ["others"] : [])], `tokens by model of ${what}`);
  const most = Math.max(...shown.slice(0, MOST_ROWS).map(([, calls]) => tokens(calls)), 1);
  for (const [name, of] of shown.filter(([name]) => name !== "others")) {
    const { values, parts } = row(list, name);
    const all = totals(of);
    assert.deepEqual(values, all.tokens === null ? [] : [all.input, ...all.classes.slice(1, 3), all.output, all.classes[4]], `tokens of ${name} in ${what}`);
    const classes = all.classes.filter((count) => count > 0);
    assert.equal(parts.length, classes.length, `bar of ${name} in ${what}`);
    parts.forEach((part, place) => same(part, (classes[place] / most) * 100, `bar ${place} of ${name} in ${what}`, { relative: 0, slack: 0.005 }));
  }
}

/// Charts over time.
function checkCharts(charts, calls, what) {
  const made = calls.every((call) => call.made);
  for (const [id, key, figure] of [["requests", service, requests], ["tokens", service, tokens], ["cost", model, (calls) => totals(calls).cost]]) {
    if (!charts[id] && figure(calls) === null) continue;
    // Of several series there is a column for all of them.
    const names = Object.keys(charts[id].columns).filter((name) => name !== "all");
    const series = mostOf(calls, key, MOST_SERIES, requests, names, `${id} of ${what}`);
    overTime(charts[id], `${id} of ${what}`, series, figure);
    series.forEach(([name, calls]) => is(charts[id].legend[name] || null, figure(calls), `legend of ${name} in ${id} of ${what}`));
    if (series.length > 1) overTime(charts[id], `${id} of ${what}`, [["all", calls]], figure);
  }
  if (!made) return;
  overTime(charts.duration, `duration of ${what}`, groups(calls, model), (calls) => totals(calls).duration(0.95), ESTIMATED);
  for (const [name, of] of groups(calls, model)) is(charts.duration.legend[name], totals(of).duration(0.95), `duration of ${name}`, ESTIMATED);
  for (const [name, share] of [["p50", 0.5], ["p95", 0.95]]) {
    const expected = totals(calls).firstToken(share);
    if (expected === null) continue;
    overTime(charts.ttft, `first token of ${what}`, [[name, calls]], (calls) => totals(calls).firstToken(share), ESTIMATED);
    is(charts.ttft.legend[name], expected, `first token of ${what}`, ESTIMATED);
  }
}

const link = ([trace, span]) => `/trace/${trace}?spanId=${span}`;
/// Error records: each leads to a failed call, and what it says is what that call told.
function checkRecords(rows, calls, expected, what) {
  assert.equal(rows.length, expected, `records of ${what}`);
  const failed = new Map(calls.filter((call) => call.failed).flatMap((call) => call.spans.map((span) => [link(span), call])));
  const found = rows.map(({ href }) => failed.get(href) ?? assert.fail(`${what}: ${href} is no failed call`));
  assert.equal(new Set(found).size, rows.length, `each record of ${what} is of another call`);
  rows.forEach(({ cells, values }, place) => {
    const call = found[place];
    assert.equal(cells[1], call.service, what);
    // Where spans tell that they failed and nothing else, nobody knows more.
    assert.ok((cells[4] === "(nothing)" ? ["other"] : call.failed).includes(cells[3]), `${what}: ${cells}`);
    if (!call.made) return;
    assert.deepEqual([cells[2], cells[4]], [call.model, call.made.error.message], what);
    same(values[5], call.made.duration, what);
  });
}

function checkOverview(shown, calls, what) {
  checkTiles(shown, calls, what);
  checkLists(shown.lists, calls, what);
  checkCharts(shown.charts, calls, what);
  checkRecords(shown.tables.errors ?? [], calls, Math.min(totals(calls).failed, 8), `overview of ${what}`);
}

let truth = await ask("truth");
const made = () => truth.calls.filter((call) => call.made);

await step("the overview shows all that happened", async () => {
  checkOverview(await seen(`/?${RANGE}`), truth.calls, "everything");
});

await step("of every service what it did", async () => {
  for (const [name, calls] of groups(truth.calls, service)) checkOverview(await seen(`/?${RANGE}&service=${encodeURIComponent(name)}`), calls, name);
});

await step("of models what was asked of them", async () => {
  for (const [name, calls] of groups(made(), model)) checkOverview(await seen(`/?${RANGE}&model=${encodeURIComponent(name)}`), calls, name);
});

await step("how much changed against the time before, as long", async () => {
  const all = batches(made());
  const begins = [2, 4, 6].map((number) => Math.round((all[number - 1][0].counted[1] + (all[number] ?? truth.calls.filter((call) => !call.made))[0].counted[0]) / 2));
  const [, from, to] = begins.map((time) => time - (time % 10_000));
  assert.ok(Math.abs(2 * from - to - begins[0]) < 20_000, "between the same batches");
  const { changes, tiles } = await seen(`/?from=${from}&to=${to}`);
  const [before, now] = [all.slice(2, 4), all.slice(4, 6)].map((batches) => totals(batches.flat()));
  assert.equal(tiles["total-requests"][0], now.requests);
  const of = (figure) => {
    const change = figure(now) / figure(before) - 1;
    return `${change >= 0.005 ? "▲ " : change <= -0.005 ? "▼ " : ""}${Math.round(Math.abs(change) * 100)} %`;
  };
  const figures = { "total-requests": (all) => all.requests, "error-rate": (all) => all.failed / all.requests, "total-cost": (all) => all.cost, "cache-share": (all) => all.cacheShare };
  for (const [id, figure] of Object.entries(figures)) assert.equal(changes[id], of(figure), id);
  assert.match(changes["total-cost"], /^▲/);
});

/// Failed calls over time, by class: all of them, and of no class more than there were.
function checkFailures(chart, failed, what) {
  const columns = Object.entries(chart.columns).filter(([name]) => name !== "all");
  addsUp(columns.flatMap(([, column]) => column), failed.length, `failed calls of ${what}`);
  for (const [name, column] of columns.filter(([name]) => name !== "other")) {
    const shown = sum(told(column.map(parse)).map(({ value }) => value));
    assert.ok(shown <= failed.filter((call) => call.failed.includes(name)).length, `${shown} ${name} of ${what}`);
    is(chart.legend[name], shown, `${name} of ${what}`);
  }
}

await step("errors", async () => {
  const failed = truth.calls.filter((call) => call.failed);
  const { charts, tables, titles } = await seen(`/errors?${RANGE}`);
  checkFailures(charts.failures, failed, "everything");
  assert.equal(tables.groups.length, 30);
  assert.match(titles.groups, /the largest 30 of \d+/);
  assert.ok(tables.groups.every(({ cells }) => cells[1]), "there is something to click on");
  checkRecords(tables.records, failed, Math.min(failed.length, 50), "errors");
  assert.match(titles.records, new RegExp(`the newest ${Math.min(failed.length, 50)} of ${failed.length}$`));

  for (const [name, calls] of groups(failed.filter((call) => call.made), service)) {
    const { charts, tables, now } = await seen(`/errors?${RANGE}&service=${name}`);
    checkRecords(tables.records, calls, Math.min(calls.length, 50), `errors of ${name}`);
    checkFailures(charts.failures, calls, name);
    overTime(charts.failures, `failed calls of ${name}`, groups(calls, (call) => call.failed[0]), requests);
    const expected = groups(calls, (call) => call.made.error.message).map(([, [{ failed: [of], made: { error } }, ...more]]) => [of, error.message + error.kind, String(more.length + 1)]);
    assert.deepEqual(tables.groups.map(({ cells }) => cells.slice(0, 3)).sort(), expected.sort());
    const step = (MINUTES * 60_000) / 30;
    const from = now - MINUTES * 60_000;
    for (const { cells, spark } of tables.groups) {
      const of = calls.filter((call) => cells[1] === call.made.error.message + call.made.error.kind);
      checkSpark(spark, { from: from - (from % step), step, when: "received" }, of, requests, `trend of ${cells[1]}`);
    }
  }
});

await step("an error leads to its trace", async () => {
  const [[message, calls]] = groups(made().filter((call) => call.failed?.[0] === "server_error"), (call) => call.made.error.message);
  await open(`/errors?${RANGE}`);
  await page.locator(".chips a", { hasText: "server_error" }).click();
  await page.waitForURL(/class=server_error/);
  await page.locator("#groups td.wide a", { hasText: message }).click();
  await page.waitForURL(/group=[0-9a-f]{16}/);
  await page.locator("#groups .more").waitFor();
  checkRecords((await read()).tables.records, calls, Math.min(calls.length, 50), message);
  const record = page.locator("#records a.trace").first();
  const [trace] = await Promise.all([context.waitForEvent("page"), record.click()]);
  await trace.waitForURL(/\/trace\//);
  assert.ok(calls.some((call) => trace.url() === address + link(call.spans[0])), trace.url());
  await trace.close();
});

/// How many calls took about how long: 48 bars over the logarithms of what stands for buckets, and a mark for each percentile.
function checkDistribution([bars, ...marks], calls, what) {
  const middle = (nanos) => (([from, to]) => (2 * from * to) / (from + to))(bucket(nanos));
  const logs = calls.map((call) => Math.log(middle(Math.floor(call.made.duration * 1e9)))).sort((one, other) => one - other);
  const [least, most] = [logs[0], logs.at(-1)];
  const place = (log) => Math.floor(((log - least) / (most - least)) * 47 + 0.5);
  const counts = groups(logs, place).map(([at, { length }]) => [at, length]);
  const top = Math.max(...counts.map(([, count]) => count));
  const shown = [...bars.matchAll(/M([\d.]+) 200v-([\d.]+)/g)].map(([, x, height]) => [Math.round((x / 1_000) * 48), Number(height)]);
  assert.deepEqual(shown, counts.map(([at, count]) => [at, Math.round((count / top) * 2_000) / 10]), `distribution of ${what}`);
  const places = marks.map((path) => Math.round((path.match(/^M([\d.]+)/)[1] / 1_000) * 48 - 0.41));
  assert.deepEqual(places, [0.5, 0.95, 0.99].map((share) => place(quantile(logs, share))), `marks of ${what}`);
}

/// A budget of 30 % that may fail, and how much of it is left.
function checkBudget(chart, values, burnRates, all) {
  const allowed = 0.3 * all.requests;
  const left = 1 - all.failed / allowed;
  [left, all.failed, allowed, all.requests].forEach((expected, place) => same(values[place], expected, `budget ${place}`));
  for (const { values } of burnRates) same(values[1], all.failed / allowed, "burn rate");
  const burnDown = chart.columns["budget left"].filter((text) => text);
  assert.ok(burnDown.length > 0 && burnDown.length < 3, "in the last hours only");
  is(burnDown.at(-1), left, "burn-down");
  is(chart.legend["budget left"], left, "legend of the burn-down");
}

/// The inputs of each batch, against the mean of the first four and three standard deviations.
function checkControl(chart, calls) {
  const all = batches(calls);
  const inputs = all.map((batch) => totals(batch).input);
  const learned = inputs.slice(0, 4);
  const mean = sum(learned) / 4;
  const limit = 3 * Math.sqrt(sum(learned.map((value) => (value - mean) ** 2)) / 3);
  const rounded = { relative: 1e-3 };
  is(chart.legend.mean, mean, "mean", rounded);
  is(chart.legend["upper limit"], mean + limit, "upper limit", rounded);
  is(chart.legend["lower limit"], mean - limit, "lower limit", rounded);
  const points = [...chart.columns.input_tokens.entries()].filter(([, text]) => text);
  assert.equal(points.length, inputs.length - 4, "a point for each batch that is not learned from");
  points.forEach(([at, text], number) => {
    is(text, inputs[4 + number], `point ${number}`, rounded);
    const steps = all[4 + number][0].counted.map((time) => Math.floor((time - chart.from) / chart.step));
    assert.ok(steps.includes(at), `point ${number} is at ${at}, not ${steps}`);
  });
  const outside = inputs.slice(4).filter((value) => Math.abs(value - mean) > limit);
  assert.ok(outside.length > 0 && outside.length < points.length);
  assert.deepEqual(chart.plot.marks, outside.map(() => "out of control: outside"));
}

/// Tokens of the newest batches against those before them.
function checkDrift(shown, text, calls) {
  const [, current, reference] = text.match(/\.\d{3}(\d+) calls against (\d+)/);
  assert.equal(Number(current) + Number(reference), calls.length);
  const all = batches(calls);
  const split = all.length - current / all[0].length;
  // Four minutes, before the newest of all calls or a little later.
  const newest = Math.max(...truth.calls.map((call) => call.counted[1])) - 240_000;
  assert.ok(all[split][0].counted[1] >= newest && all[split - 1][0].counted[0] <= newest + 40_000, `${current} are new`);
  ["input", "output"].forEach((name, place) => {
    const tokens = (batches) => batches.flat().map((call) => bucket(call.tokens[name])[0]);
    same(shown[place], stability(tokens(all.slice(0, split)), tokens(all.slice(split))), `drift of ${name}`, { relative: 1e-6, slack: 1e-9 });
  });
}

/// One model against the other: of each figure both sides, the test, and the verdict.
function checkCanary(table, title, calls) {
  const sides = ["claude-opus-4-5", "gpt-4.1-mini"].map((name) => calls.filter((call) => call.model === name));
  const rows = Object.fromEntries(table.map((row) => [row.cells[0], row]));
  const both = (name, expected, accuracy) => expected.forEach((value, place) => same(rows[name].values[1 + place], value, `${name} ${place}`, accuracy));
  both("requests", sides.map(requests));
  both("error_rate", [0, 0]);
  assert.deepEqual(rows.error_rate.cells.slice(3), ["0.00", "1.000", "pass"]);
  const costs = sides.map((calls) => totals(calls).cost / calls.length);
  both("cost_per_request", costs);
  const dearer = costs[1] / costs[0] - 1;
  const verdicts = [dearer > 0.1 ? "fail" : dearer > 0.05 ? "marginal" : "pass"];
  assert.deepEqual(rows.cost_per_request.cells.slice(3), ["", "", verdicts[0]]);

  const nanos = (seconds) => Math.floor(seconds * 1e9);
  const wait = ({ made }) => nanos(made.first_token);
  const figures = {
    latency: [({ made }) => nanos(made.duration), 1e9], time_to_first_token: [wait, 1e9],
    time_per_output_token: [(call) => Math.floor((nanos(call.made.duration) - wait(call)) / (call.tokens.output - 1)), 1e9],
    input_tokens: [({ tokens }) => tokens.input, 1], output_tokens: [({ tokens }) => tokens.output, 1],
  };
  for (const [name, [figure, unit]] of Object.entries(figures)) {
    const values = sides.map((calls) => calls.map(figure));
    both(name, values.map((values) => quantile(values, 0.5) / unit), ESTIMATED);
    const z = ranks(...values.map((values) => values.map((value) => bucket(value)[0])));
    const p = chance(z);
    const [old, tried] = rows[name].values.slice(1, 3);
    const [more, isWorse] = [tried / old - 1, z > 0 && p <= 0.05];
    const verdict = isWorse && more > 0.1 && p <= 0.01 ? "fail" : isWorse && (more > 0.1 || (more > 0.05 && p <= 0.01)) ? "marginal" : "pass";
    assert.deepEqual(rows[name].cells.slice(3), [z.toFixed(2), p < 0.001 ? "<0.001" : p.toFixed(3), verdict], name);
    verdicts.push(verdict);
  }
  const worst = ["fail", "marginal", "pass"].find((verdict) => verdicts.includes(verdict));
  assert.ok(title.endsWith(worst), title);
}

const HEALTH = { assistant: "healthy", search: "warning", nightly: "critical" };
await step("monitors", async () => {
  const { now, tables: { monitors } } = await seen("/monitors");
  const from = now - 3_600_000;
  const rows = Object.fromEntries(monitors.map((row) => [row.cells[0], row]));
  assert.deepEqual(Object.keys(rows).sort(), [...Object.keys(HEALTH), "silent"].sort());
  assert.deepEqual([rows.silent.cells[1], rows.silent.values[4]], ["no data", 0]);
  for (const [name, calls] of groups(made(), service)) {
    const { cells, values } = rows[name];
    const all = totals(calls);
    assert.equal(cells[1], HEALTH[name], name);
    assert.equal(cells[11], name === "nightly" ? "1 firing" : "", name);
    for (const [place, expected, accuracy] of [
      [4, all.requests], [6, all.failed / all.requests], [7, all.duration(0.5), ESTIMATED], [8, all.duration(0.99), ESTIMATED],
      [9, all.firstToken(0.95), ESTIMATED], [10, all.cost],
    ]) same(values[place], expected, `cell ${place} of ${name}`, accuracy);
    checkSpark(monitors.find(({ cells }) => cells[0] === name).spark, { from: from - (from % 120_000), step: 120_000, when: "counted" }, calls, requests, name);
  }
});

await step("a monitor's page", async () => {
  for (const [name, calls] of groups(made(), service)) {
    const { charts, distribution, tables, texts, tiles, titles, values } = await seen(`/monitors/${name}?${RANGE}`);
    const all = totals(calls);
    for (const [id, expected, accuracy] of [
      ["total_requests", all.requests], ["error_rate", all.failed / all.requests], ["latency_p50", all.duration(0.5), ESTIMATED],
      ["latency_p99", all.duration(0.99), ESTIMATED], ["time_to_first_token_p95", all.firstToken(0.95), ESTIMATED],
      ["tokens_per_second", all.tokens / (MINUTES * 60)], ["cost", all.cost],
    ]) same(tiles[id][0] ?? null, expected, `${id} of ${name}`, accuracy);
    const figures = Object.fromEntries(tables.figures.map(({ cells, values }) => [cells[0], values.slice(1)]));
    for (const [id, expected, accuracy] of [
      ["request_rate", all.requests / (MINUTES * 60)], ["latency_p90", all.duration(0.9), ESTIMATED], ["latency_p95", all.duration(0.95), ESTIMATED],
      ["time_per_output_token", all.perToken, ESTIMATED], ["tokens", all.tokens], ["input_tokens", all.input], ["output_tokens", all.output],
      ["cost_per_request", all.cost && all.cost / all.priced], ["cache_share", all.cacheShare],
    ]) same(figures[id][0], expected, `${id} of ${name}`, accuracy);
    assert.deepEqual([figures.error_rate.slice(1), figures.latency_p99.slice(1), figures.tokens.slice(1)], [[0.05, 0.1], [60, 120], []], "of the preset for answers in seconds");

    const failures = (calls) => calls.filter((call) => call.failed).length;
    overTime(charts.volume, name, [["succeeded", calls]], (calls) => calls.length - failures(calls));
    overTime(charts.volume, name, [["failed", calls]], failures);
    overTime(charts.errors, name, [["error rate", calls]], (calls) => failures(calls) / calls.length);
    for (const [percentile, share] of [["p50", 0.5], ["p95", 0.95], ["p99", 0.99]]) {
      overTime(charts.latency, name, [[percentile, calls]], (calls) => totals(calls).duration(share), ESTIMATED);
      const mark = await page.locator("#distribution .legend span", { hasText: percentile }).locator("em").textContent();
      is(mark, all.duration(share), `${percentile} of the distribution of ${name}`, ESTIMATED);
      if (percentile === "p99" || all.firstToken(share) === null) continue;
      overTime(charts.first, name, [[percentile, calls]], (calls) => totals(calls).firstToken(share), ESTIMATED);
    }

    assert.ok(tables.samples.length > 0, name);
    const known = new Map(calls.flatMap((call) => call.spans.map((span) => [link(span), call])));
    for (const { href, cells, values } of tables.samples) {
      const call = known.get(href) ?? assert.fail(`${href} is no call of ${name}`);
      const expected = [call.made.duration, call.made.first_token, call.tokens?.input, call.tokens?.output, call.cost && call.cost / 1e12];
      expected.forEach((value, place) => same(values[2 + place], value ?? null, `${cells[0]} request of ${name}, cell ${2 + place}`));
      assert.equal(cells[7], call.failed?.[0] ?? "", name);
    }
    checkDistribution(distribution, calls, name);
    if (name === "nightly") {
      checkBudget(charts["slo-nightly works"], values["burn-nightly works"], tables["burn-nightly works"], all);
      // What is usual is known once twenty calls have told how long they waited.
      const waits = (batches) => batches.flat().filter((call) => call.made.first_token).length;
      const after = batches(calls).filter((_, number, all) => waits(all.slice(0, number)) >= 20);
      same(tiles.cold_start_rate[0], after.filter(([first]) => first.made.is_cold).length / after.length, "cold starts");
    } else {
      assert.deepEqual(tiles.cold_start_rate, [], `${name} is never idle`);
    }
    if (name === "assistant") {
      checkCanary(tables["canary-models"], titles["canary-models"], calls);
      checkControl(charts["control-inputs"], calls);
      checkDrift(values.drift, texts.drift, calls);
    }
  }
});

await step("alerts", async () => {
  const { tables, tiles } = await seen("/alerts");
  assert.deepEqual([tiles.firing[0], tiles.pending[0]], [1, 0]);
  const rows = Object.fromEntries(tables.rules.map((row) => [row.cells[0], row]));
  for (const [name, calls] of groups(made(), service).filter(([name]) => name !== "assistant")) {
    const { cells, values } = rows[`${name} fails`];
    assert.equal(cells[1], name === "nightly" ? "firing" : "inactive");
    same(values[5], totals(calls).failed / calls.length, `error rate of ${name}`);
    assert.equal(values[6], 0.15);
  }
  // Nobody takes what the notifier tells.
  assert.deepEqual([tiles.waiting[0], tiles.dropped[0], tiles.mttr], [1, 0, [0]]);
  const [told, ...more] = tables.notifications.map(({ cells }) => cells);
  assert.deepEqual([told.slice(1, 5), told[6], more], [["firing", "nightly fails", "nightly", "critical"], "", []]);
  assert.match(told[7], /^webhook\/nobody (waits|fails)/);
  assert.deepEqual(tables.history.map(({ cells }) => [cells[0], cells[4]]), [["nightly fails", "still fires"]]);
  assert.equal(await page.locator("nav .badge").textContent(), "1 firing");
});

await step("prices", async () => {
  for (const [name, calls] of [["", truth.calls], ...groups(made(), service)]) {
    const { tables, tiles } = await seen(`/prices?${RANGE}&service=${name}`);
    const all = totals(calls);
    same(tiles.cost[0] ?? null, all.cost, `cost of ${name}`);
    same(tiles.known[0], all.priced / all.requests, `known of ${name}`);
    assert.deepEqual([tiles.known[1], tiles.unknown[0], tiles["usage-missing"][0]], [all.requests, all.requests - all.priced, all.usageMissing], name);
    if (name) continue;
    // Spans that tell of a call which another tells.
    assert.equal(tiles.saved[1], sum(calls.map((call) => call.spans.length - 1)), "what merged duplicates saved");
    const unpriced = tables.unpriced.find(({ cells }) => cells[1] === "nobody-prices-this");
    const asked = calls.filter((call) => call.model === "nobody-prices-this" && call.tokens);
    assert.deepEqual([unpriced.cells[0], unpriced.cells[2], unpriced.values[3]], ["self-hosted", "nobody-prices-this", asked.length]);
  }
});

await step("health", async () => {
  const { lists, tables, text, tiles } = await seen("/health");
  assert.equal(tiles.received[0], truth.spans);
  const outcomes = Object.fromEntries(lists.conservation.map(({ name, values }) => [name, values[0]]));
  assert.equal(outcomes.counted, truth.calls.length);
  assert.equal(sum(Object.values(outcomes)) + tiles.waiting[0], truth.spans);
  assert.match(text, /It adds up/);

  assert.deepEqual([tiles.window[0], tiles.early[0]], [25 * 60, 0]);
  // Of the files that the log has, some is not written yet; what may be written while this is asked is a record at most.
  const bytes = tiles.log[0] * (256 << 20);
  assert.ok(bytes > 0 && bytes <= truth.log, `${bytes} bytes of ${truth.log}`);
  const behind = Object.fromEntries(tables.cursors.map(({ cells, values }) => [cells[0], values[1]]));
  assert.deepEqual(Object.keys(behind), ["applier", "archive"]);
  assert.ok(behind.applier <= 1 && behind.archive >= behind.applier, JSON.stringify(behind));
});

await step("what happens meanwhile is shown without a reload", async () => {
  const saved = async () => (await seen("/prices")).tiles.saved[0];
  const savedBefore = await saved();
  await open(`/?${RANGE}`);
  await page.evaluate(() => (window.isSame = true));
  await page.locator("#live.on").waitFor();
  const before = truth.calls.length;
  truth = await ask("more");
  assert.ok(truth.calls.length > before);
  await page.waitForFunction((requests) => Number(document.querySelector("#total-requests data").value) === requests, truth.calls.length);
  checkOverview(await read(), truth.calls, "everything");
  assert.ok(await page.evaluate(() => window.isSame));

  const twice = truth.calls.slice(before).filter((call) => call.spans.length > 1);
  assert.ok(twice.length > 0);
  same(await saved() - savedBefore, sum(twice.map((call) => call.cost)) / 1e12, "dollars that were not counted twice", { relative: 1e-6 });
});

await close();
