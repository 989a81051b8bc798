// Asks for the password again if the server requires a recent authentication.
import type { AccountsClient, Transport } from "accounts-client";
import { closeDialog, showDialog } from "./dialogs.js";
import { byId } from "./dom.js";
import { onSubmit, reset, type Outcome } from "./forms.js";

/**
 * Sets up the dialog #reauth. Returns a function that calls an operation. If the server requires
 * recent authentication, the function asks for the password and calls the operation again. If the
 * user cancels, the function returns null, and the operation was not executed.
 */
export function withReauthentication(client: () => AccountsClient<Transport>, username: () => string) {
  const dialog = byId<HTMLDialogElement>("reauth");
  const form = onSubmit("reauth-form", ({ password = "" }) => client().api.POST("/accounts/reauthenticate", { body: { password } }), () => {
    closeDialog(dialog, true);
  });

  async function showPassword(): Promise<boolean> {
    reset(form);
    byId<HTMLInputElement>("reauth-username").value = username(); // for password managers
    const answer = showDialog(dialog);
    byId("reauth-password").focus();
    return answer.finally(() => reset(form));
  }

  let asking: Promise<boolean> | null = null; // one dialog for all operations that wait for it

  return async function reauthenticated<Result extends Outcome>(call: () => Promise<Result>): Promise<Result | null> {
    for (;;) {
      const result = await call();
      if (result.error?.code !== "reauth_required") return result;
      asking ??= showPassword().finally(() => (asking = null));
      if (!(await asking)) return null;
    }
  };
}
