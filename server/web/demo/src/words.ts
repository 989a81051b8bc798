// Texts about the user's own account.
import type { components, Transport } from "accounts-client";
import { nameOf, otherwise } from "../../parts/words.js";

type Schemas = components["schemas"];

/** Returns the title of an event in the security log, and whether it is suspicious. */
export function eventTitle(kind: Schemas["EventKind"]): { text: string; bad?: true } {
  const name: string = kind;
  switch (kind) {
    case "registered": return { text: "Account made" };
    case "email_verified": return { text: "Address verified" };
    case "login": return { text: "Logged in" };
    case "login_failed": return { text: "A login failed", bad: true };
    case "password_wrong": return { text: "Wrong password given", bad: true };
    case "rate_limited": return { text: "Too many tries", bad: true };
    case "logout": return { text: "Logged out" };
    case "session_revoked": return { text: "A session ended" };
    case "sessions_revoked": return { text: "Sessions ended" };
    case "refresh_graced": return { text: "Old token used from elsewhere", bad: true };
    case "refresh_reused": return { text: "Stolen token used, session ended", bad: true };
    case "password_changed": return { text: "Password changed" };
    case "password_reset": return { text: "Password reset by mail" };
    case "username_changed": return { text: "Username changed" };
    case "email_change_requested": return { text: "New address asked for" };
    case "email_change_canceled": return { text: "New address canceled" };
    case "email_changed": return { text: "Address changed" };
    case "activated": return { text: "Account activated" };
    case "deactivated": return { text: "Account deactivated" };
    case "reauthenticated": return { text: "Password confirmed" };
    case "invited": return { text: "Invited by the staff" };
    case "profile_changed": return { text: "Name or language changed" };
    case "roles_changed": return { text: "Roles changed" };
    case "password_reset_sent": return { text: "The staff sent a mail to set a password" };
    case "login_limit_reset": return { text: "Login limit reset" };
    case "deleted": return { text: "Account removed" };
    default: return otherwise(kind, { text: nameOf(name) });
  }
}

/** Returns one sentence about where a transport keeps its tokens. */
export function aboutTransport(transport: Transport): string {
  const name: string = transport;
  switch (transport) {
    case "hybrid": return "The access token is in this page's memory; the refresh token is in a cookie that no script can read.";
    case "cookies": return "Both tokens are in cookies that no script can read.";
    case "server_held": return "The access token is in a cookie that no script can read; the refresh token has never left the server.";
    case "body": return "This page holds both tokens, and so does any script that gets into it. That is for apps, not for browsers.";
    default: return otherwise(transport, `The transport ${name}.`);
  }
}
