// The types of the contract, in the form that front ends use.
import type { components, operations, paths } from "./schema.js";

type Schemas = components["schemas"];

/**
 * How the tokens of a session are delivered. The contract's description explains the four
 * transports.
 */
export type Transport = Schemas["TokenTransport"];

/** The problems that an operation may return (RFC 9457). */
export type ProblemOf<Operation extends keyof operations> = Problems<operations[Operation]["responses"]>;

type Problems<Responses> = {
  [Status in keyof Responses]: Responses[Status] extends { content: { "application/problem+json": infer Problem } }
    ? Problem
    : never;
}[keyof Responses];

/**
 * The codes of those problems. The compiler can check that a `switch (error.code)` covers all of
 * them.
 */
export type CodeOf<Operation extends keyof operations> = ProblemOf<Operation> extends { code: infer Code } ? Code : never;

/** The result of a call: the data or the problem. A lost connection rejects the promise instead. */
export type Answer<Operation extends keyof operations, Data> =
  | { data: Data; error?: never; response: Response }
  | { data?: never; error: ProblemOf<Operation>; response: Response };

type Tokens<T extends Transport> = T extends "hybrid"
  ? { access_token: string; csrf_token: string; refresh_token?: never }
  : T extends "body"
    ? { access_token: string; refresh_token: string; csrf_token?: never }
    : { csrf_token: string; access_token?: never; refresh_token?: never };

/**
 * The response of a login, with the members of its transport. The client has already stored the
 * tokens.
 */
export type SignedIn<T extends Transport> = Omit<
  Schemas["SignedIn"],
  "access_token" | "refresh_token" | "csrf_token" | "token_transport"
> & { token_transport: T } & Tokens<T>;

/**
 * The operations that `api` offers: all except those that start, refresh or end the client's own
 * session. Those are methods of the client, which must see their responses.
 */
export type OpenPaths = Omit<
  paths,
  | "/accounts/login"
  | "/accounts/logout"
  | "/accounts/refresh_token"
  | "/accounts/email/verify"
  | "/accounts/password/change"
>;

/**
 * A session of the transport `body` in its storage, which saves and loads it unchanged, for example
 * as JSON.
 */
export interface StoredSession {
  refreshToken: string;
  /**
   * The Refresh-Attempt for the next refresh with this token. It is saved before it is sent, so
   * that a program that crashes before it has saved the response can repeat the refresh as the same
   * client, even days later. At first, a stored session may have only a token.
   */
  attempt?: string;
}

/**
 * The storage of the session in an application with the transport `body`: the secure storage of the
 * platform. Programs that share a storage share the session.
 */
export interface RefreshTokenStorage {
  load(): StoredSession | null | Promise<StoredSession | null>;
  /** Saves the session. Null means that it has ended. The saved session must survive a crash. */
  save(session: StoredSession | null): void | Promise<void>;
}

/**
 * The path of a list. Its responses have `next_cursor`, and the items are in the member with the
 * name of the path's last segment.
 */
export type ListPath = {
  [Path in keyof OpenPaths]: PageOf<Path> extends { next_cursor: string | null } & Record<LastSegment<Path>, unknown[]> ? Path : never;
}[keyof OpenPaths];

type PageOf<Path extends keyof OpenPaths> = OpenPaths[Path] extends {
  get: { responses: { 200: { content: { "application/json": infer Page } } } };
}
  ? Page
  : never;

type LastSegment<Path extends string> = Path extends `${string}/${infer Rest}` ? LastSegment<Rest> : Path;

/** An item of a list. */
export type ItemOf<Path extends ListPath> = PageOf<Path> extends Record<LastSegment<Path>, (infer Item)[]> ? Item : never;

/**
 * The parameters of a list: those of its path, and in `query` the filters, the order, and `limit`,
 * the size of a page.
 */
export type ListOptions<Path extends ListPath> = ParametersOf<OpenPaths[Path]["get"]> & { signal?: AbortSignal };

type ParametersOf<Operation> = Operation extends { parameters: infer Parameters extends { path?: unknown; query?: unknown } }
  ? Pick<Parameters, "path" | "query">
  : never;

/** The arguments of `list` after the path. They can be left out if the path has no parameters. */
export type ListArguments<Path extends ListPath> =
  Record<string, never> extends ListOptions<Path> ? [options?: ListOptions<Path>] : [options: ListOptions<Path>];

/**
 * The reason for the end of a session: `logged_out` after a logout here or in another tab, or the
 * code of a 401.
 */
export type EndReason = "logged_out" | Schemas["RefreshRejectedProblem"]["code"];

/** The state of the session, as the client knows it. */
export type State =
  | { status: "unknown" } // restore has not been called
  | { status: "signed-in"; session: Schemas["SessionSummary"]; generation: number; expiresAt: number; refreshAt: number }
  | { status: "signed-out"; reason: EndReason | null }; // null: there was no session
