// How pages look: on a phone, in the dark, to those who do not see them, and in the README, whose picture is `overview.png` as it is taken here.
import { join } from "node:path";
import { close, fits, isAccessible, open, page, pictures, step } from "./browser.mjs";

const PAGES = ["/", "/errors", "/monitors", "/monitors/gpt-4o", "/alerts", "/prices", "/health", "/monitors/nope", "/?service=nobody"];
const NOPE = /status of 404 .*\/monitors\/nope$/;
await step("pages fit a phone", async () => {
  for (const path of PAGES) await fits(path);
  await fits("/");
  await page.screenshot({ path: join(pictures, "phone.png"), fullPage: true });
  await page.setViewportSize({ width: 1440, height: 1160 });
}, NOPE);

await step("axe finds nothing serious", async () => {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    await open("/");
    await page.evaluate(() => { localStorage.clear(); delete document.documentElement.dataset.theme; });
    // In the dark only colours are others, and all themes are the same variables: the pages with most of them are enough.
    for (const path of scheme === "light" ? PAGES : ["/", "/monitors/gpt-4o", "/alerts"]) {
      await open(path);
      await isAccessible(`${path}, ${scheme}`, scheme === "light" ? {} : { runOnly: ["color-contrast"] });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
}, NOPE);

await step("pictures", async () => {
  await open("/?range=1h");
  await page.locator("#live.on").waitFor();
  await page.screenshot({ path: join(pictures, "overview.png"), fullPage: true });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: join(pictures, "dark.png") });
});

await close();
