// The public settings of the server.
import type { AccountsClient, components, Transport } from "accounts-client";
import { byId, make } from "./dom.js";

export type Settings = components["schemas"]["Settings"];

/** Reads the settings, or returns null if they cannot be read. A page then works without them. */
export async function readSettings(client: AccountsClient<Transport>): Promise<Settings | null> {
  return client.api.GET("/accounts/settings").then(({ data }) => data?.settings ?? null, () => null);
}

/** Fills in the values of settings in the texts of the page. */
export function showSettings({ password, recent_authentication_seconds: recent }: Settings): void {
  for (const place of document.querySelectorAll("[data-min-length]")) place.textContent = String(password.min_length);
  // Password managers follow these rules when they propose a password.
  for (const input of document.querySelectorAll("[autocomplete=new-password]")) input.setAttribute("passwordrules", `minlength: ${password.min_length}; allowed: unicode;`);
  for (const place of document.querySelectorAll("[data-recent]")) place.textContent = String(Math.ceil(recent / 60));
}

const languages = new Intl.DisplayNames("en", { type: "language", fallback: "code" });

/** Returns the English name of a language: "Korean" for "ko". */
export function languageName(locale: string): string {
  try {
    return languages.of(locale) ?? locale;
  } catch {
    return locale; // not a language tag
  }
}

/** Fills a select with `others`, followed by the languages of the server. */
export function offerLanguages(id: string, locales: readonly string[], others: readonly HTMLOptionElement[] = []): void {
  const options = locales.map((locale) => {
    const option = make("option", "", languageName(locale));
    option.value = locale;
    return option;
  });
  byId<HTMLSelectElement>(id).replaceChildren(...others, ...options);
}
