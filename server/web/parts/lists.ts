// Short lists that are read from the server.
import { make } from "./dom.js";
import { connectionFault, type Outcome } from "./forms.js";
import { explain } from "./words.js";

/**
 * Calls `read` and fills the list with the elements that `done` returns. In the meantime the list
 * shows that it is loading. After an error it shows a button that calls `again`.
 */
export async function fillList<Data>(
  list: HTMLElement, read: () => Promise<Outcome & { data?: Data }>, done: (data: Data) => HTMLElement[], again: () => void,
): Promise<void> {
  if (list.children.length === 0) list.replaceChildren(...[1, 2, 3].map(() => make("li", "placeholder")));
  list.setAttribute("aria-busy", "true");
  let fault = "";
  try {
    const { data, error, response } = await read();
    if (data) list.replaceChildren(...done(data));
    else fault = explain(error, response);
  } catch (error) {
    fault = connectionFault(error);
  }
  list.removeAttribute("aria-busy");
  if (!fault) return;
  const retry = make("button", "small", "Try again");
  retry.type = "button";
  retry.dataset["retry"] = "";
  retry.addEventListener("click", again);
  list.replaceChildren(make("li", "failed", make("p", "", fault), retry));
}
