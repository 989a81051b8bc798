// The client, and the signed-in user.
import { createAccountsClient, type components } from "accounts-client";
import { fetchOrReport } from "../../parts/network.js";
import { withReauthentication } from "../../parts/reauth.js";
import { readSettings, showSettings, type Settings } from "../../parts/settings.js";

export type Schemas = components["schemas"];
export type User = Schemas["User"];

/** The client. The page has no tokens: both are in cookies that no script can read. */
export const accounts = createAccountsClient({ transport: "cookies", fetch: fetchOrReport });
export const api = accounts.api;

let me: User | null = null;
let settings: Settings | null = null;

/** Returns the signed-in user, as far as the console knows. */
export const self = (): User | null => me;

/** Stores the signed-in user. */
export function setSelf(user: User | null): void {
  me = user;
}

/**
 * Calls an operation. If the server requires a recent authentication, it asks for the password
 * first.
 */
export const callWithReauthentication = withReauthentication(() => accounts, () => me?.username ?? "");

/** Reads the settings of the server, unless they are known already. */
export async function loadSettings(): Promise<void> {
  settings ??= await readSettings(accounts);
  if (settings) showSettings(settings);
}

/** Returns the languages of mails, or an empty list if the settings could not be read. */
export const locales = (): readonly string[] => settings?.locales ?? [];

/**
 * Returns why the signed-in user may not change this user, or "". The server decides; this only
 * avoids useless requests.
 */
export function restriction(user: User): "" | "staff" {
  return (user.is_staff || user.is_superuser) && !me?.is_superuser ? "staff" : "";
}

/** Returns the members that have a value. */
export function withoutUndefined<T extends object>(from: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined)) as { [Name in keyof T]?: Exclude<T[Name], undefined> };
}
