// The page with a session: profile, password, the sessions of all devices, and the security log.
import type { components } from "accounts-client";
import { accounts, setUsername, currentTransport, callWithReauthentication } from "./client.js";
import { confirmAction } from "../../parts/dialogs.js";
import { byId, make, showMessage, timeElement } from "../../parts/dom.js";
import { connectionFault, onSubmit, reset, type Outcome } from "../../parts/forms.js";
import { fillList } from "../../parts/lists.js";
import { device, explain, nameOf } from "../../parts/words.js";
import { makeTabs } from "./tabs.js";
import { aboutTransport, eventTitle } from "./words.js";

type Schemas = components["schemas"];

const sessions = byId("sessions");
const events = byId("events");
const older = byId<HTMLButtonElement>("older");
const show = makeTabs("signed-in", load);

/** Shows the account, starting with the profile. */
export function enter(): void {
  byId("hello").textContent = "Hello";
  byId("hello-lead").textContent = aboutTransport(currentTransport());
  for (const form of [profile, address, password]) reset(form); // the error that ended a session arrives after the form was left
  for (const list of [sessions, events]) list.replaceChildren();
  show("profile");
}

/**
 * Reads everything again, because a login in a tab with the same cookies has replaced the session,
 * perhaps by that of another user.
 */
export function reload(): void {
  byId("hello-lead").textContent = aboutTransport(currentTransport());
  void readProfile();
  if (shown !== "profile") load(shown);
}

/** Forgets the user. */
export function leave(): void {
  for (const form of [profile, address, password]) reset(form);
  setUsername("");
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
  showMessage("Saved.");
});

const password = onSubmit("password", ({ current_password = "", new_password = "" }) =>
  accounts.changePassword({ current_password, new_password }), () => {
  reset(password);
  showMessage("Password changed. All other sessions have ended.");
});

const address = onSubmit("address", ({ email = "" }) => callWithReauthentication(() => accounts.api.POST("/accounts/email/change", { body: { email } })), (_, { email = "" }) => {
  reset(address);
  showMessage(`A link was sent to ${email}.`);
  void readProfile();
});

function onPending(id: string, call: () => Promise<Outcome>, done: string): void {
  const button = byId<HTMLButtonElement>(id);
  button.addEventListener("click", () => void runAction(button, call, done).then(readProfile));
}

onPending("pending-resend", () => accounts.api.POST("/accounts/email/change/resend"), "A new link was sent. Older links no longer work.");
onPending("pending-cancel", () => accounts.api.DELETE("/accounts/email/change"), "The change was canceled.");

const remove = byId<HTMLButtonElement>("delete");
remove.addEventListener("click", () => void (async () => {
  const username = byId("who").textContent ?? "";
  const question = { title: `Delete ${username}?`, text: "The account is deleted with its sessions and events. This cannot be undone.", yes: "Delete", typed: username };
  if (await confirmAction(question)) await runAction(remove, () => callWithReauthentication(() => accounts.api.DELETE("/accounts/profile")), "Your account was deleted.");
})());

function fill(user: Schemas["Profile"]): void {
  setUsername(user.username);
  byId("who").textContent = user.username;
  byId<HTMLInputElement>("password-account").value = user.username; // for password managers
  byId("hello").textContent = `Hello, ${user.first_name || user.username}`;
  byId<HTMLInputElement>("profile-username").value = user.username;
  byId<HTMLInputElement>("profile-first").value = user.first_name;
  byId<HTMLInputElement>("profile-last").value = user.last_name;
  const facts = {
    email: user.email ?? "none",
    verified: user.email_verified ? "yes" : "no",
    joined: timeElement(user.date_joined),
    login: user.last_login ? timeElement(user.last_login) : "–",
  };
  byId("pending").hidden = user.pending_email === null;
  byId("pending-email").textContent = user.pending_email ?? "";
  for (const [name, value] of Object.entries(facts)) document.querySelector(`[data-fact=${name}]`)?.replaceChildren(value);
}

async function readProfile(): Promise<void> {
  profile.setAttribute("aria-busy", "true");
  try {
    const { data, error, response } = await accounts.api.GET("/accounts/profile");
    if (data) fill(data.user);
    else showMessage(explain(error, response));
  } catch (error) {
    showMessage(connectionFault(error));
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
  const details = ["Since ", timeElement(session.created_at), ...(session.ip ? [` · ${session.ip}`] : [])];
  if (session.current) return row([...title, " ", make("span", "badge good", "this one")], details);
  const end = make("button", "small", "End", make("span", "quiet", ` the session of ${device(session.user_agent)}`));
  end.type = "button";
  end.addEventListener("click", () => void endSession(session.id, end));
  return row(title, details, end);
}

async function endSession(id: string, button: HTMLButtonElement): Promise<void> {
  await runAction(button, () => accounts.api.DELETE("/accounts/sessions/{session_id}", { params: { path: { session_id: id } } }), "The session has ended.");
  await readSessions();
}

async function endSessions(button: HTMLButtonElement, keepCurrent: boolean): Promise<void> {
  await runAction(button, () => accounts.api.DELETE("/accounts/sessions", { params: { query: { keep_current: keepCurrent } } }), keepCurrent ? "All other sessions have ended." : "You are signed out on all devices.");
  if (keepCurrent) await readSessions();
}

/**
 * Makes the request of a button, which ignores clicks until the response, and shows the result.
 * `call` returns null if the user canceled.
 */
export async function runAction(button: HTMLButtonElement, call: () => Promise<Outcome | null>, done: string): Promise<void> {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    const result = await call();
    if (result) showMessage(result.response.ok ? done : explain(result.error, result.response));
  } catch (error) {
    showMessage(connectionFault(error));
  } finally {
    button.removeAttribute("aria-busy");
  }
}

function readEvents(cursor?: string): Promise<void> {
  const read = () => accounts.api.GET("/accounts/events", { params: { query: { limit: 12, ...(cursor ? { cursor } : {}) } } });
  return fillList(events, read, ({ events: all, next_cursor }) => {
    older.hidden = next_cursor === null;
    older.dataset["cursor"] = next_cursor ?? "";
    const rows = all.map(eventRow);
    return cursor ? [...(events.children as Iterable<HTMLElement>), ...rows] : rows;
  }, () => void readEvents(cursor));
}

function eventRow(event: Schemas["Event"]): HTMLElement {
  const { text, bad } = eventTitle(event.kind);
  const where = event.ip ? `${device(event.user_agent)}, ${event.ip}` : ""; // empty for a command of the operator
  const by = event.actor === "staff" ? "by a staff member" : "";
  const changed = event.changes.map(({ field, before, after }) => `${nameOf(field)}: ${before || "none"} → ${after || "none"}`);
  return row([text, ...(bad ? [" ", make("span", "badge bad", "was it you?")] : [])],
    [timeElement(event.created_at), ...[by, where, ...changed, event.detail].filter(Boolean).map((text) => ` · ${text}`)]);
}

older.addEventListener("click", () => void readEvents(older.dataset["cursor"]));
for (const [id, keepCurrent] of [["others", true], ["everywhere", false]] as const) {
  const button = byId<HTMLButtonElement>(id);
  button.addEventListener("click", () => void endSessions(button, keepCurrent));
}
