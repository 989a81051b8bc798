// The session of one client: its tokens, and how they are renewed without ever losing it.
import type { components } from "./schema.js";
import { newAttempt, Tabs } from "./tabs.js";
import type { EndReason, RefreshTokenStorage, State, StoredSession, Transport } from "./types.js";

type Refreshed = components["schemas"]["Refreshed"];
type Problem = components["schemas"]["Problem"];

/** The tokens in force. Times are those of this machine, in milliseconds. */
interface Tokens {
  session: components["schemas"]["SessionSummary"];
  generation: number;
  access: string; // empty where a cookie holds it
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
 * Milliseconds. An answer that is waited for longer than `answer` is given up, and asked for again until `retry` is
 * over. A request that was given up is decided by the server within `decision` of being sent, or never; then the client
 * refreshes once more, since it may have rotated the tokens after its own retry was answered (invariant 6 of the
 * server's design: R = 15 s, Q = 10 s). Not part of the package's interface: tests shorten them.
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
  #over = ""; // the session that this client had last
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

  /** Finds the session that the cookies, or the storage, still hold. Once: later calls answer at once. */
  async restore(): Promise<void> {
    if (this.#state.status !== "unknown") return;
    await this.#tabs.exclusively(async () => {
      if (this.#state.status === "unknown") await this.#renew();
    });
  }

  /** Refreshes, unless the tokens are other ones by now than those that the caller saw. */
  async refresh(seen: Tokens | null): Promise<void> {
    await this.#tabs.exclusively(async () => {
      if (this.#tokens !== seen || this.#state.status === "signed-out") return;
      if (await this.#heardOfNewer()) return;
      await this.#renew();
    });
  }

  /** Makes sure that the access token in hand is good for a moment still. */
  async fresh(): Promise<void> {
    await this.restore();
    const tokens = this.#tokens;
    if (tokens && Date.now() >= tokens.expiresAt - 1_000) await this.refresh(tokens);
  }

  /** After the page was away (a back/forward cache, a sleep): what other tabs did meanwhile was not heard. */
  async catchUp(): Promise<void> {
    const note = this.#tabs.note;
    const tokens = this.#tokens;
    if (this.#state.status === "unknown") return;
    const missed = note ? note.session !== tokens?.session.id || note.generation !== tokens.generation : tokens !== null;
    if (!missed && (!tokens || Date.now() < tokens.refreshAt)) return;
    await this.#tabs.exclusively(async () => {
      if (this.#tokens !== tokens) return; // of all the tabs that wake up together, one asks
      if (missed || !(await this.#heardOfNewer())) await this.#renew();
    });
  }

  /** Begins a session: a login, or what answers like one. No refresh, login or logout of any tab comes in between. */
  begin(call: () => Promise<Response>): Promise<Response> {
    return this.#tabs.exclusively(async () => {
      const response = await call();
      const code = await codeOf(response);
      if (response.ok) await this.#keep((await response.clone().json()) as Refreshed, false, null);
      else if (code === "session_expired" || code === "session_revoked") await this.ended(code);
      return response;
    });
  }

  /** Ends it: a logout, with what proves the session at that moment. */
  end(call: (stored: StoredSession | null) => Promise<Response>): Promise<Response> {
    return this.#tabs.exclusively(async () => {
      if (this.hasCookies && !this.#tokens) await this.#askForSession(); // another page's session, perhaps
      let response = await this.#patiently(async () => call(await this.#stored()));
      if ((await codeOf(response)) === "csrf_failed" && (await this.#askForSession())) {
        response = await call(await this.#stored());
      }
      if (response.status === 204 || response.status === 401) await this.ended("logged_out");
      return response;
    });
  }

  #csrf = "";

  /** The header that a write needs where cookies prove the session. */
  csrf(): Record<string, string> {
    const csrf = this.#tokens?.csrf || this.#csrf;
    return this.hasCookies && csrf ? { "X-CSRFToken": csrf } : {};
  }

  /** The session is over: told to the other tabs, unless this client knows already, or another session has begun since. */
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
      // A tab that has not looked yet need not: the cookies were those of the session that ended.
      // Whether it was stolen is told to one tab alone; the others, asking at the same moment, hear that it has been ended.
      const late = !this.#tokens && this.#over === message.session && message.reason === "refresh_reused";
      const unseen = this.#state.status === "unknown" && this.hasCookies;
      if (unseen || this.#tokens?.session.id === message.session || late) this.#forget(message.reason);
    } else if (message.tokens.session.id === this.#tokens?.session.id) {
      if (message.tokens.generation > this.#tokens.generation) this.#adopt(message.tokens);
    } else if (message.tokens.session.id > (this.#tokens?.session.id ?? this.#over)) {
      // A later login, by its UUIDv7, and no message that comes late. Cookies are this tab's too, whatever the transport; a
      // storage may be the other tab's own, so a tab that has a session keeps it.
      if (this.hasCookies) this.#adopt(message.tokens);
      else if (this.#state.status === "signed-out") void this.#lookLater();
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** What another tab has saved may be seen here later than its message. */
  async #lookLater(): Promise<void> {
    await pause(times.heard);
    await this.#tabs.exclusively(() => this.#renew()).catch(() => undefined); // the next login or reload tries again
  }

  /** Another tab has refreshed or ended the session, and its message may still be on the way. */
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

  /** The next refresh by the clock. It is tried again until it works, or the session has ended. */
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
    (this.#timer as { unref?: () => void }).unref?.(); // of Node: a timer keeps no program alive
  }

  /**
   * Keeps the tokens of an answer. `again` means that a request which was given up may still rotate them. `stored` is the
   * stored session if the answer is one to a refresh.
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

  /** Gets the tokens in force, or finds that there is no session. Rejected if the server cannot be reached. */
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
      // The cookies are those of another login: their own CSRF token, once.
      if (!(await this.#askForSession())) return;
      response = await ask();
    }
    const result = response.ok ? ((await response.json()) as Refreshed) : null;
    const stored = await this.#stored();
    if (sent && stored?.refreshToken !== sent.refreshToken && stored?.refreshToken !== result?.refresh_token) {
      // Another program that shares the storage has refreshed, logged in or logged out since, so this answer is outdated.
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
   * Returns the stored session with its attempt. The attempt is saved before it is sent, because the answer may be lost or
   * may not be saved.
   */
  async #toSend(): Promise<StoredSession | null> {
    const stored = await this.#stored();
    if (!stored || stored.attempt) return stored;
    const sent = { ...stored, attempt: newAttempt() };
    await this.#o.storage?.save(sent);
    return sent;
  }

  /** Returns the attempt of the cookies, which all tabs share. It is saved before it is sent. */
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

  /** After a reload: scripts of the API's own host find the CSRF token in a cookie, and need not ask for it. */
  #csrfCookie(): string {
    if (!this.hasCookies || new URL(this.#o.url("/")).hostname !== location.hostname) return "";
    return /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "";
  }

  /**
   * Requests the session of the cookies and its CSRF token. Reports whether there is a session. The answer does not say
   * why an earlier session ended.
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

  /** Asks until there is an answer other than "not now". The server has promised that asking again does no harm. */
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

/** Not now: by the server itself, or by a proxy whose server is being restarted. */
export function unavailable(response: Response): boolean {
  return response.status === 502 || response.status === 503 || response.status === 504;
}

/** Retry-After in milliseconds. */
export function retryAfter(response: Response): number {
  return Math.max(Number(response.headers.get("Retry-After")) || 1, 1) * 1000;
}

/** The code of a problem, or "". The body can be read again afterwards. */
export async function codeOf(response: Response): Promise<string> {
  if (!response.headers.get("Content-Type")?.startsWith("application/problem+json")) return "";
  return ((await response.clone().json()) as Problem).code;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
