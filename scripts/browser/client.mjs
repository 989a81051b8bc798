// client.mjs — the TypeScript client against a real server: in Node, and in eight tabs of a real browser.
//
//   client.mjs [BINARY]
//
// LIVES       lives of an access token (5 s each) that the tabs go through (default 4)
// CHROMIUM    the browser (default /usr/bin/chromium)
//
// Ends with status 1 if a session was lost, or if the tabs refresh more often than one of them would.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch, startServer, stopServer } from "./harness.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const binary = process.argv[2] ?? join(root, "bin/accountsd");
const client = join(root, "api/typescript");
const lives = Number(process.env.LIVES ?? 4);
const life = 5_000;
const tabs = 8;
const password = "correct horse battery staple";
const settings = {
  ACCOUNTS_ACCESS_TTL: "5s", ACCOUNTS_ROTATION_INTERVAL: "2s",
  ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT: "0", ACCOUNTS_LOGIN_FAILURES_PER_CLIENT: "0",
};
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const server = await startServer(binary, settings);
let browser;
try {
  const made = spawnSync(binary, ["user", "create", "--username", "ada", "--email", "ada@example.com", "--password-stdin"],
    { env: server.env, cwd: server.dataDir, input: `${password}\n`, encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  await inNode();
  browser = await launch();
  for (const transport of ["hybrid", "cookies", "server_held"]) await inTabs(transport);
} finally {
  await browser?.close();
  await stopServer(server);
}

async function inNode() {
  const run = spawn(process.execPath, ["--test", "--test-reporter=spec", join(client, "test/client.test.mjs")],
    { env: { ...process.env, ACCOUNTS_URL: server.origin }, stdio: "inherit" });
  const status = await new Promise((done) => run.once("exit", done));
  assert.equal(status, 0, "the tests in Node failed");
}

function bundle() {
  const built = spawnSync(join(client, "node_modules/.bin/esbuild"),
    [join(client, "src/index.ts"), "--bundle", "--format=iife", "--global-name=Accounts", "--target=es2022", "--log-level=error"], { encoding: "utf8" });
  assert.equal(built.status, 0, built.stderr);
  return built.stdout;
}

/** Eight tabs live on one session, reload at random, and end together. */
async function inTabs(transport) {
  const context = await browser.newContext({ bypassCSP: true });
  const script = bundle();
  await context.addInitScript({ content: `${script}\nwindow.accounts = Accounts.createAccountsClient({ transport: ${JSON.stringify(transport)} });` });
  const seen = { refreshes: [], rotations: new Set(), logouts: [] };
  context.on("response", async (response) => {
    if (!response.url().endsWith("/accounts/refresh_token")) return;
    seen.refreshes.push(response.status());
    const body = await response.json().catch(() => null);
    if (body?.generation !== undefined) seen.rotations.add(body.generation);
  });
  const open = async () => {
    const page = await context.newPage();
    page.on("pageerror", (error) => seen.logouts.push(String(error)));
    await page.goto(`${server.origin}/healthz`);
    return page;
  };
  const first = await open();
  const answer = await first.evaluate((password) => window.accounts.login({ username: "ada", password }), password);
  assert.equal(answer.error, undefined);
  const pages = [first];
  while (pages.length < tabs) pages.push(await open());

  const began = Date.now();
  let reads = 0;
  let reloads = 0;
  while (Date.now() - began < lives * life) {
    const results = await Promise.all(pages.map((page) => page.evaluate(async () => {
      const { response, error } = await window.accounts.api.GET("/accounts/profile");
      return `${response.status} ${error?.code ?? ""}`;
    })));
    reads += results.length;
    for (const result of results) if (result !== "200 ") seen.logouts.push(result);
    const unlucky = pages[Math.floor(Math.random() * pages.length)];
    await unlucky.reload();
    reloads++;
    await sleep(400);
  }
  const seconds = (Date.now() - began) / 1000;
  assert.deepEqual(seen.logouts, [], `${transport}: a tab was logged out`);
  assert.deepEqual(seen.refreshes.filter((status) => status !== 200), []);
  const most = Math.ceil(seconds / 2.4) + 1; // one in a rotation interval and its margin
  assert.ok(seen.rotations.size <= most, `${transport}: ${seen.rotations.size} rotations in ${seconds} s`);
  // Each reload asks once, since it has nothing in memory; the clock asks once for all tabs in four seconds.
  const asked = seen.refreshes.length - reloads - tabs;
  assert.ok(asked <= Math.ceil(seconds / 4) + 2, `${transport}: ${asked} refreshes besides those of reloads in ${seconds} s`);

  // A log-out in one tab reaches the others.
  await pages[3].evaluate(() => window.accounts.logout());
  for (const page of pages) {
    await page.waitForFunction(() => window.accounts.state.status === "signed-out", null, { timeout: 5_000 });
  }
  assert.equal(await pages[0].evaluate(async () => (await window.accounts.api.GET("/accounts/profile")).error.code), "credentials_missing");
  console.log(`${transport}: ${tabs} tabs, ${seconds.toFixed(0)} s, ${reads} reads, ${reloads} reloads, ` +
    `${seen.refreshes.length} refreshes, ${seen.rotations.size} generations, 0 log-outs`);
  await context.close();
}
