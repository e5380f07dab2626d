// Drives the page as people do, over made-up traffic. The server's trace links are `/trace/{trace_id}`; time passes if the test is asked for a
// `step`, which brings some calls, `models` brings a call of each of many models; the server goes at `stop`, and comes back at `start`.
import assert from "node:assert/strict";
import { address, ask, close, context, fits, isAccessible, open, page, step } from "./browser.mjs";

const api = async (path) => (await fetch(`${address}/api/v1${path}`)).json();
const number = (id) => page.locator(`#${id} data`).first().getAttribute("value").then(Number);
const query = () => new URL(page.url()).searchParams;
const cells = (id) => page.locator(`#${id} table thead th`).allTextContents();
/// Checks that the page shows what the API says.
async function agree(path, id, figure) {
  const shown = await number(id);
  assert.equal(shown, (await api(`/overview?${path}`)).totals.figures[figure], `${id} is ${figure} of ${path}`);
  return shown;
}

/// Lets time pass, and waits until the page shows a newer time than it did, and says that it is live.
async function isRefreshed() {
  await page.locator("#live.on", { hasText: "live" }).waitFor();
  const before = await page.locator("main").getAttribute("data-now");
  await ask("step");
  await page.waitForFunction((known) => document.querySelector("main").dataset.now !== known, before);
}

await step("the overview shows what the API says", async () => {
  await open("/");
  await agree("", "total-requests", "total_requests");
  await agree("", "error-rate", "error_rate");
  await agree("", "latency-p95", "latency_p95");
});

await step("a range is chosen", async () => {
  await page.getByLabel("Last 6 hours").click();
  await page.waitForURL(/range=6h/);
  await page.locator(".range a[aria-current]", { hasText: "6h" }).waitFor();
  const hours = await agree("range=6h", "total-requests", "total_requests");
  await page.goBack();
  await page.locator(".range a[aria-current]", { hasText: "1h" }).waitFor();
  assert.ok((await number("total-requests")) < hours);
});

await step("a filter is chosen, and stands in the address", async () => {
  const filter = page.getByLabel("Service", { exact: true });
  await filter.focus();
  await filter.selectOption("search");
  await page.waitForURL(/service=search/);
  await page.locator("select.on").waitFor();
  // It has the focus, and what is new is shown all the same.
  await page.evaluate(() => (window.filter = document.activeElement));
  await isRefreshed();
  assert.ok(await page.evaluate(() => document.activeElement === window.filter && window.filter.matches("select.on")), "whose list may be open");
  await agree("service=search", "total-requests", "total_requests");
  assert.deepEqual(await cells("requests"), ["UTC", "search"]);
  await page.getByLabel("Service", { exact: true }).selectOption("");
  await page.waitForURL((url) => !url.searchParams.has("service"));
  await page.locator("#models li a").first().click();
  await page.waitForURL(/model=/);
});

await step("the crosshair tells the numbers of its step on all charts", async () => {
  await open("/?range=1h");
  const area = page.locator("#requests .area");
  const box = await area.boundingBox();
  await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
  await page.locator(".tip").waitFor();
  const steps = Number(await page.locator("#requests .chart").getAttribute("data-steps"));
  const row = page.locator("#requests tbody tr").nth(Math.floor(0.4 * steps));
  // Asked for at once: a refresh may come between two questions.
  const [told, expected, crosses] = await row.evaluate((row) => [
    [...document.querySelectorAll(".tip em")].map((value) => value.textContent),
    [...row.cells].slice(1).map((cell) => cell.textContent).filter((text) => text),
    document.querySelectorAll(".cross").length,
  ]);
  assert.deepEqual(told, expected);
  assert.ok(crosses > 3, "the others show the same step");
  await page.mouse.move(5, 5);
  await page.locator(".tip").waitFor({ state: "hidden" });
});

await step("a drag zooms, and there is a way back", async () => {
  const box = await page.locator("#duration .area").boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 4 });
  await page.locator(".band").waitFor();
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  const [from, to] = ["from", "to"].map((name) => Number(query().get(name)));
  const zoomed = await page.locator(".zoomed").waitFor().then(() => number("total-requests"));
  assert.ok(to - from > 10 * 60_000 && to - from < 25 * 60_000, `${to - from} ms`);
  assert.equal(zoomed, (await api(`/overview?from=${from}&to=${to}`)).totals.requests);
  await page.getByText("Zoom out").click();
  await page.waitForURL((url) => Number(url.searchParams.get("from")) < from);
  await page.getByText("Back to now").click();
  await page.waitForURL(/range=1h/);
});

await step("the keyboard reads values and zooms", async () => {
  const chart = page.locator("#tokens .chart");
  await chart.focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  const second = await page.locator("#tokens tbody tr").nth(1).locator("td").last().textContent();
  const spoken = await page.locator("body > .sr[role=status]").textContent();
  assert.ok(spoken.includes(second), `${spoken} has ${second}`);
  for (let times = 0; times < 10; times += 1) await page.keyboard.press("Shift+ArrowRight");
  await page.keyboard.press("Enter");
  await page.waitForURL(/from=\d+&to=\d+/);
});

await step("the legend takes a series out and puts it back", async () => {
  await open("/?range=1h");
  const before = await cells("requests");
  const name = before[1];
  await page.locator("#requests .legend a", { hasText: name }).click();
  await page.waitForURL(/hide=requests/);
  await page.locator("#requests .legend a[aria-checked=false]").waitFor();
  assert.ok(!(await cells("requests")).includes(name));
  assert.ok((await cells("tokens")).includes(name), "the other chart keeps it");
  await page.locator("#requests .legend a[aria-checked=false]").press("Space");
  await page.waitForURL((url) => !url.searchParams.has("hide"));
  await page.locator("#requests .legend a[aria-checked=false]").waitFor({ state: "detached" });
  assert.deepEqual((await cells("requests")).sort(), before.sort());
});

await step("what is new is shown without a reload", async () => {
  await page.evaluate(() => (window.isSame = true));
  await isRefreshed();
  assert.ok(await page.evaluate(() => window.isSame));
});

await step("that the server is gone is told, and what was shown stays until it is back", async () => {
  await page.locator("#live.on").waitFor();
  const shown = [page.url(), await number("total-requests")];
  await ask("stop");
  await page.locator("#live", { hasText: "offline" }).waitFor();
  await page.getByLabel("Last 6 hours").click();
  await page.locator("main:not(.busy)").waitFor();
  assert.deepEqual([page.url(), await number("total-requests")], shown);
  await ask("start");
  await page.locator("#live.on").waitFor();
  await page.getByLabel("Last 6 hours").click();
  await page.waitForURL(/range=6h/);
  await page.locator("#live.on").waitFor();
  assert.ok(await page.evaluate(() => window.isSame));
}, /net::ERR_/);

await step("dark and light", async () => {
  const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await back();
  await page.getByLabel("Dark or light").click();
  const dark = await back();
  assert.notEqual(light, dark);
  await page.reload();
  assert.equal(await back(), dark, "it is remembered");
  await page.getByLabel("Dark or light").click();
  assert.equal(await back(), light);
});

await step("an error leads to its trace", async () => {
  await open("/errors?range=6h");
  await page.locator(".chips a", { hasText: "rate_limited" }).click();
  await page.waitForURL(/class=rate_limited/);
  await page.locator("#groups td.wide a").first().click();
  await page.waitForURL(/group=[0-9a-f]{16}/);
  const link = page.locator("#records a.trace").first();
  await link.waitFor();
  const [trace] = await Promise.all([context.waitForEvent("page"), link.click()]);
  await trace.waitForURL(/\/trace\/[0-9a-f]{32}$/);
  assert.equal(trace.url(), address + (await link.getAttribute("href")));
  const known = await api("/errors?class=rate_limited&limit=1000");
  assert.ok(known.records.some((record) => trace.url().endsWith(record.trace_id)));
  await trace.close();
  await page.bringToFront();
});

await step("a monitor is created, paused, watched again and archived", async () => {
  await open("/monitors");
  await page.locator("#live.on").waitFor();
  await page.locator("#new summary").click();
  await ask("step");
  await page.locator("#live", { hasText: "paused" }).waitFor();
  await page.getByLabel("Name").fill("gpt-4o");
  await page.getByRole("button", { name: "Create" }).click();
  await page.locator("#new .problem", { hasText: "already" }).waitFor();
  await page.getByLabel("Name").fill("made <here>");
  await page.locator("#new").getByLabel("Model").fill("claude*");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("link", { name: "made <here>" }).click();
  await page.waitForURL(/monitors\/made%20%3Chere%3E/);
  for (const [deed, state] of [["Pause", "paused"], ["Resume", "active"], ["Archive", "archived"]]) {
    await page.getByRole("button", { name: deed }).click();
    await page.locator(".badge-state", { hasText: state }).waitFor();
    const told = await api("/monitors/made%20%3Chere%3E");
    assert.equal(told.monitor.state, state);
  }
  await open("/monitors");
  assert.equal(await page.getByRole("link", { name: "made <here>" }).count(), 0);
  await page.getByText(/Show archived/).click();
  await page.getByRole("link", { name: "made <here>" }).waitFor();
}, /status of 409 .*\/api\/v1\/monitors$/);

await step("an alert that fires is told on every page, and by whom it waits", async () => {
  await open("/prices");
  assert.equal(await page.locator(".news").textContent(), "");
  const definition = { name: "calls <come>", monitor: "everything", when: { kind: "field", field: "total_requests", side: "above", threshold: 0 }, severity: "critical" };
  const asked = await fetch(`${address}/api/v1/alerts`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(definition) });
  assert.equal(asked.status, 201, await asked.text());
  const news = page.locator(".news[role=status]");
  await page.locator("#live.on").waitFor();
  await ask("step");
  await news.getByRole("link", { name: "critical: calls <come>" }).click();
  await page.waitForURL(/\/alerts/);
  assert.equal(await news.textContent(), "", "it is told once");
  // Others may fire or recover in the same step.
  const row = page.locator("#notifications tbody tr", { hasText: definition.name }).first();
  const check = async (kind) => {
    const told = (await api("/notifications?limit=10")).find(({ alert }) => alert === definition.name);
    assert.deepEqual([told.alert, told.monitor, told.severity, told.kind, told.waiting], ["calls <come>", "everything", "critical", kind, [{ notifier: "webhook/oncall", error: "http 500: out of <order>" }]]);
    const time = (millis) => new Date(millis).toISOString().slice(0, 19) + "Z";
    const times = await row.locator("time").evaluateAll((times) => times.map((time) => time.dateTime));
    assert.deepEqual(times, [told.at, told.fired, told.resolved].filter(Boolean).map(time));
    const cells = await row.locator("> *").allTextContents();
    assert.deepEqual([...cells.slice(1, 5), cells[7]], [kind, "calls <come>", "everything", "critical", "webhook/oncall failshttp 500: out of <order>"]);
  };
  await check("firing");
  await fetch(`${address}/api/v1/alerts/calls%20%3Ccome%3E`, { method: "DELETE" });
  await page.locator("#live.on").waitFor();
  await ask("step");
  await row.locator("td", { hasText: "resolved" }).waitFor();
  await check("resolved");
});

await step("alerts tell how long it took to recover, and how much waits", async () => {
  const { incidents, waiting_notifications: waiting, dropped_notifications: dropped } = await api("/alerts?limit=1000");
  const recovered = incidents.filter(({ resolution }) => resolution === "recovered").map(({ fired, resolved }) => (resolved - fired) / 1_000);
  assert.ok(recovered.length > 0 && waiting > 0, JSON.stringify(incidents));
  const told = [recovered.reduce((all, one) => all + one) / recovered.length, recovered.length, waiting, dropped];
  await open("/alerts");
  const shown = await page.locator("#mttr data, #waiting data, #dropped data").evaluateAll((all) => all.map((data) => Number(data.value)));
  const rounded = (numbers) => numbers.map((number) => Math.round(number * 1e6));
  assert.deepEqual(rounded(shown), rounded(told));
});

await step("a filter of many values takes a text, and offers them if it can", async () => {
  const models = await ask("models");
  // Answers stay until a step is over.
  await ask("step");
  await open("/");
  const search = page.getByRole("combobox", { name: "Model" });
  assert.equal(await search.evaluate((filter) => filter.tagName), "INPUT");
  for (const refuse of [(route) => route.fulfill({ status: 503, body: "starting" }), (route) => route.fulfill({ status: 401, json: {} }), (route) => route.abort()]) {
    await page.route("**/api/v1/values", refuse);
    const asked = page.waitForRequest("**/api/v1/values");
    await search.click();
    await (await asked).response();
    await page.getByLabel("Dark or light").focus();
    await page.unroute("**/api/v1/values");
  }
  await search.focus();
  await page.waitForFunction((least) => document.querySelector("input[name=model]").list.options.length >= least, models);
  await search.pressSequentially("model-1");
  await isRefreshed();
  assert.equal(await search.inputValue(), "model-1", "what is typed stays");
  await search.pressSequentially("23");
  await search.press("Enter");
  await page.waitForURL(/model=model-123/);
  await page.locator("input.on").waitFor();
  assert.equal(await number("total-requests"), 1);
  await isRefreshed();
  await isAccessible("a filter that takes a text");
  await fits("/");
}, /net::ERR_FAILED|status of (401|503)/);

await close();
