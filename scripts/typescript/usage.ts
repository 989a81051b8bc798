// What the types of the contract let a front end say. It is compiled, never run: when an operation gains or loses an
// error code, or a member changes, this program stops compiling. The lines under @ts-expect-error must not compile.
//
// schema.d.ts comes from openapi-typescript; see the step "types" of scripts/verify.sh.
import createClient from "openapi-fetch";
import type { components, operations, paths } from "../../.cache/typescript/schema.js";

type Schemas = components["schemas"];
type User = Schemas["User"];

/** The message of a field, with the bound that it violates. */
export function fieldMessage(error: Schemas["FieldError"]): string {
  return error.code === "too_short" && error.minimum !== undefined ? `At least ${error.minimum} characters.` : error.detail;
}

/** The problem that an operation documents for a status. */
type ProblemOf<Operation extends keyof operations, Status extends keyof operations[Operation]["responses"]> =
  operations[Operation]["responses"][Status] extends { content: { "application/problem+json": infer Problem } }
    ? Problem
    : never;

/** Everything that login, and everything that refreshToken can answer instead of tokens. */
type LoginProblem = ProblemOf<"login", 400 | 401 | 403 | 413 | 415 | 422 | 429 | 500 | 503>;
type RefreshProblem = ProblemOf<"refreshToken", 400 | 401 | 403 | 413 | 415 | 422 | 500 | 503>;

/** Returns `instead`. `code` is of the type never if the switch before names every code; a newer server may answer with others. */
function otherwise<Result>(code: never, instead: Result): Result {
  void code;
  return instead;
}

/** What a sign-in form says. Every code of the operation is named; a new one is a compile error. */
export function loginMessage(problem: LoginProblem): string {
  const { code } = problem;
  const detail: string = problem.detail; // after the switch, the problem is of the type never
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

/** What a client does when a refresh fails. */
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

/** A single-page app in the transport `hybrid`: the access token and the CSRF token live in memory. */
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
