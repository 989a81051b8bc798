// Questions. Each is a <dialog>: the browser keeps the focus in it and brings it back afterwards, and Escape is a no.
import { byId } from "../../parts/dom.js";
import { texts } from "./words.js";

/** Shows a dialog; the promise waits until it is closed. */
export function shown(dialog: HTMLDialogElement): Promise<void> {
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(), { once: true });
    dialog.showModal();
  });
}

for (const button of document.querySelectorAll("[data-cancel]")) {
  button.addEventListener("click", () => button.closest("dialog")?.close());
}

/** Closes what is asked: the session has ended, or the page has moved on. */
export function closeDialogs(): void {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

export interface Question {
  title: string;
  text: string;
  yes: string;
  /** What the one who asks should think of twice. */
  warning?: string;
  /** It cannot be taken back: this has to be typed first. */
  typed?: string;
  harmless?: boolean;
}

const ask = byId<HTMLDialogElement>("ask");
const askForm = byId<HTMLFormElement>("ask-form");
const typed = byId<HTMLInputElement>("ask-input");
const fault = byId("ask-input-fault");
let wanted = "";
let agreed = false;

/** Asks before something is done. The focus is on the way out, never on what does it. */
export async function sure(question: Question): Promise<boolean> {
  byId("ask-title").textContent = question.title;
  byId("ask-text").textContent = question.text;
  byId("ask-warning").textContent = question.warning ?? "";
  byId("ask-warning").hidden = !question.warning;
  wanted = question.typed ?? "";
  byId("ask-typed").hidden = !wanted;
  byId("ask-label").textContent = texts.typeThis(wanted);
  blame("");
  askForm.reset();
  const yes = byId("ask-yes");
  yes.textContent = question.yes;
  yes.classList.toggle("danger", !question.harmless);
  agreed = false;
  const answer = shown(ask);
  (wanted ? typed : ask.querySelector<HTMLElement>("[data-cancel]"))?.focus();
  await answer;
  return agreed;
}

function blame(text: string): void {
  fault.textContent = text;
  if (text) typed.setAttribute("aria-invalid", "true");
  else typed.removeAttribute("aria-invalid");
}

askForm.addEventListener("submit", (event) => {
  event.preventDefault();
  if (wanted && typed.value.trim() !== wanted) {
    blame(texts.typeThis(wanted));
    typed.focus();
    return;
  }
  agreed = true;
  ask.close();
});
