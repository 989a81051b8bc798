// The actions of the buttons on a user's page.
import { byId } from "../../parts/dom.js";
import { connectionFault, type Outcome } from "../../parts/forms.js";
import { explain } from "../../parts/words.js";

const fault = byId("user-fault");

/** Performs the action of a button. An error is shown above the buttons until the next try. */
export async function perform<R extends Outcome>(button: HTMLButtonElement, call: () => Promise<R | null>, done: (result: R) => void | Promise<void>): Promise<void> {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  fault.textContent = "";
  try {
    const result = await call();
    if (result && !result.response.ok) fault.textContent = explain(result.error, result.response);
    else if (result) await done(result);
  } catch (error) {
    fault.textContent = connectionFault(error);
  } finally {
    button.removeAttribute("aria-busy");
  }
  if (fault.textContent) fault.scrollIntoView({ block: "nearest" });
}
