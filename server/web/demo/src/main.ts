// The demo: a front end in a few hundred lines. It uses the server only through api/typescript.
//
//   client.ts   the client for the chosen transport            wire.ts     the list of requests
//   welcome.ts  sign up, verify, sign in                       session.ts  the expiry times
//   account.ts  profile, password, sessions, security log      words.ts    texts about an account
//
// ../../parts contains the parts that the demo shares with the console.
import type { State } from "accounts-client";
import { accounts, onChange } from "./client.js";
import { byId, showMessage, hideMessage } from "../../parts/dom.js";
import { runAction, enter as enterAccount, leave as leaveAccount, reload } from "./account.js";
import { connectionFault } from "../../parts/forms.js";
import { enter as enterWelcome, leave as leaveWelcome } from "./welcome.js";
import "./session.js";
import { closeDialogs } from "../../parts/dialogs.js";
import { endNotice } from "../../parts/words.js";

let shown: State["status"] | "" = ""; // the state that the page shows
let session = "";

function draw(state: State): void {
  const signedIn = state.status === "signed-in";
  if (state.status === "unknown" || (state.status === shown && (!signedIn || state.session.id === session))) return;
  const before = shown;
  shown = state.status;
  session = signedIn ? state.session.id : "";
  byId("waiting").hidden = true;
  byId("stage").removeAttribute("aria-busy");
  byId("signed-out").hidden = signedIn;
  byId("signed-in").hidden = !signedIn;
  byId("logout").hidden = !signedIn;
  byId("ended").hidden = true;
  if (signedIn) {
    if (before === "signed-in") return reload();
    leaveWelcome();
    enterAccount();
  } else {
    closeDialogs();
    leaveAccount();
    enterWelcome();
    showEndNotice(state);
  }
  // If the page changes while it is in use, the focus moves to its new heading.
  if (before) document.querySelector<HTMLElement>(`#${signedIn ? "signed-in" : "signed-out"} h1`)?.focus();
}

function showEndNotice(state: State & { status: "signed-out" }): void {
  const words = endNotice(state.reason);
  if (!words) return;
  if (!words.alarm) return showMessage(words.text);
  hideMessage();
  byId("ended-title").textContent = words.title;
  byId("ended-text").textContent = words.text;
  byId("ended").hidden = false;
}

const logout = byId<HTMLButtonElement>("logout");
logout.addEventListener("click", () => void runAction(logout, () => accounts.logout(), "Signed out."));

onChange(draw);
accounts.restore().then(draw, (error: unknown) => {
  draw({ status: "signed-out", reason: null });
  showMessage(connectionFault(error));
});
