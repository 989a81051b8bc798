// The texts of the console's scripts. Texts that do not change are in index.html.
import type { components } from "accounts-client";
import { nameOf, otherwise } from "../../parts/words.js";

type EventKind = components["schemas"]["EventKind"];

const number = new Intl.NumberFormat("en-GB");
const count = (n: number, one: string, many: string) => `${number.format(n)} ${n === 1 ? one : many}`;
const span = (from: number, to: number) => (from === to ? number.format(from) : `${number.format(from)}–${number.format(to)}`);

export const texts = {
  title: (part: string) => `${part} – accounts console`,
  users: "Users",
  events: "Events",
  signIn: "Sign in",
  notStaff: "No member of staff",
  outsider: (username: string) => `You are signed in as ${username}, who is not a member of staff. A superuser can change that.`,
  unsavedLogout: { title: "Log out?", text: "There are changes that are not saved. They go with the log-out.", yes: "Log out" },

  // lists
  retry: "Try again",
  clearFilters: "Clear the filters",
  notRead: "This could not be read",
  firstPage: "First page",
  usersRange: (from: number, to: number, more: boolean) => (from === 1 && !more ? count(to, "user", "users") : `Users ${span(from, to)}${more ? "" : ", the last"}`),
  eventsRange: (from: number, to: number, more: boolean) => (from === 1 && !more ? count(to, "event", "events") : `Events ${span(from, to)}${more ? "" : ", the oldest"}`),
  somewhere: (rows: number) => `${number.format(rows)} on this page`,
  noUsers: { title: "Nobody fits", text: "No user has all of this: try a shorter part of the name or the address, or fewer filters." },
  noEvents: { title: "Nothing of the kind", text: "No event has all of this. Events are kept for a limited time." },

  kindsChosen: (titles: string[]) => (titles.length === 0 ? "Everything" : titles.length === 1 ? (titles[0] ?? "") : `${titles.length} kinds`),

  // a user, in a list and alone
  active: "Active",
  deactivated: "Deactivated",
  staff: "Staff",
  superuser: "Superuser",
  verified: "Verified",
  notVerified: "Not verified",
  never: "Never",
  noAddress: "No address",
  noLocale: "None chosen",
  throttled: "Login paused",
  invited: "Invited, no password yet",
  you: "You",
  facts: {
    id: "Id", joined: "Joined", login: "Last login", verified: "E-mail verified", domain: "E-mail domain in ASCII", password: "Has a password", throttled: "Login", yes: "Yes", no: "No",
    paused: "Paused: too many wrong passwords", open: "Open", pending: "New address",
  },
  shown: (username: string, active: boolean) => `${username}, ${active ? "active" : "deactivated"}`,
  hindered: "This is a member of staff: only superusers change members of staff. You can look.",
  onlySuperusers: "Only superusers give and take roles.",
  waiting: (email: string) => `${email}, waiting for confirmation`,
  addressLocked: "This account may be in use, so only superusers can change its address.",
  addressConfirmed: "The address changes when the new mailbox confirms it.",
  noPassword: "Send invitation again",
  resetMail: "Send reset mail",
  activate: "Activate",
  deactivate: "Deactivate",
  gone: { title: "There is no such user", text: "It was deleted, or the address is wrong.", action: "To the users" },

  // changes
  nothingChanged: "Nothing has changed.",
  unsaved: "Not saved yet.",
  kept: (username: string) => `What you typed for ${username} is not saved. It waits there.`,
  saved: "Saved.",
  savedAddress: (email: string) => `Saved. A link was sent to ${email}: the address changes when it is confirmed.`,
  rolesSaved: "The roles are saved.",
  mailSent: (email: string) => `A mail to ${email} is on its way.`,
  unthrottled: "The next login is judged again.",
  activatedNow: (username: string) => `${username} is active again.`,
  deactivatedNow: (username: string) => `${username} is deactivated, and every session has ended.`,
  deletedNow: (username: string) => `${username} is deleted.`,
  invitedNow: (email: string) => `Invited. A mail to ${email} is on its way.`,
  sessionEnded: "Ended: its next request is refused.",
  sessionsEnded: "All sessions have ended.",
  othersEnded: "All your other sessions have ended.",

  // questions
  sureDeactivate: (username: string) => ({
    title: `Deactivate ${username}?`, yes: "Deactivate",
    text: "All sessions end at once, and nobody can log in with this account until it is activated again.",
  }),
  selfDeactivate: "This is your own account: you are logged out at once, and only another superuser can let you in again.",
  sureDelete: (username: string) => ({
    title: `Delete ${username}?`, yes: "Delete for good",
    text: "The account goes with its sessions and events, and its address is told so. Nothing brings it back.",
  }),
  selfDelete: "This is your own account: you are logged out at once, for good.",
  sureEndAll: (username: string) => ({ title: `End all sessions of ${username}?`, yes: "End all", text: "The devices have to log in again. What was not saved there may be lost." }),
  sureEndOthers: { title: "End all your other sessions?", yes: "End the others", text: "Your other devices have to log in again. This session goes on." },
  sureRoles: (username: string) => ({ title: `Make ${username} a superuser?`, yes: "Make a superuser", text: "Superusers manage everybody, members of staff and you included." }),
  selfRoles: { title: "Give up your own role?", yes: "Give it up", text: "You lose what the role allows at once. Only another superuser can give it back." },

  // sessions and events of a user
  noSessions: "No live session: nobody is signed in with this account.",
  sessionCount: (n: number) => `Sessions (${number.format(n)})`,
  sessions: "Sessions",
  end: "End",
  endOf: (device: string) => ` the session of ${device}`,
  endAll: "End all",
  endOthers: "End all others",
  thisOne: "this one",
  since: "Since ",
  used: ", last used ",
  usedNow: ", used in the last hour",
  noHappenings: "Nothing yet.",
  by: "by ",
  byYou: "you",
  byStaff: "a staff member",
  byOperator: "an operator",
  bySelf: "the user",
  bySomebody: "somebody",
} as const;

/** Returns the title of an event for staff members, and whether it is suspicious. */
export function happening(kind: EventKind): { text: string; bad?: true } {
  const name: string = kind;
  switch (kind) {
    case "registered": return { text: "Registered" };
    case "email_verified": return { text: "E-mail verified" };
    case "login": return { text: "Logged in" };
    case "login_failed": return { text: "Login failed", bad: true };
    case "password_wrong": return { text: "Wrong password", bad: true };
    case "rate_limited": return { text: "Too many tries", bad: true };
    case "logout": return { text: "Logged out" };
    case "session_revoked": return { text: "Session ended" };
    case "sessions_revoked": return { text: "Sessions ended" };
    case "refresh_graced": return { text: "Old token, from elsewhere", bad: true };
    case "refresh_reused": return { text: "Stolen token", bad: true };
    case "password_changed": return { text: "Password changed" };
    case "password_reset": return { text: "Password reset by mail" };
    case "username_changed": return { text: "Username changed" };
    case "email_change_requested": return { text: "New e-mail asked for" };
    case "email_change_canceled": return { text: "New e-mail canceled" };
    case "email_changed": return { text: "E-mail changed" };
    case "activated": return { text: "Activated" };
    case "deactivated": return { text: "Deactivated" };
    case "reauthenticated": return { text: "Password once more" };
    case "invited": return { text: "Invited" };
    case "profile_changed": return { text: "Profile changed" };
    case "roles_changed": return { text: "Roles changed" };
    case "password_reset_sent": return { text: "Reset mail sent" };
    case "login_limit_reset": return { text: "Login limit reset" };
    case "deleted": return { text: "Deleted" };
    default: return otherwise(kind, { text: nameOf(name) });
  }
}

const fields: Record<string, string> = { is_staff: "Staff", is_superuser: "Superuser", is_active: "Active", locale: "Language" };

/** Returns the name of a member that an event changed. */
export const fieldName = (field: string): string => (Object.hasOwn(fields, field) ? (fields[field] as string) : nameOf(field));

/** Returns the text for a value of a member that an event changed. */
export function valueText(value: string | null): string {
  if (value === null) return "none";
  if (value === "true" || value === "false") return value === "true" ? "yes" : "no";
  return value === "" ? "empty" : value;
}

/** All kinds, in the order of the menu. */
export const kinds: readonly EventKind[] = [
  "login", "login_failed", "password_wrong", "rate_limited", "logout", "session_revoked", "sessions_revoked", "refresh_graced", "refresh_reused",
  "password_changed", "password_reset", "password_reset_sent", "reauthenticated", "login_limit_reset", "registered", "invited", "email_verified",
  "username_changed", "profile_changed", "email_change_requested", "email_change_canceled", "email_changed", "roles_changed", "activated", "deactivated", "deleted",
];
