// What the scripts here have in common: a page in Chromium that complains of nothing and asks nothing of anybody else. They are run as
// `node SCRIPT <address> <directory for pictures>`; playwright-core and axe-core stand in the directory that NODE_PACKAGES names,
// Chromium is what CHROMIUM names. What a script asks the test that runs it is a line of its output that begins with a question mark.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
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
export const axe = require.resolve("axe-core/axe.min.js");

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

/// A part of the test. What the browser may complain of in it is `expected`.
export async function step(name, act, expected = /(?!)/) {
  try {
    await act();
    assert.deepEqual(wrong.filter((complaint) => !expected.test(complaint)), [], "the browser complains");
    wrong = [];
  } catch (error) {
    await page.screenshot({ path: join(pictures, "failed.png") });
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
