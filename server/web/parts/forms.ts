// Forms: one request at a time, with each error shown at its field.
import { byId } from "./dom.js";
import { problemMessages } from "./messages.js";
import { isLost } from "./network.js";
import { explain, explainField, type Problem } from "./words.js";

type Fields = Record<string, string>;
/** The result of a call of the client. */
export type Outcome = { error?: Problem; response: Response };
type Control = HTMLInputElement | HTMLSelectElement;

/**
 * Sends a form with `submit`. If the server rejects it, the form shows the problem. Otherwise `done`
 * gets the result. `submit` returns null if the user canceled.
 */
export function onSubmit<Result extends Outcome>(
  id: string, submit: (fields: Fields) => Promise<Result | null>, done: (result: Result & { error?: never }, fields: Fields) => void,
): HTMLFormElement {
  const form = byId<HTMLFormElement>(id);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    clearFaults(form);
    if (!validate(form)) return;
    hidePasswords(form);
    form.setAttribute("aria-busy", "true"); // not disabled, which would lose the focus
    const fields = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    submit(fields)
      .then((result) => result && (!result.response.ok ? showProblem(form, result.error, result.response) : done(result as Result & { error?: never }, fields)))
      .catch((error: unknown) => showFormFault(form, connectionFault(error)))
      .finally(() => form.removeAttribute("aria-busy"));
  });
  for (const button of form.querySelectorAll<HTMLButtonElement>(".peek")) {
    setPasswordsVisible(button, false);
    button.addEventListener("click", () => setPasswordsVisible(button, button.getAttribute("aria-pressed") !== "true"));
  }
  return form;
}

/**
 * Returns the message for a rejected promise of the client: there was no response, or the page could
 * not use it. The second is a bug of this page or of a proxy, and is logged to the browser's console.
 */
export function connectionFault(error: unknown): string {
  if (isLost(error)) return "The server cannot be reached. Check your connection and try again.";
  console.error(error);
  return problemMessages.request_malformed;
}

/** Clears the input and the messages of a form. */
export function reset(form: HTMLFormElement): void {
  form.reset();
  clearFaults(form);
  hidePasswords(form);
}

/** Clears the messages of a form. The input stays. */
export function clearFaults(form: HTMLFormElement): void {
  for (const fault of form.querySelectorAll(".fault")) fault.textContent = "";
  for (const input of form.querySelectorAll<Control>("input, select")) input.removeAttribute("aria-invalid");
}

// The browser's own messages disappear. These stay until the next try.
function validate(form: HTMLFormElement): boolean {
  for (const input of form.querySelectorAll("input")) {
    if (input.validity.valueMissing) showFault(input, "This field is required.");
    else if (!input.validity.valid) showFault(input, "Enter a valid email address.");
  }
  return focusFault(form);
}

/** Shows a problem at the fields that it names, or else above the form. */
function showProblem(form: HTMLFormElement, problem: Problem | undefined, response: Response): void {
  let named = false;
  for (const error of problem?.errors ?? []) {
    const control = form.elements.namedItem((error.pointer ?? "").slice(1));
    if (!(control instanceof HTMLInputElement || control instanceof HTMLSelectElement)) continue;
    // For a value that is taken, the sentence of the problem is more specific.
    showFault(control, error.code === "taken" ? explain(problem, response) : explainField(error));
    named = true;
  }
  if (named) focusFault(form);
  else showFormFault(form, explain(problem, response));
}

function showFormFault(form: HTMLFormElement, text: string): void {
  const box = form.querySelector("[role=alert]");
  if (box) box.textContent = text;
}

function showFault(input: Control, text: string): void {
  byId(`${input.id}-fault`).textContent = text;
  input.setAttribute("aria-invalid", "true");
}

function focusFault(form: HTMLFormElement): boolean {
  const first = form.querySelector<Control>("[aria-invalid]");
  first?.focus();
  return first === null;
}

// A browser remembers the content of fields of type text, so passwords are hidden before they are
// sent.
function hidePasswords(form: HTMLFormElement): void {
  for (const button of form.querySelectorAll<HTMLButtonElement>(".peek")) setPasswordsVisible(button, false);
}

function setPasswordsVisible(button: HTMLButtonElement, open: boolean): void {
  for (const input of button.form?.querySelectorAll<HTMLInputElement>("[autocomplete$=password]") ?? []) input.type = open ? "text" : "password";
  button.textContent = open ? "Hide" : "Show";
  button.setAttribute("aria-pressed", String(open));
  button.setAttribute("aria-label", "Show password");
}
