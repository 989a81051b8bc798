// The public settings of the server: what it allows, so that no page has to guess.
import type { AccountsClient, components, Transport } from "accounts-client";
import { byId, make } from "./dom.js";

export type Settings = components["schemas"]["Settings"];

/** Reads the settings. Null: they could not be read, and a page does without; the server's answers say the rest. */
export async function readSettings(client: AccountsClient<Transport>): Promise<Settings | null> {
  return client.api.GET("/accounts/settings").then(({ data }) => data?.settings ?? null, () => null);
}

/** Fills in what the page says of the settings. */
export function showSettings({ password, recent_authentication_seconds: recent }: Settings): void {
  for (const place of document.querySelectorAll("[data-min-length]")) place.textContent = String(password.min_length);
  for (const place of document.querySelectorAll("[data-recent]")) place.textContent = String(Math.ceil(recent / 60));
}

const languages = new Intl.DisplayNames("en", { type: "language", fallback: "code" });

/** "Korean" for "ko". */
export function languageName(locale: string): string {
  try {
    return languages.of(locale) ?? locale;
  } catch {
    return locale; // not a language tag
  }
}

/** Offers the languages of the server in a select, and `others`, which come first. */
export function offerLanguages(id: string, locales: readonly string[], others: readonly HTMLOptionElement[] = []): void {
  const options = locales.map((locale) => {
    const option = make("option", "", languageName(locale));
    option.value = locale;
    return option;
  });
  byId<HTMLSelectElement>(id).replaceChildren(...others, ...options);
}
