// program.mjs FILE MODE stores a session in a file, for crash.test.mjs. It prints a line of JSON when
// it reaches the point that MODE names, and waits to be killed. In the mode `restore` it exits.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createAccountsClient } from "../dist/index.js";

const [file, mode] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const hang = (line) => new Promise(() => {
  say(line);
  setInterval(() => undefined, 1_000);
});

let restored = false;
const storage = {
  load: () => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null),
  async save(session) {
    const answered = restored && session?.refreshToken !== storage.load()?.refreshToken;
    if (answered && mode === "before-save") await hang("answered");
    writeFileSync(`${file}.new`, JSON.stringify(session));
    renameSync(`${file}.new`, file);
    if (answered && mode === "after-save") await hang("saved");
  },
};

const accounts = createAccountsClient({
  baseUrl: process.env.ACCOUNTS_URL, transport: "body", storage,
  fetch: async (...args) => {
    const request = new Request(...args);
    const refresh = request.url.endsWith("/refresh_token");
    if (refresh && mode === "before-send") await hang("about to send");
    const response = await fetch(request);
    if (refresh && mode === "answer-lost") await hang("answered");
    return response;
  },
});

if (mode === "login") {
  const { error } = await accounts.login({ username: "ada", password: process.env.PASSWORD });
  say(error?.code ?? accounts.state);
} else {
  restored = true;
  say(await accounts.restore());
}
accounts.close();
