// Looks at the pages, the demo and the console as people with other needs do: in a narrow window,
// with more space between letters and lines (WCAG 1.4.12), with forced colors, on paper, and with a
// password manager.
//
//   node scripts/browser/access.mjs [ACCOUNTSD]
//
// ACCOUNTSD   the server's binary (default bin/accountsd; build it first)
// VIEW        only the views whose name contains this
// SHOTS       directory for the screenshots (default .cache/shots)
// CHROMIUM    the browser (default /usr/bin/chromium)
//
// It fails if a page is wider than its window, a text or button is cut, forced colors hide the
// current page or the border of a control, a printed page has controls or a dark background, or a
// field for a password has no name of the account for password managers.
import { mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { check, conclude, cut, fits, inviteUser, launch, leave, startServer, stopServer, visitor } from "./harness.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const binary = resolve(process.argv[2] ?? join(root, "bin/accountsd"));
const shots = resolve(process.env.SHOTS ?? join(root, ".cache/shots"));
const password = "nine green lamps over the harbour";

const views = [
  { name: "dark-320", colorScheme: "dark", width: 320, height: 640 },
  { name: "light-390", colorScheme: "light", width: 390, height: 844 },
  { name: "dark-1280", colorScheme: "dark", width: 1280, height: 900 },
].filter((view) => view.name.includes(process.env.VIEW ?? ""));

const token = "#token=Jt1gxBHnTz3Wqj6LkO0fJm2d8m8b8oXq4qk7VZb1x0Y";

/** The places to look at: a name, a path, and an element that is there once the place is loaded. */
const outside = [
  ["verify", `/pages/verify${token}`, "#verify"], ["reset", `/pages/reset${token}`, "#reset"], ["forgotten", "/pages/reset", "#request"],
  ["email-change", `/pages/email-change${token}`, "#change"], ["demo", "/demo/", "#signup"], ["console", "/console/", "#login"],
];
const inside = [
  ["demo-in", "/demo/", "#profile:not([aria-busy])"], ["users", "/console/", "#users-list:not([aria-busy]) td.name a"],
  ["user", "/console/?view=user&id=1", "#sessions .row-title"], ["events", "/console/?view=events", "#events td.what"],
];

async function go(v, path, ready) {
  await v.page.goto("about:blank");
  await v.page.goto(v.server.origin + path);
  await v.page.locator(ready).first().waitFor();
}

const picture = (v, name) => v.page.screenshot({ path: join(shots, `access-${v.view.name}-${name}.png`), fullPage: true });

/** Sets the spacing of WCAG 1.4.12. A constructed style sheet is not subject to the policy of the page. */
async function spaced(v, name) {
  await v.page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; } p { margin-bottom: 2em !important; }");
    document.adoptedStyleSheets = [sheet];
  });
  await fits(v, `${name} with text spacing`);
  const lost = await cut(v);
  check(lost.length === 0, `${v.view.name} ${name} with text spacing: cut texts: ${lost.join(" | ")}`);
  await picture(v, `${name}-spacing`);
  await v.page.evaluate(() => { document.adoptedStyleSheets = []; });
}

/** With forced colors, the browser removes backgrounds and shadows. */
async function forced(v, name) {
  await v.page.emulateMedia({ forcedColors: "active", colorScheme: v.view.colorScheme });
  const hidden = await v.page.evaluate(() => {
    const faults = [];
    const seen = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility({ visibilityProperty: true }));
    for (const e of seen("[aria-current], [data-language][aria-pressed=true]")) if (getComputedStyle(e).outlineStyle === "none") faults.push(`the state of ${e.textContent.trim()}`);
    for (const e of seen("select")) if (getComputedStyle(e).appearance === "none") faults.push("the arrow of a select");
    for (const e of seen(".badge, .chip:not(.none)")) if (getComputedStyle(e).borderTopStyle === "none") faults.push(`the border of ${e.textContent.trim()}`);
    const second = seen(".secondary:enabled")[0];
    const first = seen(".primary:enabled")[0];
    if (first && second && getComputedStyle(first).backgroundColor === getComputedStyle(second).backgroundColor) faults.push("the primary action");
    return faults;
  });
  check(hidden.length === 0, `${v.view.name} ${name} with forced colors: hidden: ${[...new Set(hidden)].join(" | ")}`);
  await picture(v, `${name}-forced`);
  await v.page.emulateMedia({ forcedColors: "none", colorScheme: v.view.colorScheme });
}

/** On paper there are no controls, and the background is white in the dark scheme too. */
async function printed(v, name) {
  await v.page.emulateMedia({ media: "print", colorScheme: v.view.colorScheme });
  const faults = await v.page.evaluate(() => [
    ...[...document.querySelectorAll("button:not(th *), .filters, nav, .skip")].filter((e) => e.checkVisibility({ visibilityProperty: true })).map((e) => `${e.tagName} ${e.textContent.trim().slice(0, 20)}`),
    ...[document.body, ...document.querySelectorAll(".card")].map((e) => getComputedStyle(e).backgroundColor).filter((color) => color !== "rgb(255, 255, 255)"),
  ]);
  check(faults.length === 0, `${v.view.name} ${name} on paper: ${[...new Set(faults)].join(" | ")}`);
  await picture(v, `${name}-print`);
  await v.page.emulateMedia({ media: "screen", colorScheme: v.view.colorScheme });
}

/** A form with a password names the account, and a field for a new password states its rules. */
async function managed(v, name) {
  const faults = await v.page.evaluate(() => {
    const faults = [];
    for (const form of document.forms) {
      const fields = [...form.querySelectorAll("[autocomplete$=password]")];
      if (fields.length > 0 && !form.querySelector("[autocomplete=username]")) faults.push(`#${form.id} has no username`);
      for (const e of fields) if (e.autocomplete === "new-password" && e.getAttribute("passwordrules") !== "minlength: 12; allowed: unicode;") faults.push(`#${e.id} has no rules`);
    }
    for (const e of document.querySelectorAll("input:not([type=checkbox], [type=radio], [type=hidden], [type=date], [type=search])")) if (!e.autocomplete) faults.push(`#${e.id || e.name} has no autocomplete`);
    return faults;
  });
  check(faults.length === 0, `${v.view.name} ${name}: ${faults.join(" | ")}`);
}

async function look(v, places) {
  for (const [name, path, ready] of places) {
    await go(v, path, ready);
    await v.page.waitForFunction(() => document.querySelector("[autocomplete=new-password]")?.getAttribute("passwordrules") !== null, null, { timeout: 3000 }).catch(() => undefined); // the settings are read
    for (const part of [managed, spaced, forced, printed]) await part(v, name);
  }
}

async function visit(browser, server, view) {
  const v = { ...(await visitor(browser, server, view)), password };
  await look(v, outside);
  await go(v, "/console/", "#login");
  await v.page.locator("#login-username").fill("root");
  await v.page.locator("#login-password").fill(password);
  await v.page.keyboard.press("Enter");
  await v.page.locator("#users-list td.name a").first().waitFor();
  await look(v, inside);
  // The page for people who look for it by its well-known address.
  await v.page.goto(`${server.origin}/.well-known/change-password`);
  check(v.page.url() === `${server.origin}/pages/reset`, `${view.name}: the well-known address leads to ${v.page.url()}`);
  await leave(v);
}

async function main() {
  mkdirSync(shots, { recursive: true });
  const server = await startServer(binary, {});
  let browser;
  try {
    inviteUser(server, { username: "root", email: "root@example.com", password }, "--superuser");
    inviteUser(server, { username: "wilhelmina.featherstonehaugh", email: "wilhelmina.featherstonehaugh@university.example", password });
    browser = await launch();
    for (const view of views) await visit(browser, server, view);
  } finally {
    await browser?.close();
    await stopServer(server);
  }
}

await conclude("access", shots, main);
