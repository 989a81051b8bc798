// The resources that the tabs of one origin share: a lock, a channel and a note. A browser may lack
// any of them. The tabs then work independently. This causes more requests but ends no session,
// because the server answers the refreshes of all tabs with the same tokens.

/**
 * How long a tab waits for another one that holds the lock and may be suspended, in milliseconds.
 */
const lockTime = 20_000;

/**
 * The attempt (Refresh-Attempt in the contract) for the next refresh by cookie, with the session and
 * the generation that it belongs to. The attempt stays the same until a response has a higher
 * generation.
 */
export interface Note {
  attempt: string;
  session: string;
  generation: number;
}

/** The tabs that share a cookie jar, or one client alone. */
export class Tabs<Message> {
  readonly #name: string;
  readonly #channel: BroadcastChannel | null;
  readonly #shared: boolean;
  #note: Note | null = null;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(name: string, shared: boolean, heard: (message: Message) => void) {
    this.#name = name;
    this.#shared = shared;
    this.#channel = shared && "BroadcastChannel" in globalThis ? new BroadcastChannel(name) : null;
    this.#channel?.addEventListener("message", (event) => heard(event.data as Message));
  }

  /** Reports whether this tab can receive messages of other tabs. */
  get canReceive(): boolean {
    return this.#channel !== null;
  }

  tell(message: Message): void {
    this.#channel?.postMessage(message);
  }

  close(): void {
    this.#channel?.close();
  }

  /** Runs one task at a time: across all tabs if there are Web Locks, and in this tab if not. */
  runExclusively<Result>(task: () => Promise<Result>): Promise<Result> {
    const run = this.#queue.then(() => this.#runLocked(task));
    this.#queue = run.catch(() => undefined);
    return run;
  }

  async #runLocked<Result>(task: () => Promise<Result>): Promise<Result> {
    if (!this.#shared || !globalThis.navigator?.locks) return task();
    let running: Promise<Result> | undefined;
    const take = (options: LockOptions) => navigator.locks.request(this.#name, options, () => (running = task()));
    try {
      return await take({ signal: AbortSignal.timeout(lockTime) });
    } catch (error) {
      // The tab that holds the lock is suspended. The server can handle two tabs at once, so this
      // one steals the lock.
      if (!running && (error as Error).name === "TimeoutError") await take({ steal: true }).catch(() => undefined);
      if (!running) throw error;
      return running; // its result or error, even if another tab has stolen the lock
    }
  }

  /** The note that all tabs share. An attempt alone is not a credential. */
  get note(): Note | null {
    if (!this.#shared) return this.#note;
    try {
      return JSON.parse(localStorage.getItem(this.#name) ?? "null") as Note | null;
    } catch {
      return this.#note; // no storage, or another script wrote to it
    }
  }

  set note(note: Note | null) {
    this.#note = note;
    if (!this.#shared) return;
    try {
      if (note) localStorage.setItem(this.#name, JSON.stringify(note));
      else localStorage.removeItem(this.#name);
    } catch {
      // There is no storage: each tab has a note of its own.
    }
  }
}

/** Returns 128 random bits as 22 characters of base64url. */
export function newAttempt(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
