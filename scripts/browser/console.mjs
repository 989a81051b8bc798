// Uses the console at /console/ like a staff member, with the keyboard and with the mouse, with
// 100,000 users in the database: find a user by a part of the email address, deactivate the user,
// and see that the sessions end; edit, invite, delete; pages, filters and errors; and the limits of
// ordinary users and of staff members.
//
//   node scripts/browser/console.mjs [ACCOUNTSD]
//
// VIEW        only the views whose name contains this
// SHOTS       directory for the screenshots (default .cache/shots)
// CHROMIUM    the browser (default /usr/bin/chromium)
//
// It fails if the console does not show an expected text, and on a Content-Security-Policy
// violation, an unexpected line in the browser's console, a request to another host, a control
// without a name, text with too little contrast, layout shifts, or a page wider than its window.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { check, conclude, cut, inviteUser, launch, leave, link, shot as picture, startServer, still, stopServer, visitor } from "./harness.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
const binary = resolve(process.argv[2] ?? join(root, "bin/accountsd"));
const shots = resolve(process.env.SHOTS ?? join(root, ".cache/shots"));
const sqlite = join(root, ".cache/sqlite");
const patience = 30_000; // milliseconds, enough for a busy machine
const password = "nine green lamps over the harbour";

const views = [
  { name: "light-1280", colorScheme: "light", width: 1280, height: 900, walk: work },
  { name: "dark-390", colorScheme: "dark", width: 390, height: 844, walk: newcomer },
  { name: "dark-1280", colorScheme: "dark", width: 1280, height: 900, walk: limits },
  { name: "light-390", colorScheme: "light", width: 390, height: 844, walk: look },
  { name: "light-320", colorScheme: "light", width: 320, height: 700, walk: look },
].filter((view) => view.name.includes(process.env.VIEW ?? ""));

/**
 * Expects the line that the browser writes to its console for a response with status 400 or above.
 */
const allow = (v, status, path) => v.expected.push(new RegExp(`status of ${status} .*\\(/${path}\\)$`));

/** Executes SQL on the server's database. */
const sql = (server, statements) => execFileSync(sqlite, [join(server.dataDir, "accounts.db")], { input: statements });

/**
 * Moves the authentication of a user's sessions into the past, so that the server requires the
 * password again.
 */
const age = (server, username) => sql(server, `UPDATE sessions SET authenticated_at = '2020-01-01 00:00:00+00:00', created_at = '2020-01-01 00:00:00+00:00'
  WHERE user_id = (SELECT id FROM users WHERE username = '${username}');`);

// ---------------------------------------------------------------- actions and checks of a visitor

async function sees(v, text, what = "") {
  try {
    await v.page.getByText(text, { exact: false }).locator("visible=true").first().waitFor();
  } catch {
    check(false, `${v.view.name} ${what}: "${text}" was expected, the page shows: ${(await v.page.locator("body").innerText()).slice(0, 700)}`);
  }
}

const focused = (v) => v.page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
const query = (v) => new URL(v.page.url()).searchParams;
const names = (v) => v.page.locator("#users td.name a").allTextContents();

async function is(v, what, got, want) {
  const value = await got;
  check(JSON.stringify(value) === JSON.stringify(want), `${v.view.name} ${what}: ${JSON.stringify(value)} want ${JSON.stringify(want)}`);
}

/** Waits until the condition holds. */
async function until(v, what, holds) {
  for (const end = Date.now() + patience; Date.now() < end;) {
    if (await holds()) return;
    await v.page.waitForTimeout(50);
  }
  check(false, `${v.view.name}: timeout waiting for ${what}`);
}

const arrived = (v) => v.page.locator("#users-list:not([aria-busy]) td.name a").first().waitFor();

/** Returns texts with a contrast below 4.5. Disabled controls are exempt (WCAG 1.4.3). */
const faint = (v) => v.page.evaluate(() => {
  const rgb = (color) => {
    const numbers = color.match(/[\d.]+/g).map(Number);
    return color.startsWith("color(srgb") ? [...numbers.slice(0, 3).map((n) => n * 255), numbers[3] ?? 1] : [...numbers.slice(0, 3), numbers[3] ?? 1];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((n) => (n / 255 <= 0.03928 ? n / 255 / 12.92 : ((n / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) if (rgb(getComputedStyle(e).backgroundColor)[3] > 0.9) return rgb(getComputedStyle(e).backgroundColor);
    return [255, 255, 255];
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.querySelector("dialog[open]") ?? document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.checkVisibility({ visibilityProperty: true }) || e.closest(":disabled, .quiet, option")) continue;
    const [a, b] = [luminance(rgb(getComputedStyle(e).color)), luminance(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.add(`${ratio.toFixed(2)} ${e.tagName} ${e.textContent.trim().slice(0, 30)}`);
  }
  return [...found];
});

/**
 * Returns controls that are too small for touch. On a phone all must be 44 px high, except links
 * within text.
 */
const tiny = (v) => v.page.locator("button:visible, select:visible, input:not([aria-hidden]):visible, nav a:visible").evaluateAll((all) =>
  all.map((e) => [e.closest(".choice, .input") ?? e, e]).filter(([target]) => target.getBoundingClientRect().height < 43.5)
    .map(([target, e]) => `${e.id || e.textContent.trim()} ${target.getBoundingClientRect().height}`));

async function shot(v, name) {
  const long = (await v.page.locator("#users tbody tr, dialog[open]").locator("visible=true").count()) > 0; // all rows of a list look alike
  await picture(v, join(shots, `console-${v.view.name}-${name}.png`), name, !long);
  await is(v, `${name}: faint texts`, faint(v), []);
  await is(v, `${name}: cut texts`, cut(v), []);
  if (v.view.width < 560) await is(v, `${name}: targets under 44 px`, tiny(v), []);
}

async function arrive(v) {
  await v.page.goto(`${v.server.origin}/console/`);
  await v.page.locator("#signin").waitFor();
  await still(v, "sign-in");
  await is(v, "title", v.page.title(), "Sign in – accounts console");
  await is(v, "initial focus", focused(v), "login-username");
}

/** Signs in with the keyboard. */
async function signIn(v, username, secret = password) {
  await v.page.locator("#login-username").fill(username);
  await v.page.keyboard.press("Tab");
  await v.page.keyboard.type(secret);
  await v.page.keyboard.press("Enter");
}

/**
 * Logs in as an app on another device would. The result is a function that sends a request with
 * that session.
 */
async function elsewhere(v, username, secret = password) {
  const headers = { "Content-Type": "application/json", "User-Agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_7) AppleWebKit/605.1.15 Safari/605.1.15" };
  const response = await fetch(`${v.server.origin}/accounts/login`, { method: "POST", headers, body: JSON.stringify({ username, password: secret, token_transport: "body" }) });
  const { access_token } = await response.json();
  return async () => {
    const answer = await fetch(`${v.server.origin}/accounts/profile`, { headers: { Authorization: `Bearer ${access_token}` } });
    return answer.ok ? "alive" : (await answer.json()).code;
  };
}

/** Enters the password when the console asks for it. */
async function prove(v, secret = password) {
  await v.page.locator("#reauth[open]").waitFor();
  await v.page.keyboard.type(secret);
  await v.page.keyboard.press("Enter");
}

// ---------------------------------------------------------------- a new staff member

/**
 * With the keyboard only, finds a user by a part of the email address, deactivates the user, and
 * sees that the sessions have ended.
 */
async function newcomer(v) {
  const { page, server } = v;
  const victim = `victim-${v.view.name}`;
  inviteUser(server, { username: victim, email: `${victim}@harbour.example`, password });
  const request = await elsewhere(v, victim);
  await is(v, "the victim's session", request(), "alive");
  await arrive(v);
  await shot(v, "sign-in");
  const began = Date.now();
  allow(v, 401, "accounts/login");
  await signIn(v, "root", "someone else's guess");
  await sees(v, "The username or the password is wrong", "sign-in");
  await is(v, "the typed value", page.locator("#login-username").inputValue(), "root");
  await page.locator("#login-password").fill("");
  await signIn(v, "root");
  await arrived(v);
  await is(v, "focus after sign-in", focused(v), "users-title");
  await shot(v, "users");
  age(server, "root");

  await page.keyboard.press("Control+k");
  await page.keyboard.type(`${v.view.name}@harb`);
  await until(v, "one user", async () => (await names(v)).join() === victim);
  await is(v, "the search in the address", query(v).get("q"), `${v.view.name}@harb`);
  await is(v, "the count of one page", page.locator("#users .range").innerText(), "1 user");
  await is(v, "announced text", page.locator("#heard").textContent(), "1 user");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await sees(v, "Sessions (1)", "the user");
  await sees(v, "Safari on macOS", "the user");
  await is(v, "focus on the user's page", focused(v), "user-name");
  await is(v, "title", page.title(), `${victim} – accounts console`);
  await shot(v, "user");

  await page.locator("#activity").focus();
  await page.keyboard.press("Enter");
  await sees(v, `Deactivate ${victim}?`);
  await is(v, "focus in the question", focused(v), "Cancel");
  await shot(v, "question");
  await page.keyboard.press("Escape");
  await is(v, "after Escape", request(), "alive");
  await is(v, "focus after Escape", focused(v), "activity");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  allow(v, 403, "admin/users/\\d+");
  await page.keyboard.press("Enter");
  allow(v, 422, "accounts/reauthenticate");
  await prove(v, "someone else's guess");
  await sees(v, "This is not the right password.", "password dialog");
  await shot(v, "password");
  await page.keyboard.press("Escape");
  await page.locator("#reauth").waitFor({ state: "hidden" });
  await is(v, "without the password", request(), "alive");
  await page.locator("#activity").focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  allow(v, 403, "admin/users/\\d+");
  await page.keyboard.press("Enter");
  await prove(v);
  await sees(v, "There are no active sessions", "after the deactivation");
  await sees(v, "is deactivated. All sessions have ended", "after the deactivation");
  await is(v, "badge", page.locator("#user-badges .bad").textContent(), "Deactivated");
  await is(v, "the victim's session", request(), "session_revoked");
  console.log(`  ${v.view.name}: signed in, found, deactivated after ${((Date.now() - began) / 1000).toFixed(1)} s, including two wrong passwords and screenshots`);
  await shot(v, "deactivated");

  await page.locator("#activity").click();
  await sees(v, "is active again", "activation");
  await is(v, "an earlier session", request(), "session_revoked");
  await page.goBack();
  await is(v, "the search after going back", page.locator("#q").inputValue(), `${v.view.name}@harb`);
  await page.locator("#users-clear").click();
  await until(v, "all users", async () => (await names(v)).length === 50);
  await page.goto(`${server.origin}/console/?view=events&kind=deactivated`);
  await page.locator("#events td.what").first().waitFor();
  await still(v, "events");
  await shot(v, "events");
}

/** Takes screenshots of a view in which the full test does not run. */
async function look(v) {
  const { page, server } = v;
  await arrive(v);
  await shot(v, "sign-in");
  await signIn(v, "root");
  await arrived(v);
  await shot(v, "users");
  await page.locator("#invite-open").click();
  await shot(v, "invite");
  await page.keyboard.press("Escape");
  await page.goto(`${server.origin}/console/?view=users&q=nobody+of+this+name&role=staff,superuser`);
  await sees(v, "No users found");
  await still(v, "nobody");
  await shot(v, "nobody");
  await page.goto(`${server.origin}/console/?view=user&id=1`);
  await sees(v, "Sessions (");
  await still(v, "a user");
  await shot(v, "user");
  await page.goto(`${server.origin}/console/?view=events`);
  await page.locator("#events td.what").first().waitFor();
  await shot(v, "events");
}

// ---------------------------------------------------------------- daily work

async function work(v) {
  await newcomer(v);
  for (const part of [search, pages, faults, edit, twoEditors, log, unknowns, strangers, lookAlike, invite, remove, mails, roles, newAddress, ends]) await part(v);
}

const open = (v, address) => v.page.goto(`${v.server.origin}/console/${address}`);

/** The latest query determines the list, even if the response to an earlier one arrives later. */
async function search(v) {
  const { page } = v;
  await open(v, "?view=users");
  await arrived(v);
  await still(v, "users");
  let held = 0;
  await page.route(/q=hopper$/, async (route) => {
    held++;
    await page.waitForTimeout(1_200);
    await route.continue().catch(() => undefined); // the page has aborted the request
  });
  await page.locator("#q").pressSequentially("hopper");
  await until(v, "the slow search", () => held === 1);
  await page.locator("#q").pressSequentially(".9");
  await until(v, "the later search", async () => (await names(v))[0]?.includes("hopper.9"));
  await page.waitForTimeout(1_400);
  check((await names(v)).every((name) => name.includes("hopper.9")), `${v.view.name}: an outdated response replaced a newer one`);
  await page.unroute(/q=hopper$/);

  await page.locator("[name=is_active]").selectOption("false");
  await until(v, "the deactivated", async () => (await page.locator("#users td.state .good").count()) === 0);
  await page.locator("[name=email_verified]").selectOption("true");
  await is(v, "filters in the address", [query(v).get("q"), query(v).get("is_active"), query(v).get("email_verified")], ["hopper.9", "false", "true"]);
  await arrived(v);
  const found = await names(v);
  await page.reload();
  await arrived(v);
  await is(v, "found after a reload", names(v), found);
  await is(v, "filter after a reload", page.locator("[name=is_active]").inputValue(), "false");
  await shot(v, "filters");
  await page.goBack();
  await until(v, "the previous filter", async () => (await page.locator("[name=email_verified]").inputValue()) === "");
  await page.locator("#q").fill("nobody of this name");
  await sees(v, "No users found");
  await shot(v, "nobody");
  await page.getByRole("button", { name: "Clear filters" }).click();
  await arrived(v);
  await is(v, "cleared", [query(v).get("q"), query(v).get("is_active"), await page.locator("#q").inputValue()], [null, null, ""]);
}

/** Tests paging forward and back, after a reload, and the sort order. */
async function pages(v) {
  const { page } = v;
  await page.getByRole("button", { name: "Email" }).click();
  await until(v, "the order", () => query(v).get("sort") === "email");
  await page.getByRole("button", { name: "Email" }).click();
  await page.locator("#users-list .jump").focus();
  await shot(v, "jump");
  await page.keyboard.press("Enter");
  await is(v, "focus after skipping the rows", focused(v), "Next");
  await is(v, "aria-sort", page.getByRole("columnheader", { name: "Email" }).getAttribute("aria-sort"), "descending");
  await page.getByRole("button", { name: "Last sign-in" }).click();
  await until(v, "the order", () => query(v).get("sort") === "-last_login");
  await page.getByRole("button", { name: "Username" }).click();
  await until(v, "a first page", async () => query(v).get("sort") === null && (await names(v))[0] === "ada.allen.0");
  const seen = [await names(v)];
  for (const range of ["Users 51–100", "Users 101–150"]) {
    await page.getByRole("button", { name: "Next" }).click();
    await sees(v, range, "pages");
    seen.push(await names(v));
  }
  await is(v, "focus on the next page", focused(v), "users-title");
  check(new Set(seen.flat()).size === 150, `${v.view.name}: the pages overlap`);
  await page.reload();
  await sees(v, "Users 101–150", "after a reload");
  await is(v, "the third page after a reload", names(v), seen[2]);
  await page.getByRole("button", { name: "Previous" }).click();
  await sees(v, "Users 51–100", "back");
  await is(v, "the second page", names(v), seen[1]);
  await page.goBack();
  await sees(v, "Users 101–150", "forward in the history");
  await page.locator("#users td.name a").first().click();
  await page.locator("#user-name", { hasText: seen[2][0] }).waitFor();
  await page.locator("#user-back").click();
  await sees(v, "Users 101–150", "back link");
  await is(v, "the third page by the back link", names(v), seen[2]);
  await page.evaluate(() => history.replaceState(null, "")); // like a link from another page
  await page.reload();
  await page.getByRole("button", { name: "First page" }).click();
  await sees(v, "Users 1–50", "the first page");
}

/** Errors are displayed with a next step and lose no input. */
async function faults(v) {
  const { page } = v;
  const busy = (route) => route.fulfill({ status: 503, headers: { "Content-Type": "application/problem+json", "Retry-After": "30" }, body: JSON.stringify({
    type: "http://localhost/problems/service_unavailable", title: "Temporarily unavailable", status: 503, detail: "The service cannot answer right now.", code: "service_unavailable", request_id: "x",
  }) });
  await page.route(/\/admin\/users\?/, busy);
  await page.locator("#users-filters [name=role]").selectOption("superuser");
  await sees(v, "The server is busy. Try again in 30 seconds.", "503");
  await shot(v, "busy");
  await page.unroute(/\/admin\/users\?/);
  await page.getByRole("button", { name: "Try again" }).click();
  await arrived(v);

  await page.locator("#users td.name a").first().click();
  await sees(v, "Recent events");
  await page.locator("#details-last").fill("Typed Offline");
  await v.context.setOffline(true);
  await page.locator("#details button[type=submit]").click();
  await sees(v, "The server cannot be reached", "offline");
  await is(v, "typed while offline", page.locator("#details-last").inputValue(), "Typed Offline");
  await v.context.setOffline(false);
  v.expected.push(/ERR_INTERNET_DISCONNECTED/, /ERR_INTERNET_DISCONNECTED/);
  await page.locator("#details-undo").click();
}

/** The page sends only changed members, shows errors at their fields, and keeps the input. */
async function edit(v) {
  const { page, server } = v;
  inviteUser(server, { username: "grace", email: "grace@harbour.example", password });
  await open(v, "?view=users&q=grace@harbour");
  await page.getByRole("link", { name: "grace", exact: true }).click();
  await page.locator("#user-name", { hasText: "grace" }).waitFor();
  await page.locator("#details-username").fill("root");
  allow(v, 409, "admin/users/\\d+");
  await page.keyboard.press("Enter");
  await sees(v, "Another user has this username. Choose another one.", "edit");
  await is(v, "focus on the invalid field", focused(v), "details-username");
  await page.locator("#details-username").fill("not @ name");
  allow(v, 422, "admin/users/\\d+");
  await page.keyboard.press("Enter");
  await sees(v, "This does not have the right form.", "edit");
  await shot(v, "refused");
  await page.locator("#details-username").fill("grace");
  await page.locator("#details-last").fill("Hopper");
  await page.locator("#details-locale").selectOption("ko");
  await page.getByRole("link", { name: "Users" }).first().click();
  await sees(v, "Your changes to grace are not saved.", "unsaved");
  await page.goBack();
  await page.locator("#user-name", { hasText: "grace" }).waitFor();
  await until(v, "the typed value", async () => (await page.locator("#details-last").inputValue()) === "Hopper");
  await page.locator("#details button[type=submit]").click();
  await sees(v, "Saved.");
  await is(v, "the request body", page.evaluate(() => window.patched), { last_name: "Hopper", locale: "ko" });
  await until(v, "the new name", async () => (await page.locator("#user-badges").innerText()).includes("Hopper"));
  await sees(v, "Profile changed", "recent events");
  await sees(v, "Language: none → ko", "recent events");
  await page.locator("#all-events").click();
  await until(v, "the events of one user", async () => query(v).get("view") === "events" && (await page.locator("#events td.what").count()) === 2);
  await shot(v, "events-of-one");
  await page.locator("#events-filters [name=user_id]").fill("GRACE");
  await until(v, "a user by name", async () => query(v).get("user_id") === "GRACE");
  await page.locator("#events-list:not([aria-busy])").waitFor();
  await is(v, "events of a user by name", page.locator("#events td.id").allTextContents().then((all) => [...new Set(all)]), ["grace"]);
  await page.locator("#events-filters [name=user_id]").fill("gra");
  await sees(v, "No events found", "a part of a name");
  await page.locator("#events-filters [name=user_id]").fill("");
  await page.locator("#events-filters [name=actor_id]").fill("root");
  await page.locator("#events-list:not([aria-busy]) td.by").first().waitFor();
  await until(v, "events by a staff member", async () => (await page.locator("#events td.by").allTextContents()).every((by) => by === "you"));
  await open(v, "?view=events&kind=profile_changed");
  await page.locator("#events td.by").first().waitFor();
  await is(v, "the actor", page.locator("#events td.by").first().textContent(), "you");
  await page.locator("#events td.by a").first().click();
  await page.locator("#user-name", { hasText: "root" }).waitFor();
}

/** Two staff members change the same user. The second one sees a conflict and keeps the input. */
async function twoEditors(v) {
  const { page, server } = v;
  await open(v, "?view=users&q=grace@harbour");
  await page.getByRole("link", { name: "grace", exact: true }).click();
  await page.locator("#user-name", { hasText: "grace" }).waitFor();
  await page.locator("#details-locale").selectOption("");
  sql(server, "UPDATE users SET first_name = 'Amazing', version = version + 1 WHERE username = 'grace';");
  allow(v, 412, "admin/users/\\d+");
  await page.locator("#details button[type=submit]").click();
  await sees(v, "This has been changed in the meantime", "two editors");
  await until(v, "the change of the other editor", async () => (await page.locator("#details-first").inputValue()) === "Amazing");
  await is(v, "the typed value", page.locator("#details-locale").inputValue(), "");
  await shot(v, "two-editors");
  await page.locator("#details button[type=submit]").click();
  await sees(v, "Saved.", "two editors");
  await is(v, "the request body", page.evaluate(() => window.patched), { locale: null });
  sql(server, "UPDATE users SET first_name = 'Elsewhere', version = version + 1 WHERE username = 'grace';");
  await page.locator("#roles [name=is_staff]").check();
  allow(v, 412, "admin/users/\\d+");
  await page.locator("#roles button").click();
  await sees(v, "This has been changed in the meantime", "roles of two editors");
}

/** The log can be filtered by several kinds and by days. */
async function log(v) {
  const { page } = v;
  await open(v, "?view=events");
  await page.locator("#events td.what").first().waitFor();
  await page.locator("#events-kinds summary").click();
  await page.getByLabel("Profile changed").check();
  await page.getByLabel("Deactivated").check();
  await until(v, "two kinds", async () => query(v).get("kind") === "profile_changed,deactivated");
  await page.locator("#events-list:not([aria-busy])").waitFor();
  await is(v, "kinds in the list", page.locator("#events td.what").allTextContents().then((all) => [...new Set(all)].sort()), ["Deactivated", "Profile changed"]);
  await is(v, "the text of the menu", page.locator("#kinds-chosen").textContent(), "2 kinds");
  await is(v, "the user's name", page.locator("#events td.id a", { hasText: "grace" }).count().then((n) => n > 0), true);
  await shot(v, "kinds");
  await page.keyboard.press("Escape");
  const day = (days) => new Date(Date.now() + days * 86_400_000).toLocaleDateString("sv");
  await page.locator("[name=from]").fill(day(0));
  await until(v, "the day in the address", async () => query(v).get("from") === day(0));
  await page.locator("#events-list:not([aria-busy]) td.what").first().waitFor();
  await page.locator("[name=to]").fill(day(-1));
  await sees(v, "No events found", "days");
  await page.locator("[name=from]").fill(day(-2));
  await until(v, "both days", async () => query(v).get("from") === day(-2));
  await sees(v, "No events found", "days");
  await page.locator("[name=to]").fill(day(0));
  await page.locator("#events-list:not([aria-busy]) td.what").first().waitFor();
  await page.reload();
  await page.locator("#events-list:not([aria-busy]) td.what").first().waitFor();
  await is(v, "kinds after a reload", page.locator("#kinds input:checked").count(), 2);
  await page.locator("#events-clear").click();
  await until(v, "cleared", async () => query(v).get("kind") === null && query(v).get("from") === null);
  await is(v, "the menu after clearing", page.locator("#kinds-chosen").textContent(), "All events");
}

/** A newer server responds with values and members that this console does not know. */
async function unknowns(v) {
  const { page } = v;
  const event = {
    id: "01980f72-9a3b-7d10-8c44-5e1f2a3b4c5d", kind: "passkey_added", created_at: "2026-11-22T09:30:00Z", user_id: 1, username: "root", actor: "robot_arm", actor_id: null,
    actor_username: null, changes: [{ field: "shoe_size", before: null, after: "44", unit: "EU" }], detail: null, session_id: null, ip: null, user_agent: null, request_id: null, color: "red",
  };
  const known = { ...event, id: "01980f72-9a3b-7d10-8c44-5e1f2a3b4c5e", kind: "login", actor: "self" };
  await page.route(/\/admin\/events\?/, (route) => route.fulfill({ json: { flavors: ["sweet"], events: [event, known], next_cursor: null, total: 2 } }));
  await open(v, "?view=events");
  await sees(v, "Passkey added", "an unknown kind");
  await sees(v, "Robot arm", "an unknown actor");
  await sees(v, "Shoe size: none → 44", "an unknown field");
  await is(v, "all events, including an unknown one", page.locator("#events td.what").count(), 2);
  await shot(v, "unknown");
  await page.unroute(/\/admin\/events\?/);

  const problem = (status, more) => ({ status, headers: { "Content-Type": "application/problem+json" }, body: JSON.stringify({
    type: "http://localhost/problems/x", title: "X", status, detail: "Feed the cat first.", request_id: "0198f6e5-c1a7-7c3e-9d55-0b1f1c2d3e4f", ...more,
  }) });
  const answers = [
    problem(409, { code: "cat_hungry" }),
    problem(422, { code: "validation_failed", errors: [{ pointer: "/last_name", code: "too_salty", detail: "This has too much salt.", grams: 3 }] }),
  ];
  await page.route(/\/admin\/users\/\d+$/, (route) => (route.request().method() === "PATCH" ? route.fulfill(answers.shift()) : route.continue()));
  await open(v, "?view=users&q=grace@harbour");
  await page.getByRole("link", { name: "grace", exact: true }).click();
  await page.locator("#user-name", { hasText: "grace" }).waitFor();
  await page.locator("#details-last").fill("Brewster");
  allow(v, 409, "admin/users/\\d+");
  await page.locator("#details button[type=submit]").click();
  await sees(v, "Feed the cat first.", "an unknown code");
  allow(v, 422, "admin/users/\\d+");
  await page.locator("#details button[type=submit]").click();
  await sees(v, "This has too much salt.", "an unknown field code");
  await is(v, "focus on the field of an unknown code", focused(v), "details-last");
  await page.locator("#details-undo").click();
  await page.unroute(/\/admin\/users\/\d+$/);
}

/** A response of a proxy, and an error of the page itself, are not reported as a lost connection. */
async function strangers(v) {
  const { page } = v;
  for (const [status, body] of [[500, "<html>Bad gateway</html>"], [500, ""]]) {
    await page.route(/\/admin\/events\?/, (route) => route.fulfill({ status, contentType: "text/html", headers: { "Content-Length": String(body.length) }, body }));
    allow(v, status, "admin/events");
    await open(v, "?view=events");
    await sees(v, "The server cannot answer right now (status 500).", "the response of a proxy");
    await page.unroute(/\/admin\/events\?/);
  }
  await page.route(/\/admin\/events\?/, (route) => route.fulfill({ json: { events: [null], next_cursor: null } }));
  v.expected.push(/TypeError/);
  await open(v, "?view=events");
  await sees(v, "Something went wrong on this page. Reload it and try again.", "an error of the page");
  await page.unroute(/\/admin\/events\?/);
}

/** A change of address asks first, and names both addresses. */
async function newAddress(v) {
  const { page } = v;
  await open(v, "?view=users&q=grace@harbour");
  await page.getByRole("link", { name: "grace", exact: true }).click();
  await page.locator("#user-name", { hasText: "grace" }).waitFor();
  await page.locator("#details-email").fill("grace@haven.example");
  await page.locator("#details button[type=submit]").click();
  await sees(v, "Change the email address of grace?", "a change of address");
  await sees(v, "from grace@harbour.example to grace@haven.example", "a change of address");
  await shot(v, "new-address");
  await page.keyboard.press("Escape");
  await is(v, "the typed address after a cancel", page.locator("#details-email").inputValue(), "grace@haven.example");
  await is(v, "a change after a cancel", page.locator("#facts").innerText().then((text) => text.includes("haven")), false);
  await page.locator("#details button[type=submit]").click();
  await page.locator("#ask-yes").click();
  await sees(v, "A link was sent to grace@haven.example. The address changes when the user confirms it.", "a change of address");
  await sees(v, "grace@haven.example, not confirmed yet", "a change of address");
}

async function invite(v) {
  const { page } = v;
  await open(v, "?view=users");
  await page.locator("#invite-open").click();
  await page.locator("#invite-email").fill("cfo@c\u043erp.example"); // contains a Cyrillic о
  allow(v, 422, "admin/users");
  await page.keyboard.press("Enter");
  await sees(v, "This does not have the right form.", "a look-alike domain");
  await page.locator("#invite-email").fill("");
  await page.keyboard.press("Escape");
  await open(v, "?view=users");
  await page.locator("#invite-open").click();
  await is(v, "focus in the invitation", focused(v), "invite-email");
  allow(v, 409, "admin/users");
  await page.keyboard.type("grace@harbour.example");
  await page.keyboard.press("Enter");
  await sees(v, "Another account has this email address.", "invitation");
  await page.locator("#invite-email").fill("hedy@harbour.example");
  await page.locator("#invite-username").fill("hedy");
  await page.locator("#invite-first").fill("Hedy");
  await page.locator("#invite [name=is_staff]").check();
  await shot(v, "invite");
  await page.keyboard.press("Escape");
  await page.locator("#invite-open").click();
  await is(v, "typed before Escape", page.locator("#invite-username").inputValue(), "hedy");
  await page.locator("#invite button[type=submit]").click();
  await page.locator("#user-name", { hasText: "hedy" }).waitFor();
  await sees(v, "An invitation was sent to hedy@harbour.example.", "invitation");
  await is(v, "badges of an invited user", page.locator("#user-badges .warm").allTextContents(), ["Not verified", "No password"]);
  await is(v, "the button for a user without a password", page.locator("#send-mail").innerText(), "Send link to set a password");
  check((await link(v.server, "hedy@harbour.example", "reset")).length > 20, `${v.view.name}: the invitation has no link`);
}

/** A domain that is not ASCII is also displayed in ASCII, because an existing address may imitate another one. */
async function lookAlike(v) {
  const { page, server } = v;
  inviteUser(server, { username: "minji", email: "minji@\ud68c\uc0ac.example", password });
  inviteUser(server, { username: "cfo", email: "cfo@corp.example", password });
  sql(server, "UPDATE users SET email = 'cfo@c\u043erp.example', email_norm = 'cfo@xn--crp-sed.example' WHERE username = 'cfo';");
  for (const [name, ascii] of [["minji", "xn--vf4b131b.example"], ["cfo", "xn--crp-sed.example"]]) {
    await open(v, `?view=users&q=${name}@`);
    await sees(v, ascii, "the list");
    await page.getByRole("link", { name, exact: true }).click();
    await page.locator("#facts", { hasText: ascii }).waitFor();
  }
  await shot(v, "look-alike");
  await open(v, "?view=users&q=grace@harbour");
  await page.getByRole("link", { name: "grace", exact: true }).waitFor();
  await is(v, "ASCII domains shown twice", page.locator("#users .ascii").count(), 0);
}

/** Before an irreversible action, the name must be typed. */
async function remove(v) {
  const { page } = v;
  await page.locator("#delete").click();
  await is(v, "focus before a deletion", focused(v), "ask-input");
  await page.keyboard.type("headhunter");
  await page.keyboard.press("Enter");
  await is(v, "wrong name", page.locator("#ask-input-fault").textContent(), "This does not match hedy.");
  await shot(v, "delete");
  await page.locator("#ask-input").fill("hedy");
  const gone = page.url();
  await page.keyboard.press("Enter");
  await sees(v, "hedy was deleted.", "deletion");
  allow(v, 404, "admin/users/\\d+");
  allow(v, 404, "admin/users/\\d+/sessions");
  await page.goto(gone);
  await sees(v, "User not found", "deletion");
  await is(v, "focus if there is no user", focused(v), "User not found");
  await shot(v, "gone");
}

async function mails(v) {
  const { page } = v;
  await open(v, "?view=users&q=grace@harbour");
  await page.getByRole("link", { name: "grace", exact: true }).click();
  await page.locator("#send-mail:enabled").click();
  await sees(v, "An email was sent to grace@harbour.example.", "emails");
  allow(v, 429, "admin/users/\\d+/password_reset");
  await page.locator("#send-mail").click();
  await sees(v, "Too many attempts. Try again in 60 minutes.", "emails");
  // A network from which grace has signed in before is allowed ten more attempts.
  for (let i = 0; i < 21; i++) await elsewhere(v, "grace", "someone else's guess");
  await page.reload();
  await sees(v, "Sign-in blocked", "sign-in limit");
  await shot(v, "sign-in limit");
  await page.locator("#unthrottle").click();
  await sees(v, "This user can sign in again.", "sign-in limit");
  await page.locator("#unthrottle").waitFor({ state: "hidden" });
}

async function roles(v) {
  const { page } = v;
  await page.locator("#roles [name=is_superuser]").check();
  await page.locator("#roles button").click();
  await sees(v, "Make grace a superuser?", "roles");
  await page.keyboard.press("Escape");
  await until(v, "the roles on the server after a cancel", async () => !(await page.locator("#roles [name=is_superuser]").isChecked()));
  await page.locator("#roles [name=is_staff]").check();
  await page.locator("#roles button").click();
  await sees(v, "Roles saved.", "roles");
  await is(v, "role", page.locator("#user-badges .role").textContent(), "Staff");

  const two = [await elsewhere(v, "grace"), await elsewhere(v, "grace")];
  await page.reload();
  await sees(v, "Sessions (2)", "sessions");
  await page.locator("#sessions li button").first().click();
  await sees(v, "Sessions (1)", "sessions");
  await is(v, "one of two", (await Promise.all(two.map((ask) => ask()))).sort(), ["alive", "session_revoked"]);
  await page.locator("#end-all").click();
  await page.locator("#ask-yes").click();
  await sees(v, "There are no active sessions", "sessions");
  await is(v, "both", Promise.all(two.map((ask) => ask())), ["session_revoked", "session_revoked"]);
}

/**
 * The end of a session is displayed, and the input is restored when the same user signs in again.
 */
async function ends(v) {
  const { page, server } = v;
  await open(v, "?view=user&id=1");
  await page.locator("#user-name", { hasText: "root" }).waitFor();
  await page.locator("#activity").click();
  await sees(v, "This is your own account", "own account");
  await shot(v, "own");
  await page.keyboard.press("Escape");
  await page.locator("#details-first").fill("Not Saved");
  sql(server, "UPDATE sessions SET revoked_at = created_at, revoke_reason = 'logout' WHERE user_id = 1;");
  allow(v, 401, "admin/users/1");
  await page.locator("#details button[type=submit]").click();
  await sees(v, "Your session was ended", "end of the session");
  await page.locator("#signin").waitFor();
  await is(v, "focus at the end of the session", focused(v), "signin-title");
  await shot(v, "ended");
  await signIn(v, "root");
  await page.locator("#user-name", { hasText: "root" }).waitFor();
  await until(v, "the value typed before the session ended", async () => (await page.locator("#details-first").inputValue()) === "Not Saved");
  await sees(v, "Signed in. Your unsaved changes are still here.", "after the session ended");
  await is(v, "errors of the earlier session", page.locator("#user-body .fault").allTextContents().then((all) => all.join("")), "");
  const other = await v.context.newPage();
  await other.goto(`${server.origin}/console/`);
  await other.locator("#users td.name a").first().waitFor();
  await other.locator("#logout").click();
  await page.locator("#signin").waitFor();
  check(!(await page.locator("#ended").isVisible()), `${v.view.name}: a sign-out shows an alert`);
  const left = await page.evaluate(() => document.body.textContent + [...document.querySelectorAll("input")].map((e) => e.value).join());
  await is(v, "data left after a sign-out", left.match(/.{0,20}(root|Not Saved|Chrome on Linux).{0,20}/), null);
}

// ---------------------------------------------------------------- the limits of other users

async function limits(v) {
  const { page, server } = v;
  inviteUser(server, { username: "sam", email: "sam@harbour.example", password });
  inviteUser(server, { username: "plain", email: "plain@harbour.example", password });
  sql(server, "UPDATE users SET is_staff = 1 WHERE username = 'sam';");
  await arrive(v);
  await signIn(v, "plain");
  await sees(v, "You are signed in as plain, which is not a staff account.", "an ordinary user");
  await shot(v, "forbidden");
  await page.locator("#forbidden-logout").click();
  await page.locator("#signin").waitFor();

  await signIn(v, "sam");
  await arrived(v);
  await shot(v, "users");
  await open(v, "?view=user&id=1");
  await sees(v, "only superusers can change it", "staff member views a staff account");
  for (const name of ["#activity", "#send-mail", "#delete", "#details-username", "#roles button"]) check(await page.locator(name).isDisabled(), `${v.view.name}: ${name} is enabled`);
  await shot(v, "staff");
  await lateUser(v);
  await open(v, "?view=users&q=plain@harbour");
  await page.getByRole("link", { name: "plain", exact: true }).click();
  await page.locator("#activity:enabled").waitFor();
  await sees(v, "Only superusers can change roles.", "staff member views an ordinary user");
  check(await page.locator("#roles button").isDisabled(), `${v.view.name}: the roles form is enabled`);
  await shot(v, "user");
  await page.locator("#invite-open").waitFor({ state: "hidden" });
  await open(v, "?view=users");
  await page.locator("#invite-open").click();
  check(!(await page.locator("#invite-roles").isVisible()), `${v.view.name}: the invitation form offers roles`);
  await page.keyboard.press("Escape");

  sql(server, "UPDATE users SET is_staff = 0 WHERE username = 'sam';");
  allow(v, 403, "admin/users");
  await page.locator("[name=is_active]").selectOption("true");
  await sees(v, "You are signed in as sam, which is not a staff account.", "a removed role");
}

/** While a user is loaded, no button is enabled that the server may reject. The responses arrive in both orders. */
async function lateUser(v) {
  const { page } = v;
  await elsewhere(v, "root");
  for (const late of [/\/admin\/users\/1$/, /\/admin\/users\/1\/sessions$/]) {
    let arrive;
    const held = new Promise((done) => { arrive = done; });
    await page.route(late, async (route) => { await held; await route.continue(); });
    await open(v, "?view=user&id=1");
    if (late.source.endsWith("1$")) await page.locator("#sessions li button").first().waitFor();
    else await page.locator("#user-name", { hasText: "root" }).waitFor();
    const enabled = page.locator("#user-body button:enabled:visible").allTextContents();
    await is(v, "buttons before everything is loaded", enabled, []);
    arrive();
    await page.locator("#user-name", { hasText: "root" }).waitFor();
    await page.locator("#sessions li button").first().waitFor();
    await is(v, "buttons for a superuser", page.locator("#user-body button:enabled:visible").allTextContents(), []);
    await page.unroute(late);
  }
}

// ---------------------------------------------------------------- main

async function visit(browser, server, view) {
  const started = Date.now();
  const v = { ...(await visitor(browser, server, view)), password };
  v.context.setDefaultTimeout(patience);
  await v.page.addInitScript(() => {
    const { fetch } = window;
    window.fetch = (request, ...more) => {
      if (request.method === "PATCH") request.clone().json().then((body) => { window.patched = body; });
      return fetch(request, ...more);
    };
  });
  await view.walk(v).catch((error) => check(false, `${view.name}: ${error.stack}`));
  // Ignore aborted requests and the 503 responses that the client retries on a busy machine. The
  // user sees neither.
  v.seen.errors = v.seen.errors.filter((line) => !/^net::ERR_ABORTED \(\/(admin|pages)\/|status of 503 .*\(\/admin\//.test(line));
  await leave(v);
  console.log(`  ${view.name}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

async function main() {
  mkdirSync(shots, { recursive: true });
  console.error("building scripts/sqlite (the first build takes a minute) …");
  execFileSync("go", ["build", "-o", sqlite, "./scripts/sqlite"], { cwd: root, stdio: "inherit" });
  const server = await startServer(binary, { ACCOUNTS_MAILS_PER_RECIPIENT: "1/1h" });
  let browser;
  try {
    inviteUser(server, { username: "root", email: "root@example.com", password }, "--superuser");
    const began = Date.now();
    sql(server, readFileSync(join(here, "crowd.sql"), "utf8"));
    console.log(`  100,000 users in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    browser = await launch();
    const [first, ...rest] = views;
    await visit(browser, server, first); // ends every session of the superuser
    await Promise.all(rest.map((view) => visit(browser, server, view)));
  } catch (error) {
    console.error(`--- the server's last lines\n${server.log.slice(-3000)}\n---`);
    throw error;
  } finally {
    await browser?.close();
    await stopServer(server);
  }
}

await conclude("console", shots, main);
