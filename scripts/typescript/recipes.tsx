// The code of the guide to front ends, as a page that scripts/browser/recipes.mjs drives. Each recipe
// has the same steps. A step returns what the page would show: a value, or the code of a problem.
import { QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import * as heyAPI from "../../.cache/typescript/guide/src/accounts";
import { signIn as signInHeyAPI } from "../../.cache/typescript/guide/src/hey-api";
import { api, signIn as signInFetch } from "../../.cache/typescript/guide/src/openapi-fetch";
import * as functions from "../../.cache/typescript/guide/src/orval/functions";
import { signIn as signInOrval } from "../../.cache/typescript/guide/src/orval-functions";
import { Account, queries } from "../../.cache/typescript/guide/src/orval-hooks";
import { Rejection } from "../../.cache/typescript/guide/src/send";
import { keep } from "../../.cache/typescript/guide/src/tokens";

interface Recipe {
  register(body: functions.RegisterRequest): Promise<string | undefined>;
  signIn(username: string, password: string): Promise<string | null>;
  username(): Promise<string | undefined>;
  /** Refreshes, and returns the number of the generation. */
  refresh(): Promise<number | string | undefined>;
  /** Logs out, and returns "" if there is no content. */
  logout(): Promise<string | undefined>;
}

function generation(refreshed: functions.Refreshed): number {
  keep(refreshed);
  return refreshed.generation;
}

const openapiFetch: Recipe = {
  async register(body) {
    const { data, error } = await api.POST("/accounts/register", { body });
    return data?.status ?? error?.code;
  },
  signIn: signInFetch,
  async username() {
    const { data, error } = await api.GET("/accounts/profile");
    return data?.user.username ?? error?.code;
  },
  async refresh() {
    const { data, error } = await api.POST("/accounts/refresh_token");
    return data ? generation(data) : error?.code;
  },
  async logout() {
    const { data, error } = await api.POST("/accounts/logout");
    return error ? error.code : (data ?? "");
  },
};

const heyApi: Recipe = {
  async register(body) {
    const { data, error } = await heyAPI.register({ body });
    return data?.status ?? error?.code;
  },
  signIn: signInHeyAPI,
  async username() {
    const { data, error } = await heyAPI.getProfile();
    return data?.user.username ?? error?.code;
  },
  async refresh() {
    const { data, error } = await heyAPI.refreshToken();
    return data ? generation(data) : error?.code;
  },
  async logout() {
    const { error, response } = await heyAPI.logout();
    return error ? error.code : await response?.text();
  },
};

/** Returns the code of a rejection, which the functions of orval throw. */
async function orRejection<T>(call: Promise<T>): Promise<T | string> {
  return call.catch((error: unknown) => {
    if (error instanceof Rejection && error.problem) return error.problem.code;
    throw error;
  });
}

const orval: Recipe = {
  register: (body) => orRejection(functions.register(body).then((accepted) => accepted.status)),
  signIn: signInOrval,
  username: () => orRejection(functions.getProfile().then((profile) => profile.user.username)),
  refresh: () => orRejection(functions.refreshToken().then(generation)),
  logout: () => orRejection(functions.logout().then((nothing) => nothing ?? "")),
};

function showHooks(): void {
  const root = document.body.appendChild(document.createElement("main"));
  createRoot(root).render(<QueryClientProvider client={queries}><Account /></QueryClientProvider>);
}

Object.assign(window, { recipes: { "openapi-fetch": openapiFetch, "hey-api": heyApi, orval }, showHooks });
