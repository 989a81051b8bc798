// A list with pages. The page's URL contains the filters and the cursor. A response to an outdated
// request is ignored. The list shows its state: loading, empty, or an error with a way to continue.
import { byId, make } from "../../parts/dom.js";
import { connectionFault } from "../../parts/forms.js";
import { explain, type Problem } from "../../parts/words.js";
import { urlOf, go, urlQuery, trail, type View } from "./navigation.js";
import { texts } from "./words.js";

export const pageSize = 50;
const typingPause = 250; // milliseconds after the last key until the search starts
const placeholders = 12;
const cursor = "cursor"; // the name of the cursor in the page's URL, and of the parameter

/** Returns the values of a filter with several values, which the page's URL separates with commas. */
export function splitValues<Value extends string>(text: string | null): Value[] | undefined {
  return text ? (text.split(",") as Value[]) : undefined;
}

export interface Page<Row> {
  rows: Row[];
  next: string | null;
}

export interface ListOptions<Row> {
  view: View;
  read: (query: URLSearchParams, signal: AbortSignal) => Promise<{ data?: Page<Row>; error?: Problem; response: Response }>;
  row: (row: Row) => HTMLTableRowElement;
  /**
   * Returns the text for a page: the numbers of its first and last row, and whether more follow.
   */
  range: (from: number, to: number, more: boolean) => string;
  nothing: { title: string; text: string };
  denied: () => void;
}

/** Sets up a section of the page with its filters, its table and its pager. */
export function makeList<Row>(o: ListOptions<Row>): { show: () => void; forget: () => void } {
  const filters = byId<HTMLFormElement>(`${o.view}-filters`);
  const sheet = byId(`${o.view}-list`);
  const table = sheet.querySelector("table") as HTMLTableElement;
  const body = sheet.querySelector("tbody") as HTMLTableSectionElement;
  const instead = sheet.querySelector(".instead") as HTMLElement;
  const pager = byId(o.view).querySelector(".pager") as HTMLElement;
  const back = pager.querySelector<HTMLButtonElement>("[data-page=back]") as HTMLButtonElement;
  const forward = pager.querySelector<HTMLButtonElement>("[data-page=forward]") as HTMLButtonElement;
  const clear = byId<HTMLButtonElement>(`${o.view}-clear`);
  const jump = sheet.querySelector(".jump") as HTMLButtonElement;
  const backText = back.textContent ?? "";
  let pendingRead = new AbortController();
  let next: string | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const controls = () => [...filters.elements].filter((e): e is HTMLInputElement | HTMLSelectElement => (e instanceof HTMLInputElement || e instanceof HTMLSelectElement) && e.name !== "");
  const first = (e: HTMLInputElement | HTMLSelectElement) => (e instanceof HTMLSelectElement ? (e.options[0]?.value ?? "") : "");

  /** Returns the URL of the first page with the values of the controls. */
  const chosenUrl = () => urlOf(o.view, Object.fromEntries(controls().map((e) => [e.name, e.value.trim() === first(e) ? "" : e.value.trim()])));

  function apply(replace: boolean): void {
    clearTimeout(timer);
    const to = chosenUrl();
    if (to !== `?${urlQuery()}`) go(to, { replace });
  }

  filters.addEventListener("input", (event) => {
    if (!(event.target instanceof HTMLInputElement)) return;
    clearTimeout(timer);
    timer = setTimeout(() => apply(true), typingPause);
  });
  filters.addEventListener("change", (event) => event.target instanceof HTMLSelectElement && apply(false));
  filters.addEventListener("submit", (event) => {
    event.preventDefault();
    apply(true);
  });
  const isFiltered = () => controls().some((e) => e.name !== "sort" && e.value.trim() !== first(e));

  function clearFilters(): void {
    go(urlOf(o.view, { sort: urlQuery().get("sort") }));
    controls()[0]?.focus();
  }

  clear.addEventListener("click", clearFilters);

  for (const head of table.querySelectorAll<HTMLElement>("[data-sort]")) {
    head.querySelector("button")?.addEventListener("click", () => {
      const name = head.dataset["sort"] ?? "";
      const begin = head.dataset["first"] ?? "";
      const sort = sortOrder() === begin + name ? (begin ? name : `-${name}`) : begin + name;
      const select = filters.elements.namedItem("sort");
      if (select instanceof HTMLSelectElement) select.value = sort;
      apply(false);
    });
  }

  const sortOrder = () => (filters.elements.namedItem("sort") as HTMLSelectElement | null)?.value ?? "";

  jump.addEventListener("click", () => (forward.disabled ? back : forward).focus()); // each row has a tab stop
  forward.addEventListener("click", () => turn(next ?? "", [...trail(), urlQuery().get(cursor) ?? ""]));
  back.addEventListener("click", () => turn(trail().at(-1) ?? "", trail().slice(0, -1)));

  function turn(place: string, behind: string[]): void {
    const query = urlQuery();
    query.delete(cursor);
    if (place) query.set(cursor, place);
    go(`?${query}`, { trail: behind });
    scrollTo(0, 0);
    byId(`${o.view}-title`).focus();
  }

  /**
   * Sets the filters and the order to the values in the page's URL. A control that already has the
   * value, apart from spaces around it, is left alone: the user may be typing in it.
   */
  function reflect(): void {
    const query = urlQuery();
    for (const e of controls()) {
      const value = query.get(e.name) ?? first(e);
      if (e.value.trim() !== value) e.value = value;
    }
    clear.hidden = !isFiltered();
    const sort = sortOrder();
    for (const head of table.querySelectorAll<HTMLElement>("[data-sort]")) {
      const name = head.dataset["sort"] ?? "";
      if (sort === name) head.setAttribute("aria-sort", "ascending");
      else if (sort === `-${name}`) head.setAttribute("aria-sort", "descending");
      else head.removeAttribute("aria-sort");
    }
  }

  async function show(): Promise<void> {
    clearTimeout(timer);
    reflect();
    pendingRead.abort();
    const { signal } = (pendingRead = new AbortController());
    if (body.children.length === 0) wait();
    sheet.setAttribute("aria-busy", "true");
    let fault = "";
    try {
      const { data, error, response } = await o.read(urlQuery(), signal);
      if (signal.aborted) return;
      if (data) fill(data);
      else {
        fault = explain(error, response);
        if (error?.code === "role_required") o.denied();
      }
    } catch (error) {
      if (signal.aborted) return; // a later request has replaced this one
      fault = connectionFault(error);
    }
    sheet.removeAttribute("aria-busy");
    if (fault) refuse(fault);
  }

  function wait(): void {
    instead.hidden = true;
    table.hidden = false;
    const columns = table.querySelectorAll("th").length;
    body.replaceChildren(...Array.from({ length: placeholders }, () => {
      const row = make("tr", "placeholder", ...Array.from({ length: columns }, () => make("td", "")));
      row.setAttribute("aria-hidden", "true");
      return row;
    }));
  }

  function fill({ rows, next: more }: Page<Row>): void {
    next = more;
    const pages = trail().length;
    const unnumbered = pages === 0 && urlQuery().has(cursor); // the page was opened by a link, so its number is unknown
    const from = pages * pageSize + 1;
    const words = unnumbered ? texts.somewhere(rows.length) : o.range(from, from + rows.length - 1, more !== null);
    body.replaceChildren(...rows.map(o.row));
    table.hidden = rows.length === 0;
    instead.hidden = rows.length > 0;
    if (rows.length === 0) tell(o.nothing.title, isFiltered() ? o.nothing.text : "", isFiltered() ? { text: texts.clearFilters, run: clearFilters } : null);
    const paged = pages > 0 || more !== null || unnumbered;
    pager.hidden = rows.length === 0 && !paged;
    for (const button of [back, forward, jump]) button.hidden = !paged;
    (pager.querySelector(".range") as HTMLElement).textContent = words;
    forward.disabled = more === null;
    back.disabled = pages === 0 && !unnumbered;
    back.textContent = unnumbered ? texts.firstPage : backText;
    byId("heard").textContent = rows.length === 0 ? o.nothing.title : words;
  }

  function refuse(fault: string): void {
    body.replaceChildren();
    table.hidden = true;
    pager.hidden = true;
    jump.hidden = true;
    instead.hidden = false;
    tell(texts.notRead, fault, { text: texts.retry, run: () => void show() });
    byId("heard").textContent = fault;
  }

  function tell(title: string, text: string, action: { text: string; run: () => void } | null): void {
    const parts: HTMLElement[] = [make("h2", "", title)];
    if (text) parts.push(make("p", "", text));
    if (action) {
      const button = make("button", "small", action.text);
      button.type = "button";
      button.addEventListener("click", action.run);
      parts.push(button);
    }
    instead.replaceChildren(...parts);
  }

  return {
    show: () => void show(),
    forget: () => {
      pendingRead.abort();
      clearTimeout(timer);
      for (const e of controls()) e.value = first(e);
      body.replaceChildren();
      pager.hidden = true;
      jump.hidden = true;
      sheet.removeAttribute("aria-busy");
    },
  };
}
