// Kills Node programs during a refresh, with the server of client.test.mjs. Its rotation interval is
// 2 s with a margin of 0.4 s. A token that was superseded longer ago counts as stolen, unless the
// attempt proves that it is the same client.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, describe, test } from "node:test";
import { createAccountsClient } from "../dist/index.js";
import { times } from "../dist/session.js";

const baseUrl = process.env.ACCOUNTS_URL;
const password = "correct horse battery staple";
const window = 3_500; // longer than the rotation interval and twice its margin
const folder = mkdtempSync(join(tmpdir(), "accounts-client-"));
after(() => rmSync(folder, { recursive: true }));

Object.assign(times, { answer: 2_000, retry: 4_000, decision: 2_200 });

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Runs the program until it prints a line, and kills it then unless it ends by itself. */
async function run(file, mode) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "program.mjs"), file, mode],
    { env: { ...process.env, PASSWORD: password }, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code)));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const { value } = await lines.next();
  const dies = !["login", "restore"].includes(mode);
  if (dies) child.kill("SIGKILL");
  assert.equal(await ended, dies ? "SIGKILL" : 0, `${mode}: ${value}`);
  return JSON.parse(value);
}

let queue = Promise.resolve();
const inTurn = (call) => (queue = queue.then(call, call)); // passwords are hashed one at a time

/** Logs in, waits until the token is due for rotation, kills the program at `mode`, and restarts it after the window. */
async function survives(mode, risen) {
  const file = join(folder, mode);
  const login = await inTurn(() => run(file, "login"));
  assert.equal(login.status, "signed-in", JSON.stringify(login));
  await sleep(window);
  await run(file, mode);
  await sleep(window);
  const again = await run(file, "restore");
  assert.equal(again.status, "signed-in", JSON.stringify(again));
  assert.equal(again.session.id, login.session.id);
  assert.equal(again.generation, login.generation + risen);
  await sleep(window);
  assert.equal((await run(file, "restore")).status, "signed-in", "the session is not the same as before the crash");
}

describe("control 196: a program that is killed, and restarted after the rotation interval, is signed in", { concurrency: true }, () => {
  test("killed before it sends the refresh", () => survives("before-send", 1));
  test("killed before it reads the response", () => survives("answer-lost", 1));
  test("killed before it saves the response", () => survives("before-save", 1));
  test("killed after it saves the response", () => survives("after-save", 2));

  test("a stored session gets an attempt before the refresh is sent", async () => {
    const file = join(folder, "token-alone");
    await inTurn(() => run(file, "login"));
    const { refreshToken, attempt } = JSON.parse(readFileSync(file, "utf8"));
    assert.match(attempt, /^[\w-]{22}$/);
    writeFileSync(file, JSON.stringify({ refreshToken }));
    await sleep(window);
    await run(file, "before-save");
    assert.match(JSON.parse(readFileSync(file, "utf8")).attempt, /^[\w-]{22}$/);
    await sleep(window);
    assert.equal((await run(file, "restore")).status, "signed-in");
  });
});

describe("control 196: programs that share a storage share the session", { concurrency: true }, () => {
  /** A storage, and clients whose fetch a test can make fail. */
  function shared() {
    const kept = { session: null, saves: [] };
    const storage = {
      load: () => kept.session,
      save(session) {
        kept.session = session;
        kept.saves.push(session);
      },
    };
    const make = (fault = async () => null) => createAccountsClient({
      baseUrl, transport: "body", storage,
      fetch: async (...args) => {
        const request = new Request(...args);
        return (request.url.endsWith("/refresh_token") && (await fault(request))) || fetch(request);
      },
    });
    return { kept, make };
  }

  test("clients that share a storage stay signed in when responses are lost", async () => {
    const { kept, make } = shared();
    const first = make();
    assert.equal((await inTurn(() => first.login({ username: "ada", password }))).error, undefined);
    const lossy = async (request) => {
      if (Math.random() > 0.4) return null;
      await fetch(request);
      throw new TypeError("the connection broke");
    };
    const clients = [first, ...Array.from({ length: 5 }, () => make(lossy))];
    const end = Date.now() + 12_000;
    await Promise.all(clients.map(async (client, i) => {
      while (Date.now() < end) {
        await client.refresh().catch((error) => assert.ok(error instanceof TypeError, error));
        assert.equal(client.state.status === "signed-out", false, `client ${i}: ${client.state.reason}`);
        await sleep(300 + 100 * i);
      }
    }));
    assert.equal((await make().restore()).status, "signed-in");
    assert.ok(new Set(kept.saves.map((session) => session.refreshToken)).size >= 4, "there were too few refreshes");
    await first.logout();
    assert.equal(kept.session, null);
    for (const client of clients) {
      await client.refresh();
      assert.equal(client.state.status, "signed-out");
      client.close();
    }
  });

  test("a program that was asleep does not overwrite a newer session with an outdated response", async () => {
    const { kept, make } = shared();
    const awake = make();
    await inTurn(() => awake.login({ username: "ada", password }));
    let slept = false;
    const sleeper = make(async (request) => {
      if (slept) return null;
      slept = true;
      const answer = await fetch(request);
      const body = await answer.text(); // the complete response arrives before the program falls asleep
      await sleep(3 * window);
      return new Response(body, answer);
    });
    await sleep(window);
    const restored = sleeper.restore();
    for (let i = 0; i < 2; i++) {
      await sleep(window);
      await awake.refresh();
    }
    await restored;
    assert.ok(sleeper.state.generation >= awake.state.generation, "the client uses the outdated response");
    assert.equal(new Set(kept.saves.map((session) => session.refreshToken)).size, kept.saves.length, "an older token was saved again");
    await sleep(window);
    assert.equal((await awake.refresh()).status, "signed-in");
    assert.equal((await sleeper.refresh()).status, "signed-in");
    awake.close();
    sleeper.close();
  });

  test("a program whose session has ended keeps a session that another program has started", async () => {
    const { kept, make } = shared();
    const other = make();
    await inTurn(() => other.login({ username: "ada", password }));
    let slept = false;
    const sleeper = make(async (request) => {
      if (slept) return null;
      slept = true;
      await sleep(1_000);
      await inTurn(async () => {
        await other.logout();
        await other.login({ username: "ada", password });
      });
      return fetch(request); // with the token of the ended session
    });
    await sleeper.restore();
    assert.equal(sleeper.state.status, "signed-in");
    assert.equal(sleeper.state.session.id, other.state.session.id);
    assert.notEqual(kept.session, null);
    other.close();
    sleeper.close();
  });
});
