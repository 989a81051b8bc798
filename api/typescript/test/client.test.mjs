// Tests the client in Node with the transport body, against the real server at ACCOUNTS_URL. The
// server has ACCOUNTS_ACCESS_TTL=5s, ACCOUNTS_ROTATION_INTERVAL=2s, and the users ada, grace and
// hedy. The tests end all sessions of grace and hedy.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createAccountsClient, ProblemError } from "../dist/index.js";
import { times } from "../dist/session.js";

const baseUrl = process.env.ACCOUNTS_URL;
const password = "correct horse battery staple";

Object.assign(times, { answer: 2_000, retry: 4_000, decision: 2_200 }); // short, to keep the tests fast

/** A storage, and a fetch that counts, and that a test can make fail. */
function setUp(more = {}) {
  const kept = { session: null, calls: [], fault: null };
  const storage = { load: () => kept.session, save: (session) => void (kept.session = session) };
  const send = async (...args) => {
    const request = new Request(...args);
    kept.calls.push({ path: new URL(request.url).pathname, attempt: request.headers.get("Refresh-Attempt"), at: Date.now() });
    return (await kept.fault?.(request)) ?? fetch(request);
  };
  const make = () => createAccountsClient({ baseUrl, transport: "body", storage, fetch: send, ...more });
  return { kept, make, paths: (path) => kept.calls.filter((call) => call.path === path) };
}

// The tests run in parallel. Passwords are hashed one at a time, because a server with few cores
// rejects parallel logins.
let queue = Promise.resolve();
const inTurn = (call) => (queue = queue.then(call, call));

async function signedIn(username = "ada") {
  const all = setUp();
  const client = all.make();
  const { data, error } = await inTurn(() => client.login({ username, password }));
  assert.equal(error, undefined);
  assert.equal(data.user.username, username);
  return { ...all, client };
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("the client in Node", { concurrency: true }, () => {
  test("a wrong password returns an error and starts no session", async () => {
    const { make } = setUp();
    const client = make();
    const { data, error, response } = await inTurn(() => client.login({ username: "ada", password: "something else altogether" }));
    assert.equal(data, undefined);
    assert.equal(error.code, "credentials_invalid");
    assert.equal(response.status, 401);
    assert.equal((await client.restore()).status, "signed-out");
    assert.equal((await client.api.GET("/accounts/profile")).error.code, "credentials_missing");
    client.close();
  });

  test("login, profile and logout work, and listeners get each state", async () => {
    const { client, kept } = await signedIn();
    const states = [];
    client.onChange((state) => states.push(state.status));
    assert.ok(kept.session.refreshToken);
    assert.equal((await client.api.GET("/accounts/profile")).data.user.email, "ada@example.com");
    assert.equal((await client.api.PATCH("/accounts/profile", { body: { first_name: "Ada" } })).data.user.first_name, "Ada");
    const { error, response } = await client.logout();
    assert.equal(error, undefined);
    assert.equal(response.status, 204);
    assert.equal(kept.session, null);
    assert.deepEqual(client.state, { status: "signed-out", reason: "logged_out" });
    assert.deepEqual(states, ["signed-out"]);
    client.close();
  });

  test("the session is restored from the storage after a restart", async () => {
    const { client, make } = await signedIn();
    client.close();
    const again = make();
    assert.equal((await again.api.GET("/accounts/profile")).data.user.username, "ada");
    assert.equal(again.state.session.id, client.state.session.id);
    again.close();
  });

  test("retries of the first refresh after a restart use the same attempt", async () => {
    const { client, kept, make, paths } = await signedIn();
    client.close();
    const before = client.state.generation;
    await sleep(3_000);
    let tries = 0;
    kept.fault = async (request) => {
      if (!request.url.endsWith("/refresh_token") || tries++ > 0) return null;
      await fetch(request); // the server decides it, but the response is lost
      throw new TypeError("the connection broke");
    };
    const again = make();
    await again.restore();
    assert.equal(again.state.generation, before + 1);
    assert.deepEqual(new Set(paths("/accounts/refresh_token").map((call) => call.attempt)).size, 1);
    assert.equal(paths("/accounts/refresh_token").length, 2);
    again.close();
  });

  test("the client refreshes early, for many lifetimes of an access token", async () => {
    const { client, paths } = await signedIn();
    const began = Date.now();
    let reads = 0;
    for (; Date.now() - began < 13_000; reads++) {
      assert.equal((await client.api.GET("/accounts/profile")).response.status, 200);
      await sleep(500);
    }
    const refreshes = paths("/accounts/refresh_token");
    assert.ok(refreshes.length >= 3 && refreshes.length <= 5, `${refreshes.length} refreshes in 13 s`);
    assert.equal(new Set(refreshes.map((call) => call.attempt)).size, refreshes.length, "an attempt was used for two rotations");
    assert.equal(paths("/accounts/profile").length, reads, "a request was sent twice");
    client.close();
  });

  test("an expired access token causes one refresh and one retry", async () => {
    const { client, kept, paths } = await signedIn();
    let refused = 0;
    kept.fault = async (request) => {
      if (new URL(request.url).pathname !== "/accounts/profile" || refused++ > 0) return null;
      return new Response(JSON.stringify({ code: "access_expired" }), { status: 401, headers: { "Content-Type": "application/problem+json" } });
    };
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.api.GET("/accounts/profile")));
    assert.ok(answers.every((answer) => answer.response.status === 200));
    assert.equal(paths("/accounts/refresh_token").length, 1);
    client.close();
  });

  test("a request succeeds although its token expires repeatedly during a restart of the server", async () => {
    const { client, kept, paths } = await signedIn();
    const answers = [503, 401, 401, 401];
    kept.fault = async (request) => {
      if (new URL(request.url).pathname !== "/accounts/profile" || answers.length === 0) return null;
      const status = answers.shift();
      return new Response(JSON.stringify({ code: status === 503 ? "service_unavailable" : "access_expired" }),
        { status, headers: { "Content-Type": "application/problem+json", "Retry-After": "1" } });
    };
    assert.equal((await client.api.GET("/accounts/profile")).response.status, 200);
    // Each 401 causes a refresh, the 503 does not. On a busy machine, the timer may cause another one.
    const order = kept.calls.map((call) => call.path).filter((path) => ["/accounts/profile", "/accounts/refresh_token"].includes(path));
    assert.equal(paths("/accounts/profile").length, 5);
    assert.match(order.join(" ").replaceAll("/accounts/", ""), /^profile( refresh_token)? profile( refresh_token){1,2} profile( refresh_token){1,2} profile( refresh_token){1,2} profile$/);
    answers.push(401, 401, 401, 401);
    assert.equal((await client.api.GET("/accounts/profile")).error.code, "access_expired"); // the number of retries is bounded
    client.close();
  });

  test("a lost response and a 503 are retried with the same attempt", async () => {
    const { client, kept, paths } = await signedIn();
    await sleep(3_000); // older than the rotation interval: the next refresh rotates
    let tries = 0;
    kept.fault = async (request) => {
      if (!request.url.endsWith("/refresh_token")) return null;
      tries++;
      if (tries === 1) return new Response("{}", { status: 503, headers: { "Retry-After": "1", "Content-Type": "application/problem+json" } });
      if (tries === 2) {
        await fetch(request); // the server decides it, but the response is lost
        throw new TypeError("the connection broke");
      }
      return null;
    };
    const before = client.state.generation;
    assert.equal((await client.refresh()).status, "signed-in");
    assert.equal(client.state.generation, before + 1);
    const refreshes = paths("/accounts/refresh_token");
    assert.equal(refreshes.length, 3);
    assert.equal(new Set(refreshes.map((call) => call.attempt)).size, 1);
    assert.ok(refreshes[1].at - refreshes[0].at >= 1_000, "the retry is earlier than Retry-After");
    assert.equal((await client.api.GET("/accounts/profile")).response.status, 200);
    client.close();
  });

  test("a request without a response is aborted and retried", async () => {
    const { client, kept, paths } = await signedIn();
    let tries = 0;
    kept.fault = (request) => request.url.endsWith("/refresh_token") && tries++ === 0
      ? new Promise((_resolve, reject) => request.signal.addEventListener("abort", () => reject(request.signal.reason)))
      : null;
    assert.equal((await client.refresh()).status, "signed-in");
    const [first, second] = paths("/accounts/refresh_token");
    assert.ok(second.at - first.at >= times.answer && second.at - first.at < times.answer + 1_500);
    assert.equal(second.attempt, first.attempt);
    client.close();
  });

  test("an aborted request that the server decides after the retry is detected in time", async () => {
    const { client, kept } = await signedIn();
    const before = client.state.generation;
    let tries = 0;
    kept.fault = async (request) => {
      if (!request.url.endsWith("/refresh_token") || tries++ > 0) return null;
      const { url, method, headers } = request;
      const body = await request.text();
      setTimeout(() => fetch(url, { method, headers, body }), 2_450); // then the token is old enough to rotate
      throw new DOMException("given up", "TimeoutError");
    };
    await client.refresh();
    assert.equal(client.state.generation, before, "the retry must be too early to rotate");
    await sleep(times.decision + 600); // earlier than the next scheduled refresh
    assert.equal(client.state.generation, before + 1);
    client.close();
  });

  test("a proxy without a server does not end the session", async () => {
    const { client, kept, paths } = await signedIn();
    const refused = new Set(); // the proxy rejects the first request of each attempt to refresh, and of each path
    kept.fault = async (request) => {
      const key = `${request.url} ${request.headers.get("Refresh-Attempt")}`;
      if (refused.has(key)) return null;
      refused.add(key);
      return new Response("Bad Gateway", { status: 502 });
    };
    assert.equal((await client.refresh()).status, "signed-in");
    assert.equal((await client.api.GET("/accounts/profile")).response.status, 200);
    // More refreshes may follow: on a slow machine the access token becomes old in between.
    const [rejected, retried] = paths("/accounts/refresh_token");
    assert.equal(retried.attempt, rejected.attempt);
    assert.ok(paths("/accounts/profile").length >= 2);
    kept.fault = async () => new Response("Bad Gateway", { status: 502 });
    await assert.rejects(client.refresh(), /502/);
    assert.equal(client.state.status, "signed-in");
    client.close();
  });

  test("the session survives an outage of the server", async () => {
    const { client, kept } = await signedIn();
    kept.fault = async () => {
      throw new TypeError("no network");
    };
    await assert.rejects(client.refresh(), TypeError);
    await assert.rejects(client.logout(), TypeError);
    assert.equal(client.state.status, "signed-in");
    kept.fault = null;
    assert.equal((await client.api.GET("/accounts/profile")).response.status, 200);
    client.close();
  });

  test("a session that was revoked elsewhere ends with a reason", async () => {
    const { client, kept } = await signedIn("grace");
    const other = setUp();
    const elsewhere = other.make();
    await inTurn(() => elsewhere.login({ username: "grace", password }));
    await elsewhere.api.DELETE("/accounts/sessions", { params: { query: { keep_current: true } } });
    assert.equal((await client.api.GET("/accounts/profile")).error.code, "session_revoked");
    assert.deepEqual(client.state, { status: "signed-out", reason: "session_revoked" });
    assert.equal(kept.session, null);
    assert.equal(elsewhere.state.status, "signed-in");
    await elsewhere.api.DELETE(`/accounts/sessions/{session_id}`, { params: { path: { session_id: elsewhere.state.session.id } } });
    assert.deepEqual(elsewhere.state, { status: "signed-out", reason: "logged_out" });
    client.close();
    elsewhere.close();
  });

  test("a password change starts a new session, and a client of a revoked session is signed out", async () => {
    const { client, kept } = await signedIn("hedy");
    const late = await signedIn("hedy");
    const [session, token] = [client.state.session.id, kept.session.refreshToken];
    const { error } = await inTurn(() => client.changePassword({ current_password: password, new_password: `${password}, anew` }));
    assert.equal(error, undefined);
    assert.equal(client.state.status, "signed-in");
    assert.notEqual(client.state.session.id, session);
    assert.notEqual(kept.session.refreshToken, token);
    assert.equal((await client.api.GET("/accounts/profile")).response.status, 200);

    const refused = await late.client.changePassword({ current_password: password, new_password: `${password}, otherwise` });
    assert.equal(refused.error.code, "session_revoked");
    assert.deepEqual(late.client.state, { status: "signed-out", reason: "session_revoked" });
    assert.equal(late.kept.session, null);
    client.close();
    late.client.close();
  });

  test("a list requests pages when they are needed, and ignores unknown fields", async () => {
    const { client, kept, paths } = await signedIn();
    const queries = [];
    const pages = [
      { flavors: ["sweet"], events: [{ id: "1", kind: "login" }, { id: "2", kind: "passkey_added", color: "red" }], next_cursor: "abc" },
      { events: [{ id: "3", kind: "logout" }], next_cursor: null },
    ];
    kept.fault = async (request) => {
      if (new URL(request.url).pathname !== "/accounts/events") return null;
      queries.push(new URL(request.url).search);
      return Response.json(pages[request.url.includes("cursor=abc") ? 1 : 0]);
    };
    const seen = [];
    for await (const event of client.list("/accounts/events", { query: { kind: ["login", "logout"], limit: 2 } })) seen.push(event.id);
    assert.deepEqual(seen, ["1", "2", "3"]);
    assert.deepEqual(queries, ["?kind=login&kind=logout&limit=2", "?kind=login&kind=logout&limit=2&cursor=abc"]);
    for await (const event of client.list("/accounts/events")) if (event.id === "2") break;
    assert.equal(paths("/accounts/events").length, 3, "an unneeded page was requested");
    client.close();
  });

  test("a list throws problems and connection errors", async () => {
    const { client, kept } = await signedIn();
    const sessions = [];
    for await (const session of client.list("/accounts/sessions", { query: { limit: 1 } })) sessions.push(session);
    assert.ok(sessions.length >= 1);
    assert.equal(sessions.filter((session) => session.current).length, 1);
    assert.equal(new Set(sessions.map((session) => session.id)).size, sessions.length);
    await assert.rejects(client.list("/admin/users").next(), (error) =>
      error instanceof ProblemError && error.problem.code === "role_required" && error.response.status === 403);
    await assert.rejects(client.list("/accounts/sessions", { query: { limit: 0 } }).next(), (error) =>
      error.problem.code === "request_malformed" && error.problem.errors[0].parameter === "limit");
    kept.fault = async () => {
      throw new TypeError("no network");
    };
    await assert.rejects(client.list("/accounts/sessions").next(), TypeError);
    client.close();
  });

  test("the session has the end of the recent authentication, and is null without a session", async () => {
    const { client } = await signedIn();
    const { data } = await client.api.GET("/accounts/session");
    assert.equal(data.session.id, client.state.session.id);
    assert.equal(data.session.token_transport, "body");
    assert.ok(Date.parse(data.session.recent_authentication_until) > Date.now());
    assert.equal(data.csrf_token, null);
    client.close();
    const stranger = setUp().make();
    assert.deepEqual((await stranger.api.GET("/accounts/session")).data, { session: null, csrf_token: null });
    stranger.close();
  });

  test("reuse of a stolen token ends the session, and the client reports it", async () => {
    const { client, kept } = await signedIn();
    const stolen = kept.session.refreshToken;
    await sleep(3_000);
    await client.refresh();
    await sleep(3_000);
    await client.refresh();
    const thief = await fetch(`${baseUrl}/accounts/refresh_token`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ refresh_token: stolen }),
    });
    assert.equal(thief.status, 401);
    assert.equal((await thief.json()).code, "refresh_reused");
    await client.refresh();
    assert.equal(client.state.status, "signed-out");
    client.close();
  });

  test("transports with cookies require a browser", () => {
    assert.throws(() => createAccountsClient({ baseUrl }), /requires a browser/);
  });
});
