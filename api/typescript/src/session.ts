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
 * Milliseconds. A request without a response is given up after `answer`, and repeated until `retry`
 * has passed. The server decides a given-up request within `decision` after it was sent, or never.
 * The client then refreshes once more, because that request may have rotated the tokens after its
 * own retry was answered (invariant 6 of the server's design: R = 15 s, Q = 10 s). Not part of the
 * package's interface; tests shorten these times.
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
  #over = ""; // the last session of this client
  #closed = false;

  constructor(o: SessionOptions, tabs: { name: string; shared: boolean }) {
    this.#o = o;
    this.#tabs = new Tabs<Message>(tabs.name, tabs.shared, (message) => this.#heard(message));
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
    await this.#tabs.exclusively(async () => {
      if (this.#state.status === "unknown") await this.#renew();
    });
  }

  /** Refreshes, unless the tokens have changed since the caller read `seen`. */
  async refresh(seen: Tokens | null): Promise<void> {
    await this.#tabs.exclusively(async () => {
      if (this.#tokens !== seen || this.#state.status === "signed-out") return;
      if (await this.#heardOfNewer()) return;
      await this.#renew();
    });
  }

  /** Makes sure that the access token is valid for at least one more second. */
  async fresh(): Promise<void> {
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
    await this.#tabs.exclusively(async () => {
      if (this.#tokens !== tokens) return; // of all tabs that wake up at once, only one asks the server
      if (missed || !(await this.#heardOfNewer())) await this.#renew();
    });
  }

  /**
   * Starts a session: a login or an operation with the same response. No refresh, login or logout
   * of any tab can run in between.
   */
  begin(call: () => Promise<Response>): Promise<Response> {
    return this.#tabs.exclusively(async () => {
      const response = await call();
      const code = await codeOf(response);
      if (response.ok) await this.#keep((await response.clone().json()) as Refreshed, false, null);
      else if (code === "session_expired" || code === "session_revoked") await this.ended(code);
      return response;
    });
  }

  /** Ends the session: a logout with the credentials that are current when it runs. */
  end(call: (stored: StoredSession | null) => Promise<Response>): Promise<Response> {
    return this.#tabs.exclusively(async () => {
      if (this.hasCookies && !this.#tokens) await this.#askForSession(); // the cookies may be those of a session that another page has started
      let response = await this.#patiently(async () => call(await this.#stored()));
      if ((await codeOf(response)) === "csrf_failed" && (await this.#askForSession())) {
        response = await call(await this.#stored());
      }
      if (response.status === 204 || response.status === 401) await this.ended("logged_out");
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
   * Ends the session and tells the other tabs, unless this client knows already or another session
   * has started since.
   */
  async ended(reason: EndReason, of: Tokens | null = this.#tokens): Promise<void> {
    if (of && of.session.id !== this.#tokens?.session.id) return;
    if (this.#o.storage) await this.#o.storage.save(null);
    if (of) this.#tabs.tell({ kind: "ended", session: of.session.id, reason });
    this.#tabs.note = null;
    this.#forget(reason);
  }

  #forget(reason: EndReason | null): void {
    clearTimeout(this.#timer);
    if (this.#tokens) this.#over = this.#tokens.session.id;
    this.#tokens = null;
    this.#csrf = "";
    this.#change({ status: "signed-out", reason });
  }

  #change(state: State): void {
    this.#state = state;
    this.#o.changed(state);
  }

  #heard(message: Message): void {
    if (message.kind === "ended") {
      // A tab in the state unknown need not ask the server, because its cookies were those of the
      // session that ended. The server reports a theft to only one tab. Tabs that refresh at the
      // same moment learn only that the session was revoked, so the reason may arrive late.
      const late = !this.#tokens && this.#over === message.session && message.reason === "refresh_reused";
      const unseen = this.#state.status === "unknown" && this.hasCookies;
      if (unseen || this.#tokens?.session.id === message.session || late) this.#forget(message.reason);
    } else if (message.tokens.session.id === this.#tokens?.session.id) {
      if (message.tokens.generation > this.#tokens.generation) this.#adopt(message.tokens);
    } else if (message.tokens.session.id > (this.#tokens?.session.id ?? this.#over)) {
      // The session is newer according to its UUIDv7, so this is a later login and not a late
      // message. Cookies belong to this tab too, in every transport. A storage may belong to
      // the other tab alone, so a tab that has a session keeps it.
      if (this.hasCookies) this.#adopt(message.tokens);
      else if (this.#state.status === "signed-out") void this.#lookLater();
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /**
   * Reads the storage after a pause, because the data that another tab has saved may become visible
   * later than its message.
   */
  async #lookLater(): Promise<void> {
    await pause(times.heard);
    await this.#tabs.exclusively(() => this.#renew()).catch(() => undefined); // the next login or reload tries again
  }

  /**
   * Waits for the message of another tab that has refreshed or ended the session. Reports whether
   * it came.
   */
  async #heardOfNewer(): Promise<boolean> {
    const seen = this.#tokens;
    const note = this.#tabs.note;
    if (!seen || !this.#tabs.hears || (note?.session === seen.session.id && note.generation <= seen.generation)) return false;
    await Promise.race([new Promise<void>((resolve) => this.#waiting.push(resolve)), pause(times.heard)]);
    return this.#tokens !== seen;
  }

  #adopt(tokens: Tokens): void {
    this.#tokens = tokens;
    this.#csrf = tokens.csrf;
    this.#arm(tokens.refreshAt - Date.now());
    this.#change({ status: "signed-in", session: tokens.session, generation: tokens.generation, expiresAt: tokens.expiresAt, refreshAt: tokens.refreshAt });
  }

  /** Schedules the next refresh. It is retried until it succeeds or the session has ended. */
  #arm(delay: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const tokens = this.#tokens;
    this.#timer = setTimeout(
      () => {
        this.refresh(tokens).catch(() => {
          if (this.#tokens === tokens) this.#arm(times.later);
        });
      },
      Math.min(Math.max(delay, 0), longestTimer),
    );
    (this.#timer as { unref?: () => void }).unref?.(); // in Node, the timer must not keep the program alive
  }

  /**
   * Stores the tokens of a response. `again` means that a request that was given up may still
   * rotate them. `stored` is the stored session if the response is to a refresh.
   */
  async #keep(result: Refreshed, again: boolean, stored: StoredSession | null): Promise<void> {
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
    const risen = !note || note.session !== tokens.session.id || note.generation < tokens.generation;
    if (risen) this.#tabs.note = { attempt: newAttempt(), session: tokens.session.id, generation: tokens.generation };
    this.#adopt(tokens);
    if (again && !risen) this.#arm(times.decision);
    this.#tabs.tell({ kind: "tokens", tokens });
  }

  /**
   * Refreshes the tokens, or finds that there is no session. The promise is rejected if the server
   * cannot be reached.
   */
  async #renew(): Promise<void> {
    this.#csrf ||= this.#csrfCookie();
    if (this.hasCookies && !this.csrf()["X-CSRFToken"] && !(await this.#askForSession())) return;
    if (this.#o.storage && !(await this.#stored())) {
      if (this.#state.status !== "signed-out") this.#forget(null);
      return;
    }
    const seen = this.#tokens;
    let givenUp = false;
    let sent = null as StoredSession | null;
    const ask = () => this.#patiently(async () => this.#ask((sent = await this.#toSend())), () => (givenUp = true));
    let response = await ask();
    if ((await codeOf(response)) === "csrf_failed") {
      // The cookies are those of another login. Retry once with their CSRF token.
      if (!(await this.#askForSession())) return;
      response = await ask();
    }
    const result = response.ok ? ((await response.json()) as Refreshed) : null;
    const stored = await this.#stored();
    if (sent && stored?.refreshToken !== sent.refreshToken && stored?.refreshToken !== result?.refresh_token) {
      // Another program that shares the storage has refreshed, logged in or logged out since, so
      // this response is outdated.
      return this.#renew();
    }
    if (result) return this.#keep(result, givenUp, stored);
    if (response.status === 401) {
      const code = (await codeOf(response)) as EndReason;
      return code === "credentials_missing" && !seen ? this.#forget(null) : this.ended(code, seen);
    }
    throw new Error(`refresh: status ${response.status} ${await codeOf(response)}`);
  }

  /**
   * Returns the stored session with its attempt. The attempt is saved before it is sent, because
   * the response may be lost or may not be saved.
   */
  async #toSend(): Promise<StoredSession | null> {
    const stored = await this.#stored();
    if (!stored || stored.attempt) return stored;
    const sent = { ...stored, attempt: newAttempt() };
    await this.#o.storage?.save(sent);
    return sent;
  }

  /** Returns the attempt for the cookies, which all tabs share. It is saved before it is sent. */
  #cookieAttempt(): string {
    const note = this.#tabs.note ?? { attempt: newAttempt(), session: "", generation: -1 };
    this.#tabs.note = note;
    return note.attempt;
  }

  #ask(sent: StoredSession | null): Promise<Response> {
    return this.#o.fetch(this.#o.url("/accounts/refresh_token"), {
      method: "POST",
      headers: { "Content-Type": "application/json", "Refresh-Attempt": sent?.attempt ?? this.#cookieAttempt(), ...this.csrf() },
      body: JSON.stringify(sent ? { refresh_token: sent.refreshToken } : {}),
      credentials: this.hasCookies ? "include" : "omit",
      signal: AbortSignal.timeout(times.answer),
    });
  }

  /**
   * Returns the CSRF token after a reload. Scripts of the API's own host find it in a cookie and
   * need not request it.
   */
  #csrfCookie(): string {
    if (!this.hasCookies || new URL(this.#o.url("/")).hostname !== location.hostname) return "";
    return /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "";
  }

  /**
   * Requests the session of the cookies and its CSRF token. Reports whether there is a session. The
   * response does not say why an earlier session ended.
   */
  async #askForSession(): Promise<boolean> {
    const response = await this.#patiently(() =>
      this.#o.fetch(this.#o.url("/accounts/session"), { credentials: "include", signal: AbortSignal.timeout(times.answer) }),
    );
    if (!response.ok) throw new Error(`session: status ${response.status}`);
    const { session, csrf_token: csrf } = (await response.json()) as components["schemas"]["SessionResult"];
    if (!session) {
      if (this.#tokens) await this.ended("session_revoked");
      else this.#forget(null);
      return false;
    }
    this.#csrf = csrf ?? "";
    if (this.#tokens) this.#tokens = { ...this.#tokens, csrf: this.#csrf };
    return true;
  }

  async #stored(): Promise<StoredSession | null> {
    return (await this.#o.storage?.load()) ?? null;
  }

  /**
   * Repeats a call until the response is not "unavailable". The server guarantees that retries are
   * harmless.
   */
  async #patiently(call: () => Promise<Response>, gaveUp?: () => void): Promise<Response> {
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

/** Reports whether the server is unavailable, or a proxy's server, which may be restarting. */
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
