// What the types let a front end say. It is compiled, never run; the lines under @ts-expect-error must not compile.
import { createAccountsClient, type CodeOf, type components } from "../src/index.js";

const accounts = createAccountsClient({ baseUrl: "https://accounts.example.com" });
export const ownOrigin = createAccountsClient(); // the API is on the page's own origin

function unreachable(code: never): never {
  throw new Error(`a code that the contract does not know: ${String(code)}`);
}

/** Every code of the operation is named: a new one is a compile error. */
export function message(code: CodeOf<"login">): string {
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
      return unreachable(code);
  }
}

/** One is missing: it must not compile. */
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
      // @ts-expect-error request_malformed and unavailable are left
      return unreachable(code);
  }
}

export async function signIn(username: string, password: string): Promise<components["schemas"]["User"] | string> {
  const { data, error } = await accounts.login({ username, password });
  if (error) return message(error.code);
  data.access_token.length;
  // @ts-expect-error the transport hybrid has none in its answers
  data.refresh_token.length;
  return data.user;
}

export async function mustNotCompile(): Promise<void> {
  // @ts-expect-error a storage is needed
  createAccountsClient({ transport: "body" });
  // @ts-expect-error and only there
  createAccountsClient({ transport: "cookies", storage: { load: () => null, save: () => undefined } });
  // @ts-expect-error no such transport
  createAccountsClient({ transport: "header" });
  // @ts-expect-error a login that the client would not know of
  await accounts.api.POST("/accounts/login", { body: { username: "ada", password: "x" } });
  // @ts-expect-error a member that is required
  await accounts.login({ username: "ada" });
  // @ts-expect-error no such path
  await accounts.api.GET("/accounts/nobody");
  const { error } = await accounts.api.GET("/accounts/profile");
  // @ts-expect-error reading a profile is never answered with this code
  void (error?.code === "refresh_reused");
}
