// The session of one client: its tokens, and how to refresh them without losing the session.
import type { components } from "./schema.js";
import { newAttempt, Tabs } from "./tabs.js";
import type { EndReason, RefreshTokenStorage, State, StoredSession, Transport } from "./types.js";

type Refreshed = components["schemas"]["Refreshed"];
type Problem = components["schemas"]["Problem"];

/** The current tokens. Times are in milliseconds of this machine's clock. */
interface Tokens {
  session: components["schemas"]["SessionSummary"];
  generation: number;
  access: string; // empty if a cookie contains it
  csrf: string; // empty in the transport body
  expiresAt: number;
  refreshAt: number;
}

type Message =
  | { kind: "tokens"; tokens: Tokens }
  | { kind: "ended"; session: string; reason: EndReason };

export interface SessionOptions {
  url: (path: string) => string;
  transport: Transport;
  storage: RefreshTokenStorage | null;
  fetch: typeof fetch;
  changed: (state: State) => void;
}

/**
 * Times in milliseconds. A request without a response is given up after `answer`, and repeated until
 * `retry` has passed. The server executes a request that was given up within `decision` after it was
 * sent, or never, so such a request can rotate the tokens after its retry was answered with the
 * current ones. After `decision` the client therefore refreshes once more (invariant 6 of the
 * server's design: R = 15 s, Q = 10 s). After a failed refresh, the client waits `later`. It waits
 * `heard` for a message of another tab. Not part of the package's interface; tests shorten these
 * times.
 */
export const times = { answer: 4_000, retry: 15_000, decision: 10_000, later: 5_000, heard: 500 };
const longestTimer = 2 ** 31 - 1;

export class Session {
  readonly #o: SessionOptions;
  readonly #tabs: Tabs<Message>;
  #tokens: Tokens | null = null;
  #state: State = { status: "unknown" };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: (() => void)[] = [];
  #lastSession = ""; // the id of the session that this client had last
  #closed = false;

  constructor(o: SessionOptions, tabs: { name: string; shared: boolean }) {
    this.#o = o;
    this.#tabs = new Tabs<Message>(tabs.name, tabs.shared, (message) => this.#receive(message));
  }

  get state(): State {
    return this.#state;
  }

  get tokens(): Tokens | null {
    return this.#tokens;
  }

  get hasCookies(): boolean {
    return this.#o.transport !== "body";
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#tabs.close();
  }

  /** Restores the session from the cookies or the storage. Only the first call does so. */
  async restore(): Promise<void> {
    if (this.#state.status !== "unknown") return;
    await this.#tabs.runExclusively(async () => {
      if (this.#state.status === "unknown") await this.#renew();
    });
  }

  /** Refreshes, unless the tokens have changed since the caller read `seen`. */
  async refresh(seen: Tokens | null): Promise<void> {
    await this.#tabs.runExclusively(async () => {
      if (this.#tokens !== seen || this.#state.status === "signed-out") return;
      if (await this.#waitForNewer()) return;
      await this.#renew();
    });
  }

  /** Refreshes the tokens if the access token expires within a second. */
  async ensureFresh(): Promise<void> {
    await this.restore();
    const tokens = this.#tokens;
    if (tokens && Date.now() >= tokens.expiresAt - 1_000) await this.refresh(tokens);
  }

  /**
   * Catches up after the page was suspended (in the back/forward cache or during sleep), because it
   * missed the messages of other tabs.
   */
  async catchUp(): Promise<void> {
    const note = this.#tabs.note;
    const tokens = this.#tokens;
    if (this.#state.status === "unknown") return;
    const missed = note ? note.session !== tokens?.session.id || note.generation !== tokens.generation : tokens !== null;
    if (!missed && (!tokens || Date.now() < tokens.refreshAt)) return;
    await this.#tabs.runExclusively(async () => {
      if (this.#tokens !== tokens) return; // another tab that woke up at the same time has asked the server
      if (missed || !(await this.#waitForNewer())) await this.#renew();
    });
  }

  /**
   * Starts a session by `call`, which is a login or an operation with the same response, and stores
   * the tokens. No refresh, login or logout of any tab can run between the two.
   */
  begin(call: () => Promise<Response>): Promise<Response> {
    return this.#tabs.runExclusively(async () => {
      const response = await call();
      const code = await codeOf(response);
      if (response.ok) await this.#keep((await response.clone().json()) as Refreshed, false, null);
      else if (code === "session_expired" || code === "session_revoked") await this.endLocally(code);
      return response;
    });
  }

  /** Logs out by `call`, which gets the stored session as it is when the logout runs. */
  end(call: (stored: StoredSession | null) => Promise<Response>): Promise<Response> {
    return this.#tabs.runExclusively(async () => {
      if (this.hasCookies && !this.#tokens) await this.#requestSession(); // the cookies may be those of a session that another page has started
      let response = await this.#withRetries(async () => call(await this.#loadStored()));
      if ((await codeOf(response)) === "csrf_failed" && (await this.#requestSession())) {
        response = await call(await this.#loadStored());
      }
      if (response.status === 204 || response.status === 401) await this.endLocally("logged_out");
      return response;
    });
  }

  #csrf = "";

  /** Returns the header that a write needs if cookies authenticate the session. */
  csrf(): Record<string, string> {
    const csrf = this.#tokens?.csrf || this.#csrf;
    return this.hasCookies && csrf ? { "X-CSRFToken": csrf } : {};
  }

  /**
   * Removes a session that has ended on the server, and tells the other tabs. It does nothing if this
   * client has removed the session already or has another one.
   */
  async endLocally(reason: EndReason, of: Tokens | null = this.#tokens): Promise<void> {
    if (of && of.session.id !== this.#tokens?.session.id) return;
    if (this.#o.storage) await this.#o.storage.save(null);
    if (of) this.#tabs.tell({ kind: "ended", session: of.session.id, reason });
    this.#tabs.note = null;
    this.#forget(reason);
  }

  #forget(reason: EndReason | null): void {
    clearTimeout(this.#timer);
    if (this.#tokens) this.#lastSession = this.#tokens.session.id;
    this.#tokens = null;
    this.#csrf = "";
    this.#setState({ status: "signed-out", reason });
  }

  #setState(state: State): void {
    this.#state = state;
    this.#o.changed(state);
  }

  #receive(message: Message): void {
    if (message.kind === "ended") {
      // A tab in the state unknown need not ask the server, because its cookies were those of the
      // session that ended. The server reports a theft to one tab only. Tabs that refresh at the
      // same moment learn only that the session was revoked, so the message with the reason
      // refresh_reused may arrive after a tab has removed the session.
      const late = !this.#tokens && this.#lastSession === message.session && message.reason === "refresh_reused";
      const unseen = this.#state.status === "unknown" && this.hasCookies;
      if (unseen || this.#tokens?.session.id === message.session || late) this.#forget(message.reason);
    } else if (message.tokens.session.id === this.#tokens?.session.id) {
      if (message.tokens.generation > this.#tokens.generation) this.#adopt(message.tokens);
    } else if (message.tokens.session.id > (this.#tokens?.session.id ?? this.#lastSession)) {
      // The session is newer according to its UUIDv7, so this is a later login and not a late
      // message. All tabs share the cookies, so this tab has the new session too. A storage may
      // belong to the other tab alone, so a tab that has a session keeps it.
      if (this.hasCookies) this.#adopt(message.tokens);
      else if (this.#state.status === "signed-out") void this.#renewLater();
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /**
   * Reads the storage after a pause, because the data that another tab has saved may become visible
   * later than its message.
   */
  async #renewLater(): Promise<void> {
    await pause(times.heard);
    await this.#tabs.runExclusively(() => this.#renew()).catch(() => undefined); // the next login or reload tries again
  }

  /**
   * Waits for the message of another tab if the note shows that it has refreshed or ended the
   * session. Reports whether the tokens have changed.
   */
  async #waitForNewer(): Promise<boolean> {
    const seen = this.#tokens;
    const note = this.#tabs.note;
    if (!seen || !this.#tabs.canReceive || (note?.session === seen.session.id && note.generation <= seen.generation)) return false;
    await Promise.race([new Promise<void>((resolve) => this.#waiting.push(resolve)), pause(times.heard)]);
    return this.#tokens !== seen;
  }

  #adopt(tokens: Tokens): void {
    this.#tokens = tokens;
    this.#csrf = tokens.csrf;
    this.#schedule(tokens.refreshAt - Date.now());
    this.#setState({ status: "signed-in", session: tokens.session, generation: tokens.generation, expiresAt: tokens.expiresAt, refreshAt: tokens.refreshAt });
  }

  /** Schedules the next refresh. It is retried until it succeeds or the session has ended. */
  #schedule(delay: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const tokens = this.#tokens;
    this.#timer = setTimeout(
      () => {
        this.refresh(tokens).catch(() => {
          if (this.#tokens === tokens) this.#schedule(times.later);
        });
      },
      Math.min(Math.max(delay, 0), longestTimer),
    );
    (this.#timer as { unref?: () => void }).unref?.(); // in Node, the timer must not keep the program alive
  }

  /**
   * Stores the tokens of a response. `mayRotate` means that a request that was given up may still
   * rotate them. `stored` is the stored session if the response is that of a refresh.
   */
  async #keep(result: Refreshed, mayRotate: boolean, stored: StoredSession | null): Promise<void> {
    const now = Date.now();
    const tokens: Tokens = {
      session: result.session,
      generation: result.generation,
      access: result.access_token ?? "",
      csrf: result.csrf_token ?? "",
      expiresAt: now + result.expires_in * 1000,
      refreshAt: now + result.refresh_in * 1000,
    };
    if (this.#o.storage && result.refresh_token && result.refresh_token !== stored?.refreshToken) {
      const same = stored && this.#tokens?.session.id === tokens.session.id && this.#tokens.generation === tokens.generation;
      const attempt = (same && stored.attempt) || newAttempt(); // unchanged until the generation increases
      await this.#o.storage.save({ refreshToken: result.refresh_token, attempt });
    }
    const note = this.#tabs.note;
    const isNew = !note || note.session !== tokens.session.id || note.generation < tokens.generation;
    if (isNew) this.#tabs.note = { attempt: newAttempt(), session: tokens.session.id, generation: tokens.generation };
    this.#adopt(tokens);
    if (mayRotate && !isNew) this.#schedule(times.decision);
    this.#tabs.tell({ kind: "tokens", tokens });
  }

  /**
   * Refreshes the tokens, or finds that there is no session. The promise is rejected if the server
   * cannot be reached.
   */
  async #renew(): Promise<void> {
    this.#csrf ||= this.#csrfCookie();
    if (this.hasCookies && !this.csrf()["X-CSRFToken"] && !(await this.#requestSession())) return;
    if (this.#o.storage && !(await this.#loadStored())) {
      if (this.#state.status !== "signed-out") this.#forget(null);
      return;
    }
    const seen = this.#tokens;
    let givenUp = false;
    let sent = null as StoredSession | null;
    const ask = () => this.#withRetries(async () => this.#sendRefresh((sent = await this.#loadWithAttempt())), () => (givenUp = true));
    let response = await ask();
    if ((await codeOf(response)) === "csrf_failed") {
      // The cookies are those of another login. Retry once with their CSRF token.
      if (!(await this.#requestSession())) return;
      response = await ask();
    }
    const result = response.ok ? ((await response.json()) as Refreshed) : null;
    const stored = await this.#loadStored();
    if (sent && stored?.refreshToken !== sent.refreshToken && stored?.refreshToken !== result?.refresh_token) {
      // Another program that shares the storage has refreshed, logged in or logged out since, so
      // this response is outdated.
      return this.#renew();
    }
    if (result) return this.#keep(result, givenUp, stored);
    if (response.status === 401) {
      const code = (await codeOf(response)) as EndReason;
      return code === "credentials_missing" && !seen ? this.#forget(null) : this.endLocally(code, seen);
    }
    throw new Error(`refresh: status ${response.status} ${await codeOf(response)}`);
  }

  /**
   * Returns the stored session with an attempt. A new attempt is saved before it is sent, because the
   * response may be lost, or the program may crash before it saves the response.
   */
  async #loadWithAttempt(): Promise<StoredSession | null> {
    const stored = await this.#loadStored();
    if (!stored || stored.attempt) return stored;
    const sent = { ...stored, attempt: newAttempt() };
    await this.#o.storage?.save(sent);
    return sent;
  }

  /** Returns the attempt for a refresh by cookie. All tabs share it. It is saved before it is sent. */
  #cookieAttempt(): string {
    const note = this.#tabs.note ?? { attempt: newAttempt(), session: "", generation: -1 };
    this.#tabs.note = note;
    return note.attempt;
  }

  #sendRefresh(sent: StoredSession | null): Promise<Response> {
    return this.#o.fetch(this.#o.url("/accounts/refresh_token"), {
      method: "POST",
      headers: { "Content-Type": "application/json", "Refresh-Attempt": sent?.attempt ?? this.#cookieAttempt(), ...this.csrf() },
      body: JSON.stringify(sent ? { refresh_token: sent.refreshToken } : {}),
      credentials: this.hasCookies ? "include" : "omit",
      signal: AbortSignal.timeout(times.answer),
    });
  }

  /**
   * Returns the CSRF token in the cookie, or "". Scripts on the API's own host can read this cookie
   * after a reload, so they need not request the token.
   */
  #csrfCookie(): string {
    if (!this.hasCookies || new URL(this.#o.url("/")).hostname !== location.hostname) return "";
    return /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "";
  }

  /**
   * Requests the session of the cookies and its CSRF token. Reports whether there is a session. The
   * response does not say why an earlier session ended.
   */
  async #requestSession(): Promise<boolean> {
    const response = await this.#withRetries(() =>
      this.#o.fetch(this.#o.url("/accounts/session"), { credentials: "include", signal: AbortSignal.timeout(times.answer) }),
    );
    if (!response.ok) throw new Error(`session: status ${response.status}`);
    const { session, csrf_token: csrf } = (await response.json()) as components["schemas"]["SessionResult"];
    if (!session) {
      if (this.#tokens) await this.endLocally("session_revoked");
      else this.#forget(null);
      return false;
    }
    this.#csrf = csrf ?? "";
    if (this.#tokens) this.#tokens = { ...this.#tokens, csrf: this.#csrf };
    return true;
  }

  async #loadStored(): Promise<StoredSession | null> {
    return (await this.#o.storage?.load()) ?? null;
  }

  /**
   * Repeats a call until the response is not "unavailable". The server guarantees that retries are
   * harmless.
   */
  async #withRetries(call: () => Promise<Response>, gaveUp?: () => void): Promise<Response> {
    const end = Date.now() + times.retry;
    for (let tries = 1; ; tries++) {
      let wait = Math.min(250 * 2 ** tries, 4_000);
      try {
        const response = await call();
        if (!unavailable(response)) return response;
        wait = retryAfter(response);
        if (Date.now() + wait > end) return response;
      } catch (error) {
        gaveUp?.();
        if (Date.now() + wait > end || globalThis.navigator?.onLine === false) throw error;
      }
      await pause(wait);
    }
  }
}

/** Reports whether a response says that the server, or a proxy in front of it, is unavailable. */
export function unavailable(response: Response): boolean {
  return response.status === 502 || response.status === 503 || response.status === 504;
}

/** Returns Retry-After in milliseconds. */
export function retryAfter(response: Response): number {
  return Math.max(Number(response.headers.get("Retry-After")) || 1, 1) * 1000;
}

/** Returns the code of a problem, or "". The body can be read again afterward. */
export async function codeOf(response: Response): Promise<string> {
  if (!response.headers.get("Content-Type")?.startsWith("application/problem+json")) return "";
  return ((await response.clone().json()) as Problem).code;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
