// What a user, a session and an event look like, wherever they are shown.
import { make, when } from "../../parts/dom.js";
import { device, nameOf, otherwise } from "../../parts/words.js";
import { self, type Schemas, type User } from "./server.js";
import { address } from "./where.js";
import { fieldName, happening, texts, valueText } from "./words.js";

type Event = Schemas["Event"];

const relative = new Intl.RelativeTimeFormat("en-GB", { numeric: "auto" });
const units: [Intl.RelativeTimeFormatUnit, number][] = [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3_600], ["minute", 60]];

/** "3 hours ago", with the exact time behind it. */
export function ago(time: string): HTMLTimeElement {
  const element = when(time);
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 0];
  element.title = element.textContent ?? "";
  element.textContent = length ? relative.format(Math.round(seconds / length), unit) : "just now";
  return element;
}

/** A badge. */
export const badge = (text: string, kind = ""): HTMLElement => make("span", kind ? `badge ${kind}` : "badge", text);

/** A cell of a table that is made of cards on a phone, where a role is lost unless it is said. */
export function cell(className: string, ...content: (Node | string)[]): HTMLTableCellElement {
  const element = make("td", className, ...content);
  element.setAttribute("role", "cell");
  return element;
}

/** A row of such cells. */
export function row(...cells: HTMLTableCellElement[]): HTMLTableRowElement {
  const element = make("tr", "", ...cells);
  element.setAttribute("role", "row");
  return element;
}

/** A link into the console. */
export function link(to: string, text: string): HTMLAnchorElement {
  const element = make("a", "", text);
  element.href = to;
  return element;
}

/** A link to a user's page. */
export const userLink = (id: number, text = `#${id}`): HTMLAnchorElement => link(address("user", { id }), text);

/** A button that does something at once. */
export function press(className: string, text: string, act: (button: HTMLButtonElement) => void): HTMLButtonElement {
  const button = make("button", className, text);
  button.type = "button";
  button.addEventListener("click", () => act(button));
  return button;
}

/** First and last name, as far as there are any. */
export const fullName = (user: User): string => [user.first_name, user.last_name].filter(Boolean).join(" ");

/** What a user may do. */
export function roleBadges(user: User): HTMLElement[] {
  if (user.is_superuser) return [badge(texts.superuser, "role")];
  return user.is_staff ? [badge(texts.staff, "role")] : [];
}

/**
 * The domain of an address as mail programs write it (A-labels), or "" if it is ASCII already.
 * Letters of another script can look like Latin ones, and superusers grant roles by looking at an
 * address.
 */
export function asciiDomain(email: string | null): string {
  if (email === null) return "";
  const domain = email.slice(email.lastIndexOf("@") + 1);
  if (/^[\x20-\x7e]*$/.test(domain)) return "";
  try {
    return new URL(`http://${domain}`).hostname;
  } catch {
    return encodeURIComponent(domain); // not a valid domain; escaped, it cannot imitate another one
  }
}

/** A user in the list. */
export function userRow(user: User): HTMLTableRowElement {
  const ascii = asciiDomain(user.email);
  const email = make("span", user.email === null ? "email muted" : "email", user.email ?? texts.noAddress, ...(ascii ? [" ", make("span", "muted ascii", ascii)] : []));
  const mark = user.email_verified ? make("span", "mark", "✓") : badge(texts.notVerified, "warm");
  if (user.email_verified) {
    mark.title = texts.verified;
    mark.append(make("span", "quiet", ` ${texts.verified}`));
  }
  return row(
    cell("name", userLink(user.id, user.username)),
    cell("address", email, ...(user.email === null ? [] : [" ", mark])),
    cell("person", fullName(user)),
    cell("state", badge(user.is_active ? texts.active : texts.deactivated, user.is_active ? "good" : "bad")),
    cell("role", ...roleBadges(user)),
    cell("time login", user.last_login ? ago(user.last_login) : make("span", "muted", texts.never)),
    cell("time joined", ago(user.date_joined)),
  );
}

/** Where a request came from; an operator's command comes from nowhere. */
const origin = (event: Event): string => (event.ip ? `${device(event.user_agent)}, ${event.ip}` : "");

/** What happened, in red if it looks bad. */
function title(kind: Event["kind"]): HTMLElement {
  const { text, bad } = happening(kind);
  return make("span", bad ? "what bad" : "what", text);
}

/** Returns a link to a user, with the name, or with the id if the user has been deleted. */
function actorLink(id: number, username: string | null): HTMLAnchorElement {
  return userLink(id, id === self()?.id ? texts.byYou : (username ?? undefined));
}

/** Returns the actor of an event. */
function by(event: Event): HTMLElement {
  if (event.actor === "staff" && event.actor_id !== null) return actorLink(event.actor_id, event.actor_username);
  return make("span", "muted", actorText(event));
}

function actorText({ actor, kind }: Event): string {
  const name: string = actor;
  switch (actor) {
    case "self": return happening(kind).bad ? texts.bySomebody : texts.bySelf;
    case "staff": return texts.byStaff;
    case "operator": return texts.byOperator;
    default: return otherwise(actor, nameOf(name));
  }
}

/** Returns the changes of an event and its detail. */
function details({ changes, detail }: Event): string {
  const changed = changes.map(({ field, before, after }) => `${fieldName(field)}: ${valueText(before)} → ${valueText(after)}`);
  return [...changed, ...(detail ? [detail] : [])].join(" · ");
}

/** An event in the list. */
export function eventRow(event: Event): HTMLTableRowElement {
  return row(
    cell("time", ago(event.created_at)),
    cell("what", title(event.kind)),
    cell("id", ...(event.user_id === null ? [] : [userLink(event.user_id, event.username ?? undefined)])),
    cell("by", by(event)),
    cell("from", origin(event)),
    cell("detail", details(event)),
  );
}

/** An event on the page of its user. */
export function eventItem(event: Event): HTMLElement {
  const line: (Node | string)[] = [ago(event.created_at)];
  if (event.actor === "staff") line.push(" · ", texts.by, by(event));
  for (const text of [origin(event), details(event)]) if (text) line.push(` · ${text}`);
  return make("li", "", make("div", "", make("p", "row-title", title(event.kind)), make("p", "row-text", ...line)));
}

/** When a session was used, which is known by the hour. */
const used = (hour: string): (Node | string)[] => (Date.now() - Date.parse(hour) < 3_600_000 ? [texts.usedNow] : [texts.used, ago(hour)]);

/** A session on the page of its user. */
export function sessionItem(session: Schemas["Session"], action: Node | null): HTMLElement {
  const title = make("p", "row-title", device(session.user_agent), ...(session.current ? [" ", badge(texts.thisOne, "good")] : []));
  const details = make("p", "row-text", ...(session.ip ? [session.ip, " · "] : []), texts.since, when(session.created_at), ...used(session.last_used_at));
  return make("li", "", make("div", "", title, details), ...(action ? [action] : []));
}
