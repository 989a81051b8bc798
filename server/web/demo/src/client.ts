// The client of this page: one at a time, for the transport that was chosen. Every request goes through `recorded`.
import { createAccountsClient, type AccountsClient, type RefreshTokenStorage, type State, type StoredSession, type Transport } from "accounts-client";
import { prover } from "../../parts/proof.js";
import { readSettings, type Settings } from "../../parts/settings.js";
import { inForce, recorded } from "./wire.js";

export const transports: readonly Transport[] = ["hybrid", "cookies", "server_held", "body"];

const transportKey = "accounts demo transport"; // a preference, no secret: a reload goes on with it
const sessionKey = "accounts demo session";

// Only the transport body hands a refresh token to a page, and only a demo puts it where each script can read it.
// sessionStorage is this tab's alone, and gone with it.
const storage: RefreshTokenStorage = {
  load: () => JSON.parse(sessionStorage.getItem(sessionKey) ?? "null") as StoredSession | null,
  save: (session) => (session ? sessionStorage.setItem(sessionKey, JSON.stringify(session)) : sessionStorage.removeItem(sessionKey)),
};

function connect(transport: Transport): AccountsClient<Transport> {
  return transport === "body"
    ? createAccountsClient({ transport, storage, fetch: recorded })
    : createAccountsClient({ transport, fetch: recorded });
}

const listeners = new Set<(state: State) => void>();
let transport = transports.find((name) => name === localStorage.getItem(transportKey)) ?? "hybrid";

/** The client in use; `choose` replaces it. */
export let accounts = connect(transport);
const tell = (state: State) => listeners.forEach((listener) => listener(state));
accounts.onChange(tell);

/** The settings of the server, read once. */
export const settings: Promise<Settings | null> = readSettings(accounts);

let username = "";

/** Stores the username, for password managers. */
export function become(name: string): void {
  username = name;
}

/** Calls an operation, and asks for the password first where the server requires a recent authentication. */
export const proven = prover(() => accounts, () => username);

/** The transport that the next login asks for. */
export const chosen = (): Transport => transport;

/** The transport of the session: the one that was chosen, unless the cookies are of another login. */
export const current = (): Transport => (transport === "body" ? transport : (inForce() ?? transport));

/** Makes a client of another transport. To be called without a session: it stays with the transport of its login. */
export function choose(next: Transport): void {
  if (next === transport) return;
  accounts.close();
  transport = next;
  localStorage.setItem(transportKey, next);
  accounts = connect(next);
  accounts.onChange(tell);
}

/** Calls the listener at each change of the state, whichever client it is. */
export function onChange(listener: (state: State) => void): void {
  listeners.add(listener);
}
