// An API with front ends, as a browser sees them: on plain http at localhost, and on https under
// the names of two sites, through a small proxy with a self-signed certificate.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer, stopServer } from "./harness.mjs";

/** The names that the browser must resolve to this machine. */
export const hosts = ["*.accounts.test", "*.elsewhere.test"];

/**
 * startSites returns `server` and the origins: `api`; `app`, a front end on the same site;
 * `unlisted`, another one that is not in ACCOUNTS_CORS_ORIGINS; and with https `elsewhere`, which
 * is in it, but on another site. `close` stops everything.
 */
export async function startSites(binary, scheme, settings) {
  const close = [];
  const sites = { scheme, close: async () => { for (const stop of close.reverse()) await stop(); } };
  try {
    if (scheme === "http") {
      const [app, unlisted] = [await listen(http.createServer(page), close), await listen(http.createServer(page), close)];
      Object.assign(sites, { app: `http://localhost:${app}`, unlisted: `http://localhost:${unlisted}` });
      sites.server = await startServer(binary, { ...settings, ACCOUNTS_CORS_ORIGINS: sites.app });
      close.push(() => stopServer(sites.server));
      sites.api = sites.server.origin;
      return sites;
    }
    const port = await listen(https.createServer(certificate(), (request, response) => {
      if (request.headers.host.startsWith("api.")) forward(sites.server.origin, request, response);
      else page(request, response);
    }), close);
    for (const name of ["api", "app", "unlisted"]) sites[name] = `https://${name}.accounts.test:${port}`;
    sites.elsewhere = `https://app.elsewhere.test:${port}`;
    sites.server = await startServer(binary, {
      ...settings, ACCOUNTS_PUBLIC_URL: sites.api, ACCOUNTS_CORS_ORIGINS: `${sites.app},${sites.elsewhere}`,
      ACCOUNTS_SECRET_KEYS: execFileSync(binary, ["secret", "new"], { encoding: "utf8" }).trim(),
      ACCOUNTS_TRUSTED_PROXIES: "127.0.0.1,::1", ACCOUNTS_MAIL: "files", ACCOUNTS_SHUTDOWN_DELAY: "0",
    });
    close.push(() => stopServer(sites.server));
    return sites;
  } catch (error) {
    await sites.close();
    throw error;
  }
}

async function listen(server, close) {
  await new Promise((done, fail) => server.once("error", fail).listen(0, "127.0.0.1", done));
  close.push(() => new Promise((done) => { server.close(done); server.closeAllConnections(); }));
  return server.address().port;
}

function page(_request, response) {
  response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>front end</title>");
}

/** Responds like a proxy: 502 while the server is down. */
function forward(origin, request, response) {
  const headers = { ...request.headers, "x-forwarded-for": request.socket.remoteAddress };
  const onward = http.request(`${origin}${request.url}`, { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
    answer.on("error", () => response.destroy());
  });
  onward.on("error", () => response.headersSent ? response.destroy() : response.writeHead(502).end());
  response.on("close", () => onward.destroy());
  request.pipe(onward);
}

function certificate() {
  const folder = mkdtempSync(join(tmpdir(), "accounts-certificate-"));
  try {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
      "-subj", "/CN=accounts.test", "-addext", "subjectAltName=DNS:*.accounts.test,DNS:*.elsewhere.test",
      "-keyout", key, "-out", cert], { stdio: "pipe" });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
