// A fetch that lists each request with its credentials, and each response with its status and code.
import type { Transport } from "accounts-client";
import { byId, make } from "../../parts/dom.js";
import { fetchOrReport } from "../../parts/network.js";

const longest = 40; // entries; older ones are removed
const list = byId<HTMLOListElement>("wire");

/** A credential in a request. */
interface Credential {
  name: string;
  hidden?: true; // from scripts; the page infers it, because no script can read an HttpOnly cookie
}

let lastCookieTransport: Transport | null = null; // the transport of the session whose cookies the browser has, according to the last response

/** Returns the transport of the session whose cookies the browser has, if it is known. */
export const cookieTransport = (): Transport | null => lastCookieTransport;

/**
 * fetch, with an entry in the list. It does not show the tokens, which a screenshot would reveal.
 */
export async function recordedFetch(...call: Parameters<typeof fetch>): Promise<Response> {
  const request = new Request(...call);
  const sent = await members(request.clone());
  const withCookies = request.credentials !== "omit" && hasCookies();
  const began = performance.now();
  const entry = entryFor(request);
  try {
    const response = await fetchOrReport(request);
    const answer = await members(response.clone());
    if (response.ok && isTransport(answer["token_transport"]) && answer["token_transport"] !== "body") lastCookieTransport = answer["token_transport"];
    entry.answered(response.status, Math.round(performance.now() - began), typeof answer["code"] === "string" ? answer["code"] : "");
    return response;
  } catch (error) {
    entry.lost();
    throw error;
  } finally {
    entry.showCredentials([...headers(request), ...(withCookies ? cookies() : []), ...secrets(sent)]);
  }
}

function isTransport(value: unknown): value is Transport {
  return value === "hybrid" || value === "cookies" || value === "server_held" || value === "body";
}

async function members(message: Request | Response): Promise<Record<string, unknown>> {
  try {
    return (await message.json()) as Record<string, unknown>;
  } catch {
    return {}; // no body, or an incomplete one
  }
}

function headers(request: Request): Credential[] {
  const found: Credential[] = [];
  if (request.headers.has("Authorization")) found.push({ name: "Authorization: Bearer" });
  for (const name of ["X-CSRFToken", "Refresh-Attempt"]) if (request.headers.has(name)) found.push({ name });
  return found;
}

// The cookie csrftoken is the only one that scripts can read. It is set and removed together with
// the others.
function hasCookies(): boolean {
  return document.cookie.split("; ").some((pair) => pair.startsWith("csrftoken="));
}

function cookies(): Credential[] {
  const prefix = location.protocol === "https:" ? "__Host-" : "";
  const access: Credential = { name: `cookie ${prefix}access`, hidden: true };
  const refresh: Credential = { name: `cookie ${prefix}refreshtoken`, hidden: true };
  switch (lastCookieTransport) {
    case "hybrid": return [refresh];
    case "cookies": return [access, refresh];
    case "server_held": return [access];
    default: return [{ name: "the session's cookies", hidden: true }];
  }
}

function secrets(sent: Record<string, unknown>): Credential[] {
  const names = { refresh_token: "refresh token in the body", token: "one-time token in the body", password: "password in the body", current_password: "password in the body" };
  return Object.entries(names).filter(([member]) => typeof sent[member] === "string").map(([, name]) => ({ name }));
}

/** Returns the purpose of a request, by method and path. */
function purpose(method: string, path: string): string {
  const at = `${method} ${path.replace("/accounts/", "").replace(/[0-9a-f-]{36}/, "{id}")}`;
  const purposes: Record<string, string> = {
    "GET session": "Find out whether there is a session",
    "GET settings": "Read the public settings",
    "POST reauthenticate": "Confirm the password",
    "POST email/change": "Change the email address",
    "POST email/change/resend": "Send the link to the new address again",
    "DELETE email/change": "Cancel the email change",
    "DELETE profile": "Delete the account",
    "POST refresh_token": "Refresh the tokens",
    "POST login": "Sign in",
    "POST logout": "Sign out",
    "POST register": "Sign up",
    "POST email/verify": "Verify the email address and sign in",
    "POST password/change": "Change the password",
    "GET profile": "Read the profile",
    "PATCH profile": "Save the profile",
    "GET sessions": "List the sessions",
    "DELETE sessions": "End sessions",
    "DELETE sessions/{id}": "End one session",
    "GET events": "Read the security log",
  };
  return purposes[at] ?? "";
}

function entryFor(request: Request) {
  const { pathname, search } = new URL(request.url);
  const status = make("span", "status", "…");
  const chips = make("ul", "chips");
  const code = make("code", "code");
  const time = make("span", "took");
  const path = make("span", "path", make("b", "", request.method), " ", (pathname + search).replace(/([0-9a-f]{8})-[0-9a-f-]{27}/, "$1…"));
  const item = make("li", "", make("div", "line", status, path, time), make("p", "purpose", purpose(request.method, pathname)), chips);
  list.prepend(item);
  while (list.children.length > longest) list.lastElementChild?.remove();
  show();
  return {
    answered(number: number, milliseconds: number, problem: string) {
      status.textContent = String(number);
      status.classList.add(number < 400 ? "good" : "bad");
      time.textContent = `${milliseconds} ms`;
      if (problem) {
        code.textContent = problem;
        item.querySelector(".purpose")?.append(" ", code);
      }
    },
    lost() {
      status.textContent = "failed";
      status.classList.add("bad");
    },
    showCredentials(all: Credential[]) {
      chips.replaceChildren(...all.map(({ name, hidden }) => {
        const chip = make("li", hidden ? "chip hidden" : "chip", name);
        if (hidden) chip.append(make("span", "quiet", " (hidden from scripts)"));
        return chip;
      }));
      if (all.length === 0) chips.replaceChildren(make("li", "chip none", "no credential"));
    },
  };
}

function show(): void {
  const empty = list.children.length === 0;
  list.hidden = empty;
  byId("clear").hidden = empty;
  byId("legend").hidden = empty;
  byId("no-requests").hidden = !empty;
}

byId("clear").addEventListener("click", () => {
  list.replaceChildren();
  show();
});
