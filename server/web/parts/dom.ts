// Helpers for the document that every part of a page uses.

/** Returns the element with an id, which must be in index.html. */
export function byId<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return found as Kind;
}

/** Creates an element. Strings become text, so nothing from the server or a user becomes markup. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name, className: string, ...content: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

let hideToast: ReturnType<typeof setTimeout> | undefined;

/** Shows a message for a time that depends on its length. Screen readers announce it too. */
export function showMessage(text: string): void {
  byId("toast").textContent = text;
  clearTimeout(hideToast);
  hideToast = setTimeout(hideMessage, 2_500 + 50 * text.length);
}

/** Hides the message. */
export function hideMessage(): void {
  byId("toast").textContent = "";
}

const dates = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** Returns an element that shows a time of the server in this machine's time zone. */
export function timeElement(time: string): HTMLTimeElement {
  const element = make("time", "", dates.format(new Date(time)));
  element.dateTime = time;
  return element;
}
