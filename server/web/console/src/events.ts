// The list of the security events of all users.
import { byId, make } from "../../parts/dom.js";
import { makeList, pageSize, splitValues, type ListOptions } from "./list.js";
import { eventRow } from "./rows.js";
import { api, withoutUndefined, type Schemas } from "./server.js";
import { urlQuery } from "./navigation.js";
import { eventTitle, kinds, texts } from "./words.js";

type Event = Schemas["Event"];
type EventKind = Schemas["EventKind"];

// ---------------------------------------------------------------- filters

const most = 20; // kinds in one request; the limit in the contract

const menu = byId<HTMLDetailsElement>("events-kinds");
const field = document.querySelector("#events-filters [name=kind]") as HTMLInputElement;
const boxes = kinds.map((kind) => {
  const box = make("input", "");
  box.type = "checkbox";
  box.value = kind;
  return box;
});
byId("kinds").append(...boxes.map((box) => make("label", "choice", box, make("span", "", eventTitle(box.value as EventKind).text))));

/** Checks the boxes in the menu for the kinds that the page's URL names. The list reads the hidden field. */
function reflectKinds(): void {
  const chosen: string[] = splitValues(urlQuery().get("kind")) ?? [];
  for (const box of boxes) {
    box.checked = chosen.includes(box.value);
    box.disabled = !box.checked && chosen.length >= most;
  }
  byId("kinds-chosen").textContent = texts.kindsChosen(chosen.map((kind) => eventTitle(kind as EventKind).text));
}

byId("kinds").addEventListener("change", () => {
  field.value = boxes.filter((box) => box.checked).map((box) => box.value).join(",");
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
});

addEventListener("click", (event) => {
  if (!menu.contains(event.target as Node)) menu.open = false;
});
menu.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  menu.open = false;
  menu.querySelector("summary")?.focus();
});

type Answer = Awaited<ReturnType<ListOptions<Event>["read"]>>;
const nothing: Answer = { data: { rows: [], next: null }, response: new Response() };

/**
 * Returns the id that a filter names: the number itself, or the id of the user with that username.
 * The contract has no filter for names, and the search for users also finds parts of them. If there
 * is no such user, or the search fails, the result is the answer to show instead of events.
 */
async function idOf(value: string | null, signal: AbortSignal): Promise<number | undefined | Answer> {
  const name = (value ?? "").trim();
  if (name === "") return undefined;
  if (/^[1-9]\d{0,14}$/.test(name)) return Number(name);
  let cursor: string | null = null;
  for (let page = 0; page < 10; page++) { // a username is seldom a part of a thousand others
    const query: { q: string; limit: number; sort: "username"; cursor?: string } = { q: name, limit: 100, sort: "username", ...(cursor ? { cursor } : {}) };
    const { data, error, response } = await api.GET("/admin/users", { signal, params: { query } });
    if (!data) return { error, response };
    const found = data.users.find(({ username }) => username.toLowerCase() === name.toLowerCase());
    if (found) return found.id;
    cursor = data.next_cursor;
    if (cursor === null) break;
  }
  return nothing;
}

/**
 * Returns the time at which a day begins in the user's time zone, or the day that is `later` days
 * after it.
 */
function startOf(day: string | null, later = 0): string | undefined {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day ?? "") ?? [];
  if (!year) return undefined;
  return new Date(Number(year), Number(month) - 1, Number(date) + later).toISOString().replace(/\.\d+Z$/, "Z");
}

// ---------------------------------------------------------------- the list

/** Sets up the list. */
export function eventsList(denied: () => void) {
  const read: ListOptions<Event>["read"] = async (query, signal) => {
    reflectKinds();
    const [user, actor] = await Promise.all([idOf(query.get("user_id"), signal), idOf(query.get("actor_id"), signal)]);
    if (typeof user === "object") return user;
    if (typeof actor === "object") return actor;
    const { data, error, response } = await api.GET("/admin/events", { signal, params: { query: {
      limit: pageSize,
      ...withoutUndefined({
        user_id: user, actor_id: actor, kind: splitValues<EventKind>(query.get("kind")),
        created_from: startOf(query.get("from")), created_before: startOf(query.get("to"), 1), cursor: query.get("cursor") || undefined,
      }),
    } } });
    return data ? { data: { rows: data.events, next: data.next_cursor }, response } : { error, response };
  };
  return makeList<Event>({ view: "events", read, row: eventRow, range: texts.eventsRange, nothing: texts.noEvents, denied });
}
