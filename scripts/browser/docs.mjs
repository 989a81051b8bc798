// Uses /docs/ with the mouse: sign in, read the profile, refresh, log out, and read the guides, with
// a separate server and data directory.
//
//   node scripts/browser/docs.mjs [ACCOUNTSD]
//
// ACCOUNTSD   the server's binary (default bin/accountsd; build it first)
// SHOTS       directory for the screenshots (default .cache/shots)
// CHROMIUM    the browser (default /usr/bin/chromium)
//
// It fails on a wrong status, a Content-Security-Policy violation, an error in the browser's
// console, a request to another host, or a page wider than its window. The exit status is 0 if all
// checks pass.
import { mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { check, conclude, inviteUser, launch, startServer, stopServer, watch } from "./harness.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const binary = resolve(process.argv[2] ?? join(root, "bin/accountsd"));
const shots = resolve(process.env.SHOTS ?? join(root, ".cache/shots"));
const credentials = { username: "ada", password: "nine green lamps over the harbour" };

const views = [
  { name: "light-1280", colorScheme: "light", width: 1280, height: 900, transports: ["cookies", "hybrid", "server_held"] },
  { name: "dark-1280", colorScheme: "dark", width: 1280, height: 900, transports: ["hybrid"] },
  { name: "light-390", colorScheme: "light", width: 390, height: 844, transports: ["hybrid"] },
];


// ---------------------------------------------------------------- the page

// operation opens an operation, fills in the body if there is one, executes it, and returns the
// request and the status.
async function operation(page, tag, id, path, body) {
  const block = page.locator(`#operations-${tag}-${id}`);
  const execute = block.locator("button.execute");
  if (!(await execute.isVisible())) await block.locator(".opblock-summary-control").click();
  await execute.waitFor();
  const clear = block.locator("button.btn-clear");
  if (await clear.isVisible()) await clear.click();
  if (body !== undefined) await block.locator("textarea.body-param__text").fill(JSON.stringify(body, null, 2));
  const answer = page.waitForResponse((response) => new URL(response.url()).pathname === path);
  await execute.click();
  const response = await answer;
  const shown = block.locator(".live-responses-table .response-col_status").filter({ hasText: String(response.status()) });
  await shown.first().waitFor();
  return { status: response.status(), headers: await response.request().allHeaders(), block };
}

async function walk(page, view, transport, first) {
  const title = `${view.name}, ${transport}`;
  const bearer = transport === "hybrid";
  const state = page.locator("#state");

  const body = transport === "hybrid" ? credentials : { ...credentials, token_transport: transport };
  const login = await operation(page, "session", "login", "/accounts/login", body);
  check(login.status === 200, `${title}: login answers ${login.status}, expected 200`);
  check((await state.textContent()).startsWith("signed in"), `${title}: the page says "${await state.textContent()}"`);

  const profile = await operation(page, "profile", "getProfile", "/accounts/profile");
  check(profile.status === 200, `${title}: profile answers ${profile.status}, expected 200`);
  check((profile.headers.authorization !== undefined) === bearer, `${title}: Authorization is ${bearer ? "" : "not "}sent with it`);
  if (first) await shot(page, `${view.name}-profile`, profile.block);

  // The response has expires_in like a login's, but no tokens: the page keeps its tokens.
  const reauthenticated = await operation(page, "session", "reauthenticate", "/accounts/reauthenticate", { password: credentials.password });
  check(reauthenticated.status === 200, `${title}: reauthenticate answers ${reauthenticated.status}, expected 200`);
  const again = await operation(page, "profile", "getProfile", "/accounts/profile");
  check(again.status === 200, `${title}: profile after reauthenticate answers ${again.status}, expected 200`);

  const refresh = await operation(page, "session", "refreshToken", "/accounts/refresh_token");
  check(refresh.status === 200, `${title}: refresh_token answers ${refresh.status}, expected 200`);
  check(Boolean(refresh.headers["x-csrftoken"]), `${title}: X-CSRFToken is sent with it`);

  const logout = await operation(page, "session", "logout", "/accounts/logout");
  check(logout.status === 204, `${title}: logout answers ${logout.status}, expected 204`);
  check((await state.textContent()) === "not signed in", `${title}: the page says "${await state.textContent()}"`);

  const after = await operation(page, "profile", "getProfile", "/accounts/profile");
  check(after.status === 401, `${title}: profile afterward has status ${after.status}, expected 401`);
  check(after.headers.authorization === undefined, `${title}: no Authorization is sent with it`);
}

// A second login in a cookie transport makes the page forget the Bearer token of the first one.
// Otherwise the server would use only the Authorization header.
async function changeTransport(page, view) {
  await operation(page, "session", "login", "/accounts/login", credentials);
  await operation(page, "session", "login", "/accounts/login", { ...credentials, token_transport: "cookies" });
  const profile = await operation(page, "profile", "getProfile", "/accounts/profile");
  check(profile.status === 200 && profile.headers.authorization === undefined,
    `${view.name}, hybrid then cookies: profile answers ${profile.status}, expected 200 without Authorization`);
  const logout = await operation(page, "session", "logout", "/accounts/logout");
  check(logout.status === 204, `${view.name}, hybrid then cookies: logout answers ${logout.status}, expected 204`);
}

// The tags have the order of the contract, and login is the first operation.
async function checkOrder(page, view, server) {
  const contract = await (await fetch(`${server.origin}/openapi.json`)).json();
  const wanted = contract.tags.map((tag) => tag.name).join(" ");
  const shown = (await page.locator(".opblock-tag").evaluateAll((tags) => tags.map((tag) => tag.dataset.tag))).join(" ");
  check(shown === wanted, `${view.name}: the tags are ${shown}, expected ${wanted}`);
  const first = await page.locator(".opblock").first().getAttribute("id");
  check(first === "operations-session-login", `${view.name}: the first operation is ${first}`);
}

// shot takes a screenshot of the window at a block, or of the whole page.
async function shot(page, name, block) {
  if (block) await block.evaluate((element) => element.scrollIntoView());
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: block === undefined });
}

async function visit(browser, server, view) {
  console.log(view.name);
  const context = await browser.newContext({
    viewport: { width: view.width, height: view.height }, colorScheme: view.colorScheme, reducedMotion: "reduce",
  });
  context.setDefaultTimeout(60_000);
  try {
    const page = await context.newPage();
    const seen = await watch(page, server.origin);
    await page.goto(`${server.origin}/docs/`);
    await page.locator("#operations-session-login").waitFor();
    await checkOrder(page, view, server);
    await shot(page, `${view.name}-start`);
    for (const [index, transport] of view.transports.entries()) await walk(page, view, transport, index === 0);
    if (view === views[0]) await changeTransport(page, view);
    await shot(page, `${view.name}-end`, page.locator("body"));

    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    check(width <= view.width, `${view.name}: the page is ${width} px wide, the window ${view.width}`);
    judge(view, seen);
  } finally {
    await context.close();
  }
}

// Reads every guide without JavaScript, from the link in the header of Swagger UI on.
async function readGuides(browser, server, view) {
  const context = await browser.newContext({
    viewport: { width: view.width, height: view.height }, colorScheme: view.colorScheme, javaScriptEnabled: false,
  });
  try {
    const page = await context.newPage();
    const seen = await watch(page, server.origin);
    await page.goto(`${server.origin}/docs/`);
    await page.locator("header").getByRole("link", { name: "Guides" }).click();
    await page.waitForURL(`${server.origin}/docs/guides/`);
    const guides = await page.locator(".contents > ul > li > a").evaluateAll((links) => links.map((link) => link.href));
    check(guides.length > 1, `${view.name}: ${guides.length} guides are listed`);
    for (const guide of guides) {
      const response = await page.goto(guide);
      check(response.status() === 200, `${view.name}: ${guide} answers ${response.status()}, expected 200`);
      const { width, wide } = await page.evaluate(() => ({
        width: document.documentElement.scrollWidth,
        wide: [...document.querySelectorAll("main > *")].filter((part) => part.getBoundingClientRect().right > innerWidth).map((part) => part.outerHTML.slice(0, 80)),
      }));
      check(width <= view.width && wide.length === 0, `${view.name}: ${guide} is ${width} px wide, the window ${view.width}: ${wide.join(" | ")}`);
      await shot(page, `${view.name}-guide-${guide.split("/").at(-1) || "index"}`, page.locator("body"));
    }
    check(seen.errors.length === 0, `${view.name}: ${seen.errors.length} console errors in the guides: ${seen.errors.join(" | ")}`);
    check(seen.foreign.length === 0, `${view.name}: ${seen.foreign.length} requests of the guides to other hosts: ${seen.foreign.join(" | ")}`);
  } finally {
    await context.close();
  }
}

// The browser writes a line to its console for each 401 after a logout. No other lines are allowed.
function judge(view, seen) {
  const expected = seen.errors.filter((text) => /status of 401 .*\(\/accounts\/profile\)$/.test(text));
  const errors = seen.errors.filter((text) => !expected.includes(text));
  check(expected.length === view.transports.length, `${view.name}: ${expected.length} console lines for the expected 401s`);
  check(errors.length === 0, `${view.name}: ${errors.length} console errors ${errors.join(" | ")}`);
  check(seen.violations.length === 0, `${view.name}: ${seen.violations.length} policy violations ${seen.violations.join(" | ")}`);
  check(seen.foreign.length === 0, `${view.name}: ${seen.foreign.length} requests to other hosts ${seen.foreign.join(" | ")}`);
}

// ---------------------------------------------------------------- main

async function main() {
  mkdirSync(shots, { recursive: true });
  const server = await startServer(binary);
  let browser;
  try {
    inviteUser(server, { ...credentials, email: "ada@example.com" }, "--first-name", "Ada", "--last-name", "Lovelace");
    browser = await launch();
    for (const view of views) await readGuides(browser, server, view);
    for (const view of views) await visit(browser, server, view);
  } catch (error) {
    if (server.log) console.error(`--- the server's last lines\n${server.log.slice(-3000)}\n---`);
    throw error;
  } finally {
    await browser?.close();
    await stopServer(server);
  }
}

await conclude("docs", shots, main);
