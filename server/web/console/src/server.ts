// The way to the server, and who is signed in.
import { createAccountsClient, type components } from "accounts-client";
import { prover } from "../../parts/proof.js";
import { readSettings, showSettings, type Settings } from "../../parts/settings.js";

export type Schemas = components["schemas"];
export type User = Schemas["User"];

/** No token is in this page's hands: both are in cookies that no script can read. */
export const accounts = createAccountsClient({ transport: "cookies" });
export const api = accounts.api;

let me: User | null = null;
let settings: Settings | null = null;

/** Who is signed in, as far as the console knows. */
export const self = (): User | null => me;

/** Remembers who is signed in. */
export function become(user: User | null): void {
  me = user;
}

/** Calls an operation, and asks for the password first where the server requires a recent authentication. */
export const proven = prover(() => accounts, () => me?.username ?? "");

/** Reads the settings of the server, unless they are known already. */
export async function learn(): Promise<void> {
  settings ??= await readSettings(accounts);
  if (settings) showSettings(settings);
}

/** The languages of mails. Empty if the settings could not be read. */
export const locales = (): readonly string[] => settings?.locales ?? [];

/** Why the one who is signed in may not change this user, or "". The server decides; this spares a try. */
export function hindrance(user: User): "" | "staff" {
  return (user.is_staff || user.is_superuser) && !me?.is_superuser ? "staff" : "";
}

/** The members that have a value. */
export function present<T extends object>(from: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined)) as { [Name in keyof T]?: Exclude<T[Name], undefined> };
}
