/**
 * A client of the accounts API. It is openapi-fetch with the types of the contract, and it manages
 * the session: one refresh at a time across all tabs, no unnecessary refreshes, and none that loses
 * the session.
 *
 * @module
 */
import createClient, { type Client } from "openapi-fetch";
import type { components, operations, paths } from "./schema.js";
import { codeOf, pause, retryAfter, Session, unavailable } from "./session.js";
import type {
  Answer, EndReason, ItemOf, ListArguments, ListPath, OpenPaths, RefreshTokenStorage, SignedIn, State, Transport,
} from "./types.js";

export type { components, operations, paths } from "./schema.js";
export type {
  Answer, CodeOf, EndReason, ItemOf, ListOptions, ListPath, OpenPaths, ProblemOf, RefreshTokenStorage, SignedIn, State, StoredSession, Transport,
} from "./types.js";

type Schemas = components["schemas"];

/**
 * Options of a client. The transport `body` requires a storage for the session; the others have
 * none.
 */
export type Options<T extends Transport> = {
  /**
   * Origin of the API, such as `https://accounts.example.com`. In a browser, the default is the
   * origin of the page.
   */
  baseUrl?: string;
  /** The function that sends requests. The default is the global fetch. */
  fetch?: typeof fetch;
} & (T extends "body" ? { transport: T; storage: RefreshTokenStorage } : { transport?: T; storage?: never });

/** A client of the accounts API. */
export interface AccountsClient<T extends Transport> {
  /**
   * All operations except those that are methods of the client. It sends access tokens and CSRF
   * tokens and refreshes them. It retries a request after a 401, and a read after a 502, 503 or
   * 504. A lost connection rejects the promise, as with fetch.
   */
  readonly api: Client<OpenPaths>;
  /**
   * Iterates over all items of a list, and requests each page when it is needed. Throws a
   * {@link ProblemError} for a problem of the server, and the error of fetch for a lost connection.
   */
  list<Path extends ListPath>(path: Path, ...options: ListArguments<Path>): AsyncGenerator<ItemOf<Path>, void, undefined>;
  readonly state: State;
  /**
   * Calls the listener at each change of the state, including changes by other tabs. Returns a
   * function that removes it.
   */
  onChange(listener: (state: State) => void): () => void;
  /**
   * Restores the session after a reload. Every call of `api` does so first; call it to learn the
   * state.
   */
  restore(): Promise<State>;
  /** Logs in. The client stores the tokens. */
  login(body: Omit<Schemas["LoginRequest"], "token_transport">): Promise<Answer<"login", SignedIn<T>>>;
  /**
   * Verifies a registration and signs in. The token is in the link of the mail, after `#token=`.
   */
  verifyEmail(body: Omit<Schemas["VerifyEmailRequest"], "token_transport">): Promise<Answer<"verifyEmail", SignedIn<T>>>;
  /** Changes the password. Every session ends, and this client gets a new one. */
  changePassword(body: Schemas["ChangePasswordRequest"]): Promise<Answer<"changePassword", SignedIn<T>>>;
  /**
   * Logs out, here and in all tabs. If the server cannot be reached, the promise is rejected and
   * the session continues.
   */
  logout(): Promise<Answer<"logout", undefined>>;
  /** Refreshes now. Applications rarely need it. */
  refresh(): Promise<State>;
  /**
   * Returns the access token for a call to another service, refreshed if necessary. Null without a
   * session, or if a cookie contains the token.
   */
  accessToken(): Promise<string | null>;
  /** Stops timers and listeners. The session continues. */
  close(): void;
}

/** A problem of the server, thrown during the iteration over a list, which cannot return it. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  constructor(
    readonly problem: Schemas["Problem"],
    readonly response: Response,
  ) {
    super(problem.detail ?? `status ${response.status}`); // the response of a proxy may have no detail
  }
}

const safeMethods = ["GET", "HEAD", "OPTIONS"];
const longestWait = 10_000;

/**
 * Creates a client.
 *
 * @example
 * const accounts = createAccountsClient({ baseUrl: "https://accounts.example.com" });
 * const { data, error } = await accounts.login({ username: "ada", password });
 * if (error) switch (error.code) { ... } // the compiler knows which codes there are
 * const profile = await accounts.api.GET("/accounts/profile");
 */
export function createAccountsClient(): AccountsClient<"hybrid">;
export function createAccountsClient<T extends Transport = "hybrid">(options: Options<T>): AccountsClient<T>;
export function createAccountsClient<T extends Transport>(options: Options<T> = {} as Options<T>): AccountsClient<T> {
  const transport = (options.transport ?? "hybrid") as T;
  const browser = typeof document !== "undefined";
  if (!browser && transport !== "body") {
    throw new Error(`accounts: the transport ${transport} requires a browser, which stores its cookies. Use the transport "body" here.`);
  }
  const base = (options.baseUrl ?? (browser ? location.origin : "")).replace(/\/+$/, "");
  if (!base) throw new Error("accounts: baseUrl is missing");
  const url = (path: string) => base + path;
  const send = options.fetch ?? ((...request: Parameters<typeof fetch>) => globalThis.fetch(...request));
  const listeners = new Set<(state: State) => void>();
  const session = new Session(
    { url, transport, storage: options.storage ?? null, fetch: send, changed: (state) => listeners.forEach((listener) => listener(state)) },
    { name: `accounts ${base}${transport === "body" ? " body" : ""}`, shared: browser }, // one name for each cookie jar
  );

  const credentials = session.hasCookies ? "include" : "omit";

  /** Sends a request of `api` with the credentials of the session, and retries if that can help. */
  async function transmit(request: Request): Promise<Response> {
    await session.ensureFresh();
    let renewals = 0;
    for (let tries = 1; ; tries++) {
      const seen = session.tokens;
      const response = await send(authorize(request.clone()));
      const code = await codeOf(response);
      if (seen && renewals < worthRenewing(response.status, code)) {
        renewals++;
        await session.refresh(seen);
      } else if (unavailable(response) && safeMethods.includes(request.method) && tries <= 3 && retryAfter(response) <= longestWait) {
        await pause(retryAfter(response));
      } else {
        if (response.status === 401 && (code === "session_expired" || code === "session_revoked")) await session.endLocally(code, seen);
        else if (endsOwnSession(request, response, seen)) await session.endLocally("logged_out", seen);
        return response;
      }
    }
  }

  /**
   * Returns how many times new tokens may help a request that was rejected with this status and
   * code.
   */
  function worthRenewing(status: number, code: string): number {
    if (code === "csrf_failed") return 1; // another login has replaced the cookies
    if (status !== 401) return 0;
    if (code === "access_expired") return 3; // may happen again on a device that falls asleep during the retry
    return code === "access_invalid" || code === "credentials_missing" ? 1 : 0;
  }

  function authorize(request: Request): Request {
    const access = session.tokens?.access;
    if (access) request.headers.set("Authorization", `Bearer ${access}`);
    if (!safeMethods.includes(request.method)) {
      for (const [name, value] of Object.entries(session.csrf())) request.headers.set(name, value);
    }
    return request;
  }

  function endsOwnSession(request: Request, response: Response, seen: Session["tokens"]): boolean {
    if (response.status !== 204) return false;
    const { pathname, searchParams } = new URL(request.url);
    if (request.method !== "DELETE") return false;
    if (pathname === "/accounts/profile") return true;
    return pathname === "/accounts/sessions" ? searchParams.get("keep_current") !== "true" : pathname === `/accounts/sessions/${seen?.session.id}`;
  }

  function post(path: string, body: object): Promise<Response> {
    const request = new Request(url(path), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials,
    });
    return send(authorize(request));
  }

  async function toAnswer<Operation extends keyof operations, Data>(call: Promise<Response>): Promise<Answer<Operation, Data>> {
    const response = await call;
    const content = response.status === 204 ? undefined : await response.json();
    return (response.ok ? { data: content, response } : { error: content, response }) as Answer<Operation, Data>;
  }

  const api = createClient<paths>({ baseUrl: base, credentials, fetch: transmit }) as unknown as Client<OpenPaths>;

  /** A page of any list. Its type is general, because the type of `list` has checked the path and its parameters. */
  type Page = { next_cursor: string | null } & Record<string, unknown>;
  const readPage = api.GET as (path: string, options: object) => Promise<{ data?: Page; error?: Schemas["Problem"]; response: Response }>;

  async function* list<Path extends ListPath>(path: Path, ...[options]: ListArguments<Path>): AsyncGenerator<ItemOf<Path>, void, undefined> {
    const { path: segments, query, signal } = options ?? {};
    const member = path.slice(path.lastIndexOf("/") + 1); // not the only array, because the response of a newer server may have other arrays
    let cursor: string | null | undefined;
    do {
      const params = { path: segments, query: cursor ? { ...query, cursor } : query };
      const { data, error, response } = await readPage(path, { params, signal });
      if (!data) throw new ProblemError(error as Schemas["Problem"], response);
      yield* data[member] as ItemOf<Path>[];
      cursor = data.next_cursor;
    } while (cursor);
  }

  const client: AccountsClient<T> = {
    api,
    list,
    get state() {
      return session.state;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async restore() {
      await session.restore();
      return session.state;
    },
    login: (body) => toAnswer(session.begin(() => post("/accounts/login", { ...body, token_transport: transport }))),
    verifyEmail: (body) => toAnswer(session.begin(() => post("/accounts/email/verify", { ...body, token_transport: transport }))),
    async changePassword(body) {
      await session.ensureFresh();
      return toAnswer(session.begin(() => post("/accounts/password/change", body)));
    },
    logout: () =>
      toAnswer(session.end((stored) => post("/accounts/logout", stored ? { refresh_token: stored.refreshToken } : {}))),
    async refresh() {
      await session.restore();
      await session.refresh(session.tokens);
      return session.state;
    },
    async accessToken() {
      await session.ensureFresh();
      return session.tokens?.access || null;
    },
    close() {
      session.close();
      listening.abort();
    },
  };

  const listening = new AbortController();
  if (browser) {
    const catchUp = () => void session.catchUp().catch(() => undefined); // the next request tries again
    addEventListener("pageshow", (event) => event.persisted && catchUp(), { signal: listening.signal });
    addEventListener("online", catchUp, { signal: listening.signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && catchUp(), { signal: listening.signal });
  }
  return client;
}

/**
 * Reports whether a reason means that another party used the session. Tell the user in this case.
 */
export function wasStolen(reason: EndReason | null): boolean {
  return reason === "refresh_reused";
}
