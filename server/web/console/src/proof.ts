// The password, which the server wants once more before an account is changed.
import { byId } from "../../parts/dom.js";
import { onSubmit, reset, type Outcome } from "../../parts/forms.js";
import { leave, shown } from "./dialogs.js";
import { api, self } from "./server.js";

const prove = byId<HTMLDialogElement>("prove");

const proveForm = onSubmit("prove-form", ({ password = "" }) => api.POST("/accounts/reauthenticate", { body: { password } }), () => {
  leave(prove, true);
});

/** Asks for the password until it is right. False: it was not given, and nothing has happened. */
async function showPassword(): Promise<boolean> {
  reset(proveForm);
  byId<HTMLInputElement>("prove-username").value = self()?.username ?? ""; // for programs that keep passwords
  const answer = shown(prove);
  byId("prove-password").focus();
  return answer.finally(() => reset(proveForm));
}

let asking: Promise<boolean> | null = null; // one dialog for all that wait for it

/** Calls, and where the server wants the password once more asks for it and calls again. Null: it was not given. */
export async function proven<Result extends Outcome>(call: () => Promise<Result>): Promise<Result | null> {
  for (;;) {
    const result = await call();
    if (result.error?.code !== "reauth_required") return result;
    asking ??= showPassword().finally(() => (asking = null));
    if (!(await asking)) return null;
  }
}
