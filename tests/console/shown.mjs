// What a page shows, as numbers.
import assert from "node:assert/strict";
import { groups, sum, told } from "./happened.mjs";
import { open, page } from "./browser.mjs";

/// The stated relative error of percentiles: half the width of one of 16 buckets between powers of two, over its middle.
export const RELATIVE_ERROR = 1 / 33;

const SCALES = { k: 1e3, M: 1e6, G: 1e9, "µs": 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, d: 86400, "%": 0.01 };
/// A number as people read it, and by how much it may be rounded; null of an empty text or a dash.
export function parse(text) {
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

export const EXACT = { relative: 1e-9 };
export const ESTIMATED = { relative: RELATIVE_ERROR };
export function same(shown, expected, what, { relative, slack = 0 } = EXACT) {
  if (expected === null || shown === null) return assert.equal(shown, expected, what);
  const off = Math.abs(shown - expected);
  assert.ok(off <= Math.abs(expected) * (relative + 1e-9) + slack * 1.0001, `${what}: ${shown} for ${expected}`);
}
/// Rounded texts that add up to something.
export function addsUp(texts, expected, what, { relative } = EXACT) {
  const parsed = told(texts.map(parse));
  same(sum(parsed.map(({ value }) => value)), expected ?? 0, what, { relative, slack: sum(parsed.map(({ slack }) => slack)) });
}
export const is = (text, expected, what, accuracy = EXACT) => {
  const parsed = parse(text);
  same(parsed && parsed.value, expected, what, { ...accuracy, slack: parsed?.slack });
};

/// All that the page shows, read at once: a refresh may come between two questions.
export const read = () =>
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
      const plot = { width: figure.querySelector("svg").viewBox.baseVal.width, ticks: texts(all(".y span", figure)).reverse(), grid: drawn(".grid")[0], bars: drawn(".bar"), lines: drawn(".line:not(.point)"), points: drawn(".point"), marks: texts(all(".mark title", figure)) };
      return { from: Number(figure.dataset.from), step: Number(figure.dataset.step), columns, legend, plot };
    };
    const spark = (within) => within.querySelector(".spark path")?.getAttribute("d") ?? null;
    const list = (section) =>
      all("li", section).map((row) => ({
        name: row.firstElementChild.textContent,
        values: values(row),
        parts: all("rect", row).map((part) => parseFloat(part.getAttribute("width"))),
        titles: texts(all("rect title", row)),
      }));
    const table = (section) =>
      all("tbody tr", section).map((row) => ({ cells: texts([...row.cells]), values: [...row.cells].map((cell) => values(cell)[0] ?? null), href: row.querySelector("a.trace")?.getAttribute("href") ?? null, spark: spark(row) }));
    const charts = all("section:has(.chart)");
    return {
      tiles: byId(all(".tile[id]"), values),
      sparks: byId(all(".tile[id]"), spark),
      changes: byId(all(".tile[id]"), (tile) => tile.querySelector(".more span[title]")?.textContent ?? null),
      charts: byId(charts, chart),
      lists: byId(all("section:has(ul.list)"), list),
      tables: byId(all("section[id]:has(tbody)").filter((section) => !charts.includes(section)), table),
      values: byId(all("section[id]"), values),
      titles: byId(all("section[id]:has(h2)"), (section) => section.querySelector("h2").textContent),
      texts: byId(all("section[id]"), (section) => section.textContent),
      distribution: all(".dist path").map((path) => path.getAttribute("d")),
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

/// A small line without axes: what came `when`, step by step, the greatest of all as high as there is room. The last step is left out.
export function checkSpark(path, { from, step, when }, calls, figure, what, { relative } = EXACT) {
  const shown = [...path.matchAll(/[ML]\S+ ([\d.]+)/g)].map(([, y]) => 96 - y);
  const at = (moment) => Math.floor((moment - from) / step);
  // Each request came at some moment of a time which may lie in two steps: those that do may be in either.
  const unsure = [...new Set(calls.map((call) => call[when]).filter(([begin, end]) => at(begin) !== at(end)).map(String))];
  const fits = (choice) => {
    const end = (call) => (unsure.includes(String(call[when])) ? (choice >> unsure.indexOf(String(call[when]))) & 1 : 0);
    const of = groups(calls, (call) => at(call[when][end(call)])).filter(([at]) => at < shown.length);
    const values = new Map(of.map(([at, calls]) => [at, figure(calls) ?? 0]));
    const most = Math.max(...values.values(), 0) || 1;
    return shown.every((height, at) => Math.abs(height - ((values.get(at) ?? 0) / most) * 92) <= 0.51 + 92 * 2 * relative);
  };
  const choices = [...Array(2 ** Math.min(unsure.length, 12)).keys()];
  assert.ok(choices.some(fits), `${what}: ${shown}`);
}

/// Opens a page, and gives what it shows.
export async function seen(path) {
  const answer = await open(path);
  assert.equal(answer.status(), 200, path);
  const shown = await read();
  for (const [id, chart] of Object.entries(shown.charts)) checkDrawn(chart, `drawing of ${id} on ${path}`);
  return shown;
}
