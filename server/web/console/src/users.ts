// The list of users, and the invitation of new ones.
import { byId, showMessage } from "../../parts/dom.js";
import { onSubmit, reset } from "../../parts/forms.js";
import { offerLanguages } from "../../parts/settings.js";
import { makeList, pageSize, splitValues, type ListOptions } from "./list.js";
import { userRow } from "./rows.js";
import { api, locales, withoutUndefined, callWithReauthentication, self, type Schemas, type User } from "./server.js";
import { urlOf, go, urlQuery, currentView } from "./navigation.js";
import { texts } from "./words.js";

const parseFlag = (value: string | null) => (value === "true" ? true : value === "false" ? false : undefined);

/** Sets up the list. */
export function usersList(denied: () => void) {
  const read: ListOptions<User>["read"] = async (query, signal) => {
    const { data, error, response } = await api.GET("/admin/users", { signal, params: { query: {
      limit: pageSize,
      sort: (query.get("sort") ?? "username") as Schemas["UserSort"],
      ...withoutUndefined({
        q: query.get("q") || undefined, cursor: query.get("cursor") || undefined, is_active: parseFlag(query.get("is_active")),
        role: splitValues<Schemas["UserRole"]>(query.get("role")), email_verified: parseFlag(query.get("email_verified")),
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
  if (currentView() !== "users") go(urlOf("users"));
  search.focus();
  search.select();
});

/** Reports whether the list shows the result of the current search. */
const isSettled = (): boolean => !byId("users-list").hasAttribute("aria-busy") && search.value.trim() === (urlQuery().get("q") ?? "");

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
  if (isSettled()) to.focus(); // otherwise Enter would open a user of an earlier search
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
  callWithReauthentication(() => api.POST("/admin/users", { body: {
    email, is_staff: "is_staff" in roles, is_superuser: "is_superuser" in roles,
    ...withoutUndefined({ username: username || undefined, first_name: first_name || undefined, last_name: last_name || undefined, locale: locale || undefined }),
  } })), ({ data }) => {
  reset(invite);
  dialog.close();
  if (!data) return;
  go(urlOf("user", { id: data.user.id }));
  showMessage(texts.invitedNow(data.user.email ?? ""));
});

/** Forgets the input, after a logout or when another user signs in. */
export const forgetInvitation = (): void => reset(invite);
