// client.mjs tests the TypeScript client against real servers, in Node and in eight tabs of a real
// browser. The tabs reload, freeze and sleep while their server is restarted, and a thief copies
// their cookies.
//
//   client.mjs [BINARY] [--proof]
//
// --proof     every transport on http and on https, longer and without the tests in Node; prints a
//             report
// RUNS        number of runs, one after the other (default 1)
// LIVES       lifetimes of an access token (5 s each) of reloads and reads (default 3; with --proof
//             8), before two quiet ones
// LEGS        only the legs whose name contains this
// CHROMIUM    the browser (default /usr/bin/chromium)
//
// The exit status is 1 if a session was lost, if the tabs together refresh more often than a single
// tab would, or if a theft is not detected.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { inviteUser, launch, restartServer, startServer, stopServer } from "./harness.mjs";
import { hosts, startSites } from "./sites.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const client = join(root, "api/typescript");
const proof = process.argv.includes("--proof");
const binary = resolve(process.argv.slice(2).find((word) => !word.startsWith("--")) ?? join(root, "bin/accountsd"));
const lives = Number(process.env.LIVES ?? (proof ? 8 : 3));
const life = 5;
const longest = lives * life + 120; // time-out of a leg in seconds
const ahead = 4; // refresh_in: 0.8 of a lifetime
const rotation = 2.4; // the rotation interval and its margin
const tabs = 8;
const ada = { username: "ada", email: "ada@example.com", password: "correct horse battery staple" };
const settings = {
  ACCOUNTS_ACCESS_TTL: `${life}s`, ACCOUNTS_ROTATION_INTERVAL: "2s",
  ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT: "0", ACCOUNTS_LOGIN_FAILURES_PER_CLIENT: "0",
  ACCOUNTS_PASSWORDS_PER_CLIENT: "0", ACCOUNTS_PASSWORDS_PER_USER: "0",
};
// If a thief rotates first, the theft is not detected if the tabs refresh within the rotation
// interval after that. For this reason the interval is shorter in legs with a thief: the thief
// refreshes about 2 s after a rotation, and the tabs after 4.8 s.
const theft = { life: 6, ahead: 4.8, rotation: 1.2 };
const theftSettings = { ...settings, ACCOUNTS_ACCESS_TTL: `${theft.life}s`, ACCOUNTS_ROTATION_INTERVAL: "1s" };

const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const now = () => Date.now() / 1000;

async function until(what, seconds, holds) {
  for (const end = now() + seconds; ; await sleep(0.05)) {
    if (await holds()) return;
    if (now() > end) throw new Error(`${what}: not within ${seconds} s`);
  }
}

// ---------------------------------------------------------------- a leg: sites, a cookie jar, tabs

/**
 * Returns the script that each page runs first. It creates the client as `accounts` and records the
 * ends of its session. `without` removes browser features. In the transport body, `storage` names
 * the storage that keeps the session.
 */
function script({ transport, baseUrl, without, storage }) {
  const take = {
    locks: "delete Navigator.prototype.locks;",
    BroadcastChannel: "delete globalThis.BroadcastChannel;",
    haste: `BroadcastChannel.prototype.addEventListener = function (type, listener) {
      EventTarget.prototype.addEventListener.call(this, type, (event) => setTimeout(listener, 200, event));
    };`,
    localStorage: `Object.defineProperty(window, "localStorage", { get() { throw new DOMException("none", "SecurityError"); } });`,
  };
  return `${without.map((name) => take[name]).join("\n")}
    ${bundle()}
    window.Accounts = Accounts;
    window.accounts = Accounts.createAccountsClient({ ...${JSON.stringify({ transport, baseUrl })}, ${transport === "body"
  ? `storage: { load: () => JSON.parse(${storage}.kept || "null"), save: (session) => { ${storage}.kept = JSON.stringify(session); } }` : ""} });
    window.accounts.onChange((state) => { if (state.status === "signed-out") window.reportEnd(String(state.reason)); });
    window.addEventListener("pageshow", (event) => { window.persisted = event.persisted; });`;
}

let built;
function bundle() {
  if (built) return built;
  const run = spawnSync(join(client, "node_modules/.bin/esbuild"),
    [join(client, "src/index.ts"), "--bundle", "--format=iife", "--global-name=Accounts", "--target=es2022", "--log-level=error"], { encoding: "utf8" });
  assert.equal(run.status, 0, run.stderr);
  return (built = run.stdout);
}

/** Runs a leg in a new browser context. The leg's name starts with the scheme of its sites. */
async function inLeg(browser, name, run, more = {}) {
  if (!name.includes(process.env.LEGS ?? "")) return "";
  const began = now();
  const sites = await startSites(binary, name.split(" ")[0], more.settings ?? settings);
  const leg = { name, sites, browser, contexts: [], refreshes: [], ends: [], asked: 0, faults: [], figures: {} };
  try {
    inviteUser(sites.server, ada);
    leg.context = await browser.newContext({ bypassCSP: true, ignoreHTTPSErrors: true });
    leg.contexts.push(leg.context);
    await leg.context.exposeBinding("reportEnd", (_source, reason) => leg.ends.push(reason));
    leg.context.on("response", async (response) => {
      if (response.url().endsWith("/accounts/session")) leg.asked++;
      if (!response.url().endsWith("/accounts/refresh_token") || response.request().method() !== "POST") return;
      const seen = { at: now(), status: response.status(), attempt: response.request().headers()["refresh-attempt"] };
      leg.refreshes.push(seen);
      seen.body = await response.json().catch(() => null);
    });
    await Promise.race([run(leg), sleep(longest).then(() => { throw new Error(`not done within ${longest} s`); })]);
    assert.deepEqual(leg.faults, []);
    const seconds = (now() - began).toFixed(0);
    return `${name}: ${Object.entries({ seconds, ...leg.figures }).map(([what, figure]) => `${what} ${figure}`).join(", ")}`;
  } catch (error) {
    error.message = `${name}: ${error.message}`;
    error.serverLog = sites.server.log.split("\n").filter((line) => /"status":(?!20)/.test(line)).slice(-12).join("\n");
    throw error;
  } finally {
    for (const context of leg.contexts) await context.close();
    await sites.close();
  }
}

async function open(leg, origin, { transport = "hybrid", without = [], storage = "window" } = {}) {
  const page = await leg.context.newPage();
  await page.addInitScript({ content: script({ transport, baseUrl: leg.sites.api, without, storage }) });
  page.on("pageerror", (error) => leg.faults.push(String(error)));
  await page.goto(home(leg, origin));
  return page;
}

const home = (leg, origin) => (origin === leg.sites.api ? `${origin}/healthz` : `${origin}/`);
const login = (page) => page.evaluate(async (ada) => (await accounts.login({ username: ada.username, password: ada.password })).error?.code ?? "", ada);
const stateOf = (page) => page.evaluate(() => accounts.state);
const call = (page, method) => page.evaluate(async (method) => {
  try {
    const { response, error } = await accounts.api[method]("/accounts/profile", method === "PATCH" ? { body: { first_name: "Ada" } } : {});
    return `${response.status} ${error?.code ?? ""}`.trim();
  } catch (error) {
    return String(error);
  }
}, method);
const read = (page) => call(page, "GET");
const write = (page) => call(page, "PATCH");
const each = (pages, does) => Promise.all(pages.map(does));
const reaches = (page, status, seconds = 5) =>
  page.waitForFunction((status) => accounts.state.status === status, status, { timeout: seconds * 1000, polling: 50 });

/** Returns the distinct generations of all sessions in the responses to refreshes. */
const generations = (leg) => new Set(leg.refreshes.flatMap(({ body }) => (body?.session ? [`${body.session.id} ${body.generation}`] : [])));

// ---------------------------------------------------------------- eight tabs

/**
 * Eight tabs share one session, at the API's own origin, at another origin of its site, or at both.
 * They reload and freeze at random, all sleep for one lifetime, and their server is restarted. Then
 * one tab logs out, and another logs in.
 */
async function inTabs(leg, transport, where) {
  const { api, app } = leg.sites;
  const origins = { same: [api], other: [app], both: [api, app] }[where];
  const pages = [await open(leg, origins[0], { transport })];
  assert.equal(await login(pages[0]), "");
  while (pages.length < tabs) pages.push(await open(leg, origins[pages.length % origins.length], { transport }));

  const began = now();
  const turns = { sleep: began + lives * life * 0.3, restart: began + lives * life * 0.6 };
  const count = { reads: 0, failed: 0, reloads: 0, freezes: 0 };
  const frozen = new Map(); // page → time at which it thaws
  const away = []; // times without a server
  let restarting = null;
  while (now() - began < lives * life || frozen.size > 0 || restarting) {
    if (now() > turns.sleep) {
      turns.sleep = Infinity;
      await each([...frozen.keys()], (page) => thaw(page));
      frozen.clear();
      await sleepTogether(leg, pages, origins.length);
      count.freezes += tabs;
    }
    if (now() > turns.restart) {
      turns.restart = Infinity;
      const from = now();
      restarting = restartServer(leg.sites.server).then(() => { away.push([from, now()]); restarting = null; });
    }
    for (const [page, end] of frozen) {
      if (now() < end) continue;
      await thaw(page);
      frozen.delete(page);
    }
    const awake = pages.filter((page) => !frozen.has(page));
    const asked = now();
    const answers = await each(awake, read);
    count.reads += answers.length;
    const excused = restarting || away.some(([from, to]) => asked < to && now() > from);
    const bad = answers.filter((answer) => answer !== "200");
    count.failed += bad.length;
    for (const answer of bad) if (!excused || !/^(50[234]|TypeError|Error: (refresh|session): status 50)/.test(answer)) leg.faults.push(answer);
    if (!restarting) {
      await awake[Math.floor(Math.random() * awake.length)].reload();
      count.reloads++;
    }
    if (frozen.size < 2 && now() - began < lives * life - 8 && Math.random() < 0.15) {
      const page = awake[Math.floor(Math.random() * awake.length)];
      await freeze(page);
      frozen.set(page, now() + 2 + Math.random() * 6);
      count.freezes++;
    }
    await sleep(0.4);
  }
  // Without activity, one timer refreshes for all tabs of an origin.
  await each(pages, read);
  await sleep(1);
  const calm = { at: now(), refreshes: leg.refreshes.length };
  await sleep(2 * life);
  const byClock = leg.refreshes.length - calm.refreshes;
  const most = origins.length * (Math.ceil((now() - calm.at) / ahead) + 1);
  assert.ok(byClock >= 2 && byClock <= most, `${byClock} refreshes in ${2 * life} s without activity`);
  assert.deepEqual(await each(pages, read), pages.map(() => "200"));

  const seconds = now() - began;
  assert.deepEqual(leg.ends, [], "a tab was signed out");
  const asked = [...leg.refreshes];
  assert.deepEqual(asked.filter(({ status }) => status !== 200 && !(status >= 502 && status <= 504)), []);
  const rotations = generations(leg).size;
  assert.ok(rotations <= Math.ceil(seconds / rotation) + 1, `${rotations} rotations in ${seconds.toFixed(0)} s`);
  oneAttemptEach(asked, origins.length);
  if (where === "same") assert.equal(leg.asked, 0, "a page on the API host requested a CSRF token that is in its cookie");

  // A logout in one tab reaches the other tabs of its origin immediately, and the tabs of the other
  // origin with their next response.
  const group = (of) => pages.filter((page) => new URL(page.url()).origin === new URL(of.url()).origin);
  await pages[3].evaluate(() => accounts.logout());
  await each(group(pages[3]), (page) => reaches(page, "signed-out"));
  assert.equal(await read(pages[3]), "401 credentials_missing");
  await each(pages, read);
  await each(pages, (page) => reaches(page, "signed-out"));
  // A login does the same.
  assert.equal(await login(pages[5]), "");
  await each(group(pages[5]), (page) => reaches(page, "signed-in"));
  assert.deepEqual(new Set(await each(group(pages[5]), read)), new Set(["200"]));
  leg.figures = {
    tabs, lives: (seconds / life).toFixed(1), ...count, refreshes: asked.length, "of them by the clock in two quiet lives": byClock,
    "refreshes per tab-hour": (asked.length / tabs / seconds * 3600).toFixed(0), rotations, "sign-outs": 0,
  };
}

// The debugger freezes a tab: timers and messages wait until the tab thaws. Its clock, its lock and
// its pending requests continue. Page.setWebLifecycleState reports success but stops nothing in
// tabs that Playwright keeps focused.
const debuggers = new WeakMap();
async function freeze(page) {
  if (!debuggers.has(page)) debuggers.set(page, await page.context().newCDPSession(page));
  await debuggers.get(page).send("Debugger.enable");
  await debuggers.get(page).send("Debugger.pause");
}
async function thaw(page) {
  await debuggers.get(page).send("Debugger.disable");
}

/**
 * Simulates a closed lid: no tab runs for longer than the lifetime of an access token, then all
 * wake up at once.
 */
async function sleepTogether(leg, pages, origins) {
  const before = leg.refreshes.length;
  await each(pages, freeze);
  await sleep(1); // pending requests complete
  const asleep = leg.refreshes.length;
  await sleep(life + 1);
  assert.equal(leg.refreshes.length, asleep, `a frozen tab refreshed (${asleep - before} were in flight)`);
  await each(pages, thaw);
  await sleep(1.5);
  const woken = leg.refreshes.length - asleep;
  assert.ok(woken >= 1 && woken <= origins * 2, `${woken} refreshes of ${tabs} tabs that woke up together`);
}

/**
 * Checks that all refreshes of a generation have the same attempt in all tabs of an origin, and
 * that no attempt is used for two generations.
 */
function oneAttemptEach(refreshes, origins) {
  const attempts = new Set(refreshes.map(({ attempt }) => attempt));
  const answered = new Set(refreshes.flatMap(({ body }) => (body?.session ? [body.generation] : [])));
  const most = origins * (answered.size + 2);
  assert.ok(attempts.size <= most, `${attempts.size} attempts for ${answered.size} generations`);
}

// ---------------------------------------------------------------- a thief

/**
 * Tests a thief with the cookies of eight tabs: first the thief refreshes too late, then before the
 * tabs.
 */
async function inTheft(leg, transport) {
  const { api } = leg.sites;
  const pages = [await open(leg, api, { transport })];
  assert.equal(await login(pages[0]), "");
  while (pages.length < tabs) pages.push(await open(leg, api, { transport }));
  await each(pages, read);

  const [late, first] = [await makeThief(leg), await makeThief(leg)];
  await late.steal();
  const { generation } = await stateOf(pages[0]);
  await until("a rotation", 2 * theft.ahead, async () => (await stateOf(pages[0])).generation > generation);
  await sleep(theft.rotation + 0.1); // after the grace period
  assert.deepEqual(leg.ends, []);
  const replayed = now();
  assert.equal(await late.refresh(), "401 refresh_reused");
  const detected = now() - replayed;
  await allEnd(leg, pages, "session_revoked", theft.ahead + 2); // the tabs themselves have not reused a token
  const ended = now() - replayed;

  leg.ends.length = 0;
  assert.equal(await login(pages[0]), "");
  await each(pages, (page) => reaches(page, "signed-in"));
  await first.steal();
  await sleep(theft.rotation + 0.1);
  const stolen = now();
  assert.equal(await first.refresh(), "200");
  await allEnd(leg, pages, "refresh_reused", theft.ahead + 2);
  const seen = now() - stolen;
  assert.equal(await first.refresh(), "401 session_revoked");
  assert.ok(seen <= theft.ahead + 1, `it took ${seen} s, longer than one refresh`);
  await verdictToOne(leg, pages);
  leg.figures = {
    tabs, "late thief rejected after s": detected.toFixed(2), "all tabs signed out after s": ended.toFixed(1),
    "early theft detected and all tabs signed out after s": seen.toFixed(1),
  };
}

/**
 * Tests that all tabs learn of a detected theft, although the server reports it to one tab only.
 * Another tab with a pending refresh gets session_revoked, before or after the message of the first
 * tab.
 */
async function verdictToOne(leg, pages) {
  for (const [delay, verdict] of [[0.7, 0.2], [0, 0.7]]) {
    assert.equal(await login(pages[0]), "");
    await each(pages, (page) => reaches(page, "signed-in"));
    const { session } = await stateOf(pages[0]);
    await pages[1].route("**/accounts/refresh_token", async (route) => {
      await sleep(delay);
      await route.fulfill({ status: 401, contentType: "application/problem+json", body: JSON.stringify({ code: "session_revoked" }) });
    });
    const asking = pages[1].evaluate(() => accounts.refresh());
    await sleep(verdict);
    await pages[0].evaluate(([name, session]) => new BroadcastChannel(name).postMessage({ kind: "ended", session, reason: "refresh_reused" }),
      [`accounts ${leg.sites.api}`, session.id]);
    await asking;
    await until("all tabs know of the theft", 1, async () => (await each(pages, stateOf)).every((state) => state.reason === "refresh_reused"));
    await pages[1].unroute("**/accounts/refresh_token");
  }
}

/** Creates a thief with a separate browser context, into which the cookies are copied. */
async function makeThief(leg) {
  const context = await leg.browser.newContext({ bypassCSP: true, ignoreHTTPSErrors: true });
  leg.contexts.push(context);
  const page = await context.newPage();
  await page.goto(home(leg, leg.sites.api));
  let csrf;
  const steal = async () => {
    const cookies = await leg.context.cookies(leg.sites.api);
    csrf = cookies.find((cookie) => cookie.name === "csrftoken").value;
    assert.ok(leg.sites.scheme === "http" || cookies.some((cookie) => cookie.name.startsWith("__Host-") && cookie.secure && cookie.httpOnly));
    await context.addCookies(cookies);
  };
  const refresh = () => page.evaluate(async (csrf) => {
    const headers = { "Content-Type": "application/json", "X-CSRFToken": csrf };
    const response = await fetch("/accounts/refresh_token", { method: "POST", headers, body: "{}" });
    return `${response.status} ${(await response.json()).code ?? ""}`.trim();
  }, csrf);
  return { steal, refresh };
}

/**
 * Checks that every tab is signed out with the reason, and that its later requests get a response
 * instead of an exception.
 */
async function allEnd(leg, pages, reason, seconds) {
  await each(pages, (page) => reaches(page, "signed-out", seconds));
  await until(`all tabs know of ${reason}`, 1, async () => (await each(pages, stateOf)).every((state) => state.reason === reason));
  assert.deepEqual(leg.ends.filter((end) => end !== reason && end !== "session_revoked"), []);
  for (const answer of await each(pages, read)) assert.match(answer, /^401 /);
}

// ---------------------------------------------------------------- back/forward cache and network

/**
 * Tests a page that is left and restored by the back button, and one that loses its network. It
 * must know immediately what has changed in the meantime.
 */
async function inHistory(leg) {
  const { app } = leg.sites;
  const page = await open(leg, app);
  const other = await open(leg, app, { without: ["BroadcastChannel"] }); // a message would evict the page from the back/forward cache
  assert.equal(await login(page), "");
  assert.equal(await read(other), "200");
  let persisted = false;

  // For longer than a lifetime, in which the other tab rotates.
  await page.goto(`${app}/elsewhere`);
  await sleep(life + 1);
  await back(page);
  persisted = await page.evaluate(() => persisted);
  assert.equal(await read(page), "200");

  // The other tab logs out while the page is in the cache. The page knows before its first request.
  await page.evaluate(() => accounts.refresh());
  await page.goto(`${app}/elsewhere`);
  await other.evaluate(() => accounts.logout());
  await back(page);
  if (persisted) await reaches(page, "signed-out", 1.5);
  assert.equal(await read(page), "401 credentials_missing");

  // Without a network.
  leg.ends.length = 0;
  assert.equal(await login(page), "");
  await page.evaluate(() => accounts.refresh());
  await leg.context.setOffline(true);
  await sleep(life + 1);
  assert.match(await read(page), /TypeError/);
  assert.equal((await stateOf(page)).status, "signed-in");
  const before = leg.refreshes.length;
  await leg.context.setOffline(false);
  await until("a refresh once it is online", 1.5, () => leg.refreshes.length > before);
  assert.equal(await read(page), "200");
  assert.deepEqual(leg.ends, []);
  // A cookie jar with only a CSRF token is neither a live session nor an ended one.
  const { name } = (await leg.context.cookies(leg.sites.api)).find((cookie) => cookie.name.endsWith("refreshtoken"));
  await leg.context.clearCookies({ name });
  await page.reload();
  assert.deepEqual(await page.evaluate(() => accounts.restore()), { status: "signed-out", reason: null });
  leg.figures = { "back/forward cache": persisted ? "used" : "not used: the page was reloaded", "sign-outs": 0 };
}

const back = (page) => page.goBack({ waitUntil: "commit" });

/** Tests that a frozen tab that holds the lock delays the others for a limited time. */
async function inHolder(leg) {
  const { app, api } = leg.sites;
  const page = await open(leg, app);
  assert.equal(await login(page), "");
  const holder = await open(leg, app);
  await holder.evaluate((name) => new Promise((held) => {
    navigator.locks.request(name, () => { held(); return new Promise(() => {}); }).catch(() => {});
  }), `accounts ${api}`);
  await freeze(holder);
  const began = now();
  await page.evaluate(() => accounts.refresh());
  const waited = now() - began;
  assert.ok(waited > 15 && waited < 25, `it waited for ${waited} s`);
  // It waits only once.
  const again = now();
  assert.equal(await read(page), "200");
  await page.evaluate(() => accounts.refresh());
  assert.ok(now() - again < 5, `it waited again, for ${now() - again} s`);
  await thaw(holder);
  assert.equal(await read(holder), "200");
  assert.deepEqual(leg.ends, []);
  leg.figures = { "waited for the lock s": waited.toFixed(1), "sign-outs": 0 };
}

// ---------------------------------------------------------------- tabs that cannot communicate

/**
 * Tests tabs of one origin that cannot communicate or use different transports. They only refresh
 * more often.
 */
async function inStrangers(leg) {
  const { app } = leg.sites;
  const kinds = [{}, { transport: "cookies" }, { without: ["locks"] }, { without: ["BroadcastChannel"] },
    { transport: "server_held", without: ["locks", "BroadcastChannel", "localStorage"] }];
  const pages = [];
  for (const kind of kinds) {
    pages.push(await open(leg, app, kind));
    if (pages.length === 1) assert.equal(await login(pages[0]), "");
  }
  const [, cookies, , deaf] = pages;
  await cookies.evaluate((name) => {
    window.heard = [];
    window.line = new BroadcastChannel(name);
    line.onmessage = (event) => heard.push(event.data);
  }, `accounts ${leg.sites.api}`);
  const live = async (turns) => {
    for (let turn = 0; turn < turns; turn++) {
      assert.deepEqual(await each(pages, turn % 4 === 3 ? write : read), pages.map(() => "200"));
      if (turn % 4 === 1) await pages[[0, 2, 3, 4][Math.floor(turn / 4) % 4]].reload();
      await sleep(0.5);
    }
  };
  const agree = () => until("all tabs on one session", ahead + 3, async () => new Set((await each(pages, stateOf)).map((state) => state.session?.id)).size === 1);
  const began = now();
  await live(20);
  await agree();
  // Another login replaces the cookies, in another transport. A tab that gets no message detects
  // it.
  const former = (await stateOf(cookies)).session.id;
  assert.equal(await login(cookies), "");
  assert.deepEqual(await each(pages, write), pages.map(() => "200"));
  await agree();
  assert.equal(await login(pages[0]), "");
  assert.equal(await write(deaf), "200"); // the cookies belong to another session than its CSRF token
  await agree();
  await live(4);

  // Late messages change nothing: older tokens, tokens or the end of another session.
  await until("a rotation", 2 * ahead, () => cookies.evaluate(() => accounts.state.generation > 1));
  const before = await pages[0].evaluate(() => {
    window.states = [];
    accounts.onChange((state) => states.push({ session: state.session?.id, generation: state.generation }));
    return { session: accounts.state.session.id, generation: accounts.state.generation };
  });
  const older = await cookies.evaluate(({ former, session }) => {
    const tokens = heard.filter((message) => message.kind === "tokens");
    const late = [
      tokens.find((message) => message.tokens.session.id === session),
      tokens.find((message) => message.tokens.session.id === former),
      { kind: "ended", session: former, reason: "session_revoked" },
    ];
    for (const message of late) line.postMessage(message);
    return late.map((message) => message?.kind);
  }, { former, session: before.session });
  assert.deepEqual(older, ["tokens", "tokens", "ended"]);
  await sleep(0.2);
  for (const state of await pages[0].evaluate(() => states)) {
    assert.ok(state.session === before.session && state.generation >= before.generation, `${JSON.stringify(before)}, then ${JSON.stringify(state)}`);
  }
  assert.deepEqual(leg.ends, [], "a tab was signed out");
  const seconds = now() - began;
  const rotations = generations(leg).size;
  assert.ok(rotations <= Math.ceil(seconds / rotation) + 3, `${rotations} rotations in ${seconds} s`);
  leg.figures = { tabs: pages.length, refreshes: leg.refreshes.length, rotations, "sign-outs": 0 };
}

/**
 * Tests messages that arrive after the lock is released. The note in localStorage announces them,
 * so one refresh still serves all tabs.
 */
async function inHaste(leg) {
  const { app } = leg.sites;
  const pages = [];
  while (pages.length < tabs) pages.push(await open(leg, app, { without: ["haste"] }));
  assert.equal(await login(pages[0]), "");
  assert.deepEqual(await each(pages, read), pages.map(() => "200"));
  await sleep(1);
  const calm = { at: now(), refreshes: leg.refreshes.length };
  await sleep(2 * life);
  const byClock = leg.refreshes.length - calm.refreshes;
  // On a very slow machine a message may be too late. Eight independent tabs would refresh 16 times
  // or more.
  const most = 2 * (Math.ceil((now() - calm.at) / ahead) + 1);
  assert.ok(byClock >= 2 && byClock <= most, `${byClock} refreshes in ${2 * life} s without activity`);
  // All tabs come online at the same time.
  await leg.context.setOffline(true);
  await sleep(life + 1);
  const offline = leg.refreshes.length;
  await leg.context.setOffline(false);
  await sleep(2);
  const back = leg.refreshes.length - offline;
  assert.ok(back >= 1 && back <= tabs, `${back} refreshes of ${tabs} tabs that came online together`); // usually 1
  assert.deepEqual(await each(pages, read), pages.map(() => "200"));
  assert.deepEqual(leg.ends, []);
  leg.figures = { tabs: pages.length, refreshes: byClock, "when online again": back, "sign-outs": 0 };
}

/**
 * Tests that in the transport body a storage belongs to one tab or to all tabs, and that the
 * transports with cookies are independent of both.
 */
async function inBodies(leg) {
  const { app } = leg.sites;
  const own = [await open(leg, app, { transport: "body" }), await open(leg, app, { transport: "body" })];
  const shared = [await open(leg, app, { transport: "body", storage: "localStorage" }), await open(leg, app, { transport: "body", storage: "localStorage" })];
  const hybrid = await open(leg, app);
  assert.equal((await shared[1].evaluate(() => accounts.restore())).reason, null);
  leg.ends.length = 0;
  for (const page of [...own, hybrid, shared[0]]) assert.equal(await login(page), "");
  await reaches(shared[1], "signed-in");
  const pages = [...own, hybrid, ...shared];
  const ids = async () => (await each(pages, stateOf)).map((state) => state.session?.id);
  const first = await ids();
  assert.equal(new Set(first).size, 4);
  assert.equal(first[3], first[4]);
  await sleep(life + 1);
  assert.deepEqual(await each(pages, read), pages.map(() => "200"));
  assert.deepEqual(await ids(), first);
  assert.deepEqual(leg.ends, []);
  const unseen = await open(leg, app, { transport: "body" });
  await shared[0].evaluate(() => accounts.logout());
  await reaches(shared[1], "signed-out");
  assert.equal((await stateOf(unseen)).status, "unknown", "the tab has not read its storage yet");
  assert.deepEqual(await each([...own, hybrid], read), ["200", "200", "200"]);
  leg.figures = { tabs: pages.length, sessions: 4, "sign-outs": 0 };
}

// ---------------------------------------------------------------- other origins and sites

/**
 * Tests pages without access: of an origin that is not listed, and of another site, to which
 * browsers send no cookies.
 */
async function inForeign(leg) {
  const { api, app, unlisted, elsewhere, server } = leg.sites;
  const page = await open(leg, app);
  assert.equal(await login(page), "");
  const id = (await stateOf(page)).session.id;

  const foreign = await open(leg, unlisted);
  await assert.rejects(login(foreign), /Failed to fetch/);
  assert.match(await read(foreign), /Failed to fetch/);
  // Such a page cannot even write without reading the response: a request without preflight, with
  // the cookies of the same site.
  const from = server.log.length;
  await foreign.evaluate((api) => fetch(`${api}/accounts/logout`, { method: "POST", mode: "no-cors", credentials: "include", body: "{}" }), api);
  const rejection = /"status":403.*"code":"csrf_failed"/;
  await until("the rejection in the log", 1, () => rejection.test(server.log.slice(from)));

  const stranger = await open(leg, elsewhere);
  const sent = stranger.waitForRequest((request) => request.url().endsWith("/accounts/session"));
  assert.equal((await stranger.evaluate(() => accounts.restore())).status, "signed-out");
  assert.equal((await (await sent).allHeaders()).cookie, undefined, "a cookie was sent from a page of another site");
  const refused = await stranger.evaluate(async (ada) => (await accounts.login({ username: ada.username, password: ada.password })).error, ada);
  assert.equal(refused.code, "transport_unusable");
  assert.match(refused.detail, /another site.*"token_transport":"body".*reverse proxy/);
  // The workaround in the problem's detail works.
  const done = await stranger.evaluate(async ([api, ada]) => {
    let kept = null;
    const accounts = Accounts.createAccountsClient({ baseUrl: api, transport: "body", storage: { load: () => kept, save: (session) => { kept = session; } } });
    const { error } = await accounts.login({ username: ada.username, password: ada.password });
    return [error, (await accounts.api.GET("/accounts/profile")).response.status, (await accounts.refresh()).status];
  }, [api, ada]);
  assert.deepEqual(done, [undefined, 200, "signed-in"]);

  assert.equal(await read(page), "200");
  assert.equal((await stateOf(page)).session.id, id);
  leg.figures = { "refused with": JSON.stringify(refused.detail) };
}

// ---------------------------------------------------------------- the runs

async function inNode() {
  if (process.env.LEGS) return "";
  const began = now();
  const server = await startServer(binary, settings);
  try {
    for (const username of ["ada", "grace", "hedy"]) inviteUser(server, { ...ada, username, email: `${username}@example.com` });
    const run = spawn(process.execPath, ["--test", "--test-reporter=spec", join(client, "test/client.test.mjs"), join(client, "test/crash.test.mjs")],
      { env: { ...process.env, ACCOUNTS_URL: server.origin } });
    let printed = "";
    for (const stream of [run.stdout, run.stderr]) stream.on("data", (text) => { printed += text; });
    const status = await new Promise((done) => run.once("exit", done));
    assert.equal(status, 0, `the tests in Node failed\n${printed}`);
    const [passed] = printed.match(/pass \d+/);
    return `node: ${passed}, seconds ${(now() - began).toFixed(0)}`;
  } finally {
    await stopServer(server);
  }
}

/**
 * Returns lists of legs. The legs of a list run at the same time, the lists one after the other.
 */
function legs(browser) {
  const eight = (scheme, transport, where) =>
    inLeg(browser, `${scheme} ${transport}, ${where} origin${where === "both" ? "s" : ""}`, (leg) => inTabs(leg, transport, where));
  const thief = (scheme, transport) => inLeg(browser, `${scheme} ${transport}, theft`, (leg) => inTheft(leg, transport), { settings: theftSettings });
  const history = (scheme) => inLeg(browser, `${scheme} away and back`, inHistory);
  const strangers = (scheme) => inLeg(browser, `${scheme} strangers`, inStrangers);
  const bodies = () => inLeg(browser, "http bodies", inBodies);
  const haste = () => inLeg(browser, "http slow messages", inHaste);
  const holder = () => inLeg(browser, "http frozen with the lock", inHolder);
  const foreign = () => inLeg(browser, "https foreigners", inForeign);
  if (!proof) {
    return [
      () => [inNode(), eight("http", "hybrid", "same"), eight("https", "cookies", "both"), foreign()],
      () => [eight("https", "server_held", "other"), thief("https", "cookies"), history("http"), strangers("https"), holder(), bodies(), haste()],
    ];
  }
  return [
    () => [eight("http", "hybrid", "same"), eight("http", "cookies", "other"), eight("http", "server_held", "both"), foreign(), thief("http", "hybrid")],
    () => [eight("https", "hybrid", "other"), eight("https", "cookies", "both"), eight("https", "server_held", "same"), history("https")],
    () => [thief("https", "cookies"), thief("https", "server_held"), history("http"), strangers("http"), strangers("https"), holder(), bodies(), haste()],
  ];
}

/** Runs all legs in a new browser. */
async function run() {
  const began = now();
  // By default, Playwright disables the back/forward cache.
  const browser = await launch({ hosts, ignoreDefaultArgs: ["--disable-back-forward-cache"] });
  let failed = 0;
  try {
    for (const list of legs(browser)) {
      for (const { value, reason } of await Promise.allSettled(list())) {
        if (value) console.log(value);
        if (!reason) continue;
        failed++;
        console.log(`FAILED ${reason.stack ?? reason}\n${reason.serverLog ?? ""}`);
      }
    }
  } finally {
    await browser.close();
  }
  console.log(`${failed === 0 ? "passed" : `FAILED: ${failed} legs`} in ${(now() - began).toFixed(0)} s`);
  return failed;
}

let failed = 0;
let told = false;
process.once("SIGTERM", () => { told = true; }); // Playwright closes the browser, and the current run fails
const runs = Number(process.env.RUNS ?? 1);
for (let number = 1; number <= runs && !told; number++) {
  if (runs > 1) console.log(`---- run ${number} of ${runs}`);
  if ((await run()) > 0) failed++;
}
if (runs > 1) console.log(`${runs - failed} of ${runs} runs passed`);
process.exit(failed === 0 ? 0 : 1);
