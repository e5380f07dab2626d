// Reads every panel of every page and compares it with what happened. The test tells all calls if it is asked for `truth`, and lets more of them
// happen before if it is asked for `more`.
import assert from "node:assert/strict";
import { address, ask, close, context, open, page, step } from "./browser.mjs";

/// The stated relative error of percentiles: half the width of one of 16 buckets between powers of two, over its middle.
const RELATIVE_ERROR = 1 / 33;
/// Series of a chart, and rows of a list, beside those that are told together.
const MOST_SERIES = 5;
const MOST_ROWS = 8;
const MINUTES = 15;
const RANGE = `range=${MINUTES}m`;

// What happened.

const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
const told = (values) => values.filter((value) => value !== null && value !== undefined);
const service = (call) => call.service;
const model = (call) => call.model;
/// Pairs of a key and the calls that have it.
function groups(calls, key) {
  const found = new Map();
  for (const call of calls) found.set(key(call), [...(found.get(key(call)) ?? []), call]);
  return [...found];
}
/// The value that a share is not above, by nearest rank; null of nothing.
function quantile(values, share) {
  const sorted = told(values).sort((one, other) => one - other);
  return sorted[Math.max(Math.ceil(share * sorted.length), 1) - 1] ?? null;
}
/// Calls that were counted together, the first first.
const batches = (calls) => groups(calls, (call) => call.counted[0]).map(([, together]) => together).sort(([one], [other]) => one.counted[0] - other.counted[0]);

/// The bucket that holds a whole number: its four bits after the first count.
function bucket(value) {
  const width = 2 ** Math.max(Math.floor(Math.log2(value)) - 4, 0);
  return Math.floor(value / width) * width;
}
/// The standard score of the Mann-Whitney test, with ties and the correction for continuity: positive if the others are greater.
function rankScore(values, others) {
  const sorted = [...values, ...others].sort((one, other) => one - other);
  const [ranks, all] = [new Map(), sorted.length];
  let ties = 0;
  for (let at = 0; at < all; ) {
    const end = sorted.lastIndexOf(sorted[at]) + 1;
    ranks.set(sorted[at], (at + 1 + end) / 2);
    ties += (end - at) ** 3 - (end - at);
    at = end;
  }
  const [count, theirs] = [values.length, others.length];
  const greater = sum(others.map((value) => ranks.get(value))) - (theirs * (theirs + 1)) / 2 - (count * theirs) / 2;
  const deviation = Math.sqrt(((count * theirs) / 12) * (all + 1 - ties / (all * (all - 1))));
  return (greater - Math.sign(greater) * 0.5) / deviation;
}
/// How likely a standard score so far from zero is by chance (Abramowitz and Stegun, 7.1.26).
function chance(z) {
  const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2);
  return t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp((-z * z) / 2);
}
/// The population stability index over tenths of the reference, and what lies outside of it.
function stability(reference, current) {
  const sorted = [...reference].sort((one, other) => one - other);
  const shares = (values) => {
    const bins = new Array(12).fill(0);
    for (const value of values) {
      const below = sorted.filter((known) => known < value).length;
      const bin = value < sorted[0] ? 0 : value > sorted.at(-1) ? 11 : 1 + Math.floor((below * 10) / sorted.length);
      bins[bin] += 1 / values.length;
    }
    return bins.map((share) => Math.max(share, 1e-4));
  };
  const [expected, actual] = [shares(reference), shares(current)];
  return sum(expected.map((share, bin) => (actual[bin] - share) * Math.log(actual[bin] / share)));
}

/// What calls add up to; what is not known of all of them is left out.
function totals(calls) {
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
    firstToken: (share) => made && quantile(firsts, share),
    perToken: made && quantile(perToken, 0.5),
  };
}

// What is shown.

const SCALES = { k: 1e3, M: 1e6, G: 1e9, "µs": 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, d: 86400, "%": 0.01 };
/// A number as people read it, and by how much it may be rounded; null of an empty text or a dash.
function parse(text) {
  if (!text || text === "–") return null;
  const [, dollar, digits, unit] = text.match(/^(\$?)([\d.,]+) ?(\D*)$/) ?? assert.fail(`no number: ${text}`);
  const scale = unit ? SCALES[unit] : 1;
  const number = Number(digits.replace(",", ""));
  // Three digits are kept, all before the point, and six behind it at most; counts below 10,000 are whole, dollars have cents.
  const magnitude = number === 0 ? 0 : Math.floor(Math.log10(number));
  const last = dollar && number >= 0.01 ? 0.01 : 10 ** Math.max(Math.min(magnitude - 2, 0), -6);
  const isCount = !dollar && !unit;
  return { value: number * scale, slack: isCount ? 0 : 0.5 * last * scale };
}

const EXACT = { relative: 1e-9 };
const ESTIMATED = { relative: RELATIVE_ERROR };
function same(shown, expected, what, { relative, slack = 0 } = EXACT) {
  if (expected === null || shown === null) return assert.equal(shown, expected, what);
  const off = Math.abs(shown - expected);
  assert.ok(off <= Math.abs(expected) * (relative + 1e-9) + slack * 1.0001, `${what}: ${shown} for ${expected}`);
}
/// Rounded texts that add up to something.
function addsUp(texts, expected, what, { relative } = EXACT) {
  const parsed = told(texts.map(parse));
  same(sum(parsed.map(({ value }) => value)), expected ?? 0, what, { relative, slack: sum(parsed.map(({ slack }) => slack)) });
}
const is = (text, expected, what, accuracy = EXACT) => {
  const parsed = parse(text);
  same(parsed && parsed.value, expected, what, { ...accuracy, slack: parsed?.slack });
};

/// All that the page shows, read at once: a refresh may come between two questions.
const read = () =>
  page.evaluate(() => {
    const all = (selector, within = document) => [...within.querySelectorAll(selector)];
    const texts = (elements) => elements.map((element) => element.textContent.trim());
    const values = (element) => all("data", element).map((data) => Number(data.value));
    const byId = (elements, of) => Object.fromEntries(elements.map((element) => [element.id, of(element)]));
    const chart = (section) => {
      const figure = section.querySelector(".chart");
      const [, ...names] = texts(all("thead th", figure));
      const rows = all("tbody tr", figure).map((row) => texts([...row.cells]).slice(1));
      const columns = Object.fromEntries(names.map((name, place) => [name, rows.map((row) => row[place])]));
      const legend = Object.fromEntries(all(".legend a, .legend span", figure).map((entry) => [entry.firstElementChild.nextSibling.textContent.trim(), entry.querySelector("em").textContent]));
      const drawn = (selector) => all(selector, figure).map((path) => path.getAttribute("d"));
      const marks = texts(all(".mark title", figure));
      const plot = { width: figure.querySelector("svg").viewBox.baseVal.width, ticks: texts(all(".y span", figure)).reverse(), grid: drawn(".grid")[0], bars: drawn(".bar"), lines: drawn(".line:not(.point)"), points: drawn(".point") };
      return { from: Number(figure.dataset.from), step: Number(figure.dataset.step), columns, legend, marks, plot };
    };
    // How high a line goes in each of its steps, as a part of the highest.
    const spark = (path) => [...(path?.getAttribute("d") ?? "").matchAll(/[ML]\S+ (\S+?)(?=L|$)/g)].map(([, y]) => (96 - Number(y)) / 92);
    const list = (section) =>
      all("li", section).map((row) => ({
        name: row.firstElementChild.textContent,
        values: values(row),
        parts: all("rect", row).map((part) => parseFloat(part.getAttribute("width"))),
        titles: texts(all("rect title", row)),
      }));
    const table = (section) =>
      all("tbody tr", section).map((row) => ({ cells: texts([...row.cells]), values: [...row.cells].map((cell) => values(cell)[0] ?? null), href: row.querySelector("a.trace")?.getAttribute("href") ?? null, spark: spark(row.querySelector(".spark path")) }));
    const charts = all("section:has(.chart)");
    return {
      tiles: byId(all(".tile[id]"), values),
      charts: byId(charts, chart),
      lists: byId(all("section:has(ul.list)"), list),
      tables: byId(all("section[id]:has(tbody)").filter((section) => !charts.includes(section)), table),
      values: byId(all("section[id]"), values),
      titles: byId(all("section[id]:has(h2)"), (section) => section.querySelector("h2").textContent),
      now: Number(document.querySelector("main").dataset.now),
      text: document.querySelector("main").innerText,
    };
  });

/// What is drawn in a chart is what stands in its table, to a unit of the drawing.
function checkDrawn({ columns, plot }, what) {
  const steps = Object.values(columns)[0].length;
  const series = Object.entries(columns).filter(([name]) => name !== "all").map(([, column]) => column.map(parse));
  const heights = [...plot.grid.matchAll(/M\S+ (-?[\d.]+)h/g)].map(([, y]) => Number(y));
  assert.equal(heights.length, plot.ticks.length, what);
  // Half cents are not told.
  if (plot.ticks[0].startsWith("$")) return;
  const [least, next] = plot.ticks.map((tick) => parse(tick).value);
  const unit = (next - least) / (heights[0] - heights[1]);
  const place = (x) => Math.floor((Number(x) / plot.width) * steps);
  const check = (drawn, expected, off) => {
    assert.deepEqual(drawn.map(([at]) => at), expected.map(([at]) => at), `steps of ${what}`);
    drawn.forEach(([at, value], number) => same(value, expected[number][1].value, `${what} at step ${at}`, { relative: 0, slack: off * unit + expected[number][1].slack }));
  };
  const told = (column, isTold) => [...column.entries()].filter(([, cell]) => cell && isTold(cell));
  plot.bars.forEach((path, number) => {
    // Each begins at the left, a little within its step.
    const bars = [...path.matchAll(/M(\S+) [\d.]+v-([\d.]+)h/g)].map(([, x, height]) => [place(Number(x) + 1), height * unit]);
    check(bars, told(series[number], ({ value }) => value > 0), 1);
  });
  const dots = plot.points.join("");
  if (plot.lines.length !== series.length) return;
  plot.lines.forEach((path, number) => {
    const line = [...path.matchAll(/[ML](\S+) (-?[\d.]+)/g)].map(([, x, y]) => [place(x), least + (heights[0] - y) * unit]);
    const alone = series[number].map((cell, at, all) => cell && !all[at - 1] && !all[at + 1]);
    if (!dots) assert.ok(!alone.some(Boolean), what);
    check(line, told(series[number], () => true).filter(([at]) => !alone[at]), 0.06);
  });
}

/// Opens a page, and gives what it shows.
async function seen(path) {
  const answer = await open(path);
  assert.equal(answer.status(), 200, path);
  const shown = await read();
  for (const [id, chart] of Object.entries(shown.charts)) checkDrawn(chart, `drawing of ${id} on ${path}`);
  return shown;
}

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
function checkTiles({ tiles, charts, now }, calls, what) {
  const all = totals(calls);
  // The time of rates begins with a step of the charts, and ends with what the page was made of, which is older than what it tells by one
  // evaluation if that came just then.
  const seconds = all.requests / tiles["total-requests"][1];
  const most = (now - charts.requests.from + 1) / 1_000;
  assert.ok(seconds >= MINUTES * 60 && seconds <= most && seconds > most - 11, `${seconds} s of ${most}`);
  const tile = (id, expected, accuracy = []) =>
    expected.forEach((value, place) => value !== undefined && same(tiles[id][place] ?? null, value, `${id} of ${what}`, accuracy[place]));
  tile("total-requests", [all.requests]);
  tile("error-rate", [all.failed / all.requests, all.failed]);
  tile("total-tokens", all.tokens === null ? [null] : [all.tokens, all.input, all.output]);
  tile("total-cost", all.cost === null ? [all.priced / all.requests] : [all.cost, all.priced / all.requests]);
  tile("cache-share", [all.cacheShare]);
  tile("token-rate", [all.tokens === null ? null : all.tokens / seconds]);
  if (!calls.every((call) => call.made)) return;
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

/// The trend of a group: its calls in thirty steps of which the newest is not over, and so not drawn.
function checkTrend(spark, calls, from, what) {
  const all = batches(calls);
  const most = Math.max(...all.map(requests));
  const drawn = [...spark.entries()].filter(([, height]) => height > 0);
  assert.ok(drawn.length === all.length || drawn.length === all.length - 1, `${drawn.length} of ${all.length} in the trend of ${what}`);
  drawn.forEach(([at, height], number) => {
    same(height, all[number].length / most, `trend of ${what} at ${at}`, { relative: 0, slack: 0.5 / 92 });
    const [first, last] = all[number][0].counted.map((time) => Math.floor((time - from) / ((MINUTES * 60_000) / 30)));
    assert.ok(at >= first - 1 && at <= last, `trend of ${what} at ${at}, not ${first} to ${last}`);
  });
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
    const { charts, tables } = await seen(`/errors?${RANGE}&service=${name}`);
    checkRecords(tables.records, calls, Math.min(calls.length, 50), `errors of ${name}`);
    checkFailures(charts.failures, calls, name);
    overTime(charts.failures, `failed calls of ${name}`, groups(calls, (call) => call.failed[0]), requests);
    for (const { cells: [, said], spark } of tables.groups) checkTrend(spark, calls.filter((call) => said.startsWith(call.made.error.message)), charts.failures.from, said);
    const expected = groups(calls, (call) => call.made.error.message).map(([, [{ failed: [of], made: { error } }, ...more]]) => [of, error.message + error.kind, String(more.length + 1)]);
    assert.deepEqual(tables.groups.map(({ cells }) => cells.slice(0, 3)).sort(), expected.sort());
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

const HEALTH = { assistant: "healthy", search: "warning", nightly: "critical" };
await step("monitors", async () => {
  const { monitors } = (await seen("/monitors")).tables;
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
    await checkSpark(name, rows[name].spark);
  }
});

/// Requests of the last hour, in steps of two minutes of which the newest is not over, are those of the chart over the same time.
async function checkSpark(name, spark) {
  const { charts: { volume: { from, step: length, columns } } } = await seen(`/monitors/${name}?range=1h`);
  const [steps, late] = [120_000 / length, (from % 120_000) / length];
  const chart = columns.all.map((text) => parse(text)?.value ?? 0);
  const expected = spark.map((_, at) => sum(chart.slice(Math.max(at * steps - late, 0), (at + 1) * steps - late)));
  assert.ok(sum(expected) > 0 && spark.length === 30, name);
  spark.forEach((height, at) => same(height, expected[at] / Math.max(...expected), `requests of ${name} at ${at}`, { relative: 0, slack: 0.5 / 92 }));
}

/// Bars on a logarithmic scale: of the calls as many lie before the end of each bar as are drawn up to there.
async function checkDistribution(calls, what) {
  const path = await page.locator("#distribution .bar").getAttribute("d");
  const bars = [...path.matchAll(/M(\S+) \S+?v-(\S+?)h/g)].map(([, x, height]) => [Math.round((Number(x) / 1_000) * 48), Number(height)]);
  const drawn = sum(bars.map(([, height]) => height));
  const durations = calls.map((call) => call.made.duration);
  const [least, most] = [Math.min(...durations), Math.max(...durations)].map(Math.log);
  const within = (share) => durations.filter((duration) => (Math.log(duration) - least) / (most - least) <= share).length;
  let height = 0;
  for (const [bar, more] of bars) {
    height += more;
    const shown = (height / drawn) * calls.length;
    // A duration is known to half a bucket, and both ends of the scale are.
    const slack = (2 * RELATIVE_ERROR) / (most - least);
    const [before, after] = [(bar + 0.5) / 47 - slack, (bar + 0.5) / 47 + slack].map(within);
    assert.ok(shown > before - 0.5 && shown < after + 0.5, `${shown} calls up to bar ${bar} of ${what}, not ${before} to ${after}`);
  }
  assert.equal(bars.at(-1)[0], 47, what);
}

/// A control chart of cost: limits of what it learned from, and what is outside of them.
function checkControl(chart, calls) {
  const costs = batches(calls).map((together) => totals(together).cost);
  const [learned, watched] = [costs.slice(0, 2), costs.slice(2)];
  const mean = sum(learned) / 2;
  // Sums are not told apart by less than a hundredth.
  const deviation = Math.max(Math.abs(learned[0] - learned[1]) / Math.SQRT2, mean / 100);
  is(chart.legend.mean, mean, "mean");
  is(chart.legend["upper limit"], mean + 3 * deviation, "upper limit");
  is(chart.legend["lower limit"] ?? null, mean > 3 * deviation ? mean - 3 * deviation : null, "lower limit");
  const points = chart.columns.cost.filter((cell) => cell);
  assert.equal(points.length, watched.length);
  points.forEach((cell, number) => is(cell, watched[number], `point ${number}`));
  const outside = watched.filter((cost) => Math.abs(cost - mean) > 3 * deviation);
  assert.ok(outside.length > 0 && outside.length < watched.length);
  assert.deepEqual(chart.marks, outside.map(() => "out of control: outside"));
}

/// Tokens of the last four minutes against those before.
function checkDrift(values, calls, now) {
  const isNew = (call) => call.counted[0] > now - 4 * 60_000;
  const [before, after] = [calls.filter((call) => !isNew(call)), calls.filter(isNew)];
  const index = (name) => stability(...[before, after].map((calls) => calls.map((call) => bucket(call.tokens[name]))));
  same(values[0], index("input"), "drift of input");
  same(values[1], index("output"), "drift of output");
}

/// Both sides of a canary, how sure it is that they differ, and what is said of that.
function checkCanary(rows, title, versions) {
  const of = Object.fromEntries(rows.map(({ cells, values }) => [cells[0], { values: values.slice(1, 3), z: cells[3], p: cells[4], verdict: cells[5] }]));
  const both = versions.map(totals);
  const equal = (name, expected, accuracy) => expected.forEach((value, place) => same(of[name].values[place], value, `${name} of ${place ? "canary" : "baseline"}`, accuracy));
  equal("requests", both.map((version) => version.requests));
  equal("error_rate", [0, 0]);
  assert.deepEqual([of.error_rate.z, of.error_rate.p, of.error_rate.verdict], ["0.00", "1.000", "pass"]);
  const nanos = (seconds) => Math.round(seconds * 1e9);
  for (const [name, value] of [
    ["latency", ({ made }) => nanos(made.duration)], ["time_to_first_token", ({ made }) => nanos(made.first_token)],
    ["time_per_output_token", ({ made, tokens }) => Math.floor(nanos(made.duration - made.first_token) / (tokens.output - 1))],
    ["input_tokens", ({ tokens }) => tokens.input], ["output_tokens", ({ tokens }) => tokens.output],
  ]) {
    const values = versions.map((calls) => calls.map(value));
    const medians = values.map((all) => quantile(all, 0.5));
    equal(name, name.endsWith("_tokens") ? medians : medians.map((median) => median / 1e9), ESTIMATED);
    const z = rankScore(...values.map((all) => all.map(bucket)));
    same(Number(of[name].z), z, `z of ${name}`, { relative: 0, slack: 0.0051 });
    const p = chance(z);
    if (of[name].p === "<0.001") assert.ok(p < 0.001, `p of ${name}: ${p}`);
    else same(Number(of[name].p), p, `p of ${name}`, { relative: 0, slack: 0.00051 });
    // Of what is allowed, a tenth of the baseline's.
    const worse = (of[name].values[1] - of[name].values[0]) / (0.1 * of[name].values[0]);
    const isSure = p <= 0.01;
    const said = z <= 0 || p > 0.05 ? "pass" : worse > 1 && isSure ? "fail" : worse > 1 || (worse > 0.5 && isSure) ? "marginal" : "pass";
    assert.equal(of[name].verdict, said, name);
  }
  equal("cost_per_request", both.map((version) => version.cost / version.requests));
  assert.equal(of.cost_per_request.verdict, both[1].cost / both[1].requests > both[0].cost / both[0].requests ? "fail" : "pass");
  assert.ok(title.endsWith("fail"), title);
}

await step("a monitor's page", async () => {
  for (const [name, calls] of groups(made(), service)) {
    const { charts, tables, tiles, titles, values, now } = await seen(`/monitors/${name}?${RANGE}`);
    await checkDistribution(calls, name);
    const all = totals(calls);
    for (const [id, expected, accuracy] of [
      ["total_requests", all.requests], ["error_rate", all.failed / all.requests], ["latency_p50", all.duration(0.5), ESTIMATED],
      ["latency_p99", all.duration(0.99), ESTIMATED], ["time_to_first_token_p95", all.firstToken(0.95), ESTIMATED],
      ["tokens_per_second", all.tokens / (MINUTES * 60)], ["cost", all.cost],
    ]) same(tiles[id][0] ?? null, expected, `${id} of ${name}`, accuracy);

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
    if (name === "nightly") {
      // Of seven calls in ten that shall not fail, three may.
      const allowed = 0.3 * all.requests;
      [1 - all.failed / allowed, all.failed, allowed, all.requests].forEach((expected, place) => same(values["burn-nightly works"][place], expected, `budget ${place}`));
      for (const { values } of tables["burn-nightly works"]) same(values[1], all.failed / allowed, "burn rate");
      const left = charts["slo-nightly works"].columns["budget left"].filter((cell) => cell);
      assert.ok(left.length > 0 && left.length <= 2, `${left}`);
      [left.at(-1), charts["slo-nightly works"].legend["budget left"]].forEach((text) => is(text, 1 - all.failed / allowed, "budget left"));
    }
    if (name === "assistant") {
      // Each batch comes after a while without calls, but the first after nothing; one begins to answer late.
      same(tiles.cold_start_rate[0], 1 / (batches(calls).length - 1), "cold starts");
      checkControl(charts["control-spending"], calls);
      checkDrift(values.drift, calls, now);
      checkCanary(tables["canary-models"], titles["canary-models"], ["claude-opus-4-5", "gpt-4.1-mini"].map((name) => calls.filter((call) => call.model === name)));
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
