// The page without a session: sign up, verify, sign in, and the choice of a transport.
import type { Transport } from "accounts-client";
import { accounts, chooseTransport, chosenTransport, settings, transports } from "./client.js";
import { byId, showMessage } from "../../parts/dom.js";
import { onSubmit, reset } from "../../parts/forms.js";
import { showSettings } from "../../parts/settings.js";
import { makeTabs } from "./tabs.js";

const loginName = byId<HTMLInputElement>("login-username");
const knownKey = "accounts demo known"; // set after the first login in this browser

const show = makeTabs("signed-out");

const signup = onSubmit("signup", ({ email = "", username = "", password = "" }) =>
  accounts.api.POST("/accounts/register", { body: { email, username, password } }), (_, { username = "", password = "" }) => {
  // The server asks for the password again, which the user would otherwise type twice within a
  // minute.
  byId<HTMLInputElement>("verify-password").value = password;
  loginName.value = username;
  byId<HTMLInputElement>("verify-account").value = username; // for password managers
  reset(signup);
  show("verify");
  showMessage("Signed up. Now open the email.");
  byId("verify-token").focus();
});

const verify = onSubmit("verify", ({ token = "", password = "" }) => accounts.verifyEmail({ token: tokenIn(token), password }), ({ data }) => {
  reset(verify);
  if (data) showMessage(`Verified. Welcome, ${data.user.username}!`);
});

const login = onSubmit("login", ({ username = "", password = "" }) => accounts.login({ username, password }), (_, { username = "" }) => {
  reset(login);
  loginName.value = username; // for the next transport
  showMessage("Signed in.");
});

/** Returns the token in a pasted link, or the pasted text. */
function tokenIn(pasted: string): string {
  const text = pasted.trim();
  return new URLSearchParams(text.split("#")[1] ?? "").get("token") ?? text;
}

/** Shows the form that a user without a session needs first. */
export function enter(): void {
  const known = localStorage.getItem(knownKey) !== null;
  if (known) {
    byId("welcome").textContent = "Sign in again";
    byId("welcome-lead").textContent = "Choose another transport and compare the requests.";
  }
  show(known ? "login" : "signup");
}

/** Removes passwords from the forms once the user is signed in. */
export function leave(): void {
  localStorage.setItem(knownKey, "yes");
  const name = loginName.value;
  for (const form of [signup, verify, login]) reset(form);
  loginName.value = name;
}

for (const radio of document.querySelectorAll<HTMLInputElement>("[name=transport]")) {
  radio.checked = radio.value === chosenTransport();
  radio.addEventListener("change", () => {
    const next = transports.find((name): name is Transport => name === radio.value);
    if (next) chooseTransport(next);
  });
}

void settings.then((known) => {
  if (!known) return; // the server will reject invalid input
  showSettings(known);
  byId("closed").hidden = known.registration !== "closed";
  byId("signup-fields").hidden = known.registration === "closed";
});

byId("copy").addEventListener("click", () => {
  navigator.clipboard.writeText(byId("command").textContent ?? "").then(() => showMessage("Copied."), () => showMessage("The browser does not allow this page to copy."));
});
