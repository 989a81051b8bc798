// The console: a front end for staff members. It uses the server only through api/typescript.
//
//   navigation.ts  the page's URL: the view and filters    users.ts     the list of users, and invitations
//   server.ts      the client and the signed-in user       events.ts    the list of events
//   rows.ts        users, sessions and events as elements  user.ts      one user
//   words.ts       the texts                               actions.ts   the actions of its buttons
//   list.ts        a list with pages                       activity.ts  its sessions and recent events
//
// ../../parts contains the parts that the console shares with the demo.
import type { State } from "accounts-client";
import { byId, showMessage, hideMessage } from "../../parts/dom.js";
import { connectionFault, onSubmit, reset } from "../../parts/forms.js";
import { explain, endNotice } from "../../parts/words.js";
import { closeDialogs, confirmAction } from "../../parts/dialogs.js";
import { eventsList } from "./events.js";
import { accounts, api, setSelf, loadSettings, self, type User } from "./server.js";
import { forgetDrafts, forgetUser, resumeDraft, unsavedUsername, onSelfChange, showUser, hasUnsaved } from "./user.js";
import { forgetInvitation, usersList } from "./users.js";
import { urlOf, urlQuery, onMove, currentView } from "./navigation.js";
import { texts } from "./words.js";

const parts = ["waiting", "unknown", "signin", "forbidden", "users", "user", "events"] as const;
type Part = (typeof parts)[number];

let part: Part = "waiting";
let session = "";
let lastUserID = 0; // of the user who was signed in last
let usersUrl = ""; // the query of the list of users when the user left it

function show(next: Part): boolean {
  const other = next !== part;
  part = next;
  for (const name of parts) byId(name).hidden = name !== next;
  const staff = next === "users" || next === "user" || next === "events";
  byId("nav").hidden = !staff;
  byId("who").hidden = !staff;
  return other;
}

/** Moves the focus to the heading of the part that was opened, where a screen reader continues. */
function focusHeading(how: "link" | "history" = "link"): void {
  byId(part).querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  if (how === "link") scrollTo(0, 0);
}

// ---------------------------------------------------------------- the signed-in user

function draw(state: State): void {
  if (state.status === "unknown") return;
  if (state.status === "signed-in") {
    if (state.session.id === session) return;
    session = state.session.id;
    void enter();
  } else if (session !== "" || part === "waiting" || part === "unknown") {
    session = "";
    leave(state);
  }
}

/** Reads the signed-in user, and shows the parts that the user may see. */
async function enter(): Promise<void> {
  const first = part === "waiting" && !self();
  const mine = session;
  let problem = "";
  try {
    const [{ data, error, response }] = await Promise.all([api.GET("/accounts/profile"), loadSettings()]);
    if (mine !== session) return;
    if (data) return adoptUser(data.user, first);
    if (response.status === 401) return; // the client has reported the end of the session already
    problem = explain(error, response);
  } catch (error) {
    problem = connectionFault(error);
  }
  showFailure(problem);
}

function adoptUser(me: User, first: boolean): void {
  if (me.id !== lastUserID) forget();
  lastUserID = me.id;
  setSelf(me);
  byId("ended").hidden = true;
  reset(login);
  if (!first) resumeDraft();
  byId("me").textContent = me.username;
  byId<HTMLAnchorElement>("me").href = urlOf("user", { id: me.id });
  if (me.is_staff || me.is_superuser) return route(first ? "first" : "link");
  byId("forbidden-text").textContent = texts.forbidden(me.username);
  document.title = texts.title(texts.notStaff);
  if (show("forbidden") && !first) focusHeading();
}

function showFailure(problem: string): void {
  byId("unknown-text").textContent = problem;
  show("unknown");
}

byId("unknown-retry").addEventListener("click", () => (session ? void enter() : begin()));

/** Reads the signed-in user again, whose name or roles may have changed. */
async function reloadSelf(): Promise<void> {
  const { data } = await api.GET("/accounts/profile").catch(() => ({ data: undefined }));
  const me = self();
  if (!data || data.user.id !== me?.id) return;
  if (data.user.username === me.username && data.user.is_staff === me.is_staff && data.user.is_superuser === me.is_superuser) return;
  adoptUser(data.user, false);
}

onSelfChange(() => void reloadSelf());

function leave(state: State & { status: "signed-out" }): void {
  const words = endNotice(state.reason);
  const begun = part === "waiting";
  closeDialogs();
  setSelf(null);
  for (const list of [users, events]) list.forget();
  forgetUser();
  for (const part of ["me", "heard"]) byId(part).textContent = "";
  if (state.reason === "logged_out") forget();
  byId("ended").hidden = !words?.alarm;
  byId("ended-title").textContent = words?.title ?? "";
  byId("ended-text").textContent = words?.text ?? "";
  if (words && !words.alarm) showMessage(words.text);
  else hideMessage();
  document.title = texts.title(texts.signIn);
  show("signin");
  if (!begun) focusHeading();
  else if (matchMedia("(pointer: fine)").matches) byId("login-username").focus(); // on other devices a keyboard would cover the page
}

/** Forgets the input, after a logout or when another user signs in. */
function forget(): void {
  forgetDrafts();
  forgetInvitation();
  usersUrl = "";
}

const login = onSubmit("login", ({ username = "", password = "" }) => accounts.login({ username, password }), () => undefined);

async function logout(button: HTMLButtonElement): Promise<void> {
  if (button.getAttribute("aria-busy") === "true" || (hasUnsaved() && !(await confirmAction(texts.unsavedLogout)))) return;
  button.setAttribute("aria-busy", "true");
  try {
    const { error, response } = await accounts.logout();
    if (!response.ok && response.status !== 401) showMessage(explain(error, response));
  } catch (error) {
    showMessage(connectionFault(error));
  } finally {
    button.removeAttribute("aria-busy");
  }
}

for (const name of ["logout", "forbidden-logout"]) {
  const button = byId<HTMLButtonElement>(name);
  button.addEventListener("click", () => void logout(button));
}

// ---------------------------------------------------------------- the part that is shown

const users = usersList(() => void reloadSelf());
const events = eventsList(() => void reloadSelf());
let seenPart = ""; // the part, with the id of the user if it shows one

function route(how: "first" | "link" | "history"): void {
  const me = self();
  if (!me || (!me.is_staff && !me.is_superuser)) return;
  const next = currentView();
  const waits = part === "user" ? unsavedUsername() : "";
  const now = next === "user" ? `user ${urlQuery().get("id")}` : next;
  const other = show(next) || now !== seenPart;
  if (waits && other) showMessage(texts.kept(waits));
  seenPart = now;
  for (const link of document.querySelectorAll<HTMLAnchorElement>("#nav a")) {
    if (link.dataset["view"] === next) link.setAttribute("aria-current", "page");
    else if (link.dataset["view"] === "users" && next === "user") link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  if (next === "users") usersUrl = location.search;
  byId<HTMLAnchorElement>("user-back").href = usersUrl || urlOf("users");
  if (next === "user") void showUser();
  else {
    document.title = texts.title(next === "users" ? texts.users : texts.events);
    (next === "users" ? users : events).show();
  }
  if (other && how !== "first") focusHeading(how);
}

onMove(route);

// ---------------------------------------------------------------- the beginning

function begin(): void {
  accounts.restore().then(draw, (error: unknown) => showFailure(connectionFault(error)));
}

accounts.onChange(draw);
begin();
