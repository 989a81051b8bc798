// The password, which the server wants once more before an account is changed.
import type { AccountsClient, Transport } from "accounts-client";
import { leave, shown } from "./dialogs.js";
import { byId } from "./dom.js";
import { onSubmit, reset, type Outcome } from "./forms.js";

/**
 * Takes over the dialog #prove. The answer calls an operation, and where the server requires a recent authentication it asks
 * for the password and calls again. Null: the password was not given, and nothing has happened.
 */
export function prover(client: () => AccountsClient<Transport>, username: () => string) {
  const prove = byId<HTMLDialogElement>("prove");
  const form = onSubmit("prove-form", ({ password = "" }) => client().api.POST("/accounts/reauthenticate", { body: { password } }), () => {
    leave(prove, true);
  });

  async function showPassword(): Promise<boolean> {
    reset(form);
    byId<HTMLInputElement>("prove-username").value = username(); // for programs that keep passwords
    const answer = shown(prove);
    byId("prove-password").focus();
    return answer.finally(() => reset(form));
  }

  let asking: Promise<boolean> | null = null; // one dialog for all that wait for it

  return async function proven<Result extends Outcome>(call: () => Promise<Result>): Promise<Result | null> {
    for (;;) {
      const result = await call();
      if (result.error?.code !== "reauth_required") return result;
      asking ??= showPassword().finally(() => (asking = null));
      if (!(await asking)) return null;
    }
  };
}
