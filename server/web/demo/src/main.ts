// The demo: a front end in a few hundred lines. It uses the server only through api/typescript.
//
//   client.ts   the client for the chosen transport            wire.ts     the list of requests
//   outside.ts  sign up, verify, log in                        session.ts  the expiry times
//   inside.ts   profile, password, sessions, security log      words.ts    texts about an account
//
// ../../parts contains the parts that the demo shares with the console.
import type { State } from "accounts-client";
import { accounts, onChange } from "./client.js";
import { byId, say, unsay } from "../../parts/dom.js";
import { busy, enter as enterInside, leave as leaveInside, renew } from "./inside.js";
import { lost } from "../../parts/forms.js";
import { enter as enterOutside, leave as leaveOutside } from "./outside.js";
import "./session.js";
import { closeDialogs } from "../../parts/dialogs.js";
import { farewell } from "../../parts/words.js";

let shown: State["status"] | "" = ""; // the state that the page shows
let session = "";

function draw(state: State): void {
  const on = state.status === "signed-in";
  if (state.status === "unknown" || (state.status === shown && (!on || state.session.id === session))) return;
  const before = shown;
  shown = state.status;
  session = on ? state.session.id : "";
  byId("waiting").hidden = true;
  byId("stage").removeAttribute("aria-busy");
  byId("outside").hidden = on;
  byId("inside").hidden = !on;
  byId("logout").hidden = !on;
  byId("ended").hidden = true;
  if (on) {
    if (before === "signed-in") return renew();
    leaveOutside();
    enterInside();
  } else {
    closeDialogs();
    leaveInside();
    enterOutside();
    part(state);
  }
  // If the page changes while it is in use, the focus moves to its new heading.
  if (before) document.querySelector<HTMLElement>(`#${on ? "inside" : "outside"} h1`)?.focus();
}

function part(state: State & { status: "signed-out" }): void {
  const words = farewell(state.reason);
  if (!words) return;
  if (!words.alarm) return say(words.text);
  unsay();
  byId("ended-title").textContent = words.title;
  byId("ended-text").textContent = words.text;
  byId("ended").hidden = false;
}

const logout = byId<HTMLButtonElement>("logout");
logout.addEventListener("click", () => void busy(logout, () => accounts.logout(), "Logged out."));

onChange(draw);
accounts.restore().then(draw, (error: unknown) => {
  draw({ status: "signed-out", reason: null });
  say(lost(error));
});
