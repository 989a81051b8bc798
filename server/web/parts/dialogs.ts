// Dialogs that ask the user to confirm. Each is a <dialog>: the browser keeps the focus inside and
// restores it afterward, and Escape cancels.
import { byId } from "./dom.js";

const waiting = new Map<HTMLDialogElement, (yes: boolean) => void>();

/**
 * Shows a dialog. The promise is the user's answer: true for yes, false if the dialog was canceled
 * or closed.
 */
export function shown(dialog: HTMLDialogElement): Promise<boolean> {
  leave(dialog, false); // cancels an earlier question, whose close event may come late
  return new Promise((done) => {
    waiting.set(dialog, done);
    dialog.showModal();
  });
}

/** Closes a dialog with an answer. */
export function leave(dialog: HTMLDialogElement, yes: boolean): void {
  const done = waiting.get(dialog);
  waiting.delete(dialog);
  dialog.close();
  done?.(yes);
}

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => dialog.open || leave(dialog, false)); // if it is open, this event belongs to an earlier question
  for (const button of dialog.querySelectorAll("[data-cancel]")) button.addEventListener("click", () => leave(dialog, false));
}

/**
 * Closes all dialogs and clears their texts, which may name a user. Call it at the end of a
 * session.
 */
export function closeDialogs(): void {
  for (const dialog of document.querySelectorAll("dialog")) leave(dialog, false);
  for (const part of ["ask-title", "ask-text", "ask-warning", "ask-label"]) byId(part).textContent = "";
}

export interface Question {
  title: string;
  text: string;
  yes: string;
  /** A warning about the consequences. */
  warning?: string;
  /** The text that the user has to type first, for actions that cannot be undone. */
  typed?: string;
}

const ask = byId<HTMLDialogElement>("ask");
const askForm = byId<HTMLFormElement>("ask-form");
const typed = byId<HTMLInputElement>("ask-input");
const fault = byId("ask-input-fault");
let wanted = "";

/**
 * Asks the user to confirm an action. The focus is on Cancel or on the input, never on the button
 * that confirms.
 */
export async function sure(question: Question): Promise<boolean> {
  byId("ask-title").textContent = question.title;
  byId("ask-text").textContent = question.text;
  byId("ask-warning").textContent = question.warning ?? "";
  byId("ask-warning").hidden = !question.warning;
  wanted = question.typed ?? "";
  byId("ask-typed").hidden = !wanted;
  byId("ask-label").textContent = `Type ${wanted} to confirm.`;
  blame("");
  askForm.reset();
  byId("ask-yes").textContent = question.yes;
  const answer = shown(ask);
  (wanted ? typed : ask.querySelector<HTMLElement>("[data-cancel]"))?.focus();
  return answer;
}

function blame(text: string): void {
  fault.textContent = text;
  if (text) typed.setAttribute("aria-invalid", "true");
  else typed.removeAttribute("aria-invalid");
}

askForm.addEventListener("submit", (event) => {
  event.preventDefault();
  if (wanted && typed.value.trim() !== wanted) {
    blame(`This does not match ${wanted}.`);
    typed.focus();
    return;
  }
  leave(ask, true);
});
