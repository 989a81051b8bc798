// react.mjs builds a Vite project that has the React code of the guide to front ends, and uses it in
// a real browser against a real server.
//
//   react.mjs PROJECT [BINARY]
//
// CHROMIUM is the browser (default /usr/bin/chromium).
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { freePort, inviteUser, launch, startServer, stopServer, watch } from "./harness.mjs";

const [project, binary = "bin/accountsd"] = process.argv.slice(2);
const ada = { username: "ada", email: "ada@example.com", password: "correct horse battery staple" };

/** Builds the project for an API at `api`, and serves it at `port`. Returns a function that stops it. */
async function serveProject(api, port) {
  const file = join(project, "src/client.ts");
  const code = readFileSync(file, "utf8");
  assert.ok(code.includes("https://accounts.example.com"), "the guide has the address of the API in src/client.ts");
  writeFileSync(file, code.replace("https://accounts.example.com", api));
  execFileSync("npm", ["run", "build"], { cwd: project, stdio: "inherit" });
  const vite = spawn(process.execPath, ["node_modules/vite/bin/vite.js", "preview", "--host", "127.0.0.1", "--port", String(port), "--strictPort"],
    { cwd: project, stdio: ["ignore", "inherit", "inherit"] });
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((done) => setTimeout(done, 100))) {
    if ((await fetch(`http://127.0.0.1:${port}/`).catch(() => null))?.ok) return () => vite.kill();
  }
  vite.kill();
  throw new Error("vite preview does not respond");
}

async function openApp(browser, app) {
  const context = await browser.newContext();
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  return { context, page, seen: await watch(page, app) };
}

async function signIn(page, password) {
  await page.getByLabel("Username").fill(ada.username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Signs in, reloads, and signs out in another tab. */
async function useApp(browser, app) {
  const { context, page, seen } = await openApp(browser, app);
  await page.goto(app);
  await signIn(page, "wrong horse battery staple");
  await page.getByText("The username or the password is wrong.").waitFor();
  await signIn(page, ada.password);
  await page.getByText("Signed in as ada").waitFor();
  await page.reload();
  await page.getByText("Signed in as ada").waitFor();
  const second = await context.newPage();
  await second.goto(app);
  await second.getByText("Signed in as ada").waitFor();
  await second.getByRole("button", { name: "Sign out" }).click();
  await second.getByLabel("Username").waitFor();
  await page.getByLabel("Username").waitFor(); // the hook renders the change that another tab caused
  await page.reload();
  await page.getByLabel("Username").waitFor();
  const errors = seen.errors.filter((line) => !/status of 401 .*\/accounts\/login/.test(line));
  assert.deepEqual(errors, [], "the console of the browser has no errors but that of the wrong password");
  await context.close();
}

/**
 * Opens the page while the server cannot be reached, and tries again later. The browser says that it
 * is offline, because the client then does not retry by itself.
 */
async function useWithoutServer(browser, app, api) {
  const { context, page } = await openApp(browser, app);
  await page.addInitScript(() => Object.defineProperty(Navigator.prototype, "onLine", { get: () => false }));
  await page.route(`${api}/**`, (route) => route.abort("internetdisconnected"));
  await page.goto(app);
  await page.getByText("The server does not respond.").waitFor();
  await page.unroute(`${api}/**`);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByLabel("Username").waitFor();
  await context.close();
}

const port = await freePort();
const app = `http://localhost:${port}`;
const server = await startServer(resolve(binary), { ACCOUNTS_CORS_ORIGINS: app });
let browser, stopProject;
try {
  inviteUser(server, ada);
  stopProject = await serveProject(server.origin, port);
  browser = await launch();
  await useApp(browser, app);
  await useWithoutServer(browser, app, server.origin);
  console.log("react: all steps passed");
} finally {
  await browser?.close();
  stopProject?.();
  await stopServer(server);
}
