// The page of one user: the facts, the changes, and the actions that cannot be undone.
import { byId, make, showMessage, timeElement } from "../../parts/dom.js";
import { clearFaults, connectionFault, onSubmit } from "../../parts/forms.js";
import { languageName, offerLanguages } from "../../parts/settings.js";
import { explain } from "../../parts/words.js";
import { perform } from "./actions.js";
import { confirmAction } from "../../parts/dialogs.js";
import { relativeTime, asciiDomain, badge, fullName, link, makeButton, roleBadges } from "./rows.js";
import { accounts, api, restriction, locales, callWithReauthentication, self, type Schemas } from "./server.js";
import { loadEvents, loadSessions, enableSessions, forgetActivity } from "./activity.js";
import { urlOf, go, urlQuery } from "./navigation.js";
import { texts } from "./words.js";

type User = Schemas["AdminUser"];
type Changes = Schemas["UpdateUserRequest"];
type Fields = Record<string, string>;

const body = byId("user-body");
const instead = byId("user-instead");
const fault = byId("user-fault");
const names = ["username", "email", "first_name", "last_name", "locale"] as const;

let id = 0;
let shown: User | null = null;
let selfChanged: () => void = () => undefined;

const isOwn = () => id === self()?.id;
const path = () => ({ path: { user_id: id } });

/** Sets the listener for changes that users make to themselves. */
export function onSelfChange(listener: () => void): void {
  selfChanged = listener;
}

/** Shows the user that the page's URL names. */
export async function showUser(): Promise<void> {
  const wanted = Number(urlQuery().get("id"));
  if (wanted !== id) clearPage();
  id = wanted;
  if (!Number.isSafeInteger(id) || id < 1) return refuse(texts.gone.title, texts.gone.text, null);
  body.setAttribute("aria-busy", "true");
  loadActivity();
  let problem = "";
  try {
    const { data, error, response } = await api.GET("/admin/users/{user_id}", { params: path() });
    if (id !== wanted) return; // another user is shown by now
    if (data) fill(data.user);
    else if (error?.code === "resource_not_found") refuse(texts.gone.title, texts.gone.text, null);
    else problem = explain(error, response);
    if (error?.code === "role_required") selfChanged();
  } catch (error) {
    problem = connectionFault(error);
  }
  if (id !== wanted) return;
  body.removeAttribute("aria-busy");
  if (problem) refuse(texts.notRead, problem, () => void showUser());
}

const loadActivity = () => {
  void loadSessions(id, isOwn(), () => shown === null || restriction(shown) !== ""); // a user who is not known yet may be a staff member
  void loadEvents(id);
};

function refuse(title: string, text: string, again: (() => void) | null): void {
  body.hidden = true;
  instead.hidden = false;
  const way = again ? makeButton("small", texts.retry, again) : link(urlOf("users"), texts.gone.action);
  const heading = make("h1", "", title);
  heading.tabIndex = -1;
  instead.replaceChildren(heading, make("p", "lead", text), way);
  if (!document.activeElement || document.activeElement === document.body) heading.focus(); // the focus was on the name, which is hidden now
  document.title = texts.title(title);
}

/** Removes everything about the user who was shown before. */
function clearPage(): void {
  shown = null;
  body.hidden = false;
  instead.hidden = true;
  fault.textContent = "";
  byId("user-name").textContent = "…";
  for (const part of ["user-badges", "facts"]) byId(part).replaceChildren();
  byId("user-notice").hidden = true;
  for (const name of names) control(name).value = "";
  setEnabled(false);
  forgetActivity();
}

/**
 * Prepares the page for a user who has signed in again. Errors of the earlier session are over. Input
 * that was not saved is still there.
 */
export function resumeDraft(): void {
  for (const form of ["details", "roles"]) clearFaults(byId<HTMLFormElement>(form));
  fault.textContent = "";
  if (hasUnsaved()) showMessage(texts.resumed);
}

/** Forgets the user, because the session has ended. */
export function forgetUser(): void {
  clearPage();
  id = 0;
}

// ---------------------------------------------------------------- facts

function fill(user: User): void {
  if (!shown) byId("heard").textContent = texts.shown(user.username, user.is_active);
  shown = user;
  body.hidden = false;
  instead.hidden = true;
  document.title = texts.title(user.username);
  byId("user-name").textContent = user.username;
  byId("user-badges").replaceChildren(...badges(user));
  byId("facts").replaceChildren(...facts(user));
  const why = restriction(user) ? texts.readOnly : "";
  byId("user-notice").textContent = why;
  byId("user-notice").hidden = !why;
  byId("activity").textContent = user.is_active ? texts.deactivate : texts.activate;
  byId("activity").classList.toggle("danger", user.is_active);
  byId("send-mail").textContent = user.has_password ? texts.resetMail : texts.noPassword;
  byId("unthrottle").hidden = !user.throttled;
  const locked = (user.has_password || user.last_login !== null) && !self()?.is_superuser;
  const email = control("email") as HTMLInputElement;
  email.readOnly = locked;
  email.required = user.email !== null;
  byId("details-email-hint").textContent = locked ? texts.addressLocked : texts.addressConfirmed;
  byId("roles-hint").textContent = self()?.is_superuser ? "" : texts.onlySuperusers;
  showRoles(user);
  fillDetails();
  setEnabled(!restriction(user));
  enableSessions();
}

function badges(user: User): HTMLElement[] {
  const all = [badge(user.is_active ? texts.active : texts.deactivated, user.is_active ? "good" : "bad"), ...roleBadges(user)];
  if (!user.email_verified) all.push(badge(texts.notVerified, "warm"));
  if (!user.has_password) all.push(badge(texts.passwordless, "warm"));
  if (user.throttled) all.push(badge(texts.throttled, "bad"));
  if (isOwn()) all.push(badge(texts.you));
  const name = fullName(user);
  return name ? [make("span", "full", name), ...all] : all;
}

function facts(user: User): HTMLElement[] {
  const { facts } = texts;
  const yes = (is: boolean) => (is ? facts.yes : facts.no);
  const lines: [string, Node | string][] = [
    [facts.id, String(user.id)],
    [facts.joined, timeElement(user.date_joined)],
    [facts.login, user.last_login ? relativeTime(user.last_login) : texts.never],
    [facts.verified, yes(user.email_verified)],
    ...(asciiDomain(user.email) ? [[facts.domain, asciiDomain(user.email)] as [string, string]] : []),
    [facts.password, user.has_password ? facts.set : facts.unset],
    [facts.throttled, user.throttled ? facts.paused : facts.open],
  ];
  if (user.pending_email !== null) lines.push([facts.pending, texts.waiting(user.pending_email)]);
  return lines.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", value)));
}

/** Enables or disables all controls. The notice above them explains why. */
function setEnabled(is: boolean): void {
  for (const name of ["activity", "send-mail", "unthrottle", "delete"]) byId<HTMLButtonElement>(name).disabled = !is;
  for (const form of ["details", "roles"]) {
    const set = byId(form).querySelector("fieldset");
    if (set) set.disabled = !is || (form === "roles" && !self()?.is_superuser);
  }
}

// ---------------------------------------------------------------- details

// Input that is not saved, by user id. It is kept for the staff member who typed it, even after the
// session has ended.
const drafts = new Map<number, Fields>();
const form = byId<HTMLFormElement>("details");
const control = (name: string) => form.elements.namedItem(name) as HTMLInputElement | HTMLSelectElement;

/** Reports whether there is input that is not saved. */
export const hasUnsaved = (): boolean => drafts.size > 0;

/** Forgets the input. */
export const forgetDrafts = (): void => drafts.clear();

/** Returns the name of the user whose page was left with unsaved input, or "". */
export const unsavedUsername = (): string => (drafts.has(id) ? (shown?.username ?? "") : "");

/** Returns the values of the user on the server as the controls show them, with an empty text for null. */
const savedFields = (): Fields => Object.fromEntries(names.map((name) => [name, shown?.[name] ?? ""]));

/** Returns the members that were changed. An empty language is null. */
function changes(typed: Fields): Changes {
  const before = savedFields();
  const changed: Changes = Object.fromEntries(names.flatMap((name) => (typed[name] === before[name] ? [] : [[name, typed[name] ?? ""]])));
  return "locale" in changed ? { ...changed, locale: changed.locale || null } : changed;
}

function fillDetails(): void {
  const values = { ...savedFields(), ...drafts.get(id) };
  const present = savedFields()["locale"] ?? "";
  const others = [new Option(texts.noLocale, "")];
  if (present && !locales().includes(present)) others.push(new Option(languageName(present), present));
  offerLanguages("details-locale", locales(), others);
  for (const name of names) control(name).value = values[name] ?? "";
  updateDraft();
}

function updateDraft(): void {
  const before = savedFields();
  const typed = names.map((name) => [name, control(name).value] as const).filter(([name, value]) => value !== before[name]);
  const changed = typed.length > 0;
  if (changed) drafts.set(id, Object.fromEntries(typed)); // only the changed fields, because others may have changed the rest
  else drafts.delete(id);
  byId("details-undo").hidden = !changed;
  byId("details-hint").hidden = !changed;
  byId("details-hint").textContent = texts.unsaved;
}

const details = onSubmit("details", async (typed) => {
  const changed = changes(typed);
  if (Object.keys(changed).length === 0) {
    showMessage(texts.nothingChanged);
    return null;
  }
  const user = shown;
  // A mistyped address locks the user out, and an impostor may have asked for the change.
  if (user && changed.email && !(await confirmAction(texts.sureAddress(user.username, user.email, changed.email)))) return null;
  return patch(changed);
}, ({ data }) => {
  if (!data) return;
  const requestedEmail = drafts.get(data.user.id)?.["email"] ?? null;
  drafts.delete(data.user.id);
  showChanged(data.user, requestedEmail === null || requestedEmail === data.user.email ? texts.saved : texts.savedAddress(requestedEmail));
});

/**
 * Changes the user, provided that the stored version is the one on the page. Otherwise nothing is
 * changed, the page shows the new values, and the input stays.
 */
async function patch(body: Changes) {
  const params = { ...path(), header: { "If-Match": `"${shown?.version}"` } };
  const result = await callWithReauthentication(() => api.PATCH("/admin/users/{user_id}", { params, body }));
  if (result?.error?.code === "precondition_failed") void showUser();
  return result;
}

details.addEventListener("input", () => shown && updateDraft());
byId("details-undo").addEventListener("click", () => {
  drafts.delete(id);
  clearFaults(details);
  fillDetails();
  control("username").focus();
});

addEventListener("beforeunload", (event) => hasUnsaved() && event.preventDefault());

function showChanged(user: User, text: string): void {
  showMessage(text);
  if (user.id !== id) return;
  fill(user);
  loadActivity();
  if (isOwn()) selfChanged();
}

// ---------------------------------------------------------------- roles

function showRoles(user: User): void {
  for (const role of ["is_staff", "is_superuser"] as const) (byId("roles").querySelector(`[name=${role}]`) as HTMLInputElement).checked = user[role];
}

onSubmit("roles", async (ticked) => {
  const user = shown;
  if (!user) return null;
  const wanted = { is_staff: "is_staff" in ticked, is_superuser: "is_superuser" in ticked };
  if (wanted.is_staff === user.is_staff && wanted.is_superuser === user.is_superuser) {
    showMessage(texts.nothingChanged);
    return null;
  }
  const result = (await confirmRoles(user, wanted)) ? await patch(wanted) : null;
  if (result === null && user.id === id) showRoles(user); // canceled: a box that stays checked would look like a granted role
  return result;
}, ({ data }) => data && showChanged(data.user, texts.rolesSaved));

/** Asks before a role is lost by the signed-in user, or before a user becomes a superuser. */
async function confirmRoles(user: User, wanted: { is_staff: boolean; is_superuser: boolean }): Promise<boolean> {
  const loses = (user.is_superuser && !wanted.is_superuser) || (user.is_staff && !wanted.is_staff);
  if (isOwn() && loses && !(await confirmAction(texts.selfRoles))) return false;
  return user.is_superuser || !wanted.is_superuser || confirmAction(texts.sureRoles(user.username));
}

// ---------------------------------------------------------------- actions

/**
 * Ends the session in the client after an action that has ended it on the server, before the next
 * request fails.
 */
const signOutLocally = async (): Promise<void> => void (await accounts.logout().catch(() => undefined));

function onPress(name: string, action: (button: HTMLButtonElement, user: User) => Promise<void>): void {
  const button = byId<HTMLButtonElement>(name);
  button.addEventListener("click", () => shown && void action(button, shown));
}

onPress("activity", async (button, user) => {
  const off = user.is_active;
  if (off && !(await confirmAction({ ...texts.sureDeactivate(user.username), ...(isOwn() ? { warning: texts.selfDeactivate } : {}) }))) return;
  await perform(button, () => patch({ is_active: !off }), async ({ data }) => {
    if (off && isOwn()) await signOutLocally();
    else if (data) showChanged(data.user, off ? texts.deactivatedNow(user.username) : texts.activatedNow(user.username));
  });
});

onPress("send-mail", (button, user) => perform(button, () => api.POST("/admin/users/{user_id}/password_reset", { params: path() }), () => {
  showMessage(texts.mailSent(user.email ?? user.username));
  void loadEvents(id);
}));

onPress("unthrottle", (button) => perform(button, () => callWithReauthentication(() => api.DELETE("/admin/users/{user_id}/login_limit", { params: path() })), () => {
  showMessage(texts.unthrottled);
  byId("activity").focus(); // the focus was on the button, which is removed
  void showUser();
}));

onPress("delete", async (button, user) => {
  if (!(await confirmAction({ ...texts.sureDelete(user.username), typed: user.username, ...(isOwn() ? { warning: texts.selfDelete } : {}) }))) return;
  const mine = isOwn();
  await perform(button, () => callWithReauthentication(() => api.DELETE("/admin/users/{user_id}", { params: path() })), async () => {
    drafts.delete(user.id);
    if (mine) return void (await signOutLocally());
    go(urlOf("users"), { replace: true });
    showMessage(texts.deletedNow(user.username));
  });
});
