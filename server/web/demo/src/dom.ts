// The few things that every part of the page does to the document.

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

/** Turns the buttons of a [data-tabs] into a choice of its [data-panel]s. The answer chooses one. */
export function tabs(name: string, chosen: (tab: string) => void = () => undefined): (tab: string) => void {
  const nav = document.querySelector(`[data-tabs="${name}"]`);
  const buttons = [...(nav?.querySelectorAll<HTMLElement>("[data-tab]") ?? [])];
  const panels = [...(nav?.parentElement?.querySelectorAll<HTMLElement>("[data-panel]") ?? [])];
  const choose = (tab: string) => {
    for (const button of buttons) {
      if (button.dataset["tab"] === tab) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    for (const panel of panels) panel.hidden = panel.dataset["panel"] !== tab;
    chosen(tab);
  };
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset["tab"] ?? ""));
  return choose;
}

/** 3:07, or 2 d 4 h where minutes say little. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const hours = Math.floor(seconds / 3600);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours >= 1) return `${hours} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

const dates = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** A time of the server's for people, in this machine's zone. */
export function when(time: string): HTMLTimeElement {
  const element = make("time", "", dates.format(new Date(time)));
  element.dateTime = time;
  return element;
}
