// Built from server/web/console/src, server/web/parts and api/typescript/src by make web: change those.

// server/web/parts/dom.ts
function byId(id2) {
  const found = document.getElementById(id2);
  if (!found) throw new Error(`there is no #${id2}`);
  return found;
}
function make(name, className, ...content) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content);
  return element;
}
var hideToast;
function showMessage(text) {
  byId("toast").textContent = text;
  clearTimeout(hideToast);
  hideToast = setTimeout(hideMessage, 2500 + 50 * text.length);
}
function hideMessage() {
  byId("toast").textContent = "";
}
var dates = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
function timeElement(time) {
  const element = make("time", "", dates.format(new Date(time)));
  element.dateTime = time;
  return element;
}

// server/web/parts/messages.ts
var problemMessages = {
  request_malformed: "Something went wrong on this page. Reload it and try again.",
  credentials_missing: "You are not signed in. Sign in and try again.",
  credentials_invalid: "The username or the password is wrong, or the email address is not verified yet.",
  access_invalid: "Your session cannot be continued. Sign in again.",
  access_expired: "Your session has to be renewed. Reload the page, or sign in again.",
  refresh_invalid: "Your session cannot be continued. Sign in again.",
  refresh_reused: "Your session may have been copied, so it was ended to protect your account. Sign in again and check the recent activity of your account.",
  session_expired: "Your session has expired. Sign in again.",
  session_revoked: "You have been signed out. Sign in again.",
  csrf_failed: "The server could not confirm that this request comes from you. Reload the page and try again.",
  transport_unusable: "Signing in does not work from this page, because it is on another site.",
  registration_closed: "You cannot sign up here. Ask the operator of this service for an account.",
  role_required: "You do not have permission to do this.",
  reauth_required: "Enter your password once more to continue.",
  resource_not_found: "This does not exist, or you have no access to it.",
  method_not_allowed: "Something went wrong on this page. Reload it and try again.",
  username_taken: "Another user has this username. Choose another one.",
  email_taken: "Another account has this email address.",
  email_unverified: "The email address is not verified yet. A role can be granted after that.",
  superuser_last: "This is the last active superuser. Make another user a superuser first.",
  user_unreachable: "No mail can be sent to this user: the account is deactivated or has no email address.",
  precondition_failed: "This has been changed in the meantime. Check the present state and try again.",
  body_too_large: "This is too much text. Shorten it and try again.",
  media_type_unsupported: "Something went wrong on this page. Reload it and try again.",
  validation_failed: "Some of the fields are not valid. Correct them and try again.",
  link_invalid: "This link is no longer valid. Request a new one.",
  rate_limited: "Too many attempts.",
  server_failed: "Something went wrong on the server. Try again later.",
  service_unavailable: "The server is busy. Try again in a moment."
};
var fieldMessages = {
  required: "Fill in this field.",
  field_unknown: "Something went wrong on this page. Reload it and try again.",
  field_duplicate: "Something went wrong on this page. Reload it and try again.",
  parameter_unknown: "Something went wrong on this page. Reload it and try again.",
  parameter_duplicate: "Something went wrong on this page. Reload it and try again.",
  too_short: "This is too short.",
  too_long: "This is too long.",
  too_few: "There are too few items.",
  too_many: "There are too many items.",
  out_of_range: "This number is too small or too large.",
  format_invalid: "This does not have the right form.",
  type_invalid: "This value cannot be used.",
  value_invalid: "This is not one of the allowed values.",
  taken: "This is already in use. Choose another one.",
  password_common: "This password is easy to guess: it is common, a pattern, or made from your own data. Choose another one.",
  password_breached: "This password is known from a data breach of another website, so attackers may try it. Choose another one.",
  password_wrong: "This is not the right password."
};

// server/web/parts/network.ts
var lost = /* @__PURE__ */ new WeakSet();
async function fetchOrReport(...call) {
  try {
    return await fetch(...call);
  } catch (error) {
    if (typeof error === "object" && error !== null) lost.add(error);
    throw error;
  }
}
var isLost = (error) => error instanceof DOMException || error instanceof Error && lost.has(error);

// server/web/parts/words.ts
function otherwise(value, instead2) {
  void value;
  return instead2;
}
function nameOf(value) {
  const words = value.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
function explain(problem, response) {
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
function waitTime(response) {
  const seconds = Number(response?.headers.get("Retry-After")) || 1;
  if (seconds <= 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}
function explainField({ code, detail, minimum, maximum }) {
  switch (code) {
    case "too_short":
      if (minimum !== void 0) return `This is too short: at least ${minimum} characters.`;
      break;
    case "too_long":
      if (maximum !== void 0) return `This is too long: at most ${maximum} characters.`;
      break;
    case "too_few":
      if (minimum !== void 0) return `There are too few items: at least ${minimum}.`;
      break;
    case "too_many":
      if (maximum !== void 0) return `There are too many items: at most ${maximum}.`;
      break;
    case "out_of_range":
      if (minimum !== void 0 && maximum !== void 0) return `This must be between ${minimum} and ${maximum}.`;
      if (minimum !== void 0) return `This must be at least ${minimum}.`;
      if (maximum !== void 0) return `This must be at most ${maximum}.`;
  }
  return fieldMessages[code] ?? detail;
}
function endNotice(reason) {
  switch (reason) {
    case null:
    case "credentials_missing":
      return null;
    // there was no session
    case "logged_out":
      return { title: "Signed out", text: "You are signed out in all tabs.", alarm: false };
    case "refresh_reused":
      return {
        title: "Your session may have been stolen",
        text: "A refresh token was used again after it had been replaced, which happens if someone has copied it. To protect your account, the server has ended the session. Sign in again and check your security log. If you do not recognize the activity, change your password.",
        alarm: true
      };
    case "session_revoked":
      return {
        title: "Your session was ended",
        text: "It was ended from another device, by a new password, by a staff member, or because its tokens may have been stolen. Sign in again and check your security log for the reason.",
        alarm: true
      };
    case "session_expired":
      return { title: "Your session has expired", text: "It was not used for too long, or has reached its maximum lifetime. Sign in again.", alarm: true };
    case "refresh_invalid":
      return {
        title: "Your session cannot be continued",
        text: "The server does not accept its tokens, because its keys, address or database have changed. Sign in again.",
        alarm: true
      };
    default:
      return otherwise(reason, { title: "Your session has ended", text: "Sign in again.", alarm: true });
  }
}
function device(userAgent) {
  if (userAgent === null) return "Unknown device";
  const first = (names2) => names2.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = first([[/Edg\//, "Edge"], [/Firefox\//, "Firefox"], [/Chrom(e|ium)\//, "Chrome"], [/Safari\//, "Safari"]]);
  const system = first([[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS/, "macOS"], [/Linux/, "Linux"]]);
  if (browser) return system ? `${browser} on ${system}` : browser;
  return userAgent.split(" ")[0]?.slice(0, 40) || "Unknown device";
}

// server/web/parts/forms.ts
function onSubmit(id2, submit, done) {
  const form2 = byId(id2);
  form2.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form2.getAttribute("aria-busy") === "true") return;
    clearFaults(form2);
    if (!validate(form2)) return;
    hidePasswords(form2);
    form2.setAttribute("aria-busy", "true");
    const fields2 = Object.fromEntries([...new FormData(form2)].map(([name, value]) => [name, String(value)]));
    submit(fields2).then((result) => result && (!result.response.ok ? showProblem(form2, result.error, result.response) : done(result, fields2))).catch((error) => showFormFault(form2, connectionFault(error))).finally(() => form2.removeAttribute("aria-busy"));
  });
  for (const button of form2.querySelectorAll(".peek")) {
    setPasswordsVisible(button, false);
    button.addEventListener("click", () => setPasswordsVisible(button, button.getAttribute("aria-pressed") !== "true"));
  }
  return form2;
}
function connectionFault(error) {
  if (isLost(error)) return "The server cannot be reached. Check your connection and try again.";
  console.error(error);
  return problemMessages.request_malformed;
}
function reset(form2) {
  form2.reset();
  clearFaults(form2);
  hidePasswords(form2);
}
function clearFaults(form2) {
  for (const fault4 of form2.querySelectorAll(".fault")) fault4.textContent = "";
  for (const input of form2.querySelectorAll("input, select")) input.removeAttribute("aria-invalid");
}
function validate(form2) {
  for (const input of form2.querySelectorAll("input")) {
    if (input.validity.valueMissing) showFault(input, "This field is required.");
    else if (!input.validity.valid) showFault(input, "Enter a valid email address.");
  }
  return focusFault(form2);
}
function showProblem(form2, problem, response) {
  let named = false;
  for (const error of problem?.errors ?? []) {
    const control2 = form2.elements.namedItem((error.pointer ?? "").slice(1));
    if (!(control2 instanceof HTMLInputElement || control2 instanceof HTMLSelectElement)) continue;
    showFault(control2, error.code === "taken" ? explain(problem, response) : explainField(error));
    named = true;
  }
  if (named) focusFault(form2);
  else showFormFault(form2, explain(problem, response));
}
function showFormFault(form2, text) {
  const box = form2.querySelector("[role=alert]");
  if (box) box.textContent = text;
}
function showFault(input, text) {
  byId(`${input.id}-fault`).textContent = text;
  input.setAttribute("aria-invalid", "true");
}
function focusFault(form2) {
  const first = form2.querySelector("[aria-invalid]");
  first?.focus();
  return first === null;
}
function hidePasswords(form2) {
  for (const button of form2.querySelectorAll(".peek")) setPasswordsVisible(button, false);
}
function setPasswordsVisible(button, open) {
  for (const input of button.form?.querySelectorAll("[autocomplete$=password]") ?? []) input.type = open ? "text" : "password";
  button.textContent = open ? "Hide" : "Show";
  button.setAttribute("aria-pressed", String(open));
  button.setAttribute("aria-label", "Show password");
}

// server/web/parts/dialogs.ts
var resolvers = /* @__PURE__ */ new Map();
function showDialog(dialog2) {
  closeDialog(dialog2, false);
  return new Promise((done) => {
    resolvers.set(dialog2, done);
    dialog2.showModal();
  });
}
function closeDialog(dialog2, yes) {
  const done = resolvers.get(dialog2);
  resolvers.delete(dialog2);
  dialog2.close();
  done?.(yes);
}
for (const dialog2 of document.querySelectorAll("dialog")) {
  dialog2.addEventListener("close", () => dialog2.open || closeDialog(dialog2, false));
  for (const button of dialog2.querySelectorAll("[data-cancel]")) button.addEventListener("click", () => closeDialog(dialog2, false));
}
function closeDialogs() {
  for (const dialog2 of document.querySelectorAll("dialog")) closeDialog(dialog2, false);
  for (const part2 of ["ask-title", "ask-text", "ask-warning", "ask-label"]) byId(part2).textContent = "";
}
var ask = byId("ask");
var askForm = byId("ask-form");
var typedInput = byId("ask-input");
var fault = byId("ask-input-fault");
var expectedText = "";
async function confirmAction(question) {
  byId("ask-title").textContent = question.title;
  byId("ask-text").textContent = question.text;
  byId("ask-warning").textContent = question.warning ?? "";
  byId("ask-warning").hidden = !question.warning;
  expectedText = question.typed ?? "";
  byId("ask-typed").hidden = !expectedText;
  byId("ask-label").textContent = `Type ${expectedText} to confirm.`;
  showFault2("");
  askForm.reset();
  byId("ask-yes").textContent = question.yes;
  const answer = showDialog(ask);
  (expectedText ? typedInput : ask.querySelector("[data-cancel]"))?.focus();
  return answer;
}
function showFault2(text) {
  fault.textContent = text;
  if (text) typedInput.setAttribute("aria-invalid", "true");
  else typedInput.removeAttribute("aria-invalid");
}
askForm.addEventListener("submit", (event) => {
  event.preventDefault();
  if (expectedText && typedInput.value.trim() !== expectedText) {
    showFault2(`This does not match ${expectedText}.`);
    typedInput.focus();
    return;
  }
  closeDialog(ask, true);
});

// server/web/console/src/navigation.ts
var listeners = /* @__PURE__ */ new Set();
var urlQuery = () => new URLSearchParams(location.search);
function currentView() {
  const name = urlQuery().get("view");
  return name === "user" || name === "events" ? name : "users";
}
function urlOf(view, more = {}) {
  const query = new URLSearchParams({ view });
  for (const [name, value] of Object.entries(more)) if (value !== null && value !== void 0 && value !== "") query.set(name, String(value));
  return `?${query}`;
}
function trail() {
  const kept = history.state?.trail;
  return Array.isArray(kept) ? kept : [];
}
var trails = /* @__PURE__ */ new Map();
var remember = () => trails.set(location.search, trail());
function go(to, { replace = false, trail: trail2 = trails.get(to) ?? [] } = {}) {
  if (replace) history.replaceState({ trail: trail2 }, "", to);
  else history.pushState({ trail: trail2 }, "", to);
  remember();
  for (const listener of listeners) listener("link");
}
function onMove(listener) {
  listeners.add(listener);
}
remember();
addEventListener("popstate", () => {
  remember();
  for (const listener of listeners) listener("history");
});
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link2 = event.target instanceof Element ? event.target.closest('a[href^="?"]') : null;
  if (!link2) return;
  event.preventDefault();
  go(link2.getAttribute("href") ?? "");
});

// server/web/console/src/words.ts
var number = new Intl.NumberFormat("en-GB");
var count = (n, one, many) => `${number.format(n)} ${n === 1 ? one : many}`;
var span = (from, to) => from === to ? number.format(from) : `${number.format(from)}–${number.format(to)}`;
var texts = {
  title: (part2) => `${part2} – accounts console`,
  users: "Users",
  events: "Events",
  signIn: "Sign in",
  notStaff: "Staff only",
  forbidden: (username) => `You are signed in as ${username}, which is not a staff account. Ask a superuser for the role.`,
  unsavedLogout: { title: "Sign out?", text: "You have unsaved changes. If you sign out, they are lost.", yes: "Sign out" },
  // lists
  retry: "Try again",
  clearFilters: "Clear filters",
  notRead: "This could not be loaded",
  firstPage: "First page",
  usersRange: (from, to, more) => from === 1 && !more ? count(to, "user", "users") : `Users ${span(from, to)}${more ? "" : ", the last"}`,
  eventsRange: (from, to, more) => from === 1 && !more ? count(to, "event", "events") : `Events ${span(from, to)}${more ? "" : ", the oldest"}`,
  somewhere: (rows) => `${number.format(rows)} on this page`,
  noUsers: { title: "No users found", text: "No user matches all filters. Try a shorter part of the name or email address, or fewer filters." },
  noEvents: { title: "No events found", text: "No event matches all filters. Events are deleted after some time." },
  kindsChosen: (titles) => titles.length === 0 ? "All events" : titles.length === 1 ? titles[0] ?? "" : `${titles.length} kinds`,
  // a user, in a list and alone
  active: "Active",
  deactivated: "Deactivated",
  staff: "Staff",
  superuser: "Superuser",
  verified: "Verified",
  notVerified: "Not verified",
  never: "Never",
  noAddress: "No email address",
  noLocale: "Not set",
  throttled: "Sign-in blocked",
  passwordless: "No password",
  you: "You",
  facts: {
    id: "ID",
    joined: "Joined",
    login: "Last sign-in",
    verified: "Email verified",
    domain: "Email domain in ASCII",
    password: "Password",
    set: "Set",
    unset: "Not set",
    throttled: "Sign-in",
    yes: "Yes",
    no: "No",
    paused: "Blocked: too many failed attempts",
    open: "Allowed",
    pending: "New email address"
  },
  shown: (username, active) => `${username}, ${active ? "active" : "deactivated"}`,
  readOnly: "This is a staff account. You can view it, but only superusers can change it.",
  onlySuperusers: "Only superusers can change roles.",
  waiting: (email) => `${email}, not confirmed yet`,
  addressLocked: "This account may be in use, so only superusers can change its email address.",
  addressConfirmed: "The change takes effect when the user confirms the new address.",
  noPassword: "Send link to set a password",
  resetMail: "Send password reset",
  activate: "Activate",
  deactivate: "Deactivate",
  gone: { title: "User not found", text: "The user was deleted, or the address of this page is wrong.", action: "All users" },
  // changes
  nothingChanged: "There are no changes to save.",
  unsaved: "You have unsaved changes.",
  kept: (username) => `Your changes to ${username} are not saved. You can find them on the page of the user.`,
  saved: "Saved.",
  savedAddress: (email) => `Saved. A link was sent to ${email}. The address changes when the user confirms it.`,
  rolesSaved: "Roles saved.",
  mailSent: (email) => `An email was sent to ${email}.`,
  unthrottled: "This user can sign in again.",
  activatedNow: (username) => `${username} is active again.`,
  deactivatedNow: (username) => `${username} is deactivated. All sessions have ended.`,
  deletedNow: (username) => `${username} was deleted.`,
  invitedNow: (email) => `An invitation was sent to ${email}.`,
  sessionEnded: "The session has ended.",
  sessionsEnded: "All sessions have ended.",
  othersEnded: "All your other sessions have ended.",
  resumed: "Signed in. Your unsaved changes are still here.",
  // questions
  sureAddress: (username, before, after) => ({
    title: `Change the email address of ${username}?`,
    yes: "Change address",
    text: `A link is sent to ${after}. When it is confirmed, the address changes${before ? ` from ${before} to ${after}. A notice goes to ${before}.` : ` to ${after}.`}`
  }),
  sureDeactivate: (username) => ({
    title: `Deactivate ${username}?`,
    yes: "Deactivate",
    text: "All sessions end immediately. The user cannot sign in until the account is activated again."
  }),
  selfDeactivate: "This is your own account. You will be signed out immediately, and only another superuser can activate the account again.",
  sureDelete: (username) => ({
    title: `Delete ${username}?`,
    yes: "Delete permanently",
    text: "The account is deleted with its sessions and events, and the user is notified by email. This cannot be undone."
  }),
  selfDelete: "This is your own account. You will be signed out immediately.",
  sureEndAll: (username) => ({ title: `End all sessions of ${username}?`, yes: "End all", text: "All devices have to sign in again. Unsaved work on them may be lost." }),
  sureEndOthers: { title: "End all your other sessions?", yes: "End other sessions", text: "Your other devices have to sign in again. This session continues." },
  sureRoles: (username) => ({ title: `Make ${username} a superuser?`, yes: "Make superuser", text: "Superusers can manage all accounts, including staff accounts and yours." }),
  selfRoles: { title: "Remove your own role?", yes: "Remove role", text: "You lose its permissions immediately. Only another superuser can restore it." },
  // sessions and events of a user
  noSessions: "There are no active sessions.",
  sessionCount: (n) => `Sessions (${number.format(n)})`,
  sessions: "Sessions",
  end: "End",
  endOf: (device2) => ` the session of ${device2}`,
  endAll: "End all",
  endOthers: "End all others",
  thisOne: "this one",
  since: "Since ",
  used: ", last used ",
  usedNow: ", used in the last hour",
  noEventsYet: "There are no events.",
  by: "by ",
  byYou: "you",
  byStaff: "a staff member",
  byOperator: "an operator",
  bySelf: "the user",
  byUnknown: "unknown"
};
function eventTitle(kind) {
  const name = kind;
  switch (kind) {
    case "registered":
      return { text: "Signed up" };
    case "email_verified":
      return { text: "Email verified" };
    case "login":
      return { text: "Signed in" };
    case "login_failed":
      return { text: "Sign-in failed", bad: true };
    case "password_wrong":
      return { text: "Wrong password", bad: true };
    case "rate_limited":
      return { text: "Too many attempts", bad: true };
    case "logout":
      return { text: "Signed out" };
    case "session_revoked":
      return { text: "Session ended" };
    case "sessions_revoked":
      return { text: "Sessions ended" };
    case "refresh_graced":
      return { text: "Replaced token used from elsewhere", bad: true };
    case "refresh_reused":
      return { text: "Token reuse, session ended", bad: true };
    case "password_changed":
      return { text: "Password changed" };
    case "password_reset":
      return { text: "Password reset by email" };
    case "username_changed":
      return { text: "Username changed" };
    case "email_change_requested":
      return { text: "Email change requested" };
    case "email_change_canceled":
      return { text: "Email change canceled" };
    case "email_changed":
      return { text: "Email changed" };
    case "activated":
      return { text: "Activated" };
    case "deactivated":
      return { text: "Deactivated" };
    case "reauthenticated":
      return { text: "Password confirmed" };
    case "invited":
      return { text: "Invited" };
    case "profile_changed":
      return { text: "Profile changed" };
    case "roles_changed":
      return { text: "Roles changed" };
    case "password_reset_sent":
      return { text: "Reset email sent" };
    case "login_limit_reset":
      return { text: "Sign-in limit reset" };
    case "deleted":
      return { text: "Deleted" };
    default:
      return otherwise(kind, { text: nameOf(name) });
  }
}
var fields = { is_staff: "Staff", is_superuser: "Superuser", is_active: "Active", locale: "Language" };
var fieldName = (field2) => Object.hasOwn(fields, field2) ? fields[field2] : nameOf(field2);
function valueText(value) {
  if (value === null) return "none";
  if (value === "true" || value === "false") return value === "true" ? "yes" : "no";
  return value === "" ? "empty" : value;
}
var kinds = [
  "login",
  "login_failed",
  "password_wrong",
  "rate_limited",
  "logout",
  "session_revoked",
  "sessions_revoked",
  "refresh_graced",
  "refresh_reused",
  "password_changed",
  "password_reset",
  "password_reset_sent",
  "reauthenticated",
  "login_limit_reset",
  "registered",
  "invited",
  "email_verified",
  "username_changed",
  "profile_changed",
  "email_change_requested",
  "email_change_canceled",
  "email_changed",
  "roles_changed",
  "activated",
  "deactivated",
  "deleted"
];

// server/web/console/src/list.ts
var pageSize = 50;
var typingPause = 250;
var placeholders = 12;
var cursor = "cursor";
function splitValues(text) {
  return text ? text.split(",") : void 0;
}
function makeList(o) {
  const filters = byId(`${o.view}-filters`);
  const sheet = byId(`${o.view}-list`);
  const table = sheet.querySelector("table");
  const body2 = sheet.querySelector("tbody");
  const instead2 = sheet.querySelector(".instead");
  const pager = byId(o.view).querySelector(".pager");
  const back = pager.querySelector("[data-page=back]");
  const forward = pager.querySelector("[data-page=forward]");
  const clear = byId(`${o.view}-clear`);
  const jump = sheet.querySelector(".jump");
  const backText = back.textContent ?? "";
  let pendingRead = new AbortController();
  let next = null;
  let timer;
  const controls = () => [...filters.elements].filter((e) => (e instanceof HTMLInputElement || e instanceof HTMLSelectElement) && e.name !== "");
  const first = (e) => e instanceof HTMLSelectElement ? e.options[0]?.value ?? "" : "";
  const chosenUrl = () => urlOf(o.view, Object.fromEntries(controls().map((e) => [e.name, e.value.trim() === first(e) ? "" : e.value.trim()])));
  function apply(replace) {
    clearTimeout(timer);
    const to = chosenUrl();
    if (to !== `?${urlQuery()}`) go(to, { replace });
  }
  filters.addEventListener("input", (event) => {
    if (!(event.target instanceof HTMLInputElement)) return;
    clearTimeout(timer);
    timer = setTimeout(() => apply(true), typingPause);
  });
  filters.addEventListener("change", (event) => event.target instanceof HTMLSelectElement && apply(false));
  filters.addEventListener("submit", (event) => {
    event.preventDefault();
    apply(true);
  });
  const isFiltered = () => controls().some((e) => e.name !== "sort" && e.value.trim() !== first(e));
  function clearFilters() {
    go(urlOf(o.view, { sort: urlQuery().get("sort") }));
    controls()[0]?.focus();
  }
  clear.addEventListener("click", clearFilters);
  for (const head of table.querySelectorAll("[data-sort]")) {
    head.querySelector("button")?.addEventListener("click", () => {
      const name = head.dataset["sort"] ?? "";
      const begin2 = head.dataset["first"] ?? "";
      const sort = sortOrder() === begin2 + name ? begin2 ? name : `-${name}` : begin2 + name;
      const select = filters.elements.namedItem("sort");
      if (select instanceof HTMLSelectElement) select.value = sort;
      apply(false);
    });
  }
  const sortOrder = () => filters.elements.namedItem("sort")?.value ?? "";
  jump.addEventListener("click", () => (forward.disabled ? back : forward).focus());
  forward.addEventListener("click", () => turn(next ?? "", [...trail(), urlQuery().get(cursor) ?? ""]));
  back.addEventListener("click", () => turn(trail().at(-1) ?? "", trail().slice(0, -1)));
  function turn(place, behind) {
    const query = urlQuery();
    query.delete(cursor);
    if (place) query.set(cursor, place);
    go(`?${query}`, { trail: behind });
    scrollTo(0, 0);
    byId(`${o.view}-title`).focus();
  }
  function reflect() {
    const query = urlQuery();
    for (const e of controls()) {
      const value = query.get(e.name) ?? first(e);
      if (e.value.trim() !== value) e.value = value;
    }
    clear.hidden = !isFiltered();
    const sort = sortOrder();
    for (const head of table.querySelectorAll("[data-sort]")) {
      const name = head.dataset["sort"] ?? "";
      if (sort === name) head.setAttribute("aria-sort", "ascending");
      else if (sort === `-${name}`) head.setAttribute("aria-sort", "descending");
      else head.removeAttribute("aria-sort");
    }
  }
  async function show2() {
    clearTimeout(timer);
    reflect();
    pendingRead.abort();
    const { signal } = pendingRead = new AbortController();
    if (body2.children.length === 0) wait();
    sheet.setAttribute("aria-busy", "true");
    let fault4 = "";
    try {
      const { data, error, response } = await o.read(urlQuery(), signal);
      if (signal.aborted) return;
      if (data) fill2(data);
      else {
        fault4 = explain(error, response);
        if (error?.code === "role_required") o.denied();
      }
    } catch (error) {
      if (signal.aborted) return;
      fault4 = connectionFault(error);
    }
    sheet.removeAttribute("aria-busy");
    if (fault4) refuse2(fault4);
  }
  function wait() {
    instead2.hidden = true;
    table.hidden = false;
    const columns = table.querySelectorAll("th").length;
    body2.replaceChildren(...Array.from({ length: placeholders }, () => {
      const row2 = make("tr", "placeholder", ...Array.from({ length: columns }, () => make("td", "")));
      row2.setAttribute("aria-hidden", "true");
      return row2;
    }));
  }
  function fill2({ rows, next: more }) {
    next = more;
    const pages = trail().length;
    const unnumbered = pages === 0 && urlQuery().has(cursor);
    const from = pages * pageSize + 1;
    const words = unnumbered ? texts.somewhere(rows.length) : o.range(from, from + rows.length - 1, more !== null);
    body2.replaceChildren(...rows.map(o.row));
    table.hidden = rows.length === 0;
    instead2.hidden = rows.length > 0;
    if (rows.length === 0) tell(o.nothing.title, isFiltered() ? o.nothing.text : "", isFiltered() ? { text: texts.clearFilters, run: clearFilters } : null);
    const paged = pages > 0 || more !== null || unnumbered;
    pager.hidden = rows.length === 0 && !paged;
    for (const button of [back, forward, jump]) button.hidden = !paged;
    pager.querySelector(".range").textContent = words;
    forward.disabled = more === null;
    back.disabled = pages === 0 && !unnumbered;
    back.textContent = unnumbered ? texts.firstPage : backText;
    byId("heard").textContent = rows.length === 0 ? o.nothing.title : words;
  }
  function refuse2(fault4) {
    body2.replaceChildren();
    table.hidden = true;
    pager.hidden = true;
    jump.hidden = true;
    instead2.hidden = false;
    tell(texts.notRead, fault4, { text: texts.retry, run: () => void show2() });
    byId("heard").textContent = fault4;
  }
  function tell(title, text, action) {
    const parts2 = [make("h2", "", title)];
    if (text) parts2.push(make("p", "", text));
    if (action) {
      const button = make("button", "small", action.text);
      button.type = "button";
      button.addEventListener("click", action.run);
      parts2.push(button);
    }
    instead2.replaceChildren(...parts2);
  }
  return {
    show: () => void show2(),
    forget: () => {
      pendingRead.abort();
      clearTimeout(timer);
      for (const e of controls()) e.value = first(e);
      body2.replaceChildren();
      pager.hidden = true;
      jump.hidden = true;
      sheet.removeAttribute("aria-busy");
    }
  };
}

// api/typescript/node_modules/openapi-fetch/dist/index.mjs
var PATH_PARAM_RE = /\{[^{}]+\}/g;
var supportsRequestInitExt = () => {
  return typeof process === "object" && Number.parseInt(process?.versions?.node?.substring(0, 2)) >= 18 && process.versions.undici;
};
function randomID() {
  return Math.random().toString(36).slice(2, 11);
}
function createClient(clientOptions) {
  let {
    baseUrl = "",
    Request: CustomRequest = globalThis.Request,
    fetch: baseFetch = globalThis.fetch,
    querySerializer: globalQuerySerializer,
    bodySerializer: globalBodySerializer,
    pathSerializer: globalPathSerializer,
    headers: baseHeaders,
    requestInitExt = void 0,
    ...baseOptions
  } = { ...clientOptions };
  requestInitExt = supportsRequestInitExt() ? requestInitExt : void 0;
  baseUrl = removeTrailingSlash(baseUrl);
  const globalMiddlewares = [];
  async function coreFetch(schemaPath, fetchOptions) {
    const {
      baseUrl: localBaseUrl,
      fetch: fetch2 = baseFetch,
      Request: Request2 = CustomRequest,
      headers,
      params = {},
      parseAs = "json",
      querySerializer: requestQuerySerializer,
      bodySerializer = globalBodySerializer ?? defaultBodySerializer,
      pathSerializer: requestPathSerializer,
      body: body2,
      middleware: requestMiddlewares = [],
      ...init
    } = fetchOptions || {};
    let finalBaseUrl = baseUrl;
    if (localBaseUrl) {
      finalBaseUrl = removeTrailingSlash(localBaseUrl) ?? baseUrl;
    }
    let querySerializer = typeof globalQuerySerializer === "function" ? globalQuerySerializer : createQuerySerializer(globalQuerySerializer);
    if (requestQuerySerializer) {
      querySerializer = typeof requestQuerySerializer === "function" ? requestQuerySerializer : createQuerySerializer({
        ...typeof globalQuerySerializer === "object" ? globalQuerySerializer : {},
        ...requestQuerySerializer
      });
    }
    const pathSerializer = requestPathSerializer || globalPathSerializer || defaultPathSerializer;
    const serializedBody = body2 === void 0 ? void 0 : bodySerializer(
      body2,
      // Note: we declare mergeHeaders() both here and below because it’s a bit of a chicken-or-egg situation:
      // bodySerializer() needs all headers so we aren’t dropping ones set by the user, however,
      // the result of this ALSO sets the lowest-priority content-type header. So we re-merge below,
      // setting the content-type at the very beginning to be overwritten.
      // Lastly, based on the way headers work, it’s not a simple “present-or-not” check becauase null intentionally un-sets headers.
      mergeHeaders(baseHeaders, headers, params.header)
    );
    const finalHeaders = mergeHeaders(
      // with no body, we should not to set Content-Type
      serializedBody === void 0 || // if serialized body is FormData; browser will correctly set Content-Type & boundary expression
      serializedBody instanceof FormData ? {} : {
        "Content-Type": "application/json"
      },
      baseHeaders,
      headers,
      params.header
    );
    const finalMiddlewares = [...globalMiddlewares, ...requestMiddlewares];
    const requestInit = {
      redirect: "follow",
      ...baseOptions,
      ...init,
      body: serializedBody,
      headers: finalHeaders
    };
    let id2;
    let options;
    let request = new Request2(
      createFinalURL(schemaPath, { baseUrl: finalBaseUrl, params, querySerializer, pathSerializer }),
      requestInit
    );
    let response;
    for (const key in init) {
      if (!(key in request)) {
        request[key] = init[key];
      }
    }
    if (finalMiddlewares.length) {
      id2 = randomID();
      options = Object.freeze({
        baseUrl: finalBaseUrl,
        fetch: fetch2,
        parseAs,
        querySerializer,
        bodySerializer,
        pathSerializer
      });
      for (const m of finalMiddlewares) {
        if (m && typeof m === "object" && typeof m.onRequest === "function") {
          const result = await m.onRequest({
            request,
            schemaPath,
            params,
            options,
            id: id2
          });
          if (result) {
            if (result instanceof Request2) {
              request = result;
            } else if (result instanceof Response) {
              response = result;
              break;
            } else {
              throw new Error("onRequest: must return new Request() or Response() when modifying the request");
            }
          }
        }
      }
    }
    if (!response) {
      try {
        response = await fetch2(request, requestInitExt);
      } catch (error2) {
        let errorAfterMiddleware = error2;
        if (finalMiddlewares.length) {
          for (let i = finalMiddlewares.length - 1; i >= 0; i--) {
            const m = finalMiddlewares[i];
            if (m && typeof m === "object" && typeof m.onError === "function") {
              const result = await m.onError({
                request,
                error: errorAfterMiddleware,
                schemaPath,
                params,
                options,
                id: id2
              });
              if (result) {
                if (result instanceof Response) {
                  errorAfterMiddleware = void 0;
                  response = result;
                  break;
                }
                if (result instanceof Error) {
                  errorAfterMiddleware = result;
                  continue;
                }
                throw new Error("onError: must return new Response() or instance of Error");
              }
            }
          }
        }
        if (errorAfterMiddleware) {
          throw errorAfterMiddleware;
        }
      }
      if (finalMiddlewares.length) {
        for (let i = finalMiddlewares.length - 1; i >= 0; i--) {
          const m = finalMiddlewares[i];
          if (m && typeof m === "object" && typeof m.onResponse === "function") {
            const result = await m.onResponse({
              request,
              response,
              schemaPath,
              params,
              options,
              id: id2
            });
            if (result) {
              if (!(result instanceof Response)) {
                throw new Error("onResponse: must return new Response() when modifying the response");
              }
              response = result;
            }
          }
        }
      }
    }
    const contentLength = response.headers.get("Content-Length");
    if (response.status === 204 || request.method === "HEAD" || contentLength === "0" && !response.headers.get("Transfer-Encoding")?.includes("chunked")) {
      return response.ok ? { data: void 0, response } : { error: void 0, response };
    }
    if (response.ok) {
      const getResponseData = async () => {
        if (parseAs === "stream") {
          return response.body;
        }
        if (parseAs === "json" && !contentLength) {
          const raw = await response.text();
          return raw ? JSON.parse(raw) : void 0;
        }
        return await response[parseAs]();
      };
      return { data: await getResponseData(), response };
    }
    let error = await response.text();
    try {
      error = JSON.parse(error);
    } catch {
    }
    return { error, response };
  }
  return {
    request(method, url, init) {
      return coreFetch(url, { ...init, method: method.toUpperCase() });
    },
    /** Call a GET endpoint */
    GET(url, init) {
      return coreFetch(url, { ...init, method: "GET" });
    },
    /** Call a PUT endpoint */
    PUT(url, init) {
      return coreFetch(url, { ...init, method: "PUT" });
    },
    /** Call a POST endpoint */
    POST(url, init) {
      return coreFetch(url, { ...init, method: "POST" });
    },
    /** Call a DELETE endpoint */
    DELETE(url, init) {
      return coreFetch(url, { ...init, method: "DELETE" });
    },
    /** Call a OPTIONS endpoint */
    OPTIONS(url, init) {
      return coreFetch(url, { ...init, method: "OPTIONS" });
    },
    /** Call a HEAD endpoint */
    HEAD(url, init) {
      return coreFetch(url, { ...init, method: "HEAD" });
    },
    /** Call a PATCH endpoint */
    PATCH(url, init) {
      return coreFetch(url, { ...init, method: "PATCH" });
    },
    /** Call a TRACE endpoint */
    TRACE(url, init) {
      return coreFetch(url, { ...init, method: "TRACE" });
    },
    /** Register middleware */
    use(...middleware) {
      for (const m of middleware) {
        if (!m) {
          continue;
        }
        if (typeof m !== "object" || !("onRequest" in m || "onResponse" in m || "onError" in m)) {
          throw new Error("Middleware must be an object with one of `onRequest()`, `onResponse() or `onError()`");
        }
        globalMiddlewares.push(m);
      }
    },
    /** Unregister middleware */
    eject(...middleware) {
      for (const m of middleware) {
        const i = globalMiddlewares.indexOf(m);
        if (i !== -1) {
          globalMiddlewares.splice(i, 1);
        }
      }
    }
  };
}
function serializePrimitiveParam(name, value, options) {
  if (value === void 0 || value === null) {
    return "";
  }
  if (typeof value === "object") {
    throw new Error(
      "Deeply-nested arrays/objects aren’t supported. Provide your own `querySerializer()` to handle these."
    );
  }
  return `${name}=${options?.allowReserved === true ? value : encodeURIComponent(value)}`;
}
function serializeObjectParam(name, value, options) {
  if (!value || typeof value !== "object") {
    return "";
  }
  const values = [];
  const joiner = {
    simple: ",",
    label: ".",
    matrix: ";"
  }[options.style] || "&";
  if (options.style !== "deepObject" && options.explode === false) {
    for (const k in value) {
      values.push(k, options.allowReserved === true ? value[k] : encodeURIComponent(value[k]));
    }
    const final2 = values.join(",");
    switch (options.style) {
      case "form": {
        return `${name}=${final2}`;
      }
      case "label": {
        return `.${final2}`;
      }
      case "matrix": {
        return `;${name}=${final2}`;
      }
      default: {
        return final2;
      }
    }
  }
  for (const k in value) {
    const finalName = options.style === "deepObject" ? `${name}[${k}]` : k;
    values.push(serializePrimitiveParam(finalName, value[k], options));
  }
  const final = values.join(joiner);
  return options.style === "label" || options.style === "matrix" ? `${joiner}${final}` : final;
}
function serializeArrayParam(name, value, options) {
  if (!Array.isArray(value)) {
    return "";
  }
  if (options.explode === false) {
    const joiner2 = { form: ",", spaceDelimited: "%20", pipeDelimited: "|" }[options.style] || ",";
    const final = (options.allowReserved === true ? value : value.map((v) => encodeURIComponent(v))).join(joiner2);
    switch (options.style) {
      case "simple": {
        return final;
      }
      case "label": {
        return `.${final}`;
      }
      case "matrix": {
        return `;${name}=${final}`;
      }
      // case "spaceDelimited":
      // case "pipeDelimited":
      default: {
        return `${name}=${final}`;
      }
    }
  }
  const joiner = { simple: ",", label: ".", matrix: ";" }[options.style] || "&";
  const values = [];
  for (const v of value) {
    if (options.style === "simple" || options.style === "label") {
      values.push(options.allowReserved === true ? v : encodeURIComponent(v));
    } else {
      values.push(serializePrimitiveParam(name, v, options));
    }
  }
  return options.style === "label" || options.style === "matrix" ? `${joiner}${values.join(joiner)}` : values.join(joiner);
}
function createQuerySerializer(options) {
  return function querySerializer(queryParams) {
    const search2 = [];
    if (queryParams && typeof queryParams === "object") {
      for (const name in queryParams) {
        const value = queryParams[name];
        if (value === void 0 || value === null) {
          continue;
        }
        if (Array.isArray(value)) {
          if (value.length === 0) {
            continue;
          }
          search2.push(
            serializeArrayParam(name, value, {
              style: "form",
              explode: true,
              ...options?.array,
              allowReserved: options?.allowReserved || false
            })
          );
          continue;
        }
        if (typeof value === "object") {
          search2.push(
            serializeObjectParam(name, value, {
              style: "deepObject",
              explode: true,
              ...options?.object,
              allowReserved: options?.allowReserved || false
            })
          );
          continue;
        }
        search2.push(serializePrimitiveParam(name, value, options));
      }
    }
    return search2.join("&");
  };
}
function defaultPathSerializer(pathname, pathParams) {
  let nextURL = pathname;
  for (const match of pathname.match(PATH_PARAM_RE) ?? []) {
    let name = match.substring(1, match.length - 1);
    let explode = false;
    let style = "simple";
    if (name.endsWith("*")) {
      explode = true;
      name = name.substring(0, name.length - 1);
    }
    if (name.startsWith(".")) {
      style = "label";
      name = name.substring(1);
    } else if (name.startsWith(";")) {
      style = "matrix";
      name = name.substring(1);
    }
    if (!pathParams || pathParams[name] === void 0 || pathParams[name] === null) {
      continue;
    }
    const value = pathParams[name];
    if (Array.isArray(value)) {
      nextURL = nextURL.replace(match, serializeArrayParam(name, value, { style, explode }));
      continue;
    }
    if (typeof value === "object") {
      nextURL = nextURL.replace(match, serializeObjectParam(name, value, { style, explode }));
      continue;
    }
    if (style === "matrix") {
      nextURL = nextURL.replace(match, `;${serializePrimitiveParam(name, value)}`);
      continue;
    }
    nextURL = nextURL.replace(match, style === "label" ? `.${encodeURIComponent(value)}` : encodeURIComponent(value));
  }
  return nextURL;
}
function defaultBodySerializer(body2, headers) {
  if (body2 instanceof FormData) {
    return body2;
  }
  if (headers) {
    const contentType = headers.get instanceof Function ? headers.get("Content-Type") ?? headers.get("content-type") : headers["Content-Type"] ?? headers["content-type"];
    if (contentType === "application/x-www-form-urlencoded") {
      return new URLSearchParams(body2).toString();
    }
  }
  return JSON.stringify(body2);
}
function createFinalURL(pathname, options) {
  let finalURL = `${options.baseUrl}${pathname}`;
  if (options.params?.path) {
    finalURL = options.pathSerializer(finalURL, options.params.path);
  }
  let search2 = options.querySerializer(options.params.query ?? {});
  if (search2.startsWith("?")) {
    search2 = search2.substring(1);
  }
  if (search2) {
    finalURL += `?${search2}`;
  }
  return finalURL;
}
function mergeHeaders(...allHeaders) {
  const finalHeaders = new Headers();
  for (const h of allHeaders) {
    if (!h || typeof h !== "object") {
      continue;
    }
    const iterator = h instanceof Headers ? h.entries() : Object.entries(h);
    for (const [k, v] of iterator) {
      if (v === null) {
        finalHeaders.delete(k);
      } else if (Array.isArray(v)) {
        for (const v2 of v) {
          finalHeaders.append(k, v2);
        }
      } else if (v !== void 0) {
        finalHeaders.set(k, v);
      }
    }
  }
  return finalHeaders;
}
function removeTrailingSlash(url) {
  if (url.endsWith("/")) {
    return url.substring(0, url.length - 1);
  }
  return url;
}

// api/typescript/src/tabs.ts
var lockTime = 2e4;
var Tabs = class {
  #name;
  #channel;
  #shared;
  #note = null;
  #queue = Promise.resolve();
  constructor(name, shared, heard) {
    this.#name = name;
    this.#shared = shared;
    this.#channel = shared && "BroadcastChannel" in globalThis ? new BroadcastChannel(name) : null;
    this.#channel?.addEventListener("message", (event) => heard(event.data));
  }
  /** Reports whether this tab can receive messages of other tabs. */
  get canReceive() {
    return this.#channel !== null;
  }
  tell(message) {
    this.#channel?.postMessage(message);
  }
  close() {
    this.#channel?.close();
  }
  /** Runs one task at a time: across all tabs if there are Web Locks, and in this tab if not. */
  runExclusively(task) {
    const run = this.#queue.then(() => this.#runLocked(task));
    this.#queue = run.catch(() => void 0);
    return run;
  }
  async #runLocked(task) {
    if (!this.#shared || !globalThis.navigator?.locks) return task();
    let running;
    const take = (options) => navigator.locks.request(this.#name, options, () => running = task());
    try {
      return await take({ signal: AbortSignal.timeout(lockTime) });
    } catch (error) {
      if (!running && error.name === "TimeoutError") await take({ steal: true }).catch(() => void 0);
      if (!running) throw error;
      return running;
    }
  }
  /** The note that all tabs share. An attempt alone is not a credential. */
  get note() {
    if (!this.#shared) return this.#note;
    try {
      return JSON.parse(localStorage.getItem(this.#name) ?? "null");
    } catch {
      return this.#note;
    }
  }
  set note(note) {
    this.#note = note;
    if (!this.#shared) return;
    try {
      if (note) localStorage.setItem(this.#name, JSON.stringify(note));
      else localStorage.removeItem(this.#name);
    } catch {
    }
  }
};
function newAttempt() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// api/typescript/src/session.ts
var times = { answer: 4e3, retry: 15e3, decision: 1e4, later: 5e3, heard: 500 };
var longestTimer = 2 ** 31 - 1;
var Session = class {
  #o;
  #tabs;
  #tokens = null;
  #state = { status: "unknown" };
  #timer;
  #waiting = [];
  #lastSession = "";
  // the id of the session that this client had last
  #closed = false;
  constructor(o, tabs) {
    this.#o = o;
    this.#tabs = new Tabs(tabs.name, tabs.shared, (message) => this.#receive(message));
  }
  get state() {
    return this.#state;
  }
  get tokens() {
    return this.#tokens;
  }
  get hasCookies() {
    return this.#o.transport !== "body";
  }
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#tabs.close();
  }
  /** Restores the session from the cookies or the storage. Only the first call does so. */
  async restore() {
    if (this.#state.status !== "unknown") return;
    await this.#tabs.runExclusively(async () => {
      if (this.#state.status === "unknown") await this.#renew();
    });
  }
  /** Refreshes, unless the tokens have changed since the caller read `seen`. */
  async refresh(seen) {
    await this.#tabs.runExclusively(async () => {
      if (this.#tokens !== seen || this.#state.status === "signed-out") return;
      if (await this.#waitForNewer()) return;
      await this.#renew();
    });
  }
  /** Refreshes the tokens if the access token expires within a second. */
  async ensureFresh() {
    await this.restore();
    const tokens = this.#tokens;
    if (tokens && Date.now() >= tokens.expiresAt - 1e3) await this.refresh(tokens);
  }
  /**
   * Catches up after the page was suspended (in the back/forward cache or during sleep), because it
   * missed the messages of other tabs.
   */
  async catchUp() {
    const note = this.#tabs.note;
    const tokens = this.#tokens;
    if (this.#state.status === "unknown") return;
    const missed = note ? note.session !== tokens?.session.id || note.generation !== tokens.generation : tokens !== null;
    if (!missed && (!tokens || Date.now() < tokens.refreshAt)) return;
    await this.#tabs.runExclusively(async () => {
      if (this.#tokens !== tokens) return;
      if (missed || !await this.#waitForNewer()) await this.#renew();
    });
  }
  /**
   * Starts a session by `call`, which is a login or an operation with the same response, and stores
   * the tokens. No refresh, login or logout of any tab can run between the two.
   */
  begin(call) {
    return this.#tabs.runExclusively(async () => {
      const response = await call();
      const code = await codeOf(response);
      if (response.ok) await this.#keep(await response.clone().json(), false, null);
      else if (code === "session_expired" || code === "session_revoked") await this.endLocally(code);
      return response;
    });
  }
  /** Logs out by `call`, which gets the stored session as it is when the logout runs. */
  end(call) {
    return this.#tabs.runExclusively(async () => {
      if (this.hasCookies && !this.#tokens) await this.#requestSession();
      let response = await this.#withRetries(async () => call(await this.#loadStored()));
      if (await codeOf(response) === "csrf_failed" && await this.#requestSession()) {
        response = await call(await this.#loadStored());
      }
      if (response.status === 204 || response.status === 401) await this.endLocally("logged_out");
      return response;
    });
  }
  #csrf = "";
  /** Returns the header that a write needs if cookies authenticate the session. */
  csrf() {
    const csrf = this.#tokens?.csrf || this.#csrf;
    return this.hasCookies && csrf ? { "X-CSRFToken": csrf } : {};
  }
  /**
   * Removes a session that has ended on the server, and tells the other tabs. It does nothing if this
   * client has removed the session already or has another one.
   */
  async endLocally(reason, of = this.#tokens) {
    if (of && of.session.id !== this.#tokens?.session.id) return;
    if (this.#o.storage) await this.#o.storage.save(null);
    if (of) this.#tabs.tell({ kind: "ended", session: of.session.id, reason });
    this.#tabs.note = null;
    this.#forget(reason);
  }
  #forget(reason) {
    clearTimeout(this.#timer);
    if (this.#tokens) this.#lastSession = this.#tokens.session.id;
    this.#tokens = null;
    this.#csrf = "";
    this.#setState({ status: "signed-out", reason });
  }
  #setState(state) {
    this.#state = state;
    this.#o.changed(state);
  }
  #receive(message) {
    if (message.kind === "ended") {
      const late = !this.#tokens && this.#lastSession === message.session && message.reason === "refresh_reused";
      const unseen = this.#state.status === "unknown" && this.hasCookies;
      if (unseen || this.#tokens?.session.id === message.session || late) this.#forget(message.reason);
    } else if (message.tokens.session.id === this.#tokens?.session.id) {
      if (message.tokens.generation > this.#tokens.generation) this.#adopt(message.tokens);
    } else if (message.tokens.session.id > (this.#tokens?.session.id ?? this.#lastSession)) {
      if (this.hasCookies) this.#adopt(message.tokens);
      else if (this.#state.status === "signed-out") void this.#renewLater();
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }
  /**
   * Reads the storage after a pause, because the data that another tab has saved may become visible
   * later than its message.
   */
  async #renewLater() {
    await pause(times.heard);
    await this.#tabs.runExclusively(() => this.#renew()).catch(() => void 0);
  }
  /**
   * Waits for the message of another tab if the note shows that it has refreshed or ended the
   * session. Reports whether the tokens have changed.
   */
  async #waitForNewer() {
    const seen = this.#tokens;
    const note = this.#tabs.note;
    if (!seen || !this.#tabs.canReceive || note?.session === seen.session.id && note.generation <= seen.generation) return false;
    await Promise.race([new Promise((resolve) => this.#waiting.push(resolve)), pause(times.heard)]);
    return this.#tokens !== seen;
  }
  #adopt(tokens) {
    this.#tokens = tokens;
    this.#csrf = tokens.csrf;
    this.#schedule(tokens.refreshAt - Date.now());
    this.#setState({ status: "signed-in", session: tokens.session, generation: tokens.generation, expiresAt: tokens.expiresAt, refreshAt: tokens.refreshAt });
  }
  /** Schedules the next refresh. It is retried until it succeeds or the session has ended. */
  #schedule(delay) {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const tokens = this.#tokens;
    this.#timer = setTimeout(
      () => {
        this.refresh(tokens).catch(() => {
          if (this.#tokens === tokens) this.#schedule(times.later);
        });
      },
      Math.min(Math.max(delay, 0), longestTimer)
    );
    this.#timer.unref?.();
  }
  /**
   * Stores the tokens of a response. `mayRotate` means that a request that was given up may still
   * rotate them. `stored` is the stored session if the response is that of a refresh.
   */
  async #keep(result, mayRotate, stored) {
    const now = Date.now();
    const tokens = {
      session: result.session,
      generation: result.generation,
      access: result.access_token ?? "",
      csrf: result.csrf_token ?? "",
      expiresAt: now + result.expires_in * 1e3,
      refreshAt: now + result.refresh_in * 1e3
    };
    if (this.#o.storage && result.refresh_token && result.refresh_token !== stored?.refreshToken) {
      const same = stored && this.#tokens?.session.id === tokens.session.id && this.#tokens.generation === tokens.generation;
      const attempt = same && stored.attempt || newAttempt();
      await this.#o.storage.save({ refreshToken: result.refresh_token, attempt });
    }
    const note = this.#tabs.note;
    const isNew = !note || note.session !== tokens.session.id || note.generation < tokens.generation;
    if (isNew) this.#tabs.note = { attempt: newAttempt(), session: tokens.session.id, generation: tokens.generation };
    this.#adopt(tokens);
    if (mayRotate && !isNew) this.#schedule(times.decision);
    this.#tabs.tell({ kind: "tokens", tokens });
  }
  /**
   * Refreshes the tokens, or finds that there is no session. The promise is rejected if the server
   * cannot be reached.
   */
  async #renew() {
    this.#csrf ||= this.#csrfCookie();
    if (this.hasCookies && !this.csrf()["X-CSRFToken"] && !await this.#requestSession()) return;
    if (this.#o.storage && !await this.#loadStored()) {
      if (this.#state.status !== "signed-out") this.#forget(null);
      return;
    }
    const seen = this.#tokens;
    let givenUp = false;
    let sent = null;
    const ask2 = () => this.#withRetries(async () => this.#sendRefresh(sent = await this.#loadWithAttempt()), () => givenUp = true);
    let response = await ask2();
    if (await codeOf(response) === "csrf_failed") {
      if (!await this.#requestSession()) return;
      response = await ask2();
    }
    const result = response.ok ? await response.json() : null;
    const stored = await this.#loadStored();
    if (sent && stored?.refreshToken !== sent.refreshToken && stored?.refreshToken !== result?.refresh_token) {
      return this.#renew();
    }
    if (result) return this.#keep(result, givenUp, stored);
    if (response.status === 401) {
      const code = await codeOf(response);
      return code === "credentials_missing" && !seen ? this.#forget(null) : this.endLocally(code, seen);
    }
    throw new Error(`refresh: status ${response.status} ${await codeOf(response)}`);
  }
  /**
   * Returns the stored session with an attempt. A new attempt is saved before it is sent, because the
   * response may be lost, or the program may crash before it saves the response.
   */
  async #loadWithAttempt() {
    const stored = await this.#loadStored();
    if (!stored || stored.attempt) return stored;
    const sent = { ...stored, attempt: newAttempt() };
    await this.#o.storage?.save(sent);
    return sent;
  }
  /** Returns the attempt for a refresh by cookie. All tabs share it. It is saved before it is sent. */
  #cookieAttempt() {
    const note = this.#tabs.note ?? { attempt: newAttempt(), session: "", generation: -1 };
    this.#tabs.note = note;
    return note.attempt;
  }
  #sendRefresh(sent) {
    return this.#o.fetch(this.#o.url("/accounts/refresh_token"), {
      method: "POST",
      headers: { "Content-Type": "application/json", "Refresh-Attempt": sent?.attempt ?? this.#cookieAttempt(), ...this.csrf() },
      body: JSON.stringify(sent ? { refresh_token: sent.refreshToken } : {}),
      credentials: this.hasCookies ? "include" : "omit",
      signal: AbortSignal.timeout(times.answer)
    });
  }
  /**
   * Returns the CSRF token in the cookie, or "". Scripts on the API's own host can read this cookie
   * after a reload, so they need not request the token.
   */
  #csrfCookie() {
    if (!this.hasCookies || new URL(this.#o.url("/")).hostname !== location.hostname) return "";
    return /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "";
  }
  /**
   * Requests the session of the cookies and its CSRF token. Reports whether there is a session. The
   * response does not say why an earlier session ended.
   */
  async #requestSession() {
    const response = await this.#withRetries(
      () => this.#o.fetch(this.#o.url("/accounts/session"), { credentials: "include", signal: AbortSignal.timeout(times.answer) })
    );
    if (!response.ok) throw new Error(`session: status ${response.status}`);
    const { session: session2, csrf_token: csrf } = await response.json();
    if (!session2) {
      if (this.#tokens) await this.endLocally("session_revoked");
      else this.#forget(null);
      return false;
    }
    this.#csrf = csrf ?? "";
    if (this.#tokens) this.#tokens = { ...this.#tokens, csrf: this.#csrf };
    return true;
  }
  async #loadStored() {
    return await this.#o.storage?.load() ?? null;
  }
  /**
   * Repeats a call until the response is not "unavailable". The server guarantees that retries are
   * harmless.
   */
  async #withRetries(call, gaveUp) {
    const end = Date.now() + times.retry;
    for (let tries = 1; ; tries++) {
      let wait = Math.min(250 * 2 ** tries, 4e3);
      try {
        const response = await call();
        if (!unavailable(response)) return response;
        wait = retryAfter(response);
        if (Date.now() + wait > end) return response;
      } catch (error) {
        gaveUp?.();
        if (Date.now() + wait > end || globalThis.navigator?.onLine === false) throw error;
      }
      await pause(wait);
    }
  }
};
function unavailable(response) {
  return response.status === 502 || response.status === 503 || response.status === 504;
}
function retryAfter(response) {
  return Math.max(Number(response.headers.get("Retry-After")) || 1, 1) * 1e3;
}
async function codeOf(response) {
  if (!response.headers.get("Content-Type")?.startsWith("application/problem+json")) return "";
  return (await response.clone().json()).code;
}
function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// api/typescript/src/index.ts
var ProblemError = class extends Error {
  constructor(problem, response) {
    super(problem.detail ?? `status ${response.status}`);
    this.problem = problem;
    this.response = response;
  }
  problem;
  response;
  name = "ProblemError";
};
var safeMethods = ["GET", "HEAD", "OPTIONS"];
var longestWait = 1e4;
function createAccountsClient(options = {}) {
  const transport = options.transport ?? "hybrid";
  const browser = typeof document !== "undefined";
  if (!browser && transport !== "body") {
    throw new Error(`accounts: the transport ${transport} requires a browser, which stores its cookies. Use the transport "body" here.`);
  }
  const base = (options.baseUrl ?? (browser ? location.origin : "")).replace(/\/+$/, "");
  if (!base) throw new Error("accounts: baseUrl is missing");
  const url = (path2) => base + path2;
  const send = options.fetch ?? ((...request) => globalThis.fetch(...request));
  const listeners2 = /* @__PURE__ */ new Set();
  const session2 = new Session(
    { url, transport, storage: options.storage ?? null, fetch: send, changed: (state) => listeners2.forEach((listener) => listener(state)) },
    { name: `accounts ${base}${transport === "body" ? " body" : ""}`, shared: browser }
    // one name for each cookie jar
  );
  const credentials = session2.hasCookies ? "include" : "omit";
  async function transmit(request) {
    await session2.ensureFresh();
    let renewals = 0;
    for (let tries = 1; ; tries++) {
      const seen = session2.tokens;
      const response = await send(authorize(request.clone()));
      const code = await codeOf(response);
      if (seen && renewals < worthRenewing(response.status, code)) {
        renewals++;
        await session2.refresh(seen);
      } else if (unavailable(response) && safeMethods.includes(request.method) && tries <= 3 && retryAfter(response) <= longestWait) {
        await pause(retryAfter(response));
      } else {
        if (response.status === 401 && (code === "session_expired" || code === "session_revoked")) await session2.endLocally(code, seen);
        else if (endsOwnSession(request, response, seen)) await session2.endLocally("logged_out", seen);
        return response;
      }
    }
  }
  function worthRenewing(status, code) {
    if (code === "csrf_failed") return 1;
    if (status !== 401) return 0;
    if (code === "access_expired") return 3;
    return code === "access_invalid" || code === "credentials_missing" ? 1 : 0;
  }
  function authorize(request) {
    const access = session2.tokens?.access;
    if (access) request.headers.set("Authorization", `Bearer ${access}`);
    if (!safeMethods.includes(request.method)) {
      for (const [name, value] of Object.entries(session2.csrf())) request.headers.set(name, value);
    }
    return request;
  }
  function endsOwnSession(request, response, seen) {
    if (response.status !== 204) return false;
    const { pathname, searchParams } = new URL(request.url);
    if (request.method !== "DELETE") return false;
    if (pathname === "/accounts/profile") return true;
    return pathname === "/accounts/sessions" ? searchParams.get("keep_current") !== "true" : pathname === `/accounts/sessions/${seen?.session.id}`;
  }
  function post(path2, body2) {
    const request = new Request(url(path2), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body2),
      credentials
    });
    return send(authorize(request));
  }
  async function toAnswer(call) {
    const response = await call;
    const content = response.status === 204 ? void 0 : await response.json();
    return response.ok ? { data: content, response } : { error: content, response };
  }
  const api2 = createClient({ baseUrl: base, credentials, fetch: transmit });
  const readPage = api2.GET;
  async function* list(path2, ...[options2]) {
    const { path: segments, query, signal } = options2 ?? {};
    const member = path2.slice(path2.lastIndexOf("/") + 1);
    let cursor2;
    do {
      const params = { path: segments, query: cursor2 ? { ...query, cursor: cursor2 } : query };
      const { data, error, response } = await readPage(path2, { params, signal });
      if (!data) throw new ProblemError(error, response);
      yield* data[member];
      cursor2 = data.next_cursor;
    } while (cursor2);
  }
  const client = {
    api: api2,
    list,
    get state() {
      return session2.state;
    },
    onChange(listener) {
      listeners2.add(listener);
      return () => listeners2.delete(listener);
    },
    async restore() {
      await session2.restore();
      return session2.state;
    },
    login: (body2) => toAnswer(session2.begin(() => post("/accounts/login", { ...body2, token_transport: transport }))),
    verifyEmail: (body2) => toAnswer(session2.begin(() => post("/accounts/email/verify", { ...body2, token_transport: transport }))),
    async changePassword(body2) {
      await session2.ensureFresh();
      return toAnswer(session2.begin(() => post("/accounts/password/change", body2)));
    },
    logout: () => toAnswer(session2.end((stored) => post("/accounts/logout", stored ? { refresh_token: stored.refreshToken } : {}))),
    async refresh() {
      await session2.restore();
      await session2.refresh(session2.tokens);
      return session2.state;
    },
    async accessToken() {
      await session2.ensureFresh();
      return session2.tokens?.access || null;
    },
    close() {
      session2.close();
      listening.abort();
    }
  };
  const listening = new AbortController();
  if (browser) {
    const catchUp = () => void session2.catchUp().catch(() => void 0);
    addEventListener("pageshow", (event) => event.persisted && catchUp(), { signal: listening.signal });
    addEventListener("online", catchUp, { signal: listening.signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && catchUp(), { signal: listening.signal });
  }
  return client;
}

// server/web/parts/reauth.ts
function withReauthentication(client, username) {
  const dialog2 = byId("reauth");
  const form2 = onSubmit("reauth-form", ({ password = "" }) => client().api.POST("/accounts/reauthenticate", { body: { password } }), () => {
    closeDialog(dialog2, true);
  });
  async function showPassword() {
    reset(form2);
    byId("reauth-username").value = username();
    const answer = showDialog(dialog2);
    byId("reauth-password").focus();
    return answer.finally(() => reset(form2));
  }
  let asking = null;
  return async function reauthenticated(call) {
    for (; ; ) {
      const result = await call();
      if (result.error?.code !== "reauth_required") return result;
      asking ??= showPassword().finally(() => asking = null);
      if (!await asking) return null;
    }
  };
}

// server/web/parts/settings.ts
async function readSettings(client) {
  return client.api.GET("/accounts/settings").then(({ data }) => data?.settings ?? null, () => null);
}
function showSettings({ password, recent_authentication_seconds: recent }) {
  for (const place of document.querySelectorAll("[data-min-length]")) place.textContent = String(password.min_length);
  for (const input of document.querySelectorAll("[autocomplete=new-password]")) input.setAttribute("passwordrules", `minlength: ${password.min_length}; allowed: unicode;`);
  for (const place of document.querySelectorAll("[data-recent]")) place.textContent = String(Math.ceil(recent / 60));
}
var languages = new Intl.DisplayNames("en", { type: "language", fallback: "code" });
function languageName(locale) {
  try {
    return languages.of(locale) ?? locale;
  } catch {
    return locale;
  }
}
function offerLanguages(id2, locales2, others = []) {
  const options = locales2.map((locale) => {
    const option = make("option", "", languageName(locale));
    option.value = locale;
    return option;
  });
  byId(id2).replaceChildren(...others, ...options);
}

// server/web/console/src/server.ts
var accounts = createAccountsClient({ transport: "cookies", fetch: fetchOrReport });
var api = accounts.api;
var me = null;
var settings = null;
var self = () => me;
function setSelf(user) {
  me = user;
}
var callWithReauthentication = withReauthentication(() => accounts, () => me?.username ?? "");
async function loadSettings() {
  settings ??= await readSettings(accounts);
  if (settings) showSettings(settings);
}
var locales = () => settings?.locales ?? [];
function restriction(user) {
  return (user.is_staff || user.is_superuser) && !me?.is_superuser ? "staff" : "";
}
function withoutUndefined(from) {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== void 0));
}

// server/web/console/src/rows.ts
var relative = new Intl.RelativeTimeFormat("en-GB", { numeric: "auto" });
var units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
function relativeTime(time) {
  const element = timeElement(time);
  const seconds = (Date.parse(time) - Date.now()) / 1e3;
  const [unit, length] = units.find(([, length2]) => Math.abs(seconds) >= length2) ?? ["second", 0];
  element.title = element.textContent ?? "";
  element.textContent = length ? relative.format(Math.round(seconds / length), unit) : "just now";
  return element;
}
var badge = (text, kind = "") => make("span", kind ? `badge ${kind}` : "badge", text);
function cell(className, ...content) {
  const element = make("td", className, ...content);
  element.setAttribute("role", "cell");
  return element;
}
function row(...cells) {
  const element = make("tr", "", ...cells);
  element.setAttribute("role", "row");
  return element;
}
function link(to, text) {
  const element = make("a", "", text);
  element.href = to;
  return element;
}
var userLink = (id2, text = `#${id2}`) => link(urlOf("user", { id: id2 }), text);
function makeButton(className, text, action) {
  const button = make("button", className, text);
  button.type = "button";
  button.addEventListener("click", () => action(button));
  return button;
}
var fullName = (user) => [user.first_name, user.last_name].filter(Boolean).join(" ");
function roleBadges(user) {
  if (user.is_superuser) return [badge(texts.superuser, "role")];
  return user.is_staff ? [badge(texts.staff, "role")] : [];
}
function asciiDomain(email) {
  if (email === null) return "";
  const domain = email.slice(email.lastIndexOf("@") + 1);
  if (/^[\x20-\x7e]*$/.test(domain)) return "";
  try {
    return new URL(`http://${domain}`).hostname;
  } catch {
    return encodeURIComponent(domain);
  }
}
function userRow(user) {
  const ascii = asciiDomain(user.email);
  const email = make("span", user.email === null ? "email muted" : "email", user.email ?? texts.noAddress, ...ascii ? [" ", make("span", "muted ascii", ascii)] : []);
  const mark = user.email_verified ? make("span", "mark", "✓") : badge(texts.notVerified, "warm");
  if (user.email_verified) {
    mark.title = texts.verified;
    mark.append(make("span", "quiet", ` ${texts.verified}`));
  }
  return row(
    cell("name", userLink(user.id, user.username)),
    cell("address", email, ...user.email === null ? [] : [" ", mark]),
    cell("person", fullName(user)),
    cell("state", badge(user.is_active ? texts.active : texts.deactivated, user.is_active ? "good" : "bad")),
    cell("role", ...roleBadges(user)),
    cell("time login", user.last_login ? relativeTime(user.last_login) : make("span", "muted", texts.never)),
    cell("time joined", relativeTime(user.date_joined))
  );
}
var originText = (event) => event.ip ? `${device(event.user_agent)}, ${event.ip}` : "";
function titleElement(kind) {
  const { text, bad } = eventTitle(kind);
  return make("span", bad ? "what bad" : "what", text);
}
function actorLink(id2, username) {
  return userLink(id2, id2 === self()?.id ? texts.byYou : username ?? void 0);
}
function actorElement(event) {
  if (event.actor === "staff" && event.actor_id !== null) return actorLink(event.actor_id, event.actor_username);
  return make("span", "muted", actorText(event));
}
function actorText({ actor, kind }) {
  const name = actor;
  switch (actor) {
    case "self":
      return eventTitle(kind).bad ? texts.byUnknown : texts.bySelf;
    case "staff":
      return texts.byStaff;
    case "operator":
      return texts.byOperator;
    default:
      return otherwise(actor, nameOf(name));
  }
}
function detailsText({ changes: changes2, detail }) {
  const changed = changes2.map(({ field: field2, before, after }) => `${fieldName(field2)}: ${valueText(before)} → ${valueText(after)}`);
  return [...changed, ...detail ? [detail] : []].join(" · ");
}
function eventRow(event) {
  return row(
    cell("time", relativeTime(event.created_at)),
    cell("what", titleElement(event.kind)),
    cell("id", ...event.user_id === null ? [] : [userLink(event.user_id, event.username ?? void 0)]),
    cell("by", actorElement(event)),
    cell("from", originText(event)),
    cell("detail", detailsText(event))
  );
}
function eventItem(event) {
  const line = [relativeTime(event.created_at)];
  if (event.actor === "staff") line.push(" · ", texts.by, actorElement(event));
  for (const text of [originText(event), detailsText(event)]) if (text) line.push(` · ${text}`);
  return make("li", "", make("div", "", make("p", "row-title", titleElement(event.kind)), make("p", "row-text", ...line)));
}
var lastUse = (hour) => Date.now() - Date.parse(hour) < 36e5 ? [texts.usedNow] : [texts.used, relativeTime(hour)];
function sessionItem(session2, action) {
  const title = make("p", "row-title", device(session2.user_agent), ...session2.current ? [" ", badge(texts.thisOne, "good")] : []);
  const details2 = make("p", "row-text", ...session2.ip ? [session2.ip, " · "] : [], texts.since, timeElement(session2.created_at), ...lastUse(session2.last_used_at));
  return make("li", "", make("div", "", title, details2), ...action ? [action] : []);
}

// server/web/console/src/events.ts
var most = 20;
var menu = byId("events-kinds");
var field = document.querySelector("#events-filters [name=kind]");
var boxes = kinds.map((kind) => {
  const box = make("input", "");
  box.type = "checkbox";
  box.value = kind;
  return box;
});
byId("kinds").append(...boxes.map((box) => make("label", "choice", box, make("span", "", eventTitle(box.value).text))));
function reflectKinds() {
  const chosen = splitValues(urlQuery().get("kind")) ?? [];
  for (const box of boxes) {
    box.checked = chosen.includes(box.value);
    box.disabled = !box.checked && chosen.length >= most;
  }
  byId("kinds-chosen").textContent = texts.kindsChosen(chosen.map((kind) => eventTitle(kind).text));
}
byId("kinds").addEventListener("change", () => {
  field.value = boxes.filter((box) => box.checked).map((box) => box.value).join(",");
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
});
addEventListener("click", (event) => {
  if (!menu.contains(event.target)) menu.open = false;
});
menu.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  menu.open = false;
  menu.querySelector("summary")?.focus();
});
var nothing = { data: { rows: [], next: null }, response: new Response() };
async function idOf(value, signal) {
  const name = (value ?? "").trim();
  if (name === "") return void 0;
  if (/^[1-9]\d{0,14}$/.test(name)) return Number(name);
  let cursor2 = null;
  for (let page = 0; page < 10; page++) {
    const query = { q: name, limit: 100, sort: "username", ...cursor2 ? { cursor: cursor2 } : {} };
    const { data, error, response } = await api.GET("/admin/users", { signal, params: { query } });
    if (!data) return { error, response };
    const found = data.users.find(({ username }) => username.toLowerCase() === name.toLowerCase());
    if (found) return found.id;
    cursor2 = data.next_cursor;
    if (cursor2 === null) break;
  }
  return nothing;
}
function startOf(day, later = 0) {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day ?? "") ?? [];
  if (!year) return void 0;
  return new Date(Number(year), Number(month) - 1, Number(date) + later).toISOString().replace(/\.\d+Z$/, "Z");
}
function eventsList(denied) {
  const read = async (query, signal) => {
    reflectKinds();
    const [user, actor] = await Promise.all([idOf(query.get("user_id"), signal), idOf(query.get("actor_id"), signal)]);
    if (typeof user === "object") return user;
    if (typeof actor === "object") return actor;
    const { data, error, response } = await api.GET("/admin/events", { signal, params: { query: {
      limit: pageSize,
      ...withoutUndefined({
        user_id: user,
        actor_id: actor,
        kind: splitValues(query.get("kind")),
        created_from: startOf(query.get("from")),
        created_before: startOf(query.get("to"), 1),
        cursor: query.get("cursor") || void 0
      })
    } } });
    return data ? { data: { rows: data.events, next: data.next_cursor }, response } : { error, response };
  };
  return makeList({ view: "events", read, row: eventRow, range: texts.eventsRange, nothing: texts.noEvents, denied });
}

// server/web/console/src/actions.ts
var fault2 = byId("user-fault");
async function perform(button, call, done) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  fault2.textContent = "";
  try {
    const result = await call();
    if (result && !result.response.ok) fault2.textContent = explain(result.error, result.response);
    else if (result) await done(result);
  } catch (error) {
    fault2.textContent = connectionFault(error);
  } finally {
    button.removeAttribute("aria-busy");
  }
  if (fault2.textContent) fault2.scrollIntoView({ block: "nearest" });
}

// server/web/parts/lists.ts
async function fillList(list, read, done, again) {
  if (list.children.length === 0) list.replaceChildren(...[1, 2, 3].map(() => make("li", "placeholder")));
  list.setAttribute("aria-busy", "true");
  let fault4 = "";
  try {
    const { data, error, response } = await read();
    if (data) list.replaceChildren(...done(data));
    else fault4 = explain(error, response);
  } catch (error) {
    fault4 = connectionFault(error);
  }
  list.removeAttribute("aria-busy");
  if (!fault4) return;
  const retry = make("button", "small", "Try again");
  retry.type = "button";
  retry.dataset["retry"] = "";
  retry.addEventListener("click", again);
  list.replaceChildren(make("li", "failed", make("p", "", fault4), retry));
}

// server/web/console/src/activity.ts
var sessions = byId("sessions").querySelector("ul");
var events = byId("recent-events").querySelector("ul");
var endAll = byId("end-all");
var newest = 8;
var shown = { id: 0, own: false, readOnly: () => true };
function loadSessions(id2, own, readOnly) {
  shown = { id: id2, own, readOnly };
  return fillList(sessions, () => api.GET("/admin/users/{user_id}/sessions", { params: { path: { user_id: id2 } } }), ({ sessions: all }) => {
    if (id2 !== shown.id) return [...sessions.children];
    const others = all.filter((session2) => !session2.current);
    byId("sessions-title").textContent = all.length ? texts.sessionCount(all.length) : texts.sessions;
    endAll.hidden = others.length === 0;
    endAll.textContent = own ? texts.endOthers : texts.endAll;
    return all.length ? all.map((session2) => sessionItem(session2, session2.current ? null : endButton(session2))) : [make("li", "none", texts.noSessions)];
  }, reloadSessions).then(enableSessions);
}
function enableSessions() {
  for (const button of [endAll, ...sessions.querySelectorAll("button:not([data-retry])")]) button.disabled = shown.readOnly();
}
var reloadSessions = () => void loadSessions(shown.id, shown.own, shown.readOnly);
function endButton(session2) {
  const { id: id2 } = shown;
  const button = makeButton("small", texts.end, () => void perform(button, () => api.DELETE("/admin/users/{user_id}/sessions/{session_id}", { params: { path: { user_id: id2, session_id: session2.id } } }), () => showEnded(texts.sessionEnded)));
  button.append(make("span", "quiet", texts.endOf(device(session2.user_agent))));
  button.disabled = shown.readOnly();
  return button;
}
async function showEnded(text) {
  showMessage(text);
  byId("sessions-title").focus();
  void loadEvents(shown.id);
  await loadSessions(shown.id, shown.own, shown.readOnly);
}
endAll.addEventListener("click", () => void (async () => {
  const { id: id2, own } = shown;
  const username = byId("user-name").textContent ?? "";
  if (!await confirmAction(own ? texts.sureEndOthers : texts.sureEndAll(username))) return;
  await perform(endAll, () => own ? api.DELETE("/accounts/sessions", { params: { query: { keep_current: true } } }) : api.DELETE("/admin/users/{user_id}/sessions", { params: { path: { user_id: id2 } } }), () => showEnded(own ? texts.othersEnded : texts.sessionsEnded));
})());
function loadEvents(id2) {
  byId("all-events").href = urlOf("events", { user_id: id2 });
  return fillList(events, () => api.GET("/admin/events", { params: { query: { user_id: id2, limit: newest } } }), ({ events: all }) => all.length ? all.map(eventItem) : [make("li", "none", texts.noEventsYet)], () => void loadEvents(id2));
}
function forgetActivity() {
  shown = { id: 0, own: false, readOnly: () => true };
  for (const list of [sessions, events]) list.replaceChildren();
  byId("sessions-title").textContent = texts.sessions;
  endAll.hidden = true;
}

// server/web/console/src/user.ts
var body = byId("user-body");
var instead = byId("user-instead");
var fault3 = byId("user-fault");
var names = ["username", "email", "first_name", "last_name", "locale"];
var id = 0;
var shown2 = null;
var selfChanged = () => void 0;
var isOwn = () => id === self()?.id;
var path = () => ({ path: { user_id: id } });
function onSelfChange(listener) {
  selfChanged = listener;
}
async function showUser() {
  const wanted = Number(urlQuery().get("id"));
  if (wanted !== id) clearPage();
  id = wanted;
  if (!Number.isSafeInteger(id) || id < 1) return refuse(texts.gone.title, texts.gone.text, null);
  body.setAttribute("aria-busy", "true");
  loadActivity();
  let problem = "";
  try {
    const { data, error, response } = await api.GET("/admin/users/{user_id}", { params: path() });
    if (id !== wanted) return;
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
var loadActivity = () => {
  void loadSessions(id, isOwn(), () => shown2 === null || restriction(shown2) !== "");
  void loadEvents(id);
};
function refuse(title, text, again) {
  body.hidden = true;
  instead.hidden = false;
  const way = again ? makeButton("small", texts.retry, again) : link(urlOf("users"), texts.gone.action);
  const heading = make("h1", "", title);
  heading.tabIndex = -1;
  instead.replaceChildren(heading, make("p", "lead", text), way);
  if (!document.activeElement || document.activeElement === document.body) heading.focus();
  document.title = texts.title(title);
}
function clearPage() {
  shown2 = null;
  body.hidden = false;
  instead.hidden = true;
  fault3.textContent = "";
  byId("user-name").textContent = "…";
  for (const part2 of ["user-badges", "facts"]) byId(part2).replaceChildren();
  byId("user-notice").hidden = true;
  for (const name of names) control(name).value = "";
  setEnabled(false);
  forgetActivity();
}
function resumeDraft() {
  for (const form2 of ["details", "roles"]) clearFaults(byId(form2));
  fault3.textContent = "";
  if (hasUnsaved()) showMessage(texts.resumed);
}
function forgetUser() {
  clearPage();
  id = 0;
}
function fill(user) {
  if (!shown2) byId("heard").textContent = texts.shown(user.username, user.is_active);
  shown2 = user;
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
  const email = control("email");
  email.readOnly = locked;
  email.required = user.email !== null;
  byId("details-email-hint").textContent = locked ? texts.addressLocked : texts.addressConfirmed;
  byId("roles-hint").textContent = self()?.is_superuser ? "" : texts.onlySuperusers;
  showRoles(user);
  fillDetails();
  setEnabled(!restriction(user));
  enableSessions();
}
function badges(user) {
  const all = [badge(user.is_active ? texts.active : texts.deactivated, user.is_active ? "good" : "bad"), ...roleBadges(user)];
  if (!user.email_verified) all.push(badge(texts.notVerified, "warm"));
  if (!user.has_password) all.push(badge(texts.passwordless, "warm"));
  if (user.throttled) all.push(badge(texts.throttled, "bad"));
  if (isOwn()) all.push(badge(texts.you));
  const name = fullName(user);
  return name ? [make("span", "full", name), ...all] : all;
}
function facts(user) {
  const { facts: facts2 } = texts;
  const yes = (is) => is ? facts2.yes : facts2.no;
  const lines = [
    [facts2.id, String(user.id)],
    [facts2.joined, timeElement(user.date_joined)],
    [facts2.login, user.last_login ? relativeTime(user.last_login) : texts.never],
    [facts2.verified, yes(user.email_verified)],
    ...asciiDomain(user.email) ? [[facts2.domain, asciiDomain(user.email)]] : [],
    [facts2.password, user.has_password ? facts2.set : facts2.unset],
    [facts2.throttled, user.throttled ? facts2.paused : facts2.open]
  ];
  if (user.pending_email !== null) lines.push([facts2.pending, texts.waiting(user.pending_email)]);
  return lines.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", value)));
}
function setEnabled(is) {
  for (const name of ["activity", "send-mail", "unthrottle", "delete"]) byId(name).disabled = !is;
  for (const form2 of ["details", "roles"]) {
    const set = byId(form2).querySelector("fieldset");
    if (set) set.disabled = !is || form2 === "roles" && !self()?.is_superuser;
  }
}
var drafts = /* @__PURE__ */ new Map();
var form = byId("details");
var control = (name) => form.elements.namedItem(name);
var hasUnsaved = () => drafts.size > 0;
var forgetDrafts = () => drafts.clear();
var unsavedUsername = () => drafts.has(id) ? shown2?.username ?? "" : "";
var savedFields = () => Object.fromEntries(names.map((name) => [name, shown2?.[name] ?? ""]));
function changes(typed) {
  const before = savedFields();
  const changed = Object.fromEntries(names.flatMap((name) => typed[name] === before[name] ? [] : [[name, typed[name] ?? ""]]));
  return "locale" in changed ? { ...changed, locale: changed.locale || null } : changed;
}
function fillDetails() {
  const values = { ...savedFields(), ...drafts.get(id) };
  const present = savedFields()["locale"] ?? "";
  const others = [new Option(texts.noLocale, "")];
  if (present && !locales().includes(present)) others.push(new Option(languageName(present), present));
  offerLanguages("details-locale", locales(), others);
  for (const name of names) control(name).value = values[name] ?? "";
  updateDraft();
}
function updateDraft() {
  const before = savedFields();
  const typed = names.map((name) => [name, control(name).value]).filter(([name, value]) => value !== before[name]);
  const changed = typed.length > 0;
  if (changed) drafts.set(id, Object.fromEntries(typed));
  else drafts.delete(id);
  byId("details-undo").hidden = !changed;
  byId("details-hint").hidden = !changed;
  byId("details-hint").textContent = texts.unsaved;
}
var details = onSubmit("details", async (typed) => {
  const changed = changes(typed);
  if (Object.keys(changed).length === 0) {
    showMessage(texts.nothingChanged);
    return null;
  }
  const user = shown2;
  if (user && changed.email && !await confirmAction(texts.sureAddress(user.username, user.email, changed.email))) return null;
  return patch(changed);
}, ({ data }) => {
  if (!data) return;
  const requestedEmail = drafts.get(data.user.id)?.["email"] ?? null;
  drafts.delete(data.user.id);
  showChanged(data.user, requestedEmail === null || requestedEmail === data.user.email ? texts.saved : texts.savedAddress(requestedEmail));
});
async function patch(body2) {
  const params = { ...path(), header: { "If-Match": `"${shown2?.version}"` } };
  const result = await callWithReauthentication(() => api.PATCH("/admin/users/{user_id}", { params, body: body2 }));
  if (result?.error?.code === "precondition_failed") void showUser();
  return result;
}
details.addEventListener("input", () => shown2 && updateDraft());
byId("details-undo").addEventListener("click", () => {
  drafts.delete(id);
  clearFaults(details);
  fillDetails();
  control("username").focus();
});
addEventListener("beforeunload", (event) => hasUnsaved() && event.preventDefault());
function showChanged(user, text) {
  showMessage(text);
  if (user.id !== id) return;
  fill(user);
  loadActivity();
  if (isOwn()) selfChanged();
}
function showRoles(user) {
  for (const role of ["is_staff", "is_superuser"]) byId("roles").querySelector(`[name=${role}]`).checked = user[role];
}
onSubmit("roles", async (ticked) => {
  const user = shown2;
  if (!user) return null;
  const wanted = { is_staff: "is_staff" in ticked, is_superuser: "is_superuser" in ticked };
  if (wanted.is_staff === user.is_staff && wanted.is_superuser === user.is_superuser) {
    showMessage(texts.nothingChanged);
    return null;
  }
  const result = await confirmRoles(user, wanted) ? await patch(wanted) : null;
  if (result === null && user.id === id) showRoles(user);
  return result;
}, ({ data }) => data && showChanged(data.user, texts.rolesSaved));
async function confirmRoles(user, wanted) {
  const loses = user.is_superuser && !wanted.is_superuser || user.is_staff && !wanted.is_staff;
  if (isOwn() && loses && !await confirmAction(texts.selfRoles)) return false;
  return user.is_superuser || !wanted.is_superuser || confirmAction(texts.sureRoles(user.username));
}
var signOutLocally = async () => void await accounts.logout().catch(() => void 0);
function onPress(name, action) {
  const button = byId(name);
  button.addEventListener("click", () => shown2 && void action(button, shown2));
}
onPress("activity", async (button, user) => {
  const off = user.is_active;
  if (off && !await confirmAction({ ...texts.sureDeactivate(user.username), ...isOwn() ? { warning: texts.selfDeactivate } : {} })) return;
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
  byId("activity").focus();
  void showUser();
}));
onPress("delete", async (button, user) => {
  if (!await confirmAction({ ...texts.sureDelete(user.username), typed: user.username, ...isOwn() ? { warning: texts.selfDelete } : {} })) return;
  const mine = isOwn();
  await perform(button, () => callWithReauthentication(() => api.DELETE("/admin/users/{user_id}", { params: path() })), async () => {
    drafts.delete(user.id);
    if (mine) return void await signOutLocally();
    go(urlOf("users"), { replace: true });
    showMessage(texts.deletedNow(user.username));
  });
});

// server/web/console/src/users.ts
var parseFlag = (value) => value === "true" ? true : value === "false" ? false : void 0;
function usersList(denied) {
  const read = async (query, signal) => {
    const { data, error, response } = await api.GET("/admin/users", { signal, params: { query: {
      limit: pageSize,
      sort: query.get("sort") ?? "username",
      ...withoutUndefined({
        q: query.get("q") || void 0,
        cursor: query.get("cursor") || void 0,
        is_active: parseFlag(query.get("is_active")),
        role: splitValues(query.get("role")),
        email_verified: parseFlag(query.get("email_verified"))
      })
    } } });
    return data ? { data: { rows: data.users, next: data.next_cursor }, response } : { error, response };
  };
  return makeList({ view: "users", read, row: userRow, range: texts.usersRange, nothing: texts.noUsers, denied });
}
var search = byId("q");
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
  if (!self() || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  if (currentView() !== "users") go(urlOf("users"));
  search.focus();
  search.select();
});
var isSettled = () => !byId("users-list").hasAttribute("aria-busy") && search.value.trim() === (urlQuery().get("q") ?? "");
byId("users").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  if (event.target instanceof HTMLSelectElement) return;
  const links = [...document.querySelectorAll("#users-list td.name a")];
  const stops = [search, ...links];
  const at = stops.indexOf(document.activeElement);
  const to = stops[at + (event.key === "ArrowDown" ? 1 : -1)];
  if (at < 0 || !to) return;
  event.preventDefault();
  if (isSettled()) to.focus();
});
var dialog = byId("invite-dialog");
byId("invite-open").addEventListener("click", () => {
  byId("invite-roles").hidden = !self()?.is_superuser;
  if (byId("invite-locale").options.length === 0) offerLanguages("invite-locale", locales());
  dialog.showModal();
  byId("invite-email").focus();
});
var invite = onSubmit("invite", ({ email = "", username = "", first_name = "", last_name = "", locale = "", ...roles }) => callWithReauthentication(() => api.POST("/admin/users", { body: {
  email,
  is_staff: "is_staff" in roles,
  is_superuser: "is_superuser" in roles,
  ...withoutUndefined({ username: username || void 0, first_name: first_name || void 0, last_name: last_name || void 0, locale: locale || void 0 })
} })), ({ data }) => {
  reset(invite);
  dialog.close();
  if (!data) return;
  go(urlOf("user", { id: data.user.id }));
  showMessage(texts.invitedNow(data.user.email ?? ""));
});
var forgetInvitation = () => reset(invite);

// server/web/console/src/main.ts
var parts = ["waiting", "unknown", "signin", "forbidden", "users", "user", "events"];
var part = "waiting";
var session = "";
var lastUserID = 0;
var usersUrl = "";
function show(next) {
  const other = next !== part;
  part = next;
  for (const name of parts) byId(name).hidden = name !== next;
  const staff = next === "users" || next === "user" || next === "events";
  byId("nav").hidden = !staff;
  byId("who").hidden = !staff;
  return other;
}
function focusHeading(how = "link") {
  byId(part).querySelector("h1")?.focus({ preventScroll: true });
  if (how === "link") scrollTo(0, 0);
}
function draw(state) {
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
async function enter() {
  const first = part === "waiting" && !self();
  const mine = session;
  let problem = "";
  try {
    const [{ data, error, response }] = await Promise.all([api.GET("/accounts/profile"), loadSettings()]);
    if (mine !== session) return;
    if (data) return adoptUser(data.user, first);
    if (response.status === 401) return;
    problem = explain(error, response);
  } catch (error) {
    problem = connectionFault(error);
  }
  showFailure(problem);
}
function adoptUser(me2, first) {
  if (me2.id !== lastUserID) forget();
  lastUserID = me2.id;
  setSelf(me2);
  byId("ended").hidden = true;
  reset(login);
  if (!first) resumeDraft();
  byId("me").textContent = me2.username;
  byId("me").href = urlOf("user", { id: me2.id });
  if (me2.is_staff || me2.is_superuser) return route(first ? "first" : "link");
  byId("forbidden-text").textContent = texts.forbidden(me2.username);
  document.title = texts.title(texts.notStaff);
  if (show("forbidden") && !first) focusHeading();
}
function showFailure(problem) {
  byId("unknown-text").textContent = problem;
  show("unknown");
}
byId("unknown-retry").addEventListener("click", () => session ? void enter() : begin());
async function reloadSelf() {
  const { data } = await api.GET("/accounts/profile").catch(() => ({ data: void 0 }));
  const me2 = self();
  if (!data || data.user.id !== me2?.id) return;
  if (data.user.username === me2.username && data.user.is_staff === me2.is_staff && data.user.is_superuser === me2.is_superuser) return;
  adoptUser(data.user, false);
}
onSelfChange(() => void reloadSelf());
function leave(state) {
  const words = endNotice(state.reason);
  const begun = part === "waiting";
  closeDialogs();
  setSelf(null);
  for (const list of [users, events2]) list.forget();
  forgetUser();
  for (const part2 of ["me", "heard"]) byId(part2).textContent = "";
  if (state.reason === "logged_out") forget();
  byId("ended").hidden = !words?.alarm;
  byId("ended-title").textContent = words?.title ?? "";
  byId("ended-text").textContent = words?.text ?? "";
  if (words && !words.alarm) showMessage(words.text);
  else hideMessage();
  document.title = texts.title(texts.signIn);
  show("signin");
  if (!begun) focusHeading();
  else if (matchMedia("(pointer: fine)").matches) byId("login-username").focus();
}
function forget() {
  forgetDrafts();
  forgetInvitation();
  usersUrl = "";
}
var login = onSubmit("login", ({ username = "", password = "" }) => accounts.login({ username, password }), () => void 0);
async function logout(button) {
  if (button.getAttribute("aria-busy") === "true" || hasUnsaved() && !await confirmAction(texts.unsavedLogout)) return;
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
  const button = byId(name);
  button.addEventListener("click", () => void logout(button));
}
var users = usersList(() => void reloadSelf());
var events2 = eventsList(() => void reloadSelf());
var seenPart = "";
function route(how) {
  const me2 = self();
  if (!me2 || !me2.is_staff && !me2.is_superuser) return;
  const next = currentView();
  const waits = part === "user" ? unsavedUsername() : "";
  const now = next === "user" ? `user ${urlQuery().get("id")}` : next;
  const other = show(next) || now !== seenPart;
  if (waits && other) showMessage(texts.kept(waits));
  seenPart = now;
  for (const link2 of document.querySelectorAll("#nav a")) {
    if (link2.dataset["view"] === next) link2.setAttribute("aria-current", "page");
    else if (link2.dataset["view"] === "users" && next === "user") link2.setAttribute("aria-current", "true");
    else link2.removeAttribute("aria-current");
  }
  if (next === "users") usersUrl = location.search;
  byId("user-back").href = usersUrl || urlOf("users");
  if (next === "user") void showUser();
  else {
    document.title = texts.title(next === "users" ? texts.users : texts.events);
    (next === "users" ? users : events2).show();
  }
  if (other && how !== "first") focusHeading(how);
}
onMove(route);
function begin() {
  accounts.restore().then(draw, (error) => showFailure(connectionFault(error)));
}
accounts.onChange(draw);
begin();
