// Texts about the user's own account.
import type { components, Transport } from "accounts-client";
import { nameOf, otherwise } from "../../parts/words.js";

type Schemas = components["schemas"];

/** Returns the title of an event in the security log, and whether it is suspicious. */
export function eventTitle(kind: Schemas["EventKind"]): { text: string; bad?: true } {
  const name: string = kind;
  switch (kind) {
    case "registered": return { text: "Signed up" };
    case "email_verified": return { text: "Email verified" };
    case "login": return { text: "Signed in" };
    case "login_failed": return { text: "Sign-in failed", bad: true };
    case "password_wrong": return { text: "Wrong password", bad: true };
    case "rate_limited": return { text: "Too many attempts", bad: true };
    case "logout": return { text: "Signed out" };
    case "session_revoked": return { text: "Session ended" };
    case "sessions_revoked": return { text: "Sessions ended" };
    case "refresh_graced": return { text: "Replaced token used from elsewhere", bad: true };
    case "refresh_reused": return { text: "Token reuse, session ended", bad: true };
    case "password_changed": return { text: "Password changed" };
    case "password_reset": return { text: "Password reset by email" };
    case "username_changed": return { text: "Username changed" };
    case "email_change_requested": return { text: "Email change requested" };
    case "email_change_canceled": return { text: "Email change canceled" };
    case "email_changed": return { text: "Email changed" };
    case "activated": return { text: "Account activated" };
    case "deactivated": return { text: "Account deactivated" };
    case "reauthenticated": return { text: "Password confirmed" };
    case "invited": return { text: "Invited by a staff member" };
    case "profile_changed": return { text: "Name or language changed" };
    case "roles_changed": return { text: "Roles changed" };
    case "password_reset_sent": return { text: "Reset email sent by a staff member" };
    case "login_limit_reset": return { text: "Sign-in limit reset" };
    case "deleted": return { text: "Account deleted" };
    default: return otherwise(kind, { text: nameOf(name) });
  }
}

/** Returns one sentence about where a transport keeps its tokens. */
export function aboutTransport(transport: Transport): string {
  const name: string = transport;
  switch (transport) {
    case "hybrid": return "The access token is in the memory of this page. The refresh token is in a cookie that scripts cannot read.";
    case "cookies": return "Both tokens are in cookies that scripts cannot read.";
    case "server_held": return "The access token is in a cookie that scripts cannot read. The refresh token never leaves the server.";
    case "body": return "This page stores both tokens, so an injected script could read them. Use this transport in apps, not in browsers.";
    default: return otherwise(transport, `The transport ${name}.`);
  }
}
