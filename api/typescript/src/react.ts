/**
 * A React hook for the session of a client. This entry point needs React 18 or newer; the client
 * itself does not.
 *
 * @module
 */
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import type { AccountsClient, State, Transport } from "./index.js";

/**
 * The state of the session, or `unreachable` if the client could not restore it because the server
 * did not respond. `retry` restores it again.
 */
export type SessionState = State | { status: "unreachable"; retry: () => void };

const beforeRestore: State = { status: "unknown" };

/**
 * Restores the session after a reload and returns its state. The component is rendered again at each
 * change, including changes by other tabs. Create the client outside of components, once for the
 * page.
 */
export function useSession(accounts: Pick<AccountsClient<Transport>, "state" | "onChange" | "restore">): SessionState {
  const subscribe = useCallback((changed: () => void) => accounts.onChange(changed), [accounts]);
  const state = useSyncExternalStore(subscribe, () => accounts.state, () => beforeRestore);
  const [unreachable, setUnreachable] = useState<unknown>(null); // the client that could not restore its session
  const restore = useCallback(() => void accounts.restore().catch(() => setUnreachable(accounts)), [accounts]);
  useEffect(restore, [restore]);
  if (state.status !== "unknown" || unreachable !== accounts) return state;
  return {
    status: "unreachable",
    retry() {
      setUnreachable(null);
      restore();
    },
  };
}
