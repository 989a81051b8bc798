// The few things that every part of a page does to the document.

/** The element with an id of index.html, which has it. */
export function byId<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return found as Kind;
}

/** Makes an element. Text goes in as text: nothing that the server or a person wrote becomes markup. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name, className: string, ...content: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

let hideToast: ReturnType<typeof setTimeout> | undefined;

/** Says in a few words that something is done, for as long as it takes to read; it is read out as well. */
export function say(text: string): void {
  byId("toast").textContent = text;
  clearTimeout(hideToast);
  hideToast = setTimeout(unsay, 2_500 + 50 * text.length);
}

/** Takes back what was said: it is over. */
export function unsay(): void {
  byId("toast").textContent = "";
}

const dates = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** A time of the server's for people, in this machine's zone. */
export function when(time: string): HTMLTimeElement {
  const element = make("time", "", dates.format(new Date(time)));
  element.dateTime = time;
  return element;
}
