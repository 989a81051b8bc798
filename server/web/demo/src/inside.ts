// With a session: profile, password, the sessions of all devices, and the security log.
import type { components } from "accounts-client";
import { accounts, current } from "./client.js";
import { byId, make, say, when } from "../../parts/dom.js";
import { lost, onSubmit, reset } from "../../parts/forms.js";
import { fillList } from "../../parts/lists.js";
import { device, explain, type Problem } from "../../parts/words.js";
import { tabs } from "./tabs.js";
import { aboutTransport, eventTitle } from "./words.js";

type Schemas = components["schemas"];

const sessions = byId("sessions");
const events = byId("events");
const older = byId<HTMLButtonElement>("older");
const show = tabs("inside", load);

/** Shows the account from its beginning. */
export function enter(): void {
  byId("hello").textContent = "Hello";
  byId("hello-lead").textContent = aboutTransport(current());
  for (const list of [sessions, events]) list.replaceChildren();
  show("profile");
}

/** Reads all of it again: the session is another one, perhaps of another person, since a tab with the same cookies has logged in. */
export function renew(): void {
  byId("hello-lead").textContent = aboutTransport(current());
  void readProfile();
  if (shown !== "profile") load(shown);
}

/** Forgets whose account it was. */
export function leave(): void {
  for (const form of [profile, password]) reset(form);
  byId("who").textContent = "Not signed in";
  byId("hello").textContent = "Hello";
  for (const list of [sessions, events]) list.replaceChildren();
}

let shown = "";

function load(tab: string): void {
  shown = tab;
  if (tab === "profile") void readProfile();
  else if (tab === "sessions") void readSessions();
  else if (tab === "events") void readEvents();
}

// ---------------------------------------------------------------- profile and password

const profile = onSubmit("profile", ({ username = "", first_name = "", last_name = "" }) =>
  accounts.api.PATCH("/accounts/profile", { body: { username, first_name, last_name } }), ({ data }) => {
  if (data) fill(data.user);
  say("Saved.");
});

const password = onSubmit("password", ({ current_password = "", new_password = "" }) =>
  accounts.changePassword({ current_password, new_password }), () => {
  reset(password);
  say("The password is changed. All other sessions have ended.");
});

function fill(user: Schemas["User"]): void {
  byId("who").textContent = user.username;
  byId("hello").textContent = `Hello, ${user.first_name || user.username}`;
  byId<HTMLInputElement>("profile-username").value = user.username;
  byId<HTMLInputElement>("profile-first").value = user.first_name;
  byId<HTMLInputElement>("profile-last").value = user.last_name;
  const facts = {
    email: user.email,
    verified: user.email_verified ? "yes" : "no",
    joined: when(user.date_joined),
    login: user.last_login ? when(user.last_login) : "–",
  };
  for (const [name, value] of Object.entries(facts)) document.querySelector(`[data-fact=${name}]`)?.replaceChildren(value);
}

async function readProfile(): Promise<void> {
  profile.setAttribute("aria-busy", "true");
  try {
    const { data, error, response } = await accounts.api.GET("/accounts/profile");
    if (data) fill(data.user);
    else say(explain(error, response));
  } catch (error) {
    say(lost(error));
  } finally {
    profile.removeAttribute("aria-busy");
  }
}

// ---------------------------------------------------------------- lists

function row(title: (Node | string)[], details: (Node | string)[], ...action: Node[]): HTMLElement {
  return make("li", "", make("div", "", make("p", "row-title", ...title), make("p", "row-text", ...details)), ...action);
}

function readSessions(): Promise<void> {
  return fillList(sessions, () => accounts.api.GET("/accounts/sessions"), ({ sessions: all }) => {
    byId<HTMLButtonElement>("others").disabled = all.length < 2;
    return all.map(sessionRow);
  }, () => void readSessions());
}

function sessionRow(session: Schemas["Session"]): HTMLElement {
  const title = [device(session.user_agent), " ", make("span", "badge", session.token_transport)];
  if (session.current) return row([...title, " ", make("span", "badge good", "this one")], ["Since ", when(session.created_at), ` · ${session.ip}`]);
  const end = make("button", "small", "End", make("span", "quiet", ` the session of ${device(session.user_agent)}`));
  end.type = "button";
  end.addEventListener("click", () => void endSession(session.id, end));
  return row(title, ["Since ", when(session.created_at), ` · ${session.ip}`], end);
}

async function endSession(id: string, button: HTMLButtonElement): Promise<void> {
  await busy(button, () => accounts.api.DELETE("/accounts/sessions/{session_id}", { params: { path: { session_id: id } } }), "Ended: its next request is refused.");
  await readSessions();
}

async function endSessions(button: HTMLButtonElement, keepCurrent: boolean): Promise<void> {
  await busy(button, () => accounts.api.DELETE("/accounts/sessions", { params: { query: { keep_current: keepCurrent } } }), keepCurrent ? "All others have ended." : "Logged out on all devices.");
  if (keepCurrent) await readSessions();
}

/** A request of a button: it waits, and what came of it is said. */
export async function busy(button: HTMLButtonElement, call: () => Promise<{ error?: Problem; response: Response }>, done: string): Promise<void> {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    const { error, response } = await call();
    say(error ? explain(error, response) : done);
  } catch (error) {
    say(lost(error));
  } finally {
    button.removeAttribute("aria-busy");
  }
}

function readEvents(before?: string): Promise<void> {
  const read = () => accounts.api.GET("/accounts/events", { params: { query: { limit: 12, ...(before ? { before } : {}) } } });
  return fillList(events, read, ({ events: all, next }) => {
    older.hidden = next === null;
    older.dataset["before"] = next ?? "";
    const rows = all.map(eventRow);
    return before ? [...(events.children as Iterable<HTMLElement>), ...rows] : rows;
  }, () => void readEvents(before));
}

function eventRow(event: Schemas["Event"]): HTMLElement {
  const { text, bad } = eventTitle(event.kind);
  const where = event.ip ? `${device(event.user_agent)}, ${event.ip}` : ""; // an operator's has none
  return row([text, ...(bad ? [" ", make("span", "badge bad", "was it you?")] : [])], [when(event.created_at), ...[where, event.detail].filter(Boolean).map((text) => ` · ${text}`)]);
}

older.addEventListener("click", () => void readEvents(older.dataset["before"]));
for (const [id, keepCurrent] of [["others", true], ["everywhere", false]] as const) {
  const button = byId<HTMLButtonElement>(id);
  button.addEventListener("click", () => void endSessions(button, keepCurrent));
}
