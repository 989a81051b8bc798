// Forms: one request at a time, and what is wrong is said at the field that it is about.
import { byId } from "./dom.js";
import { explain, explainField, type Problem } from "./words.js";

type Fields = Record<string, string>;
/** What a call of the client comes to. */
export type Outcome = { error?: Problem; response: Response };
type Control = HTMLInputElement | HTMLSelectElement;

/** Sends a form by `act`. What the server refuses is shown in it; what it accepts goes to `done`. Null is a change of mind. */
export function onSubmit<Result extends Outcome>(
  id: string, act: (fields: Fields) => Promise<Result | null>, done: (result: Result & { error?: never }, fields: Fields) => void,
): HTMLFormElement {
  const form = byId<HTMLFormElement>(id);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    clear(form);
    if (!complete(form)) return;
    conceal(form);
    form.setAttribute("aria-busy", "true"); // not disabled: that would lose the focus
    const fields = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    act(fields)
      .then((result) => result && (result.error ? refuse(form, result.error, result.response) : done(result as Result & { error?: never }, fields)))
      .catch((error: unknown) => refuseForm(form, lost(error)))
      .finally(() => form.removeAttribute("aria-busy"));
  });
  for (const button of form.querySelectorAll<HTMLButtonElement>(".peek")) {
    peek(button, false);
    button.addEventListener("click", () => peek(button, button.getAttribute("aria-pressed") !== "true"));
  }
  return form;
}

/** What a rejected promise of the client means: no answer. Anything else is a fault of this page. */
export function lost(error: unknown): string {
  if (!(error instanceof TypeError || error instanceof DOMException)) console.error(error);
  return "The server cannot be reached. Is it running? Nothing is lost: try again.";
}

/** Empties a form of what was typed and what was said. */
export function reset(form: HTMLFormElement): void {
  form.reset();
  clear(form);
  conceal(form);
}

function clear(form: HTMLFormElement): void {
  for (const fault of form.querySelectorAll(".fault")) fault.textContent = "";
  for (const input of form.querySelectorAll<Control>("input, select")) input.removeAttribute("aria-invalid");
}

// The browser's own bubbles vanish; these stay until the next try.
function complete(form: HTMLFormElement): boolean {
  for (const input of form.querySelectorAll("input")) {
    if (input.validity.valueMissing) blame(input, "This is needed.");
    else if (!input.validity.valid) blame(input, "This does not look like an e-mail address.");
  }
  return focusFault(form);
}

/** Shows a problem: at the fields it names, else above them. */
function refuse(form: HTMLFormElement, problem: Problem, response: Response): void {
  let named = false;
  for (const error of problem.errors ?? []) {
    const control = form.elements.namedItem((error.pointer ?? "").slice(1));
    if (!(control instanceof HTMLInputElement || control instanceof HTMLSelectElement)) continue;
    // For a value that is taken, the sentence of the problem is more specific.
    blame(control, error.code === "taken" ? explain(problem) : explainField(error));
    named = true;
  }
  if (named) focusFault(form);
  else refuseForm(form, explain(problem, response));
}

function refuseForm(form: HTMLFormElement, text: string): void {
  const box = form.querySelector("[role=alert]");
  if (box) box.textContent = text;
}

function blame(input: Control, text: string): void {
  byId(`${input.id}-fault`).textContent = text;
  input.setAttribute("aria-invalid", "true");
}

function focusFault(form: HTMLFormElement): boolean {
  const first = form.querySelector<Control>("[aria-invalid]");
  first?.focus();
  return first === null;
}

// A browser remembers what stood in a field of type text, so passwords are hidden before they are sent.
function conceal(form: HTMLFormElement): void {
  for (const button of form.querySelectorAll<HTMLButtonElement>(".peek")) peek(button, false);
}

function peek(button: HTMLButtonElement, open: boolean): void {
  for (const input of button.form?.querySelectorAll<HTMLInputElement>("[autocomplete$=password]") ?? []) input.type = open ? "text" : "password";
  button.textContent = open ? "Hide" : "Show";
  button.setAttribute("aria-pressed", String(open));
  button.setAttribute("aria-label", "Show the password");
}
