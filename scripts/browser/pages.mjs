// Opens the links of mails in the built-in pages like a user: verify an address, set a new
// password, confirm a new address, and all possible errors.
//
//   node scripts/browser/pages.mjs [ACCOUNTSD | ORIGIN]
//
// ACCOUNTSD   the server's binary (default bin/accountsd; build it first)
// ORIGIN      http://localhost:PORT of any server of /pages/: runs only the part with simulated
//             responses
// VIEW        only the views whose name contains this
// SHOTS       directory for the screenshots (default .cache/shots)
// CHROMIUM    the browser (default /usr/bin/chromium)
//
// The first part simulates the responses of the API, to test each state in each language, color
// scheme and width. The second part uses the server, with links from its mail files. It fails on a
// wrong text or focus, a token that stays in the address or is sent anywhere but in a POST body, a
// Content-Security-Policy violation, an unexpected line in the browser's console, a request to
// another host, or a page wider than its window.
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { texts } from "../../server/web/pages/texts.js";
import { check, conclude, launch, link, startServer, stopServer, removeExpected, watch } from "./harness.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const subject = process.argv[2] ?? join(root, "bin/accountsd");
const shots = resolve(process.env.SHOTS ?? join(root, ".cache/shots"));

const views = [
  { name: "light-1280-en", colorScheme: "light", width: 1280, height: 860, language: "en" },
  { name: "light-390-ko", colorScheme: "light", width: 390, height: 844, language: "ko" },
  { name: "dark-1280-ko", colorScheme: "dark", width: 1280, height: 860, language: "ko", parts: [scriptedVerify, scriptedReset] },
  { name: "dark-390-en", colorScheme: "dark", width: 390, height: 844, language: "en", parts: [scriptedVerify, scriptedReset] },
  { name: "light-320-en", colorScheme: "light", width: 320, height: 640, language: "en", parts: [scriptedReset, scriptedChange] },
];
const chosen = views.filter((view) => view.name.includes(process.env.VIEW ?? ""));
const everyPart = [scriptedVerify, scriptedStale, scriptedReset, scriptedChange, scriptedInput];
const locales = { en: "en-GB", ko: "ko-KR" };
const secret = "Jt1gxBHnTz3Wqj6LkO0fJm2d8m8b8oXq4qk7VZb1x0Y";
const password = "nine green lamps over the harbour";


// ---------------------------------------------------------------- a visitor

// visitor opens a page in a new context and watches it.
async function visitor(browser, origin, view) {
  const context = await browser.newContext({
    viewport: { width: view.width, height: view.height }, colorScheme: view.colorScheme,
    reducedMotion: "reduce", locale: locales[view.language],
  });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const seen = await watch(page, origin);
  const say = (key, values) => {
    const text = texts[view.language][key];
    return typeof text === "function" ? text(values) : text;
  };
  return { context, page, seen, say, view, origin, secrets: [], expected: [] };
}

// open follows a link of a mail in a new document and checks that the page removes the token from
// the address.
async function open(v, name, token) {
  await v.page.goto("about:blank");
  const before = posts(v);
  await v.page.goto(`${v.origin}/pages/${name}${token ? `#token=${token}` : ""}`);
  await v.page.locator("[data-view]:visible").waitFor();
  if (token) v.secrets.push(token);
  check(v.page.url() === `${v.origin}/pages/${name}`, `${v.view.name}: the address is ${v.page.url()}`);
  check(posts(v) === before, `${v.view.name}: opening ${name} sends a POST`);
  check(await v.page.locator("html").getAttribute("lang") === v.view.language, `${v.view.name}: lang of ${name}`);
}

function posts(v) {
  return v.seen.requests.filter((request) => request.method() === "POST").length;
}

async function submit(v, fields = {}) {
  const card = v.page.locator("[data-view]:visible");
  for (const [name, value] of Object.entries(fields)) await card.locator(`[name=${name}]`).fill(value);
  await card.locator("button[type=submit]").click();
}

// expect waits for a heading or a text, by its key, and takes a screenshot.
async function expect(v, shot, heading, key, values) {
  const card = v.page.locator("[data-view]:visible");
  const title = v.say(heading);
  try {
    await card.getByRole("heading", { name: title, exact: true }).waitFor();
    if (key) await card.getByText(v.say(key, values), { exact: true }).waitFor();
  } catch {
    check(false, `${v.view.name} ${shot}: "${title}", "${key ? v.say(key, values) : ""}" was expected, the page shows: ${await card.innerText()}`);
  }
  check(await v.page.title() === `${title} – accounts`, `${v.view.name} ${shot}: the title is ${await v.page.title()}`);
  await card.locator(".primary:visible").first().waitFor({ timeout: 3000 }).catch(() => undefined);
  const actions = await card.locator(".primary:visible").allInnerTexts();
  check(actions.length === 1, `${v.view.name} ${shot}: the card has ${actions.length} primary actions: ${actions.join(", ")}`);
  const width = await v.page.evaluate(() => document.documentElement.scrollWidth);
  check(width <= v.view.width, `${v.view.name} ${shot}: the page is ${width} px wide, the window ${v.view.width}`);
  await v.page.screenshot({ path: join(shots, `pages-${v.view.name}-${shot}.png`), fullPage: true });
}

async function focused(v, selector, what) {
  const holds = await v.page.waitForFunction((s) => document.activeElement?.matches(s), selector, { timeout: 3000 }).catch(() => null);
  check(holds !== null, `${v.view.name} ${what}: the focus is not on ${selector}`);
}

// Expects the line that the browser writes to its console for a response with status 400 or above,
// once per status in expected.
async function leave(v) {
  const { other } = removeExpected(v.seen.errors, v.expected);
  check(other.length === 0, `${v.view.name}: unexpected console lines: ${other.join(" | ")}`);
  check(v.seen.violations.length === 0, `${v.view.name}: policy violations: ${v.seen.violations.join(" | ")}`);
  check(v.seen.foreign.length === 0, `${v.view.name}: requests to other hosts: ${v.seen.foreign.join(" | ")}`);
  for (const request of v.seen.requests) {
    const sent = request.url().split("#")[0] + JSON.stringify(request.headers());
    check(!v.secrets.some((token) => sent.includes(token)), `${v.view.name}: a token is in the address or headers of ${request.url().split("#")[0]}`);
  }
  check(!v.seen.lines.some((line) => [...v.secrets, password].some((word) => line.includes(word))), `${v.view.name}: a secret is in the console`);
  await v.context.close();
}

// ---------------------------------------------------------------- simulated responses

const problem = (status, code, more = {}, headers = {}) => ({
  status, headers, contentType: "application/problem+json",
  body: JSON.stringify({ type: `http://localhost/problems/${code}`, title: "The kind of problem", status, detail: "What to do.", code, request_id: "0198f6e5c1a7", ...more }),
});
const field = (name, code, bounds = {}) => problem(422, "validation_failed", { errors: [{ pointer: `/${name}`, code, detail: `${code} in words`, ...bounds }] });
const ok = (status, body) => ({ status, contentType: "application/json", body: body === undefined ? "" : JSON.stringify(body) });
const stale = problem(422, "link_invalid");

// answers simulates responses to the next POSTs to path, one each, and checks that their bodies are
// as wanted.
async function answers(v, path, wanted, list) {
  const rest = [...list];
  const url = `${v.origin}/accounts/${path}`;
  await v.page.unroute(url);
  await v.page.route(url, async (route) => {
    const request = route.request();
    const answer = rest.shift();
    check(request.method() === "POST" && request.headers()["content-type"] === "application/json", `${v.view.name}: ${request.method()} ${path}`);
    check(request.headers().referer === undefined, `${v.view.name}: ${path} sends a Referer`);
    check(request.postData() === JSON.stringify(wanted), `${v.view.name}: ${path} sends ${request.postData()}`);
    if (answer === undefined) {
      check(false, `${v.view.name}: unexpected POST to ${path}`);
      return route.abort("failed");
    }
    if (answer === "lost") {
      v.expected.push(/ERR_FAILED/, /ERR_FAILED/);
      return route.abort("failed");
    }
    if (answer.status >= 400) v.expected.push(new RegExp(`status of ${answer.status} .*\\(/accounts/${path}\\)$`));
    return route.fulfill(answer);
  });
}

async function scriptedVerify(v) {
  await open(v, "verify", secret);
  await expect(v, "verify", "verify.title", "verify.lead");
  await submit(v);
  await expect(v, "verify-empty", "verify.title", "fault.password");
  await focused(v, "#password", "an empty field");

  const sent = { token: secret, password, token_transport: "cookies" };
  await answers(v, "email/verify", sent, [
    field("password", "password_wrong"), problem(429, "rate_limited", {}, { "Retry-After": "37" }),
    problem(429, "rate_limited", {}, { "Retry-After": "600" }),
    problem(503, "service_unavailable", {}, { "Retry-After": "1" }), problem(503, "service_unavailable"), "lost",
    problem(500, "server_failed"), problem(418, "teapot_hot", { heat: 3 }), field("password", "too_salty"),
    ok(200, { user: { username: "ada", pets: [] }, confetti: true }),
  ]);
  await submit(v, { password });
  await expect(v, "verify-wrong", "verify.title", "fault.password_wrong");
  await focused(v, "#password", "a wrong password");
  for (const [shot, key, values] of [
    ["seconds", "fault.limited", { wait: 37 }], ["minutes", "fault.limited", { wait: 600 }],
    ["busy", "fault.unavailable", { wait: 1 }], ["busy-moment", "fault.unavailable", { wait: NaN }],
    ["network", "fault.network"], ["other", "fault.other", { title: "The kind of problem", id: "0198f6e5c1a7" }],
    ["unknown", "fault.unknown", { detail: "What to do." }], ["unknown-field", "fault.unknown", { detail: "too_salty in words" }],
  ]) {
    await submit(v, { password });
    await expect(v, `verify-${shot}`, "verify.title", key, values);
  }
  await submit(v, { password });
  await expect(v, "verify-done", "verify.done.title", "verify.done", { username: "ada" });
  await focused(v, "h1", "done");
}

async function scriptedStale(v) {
  await answers(v, "email/verify", { token: secret, password, token_transport: "cookies" }, [stale]);
  await open(v, "verify", secret);
  await submit(v, { password });
  await expect(v, "verify-stale", "stale.title", "verify.stale");
  await focused(v, "h1", "a stale link");
  await submit(v, { email: "ada at home" });
  await expect(v, "verify-no-address", "stale.title", "fault.email_invalid");
  await answers(v, "email/resend", { email: "ada@example.com" }, [field("email", "format_invalid"), ok(202, { status: "accepted" })]);
  await submit(v, { email: "ada@example.com" });
  await expect(v, "verify-refused-address", "stale.title", "fault.email_invalid");
  await submit(v, { email: "ada@example.com" });
  await expect(v, "verify-sent", "sent.title", "verify.sent", { email: "ada@example.com" });
  await v.page.locator("[data-show]:visible").click();
  await expect(v, "verify-again", "stale.title", "verify.request");
}

async function scriptedReset(v) {
  await open(v, "reset");
  await expect(v, "reset-forgotten", "reset.forgotten.title", "reset.forgotten");
  await answers(v, "password/reset", { email: "ada@example.com" }, [ok(202, { status: "accepted" })]);
  await submit(v, { email: "ada@example.com" });
  await expect(v, "reset-sent", "sent.title", "reset.sent", { email: "ada@example.com" });

  await open(v, "reset", secret);
  await expect(v, "reset", "reset.title", "reset.hint", { minimum: 12 });
  await submit(v, { new_password: password, repeat: "nine green lamps" });
  await expect(v, "reset-mismatch", "reset.title", "fault.mismatch");
  await focused(v, "#repeat", "two passwords");
  await answers(v, "password/reset/confirm", { token: secret, new_password: password }, [
    field("new_password", "too_short", { minimum: 20 }), field("new_password", "too_short"), field("new_password", "too_long", { maximum: 256 }),
    ...["password_common", "password_breached", "format_invalid", "too_salty"].map((code) => field("new_password", code)), ok(204),
  ]);
  for (const [key, values] of [
    ["fault.too_short", { minimum: 20 }], ["fault.too_short", {}], ["fault.too_long", { maximum: 256 }], ["fault.password_common"],
    ["fault.password_breached"], ["fault.invalid"], ["fault.unknown", { detail: "too_salty in words" }],
  ]) {
    await submit(v, { new_password: password, repeat: password });
    await expect(v, key.replace("fault.", "reset-"), "reset.title", key, values);
    await focused(v, "#password", key);
  }
  await submit(v);
  await expect(v, "reset-done", "reset.done.title", "reset.done");

  await answers(v, "password/reset/confirm", { token: secret, new_password: password }, [stale]);
  await open(v, "reset", secret);
  await submit(v, { new_password: password, repeat: password });
  await expect(v, "reset-stale", "stale.title", "reset.stale");
}

async function scriptedChange(v) {
  await open(v, "email-change");
  await expect(v, "change-missing", "change.missing.title", "change.missing");
  const sent = { token: secret, password };
  await answers(v, "email/change/confirm", sent, [
    field("password", "password_wrong"), problem(429, "rate_limited", {}, { "Retry-After": "600" }), field("password", "too_salty"), ok(204), stale, field("token", "too_long"),
  ]);
  await open(v, "email-change", secret);
  await expect(v, "change", "change.title", "change.hint");
  for (const [shot, key, values] of [
    ["change-wrong", "fault.password_not_yours"], ["change-minutes", "fault.limited", { wait: 600 }], ["change-unknown", "fault.unknown", { detail: "too_salty in words" }],
  ]) {
    await submit(v, { password });
    await expect(v, shot, "change.title", key, values);
    if (shot !== "change-minutes") await focused(v, "#password", shot);
  }
  await submit(v, { password });
  await expect(v, "change-done", "change.done.title", "change.done");
  for (const shot of ["change-stale", "change-no-token"]) {
    await open(v, "email-change", secret);
    await submit(v, { password });
    await expect(v, shot, "stale.title", "change.stale");
  }
  // A user without a password leaves it empty; a user with one is asked for it.
  await answers(v, "email/change/confirm", { token: secret }, [field("password", "required"), ok(204)]);
  await open(v, "email-change", secret);
  await submit(v);
  await expect(v, "change-needed", "change.title", "fault.password_needed");
  await submit(v);
  await expect(v, "change-without", "change.done.title", "change.done");
}

// Input and messages stay when the language changes; a mail may set its own language. Also tests
// showing and hiding the password, and use without a mouse.
async function scriptedInput(v) {
  const other = v.view.language === "en" ? "ko" : "en";
  const { page } = v;
  await open(v, "reset", secret);
  await submit(v, { new_password: password, repeat: "another" });
  await page.locator(`[data-language=${other}]`).click();
  check(await page.locator("#repeat-fault").innerText() === texts[other]["fault.mismatch"], `${v.view.name}: the error message is not in ${other}`);
  check(await page.locator("html").getAttribute("lang") === other, `${v.view.name}: the lang attribute did not change`);
  check(await page.locator("#password").inputValue() === password, `${v.view.name}: the typed password was lost`);
  check(await page.title() === `${texts[other]["reset.title"]} – accounts`, `${v.view.name}: the title did not change`);
  const blank = await page.locator("[data-view]:visible [data-text]").evaluateAll((all) => all.filter((e) => !e.textContent).length);
  check(blank === 0, `${v.view.name}: ${blank} elements without a text`);

  await page.locator(".peek").click();
  check(await page.locator("#repeat").getAttribute("type") === "text", `${v.view.name}: the passwords are not shown`);
  check(await page.locator(".peek").getAttribute("aria-label") === texts[other]["hide.label"], `${v.view.name}: the button has the wrong label`);
  await submit(v, { repeat: "another one" });
  check(await page.locator("#password").getAttribute("type") === "text", `${v.view.name}: the password was hidden after an error`);
  await page.locator(".peek").click();

  // Opens the link of another mail in the same tab, which does not load a new document.
  await page.evaluate((token) => { location.hash = `#token=${token}&lang=en`; }, `${secret}2`);
  v.secrets.push(`${secret}2`);
  await page.waitForFunction(() => location.hash === "" && document.documentElement.lang === "en");
  check(await page.locator("#password").inputValue() === "", `${v.view.name}: another link does not reset the form`);
  await answers(v, "password/reset/confirm", { token: `${secret}2`, new_password: password }, [ok(204)]);

  await page.locator("[data-language=ko]").focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await focused(v, "#password", "Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Tab");
  await focused(v, ".peek", "Tab, Tab");
  await page.keyboard.press("Space");
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: texts.ko["reset.done.title"] }).waitFor();
  await focused(v, "h1", "Enter");
  check(await page.locator("#password").evaluate((e) => e.type === "password" && e.value === ""), `${v.view.name}: the password remains in the field`);
}

async function scripted(browser, origin) {
  for (const view of chosen) {
    console.log(view.name);
    const v = await visitor(browser, origin, view);
    for (const part of view.parts ?? everyPart) await part(v);
    await open(v, "verify");
    await expect(v, "verify-missing", "verify.missing.title", "verify.missing");
    await leave(v);
  }
}

function checkTexts() {
  const keys = Object.keys(texts.en).sort().join();
  for (const [language, all] of Object.entries(texts)) check(Object.keys(all).sort().join() === keys, `${language} has other keys than en`);
  for (const name of ["verify", "reset", "email-change"]) {
    const page = readFileSync(join(root, "server/web/pages", `${name}.html`), "utf8");
    for (const [, key] of page.matchAll(/data-text="([^"]*)"/g)) check(Object.hasOwn(texts.en, key), `${name}: unknown text ${key}`);
  }
}

// ---------------------------------------------------------------- with the server

async function call(server, path, body, token) {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(`${server.origin}/accounts/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text) };
}

async function must(status, promise, what) {
  const answer = await promise;
  if (answer.status !== status) throw new Error(`${what}: ${answer.status}, expected ${status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

async function live(browser, server, view) {
  const { language } = view;
  console.log(`${view.name}, with the server`);
  const v = await visitor(browser, server.origin, { ...view, name: `live-${view.name}` });
  const email = `ada-${language}@example.com`;
  const username = `ada-${language}`;
  const allow = (status, path) => v.expected.push(new RegExp(`status of ${status} .*\\(/accounts/${path}\\)$`));

  await must(202, call(server, "register", { email, username, password, locale: language }), "register");
  const first = await link(server, email, "verify");
  await open(v, "verify");
  await submit(v, { email });
  await expect(v, "verify-sent", "sent.title", "verify.sent", { email });
  await open(v, "verify", first);
  allow(422, "email/verify");
  await submit(v, { password: "someone else's guess" });
  await expect(v, "verify-wrong", "verify.title", "fault.password_wrong");
  await submit(v, { password });
  await expect(v, "verify-done", "verify.done.title", "verify.done", { username });
  const session = (await v.context.cookies()).map((cookie) => cookie.name);
  check(session.some((name) => name.includes("refreshtoken")), `${v.view.name}: the session is in cookies ${session.join()}`);
  await v.page.locator("[data-home]:visible").click();
  await v.page.waitForURL(`${server.origin}/demo/`); // the default on loopback
  await v.page.getByText(`Hello, ${username}`).waitFor();

  await open(v, "reset");
  await submit(v, { email });
  await expect(v, "reset-sent", "sent.title", "reset.sent", { email });
  const second = await link(server, email, "reset");
  await open(v, "reset", second);
  allow(422, "password/reset/confirm");
  await submit(v, { new_password: "short", repeat: "short" });
  await expect(v, "reset-too_short", "reset.title", "fault.too_short", { minimum: 12 });
  const renewed = `${password}, again`;
  await submit(v, { new_password: renewed, repeat: renewed });
  await expect(v, "reset-done", "reset.done.title", "reset.done");
  await open(v, "reset", second);
  allow(422, "password/reset/confirm");
  await submit(v, { new_password: renewed, repeat: renewed });
  await expect(v, "reset-stale", "stale.title", "reset.stale");

  const login = (name) => call(server, "login", { username: name, password: renewed, token_transport: "body" });
  const { access_token } = await must(200, login(username), "login with the new password");
  const next = `countess-${language}@example.com`;
  await must(202, call(server, "email/change", { email: next }, access_token), "email/change");
  await open(v, "email-change", await link(server, next, "email-change"));
  allow(422, "email/change/confirm");
  await submit(v, { password: "someone else's guess" });
  await expect(v, "change-wrong", "change.title", "fault.password_not_yours");
  allow(422, "email/change/confirm");
  await submit(v, { password: "" });
  await expect(v, "change-needed", "change.title", "fault.password_needed");
  await submit(v, { password: renewed });
  await expect(v, "change-done", "change.done.title", "change.done");
  await must(200, login(next), "login with the new address");
  check(!v.secrets.some((token) => server.log.includes(token)), `${v.view.name}: a token is in the server's log`);
  await leave(v);
}

// ---------------------------------------------------------------- main

async function main() {
  mkdirSync(shots, { recursive: true });
  checkTexts();
  const external = /^https?:/.test(subject);
  const settings = { ACCOUNTS_MAILS_PER_RECIPIENT: "0", ACCOUNTS_CONFIRMATIONS_PER_CLIENT: "0", ACCOUNTS_REGISTRATIONS_PER_CLIENT: "0" }; // the test sends within seconds what a user does in days
  const server = external ? { origin: new URL(subject).origin } : await startServer(resolve(subject), settings);
  let browser;
  try {
    browser = await launch();
    await scripted(browser, server.origin);
    for (const view of external ? [] : chosen.filter((view) => !view.parts)) await live(browser, server, view);
  } catch (error) {
    if (server.log) console.error(`--- the server's last lines\n${server.log.slice(-3000)}\n---`);
    throw error;
  } finally {
    await browser?.close();
    if (!external) await stopServer(server);
  }
}

await conclude("pages", shots, main);
