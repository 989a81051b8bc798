// Parts of the page that are shown one at a time.

/**
 * Makes the buttons of a [data-tabs] choose among its [data-panel]s. Returns a function that
 * chooses one.
 */
export function makeTabs(name: string, onChoose: (tab: string) => void = () => undefined): (tab: string) => void {
  const nav = document.querySelector(`[data-tabs="${name}"]`);
  const buttons = [...(nav?.querySelectorAll<HTMLElement>("[data-tab]") ?? [])];
  const panels = [...(nav?.parentElement?.querySelectorAll<HTMLElement>("[data-panel]") ?? [])];
  const choose = (tab: string) => {
    for (const button of buttons) {
      if (button.dataset["tab"] === tab) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    for (const panel of panels) panel.hidden = panel.dataset["panel"] !== tab;
    onChoose(tab);
  };
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset["tab"] ?? ""));
  return choose;
}
