// Users, sessions and events as elements.
import { make, timeElement } from "../../parts/dom.js";
import { device, nameOf, otherwise } from "../../parts/words.js";
import { self, type Schemas, type User } from "./server.js";
import { urlOf } from "./navigation.js";
import { fieldName, eventTitle, texts, valueText } from "./words.js";

type Event = Schemas["Event"];

const relative = new Intl.RelativeTimeFormat("en-GB", { numeric: "auto" });
const units: [Intl.RelativeTimeFormatUnit, number][] = [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3_600], ["minute", 60]];

/** Returns a time relative to now, such as "3 hours ago", with the exact time as its title. */
export function relativeTime(time: string): HTMLTimeElement {
  const element = timeElement(time);
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 0];
  element.title = element.textContent ?? "";
  element.textContent = length ? relative.format(Math.round(seconds / length), unit) : "just now";
  return element;
}

/** Returns a badge. */
export const badge = (text: string, kind = ""): HTMLElement => make("span", kind ? `badge ${kind}` : "badge", text);

/**
 * Returns a cell of a table. On phones, where rows look like cards, a cell keeps its role only if
 * it is explicit.
 */
export function cell(className: string, ...content: (Node | string)[]): HTMLTableCellElement {
  const element = make("td", className, ...content);
  element.setAttribute("role", "cell");
  return element;
}

/** Returns a row of such cells. */
export function row(...cells: HTMLTableCellElement[]): HTMLTableRowElement {
  const element = make("tr", "", ...cells);
  element.setAttribute("role", "row");
  return element;
}

/** Returns a link into the console. */
export function link(to: string, text: string): HTMLAnchorElement {
  const element = make("a", "", text);
  element.href = to;
  return element;
}

/** Returns a link to a user's page. */
export const userLink = (id: number, text = `#${id}`): HTMLAnchorElement => link(urlOf("user", { id }), text);

/** Returns a button with an action. */
export function makeButton(className: string, text: string, action: (button: HTMLButtonElement) => void): HTMLButtonElement {
  const button = make("button", className, text);
  button.type = "button";
  button.addEventListener("click", () => action(button));
  return button;
}

/** Returns the first and last name, if they are known. */
export const fullName = (user: User): string => [user.first_name, user.last_name].filter(Boolean).join(" ");

/** Returns badges for the roles of a user. */
export function roleBadges(user: User): HTMLElement[] {
  if (user.is_superuser) return [badge(texts.superuser, "role")];
  return user.is_staff ? [badge(texts.staff, "role")] : [];
}

/**
 * Returns the domain of an address in ASCII (A-labels), or "" if it is ASCII already. Letters of
 * another script can look like Latin ones, and superusers check an address by eye before they grant
 * a role.
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

/** Returns the row of a user in the list. */
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
    cell("time login", user.last_login ? relativeTime(user.last_login) : make("span", "muted", texts.never)),
    cell("time joined", relativeTime(user.date_joined)),
  );
}

/**
 * Returns the device and the address from which a request came. A command of the operator has
 * neither.
 */
const originText = (event: Event): string => (event.ip ? `${device(event.user_agent)}, ${event.ip}` : "");

/** Returns the title of an event, in red if it is suspicious. */
function titleElement(kind: Event["kind"]): HTMLElement {
  const { text, bad } = eventTitle(kind);
  return make("span", bad ? "what bad" : "what", text);
}

/** Returns a link to a user, with the name, or with the id if the user has been deleted. */
function actorLink(id: number, username: string | null): HTMLAnchorElement {
  return userLink(id, id === self()?.id ? texts.byYou : (username ?? undefined));
}

/** Returns the actor of an event. */
function actorElement(event: Event): HTMLElement {
  if (event.actor === "staff" && event.actor_id !== null) return actorLink(event.actor_id, event.actor_username);
  return make("span", "muted", actorText(event));
}

function actorText({ actor, kind }: Event): string {
  const name: string = actor;
  switch (actor) {
    case "self": return eventTitle(kind).bad ? texts.byUnknown : texts.bySelf;
    case "staff": return texts.byStaff;
    case "operator": return texts.byOperator;
    default: return otherwise(actor, nameOf(name));
  }
}

/** Returns the changes of an event and its detail. */
function detailsText({ changes, detail }: Event): string {
  const changed = changes.map(({ field, before, after }) => `${fieldName(field)}: ${valueText(before)} → ${valueText(after)}`);
  return [...changed, ...(detail ? [detail] : [])].join(" · ");
}

/** Returns the row of an event in the list. */
export function eventRow(event: Event): HTMLTableRowElement {
  return row(
    cell("time", relativeTime(event.created_at)),
    cell("what", titleElement(event.kind)),
    cell("id", ...(event.user_id === null ? [] : [userLink(event.user_id, event.username ?? undefined)])),
    cell("by", actorElement(event)),
    cell("from", originText(event)),
    cell("detail", detailsText(event)),
  );
}

/** Returns an event for the page of its user. */
export function eventItem(event: Event): HTMLElement {
  const line: (Node | string)[] = [relativeTime(event.created_at)];
  if (event.actor === "staff") line.push(" · ", texts.by, actorElement(event));
  for (const text of [originText(event), detailsText(event)]) if (text) line.push(` · ${text}`);
  return make("li", "", make("div", "", make("p", "row-title", titleElement(event.kind)), make("p", "row-text", ...line)));
}

/** Returns when a session was last used, with an accuracy of one hour. */
const lastUse = (hour: string): (Node | string)[] => (Date.now() - Date.parse(hour) < 3_600_000 ? [texts.usedNow] : [texts.used, relativeTime(hour)]);

/** Returns a session for the page of its user. */
export function sessionItem(session: Schemas["Session"], action: Node | null): HTMLElement {
  const title = make("p", "row-title", device(session.user_agent), ...(session.current ? [" ", badge(texts.thisOne, "good")] : []));
  const details = make("p", "row-text", ...(session.ip ? [session.ip, " · "] : []), texts.since, timeElement(session.created_at), ...lastUse(session.last_used_at));
  return make("li", "", make("div", "", title, details), ...(action ? [action] : []));
}
