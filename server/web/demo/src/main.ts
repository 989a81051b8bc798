// The demo: a front end in a few hundred lines, with api/typescript as its only way to the server.
//
//   client.ts   the client, and the transport it was made for     wire.ts     each request in the list
//   outside.ts  sign up, verify, log in                           session.ts  the clocks
//   inside.ts   profile, password, sessions, security log         words.ts    what is said of an account
//
// ../../parts has what it shares with the console.
import type { State } from "accounts-client";
import { accounts, onChange } from "./client.js";
import { byId, say, unsay } from "../../parts/dom.js";
import { busy, enter as enterInside, leave as leaveInside, renew } from "./inside.js";
import { lost } from "../../parts/forms.js";
import { enter as enterOutside, leave as leaveOutside } from "./outside.js";
import "./session.js";
import { closeDialogs } from "../../parts/dialogs.js";
import { farewell } from "../../parts/words.js";

let shown: State["status"] | "" = ""; // what the page shows
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
  // Where the page has changed under somebody's hands, reading goes on at its new heading.
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
