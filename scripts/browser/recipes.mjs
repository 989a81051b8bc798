// recipes.mjs runs the generated clients of the guide to front ends in a real browser against a real
// server: a page on another port of the same site, in the transport hybrid.
//
//   recipes.mjs BUNDLE [BINARY]   BUNDLE is scripts/typescript/recipes.tsx, bundled
//
// CHROMIUM is the browser (default /usr/bin/chromium).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { inviteUser, launch } from "./harness.mjs";
import { startSites } from "./sites.mjs";

const [bundle, binary = "bin/accountsd"] = process.argv.slice(2);
const guideURL = "https://accounts.example.com"; // the address in the guide
const ada = { username: "ada", email: "ada@example.com", password: "correct horse battery staple" };

/** Opens a new page with its own cookies, in which the recipes are loaded. */
async function open(browser, sites) {
  const context = await browser.newContext();
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  await page.goto(sites.app);
  await page.addScriptTag({ content: readFileSync(bundle, "utf8").replaceAll(guideURL, sites.api) });
  return page;
}

async function runRecipe(browser, sites, name) {
  const page = await open(browser, sites);
  const step = (method, ...values) => page.evaluate(([name, method, values]) => window.recipes[name][method](...values), [name, method, values]);
  const expect = async (expected, method, ...values) =>
    assert.deepEqual(await step(method, ...values), expected, `${name}: ${method}(${values.map((value) => JSON.stringify(value)).join(", ")})`);

  const user = { username: `${name}-user`, email: `${name}@example.com`, password: "correct horse battery staple" };
  await expect("accepted", "register", user);
  await expect("validation_failed", "register", { ...user, password: "short" });
  await expect("credentials_missing", "username");
  await expect("credentials_invalid", "signIn", ada.username, "wrong horse battery staple");
  await expect(null, "signIn", ada.username, ada.password);
  await expect(ada.username, "username");
  await expect(0, "refresh"); // the tokens are new, so the server does not rotate them
  await expect(ada.username, "username");
  await expect("", "logout");
  await expect("session_revoked", "username");
  await expect("credentials_missing", "refresh");
  await page.context().close();
}

/** Signs in with the hooks. A rejection must arrive as an error of the hook, without retries. */
async function runHooks(browser, sites) {
  const page = await open(browser, sites);
  const sent = [];
  page.on("request", (request) => { if (request.method() !== "OPTIONS") sent.push(new URL(request.url()).pathname); });
  await page.evaluate(() => window.showHooks());
  await page.getByLabel("Username").fill(ada.username);
  assert.deepEqual(sent, ["/accounts/profile"], "a query that was rejected with 401 is not repeated");
  await page.getByLabel("Password").fill("wrong horse battery staple");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Username").fill(ada.username);
  await page.getByLabel("Password").fill(ada.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText(`Signed in as ${ada.username}`).waitFor();
  await page.context().close();
}

const sites = await startSites(resolve(binary), "http", {});
const browser = await launch();
try {
  inviteUser(sites.server, ada);
  for (const name of ["openapi-fetch", "hey-api", "orval"]) await runRecipe(browser, sites, name);
  await runHooks(browser, sites);
  console.log("recipes: openapi-fetch, hey-api, orval with functions and with hooks: all steps passed");
} finally {
  await browser.close();
  await sites.close();
}
