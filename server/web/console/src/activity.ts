// The live sessions and the newest events of a user.
import { byId, make, showMessage } from "../../parts/dom.js";
import { fillList } from "../../parts/lists.js";
import { device } from "../../parts/words.js";
import { perform } from "./actions.js";
import { confirmAction } from "../../parts/dialogs.js";
import { eventItem, makeButton, sessionItem } from "./rows.js";
import { api, type Schemas } from "./server.js";
import { urlOf } from "./navigation.js";
import { texts } from "./words.js";

const sessions = byId("sessions").querySelector("ul") as HTMLElement;
const events = byId("recent-events").querySelector("ul") as HTMLElement;
const endAll = byId<HTMLButtonElement>("end-all");
const newest = 8;

let shown = { id: 0, own: false, readOnly: () => true };

/**
 * Reads the sessions. So that staff members do not sign themselves out by accident, the session that
 * this page uses has no button, and "End all" on the page of the signed-in user keeps it.
 */
export function loadSessions(id: number, own: boolean, readOnly: () => boolean): Promise<void> {
  shown = { id, own, readOnly };
  return fillList(sessions, () => api.GET("/admin/users/{user_id}/sessions", { params: { path: { user_id: id } } }), ({ sessions: all }) => {
    if (id !== shown.id) return [...(sessions.children as Iterable<HTMLElement>)];
    const others = all.filter((session) => !session.current);
    byId("sessions-title").textContent = all.length ? texts.sessionCount(all.length) : texts.sessions;
    endAll.hidden = others.length === 0;
    endAll.textContent = own ? texts.endOthers : texts.endAll;
    return all.length ? all.map((session) => sessionItem(session, session.current ? null : endButton(session))) : [make("li", "none", texts.noSessions)];
  }, reloadSessions).then(enableSessions);
}

/** Enables or disables the buttons of the sessions. The user and the sessions may arrive in any order. */
export function enableSessions(): void {
  for (const button of [endAll, ...sessions.querySelectorAll<HTMLButtonElement>("button:not([data-retry])")]) button.disabled = shown.readOnly();
}

const reloadSessions = () => void loadSessions(shown.id, shown.own, shown.readOnly);

function endButton(session: Schemas["Session"]): HTMLButtonElement {
  const { id } = shown;
  const button = makeButton("small", texts.end, () => void perform(button, () =>
    api.DELETE("/admin/users/{user_id}/sessions/{session_id}", { params: { path: { user_id: id, session_id: session.id } } }), () => showEnded(texts.sessionEnded)));
  button.append(make("span", "quiet", texts.endOf(device(session.user_agent))));
  button.disabled = shown.readOnly();
  return button;
}

async function showEnded(text: string): Promise<void> {
  showMessage(text);
  byId("sessions-title").focus(); // the focus was on the button, which is removed with its session
  void loadEvents(shown.id);
  await loadSessions(shown.id, shown.own, shown.readOnly);
}

endAll.addEventListener("click", () => void (async () => {
  const { id, own } = shown;
  const username = byId("user-name").textContent ?? "";
  if (!(await confirmAction(own ? texts.sureEndOthers : texts.sureEndAll(username)))) return;
  await perform(endAll, () => own
    ? api.DELETE("/accounts/sessions", { params: { query: { keep_current: true } } })
    : api.DELETE("/admin/users/{user_id}/sessions", { params: { path: { user_id: id } } }), () => showEnded(own ? texts.othersEnded : texts.sessionsEnded));
})());

/** Reads the newest events. */
export function loadEvents(id: number): Promise<void> {
  byId<HTMLAnchorElement>("all-events").href = urlOf("events", { user_id: id });
  return fillList(events, () => api.GET("/admin/events", { params: { query: { user_id: id, limit: newest } } }), ({ events: all }) =>
    all.length ? all.map(eventItem) : [make("li", "none", texts.noEventsYet)], () => void loadEvents(id));
}

/** Forgets the user. */
export function forgetActivity(): void {
  shown = { id: 0, own: false, readOnly: () => true };
  for (const list of [sessions, events]) list.replaceChildren();
  byId("sessions-title").textContent = texts.sessions;
  endAll.hidden = true;
}
