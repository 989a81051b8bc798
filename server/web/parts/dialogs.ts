// Dialogs that ask the user to confirm. Each is a <dialog>: the browser keeps the focus inside and
// restores it afterward, and Escape cancels.
import { byId } from "./dom.js";

const resolvers = new Map<HTMLDialogElement, (yes: boolean) => void>();

/**
 * Shows a dialog. The promise is the user's answer: true for yes, false if the dialog was canceled
 * or closed.
 */
export function showDialog(dialog: HTMLDialogElement): Promise<boolean> {
  closeDialog(dialog, false); // cancels an earlier question, whose close event may come late
  return new Promise((done) => {
    resolvers.set(dialog, done);
    dialog.showModal();
  });
}

/** Closes a dialog with an answer. */
export function closeDialog(dialog: HTMLDialogElement, yes: boolean): void {
  const done = resolvers.get(dialog);
  resolvers.delete(dialog);
  dialog.close();
  done?.(yes);
}

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => dialog.open || closeDialog(dialog, false)); // if the dialog is open, the event belongs to an earlier question
  for (const button of dialog.querySelectorAll("[data-cancel]")) button.addEventListener("click", () => closeDialog(dialog, false));
}

/**
 * Closes all dialogs and clears their texts, which may name a user. Call it at the end of a
 * session.
 */
export function closeDialogs(): void {
  for (const dialog of document.querySelectorAll("dialog")) closeDialog(dialog, false);
  for (const part of ["ask-title", "ask-text", "ask-warning", "ask-label"]) byId(part).textContent = "";
}

export interface Question {
  title: string;
  text: string;
  yes: string;
  /** A warning about the consequences. */
  warning?: string;
  /** The text that the user must type to confirm, for actions that cannot be undone. */
  typed?: string;
}

const ask = byId<HTMLDialogElement>("ask");
const askForm = byId<HTMLFormElement>("ask-form");
const typedInput = byId<HTMLInputElement>("ask-input");
const fault = byId("ask-input-fault");
let expectedText = "";

/**
 * Asks the user to confirm an action. The focus is on Cancel or on the input, never on the button
 * that confirms.
 */
export async function confirmAction(question: Question): Promise<boolean> {
  byId("ask-title").textContent = question.title;
  byId("ask-text").textContent = question.text;
  byId("ask-warning").textContent = question.warning ?? "";
  byId("ask-warning").hidden = !question.warning;
  expectedText = question.typed ?? "";
  byId("ask-typed").hidden = !expectedText;
  byId("ask-label").textContent = `Type ${expectedText} to confirm.`;
  showFault("");
  askForm.reset();
  byId("ask-yes").textContent = question.yes;
  const answer = showDialog(ask);
  (expectedText ? typedInput : ask.querySelector<HTMLElement>("[data-cancel]"))?.focus();
  return answer;
}

function showFault(text: string): void {
  fault.textContent = text;
  if (text) typedInput.setAttribute("aria-invalid", "true");
  else typedInput.removeAttribute("aria-invalid");
}

askForm.addEventListener("submit", (event) => {
  event.preventDefault();
  if (expectedText && typedInput.value.trim() !== expectedText) {
    showFault(`This does not match ${expectedText}.`);
    typedInput.focus();
    return;
  }
  closeDialog(ask, true);
});
