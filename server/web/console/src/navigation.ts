// The current view, which is in the query of the page's URL. It survives a reload, can be bookmarked,
// and works with the back button.

export type View = "users" | "user" | "events";

const listeners = new Set<(how: "link" | "history") => void>();

/** Returns the query of the page's URL. */
export const urlQuery = (): URLSearchParams => new URLSearchParams(location.search);

/** Returns the view that the page's URL names. */
export function currentView(): View {
  const name = urlQuery().get("view");
  return name === "user" || name === "events" ? name : "users";
}

/** Returns the relative URL of a view, with more parameters. Empty values are omitted. */
export function urlOf(view: View, more: Record<string, string | number | null | undefined> = {}): string {
  const query = new URLSearchParams({ view });
  for (const [name, value] of Object.entries(more)) if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  return `?${query}`;
}

/**
 * Returns the cursors of the earlier pages of a list, starting with the first, because a cursor
 * leads only forward. They belong to the entry in the history, which survives a reload.
 */
export function trail(): string[] {
  const kept = (history.state as { trail?: string[] } | null)?.trail;
  return Array.isArray(kept) ? kept : [];
}

const trails = new Map<string, string[]>(); // by URL, for links that lead back to a URL
const remember = () => trails.set(location.search, trail());

/** Goes to a URL. With `replace`, it replaces the current entry in the history. */
export function go(to: string, { replace = false, trail = trails.get(to) ?? [] } = {}): void {
  if (replace) history.replaceState({ trail }, "", to);
  else history.pushState({ trail }, "", to);
  remember();
  for (const listener of listeners) listener("link");
}

/** Calls the listener at each change of the page's URL. */
export function onMove(listener: (how: "link" | "history") => void): void {
  listeners.add(listener);
}

remember();
addEventListener("popstate", () => {
  remember();
  for (const listener of listeners) listener("history");
});

// Links in the console are real links, which can be copied or opened in another tab. A plain click
// stays on this page.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>('a[href^="?"]') : null;
  if (!link) return;
  event.preventDefault();
  go(link.getAttribute("href") ?? "");
});
