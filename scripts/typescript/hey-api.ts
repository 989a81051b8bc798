// Uses the output of @hey-api/openapi-ts. It is compiled, never run, and without
// exactOptionalPropertyTypes, because the runtime code that the generator copies does not compile
// with it.
import { client } from "../../.cache/typescript/hey-api/client.gen.js";
import { getProfile, login, logout, refreshToken, type RefreshTokenError } from "../../.cache/typescript/hey-api/index.js";

let access: string | undefined, csrf: string | undefined;
client.setConfig({
  baseUrl: "https://accounts.example.com", credentials: "include",
  auth: (scheme) => (scheme.scheme === "bearer" ? access : scheme.name === "X-CSRFToken" ? csrf : undefined),
});

export async function life(username: string, password: string): Promise<string> {
  const { data, error } = await login({ body: { username, password } });
  if (error) return error.code;
  ({ access_token: access, csrf_token: csrf } = data);
  const profile = await getProfile();
  const next = await refreshToken();
  if (next.error) return afterRefresh(next.error.code);
  await logout();
  return profile.data?.user.username ?? "";
}

/** The codes of all statuses are one union, as with openapi-typescript. */
function afterRefresh(code: RefreshTokenError["code"]): string {
  switch (code) {
    case "credentials_missing":
    case "refresh_invalid":
    case "session_expired":
    case "session_revoked":
    case "refresh_reused":
      return "log in";
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
      code satisfies never;
      return "report"; // a newer server may respond with other codes
  }
}

export function mustNotCompile(): void {
  // @ts-expect-error a member that is required
  void login({ body: { username: "ada" } });
  // @ts-expect-error a transport that does not exist
  void login({ body: { username: "ada", password: "x", token_transport: "header" } });
}
