// The list of users, and the invitation of new ones.
import { byId, say } from "../../parts/dom.js";
import { onSubmit, reset } from "../../parts/forms.js";
import { offerLanguages } from "../../parts/settings.js";
import { makeList, pageSize, several, type ListOptions } from "./list.js";
import { userRow } from "./rows.js";
import { api, locales, present, reauthenticated, self, type Schemas, type User } from "./server.js";
import { address, go, here, view } from "./navigation.js";
import { texts } from "./words.js";

const flag = (value: string | null) => (value === "true" ? true : value === "false" ? false : undefined);

/** Sets up the list. */
export function usersList(denied: () => void) {
  const read: ListOptions<User>["read"] = async (query, signal) => {
    const { data, error, response } = await api.GET("/admin/users", { signal, params: { query: {
      limit: pageSize,
      sort: (query.get("sort") ?? "username") as Schemas["UserSort"],
      ...present({
        q: query.get("q") || undefined, cursor: query.get("cursor") || undefined, is_active: flag(query.get("is_active")),
        role: several<Schemas["UserRole"]>(query.get("role")), email_verified: flag(query.get("email_verified")),
      }),
    } } });
    return data ? { data: { rows: data.users, next: data.next_cursor }, response } : { error, response };
  };
  return makeList<User>({ view: "users", read, row: userRow, range: texts.usersRange, nothing: texts.noUsers, denied });
}

// ---------------------------------------------------------------- keyboard

const search = byId<HTMLInputElement>("q");

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
  if (!self() || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  if (view() !== "users") go(address("users"));
  search.focus();
  search.select();
});

/** Reports whether the list shows the result of the current search. */
const settled = (): boolean => !byId("users-list").hasAttribute("aria-busy") && search.value.trim() === (here().get("q") ?? "");

/** Moves the focus between the search and the rows of the list. */
byId("users").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  if (event.target instanceof HTMLSelectElement) return;
  const links = [...document.querySelectorAll<HTMLElement>("#users-list td.name a")];
  const stops = [search, ...links];
  const at = stops.indexOf(document.activeElement as HTMLElement);
  const to = stops[at + (event.key === "ArrowDown" ? 1 : -1)];
  if (at < 0 || !to) return;
  event.preventDefault();
  if (settled()) to.focus(); // otherwise Enter would open a user of an earlier search
});

// ---------------------------------------------------------------- invite

const dialog = byId<HTMLDialogElement>("invite-dialog");

byId("invite-open").addEventListener("click", () => {
  byId("invite-roles").hidden = !self()?.is_superuser;
  if (byId<HTMLSelectElement>("invite-locale").options.length === 0) offerLanguages("invite-locale", locales());
  dialog.showModal();
  byId("invite-email").focus();
});

const invite = onSubmit("invite", ({ email = "", username = "", first_name = "", last_name = "", locale = "", ...roles }) =>
  reauthenticated(() => api.POST("/admin/users", { body: {
    email, is_staff: "is_staff" in roles, is_superuser: "is_superuser" in roles,
    ...present({ username: username || undefined, first_name: first_name || undefined, last_name: last_name || undefined, locale: locale || undefined }),
  } })), ({ data }) => {
  reset(invite);
  dialog.close();
  if (!data) return;
  go(address("user", { id: data.user.id }));
  say(texts.invitedNow(data.user.email ?? ""));
});

/** Forgets the input, after a logout or when another user signs in. */
export const forgetInvitation = (): void => reset(invite);
