// Uses the demo at /demo/ like a new visitor, with the mouse: sign up, find the mail, verify, sign in
// with each of the four transports, edit the profile, change the password, end sessions, read the
// security log, and lose a session to a thief.
//
//   node scripts/browser/demo.mjs [ACCOUNTSD]
//
// ACCOUNTSD   the server's binary (default bin/accountsd; build it first)
// VIEW        only the views whose name contains this
// SHOTS       directory for the screenshots (default .cache/shots)
// CHROMIUM    the browser (default /usr/bin/chromium)
//
// It fails if the page does not show an expected text, and on a Content-Security-Policy violation,
// an unexpected line in the browser's console, a request to another host, a control without a name,
// layout shifts, or a page wider than its window.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { check, conclude, inviteUser, launch, leave, link, shot as picture, startServer, still, stopServer, visitor } from "./harness.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const binary = resolve(process.argv[2] ?? join(root, "bin/accountsd"));
const shots = resolve(process.env.SHOTS ?? join(root, ".cache/shots"));
const sqlite = join(root, ".cache/sqlite");
const password = "nine green lamps over the harbour";
const settings = {
  ACCOUNTS_ROTATION_INTERVAL: "1s", ACCOUNTS_MAILS_PER_RECIPIENT: "0", ACCOUNTS_REGISTRATIONS_PER_CLIENT: "0", ACCOUNTS_CONFIRMATIONS_PER_CLIENT: "0",
};
const rotation = 1_300; // the rotation interval and its margin, rounded up

// The credentials that each transport sends with a read and with a refresh.
const access = "cookie access (hidden from scripts)";
const refresh = "cookie refreshtoken (hidden from scripts)";
const transports = {
  hybrid: { read: ["Authorization: Bearer", refresh], renew: ["X-CSRFToken", "Refresh-Attempt", refresh] },
  cookies: { read: [access, refresh], renew: ["X-CSRFToken", "Refresh-Attempt", access, refresh] },
  server_held: { read: [access], renew: ["X-CSRFToken", "Refresh-Attempt", access] },
  body: { read: ["Authorization: Bearer"], renew: ["Refresh-Attempt", "refresh token in the body"] },
};

const views = [
  { name: "light-1280", colorScheme: "light", width: 1280, height: 900, transports: ["hybrid", "cookies"], robbed: true },
  { name: "dark-1280", colorScheme: "dark", width: 1280, height: 900, transports: ["server_held"] },
  { name: "light-390", colorScheme: "light", width: 390, height: 844, transports: ["body"] },
  { name: "dark-390", colorScheme: "dark", width: 390, height: 844, transports: [], robbed: true },
  { name: "light-320", colorScheme: "light", width: 320, height: 640, transports: [] },
].filter((view) => view.name.includes(process.env.VIEW ?? ""));

/**
 * Moves the authentication of a user's sessions into the past, so that the server requires the
 * password again.
 */
const age = (server, username) => execFileSync(sqlite, [join(server.dataDir, "accounts.db")], { input: `UPDATE sessions
  SET authenticated_at = '2020-01-01 00:00:00+00:00' WHERE user_id = (SELECT id FROM users WHERE username = '${username}');` });

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/**
 * Expects the line that the browser writes to its console for a response with status 400 or above.
 */
const allow = (v, status, path) => v.expected.push(new RegExp(`status of ${status} .*\\(/accounts/${path}\\)$`));

const shot = (v, name) => picture(v, join(shots, `demo-${v.view.name}-${name}.png`), name);

async function sees(v, text, what = "") {
  try {
    await v.page.getByText(text, { exact: false }).locator("visible=true").first().waitFor();
  } catch {
    check(false, `${v.view.name} ${what}: "${text}" was expected, the page shows: ${(await v.page.locator("#stage").innerText()).slice(0, 600)}`);
  }
}

async function submit(v, form, fields = {}) {
  for (const [name, value] of Object.entries(fields)) await v.page.locator(`#${form} [name=${name}]`).fill(value);
  await v.page.locator(`#${form} button[type=submit]`).click();
}

const tab = (v, name) => v.page.locator(`[data-tab=${name}]`).click();

/**
 * Returns the status and the credentials of the newest entry in the request list for a method and
 * path.
 */
async function wired(v, line) {
  const entry = v.page.locator("#wire > li").filter({ has: v.page.locator(".path").getByText(line, { exact: true }) }).first();
  await entry.locator(".status.good, .status.bad").waitFor();
  return { status: await entry.locator(".status").innerText(), carried: (await entry.locator(".chips li").allTextContents()).sort() };
}

async function carries(v, line, wanted, what) {
  const { status, carried } = await wired(v, line);
  check(status === "200" && carried.join() === [...wanted].sort().join(), `${v.view.name} ${what}: ${line} is ${status} with ${carried.join(", ")}`);
}

// ---------------------------------------------------------------- the steps of a new visitor

async function arrive(v) {
  await v.page.goto(`${v.server.origin}/demo/`);
  await v.page.locator("#signup").waitFor();
  check((await wired(v, "GET /accounts/session")).status === "200", `${v.view.name}: the session request fails without a session`);
  await sees(v, "At least 12 characters. A few", "the minimum length");
  await still(v, "start");
  await shot(v, "start");
  await submit(v, "signup");
  check(await v.page.evaluate(() => document.activeElement.id) === "signup-email", `${v.view.name}: the focus is not on the first empty field`);
  await submit(v, "signup", { email: v.email, username: v.username, password: "short" });
  allow(v, 422, "register");
  await sees(v, "This is too short: at least 12 characters.", "sign up");
  await shot(v, "refused");
}

async function signUp(v) {
  await submit(v, "signup", { email: v.email, username: v.username, password });
  await sees(v, "This command prints the newest link:", "sign up");
  const token = await link(v.server, v.email, "verify");
  const command = (await v.page.locator("#command").innerText()).replaceAll("data/mail", join(v.server.dataDir, "mail"));
  const printed = execFileSync("sh", ["-c", command], { encoding: "utf8" }).trim();
  check(printed === `${v.server.origin}/pages/verify#token=${token}`, `${v.view.name}: the command prints ${printed}`);
  await shot(v, "mail");
  await submit(v, "verify", { token: "nothing of the kind" });
  allow(v, 422, "email/verify");
  await sees(v, "This link is no longer valid", "verify");
  await submit(v, "verify", { token: ` ${printed}&lang=en ` });
  await sees(v, `Hello, ${v.username}`, "verify");
  check(await v.page.evaluate(() => document.activeElement.matches("#signed-in h1")), `${v.view.name}: the focus is not on the new heading`);
  check(!(await v.page.locator("input").evaluateAll((all, secret) => all.some((e) => e.value === secret), password)), `${v.view.name}: the password remains in a field`);
}

async function live(v) {
  const { page } = v;
  await submit(v, "profile", { first_name: "Ada", last_name: "Lovelace" });
  await sees(v, "Hello, Ada", "profile");
  await sees(v, "Saved.", "profile");
  await shot(v, "profile");

  await tab(v, "password");
  await submit(v, "password", { current_password: "someone else's guess", new_password: v.password });
  allow(v, 422, "password/change");
  await sees(v, "This is not the right password.", "password");
  await submit(v, "password", { current_password: password, new_password: v.password });
  await sees(v, "Password changed.", "password");
  await shot(v, "password");

  const other = await call(v, "login", { username: v.username, password: v.password, token_transport: "body" });
  await tab(v, "sessions");
  await page.locator("#sessions li:not(.placeholder)").nth(1).waitFor();
  await shot(v, "sessions");
  await page.locator("#sessions button").click();
  await sees(v, "The session has ended.", "sessions");
  await page.waitForFunction(() => document.querySelectorAll("#sessions li").length === 1);
  const after = await call(v, "refresh_token", { refresh_token: other.body.refresh_token });
  check(after.body.code === "session_revoked", `${v.view.name}: the other device gets status ${after.status}`);

  await sleep(1_200); // events without a change are written to the log once a second
  await tab(v, "events");
  for (const event of ["Signed up", "Wrong password", "Password changed", "Session ended"]) await sees(v, event, "security log");
  await shot(v, "events");

  await strange(v);

  await page.locator("#clear").click();
  await sees(v, "Every request of this page is listed here", "requests");
  await page.locator("#logout").click();
  await page.locator("#login").waitFor();
  check(!(await page.locator("#ended").isVisible()), `${v.view.name}: a sign-out shows an alert`);
}

/** A newer server responds with values and members that the demo does not know. */
async function strange(v) {
  const { page } = v;
  const event = {
    id: "01980f72-9a3b-7d10-8c44-5e1f2a3b4c5d", kind: "passkey_added", created_at: "2026-11-22T09:30:00Z", user_id: 1, username: "ada", actor: "self", actor_id: null, actor_username: null,
    changes: [{ field: "shoe_size", before: null, after: "44" }], detail: null, session_id: null, ip: null, user_agent: null, request_id: null, color: "red",
  };
  await page.route(/\/accounts\/events/, (route) => route.fulfill({ json: { flavors: [], events: [event, { ...event, kind: "login" }], next_cursor: null } }));
  await tab(v, "events");
  await sees(v, "Passkey added", "an unknown kind");
  check(await page.locator("#events li").count() === 2, `${v.view.name}: an unknown kind of event removed the list`);
  await page.unroute(/\/accounts\/events/);
  const headers = { "Content-Type": "application/problem+json" };
  const problem = { type: "http://localhost/problems/x", title: "X", detail: "Feed the cat first.", request_id: "x" };
  const answers = [
    { status: 418, headers, body: JSON.stringify({ ...problem, status: 418, code: "cat_hungry" }) },
    { status: 422, headers, body: JSON.stringify({ ...problem, status: 422, code: "validation_failed", errors: [{ pointer: "/last_name", code: "too_salty", detail: "This has too much salt." }] }) },
  ];
  await page.route(/\/accounts\/profile$/, (route) => (route.request().method() === "PATCH" ? route.fulfill(answers.shift()) : route.continue()));
  await tab(v, "profile");
  await page.locator("#profile:not([aria-busy])").waitFor();
  allow(v, 418, "profile");
  await submit(v, "profile");
  await sees(v, "Feed the cat first.", "an unknown code");
  allow(v, 422, "profile");
  await submit(v, "profile");
  await sees(v, "This has too much salt.", "an unknown field code");
  await page.unroute(/\/accounts\/profile$/);
}

/**
 * Changes the address. The page asks for the password if the authentication is not recent. The
 * change waits for its confirmation; the mail is requested again, then the change is canceled.
 */
async function moves(v) {
  const { page, server } = v;
  const next = `countess-${v.view.name}@example.com`;
  await tab(v, "profile");
  await page.locator("#profile:not([aria-busy])").waitFor();
  age(server, v.username);
  allow(v, 403, "email/change");
  await submit(v, "address", { email: next });
  await page.locator("#reauth[open]").waitFor();
  await shot(v, "password-once-more");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await sees(v, `${next} is not confirmed yet.`, "change of address");
  const first = await link(server, next, "email-change");
  await page.locator("#pending-resend").click();
  await sees(v, "A new link was sent. Older links no longer work.", "change of address");
  const second = await link(server, next, "email-change");
  check(first !== second, `${v.view.name}: the same link was sent again`);
  await shot(v, "pending");
  await page.locator("#pending-cancel").click();
  await sees(v, "The change was canceled.", "change of address");
  await page.locator("#pending").waitFor({ state: "hidden" });
  check((await call(v, "email/change/confirm", { token: second, password })).body.code === "link_invalid", `${v.view.name}: a canceled change was confirmed`);
}

/**
 * Deletes the account. The username must be typed, and the password if the authentication is not
 * recent.
 */
async function vanish(v) {
  const { page, server } = v;
  await logIn(v, "hybrid", v.password);
  await sees(v, "Hello, Ada", "deletion");
  age(server, v.username);
  await page.locator("#delete").click();
  await page.keyboard.type(v.username);
  await shot(v, "delete");
  allow(v, 403, "profile");
  await page.keyboard.press("Enter");
  await page.locator("#reauth[open]").waitFor();
  await page.keyboard.type(v.password);
  await page.keyboard.press("Enter");
  await sees(v, "Your account was deleted.", "deletion");
  await page.locator("#login").waitFor();
  check(!(await page.locator("#ended").isVisible()), `${v.view.name}: a deletion shows an alert`);
  check((await call(v, "login", { username: v.username, password: v.password })).body.code === "credentials_invalid", `${v.view.name}: the user still exists`);
}

/** Logs in with the keyboard. */
async function logIn(v, transport, secret) {
  const { page } = v;
  await page.locator(`[name=transport][value=${transport}]`).focus();
  await page.keyboard.press("Space");
  await page.locator("#login-username").fill(v.username);
  await page.locator("#login-password").focus();
  await page.keyboard.type(secret);
  await page.keyboard.press("Enter");
}

/** Another user logs in in another tab, which has its own storage. This tab keeps its user. */
async function neighbour(v) {
  const page = await v.context.newPage();
  await page.goto(`${v.server.origin}/demo/`);
  await logIn({ page, username: "grace" }, "body", password);
  await page.getByText("Hello, grace").waitFor();
  await tab(v, "sessions");
  await tab(v, "profile");
  await carries(v, "GET /accounts/profile", transports.body.read, "with a neighbor");
  await sees(v, "Hello, Ada", "with a neighbor");
  await page.close();
}

async function everyTransport(v) {
  const { page } = v;
  for (const transport of v.view.transports) {
    const { read, renew } = transports[transport];
    allow(v, 401, "login");
    await logIn(v, transport, "someone else's guess");
    await sees(v, "The username or the password is wrong", transport);
    await page.locator("#login-password").fill("");
    await logIn(v, transport, v.password);
    await sees(v, "Hello, Ada", transport);
    check(await page.locator("#in-force").innerText() === transport, `${v.view.name}: the page shows the transport ${await page.locator("#in-force").innerText()}`);
    await carries(v, "GET /accounts/profile", read, transport);
    await sleep(rotation);
    await page.locator("#refresh").click();
    await sees(v, "New tokens: generation 1.", transport);
    check(await page.locator("#generation").innerText() === "1", `${v.view.name} ${transport}: the generation`);
    await carries(v, "POST /accounts/refresh_token", renew, transport);
    await page.reload();
    await sees(v, "Hello, Ada", `${transport} after a reload`);
    await still(v, `${transport} after a reload`);
    await shot(v, transport);
    if (transport === "body") await neighbour(v);
    if (transport === v.view.transports.at(-1)) continue;
    await page.locator("#logout").click();
    await page.locator("#login").waitFor();
  }
  if (v.view.transports.length === 0) return;
  await call(v, "login", { username: v.username, password: v.password, token_transport: "body" });
  await tab(v, "sessions");
  await page.locator("#everywhere").click();
  await page.locator("#login").waitFor();
  const { status } = await wired(v, "DELETE /accounts/sessions?keep_current=false");
  check(status === "204", `${v.view.name}: the status of sign out everywhere is ${status}`);
}

/** A thief copies the refresh token and uses it first. */
async function theft(v) {
  const { page } = v;
  await logIn(v, "body", v.password);
  await sees(v, "Hello, Ada", "theft");
  const stolen = await page.evaluate(() => JSON.parse(sessionStorage.getItem("accounts demo session")).refreshToken);
  await sleep(rotation);
  const thief = await call(v, "refresh_token", { refresh_token: stolen });
  check(thief.body.generation === 1, `${v.view.name}: the thief gets status ${thief.status}`);
  await sleep(rotation);
  allow(v, 401, "refresh_token");
  await page.locator("#refresh").click();
  await sees(v, "Your session may have been stolen", "theft");
  check(await page.evaluate(() => sessionStorage.getItem("accounts demo session")) === null, `${v.view.name}: the revoked token is still stored`);
  const { status } = await wired(v, "POST /accounts/refresh_token");
  check(status === "401", `${v.view.name}: the refresh is listed as ${status}`);
  await sees(v, "refresh_reused", "theft");
  await shot(v, "theft");
  check((await call(v, "refresh_token", { refresh_token: thief.body.refresh_token })).status === 401, `${v.view.name}: the thief can still refresh`);
}

async function call(v, path, body) {
  const headers = { "Content-Type": "application/json", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" };
  const response = await fetch(`${v.server.origin}/accounts/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: response.status, body: await response.json().catch(() => null) };
}

// ---------------------------------------------------------------- main

async function travel(v) {
  for (const part of [moves, live, everyTransport, ...(v.view.robbed ? [theft] : []), vanish, leave]) await part(v);
}

/**
 * Where registration is closed, the page says so before it offers a form. It also displays the
 * configured minimum length of a password.
 */
async function closed(browser) {
  const server = await startServer(binary, { ACCOUNTS_REGISTRATION: "closed", ACCOUNTS_PASSWORD_MIN_LENGTH: "15" });
  try {
    for (const view of views.slice(0, 1)) {
      const v = await visitor(browser, server, { ...view, name: `closed-${view.name}` });
      await v.page.goto(`${server.origin}/demo/`);
      await sees(v, "Sign-up is closed on this server", "closed");
      check(!(await v.page.locator("#signup-email").isVisible()), `${v.view.name}: the sign-up form is visible`);
      check(await v.page.locator("#password-new-hint").textContent() === "At least 15 characters.", `${v.view.name}: the minimum length`);
      await shot(v, "start");
      await leave(v);
    }
  } finally {
    await stopServer(server);
  }
}

async function main() {
  mkdirSync(shots, { recursive: true });
  console.error("building scripts/sqlite (the first build takes a minute) …");
  execFileSync("go", ["build", "-o", sqlite, "./scripts/sqlite"], { cwd: root, stdio: "inherit" });
  const server = await startServer(binary, settings);
  let browser;
  try {
    inviteUser(server, { username: "grace", email: "grace@example.com", password });
    browser = await launch();
    const journeys = [];
    for (const view of views) {
      const v = await visitor(browser, server, view);
      Object.assign(v, { username: `ada-${view.name}`, email: `ada-${view.name}@example.com`, password: `${password}, again` });
      await arrive(v); // one after the other, because the page describes how to find the newest mail
      await signUp(v);
      journeys.push(travel(v).catch((error) => check(false, `${view.name}: ${error}`)));
    }
    await Promise.all(journeys);
    await closed(browser);
  } catch (error) {
    console.error(`--- the server's last lines\n${server.log.slice(-3000)}\n---`);
    throw error;
  } finally {
    await browser?.close();
    await stopServer(server);
  }
}

await conclude("demo", shots, main);
