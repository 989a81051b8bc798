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
      return "The username or password is incorrect, or the email address is not verified yet.";
    case "validation_failed":
      return "Some of the values in this form are not valid.";
    case "precondition_failed":
      return "This was changed in another session, so your changes were not saved. Check the current values and save again.";
    case "username_taken":
      return "This username is already taken.";
    case "email_taken":
      return "This email address belongs to another account.";
    case "email_unverified":
      return "The email address is not verified. Verify it before you grant a role.";
    case "superuser_last":
      return "This is the last active superuser. Make another user a superuser first.";
    case "user_unreachable":
      return "No email can be sent, because the account is deactivated or has no email address. Change that first.";
    case "role_required":
      return "Only superusers can do this.";
    case "reauth_required":
      return "Enter your password again to continue.";
    case "link_invalid":
      return "This link is no longer valid. It has expired, was already used, or was replaced by a newer link.";
    case "registration_closed":
      return "Sign-up is closed on this server. Ask its operator for an account.";
    case "rate_limited":
      return `Too many attempts. Try again in ${waitTime(response)}.`;
    case "service_unavailable":
      return `The server is busy. Try again in ${waitTime(response)}.`;
    case "credentials_missing":
    case "access_invalid":
    case "access_expired":
    case "refresh_invalid":
    case "session_expired":
    case "session_revoked":
    case "refresh_reused":
      return "You are signed out. Sign in again.";
    case "resource_not_found":
      return "This no longer exists.";
    case "csrf_failed":
    case "transport_unusable":
      return "The server rejects cookies from this page. Open the page at the address of the server.";
    case "request_malformed":
    case "method_not_allowed":
    case "body_too_large":
    case "media_type_unsupported":
    case "server_failed":
      return `Something went wrong. To find the cause in the server log, search for the request ID ${problem.request_id}.`;
    default:
      return otherwise(code, problem.detail);
  }
}

function waitTime(response?: Response): string {
  const seconds = Number(response?.headers.get("Retry-After")) || 1;
  if (seconds <= 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

/** Returns a field error as a sentence, with the bound that is violated. */
export function explainField({ code, detail, minimum, maximum }: Schemas["FieldError"]): string {
  switch (code) {
    case "required":
      return "This field is required.";
    case "too_short":
      return minimum === undefined ? "This is too short." : `This is too short: at least ${minimum} characters.`;
    case "too_long":
      return maximum === undefined ? "This is too long." : `This is too long: at most ${maximum} characters.`;
    case "too_few":
      return minimum === undefined ? "There are too few items." : `There are too few items: at least ${minimum}.`;
    case "too_many":
      return maximum === undefined ? "There are too many items." : `There are too many items: at most ${maximum}.`;
    case "out_of_range":
      if (minimum === undefined) return maximum === undefined ? "This is out of range." : `This must be at most ${maximum}.`;
      return maximum === undefined ? `This must be at least ${minimum}.` : `This must be between ${minimum} and ${maximum}.`;
    case "format_invalid":
    case "type_invalid":
    case "value_invalid":
      return "This value is not valid.";
    case "taken":
      return "This is already in use. Choose another.";
    case "password_common":
      return "This password is easy to guess: it is common, a pattern, or made from your own data. Choose another password.";
    case "password_breached":
      return "This password is known from a data breach, so attackers try it. Choose another password.";
    case "password_wrong":
      return "The password is incorrect.";
    case "field_unknown":
    case "field_duplicate":
    case "parameter_unknown":
    case "parameter_duplicate":
      return "The server does not accept this field.";
    default:
      return otherwise(code, detail);
  }
}

/** The message about the end of a session. An alarm stays on the page until the user signs in again. */
export interface EndNotice {
  title: string;
  text: string;
  alarm: boolean;
}

/** Returns the message about the end of a session, or null if there is nothing to report. */
export function endNotice(reason: EndReason | null): EndNotice | null {
  switch (reason) {
    case null:
    case "credentials_missing":
      return null; // there was no session
    case "logged_out":
      return { title: "Signed out", text: "You are signed out in all tabs.", alarm: false };
    case "refresh_reused":
      return {
        title: "Your session may have been stolen",
        text: "A refresh token was used again after it had been replaced, which happens if someone has copied it. To protect your account, " +
          "the server has ended the session. Sign in again and check your security log. If you do not recognize the activity, " +
          "change your password.",
        alarm: true,
      };
    case "session_revoked":
      return {
        title: "Your session was ended",
        text: "It was ended from another device, by a new password, by a staff member, or because its tokens may have been stolen. " +
          "Sign in again and check your security log for the reason.",
        alarm: true,
      };
    case "session_expired":
      return { title: "Your session has expired", text: "It was not used for too long, or has reached its maximum lifetime. Sign in again.", alarm: true };
    case "refresh_invalid":
      return {
        title: "Your session cannot be continued",
        text: "The server does not accept its tokens, because its keys, address or database have changed. Sign in again.",
        alarm: true,
      };
    default:
      return otherwise(reason, { title: "Your session has ended", text: "Sign in again.", alarm: true });
  }
}

/**
 * Returns the browser and the system in a User-Agent, such as "Firefox on Linux", as far as they
 * are known.
 */
export function device(userAgent: string | null): string {
  if (userAgent === null) return "Unknown device";
  const first = (names: [RegExp, string][]) => names.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = first([[/Edg\//, "Edge"], [/Firefox\//, "Firefox"], [/Chrom(e|ium)\//, "Chrome"], [/Safari\//, "Safari"]]);
  const system = first([[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS/, "macOS"], [/Linux/, "Linux"]]);
  if (browser) return system ? `${browser} on ${system}` : browser;
  return userAgent.split(" ")[0]?.slice(0, 40) || "Unknown device";
}
