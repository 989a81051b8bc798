// Where somebody is: in the query of the address, so that a reload, a bookmark and the back button find it again.

export type View = "users" | "user" | "events";

const listeners = new Set<(how: "link" | "history") => void>();

/** What the address says. */
export const here = (): URLSearchParams => new URLSearchParams(location.search);

/** The part of the console that the address names. */
export function view(): View {
  const name = here().get("view");
  return name === "user" || name === "events" ? name : "users";
}

/** The address of a part, with what else it needs to know; what is empty is left out. */
export function address(view: View, more: Record<string, string | number | null | undefined> = {}): string {
  const query = new URLSearchParams({ view });
  for (const [name, value] of Object.entries(more)) if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  return `?${query}`;
}

/**
 * The places in a list that lie before this one, the first page first: a cursor leads on alone, not back. They belong to the
 * entry in the history, which a reload keeps.
 */
export function trail(): string[] {
  const kept = (history.state as { trail?: string[] } | null)?.trail;
  return Array.isArray(kept) ? kept : [];
}

const trails = new Map<string, string[]>(); // of the addresses that were seen, for links that lead back to them
const remember = () => trails.set(location.search, trail());

/** Goes to an address; with `replace` it takes the place of this one in the history. */
export function go(to: string, { replace = false, trail = trails.get(to) ?? [] } = {}): void {
  if (replace) history.replaceState({ trail }, "", to);
  else history.pushState({ trail }, "", to);
  remember();
  for (const listener of listeners) listener("link");
}

/** Calls the listener at each change of the address. */
export function onMove(listener: (how: "link" | "history") => void): void {
  listeners.add(listener);
}

remember();
addEventListener("popstate", () => {
  remember();
  for (const listener of listeners) listener("history");
});

// Links into the console are links: they can be opened in another tab, and copied. A plain click stays on this page.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>('a[href^="?"]') : null;
  if (!link) return;
  event.preventDefault();
  go(link.getAttribute("href") ?? "");
});
