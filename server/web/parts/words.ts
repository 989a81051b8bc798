// Turns the contract's codes into sentences for users. The sentences are the messages of the server's
// table, with values of the response, such as bounds and waiting times. For an unknown code of a newer
// server, the page shows the detail in the response.
import type { components, EndReason } from "accounts-client";
import { fieldMessages, problemMessages } from "./messages.js";

type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];

/**
 * Returns `instead`. Call it in the default of a switch over `value`: it compiles only if the switch
 * handles every value of this contract.
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

/**
 * Returns a problem as a sentence for the user. A response without a problem is not from the server
 * but from a proxy in front of it. Its text is not shown, because it may be a whole page.
 */
export function explain(problem: Problem | undefined, response?: Response): string {
  const code = problem?.code;
  if (!code) return `The server cannot answer right now${response ? ` (status ${response.status})` : ""}. Try again later.`;
  switch (code) {
    case "rate_limited":
      return `${problemMessages[code]} Try again in ${waitTime(response)}.`;
    case "service_unavailable":
      return `The server is busy. Try again in ${waitTime(response)}.`;
    case "request_malformed":
    case "method_not_allowed":
    case "body_too_large":
    case "media_type_unsupported":
    case "server_failed":
      return `Something went wrong. To find the cause in the server log, search for the request ID ${problem.request_id}.`;
    default:
      return problemMessages[code] ?? problem.detail;
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
    case "too_short":
      if (minimum !== undefined) return `This is too short: at least ${minimum} characters.`;
      break;
    case "too_long":
      if (maximum !== undefined) return `This is too long: at most ${maximum} characters.`;
      break;
    case "too_few":
      if (minimum !== undefined) return `There are too few items: at least ${minimum}.`;
      break;
    case "too_many":
      if (maximum !== undefined) return `There are too many items: at most ${maximum}.`;
      break;
    case "out_of_range":
      if (minimum !== undefined && maximum !== undefined) return `This must be between ${minimum} and ${maximum}.`;
      if (minimum !== undefined) return `This must be at least ${minimum}.`;
      if (maximum !== undefined) return `This must be at most ${maximum}.`;
  }
  return fieldMessages[code] ?? detail;
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
