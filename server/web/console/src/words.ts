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
  notStaff: "Staff only",
  forbidden: (username: string) => `You are signed in as ${username}, which is not a staff account. Ask a superuser for the role.`,
  unsavedLogout: { title: "Sign out?", text: "You have unsaved changes. If you sign out, they are lost.", yes: "Sign out" },

  // lists
  retry: "Try again",
  clearFilters: "Clear filters",
  notRead: "This could not be loaded",
  firstPage: "First page",
  usersRange: (from: number, to: number, more: boolean) => (from === 1 && !more ? count(to, "user", "users") : `Users ${span(from, to)}${more ? "" : ", the last"}`),
  eventsRange: (from: number, to: number, more: boolean) => (from === 1 && !more ? count(to, "event", "events") : `Events ${span(from, to)}${more ? "" : ", the oldest"}`),
  somewhere: (rows: number) => `${number.format(rows)} on this page`,
  noUsers: { title: "No users found", text: "No user matches all filters. Try a shorter part of the name or email address, or fewer filters." },
  noEvents: { title: "No events found", text: "No event matches all filters. Events are deleted after some time." },

  kindsChosen: (titles: string[]) => (titles.length === 0 ? "All events" : titles.length === 1 ? (titles[0] ?? "") : `${titles.length} kinds`),

  // a user, in a list and alone
  active: "Active",
  deactivated: "Deactivated",
  staff: "Staff",
  superuser: "Superuser",
  verified: "Verified",
  notVerified: "Not verified",
  never: "Never",
  noAddress: "No email address",
  noLocale: "Not set",
  throttled: "Sign-in blocked",
  passwordless: "No password",
  you: "You",
  facts: {
    id: "ID", joined: "Joined", login: "Last sign-in", verified: "Email verified", domain: "Email domain in ASCII", password: "Password", set: "Set", unset: "Not set", throttled: "Sign-in", yes: "Yes", no: "No",
    paused: "Blocked: too many failed attempts", open: "Allowed", pending: "New email address",
  },
  shown: (username: string, active: boolean) => `${username}, ${active ? "active" : "deactivated"}`,
  readOnly: "This is a staff account. You can view it, but only superusers can change it.",
  onlySuperusers: "Only superusers can change roles.",
  waiting: (email: string) => `${email}, not confirmed yet`,
  addressLocked: "This account may be in use, so only superusers can change its email address.",
  addressConfirmed: "The change takes effect when the user confirms the new address.",
  noPassword: "Send link to set a password",
  resetMail: "Send password reset",
  activate: "Activate",
  deactivate: "Deactivate",
  gone: { title: "User not found", text: "The user was deleted, or the address of this page is wrong.", action: "All users" },

  // changes
  nothingChanged: "There are no changes to save.",
  unsaved: "You have unsaved changes.",
  kept: (username: string) => `Your changes to ${username} are not saved. You can find them on the page of the user.`,
  saved: "Saved.",
  savedAddress: (email: string) => `Saved. A link was sent to ${email}. The address changes when the user confirms it.`,
  rolesSaved: "Roles saved.",
  mailSent: (email: string) => `An email was sent to ${email}.`,
  unthrottled: "This user can sign in again.",
  activatedNow: (username: string) => `${username} is active again.`,
  deactivatedNow: (username: string) => `${username} is deactivated. All sessions have ended.`,
  deletedNow: (username: string) => `${username} was deleted.`,
  invitedNow: (email: string) => `An invitation was sent to ${email}.`,
  sessionEnded: "The session has ended.",
  sessionsEnded: "All sessions have ended.",
  othersEnded: "All your other sessions have ended.",

  resumed: "Signed in. Your unsaved changes are still here.",

  // questions
  sureAddress: (username: string, before: string | null, after: string) => ({
    title: `Change the email address of ${username}?`, yes: "Change address",
    text: `A link is sent to ${after}. When it is confirmed, the address changes${before ? ` from ${before} to ${after}. A notice goes to ${before}.` : ` to ${after}.`}`,
  }),
  sureDeactivate: (username: string) => ({
    title: `Deactivate ${username}?`, yes: "Deactivate",
    text: "All sessions end immediately. The user cannot sign in until the account is activated again.",
  }),
  selfDeactivate: "This is your own account. You will be signed out immediately, and only another superuser can activate the account again.",
  sureDelete: (username: string) => ({
    title: `Delete ${username}?`, yes: "Delete permanently",
    text: "The account is deleted with its sessions and events, and the user is notified by email. This cannot be undone.",
  }),
  selfDelete: "This is your own account. You will be signed out immediately.",
  sureEndAll: (username: string) => ({ title: `End all sessions of ${username}?`, yes: "End all", text: "All devices have to sign in again. Unsaved work on them may be lost." }),
  sureEndOthers: { title: "End all your other sessions?", yes: "End other sessions", text: "Your other devices have to sign in again. This session continues." },
  sureRoles: (username: string) => ({ title: `Make ${username} a superuser?`, yes: "Make superuser", text: "Superusers can manage all accounts, including staff accounts and yours." }),
  selfRoles: { title: "Remove your own role?", yes: "Remove role", text: "You lose its permissions immediately. Only another superuser can restore it." },

  // sessions and events of a user
  noSessions: "There are no active sessions.",
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
  noEventsYet: "There are no events.",
  by: "by ",
  byYou: "you",
  byStaff: "a staff member",
  byOperator: "an operator",
  bySelf: "the user",
  byUnknown: "unknown",
} as const;

/** Returns the title of an event for staff members, and whether it is suspicious. */
export function eventTitle(kind: EventKind): { text: string; bad?: true } {
  const name: string = kind;
  switch (kind) {
    case "registered": return { text: "Signed up" };
    case "email_verified": return { text: "Email verified" };
    case "login": return { text: "Signed in" };
    case "login_failed": return { text: "Sign-in failed", bad: true };
    case "password_wrong": return { text: "Wrong password", bad: true };
    case "rate_limited": return { text: "Too many attempts", bad: true };
    case "logout": return { text: "Signed out" };
    case "session_revoked": return { text: "Session ended" };
    case "sessions_revoked": return { text: "Sessions ended" };
    case "refresh_graced": return { text: "Replaced token used from elsewhere", bad: true };
    case "refresh_reused": return { text: "Token reuse, session ended", bad: true };
    case "password_changed": return { text: "Password changed" };
    case "password_reset": return { text: "Password reset by email" };
    case "username_changed": return { text: "Username changed" };
    case "email_change_requested": return { text: "Email change requested" };
    case "email_change_canceled": return { text: "Email change canceled" };
    case "email_changed": return { text: "Email changed" };
    case "activated": return { text: "Activated" };
    case "deactivated": return { text: "Deactivated" };
    case "reauthenticated": return { text: "Password confirmed" };
    case "invited": return { text: "Invited" };
    case "profile_changed": return { text: "Profile changed" };
    case "roles_changed": return { text: "Roles changed" };
    case "password_reset_sent": return { text: "Reset email sent" };
    case "login_limit_reset": return { text: "Sign-in limit reset" };
    case "deleted": return { text: "Deleted" };
    default: return otherwise(kind, { text: nameOf(name) });
  }
}

const fields: Record<string, string> = { is_staff: "Staff", is_superuser: "Superuser", is_active: "Active", locale: "Language" };

/** Returns the name of a field that an event changed. */
export const fieldName = (field: string): string => (Object.hasOwn(fields, field) ? (fields[field] as string) : nameOf(field));

/** Returns the text for a value of a field that an event changed. */
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
