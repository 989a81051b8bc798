// The list of what happened, of all users.
import { make } from "../../parts/dom.js";
import { makeList, pageSize, type ListOptions } from "./list.js";
import { eventRow } from "./rows.js";
import { api, present, type Schemas } from "./server.js";
import { happening, kinds, texts } from "./words.js";

type AdminEvent = Schemas["AdminEvent"];

const select = document.querySelector<HTMLSelectElement>("#events-filters [name=kind]");
select?.append(...kinds.map((kind) => {
  const option = make("option", "", happening(kind).text);
  option.value = kind;
  return option;
}));

const id = (value: string | null) => Number(value) || undefined;

/** Takes over the list. */
export function eventsList(denied: () => void) {
  const read: ListOptions<AdminEvent>["read"] = async (query, signal) => {
    const { data, error, response } = await api.GET("/admin/events", { signal, params: { query: {
      limit: pageSize,
      ...present({
        user_id: id(query.get("user_id")), actor_id: id(query.get("actor_id")),
        kind: (query.get("kind") || undefined) as Schemas["EventKind"] | undefined, before: query.get("before") || undefined,
      }),
    } } });
    return data ? { data: { rows: data.events, next: data.next }, response } : { error, response };
  };
  return makeList<AdminEvent>({ view: "events", cursor: "before", read, row: eventRow, range: texts.eventsRange, nothing: texts.noEvents, denied });
}
