// The client of this page for the chosen transport. There is one at a time, and every request goes
// through `recordedFetch`.
import { createAccountsClient, type AccountsClient, type RefreshTokenStorage, type State, type StoredSession, type Transport } from "accounts-client";
import { withReauthentication } from "../../parts/reauth.js";
import { readSettings, type Settings } from "../../parts/settings.js";
import { cookieTransport, recordedFetch } from "./wire.js";

export const transports: readonly Transport[] = ["hybrid", "cookies", "server_held", "body"];

const transportKey = "accounts demo transport"; // a preference, not a secret; it survives a reload
const sessionKey = "accounts demo session";

// Only the transport body gives a refresh token to a page. A real front end must not store it where
// every script can read it; the demo does. sessionStorage belongs to one tab and ends with it.
const storage: RefreshTokenStorage = {
  load: () => JSON.parse(sessionStorage.getItem(sessionKey) ?? "null") as StoredSession | null,
  save: (session) => (session ? sessionStorage.setItem(sessionKey, JSON.stringify(session)) : sessionStorage.removeItem(sessionKey)),
};

function connect(transport: Transport): AccountsClient<Transport> {
  return transport === "body"
    ? createAccountsClient({ transport, storage, fetch: recordedFetch })
    : createAccountsClient({ transport, fetch: recordedFetch });
}

const listeners = new Set<(state: State) => void>();
let transport = transports.find((name) => name === localStorage.getItem(transportKey)) ?? "hybrid";

/** The client in use. `chooseTransport` replaces it. */
export let accounts = connect(transport);
const tell = (state: State) => listeners.forEach((listener) => listener(state));
accounts.onChange(tell);

/** The settings of the server, which are read once. */
export const settings: Promise<Settings | null> = readSettings(accounts);

let username = "";

/** Stores the username for password managers. */
export function setUsername(name: string): void {
  username = name;
}

/**
 * Calls an operation. If the server requires a recent authentication, it asks for the password
 * first.
 */
export const callWithReauthentication = withReauthentication(() => accounts, () => username);

/** Returns the transport that the next login will request. */
export const chosenTransport = (): Transport => transport;

/**
 * Returns the transport of the session: the chosen one, unless the cookies belong to another login.
 */
export const currentTransport = (): Transport => (transport === "body" ? transport : (cookieTransport() ?? transport));

/**
 * Replaces the client by one for another transport. Call it only while signed out: a session keeps
 * the transport of its login.
 */
export function chooseTransport(next: Transport): void {
  if (next === transport) return;
  accounts.close();
  transport = next;
  localStorage.setItem(transportKey, next);
  accounts = connect(next);
  accounts.onChange(tell);
}

/** Calls the listener at each change of the state of any client. */
export function onChange(listener: (state: State) => void): void {
  listeners.add(listener);
}
