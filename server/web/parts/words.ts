// The contract's codes as sentences for users. Each switch has every code, so that a new code does
// not compile until it has a sentence here. For an unknown code of a newer server, the page shows
// the server's own text.
import type { components, EndReason } from "accounts-client";

type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];

/**
 * Returns `instead`. `value` has the type never if the preceding switch has every value of this
 * contract.
 */
export function otherwise<Result>(value: never, instead: Result): Result {
  void value;
  return instead;
}

/** Returns the name of a value for users: "roles_changed" is "Roles changed". */
export function nameOf(value: string): string {
  const words = value.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Returns a problem as a sentence for the user. */
export function explain(problem: Problem, response?: Response): string {
  const code = problem.code;
  switch (code) {
    case "credentials_invalid":
      return "The name or the password is wrong, or the address is not verified yet.";
    case "validation_failed":
      return "Something in the form cannot be accepted.";
    case "precondition_failed":
      return "Somebody else has changed this in the meantime, so nothing was saved. Check the present values, then save again.";
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
      return "This link is no longer valid: it was used, replaced by a newer one, or has expired.";
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
      return otherwise(code, problem.detail);
  }
}

function patience(response?: Response): string {
  const seconds = Number(response?.headers.get("Retry-After")) || 1;
  return seconds <= 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} minutes`;
}

/** Returns a field error as a sentence, with the bound that is violated. */
export function explainField({ code, detail, minimum, maximum }: Schemas["FieldError"]): string {
  switch (code) {
    case "required":
      return "This is needed.";
    case "too_short":
      return minimum === undefined ? "This is too short." : `This is too short: at least ${minimum} characters.`;
    case "too_long":
      return maximum === undefined ? "This is too long." : `This is too long: at most ${maximum} characters.`;
    case "too_few":
      return minimum === undefined ? "There are too few items." : `There are too few items: at least ${minimum}.`;
    case "too_many":
      return maximum === undefined ? "There are too many items." : `There are too many items: at most ${maximum}.`;
    case "out_of_range":
      if (minimum === undefined) return maximum === undefined ? "This is out of range." : `This may be at most ${maximum}.`;
      return maximum === undefined ? `This must be at least ${minimum}.` : `This must be between ${minimum} and ${maximum}.`;
    case "format_invalid":
    case "type_invalid":
    case "value_invalid":
      return "This cannot be used.";
    case "taken":
      return "This is already in use. Choose another one.";
    case "password_common":
      return "This password is easy to guess: it is common, a pattern, or made from your own data. Choose another one.";
    case "password_breached":
      return "This password is known from a data breach, so attackers try it. Choose another one.";
    case "password_wrong":
      return "This is not the password.";
    case "field_unknown":
    case "field_duplicate":
    case "parameter_unknown":
    case "parameter_duplicate":
      return "The server does not know this field.";
    default:
      return otherwise(code, detail);
  }
}

/** The message about the end of a session. An alarm stays on the page until the next login. */
export interface Farewell {
  title: string;
  text: string;
  alarm: boolean;
}

/** Returns the message about the end of a session, or null if there is nothing to report. */
export function farewell(reason: EndReason | null): Farewell | null {
  switch (reason) {
    case null:
    case "credentials_missing":
      return null; // there was no session
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
    case "refresh_invalid":
      return {
        title: "Your session cannot be continued",
        text: "The server does not accept its tokens: its keys or its address have changed, or its database is another one. Please log in again.",
        alarm: true,
      };
    default:
      return otherwise(reason, { title: "Your session has ended", text: "Please log in again.", alarm: true });
  }
}

/**
 * Returns the browser and the system in a User-Agent, such as "Firefox on Linux", as far as they
 * are known.
 */
export function device(userAgent: string | null): string {
  if (userAgent === null) return "Unknown program";
  const first = (names: [RegExp, string][]) => names.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = first([[/Edg\//, "Edge"], [/Firefox\//, "Firefox"], [/Chrom(e|ium)\//, "Chrome"], [/Safari\//, "Safari"]]);
  const system = first([[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS/, "macOS"], [/Linux/, "Linux"]]);
  if (browser) return system ? `${browser} on ${system}` : browser;
  return userAgent.split(" ")[0]?.slice(0, 40) || "Unknown program";
}
