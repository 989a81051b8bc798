// Tests the types of the contract in a front end. It is compiled, never run: it stops compiling
// when an operation gains or loses an error code, or when a member changes. Each line after a comment
// with @ts-expect-error must not compile.
//
// schema.d.ts comes from openapi-typescript; see the step "types" of scripts/verify.sh.
import createClient from "openapi-fetch";
import type { components, operations, paths } from "../../.cache/typescript/schema.js";

type Schemas = components["schemas"];
type User = Schemas["User"];

/** Returns the message for a field, with the bound that it violates. */
export function fieldMessage(error: Schemas["FieldError"]): string {
  return error.code === "too_short" && error.minimum !== undefined ? `At least ${error.minimum} characters.` : error.detail;
}

/** The problem that an operation documents for a status. */
type ProblemOf<Operation extends keyof operations, Status extends keyof operations[Operation]["responses"]> =
  operations[Operation]["responses"][Status] extends { content: { "application/problem+json": infer Problem } }
    ? Problem
    : never;

/** All errors of login and of refreshToken. */
type LoginProblem = ProblemOf<"login", 400 | 401 | 403 | 413 | 415 | 422 | 429 | 500 | 503>;
type RefreshProblem = ProblemOf<"refreshToken", 400 | 401 | 403 | 413 | 415 | 422 | 500 | 503>;

/**
 * Returns `instead`. The type of `code` is never if the preceding switch covers every code; a newer
 * server may respond with others.
 */
function otherwise<Result>(code: never, instead: Result): Result {
  void code;
  return instead;
}

/**
 * Returns the message of a sign-in form. The switch covers every code of the operation, so a new
 * code is a compile error.
 */
export function loginMessage(problem: LoginProblem): string {
  const { code } = problem;
  const detail: string = problem.detail; // after the switch, the type of problem is never
  switch (code) {
    case "credentials_invalid":
      return "The username or the password is wrong.";
    case "validation_failed":
      return (problem.errors ?? []).map((error) => `${error.pointer ?? error.parameter ?? ""}: ${error.code}`).join(", ");
    case "transport_unusable":
    case "csrf_failed":
      return "This page cannot use cookies with the server.";
    case "request_malformed":
    case "body_too_large":
    case "media_type_unsupported":
      return `Our mistake. Please quote ${problem.request_id}.`;
    case "rate_limited":
      return "There were too many tries. Wait a while, or reset your password by mail.";
    case "server_failed":
    case "service_unavailable":
      return "Please try again in a moment.";
    default:
      return otherwise(code, detail);
  }
}

/** Decides how a client continues after a failed refresh. */
export function afterRefresh(problem: RefreshProblem): "log in" | "log in and warn" | "try again" | "report" {
  const { code } = problem;
  switch (code) {
    case "credentials_missing":
    case "refresh_invalid":
    case "session_expired":
    case "session_revoked":
      return "log in";
    case "refresh_reused":
      return "log in and warn";
    case "service_unavailable":
    case "server_failed":
      return "try again";
    case "csrf_failed":
    case "request_malformed":
    case "body_too_large":
    case "media_type_unsupported":
    case "validation_failed":
      return "report";
    default:
      return otherwise(code, "report");
  }
}

/**
 * A single-page app in the transport `hybrid`: the access token and the CSRF token are kept in
 * memory.
 */
export class Session {
  readonly #client = createClient<paths>({ baseUrl: "http://localhost:8080", credentials: "include" });
  #accessToken = "";
  #csrfToken = "";

  async login(username: string, password: string): Promise<User> {
    const { data, error } = await this.#client.POST("/accounts/login", {
      body: { username, password, token_transport: "hybrid" },
    });
    if (error) throw new Error(loginMessage(error));
    this.#keep(data);
    return data.user;
  }

  async profile(): Promise<User> {
    const answer = await this.#readProfile();
    if (answer.response.status !== 401) return userOf(answer);
    await this.#refresh();
    return userOf(await this.#readProfile());
  }

  async logout(): Promise<void> {
    await this.#client.POST("/accounts/logout", { body: {}, headers: { "X-CSRFToken": this.#csrfToken } });
    this.#accessToken = this.#csrfToken = "";
  }

  #readProfile() {
    return this.#client.GET("/accounts/profile", { headers: { Authorization: `Bearer ${this.#accessToken}` } });
  }

  async #refresh(): Promise<void> {
    const { data, error } = await this.#client.POST("/accounts/refresh_token", {
      body: {},
      headers: { "X-CSRFToken": this.#csrfToken },
    });
    if (error) throw new Error(afterRefresh(error));
    this.#keep(data);
  }

  #keep(tokens: Schemas["Refreshed"]): void {
    this.#accessToken = tokens.access_token ?? "";
    this.#csrfToken = tokens.csrf_token ?? "";
  }
}

function userOf(answer: { data?: Schemas["ProfileResult"]; error?: Schemas["Problem"] }): User {
  if (answer.data) return answer.data.user;
  throw new Error(answer.error?.detail ?? "no answer");
}

export function mustNotCompile(user: User, problem: LoginProblem): void {
  const client = createClient<paths>();
  // @ts-expect-error a member that is required
  void client.POST("/accounts/login", { body: { username: "ada" } });
  // @ts-expect-error a member that does not exist
  void ({ username: "ada", password: "x", remember: true } satisfies Schemas["LoginRequest"]);
  // @ts-expect-error a transport that does not exist
  void client.POST("/accounts/login", { body: { username: "ada", password: "x", token_transport: "header" } });
  // @ts-expect-error a path that does not exist
  void client.GET("/accounts/nobody");
  // @ts-expect-error last_login is null until the first login
  user.last_login.length;
  // @ts-expect-error a login never answers with this code
  void (problem.code === "refresh_reused");
}
