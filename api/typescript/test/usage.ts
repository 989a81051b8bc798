// Tests the types of the client. It is compiled, never run. The lines after @ts-expect-error must not
// compile.
import { createAccountsClient, ProblemError, type CodeOf, type components } from "../src/index.js";

const accounts = createAccountsClient({ baseUrl: "https://accounts.example.com" });
export const ownOrigin = createAccountsClient(); // the API has the origin of the page

/** Returns `instead`. A call compiles only if the switch before it handles every code. */
function unknown(code: never, instead: string): string {
  void code;
  return instead;
}

type Schemas = components["schemas"];

/** Handles every code of the operation: a new one is a compile error. For a code of a newer server, it returns the detail. */
export function message(problem: Schemas["Problem"] & { code: CodeOf<"login"> }): string {
  const { code } = problem;
  switch (code) {
    case "credentials_invalid":
      return "The username or the password is wrong.";
    case "rate_limited":
      return "There were too many tries.";
    case "transport_unusable":
    case "csrf_failed":
      return "This page cannot use cookies with the server.";
    case "request_malformed":
    case "validation_failed":
    case "body_too_large":
    case "media_type_unsupported":
      return "Our mistake.";
    case "server_failed":
    case "service_unavailable":
      return "Please try again in a moment.";
    default:
      return unknown(code, problem.detail);
  }
}

/** Does not handle every code, so it must not compile. */
export function incomplete(code: CodeOf<"revokeSession">): string {
  switch (code) {
    case "resource_not_found":
      return "There is no such session.";
    case "access_invalid":
    case "access_expired":
    case "credentials_missing":
    case "session_expired":
    case "session_revoked":
    case "csrf_failed":
    case "server_failed":
      return "Please log in again.";
    default:
      // @ts-expect-error request_malformed and service_unavailable are not handled
      return unknown(code, "It did not work.");
  }
}

export async function signIn(username: string, password: string): Promise<Schemas["User"] | string> {
  const { data, error } = await accounts.login({ username, password });
  if (error) return message(error);
  data.access_token.length;
  // @ts-expect-error responses in the transport hybrid have none
  data.refresh_token.length;
  return data.user;
}

/** A page reads these before the user has signed in. */
export async function rules(): Promise<string> {
  const { data } = await accounts.api.GET("/accounts/settings");
  if (!data) return "";
  const { registration, password } = data.settings;
  return registration === "closed" ? "Registration is closed." : `At least ${password.min_length} characters.`;
}

/** The start of a page: `restore` finds the session, and the operation says until when a login counts as recent. */
export async function boot(): Promise<string | null> {
  const state = await accounts.restore();
  if (state.status !== "signed-in") return null;
  const { data } = await accounts.api.GET("/accounts/session");
  return data?.session?.recent_authentication_until ?? null;
}

/** Lists: the type of the items follows from the path. */
export async function lists(signal: AbortSignal): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const user of accounts.list("/admin/users", { query: { role: ["staff", "superuser"], limit: 100 }, signal })) {
      names.push(user.username, user.email ?? "no address");
      if (names.length > 1_000) break;
    }
    for await (const event of accounts.list("/accounts/events")) names.push(event.kind, ...event.changes.map((change) => change.field));
    for await (const session of accounts.list("/admin/users/{user_id}/sessions", { path: { user_id: 42 } })) names.push(session.id);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error; // the connection failed
    names.push(error.problem.code);
  }
  return names;
}

export async function mustNotCompile(): Promise<void> {
  // @ts-expect-error a storage is required
  createAccountsClient({ transport: "body" });
  // @ts-expect-error a storage is allowed only with body
  createAccountsClient({ transport: "cookies", storage: { load: () => null, save: () => undefined } });
  // @ts-expect-error unknown transport
  createAccountsClient({ transport: "header" });
  // @ts-expect-error the client must perform the login itself
  await accounts.api.POST("/accounts/login", { body: { username: "ada", password: "x" } });
  // @ts-expect-error a required field is missing
  await accounts.login({ username: "ada" });
  // @ts-expect-error this path is not a list
  accounts.list("/accounts/profile");
  // @ts-expect-error a required path parameter is missing
  accounts.list("/admin/users/{user_id}/sessions");
  // @ts-expect-error unknown filter
  accounts.list("/admin/users", { query: { verified: true } });
  // @ts-expect-error an item is a user, whose username is a string
  for await (const user of accounts.list("/admin/users")) user.username.toFixed();
  // @ts-expect-error unknown path
  await accounts.api.GET("/accounts/nobody");
  const { error } = await accounts.api.GET("/accounts/profile");
  // @ts-expect-error this operation does not document the code
  void (error?.code === "refresh_reused");
}
