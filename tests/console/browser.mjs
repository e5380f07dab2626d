// What the scripts here have in common: a page in Chromium that complains of nothing and asks nothing of anybody else. They are run as
// `node SCRIPT <address> <directory for pictures>`; playwright-core and axe-core stand in the directory that NODE_PACKAGES names,
// Chromium is what CHROMIUM names. What a script asks the test that runs it is a line of its output that begins with a question mark.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";

const input = createInterface({ input: process.stdin });
const answers = input[Symbol.asyncIterator]();
/// The test's answer, a line of JSON.
export async function ask(what) {
  console.log(`? ${what}`);
  return JSON.parse((await answers.next()).value);
}

const require = createRequire(join(process.env.NODE_PACKAGES, "package.json"));
export const [address, pictures] = process.argv.slice(2);

const browser = await require("playwright-core").chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
export const context = await browser.newContext({ viewport: { width: 1440, height: 1160 }, bypassCSP: false, colorScheme: "light" });
export const page = await context.newPage();
page.setDefaultTimeout(20_000);

let wrong = [];
context.on("request", (request) => {
  if (!request.url().startsWith(address)) wrong.push(`asks ${request.url()}`);
});
page.on("console", (message) => message.type() === "error" && wrong.push(`${message.text()} ${message.location().url}`));
page.on("pageerror", (error) => wrong.push(String(error)));

export const open = (path) => page.goto(address + path, { waitUntil: "load" });

/// A page on a phone is no wider than that.
export async function fits(path) {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(path);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${path} is ${over} px too wide`);
}

// It is run from outside of the page, so its policy stays as it is.
const session = await context.newCDPSession(page);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
/// In a page axe finds nothing serious.
export async function isAccessible(path, options) {
  await session.send("Runtime.evaluate", { expression: axe });
  const { violations } = await page.evaluate((options) => window.axe.run(document, { resultTypes: ["violations"], ...options }), options);
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).slice(0, 3).join("; ")}`);
  assert.deepEqual(told, [], path);
}

/// A part of the test. What the browser may complain of in it is `expected`.
export async function step(name, act, expected = /(?!)/) {
  try {
    await act();
    assert.deepEqual(wrong.filter((complaint) => !expected.test(complaint)), [], "the browser complains");
    wrong = [];
  } catch (error) {
    await page.screenshot({ path: join(pictures, `failed-${basename(process.argv[1], ".mjs")}.png`) });
    console.error(`FAILED: ${name}: ${error.stack}`);
    process.exit(1);
  }
  console.log(`ok: ${name}`);
}

/// The last thing that a script does.
export async function close() {
  await browser.close();
  input.close();
}
