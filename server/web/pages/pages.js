// The pages that the links in mails open. Each page removes the token from the address, explains
// the action, and performs it with one POST only when the user confirms. Mail scanners that open
// every link change nothing.
import { texts } from "./texts.js";

const flows = {
  "verify": {
    form: "verify",
    missing: ["verify.missing.title", "verify.missing"],
    stale: ["stale.title", "verify.stale"],
    confirm: verify,
    request: "email/resend",
  },
  "reset": {
    form: "reset",
    missing: ["reset.forgotten.title", "reset.forgotten"],
    stale: ["stale.title", "reset.stale"],
    confirm: reset,
    request: "password/reset",
  },
  "email-change": {
    form: "change",
    missing: ["change.missing.title", "change.missing"],
    stale: ["stale.title", "change.stale"],
    confirm: change,
  },
};

const flow = flows[document.body.dataset.page];
const status = document.getElementById("status");

// ---------------------------------------------------------------- the token

// The token stays in this variable and is sent only in the body of a POST.
let token = "";

// takeToken reads #token=… and removes it from the address bar first, so that the token is not in a
// bookmark, a shared address or the history. A fragment is not part of any request or Referer.
function takeToken() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
  token = (fragment.get("token") ?? "").trim();
  return fragment.get("lang") ?? ""; // a mail may name its language
}

// ---------------------------------------------------------------- words

let language = "en";
const said = new Map(); // element → its text, to translate it when the language changes

function word(key, values) {
  const text = texts[language][key];
  return typeof text === "function" ? text(values) : text;
}

function say(element, key, values) {
  if (key === "") {
    said.delete(element);
    element.textContent = "";
    return;
  }
  said.set(element, [key, values]);
  element.textContent = word(key, values);
}

function speak(wanted) {
  language = wanted;
  document.documentElement.lang = language;
  for (const [element, [key, values]] of said) element.textContent = word(key, values);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  for (const button of document.querySelectorAll(".peek")) namePeek(button);
  entitle();
}

// preferred returns the first language of the reader that has texts.
function preferred(first) {
  const wanted = [first, ...(navigator.languages ?? [])].map((tag) => tag.toLowerCase().split("-")[0]);
  return wanted.find((tag) => Object.hasOwn(texts, tag)) ?? "en";
}

// ---------------------------------------------------------------- views

function view(name) {
  return document.querySelector(`[data-view="${name}"]`);
}

// show switches to another view. Its heading gets the focus, so that a screen reader announces it
// and the next Tab continues there.
function show(name, { heading, lead, values, focus = true } = {}) {
  for (const section of document.querySelectorAll("[data-view]")) section.hidden = section.dataset.view !== name;
  const section = view(name);
  if (heading) say(section.querySelector("h1"), heading, values);
  if (lead) say(section.querySelector(".lead"), lead, values);
  entitle();
  if (focus) section.querySelector("h1").focus();
}

function entitle() {
  const heading = document.querySelector("[data-view]:not([hidden]) h1");
  if (heading) document.title = `${heading.textContent} – accounts`;
}

// ---------------------------------------------------------------- forms

function refuse(input, key, values) {
  say(document.getElementById(`${input.id}-fault`), key, values);
  input.setAttribute("aria-invalid", "true");
}

function refuseForm(form, key, values) {
  say(form.querySelector("[role=alert]"), key, values);
}

function clear(form) {
  for (const element of form.querySelectorAll(".fault")) say(element, "");
  for (const input of form.querySelectorAll("input")) input.removeAttribute("aria-invalid");
}

function empty(form) {
  form.reset();
  clear(form);
  conceal(form);
}

// The browser's own messages use the browser's language and disappear. These stay until the next
// try.
function complete(form) {
  for (const input of form.elements) {
    if (!(input instanceof HTMLInputElement)) continue;
    if (input.validity.valueMissing) refuse(input, `fault.${input.name}`);
    else if (!input.validity.valid) refuse(input, "fault.email_invalid");
    else if (input.name === "repeat" && input.value !== form.elements.new_password.value) refuse(input, "fault.mismatch");
  }
  return focusFault(form);
}

// focusFault moves the focus to the first invalid field. It reports whether there is none.
function focusFault(form) {
  const first = form.querySelector("[aria-invalid]");
  first?.focus();
  return first === null;
}

function onSubmit(form, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    clear(form);
    if (!complete(form)) return;
    conceal(form); // a browser remembers the content of fields of type text
    form.setAttribute("aria-busy", "true"); // not disabled, which would lose the focus
    say(status, "busy");
    await act(form, Object.fromEntries(new FormData(form)));
    form.removeAttribute("aria-busy");
    say(status, "");
  });
}

// ---------------------------------------------------------------- show and hide

function conceal(form) {
  for (const button of form.querySelectorAll(".peek")) peek(button, false);
}

function peek(button, open) {
  for (const input of button.form.querySelectorAll("[autocomplete$=password]")) input.type = open ? "text" : "password";
  say(button, open ? "hide" : "show");
  namePeek(button);
}

function namePeek(button) {
  button.setAttribute("aria-label", word(`${said.get(button)[0]}.label`));
}

// ---------------------------------------------------------------- requests

async function post(path, body) {
  try {
    const response = await fetch(`../accounts/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Accept-Language": language }, // also the language of the mail
      body: JSON.stringify(body),
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(30_000),
    });
    const answer = await response.json().catch(() => ({})); // a 204 has no body
    return { status: response.status, done: response.ok, answer, wait: Number.parseInt(response.headers.get("Retry-After"), 10) };
  } catch {
    return { status: 0, done: false, answer: {} };
  }
}

// The codes of problems that this page or the server has caused. Their details are for developers.
const ours = ["request_malformed", "method_not_allowed", "resource_not_found", "body_too_large", "media_type_unsupported", "validation_failed",
  "csrf_failed", "transport_unusable", "server_failed"];

// explain shows a problem without a field. For an unknown code of a newer server, it shows the
// problem's detail.
function explain(form, { status, answer, wait }) {
  if (status === 0) return refuseForm(form, "fault.network");
  if (status === 429) return refuseForm(form, "fault.limited", { wait });
  if (status === 503) return refuseForm(form, "fault.unavailable", { wait });
  if (answer.code && answer.detail && !ours.includes(answer.code)) return refuseForm(form, "fault.unknown", { detail: answer.detail });
  return refuseForm(form, "fault.other", { title: answer.title ?? `HTTP ${status}`, id: answer.request_id });
}

// stale reports whether the token is unknown, used, expired or malformed.
function stale({ answer }) {
  return answer.code === "link_invalid" || fieldError({ answer }, "token") !== undefined;
}

// fieldError returns the error of a field in a response, with its code and the violated bound.
function fieldError({ answer }, name) {
  return answer.errors?.find((error) => error.pointer === `/${name}`);
}

// refuseField shows the error of a field. For an unknown code of a newer server, it shows the
// error's detail.
function refuseField(input, error, known) {
  if (Object.hasOwn(known, error.code)) refuse(input, known[error.code], error);
  else refuse(input, "fault.unknown", error);
  focusFault(input.form);
}

function done(form, values) {
  token = "";
  empty(form);
  show("done", { lead: values && `${flow.form}.done`, values });
}

// refused handles the errors that all pages share: invalid links, and problems without a field.
function refused(form, result) {
  if (!stale(result)) return explain(form, result);
  token = "";
  empty(form);
  const [heading, lead] = flow.stale;
  show("request", { heading, lead });
}

// ---------------------------------------------------------------- the three flows

// The response is that of a login. With "cookies", the tokens are stored where this script cannot
// read them, and the user is signed in in this browser. A transport with tokens in the body would
// leave a session that no client uses.
async function verify(form, { password }) {
  const result = await post("email/verify", { token, password, token_transport: "cookies" });
  if (result.done) return done(form, { username: result.answer.user.username });
  const error = fieldError(result, "password");
  if (error === undefined) return refused(form, result);
  refuseField(form.elements.password, error, { password_wrong: "fault.password_wrong", too_long: "fault.password_wrong" });
  form.elements.password.select();
}

// The texts for the field codes of a new password.
const passwordFaults = {
  too_short: "fault.too_short", too_long: "fault.too_long", password_common: "fault.password_common",
  password_breached: "fault.password_breached", format_invalid: "fault.invalid", value_invalid: "fault.invalid",
};

async function reset(form, { new_password }) {
  const result = await post("password/reset/confirm", { token, new_password });
  if (result.done) return done(form);
  const error = fieldError(result, "new_password");
  if (error === undefined) return refused(form, result);
  refuseField(form.elements.new_password, error, passwordFaults);
}

// The password is required, so that the owner of an address cannot be tricked into verifying it for
// another account with one click.
async function change(form, { password }) {
  const result = await post("email/change/confirm", password === "" ? { token } : { token, password });
  if (result.done) return done(form);
  const error = fieldError(result, "password");
  if (error === undefined) return refused(form, result);
  refuseField(form.elements.password, error, {
    password_wrong: "fault.password_not_yours", too_long: "fault.password_not_yours", required: "fault.password_needed",
  });
  form.elements.password.select();
}

async function request(form, { email }) {
  const result = await post(flow.request, { email });
  if (result.done) {
    empty(form);
    return show("sent", { lead: `${flow.form}.sent`, values: { email } });
  }
  const error = fieldError(result, "email");
  if (error === undefined) return explain(form, result);
  refuseField(form.elements.email, error, {
    required: "fault.email", format_invalid: "fault.email_invalid", too_short: "fault.email_invalid", too_long: "fault.email_invalid",
  });
}

// ---------------------------------------------------------------- the settings

// hint shows the minimum length of a password once the settings are known, and tells it to password
// managers, which propose one. Without the settings, the server's error states it.
async function hint() {
  const place = document.querySelector('[data-text="reset.hint"]');
  if (place === null) return;
  say(place, "reset.hint", { minimum: "…" }); // as wide as the number, so that nothing moves
  const response = await fetch("../accounts/settings", { redirect: "error", signal: AbortSignal.timeout(30_000) }).catch(() => null);
  const answer = response?.ok ? await response.json().catch(() => ({})) : {};
  const minimum = answer.settings?.password?.min_length;
  say(place, "reset.hint", { minimum });
  if (!(minimum > 0)) return;
  for (const input of document.querySelectorAll("[autocomplete=new-password]")) input.setAttribute("passwordrules", `minlength: ${minimum}; allowed: unicode;`);
}

// offerHome shows the way on, on cards that end a flow, if the operator has configured one.
async function offerHome() {
  const response = await fetch("home", { redirect: "error", signal: AbortSignal.timeout(30_000) }).catch(() => null);
  const { home } = response?.ok ? await response.json().catch(() => ({})) : {};
  if (typeof home !== "string") return;
  for (const link of document.querySelectorAll("[data-home]")) {
    link.href = home;
    link.hidden = false;
  }
}

// ---------------------------------------------------------------- the start

function begin(focus) {
  const lang = takeToken();
  for (const form of document.forms) empty(form);
  speak(preferred(lang));
  if (token !== "") return show("link", { focus });
  const [heading, lead] = flow.missing;
  show("request", { heading, lead, focus });
}

for (const element of document.querySelectorAll("[data-text]")) {
  if (typeof texts.en[element.dataset.text] === "string") said.set(element, [element.dataset.text]); // the others need values
}
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => speak(button.dataset.language));
}
for (const button of document.querySelectorAll(".peek")) {
  button.addEventListener("click", () => peek(button, said.get(button)[0] === "show"));
}
for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => show(button.dataset.show));
}
for (const form of document.forms) onSubmit(form, form.id === "request" ? request : flow.confirm);

// If the same link is opened again in this tab, only the fragment changes, and the browser does not
// reload the page.
window.addEventListener("hashchange", () => { if (location.hash !== "") begin(true); });
begin(false);
hint();
offerHome();
