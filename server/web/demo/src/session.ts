// The expiry times of the session, as the client knows them, updated every second.
import type { State } from "accounts-client";
import { accounts, currentTransport, onChange } from "./client.js";
import { byId, showMessage, timeElement } from "../../parts/dom.js";
import { connectionFault } from "../../parts/forms.js";

const bar = byId<HTMLProgressElement>("access-bar");
const button = byId<HTMLButtonElement>("refresh");
let life = { session: "", longest: 0 }; // the longest lifetime of an access token seen in this session

function draw(state: State): void {
  const signedIn = state.status === "signed-in";
  byId("no-session").hidden = signedIn;
  byId("clocks").hidden = !signedIn;
  if (!signedIn) return;
  if (life.session !== state.session.id) life = { session: state.session.id, longest: 0 };
  life.longest = Math.max(life.longest, state.expiresAt - Date.now());
  byId("generation").textContent = String(state.generation);
  byId("in-force").textContent = currentTransport();
  byId("session-end").replaceChildren(timeElement(state.session.expires_at));
  tick();
}

function tick(): void {
  const state = accounts.state;
  if (state.status !== "signed-in") return;
  const left = state.expiresAt - Date.now();
  byId("access-left").textContent = duration(left);
  byId("refresh-left").textContent = duration(state.refreshAt - Date.now());
  bar.value = Math.min(1, Math.max(0, left / life.longest));
}

/** Returns a duration such as "3:07", or "2 d 4 h" for a long one. */
function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const hours = Math.floor(seconds / 3600);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours >= 1) return `${hours} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

async function refresh(): Promise<void> {
  const before = accounts.state;
  button.setAttribute("aria-busy", "true");
  try {
    const after = await accounts.refresh();
    if (before.status !== "signed-in" || after.status !== "signed-in") return;
    showMessage(after.generation > before.generation
      ? `New tokens: generation ${after.generation}.`
      : "The tokens are unchanged, because they are too recent to rotate. Try again in a minute.");
  } catch (error) {
    showMessage(connectionFault(error));
  } finally {
    button.removeAttribute("aria-busy");
  }
}

button.addEventListener("click", () => void refresh());
onChange(draw);
setInterval(tick, 1000);
