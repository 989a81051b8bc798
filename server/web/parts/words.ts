// What the contract's codes mean to a person. Each switch names every code: a new one does not compile until it has
// words, here and in any other front end that is written like this.
import type { components, EndReason } from "accounts-client";

type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];

/** Where a switch ends that names every code. */
export function unreachable(code: never): never {
  throw new Error(`a code that the contract does not know: ${String(code)}`);
}

/** A problem as a sentence for the person who caused it, or can do nothing about it. */
export function explain(problem: Problem, response?: Response): string {
  const code = problem.code;
  switch (code) {
    case "credentials_invalid":
      return "The name or the password is wrong, or the address is not verified yet.";
    case "validation_failed":
      return "Something in the form cannot be accepted.";
    case "username_taken":
      return "This username belongs to somebody else.";
    case "email_taken":
      return "This address belongs to another account.";
    case "email_unverified":
      return "The e-mail address is not verified, so nobody knows whose account this is. Roles come after that.";
    case "superuser_last":
      return "This is the last active superuser: nobody would be left to manage this service.";
    case "user_unreachable":
      return "No mail can help: the account is deactivated, or has no address. Change that first.";
    case "role_required":
      return "Only superusers may do this.";
    case "reauth_required":
      return "This needs your password once more.";
    case "link_invalid":
      return "This link is not good any more: it was used, replaced by a newer one, or is too old.";
    case "registration_closed":
      return "This server lets nobody sign up; its operator makes the users.";
    case "rate_limited":
      return `Too many tries. Please wait ${patience(response)}.`;
    case "service_unavailable":
      return `The server is busy. Please try again in ${patience(response)}.`;
    case "credentials_missing":
    case "access_invalid":
    case "access_expired":
    case "refresh_invalid":
    case "session_expired":
    case "session_revoked":
    case "refresh_reused":
      return "You are not logged in any more.";
    case "resource_not_found":
      return "It is not there any more.";
    case "csrf_failed":
    case "transport_unusable":
      return "The server refuses cookies from this page. Has it been opened at another address than the server's?";
    case "request_malformed":
    case "method_not_allowed":
    case "body_too_large":
    case "media_type_unsupported":
    case "server_failed":
      return `That should not have happened. The server's log knows more under ${problem.request_id}.`;
    default:
      return unreachable(code);
  }
}

function patience(response?: Response): string {
  const seconds = Number(response?.headers.get("Retry-After")) || 1;
  return seconds < 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} minutes`;
}

/** What is wrong with one field. */
export function explainField(code: Schemas["FieldErrorCode"]): string {
  switch (code) {
    case "required":
      return "This is needed.";
    case "too_short":
      return "This is too short.";
    case "too_long":
      return "This is too long.";
    case "format_invalid":
    case "type_invalid":
    case "value_invalid":
      return "This cannot be used.";
    case "password_common":
      return "This password is easy to guess: it is common, a pattern, or made from your own data. Choose another one.";
    case "password_breached":
      return "This password is known from a data breach, so attackers try it. Choose another one.";
    case "password_wrong":
      return "This is not the password.";
    case "field_unknown":
    case "field_duplicate":
      return "The server does not know this field.";
    default:
      return unreachable(code);
  }
}

/** What is told when a session has ended. An alarm stays on the page until the next login. */
export interface Farewell {
  title: string;
  text: string;
  alarm: boolean;
}

/** Why a session has ended, or null where there is nothing to tell. */
export function farewell(reason: EndReason | null): Farewell | null {
  switch (reason) {
    case null:
    case "credentials_missing":
      return null; // there was none
    case "logged_out":
      return { title: "Logged out", text: "The session has ended, on every replica and in every tab.", alarm: false };
    case "refresh_reused":
      return {
        title: "Somebody else had your session",
        text: "A refresh token was used a second time, long after it was replaced. That happens when somebody has a copy of it. " +
          "Nobody can tell which of the two is you, so the server has ended the session for both. Log in again, look into the " +
          "security log, and change your password if you do not know how the copy was made.",
        alarm: true,
      };
    case "session_revoked":
      return {
        title: "Your session was ended",
        text: "From another device, by a new password, by an operator, or because somebody used a stolen copy of its tokens. " +
          "Log in again: the security log says which.",
        alarm: true,
      };
    case "session_expired":
      return { title: "Your session has run out", text: "It was not used for long, or has reached its absolute end. Please log in again.", alarm: true };
    case "access_invalid":
    case "access_expired":
    case "refresh_invalid":
      return {
        title: "Your session cannot be continued",
        text: "The server does not accept its tokens: its keys or its address have changed, or its database is another one. Please log in again.",
        alarm: true,
      };
    default:
      return unreachable(reason);
  }
}

/** "Firefox on Linux", as far as a User-Agent tells. */
export function device(userAgent: string): string {
  const first = (names: [RegExp, string][]) => names.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = first([[/Edg\//, "Edge"], [/Firefox\//, "Firefox"], [/Chrom(e|ium)\//, "Chrome"], [/Safari\//, "Safari"]]);
  const system = first([[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS/, "macOS"], [/Linux/, "Linux"]]);
  if (browser) return system ? `${browser} on ${system}` : browser;
  return userAgent.split(" ")[0]?.slice(0, 40) || "Unknown program";
}
