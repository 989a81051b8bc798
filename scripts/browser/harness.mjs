// Shared parts of the browser tests: a server with its own data directory, a browser that reaches
// no other host, and the detection of events that must not occur in a page.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

// Uses IPv4, because another program may use the same port on ::1. The server listens on IPv4 too.
export function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once("error", fail);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

// withoutSettings removes the caller's server settings, for instance of a database.
function withoutSettings(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("ACCOUNTS_")));
}

// startServer returns once the server is ready. Stop it with stopServer.
export async function startServer(binary, settings = {}) {
  if (!existsSync(binary)) throw new Error(`server binary not found: ${binary}`);
  const dataDir = mkdtempSync(join(tmpdir(), "accounts-browser-"));
  const port = await freePort();
  const env = { ...withoutSettings(process.env), ACCOUNTS_ADDR: `localhost:${port}`, ACCOUNTS_DATA_DIR: dataDir, ...settings };
  const server = { binary, origin: `http://localhost:${port}`, env, dataDir, log: "" };
  await serve(server);
  return server;
}

// restartServer restarts the server on the same port, with the same data.
export async function restartServer(server) {
  await end(server);
  await serve(server);
}

async function serve(server) {
  const child = spawn(server.binary, ["serve"], { env: server.env, cwd: server.dataDir, stdio: ["ignore", "pipe", "pipe"] });
  server.child = child;
  server.ended = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => { server.log = (server.log + text).slice(-200_000); });
  }
  server.exit = new Promise((done) => {
    child.once("error", (error) => { server.log += error.message; server.ended = true; done(); });
    child.once("exit", () => { server.ended = true; done(); });
  });
  for (const end = Date.now() + 30_000; Date.now() < end && !server.ended;) {
    const answer = await fetch(`${server.origin}/readyz`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  await stopServer(server);
  throw new Error(`the server did not become ready\n${server.log.slice(-3000)}`);
}

async function end(server) {
  if (server.ended) return;
  server.child.kill("SIGTERM");
  const timer = setTimeout(() => server.child.kill("SIGKILL"), 20_000);
  await server.exit;
  clearTimeout(timer);
}

export async function stopServer(server) {
  await end(server);
  rmSync(server.dataDir, { recursive: true, force: true });
}

// inviteUser creates a user with a verified address.
export function inviteUser(server, { username, email, password }, ...more) {
  const args = ["user", "create", "--username", username, "--email", email, "--password-stdin", ...more];
  const run = spawnSync(server.binary, args, { env: server.env, cwd: server.dataDir, input: `${password}\n`, encoding: "utf8" });
  if (run.status !== 0) throw new Error(`user create: exit ${run.status} ${run.error ?? ""}\n${run.stdout}${run.stderr}`);
}

// launch starts the browser. It reaches only localhost, and this machine under the names that
// `hosts` maps to it.
export function launch({ hosts = [], ...options } = {}) {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(executablePath)) throw new Error(`browser not found: ${executablePath}`);
  const rules = [...hosts.map((host) => `MAP ${host} 127.0.0.1`), "MAP * ~NOTFOUND", "EXCLUDE localhost"];
  return chromium.launch({
    executablePath,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", `--host-resolver-rules=${rules.join(", ")}`],
    ...options,
  });
}

// watch records policy violations, errors and failed requests, requests to other hosts, all
// requests, and all lines of the browser's console. The caller evaluates them at the end.
export async function watch(page, origin) {
  const seen = { violations: [], errors: [], foreign: [], requests: [], lines: [] };
  await page.exposeFunction("reportViolation", (text) => seen.violations.push(text));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("console", (message) => {
    const line = `${message.text()} (${new URL(message.location().url || origin).pathname})`;
    seen.lines.push(line);
    if (message.type() === "error" || message.type() === "warning") seen.errors.push(line);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && !["data:", "blob:"].includes(url.protocol)) seen.foreign.push(request.url());
    seen.requests.push(request);
  });
  page.on("requestfailed", (request) => seen.errors.push(`${request.failure()?.errorText} (${new URL(request.url()).pathname})`));
  return seen;
}

// decodeMail decodes the two transfer encodings of mail text (RFC 2045), as far as needed to find a
// link.
function decodeMail(mail) {
  const parts = mail.split(/\r?\n--/);
  return parts.map((part) => {
    const [, head, body] = /^([\s\S]*?)\r?\n\r?\n([\s\S]*)$/.exec(part) ?? [null, "", part];
    if (/^content-transfer-encoding:\s*base64/im.test(head)) return head + Buffer.from(body, "base64").toString();
    if (!/^content-transfer-encoding:\s*quoted-printable/im.test(head)) return head + body;
    return head + body.replace(/=\r?\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  }).join("\n");
}

const opened = new Set(); // mail files already used

// link waits for a mail to address with a link to the page and returns its token.
export async function link(server, address, name) {
  const dir = join(server.dataDir, "mail");
  const pattern = new RegExp(`${server.origin}/pages/${name}#(?:[^\\s"<>]*&(?:amp;)?)?token=([A-Za-z0-9_-]+)`);
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    let files = [];
    try { files = readdirSync(dir).filter((file) => file.endsWith(".eml") && !opened.has(file)); } catch { /* not made yet */ }
    for (const file of files) {
      const mail = readFileSync(join(dir, file), "utf8");
      const found = pattern.exec(decodeMail(mail));
      if (!mail.includes(address) || !found) continue;
      opened.add(file);
      return found[1];
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`no email to ${address} with a link to ${name}`);
}

const faults = [];

// check records a failure; conclude reports them at the end.
export function check(holds, text) {
  if (holds) return;
  console.log(`  FAIL ${text}`);
  faults.push(text);
}

// conclude runs a test and ends the process, with status 0 if all checks pass.
export async function conclude(name, shots, walk) {
  try {
    await walk();
  } catch (error) {
    faults.push(String(error));
    console.error(error);
  }
  console.log(faults.length === 0 ? `${name}: all checks passed; screenshots in ${shots}` : `${name}: ${faults.length} FAILED`);
  process.exit(faults.length === 0 ? 0 : 1);
}

// removeExpected removes each expected line once from the lines of the console. It returns the
// other lines, and the expected lines that are missing.
export function removeExpected(lines, expected) {
  const missing = [...expected];
  const other = lines.filter((text) => {
    const at = missing.findIndex((pattern) => pattern.test(text));
    if (at >= 0) missing.splice(at, 1);
    return at < 0;
  });
  return { other, missing };
}

// visitor opens a new window with its own cookies. Patterns of lines expected in the browser's
// console go into `expected`.
export async function visitor(browser, server, view) {
  const context = await browser.newContext({
    viewport: { width: view.width, height: view.height }, colorScheme: view.colorScheme, reducedMotion: "reduce", locale: "en-GB",
  });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const seen = await watch(page, server.origin);
  await page.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  return { context, page, seen, view, server, expected: [] };
}

// still checks that the layout of the page has not shifted while it loaded, before any interaction.
export async function still(v, what) {
  const shifted = await v.page.evaluate(() => window.shifted);
  check(shifted < 0.02, `${v.view.name} ${what}: the layout shifted by ${shifted.toFixed(3)}`);
}

// fits checks that the page fits into its window, and that no button is cut or outside of it.
export async function fits(v, name) {
  const { page, view } = v;
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  check(width <= view.width, `${view.name} ${name}: the page is ${width} px wide, the window ${view.width}`);
  // Hidden texts that are positioned outside of their list would make the page longer than its content.
  const below = await page.evaluate(() => document.documentElement.scrollHeight - Math.max(innerHeight, document.body.getBoundingClientRect().bottom + scrollY));
  check(below < 2, `${view.name} ${name}: ${below} px of the page are empty`);
  const cut = await page.locator("button:visible, a.button:visible").evaluateAll((all) => all.filter((e) => {
    const { left, right } = e.getBoundingClientRect();
    return e.scrollWidth > e.clientWidth + 1 || left < 0 || right > innerWidth;
  }).map((e) => `${e.id || e.textContent.trim()} ${e.scrollWidth} of ${e.clientWidth} px`));
  check(cut.length === 0, `${view.name} ${name}: buttons are cut: ${cut.join()}`);
}

// cut returns cells, badges and times of which a part is hidden.
export const cut = (v) => v.page.locator("td:visible, .badge:visible, time:visible, dd:visible, th:visible, option:checked").evaluateAll((all) =>
  all.filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== "visible").map((e) => `${e.className} ${e.textContent.trim()}`));

// shot takes a screenshot of the whole page or of the window. It checks that the page fits into its
// window and that each control has a name.
export async function shot(v, file, name, fullPage = true) {
  const { page, view } = v;
  await fits(v, name);
  const nameless = await page.locator("input:visible, button:visible").evaluateAll((all) =>
    all.filter((e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label"))).map((e) => e.outerHTML));
  check(nameless.length === 0, `${view.name} ${name}: controls without a name: ${nameless.join()}`);
  await page.screenshot({ path: file, fullPage });
}

// leave closes the window. It checks that the browser's console has only expected lines and no
// password.
export async function leave(v) {
  const { other, missing } = removeExpected(v.seen.errors, v.expected);
  check(other.length === 0, `${v.view.name}: unexpected console lines: ${other.join(" | ")}`);
  check(missing.length === 0, `${v.view.name}: missing console lines: ${missing.join(" | ")}`);
  check(v.seen.violations.length === 0, `${v.view.name}: policy violations: ${v.seen.violations.join(" | ")}`);
  check(v.seen.foreign.length === 0, `${v.view.name}: requests to other hosts: ${v.seen.foreign.join(" | ")}`);
  check(!v.seen.lines.some((line) => line.includes(v.password)), `${v.view.name}: a secret is in the console`);
  await v.context.close();
}
