// Built from server/web/demo/src, server/web/parts and api/typescript/src by make web: change those.

// api/typescript/node_modules/openapi-fetch/dist/index.mjs
var PATH_PARAM_RE = /\{[^{}]+\}/g;
var supportsRequestInitExt = () => {
  return typeof process === "object" && Number.parseInt(process?.versions?.node?.substring(0, 2)) >= 18 && process.versions.undici;
};
function randomID() {
  return Math.random().toString(36).slice(2, 11);
}
function createClient(clientOptions) {
  let {
    baseUrl = "",
    Request: CustomRequest = globalThis.Request,
    fetch: baseFetch = globalThis.fetch,
    querySerializer: globalQuerySerializer,
    bodySerializer: globalBodySerializer,
    pathSerializer: globalPathSerializer,
    headers: baseHeaders,
    requestInitExt = void 0,
    ...baseOptions
  } = { ...clientOptions };
  requestInitExt = supportsRequestInitExt() ? requestInitExt : void 0;
  baseUrl = removeTrailingSlash(baseUrl);
  const globalMiddlewares = [];
  async function coreFetch(schemaPath, fetchOptions) {
    const {
      baseUrl: localBaseUrl,
      fetch: fetch2 = baseFetch,
      Request: Request2 = CustomRequest,
      headers: headers2,
      params = {},
      parseAs = "json",
      querySerializer: requestQuerySerializer,
      bodySerializer = globalBodySerializer ?? defaultBodySerializer,
      pathSerializer: requestPathSerializer,
      body,
      middleware: requestMiddlewares = [],
      ...init
    } = fetchOptions || {};
    let finalBaseUrl = baseUrl;
    if (localBaseUrl) {
      finalBaseUrl = removeTrailingSlash(localBaseUrl) ?? baseUrl;
    }
    let querySerializer = typeof globalQuerySerializer === "function" ? globalQuerySerializer : createQuerySerializer(globalQuerySerializer);
    if (requestQuerySerializer) {
      querySerializer = typeof requestQuerySerializer === "function" ? requestQuerySerializer : createQuerySerializer({
        ...typeof globalQuerySerializer === "object" ? globalQuerySerializer : {},
        ...requestQuerySerializer
      });
    }
    const pathSerializer = requestPathSerializer || globalPathSerializer || defaultPathSerializer;
    const serializedBody = body === void 0 ? void 0 : bodySerializer(
      body,
      // Note: we declare mergeHeaders() both here and below because it’s a bit of a chicken-or-egg situation:
      // bodySerializer() needs all headers so we aren’t dropping ones set by the user, however,
      // the result of this ALSO sets the lowest-priority content-type header. So we re-merge below,
      // setting the content-type at the very beginning to be overwritten.
      // Lastly, based on the way headers work, it’s not a simple “present-or-not” check becauase null intentionally un-sets headers.
      mergeHeaders(baseHeaders, headers2, params.header)
    );
    const finalHeaders = mergeHeaders(
      // with no body, we should not to set Content-Type
      serializedBody === void 0 || // if serialized body is FormData; browser will correctly set Content-Type & boundary expression
      serializedBody instanceof FormData ? {} : {
        "Content-Type": "application/json"
      },
      baseHeaders,
      headers2,
      params.header
    );
    const finalMiddlewares = [...globalMiddlewares, ...requestMiddlewares];
    const requestInit = {
      redirect: "follow",
      ...baseOptions,
      ...init,
      body: serializedBody,
      headers: finalHeaders
    };
    let id;
    let options;
    let request = new Request2(
      createFinalURL(schemaPath, { baseUrl: finalBaseUrl, params, querySerializer, pathSerializer }),
      requestInit
    );
    let response;
    for (const key in init) {
      if (!(key in request)) {
        request[key] = init[key];
      }
    }
    if (finalMiddlewares.length) {
      id = randomID();
      options = Object.freeze({
        baseUrl: finalBaseUrl,
        fetch: fetch2,
        parseAs,
        querySerializer,
        bodySerializer,
        pathSerializer
      });
      for (const m of finalMiddlewares) {
        if (m && typeof m === "object" && typeof m.onRequest === "function") {
          const result = await m.onRequest({
            request,
            schemaPath,
            params,
            options,
            id
          });
          if (result) {
            if (result instanceof Request2) {
              request = result;
            } else if (result instanceof Response) {
              response = result;
              break;
            } else {
              throw new Error("onRequest: must return new Request() or Response() when modifying the request");
            }
          }
        }
      }
    }
    if (!response) {
      try {
        response = await fetch2(request, requestInitExt);
      } catch (error2) {
        let errorAfterMiddleware = error2;
        if (finalMiddlewares.length) {
          for (let i = finalMiddlewares.length - 1; i >= 0; i--) {
            const m = finalMiddlewares[i];
            if (m && typeof m === "object" && typeof m.onError === "function") {
              const result = await m.onError({
                request,
                error: errorAfterMiddleware,
                schemaPath,
                params,
                options,
                id
              });
              if (result) {
                if (result instanceof Response) {
                  errorAfterMiddleware = void 0;
                  response = result;
                  break;
                }
                if (result instanceof Error) {
                  errorAfterMiddleware = result;
                  continue;
                }
                throw new Error("onError: must return new Response() or instance of Error");
              }
            }
          }
        }
        if (errorAfterMiddleware) {
          throw errorAfterMiddleware;
        }
      }
      if (finalMiddlewares.length) {
        for (let i = finalMiddlewares.length - 1; i >= 0; i--) {
          const m = finalMiddlewares[i];
          if (m && typeof m === "object" && typeof m.onResponse === "function") {
            const result = await m.onResponse({
              request,
              response,
              schemaPath,
              params,
              options,
              id
            });
            if (result) {
              if (!(result instanceof Response)) {
                throw new Error("onResponse: must return new Response() when modifying the response");
              }
              response = result;
            }
          }
        }
      }
    }
    const contentLength = response.headers.get("Content-Length");
    if (response.status === 204 || request.method === "HEAD" || contentLength === "0" && !response.headers.get("Transfer-Encoding")?.includes("chunked")) {
      return response.ok ? { data: void 0, response } : { error: void 0, response };
    }
    if (response.ok) {
      const getResponseData = async () => {
        if (parseAs === "stream") {
          return response.body;
        }
        if (parseAs === "json" && !contentLength) {
          const raw = await response.text();
          return raw ? JSON.parse(raw) : void 0;
        }
        return await response[parseAs]();
      };
      return { data: await getResponseData(), response };
    }
    let error = await response.text();
    try {
      error = JSON.parse(error);
    } catch {
    }
    return { error, response };
  }
  return {
    request(method, url, init) {
      return coreFetch(url, { ...init, method: method.toUpperCase() });
    },
    /** Call a GET endpoint */
    GET(url, init) {
      return coreFetch(url, { ...init, method: "GET" });
    },
    /** Call a PUT endpoint */
    PUT(url, init) {
      return coreFetch(url, { ...init, method: "PUT" });
    },
    /** Call a POST endpoint */
    POST(url, init) {
      return coreFetch(url, { ...init, method: "POST" });
    },
    /** Call a DELETE endpoint */
    DELETE(url, init) {
      return coreFetch(url, { ...init, method: "DELETE" });
    },
    /** Call a OPTIONS endpoint */
    OPTIONS(url, init) {
      return coreFetch(url, { ...init, method: "OPTIONS" });
    },
    /** Call a HEAD endpoint */
    HEAD(url, init) {
      return coreFetch(url, { ...init, method: "HEAD" });
    },
    /** Call a PATCH endpoint */
    PATCH(url, init) {
      return coreFetch(url, { ...init, method: "PATCH" });
    },
    /** Call a TRACE endpoint */
    TRACE(url, init) {
      return coreFetch(url, { ...init, method: "TRACE" });
    },
    /** Register middleware */
    use(...middleware) {
      for (const m of middleware) {
        if (!m) {
          continue;
        }
        if (typeof m !== "object" || !("onRequest" in m || "onResponse" in m || "onError" in m)) {
          throw new Error("Middleware must be an object with one of `onRequest()`, `onResponse() or `onError()`");
        }
        globalMiddlewares.push(m);
      }
    },
    /** Unregister middleware */
    eject(...middleware) {
      for (const m of middleware) {
        const i = globalMiddlewares.indexOf(m);
        if (i !== -1) {
          globalMiddlewares.splice(i, 1);
        }
      }
    }
  };
}
function serializePrimitiveParam(name, value, options) {
  if (value === void 0 || value === null) {
    return "";
  }
  if (typeof value === "object") {
    throw new Error(
      "Deeply-nested arrays/objects aren’t supported. Provide your own `querySerializer()` to handle these."
    );
  }
  return `${name}=${options?.allowReserved === true ? value : encodeURIComponent(value)}`;
}
function serializeObjectParam(name, value, options) {
  if (!value || typeof value !== "object") {
    return "";
  }
  const values = [];
  const joiner = {
    simple: ",",
    label: ".",
    matrix: ";"
  }[options.style] || "&";
  if (options.style !== "deepObject" && options.explode === false) {
    for (const k in value) {
      values.push(k, options.allowReserved === true ? value[k] : encodeURIComponent(value[k]));
    }
    const final2 = values.join(",");
    switch (options.style) {
      case "form": {
        return `${name}=${final2}`;
      }
      case "label": {
        return `.${final2}`;
      }
      case "matrix": {
        return `;${name}=${final2}`;
      }
      default: {
        return final2;
      }
    }
  }
  for (const k in value) {
    const finalName = options.style === "deepObject" ? `${name}[${k}]` : k;
    values.push(serializePrimitiveParam(finalName, value[k], options));
  }
  const final = values.join(joiner);
  return options.style === "label" || options.style === "matrix" ? `${joiner}${final}` : final;
}
function serializeArrayParam(name, value, options) {
  if (!Array.isArray(value)) {
    return "";
  }
  if (options.explode === false) {
    const joiner2 = { form: ",", spaceDelimited: "%20", pipeDelimited: "|" }[options.style] || ",";
    const final = (options.allowReserved === true ? value : value.map((v) => encodeURIComponent(v))).join(joiner2);
    switch (options.style) {
      case "simple": {
        return final;
      }
      case "label": {
        return `.${final}`;
      }
      case "matrix": {
        return `;${name}=${final}`;
      }
      // case "spaceDelimited":
      // case "pipeDelimited":
      default: {
        return `${name}=${final}`;
      }
    }
  }
  const joiner = { simple: ",", label: ".", matrix: ";" }[options.style] || "&";
  const values = [];
  for (const v of value) {
    if (options.style === "simple" || options.style === "label") {
      values.push(options.allowReserved === true ? v : encodeURIComponent(v));
    } else {
      values.push(serializePrimitiveParam(name, v, options));
    }
  }
  return options.style === "label" || options.style === "matrix" ? `${joiner}${values.join(joiner)}` : values.join(joiner);
}
function createQuerySerializer(options) {
  return function querySerializer(queryParams) {
    const search = [];
    if (queryParams && typeof queryParams === "object") {
      for (const name in queryParams) {
        const value = queryParams[name];
        if (value === void 0 || value === null) {
          continue;
        }
        if (Array.isArray(value)) {
          if (value.length === 0) {
            continue;
          }
          search.push(
            serializeArrayParam(name, value, {
              style: "form",
              explode: true,
              ...options?.array,
              allowReserved: options?.allowReserved || false
            })
          );
          continue;
        }
        if (typeof value === "object") {
          search.push(
            serializeObjectParam(name, value, {
              style: "deepObject",
              explode: true,
              ...options?.object,
              allowReserved: options?.allowReserved || false
            })
          );
          continue;
        }
        search.push(serializePrimitiveParam(name, value, options));
      }
    }
    return search.join("&");
  };
}
function defaultPathSerializer(pathname, pathParams) {
  let nextURL = pathname;
  for (const match of pathname.match(PATH_PARAM_RE) ?? []) {
    let name = match.substring(1, match.length - 1);
    let explode = false;
    let style = "simple";
    if (name.endsWith("*")) {
      explode = true;
      name = name.substring(0, name.length - 1);
    }
    if (name.startsWith(".")) {
      style = "label";
      name = name.substring(1);
    } else if (name.startsWith(";")) {
      style = "matrix";
      name = name.substring(1);
    }
    if (!pathParams || pathParams[name] === void 0 || pathParams[name] === null) {
      continue;
    }
    const value = pathParams[name];
    if (Array.isArray(value)) {
      nextURL = nextURL.replace(match, serializeArrayParam(name, value, { style, explode }));
      continue;
    }
    if (typeof value === "object") {
      nextURL = nextURL.replace(match, serializeObjectParam(name, value, { style, explode }));
      continue;
    }
    if (style === "matrix") {
      nextURL = nextURL.replace(match, `;${serializePrimitiveParam(name, value)}`);
      continue;
    }
    nextURL = nextURL.replace(match, style === "label" ? `.${encodeURIComponent(value)}` : encodeURIComponent(value));
  }
  return nextURL;
}
function defaultBodySerializer(body, headers2) {
  if (body instanceof FormData) {
    return body;
  }
  if (headers2) {
    const contentType = headers2.get instanceof Function ? headers2.get("Content-Type") ?? headers2.get("content-type") : headers2["Content-Type"] ?? headers2["content-type"];
    if (contentType === "application/x-www-form-urlencoded") {
      return new URLSearchParams(body).toString();
    }
  }
  return JSON.stringify(body);
}
function createFinalURL(pathname, options) {
  let finalURL = `${options.baseUrl}${pathname}`;
  if (options.params?.path) {
    finalURL = options.pathSerializer(finalURL, options.params.path);
  }
  let search = options.querySerializer(options.params.query ?? {});
  if (search.startsWith("?")) {
    search = search.substring(1);
  }
  if (search) {
    finalURL += `?${search}`;
  }
  return finalURL;
}
function mergeHeaders(...allHeaders) {
  const finalHeaders = new Headers();
  for (const h of allHeaders) {
    if (!h || typeof h !== "object") {
      continue;
    }
    const iterator = h instanceof Headers ? h.entries() : Object.entries(h);
    for (const [k, v] of iterator) {
      if (v === null) {
        finalHeaders.delete(k);
      } else if (Array.isArray(v)) {
        for (const v2 of v) {
          finalHeaders.append(k, v2);
        }
      } else if (v !== void 0) {
        finalHeaders.set(k, v);
      }
    }
  }
  return finalHeaders;
}
function removeTrailingSlash(url) {
  if (url.endsWith("/")) {
    return url.substring(0, url.length - 1);
  }
  return url;
}

// api/typescript/src/tabs.ts
var lockTime = 2e4;
var Tabs = class {
  #name;
  #channel;
  #shared;
  #note = null;
  #queue = Promise.resolve();
  constructor(name, shared, heard) {
    this.#name = name;
    this.#shared = shared;
    this.#channel = shared && "BroadcastChannel" in globalThis ? new BroadcastChannel(name) : null;
    this.#channel?.addEventListener("message", (event) => heard(event.data));
  }
  /** Reports whether this tab can receive messages of other tabs. */
  get canReceive() {
    return this.#channel !== null;
  }
  tell(message) {
    this.#channel?.postMessage(message);
  }
  close() {
    this.#channel?.close();
  }
  /** Runs one task at a time: across all tabs if there are Web Locks, and in this tab if not. */
  runExclusively(task) {
    const run = this.#queue.then(() => this.#runLocked(task));
    this.#queue = run.catch(() => void 0);
    return run;
  }
  async #runLocked(task) {
    if (!this.#shared || !globalThis.navigator?.locks) return task();
    let running;
    const take = (options) => navigator.locks.request(this.#name, options, () => running = task());
    try {
      return await take({ signal: AbortSignal.timeout(lockTime) });
    } catch (error) {
      if (!running && error.name === "TimeoutError") await take({ steal: true }).catch(() => void 0);
      if (!running) throw error;
      return running;
    }
  }
  /** The note that all tabs share. An attempt alone is not a credential. */
  get note() {
    if (!this.#shared) return this.#note;
    try {
      return JSON.parse(localStorage.getItem(this.#name) ?? "null");
    } catch {
      return this.#note;
    }
  }
  set note(note) {
    this.#note = note;
    if (!this.#shared) return;
    try {
      if (note) localStorage.setItem(this.#name, JSON.stringify(note));
      else localStorage.removeItem(this.#name);
    } catch {
    }
  }
};
function newAttempt() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// api/typescript/src/session.ts
var times = { answer: 4e3, retry: 15e3, decision: 1e4, later: 5e3, heard: 500 };
var longestTimer = 2 ** 31 - 1;
var Session = class {
  #o;
  #tabs;
  #tokens = null;
  #state = { status: "unknown" };
  #timer;
  #waiting = [];
  #lastSession = "";
  // the id of the session that this client had last
  #closed = false;
  constructor(o, tabs) {
    this.#o = o;
    this.#tabs = new Tabs(tabs.name, tabs.shared, (message) => this.#receive(message));
  }
  get state() {
    return this.#state;
  }
  get tokens() {
    return this.#tokens;
  }
  get hasCookies() {
    return this.#o.transport !== "body";
  }
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#tabs.close();
  }
  /** Restores the session from the cookies or the storage. Only the first call does so. */
  async restore() {
    if (this.#state.status !== "unknown") return;
    await this.#tabs.runExclusively(async () => {
      if (this.#state.status === "unknown") await this.#renew();
    });
  }
  /** Refreshes, unless the tokens have changed since the caller read `seen`. */
  async refresh(seen) {
    await this.#tabs.runExclusively(async () => {
      if (this.#tokens !== seen || this.#state.status === "signed-out") return;
      if (await this.#waitForNewer()) return;
      await this.#renew();
    });
  }
  /** Refreshes the tokens if the access token expires within a second. */
  async ensureFresh() {
    await this.restore();
    const tokens = this.#tokens;
    if (tokens && Date.now() >= tokens.expiresAt - 1e3) await this.refresh(tokens);
  }
  /**
   * Catches up after the page was suspended (in the back/forward cache or during sleep), because it
   * missed the messages of other tabs.
   */
  async catchUp() {
    const note = this.#tabs.note;
    const tokens = this.#tokens;
    if (this.#state.status === "unknown") return;
    const missed = note ? note.session !== tokens?.session.id || note.generation !== tokens.generation : tokens !== null;
    if (!missed && (!tokens || Date.now() < tokens.refreshAt)) return;
    await this.#tabs.runExclusively(async () => {
      if (this.#tokens !== tokens) return;
      if (missed || !await this.#waitForNewer()) await this.#renew();
    });
  }
  /**
   * Starts a session by `call`, which is a login or an operation with the same response, and stores
   * the tokens. No refresh, login or logout of any tab can run between the two.
   */
  begin(call) {
    return this.#tabs.runExclusively(async () => {
      const response = await call();
      const code = await codeOf(response);
      if (response.ok) await this.#keep(await response.clone().json(), false, null);
      else if (code === "session_expired" || code === "session_revoked") await this.endLocally(code);
      return response;
    });
  }
  /** Logs out by `call`, which gets the stored session as it is when the logout runs. */
  end(call) {
    return this.#tabs.runExclusively(async () => {
      if (this.hasCookies && !this.#tokens) await this.#requestSession();
      let response = await this.#withRetries(async () => call(await this.#loadStored()));
      if (await codeOf(response) === "csrf_failed" && await this.#requestSession()) {
        response = await call(await this.#loadStored());
      }
      if (response.status === 204 || response.status === 401) await this.endLocally("logged_out");
      return response;
    });
  }
  #csrf = "";
  /** Returns the header that a write needs if cookies authenticate the session. */
  csrf() {
    const csrf = this.#tokens?.csrf || this.#csrf;
    return this.hasCookies && csrf ? { "X-CSRFToken": csrf } : {};
  }
  /**
   * Removes a session that has ended on the server, and tells the other tabs. It does nothing if this
   * client has removed the session already or has another one.
   */
  async endLocally(reason, of = this.#tokens) {
    if (of && of.session.id !== this.#tokens?.session.id) return;
    if (this.#o.storage) await this.#o.storage.save(null);
    if (of) this.#tabs.tell({ kind: "ended", session: of.session.id, reason });
    this.#tabs.note = null;
    this.#forget(reason);
  }
  #forget(reason) {
    clearTimeout(this.#timer);
    if (this.#tokens) this.#lastSession = this.#tokens.session.id;
    this.#tokens = null;
    this.#csrf = "";
    this.#setState({ status: "signed-out", reason });
  }
  #setState(state) {
    this.#state = state;
    this.#o.changed(state);
  }
  #receive(message) {
    if (message.kind === "ended") {
      const late = !this.#tokens && this.#lastSession === message.session && message.reason === "refresh_reused";
      const unseen = this.#state.status === "unknown" && this.hasCookies;
      if (unseen || this.#tokens?.session.id === message.session || late) this.#forget(message.reason);
    } else if (message.tokens.session.id === this.#tokens?.session.id) {
      if (message.tokens.generation > this.#tokens.generation) this.#adopt(message.tokens);
    } else if (message.tokens.session.id > (this.#tokens?.session.id ?? this.#lastSession)) {
      if (this.hasCookies) this.#adopt(message.tokens);
      else if (this.#state.status === "signed-out") void this.#renewLater();
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }
  /**
   * Reads the storage after a pause, because the data that another tab has saved may become visible
   * later than its message.
   */
  async #renewLater() {
    await pause(times.heard);
    await this.#tabs.runExclusively(() => this.#renew()).catch(() => void 0);
  }
  /**
   * Waits for the message of another tab if the note shows that it has refreshed or ended the
   * session. Reports whether the tokens have changed.
   */
  async #waitForNewer() {
    const seen = this.#tokens;
    const note = this.#tabs.note;
    if (!seen || !this.#tabs.canReceive || note?.session === seen.session.id && note.generation <= seen.generation) return false;
    await Promise.race([new Promise((resolve) => this.#waiting.push(resolve)), pause(times.heard)]);
    return this.#tokens !== seen;
  }
  #adopt(tokens) {
    this.#tokens = tokens;
    this.#csrf = tokens.csrf;
    this.#schedule(tokens.refreshAt - Date.now());
    this.#setState({ status: "signed-in", session: tokens.session, generation: tokens.generation, expiresAt: tokens.expiresAt, refreshAt: tokens.refreshAt });
  }
  /** Schedules the next refresh. It is retried until it succeeds or the session has ended. */
  #schedule(delay) {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const tokens = this.#tokens;
    this.#timer = setTimeout(
      () => {
        this.refresh(tokens).catch(() => {
          if (this.#tokens === tokens) this.#schedule(times.later);
        });
      },
      Math.min(Math.max(delay, 0), longestTimer)
    );
    this.#timer.unref?.();
  }
  /**
   * Stores the tokens of a response. `mayRotate` means that a request that was given up may still
   * rotate them. `stored` is the stored session if the response is that of a refresh.
   */
  async #keep(result, mayRotate, stored) {
    const now = Date.now();
    const tokens = {
      session: result.session,
      generation: result.generation,
      access: result.access_token ?? "",
      csrf: result.csrf_token ?? "",
      expiresAt: now + result.expires_in * 1e3,
      refreshAt: now + result.refresh_in * 1e3
    };
    if (this.#o.storage && result.refresh_token && result.refresh_token !== stored?.refreshToken) {
      const same = stored && this.#tokens?.session.id === tokens.session.id && this.#tokens.generation === tokens.generation;
      const attempt = same && stored.attempt || newAttempt();
      await this.#o.storage.save({ refreshToken: result.refresh_token, attempt });
    }
    const note = this.#tabs.note;
    const isNew = !note || note.session !== tokens.session.id || note.generation < tokens.generation;
    if (isNew) this.#tabs.note = { attempt: newAttempt(), session: tokens.session.id, generation: tokens.generation };
    this.#adopt(tokens);
    if (mayRotate && !isNew) this.#schedule(times.decision);
    this.#tabs.tell({ kind: "tokens", tokens });
  }
  /**
   * Refreshes the tokens, or finds that there is no session. The promise is rejected if the server
   * cannot be reached.
   */
  async #renew() {
    this.#csrf ||= this.#csrfCookie();
    if (this.hasCookies && !this.csrf()["X-CSRFToken"] && !await this.#requestSession()) return;
    if (this.#o.storage && !await this.#loadStored()) {
      if (this.#state.status !== "signed-out") this.#forget(null);
      return;
    }
    const seen = this.#tokens;
    let givenUp = false;
    let sent = null;
    const ask2 = () => this.#withRetries(async () => this.#sendRefresh(sent = await this.#loadWithAttempt()), () => givenUp = true);
    let response = await ask2();
    if (await codeOf(response) === "csrf_failed") {
      if (!await this.#requestSession()) return;
      response = await ask2();
    }
    const result = response.ok ? await response.json() : null;
    const stored = await this.#loadStored();
    if (sent && stored?.refreshToken !== sent.refreshToken && stored?.refreshToken !== result?.refresh_token) {
      return this.#renew();
    }
    if (result) return this.#keep(result, givenUp, stored);
    if (response.status === 401) {
      const code = await codeOf(response);
      return code === "credentials_missing" && !seen ? this.#forget(null) : this.endLocally(code, seen);
    }
    throw new Error(`refresh: status ${response.status} ${await codeOf(response)}`);
  }
  /**
   * Returns the stored session with an attempt. A new attempt is saved before it is sent, because the
   * response may be lost, or the program may crash before it saves the response.
   */
  async #loadWithAttempt() {
    const stored = await this.#loadStored();
    if (!stored || stored.attempt) return stored;
    const sent = { ...stored, attempt: newAttempt() };
    await this.#o.storage?.save(sent);
    return sent;
  }
  /** Returns the attempt for a refresh by cookie. All tabs share it. It is saved before it is sent. */
  #cookieAttempt() {
    const note = this.#tabs.note ?? { attempt: newAttempt(), session: "", generation: -1 };
    this.#tabs.note = note;
    return note.attempt;
  }
  #sendRefresh(sent) {
    return this.#o.fetch(this.#o.url("/accounts/refresh_token"), {
      method: "POST",
      headers: { "Content-Type": "application/json", "Refresh-Attempt": sent?.attempt ?? this.#cookieAttempt(), ...this.csrf() },
      body: JSON.stringify(sent ? { refresh_token: sent.refreshToken } : {}),
      credentials: this.hasCookies ? "include" : "omit",
      signal: AbortSignal.timeout(times.answer)
    });
  }
  /**
   * Returns the CSRF token in the cookie, or "". Scripts on the API's own host can read this cookie
   * after a reload, so they need not request the token.
   */
  #csrfCookie() {
    if (!this.hasCookies || new URL(this.#o.url("/")).hostname !== location.hostname) return "";
    return /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "";
  }
  /**
   * Requests the session of the cookies and its CSRF token. Reports whether there is a session. The
   * response does not say why an earlier session ended.
   */
  async #requestSession() {
    const response = await this.#withRetries(
      () => this.#o.fetch(this.#o.url("/accounts/session"), { credentials: "include", signal: AbortSignal.timeout(times.answer) })
    );
    if (!response.ok) throw new Error(`session: status ${response.status}`);
    const { session: session2, csrf_token: csrf } = await response.json();
    if (!session2) {
      if (this.#tokens) await this.endLocally("session_revoked");
      else this.#forget(null);
      return false;
    }
    this.#csrf = csrf ?? "";
    if (this.#tokens) this.#tokens = { ...this.#tokens, csrf: this.#csrf };
    return true;
  }
  async #loadStored() {
    return await this.#o.storage?.load() ?? null;
  }
  /**
   * Repeats a call until the response is not "unavailable". The server guarantees that retries are
   * harmless.
   */
  async #withRetries(call, gaveUp) {
    const end = Date.now() + times.retry;
    for (let tries = 1; ; tries++) {
      let wait = Math.min(250 * 2 ** tries, 4e3);
      try {
        const response = await call();
        if (!unavailable(response)) return response;
        wait = retryAfter(response);
        if (Date.now() + wait > end) return response;
      } catch (error) {
        gaveUp?.();
        if (Date.now() + wait > end || globalThis.navigator?.onLine === false) throw error;
      }
      await pause(wait);
    }
  }
};
function unavailable(response) {
  return response.status === 502 || response.status === 503 || response.status === 504;
}
function retryAfter(response) {
  return Math.max(Number(response.headers.get("Retry-After")) || 1, 1) * 1e3;
}
async function codeOf(response) {
  if (!response.headers.get("Content-Type")?.startsWith("application/problem+json")) return "";
  return (await response.clone().json()).code;
}
function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// api/typescript/src/index.ts
var ProblemError = class extends Error {
  constructor(problem, response) {
    super(problem.detail ?? `status ${response.status}`);
    this.problem = problem;
    this.response = response;
  }
  problem;
  response;
  name = "ProblemError";
};
var safeMethods = ["GET", "HEAD", "OPTIONS"];
var longestWait = 1e4;
function createAccountsClient(options = {}) {
  const transport2 = options.transport ?? "hybrid";
  const browser = typeof document !== "undefined";
  if (!browser && transport2 !== "body") {
    throw new Error(`accounts: the transport ${transport2} requires a browser, which stores its cookies. Use the transport "body" here.`);
  }
  const base = (options.baseUrl ?? (browser ? location.origin : "")).replace(/\/+$/, "");
  if (!base) throw new Error("accounts: baseUrl is missing");
  const url = (path) => base + path;
  const send = options.fetch ?? ((...request) => globalThis.fetch(...request));
  const listeners2 = /* @__PURE__ */ new Set();
  const session2 = new Session(
    { url, transport: transport2, storage: options.storage ?? null, fetch: send, changed: (state) => listeners2.forEach((listener) => listener(state)) },
    { name: `accounts ${base}${transport2 === "body" ? " body" : ""}`, shared: browser }
    // one name for each cookie jar
  );
  const credentials = session2.hasCookies ? "include" : "omit";
  async function transmit(request) {
    await session2.ensureFresh();
    let renewals = 0;
    for (let tries = 1; ; tries++) {
      const seen = session2.tokens;
      const response = await send(authorize(request.clone()));
      const code = await codeOf(response);
      if (seen && renewals < worthRenewing(response.status, code)) {
        renewals++;
        await session2.refresh(seen);
      } else if (unavailable(response) && safeMethods.includes(request.method) && tries <= 3 && retryAfter(response) <= longestWait) {
        await pause(retryAfter(response));
      } else {
        if (response.status === 401 && (code === "session_expired" || code === "session_revoked")) await session2.endLocally(code, seen);
        else if (endsOwnSession(request, response, seen)) await session2.endLocally("logged_out", seen);
        return response;
      }
    }
  }
  function worthRenewing(status, code) {
    if (code === "csrf_failed") return 1;
    if (status !== 401) return 0;
    if (code === "access_expired") return 3;
    return code === "access_invalid" || code === "credentials_missing" ? 1 : 0;
  }
  function authorize(request) {
    const access = session2.tokens?.access;
    if (access) request.headers.set("Authorization", `Bearer ${access}`);
    if (!safeMethods.includes(request.method)) {
      for (const [name, value] of Object.entries(session2.csrf())) request.headers.set(name, value);
    }
    return request;
  }
  function endsOwnSession(request, response, seen) {
    if (response.status !== 204) return false;
    const { pathname, searchParams } = new URL(request.url);
    if (request.method !== "DELETE") return false;
    if (pathname === "/accounts/profile") return true;
    return pathname === "/accounts/sessions" ? searchParams.get("keep_current") !== "true" : pathname === `/accounts/sessions/${seen?.session.id}`;
  }
  function post(path, body) {
    const request = new Request(url(path), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials
    });
    return send(authorize(request));
  }
  async function toAnswer(call) {
    const response = await call;
    const content = response.status === 204 ? void 0 : await response.json();
    return response.ok ? { data: content, response } : { error: content, response };
  }
  const api = createClient({ baseUrl: base, credentials, fetch: transmit });
  const readPage = api.GET;
  async function* list2(path, ...[options2]) {
    const { path: segments, query, signal } = options2 ?? {};
    const member = path.slice(path.lastIndexOf("/") + 1);
    let cursor;
    do {
      const params = { path: segments, query: cursor ? { ...query, cursor } : query };
      const { data, error, response } = await readPage(path, { params, signal });
      if (!data) throw new ProblemError(error, response);
      yield* data[member];
      cursor = data.next_cursor;
    } while (cursor);
  }
  const client = {
    api,
    list: list2,
    get state() {
      return session2.state;
    },
    onChange(listener) {
      listeners2.add(listener);
      return () => listeners2.delete(listener);
    },
    async restore() {
      await session2.restore();
      return session2.state;
    },
    login: (body) => toAnswer(session2.begin(() => post("/accounts/login", { ...body, token_transport: transport2 }))),
    verifyEmail: (body) => toAnswer(session2.begin(() => post("/accounts/email/verify", { ...body, token_transport: transport2 }))),
    async changePassword(body) {
      await session2.ensureFresh();
      return toAnswer(session2.begin(() => post("/accounts/password/change", body)));
    },
    logout: () => toAnswer(session2.end((stored) => post("/accounts/logout", stored ? { refresh_token: stored.refreshToken } : {}))),
    async refresh() {
      await session2.restore();
      await session2.refresh(session2.tokens);
      return session2.state;
    },
    async accessToken() {
      await session2.ensureFresh();
      return session2.tokens?.access || null;
    },
    close() {
      session2.close();
      listening.abort();
    }
  };
  const listening = new AbortController();
  if (browser) {
    const catchUp = () => void session2.catchUp().catch(() => void 0);
    addEventListener("pageshow", (event) => event.persisted && catchUp(), { signal: listening.signal });
    addEventListener("online", catchUp, { signal: listening.signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && catchUp(), { signal: listening.signal });
  }
  return client;
}

// server/web/parts/dom.ts
function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return found;
}
function make(name, className, ...content) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content);
  return element;
}
var hideToast;
function showMessage(text) {
  byId("toast").textContent = text;
  clearTimeout(hideToast);
  hideToast = setTimeout(hideMessage, 2500 + 50 * text.length);
}
function hideMessage() {
  byId("toast").textContent = "";
}
var dates = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
function timeElement(time) {
  const element = make("time", "", dates.format(new Date(time)));
  element.dateTime = time;
  return element;
}

// server/web/parts/dialogs.ts
var resolvers = /* @__PURE__ */ new Map();
function showDialog(dialog) {
  closeDialog(dialog, false);
  return new Promise((done) => {
    resolvers.set(dialog, done);
    dialog.showModal();
  });
}
function closeDialog(dialog, yes) {
  const done = resolvers.get(dialog);
  resolvers.delete(dialog);
  dialog.close();
  done?.(yes);
}
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => dialog.open || closeDialog(dialog, false));
  for (const button2 of dialog.querySelectorAll("[data-cancel]")) button2.addEventListener("click", () => closeDialog(dialog, false));
}
function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) closeDialog(dialog, false);
  for (const part of ["ask-title", "ask-text", "ask-warning", "ask-label"]) byId(part).textContent = "";
}
var ask = byId("ask");
var askForm = byId("ask-form");
var typedInput = byId("ask-input");
var fault = byId("ask-input-fault");
var expectedText = "";
async function confirmAction(question) {
  byId("ask-title").textContent = question.title;
  byId("ask-text").textContent = question.text;
  byId("ask-warning").textContent = question.warning ?? "";
  byId("ask-warning").hidden = !question.warning;
  expectedText = question.typed ?? "";
  byId("ask-typed").hidden = !expectedText;
  byId("ask-label").textContent = `Type ${expectedText} to confirm.`;
  showFault("");
  askForm.reset();
  byId("ask-yes").textContent = question.yes;
  const answer = showDialog(ask);
  (expectedText ? typedInput : ask.querySelector("[data-cancel]"))?.focus();
  return answer;
}
function showFault(text) {
  fault.textContent = text;
  if (text) typedInput.setAttribute("aria-invalid", "true");
  else typedInput.removeAttribute("aria-invalid");
}
askForm.addEventListener("submit", (event) => {
  event.preventDefault();
  if (expectedText && typedInput.value.trim() !== expectedText) {
    showFault(`This does not match ${expectedText}.`);
    typedInput.focus();
    return;
  }
  closeDialog(ask, true);
});

// server/web/parts/messages.ts
var problemMessages = {
  request_malformed: "Something went wrong on this page. Reload it and try again.",
  credentials_missing: "You are not signed in. Sign in and try again.",
  credentials_invalid: "The username or the password is wrong, or the email address is not verified yet.",
  access_invalid: "Your session cannot be continued. Sign in again.",
  access_expired: "Your session has to be renewed. Reload the page, or sign in again.",
  refresh_invalid: "Your session cannot be continued. Sign in again.",
  refresh_reused: "Your session may have been copied, so it was ended to protect your account. Sign in again and check the recent activity of your account.",
  session_expired: "Your session has expired. Sign in again.",
  session_revoked: "You have been signed out. Sign in again.",
  csrf_failed: "The server could not confirm that this request comes from you. Reload the page and try again.",
  transport_unusable: "Signing in does not work from this page, because it is on another site.",
  registration_closed: "You cannot sign up here. Ask the operator of this service for an account.",
  role_required: "You do not have permission to do this.",
  reauth_required: "Enter your password once more to continue.",
  resource_not_found: "This does not exist, or you have no access to it.",
  method_not_allowed: "Something went wrong on this page. Reload it and try again.",
  username_taken: "Another user has this username. Choose another one.",
  email_taken: "Another account has this email address.",
  email_unverified: "The email address is not verified yet. A role can be granted after that.",
  superuser_last: "This is the last active superuser. Make another user a superuser first.",
  user_unreachable: "No mail can be sent to this user: the account is deactivated or has no email address.",
  precondition_failed: "This has been changed in the meantime. Check the present state and try again.",
  body_too_large: "This is too much text. Shorten it and try again.",
  media_type_unsupported: "Something went wrong on this page. Reload it and try again.",
  validation_failed: "Some of the fields are not valid. Correct them and try again.",
  link_invalid: "This link is no longer valid. Request a new one.",
  rate_limited: "Too many attempts.",
  server_failed: "Something went wrong on the server. Try again later.",
  service_unavailable: "The server is busy. Try again in a moment."
};
var fieldMessages = {
  required: "Fill in this field.",
  field_unknown: "Something went wrong on this page. Reload it and try again.",
  field_duplicate: "Something went wrong on this page. Reload it and try again.",
  parameter_unknown: "Something went wrong on this page. Reload it and try again.",
  parameter_duplicate: "Something went wrong on this page. Reload it and try again.",
  too_short: "This is too short.",
  too_long: "This is too long.",
  too_few: "There are too few items.",
  too_many: "There are too many items.",
  out_of_range: "This number is too small or too large.",
  format_invalid: "This does not have the right form.",
  type_invalid: "This value cannot be used.",
  value_invalid: "This is not one of the allowed values.",
  taken: "This is already in use. Choose another one.",
  password_common: "This password is easy to guess: it is common, a pattern, or made from your own data. Choose another one.",
  password_breached: "This password is known from a data breach of another website, so attackers may try it. Choose another one.",
  password_wrong: "This is not the right password."
};

// server/web/parts/network.ts
var lost = /* @__PURE__ */ new WeakSet();
async function fetchOrReport(...call) {
  try {
    return await fetch(...call);
  } catch (error) {
    if (typeof error === "object" && error !== null) lost.add(error);
    throw error;
  }
}
var isLost = (error) => error instanceof DOMException || error instanceof Error && lost.has(error);

// server/web/parts/words.ts
function otherwise(value, instead) {
  void value;
  return instead;
}
function nameOf(value) {
  const words = value.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
function explain(problem, response) {
  const code = problem?.code;
  if (!code) return `The server cannot answer right now${response ? ` (status ${response.status})` : ""}. Try again later.`;
  switch (code) {
    case "rate_limited":
      return `${problemMessages[code]} Try again in ${waitTime(response)}.`;
    case "service_unavailable":
      return `The server is busy. Try again in ${waitTime(response)}.`;
    case "request_malformed":
    case "method_not_allowed":
    case "body_too_large":
    case "media_type_unsupported":
    case "server_failed":
      return `Something went wrong. To find the cause in the server log, search for the request ID ${problem.request_id}.`;
    default:
      return problemMessages[code] ?? problem.detail;
  }
}
function waitTime(response) {
  const seconds = Number(response?.headers.get("Retry-After")) || 1;
  if (seconds <= 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}
function explainField({ code, detail, minimum, maximum }) {
  switch (code) {
    case "too_short":
      if (minimum !== void 0) return `This is too short: at least ${minimum} characters.`;
      break;
    case "too_long":
      if (maximum !== void 0) return `This is too long: at most ${maximum} characters.`;
      break;
    case "too_few":
      if (minimum !== void 0) return `There are too few items: at least ${minimum}.`;
      break;
    case "too_many":
      if (maximum !== void 0) return `There are too many items: at most ${maximum}.`;
      break;
    case "out_of_range":
      if (minimum !== void 0 && maximum !== void 0) return `This must be between ${minimum} and ${maximum}.`;
      if (minimum !== void 0) return `This must be at least ${minimum}.`;
      if (maximum !== void 0) return `This must be at most ${maximum}.`;
  }
  return fieldMessages[code] ?? detail;
}
function endNotice(reason) {
  switch (reason) {
    case null:
    case "credentials_missing":
      return null;
    // there was no session
    case "logged_out":
      return { title: "Signed out", text: "You are signed out in all tabs.", alarm: false };
    case "refresh_reused":
      return {
        title: "Your session may have been stolen",
        text: "A refresh token was used again after it had been replaced, which happens if someone has copied it. To protect your account, the server has ended the session. Sign in again and check your security log. If you do not recognize the activity, change your password.",
        alarm: true
      };
    case "session_revoked":
      return {
        title: "Your session was ended",
        text: "It was ended from another device, by a new password, by a staff member, or because its tokens may have been stolen. Sign in again and check your security log for the reason.",
        alarm: true
      };
    case "session_expired":
      return { title: "Your session has expired", text: "It was not used for too long, or has reached its maximum lifetime. Sign in again.", alarm: true };
    case "refresh_invalid":
      return {
        title: "Your session cannot be continued",
        text: "The server does not accept its tokens, because its keys, address or database have changed. Sign in again.",
        alarm: true
      };
    default:
      return otherwise(reason, { title: "Your session has ended", text: "Sign in again.", alarm: true });
  }
}
function device(userAgent) {
  if (userAgent === null) return "Unknown device";
  const first = (names) => names.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = first([[/Edg\//, "Edge"], [/Firefox\//, "Firefox"], [/Chrom(e|ium)\//, "Chrome"], [/Safari\//, "Safari"]]);
  const system = first([[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS/, "macOS"], [/Linux/, "Linux"]]);
  if (browser) return system ? `${browser} on ${system}` : browser;
  return userAgent.split(" ")[0]?.slice(0, 40) || "Unknown device";
}

// server/web/parts/forms.ts
function onSubmit(id, submit, done) {
  const form = byId(id);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    clearFaults(form);
    if (!validate(form)) return;
    hidePasswords(form);
    form.setAttribute("aria-busy", "true");
    const fields = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    submit(fields).then((result) => result && (!result.response.ok ? showProblem(form, result.error, result.response) : done(result, fields))).catch((error) => showFormFault(form, connectionFault(error))).finally(() => form.removeAttribute("aria-busy"));
  });
  for (const button2 of form.querySelectorAll(".peek")) {
    setPasswordsVisible(button2, false);
    button2.addEventListener("click", () => setPasswordsVisible(button2, button2.getAttribute("aria-pressed") !== "true"));
  }
  return form;
}
function connectionFault(error) {
  if (isLost(error)) return "The server cannot be reached. Check your connection and try again.";
  console.error(error);
  return problemMessages.request_malformed;
}
function reset(form) {
  form.reset();
  clearFaults(form);
  hidePasswords(form);
}
function clearFaults(form) {
  for (const fault2 of form.querySelectorAll(".fault")) fault2.textContent = "";
  for (const input of form.querySelectorAll("input, select")) input.removeAttribute("aria-invalid");
}
function validate(form) {
  for (const input of form.querySelectorAll("input")) {
    if (input.validity.valueMissing) showFault2(input, "This field is required.");
    else if (!input.validity.valid) showFault2(input, "Enter a valid email address.");
  }
  return focusFault(form);
}
function showProblem(form, problem, response) {
  let named = false;
  for (const error of problem?.errors ?? []) {
    const control = form.elements.namedItem((error.pointer ?? "").slice(1));
    if (!(control instanceof HTMLInputElement || control instanceof HTMLSelectElement)) continue;
    showFault2(control, error.code === "taken" ? explain(problem, response) : explainField(error));
    named = true;
  }
  if (named) focusFault(form);
  else showFormFault(form, explain(problem, response));
}
function showFormFault(form, text) {
  const box = form.querySelector("[role=alert]");
  if (box) box.textContent = text;
}
function showFault2(input, text) {
  byId(`${input.id}-fault`).textContent = text;
  input.setAttribute("aria-invalid", "true");
}
function focusFault(form) {
  const first = form.querySelector("[aria-invalid]");
  first?.focus();
  return first === null;
}
function hidePasswords(form) {
  for (const button2 of form.querySelectorAll(".peek")) setPasswordsVisible(button2, false);
}
function setPasswordsVisible(button2, open) {
  for (const input of button2.form?.querySelectorAll("[autocomplete$=password]") ?? []) input.type = open ? "text" : "password";
  button2.textContent = open ? "Hide" : "Show";
  button2.setAttribute("aria-pressed", String(open));
  button2.setAttribute("aria-label", "Show password");
}

// server/web/parts/reauth.ts
function withReauthentication(client, username2) {
  const dialog = byId("reauth");
  const form = onSubmit("reauth-form", ({ password: password2 = "" }) => client().api.POST("/accounts/reauthenticate", { body: { password: password2 } }), () => {
    closeDialog(dialog, true);
  });
  async function showPassword() {
    reset(form);
    byId("reauth-username").value = username2();
    const answer = showDialog(dialog);
    byId("reauth-password").focus();
    return answer.finally(() => reset(form));
  }
  let asking = null;
  return async function reauthenticated(call) {
    for (; ; ) {
      const result = await call();
      if (result.error?.code !== "reauth_required") return result;
      asking ??= showPassword().finally(() => asking = null);
      if (!await asking) return null;
    }
  };
}

// server/web/parts/settings.ts
async function readSettings(client) {
  return client.api.GET("/accounts/settings").then(({ data }) => data?.settings ?? null, () => null);
}
function showSettings({ password: password2, recent_authentication_seconds: recent }) {
  for (const place of document.querySelectorAll("[data-min-length]")) place.textContent = String(password2.min_length);
  for (const input of document.querySelectorAll("[autocomplete=new-password]")) input.setAttribute("passwordrules", `minlength: ${password2.min_length}; allowed: unicode;`);
  for (const place of document.querySelectorAll("[data-recent]")) place.textContent = String(Math.ceil(recent / 60));
}
var languages = new Intl.DisplayNames("en", { type: "language", fallback: "code" });

// server/web/demo/src/wire.ts
var longest = 40;
var list = byId("wire");
var lastCookieTransport = null;
var cookieTransport = () => lastCookieTransport;
async function recordedFetch(...call) {
  const request = new Request(...call);
  const sent = await members(request.clone());
  const withCookies = request.credentials !== "omit" && hasCookies();
  const began = performance.now();
  const entry = entryFor(request);
  try {
    const response = await fetchOrReport(request);
    const answer = await members(response.clone());
    if (response.ok && isTransport(answer["token_transport"]) && answer["token_transport"] !== "body") lastCookieTransport = answer["token_transport"];
    entry.answered(response.status, Math.round(performance.now() - began), typeof answer["code"] === "string" ? answer["code"] : "");
    return response;
  } catch (error) {
    entry.lost();
    throw error;
  } finally {
    entry.showCredentials([...headers(request), ...withCookies ? cookies() : [], ...secrets(sent)]);
  }
}
function isTransport(value) {
  return value === "hybrid" || value === "cookies" || value === "server_held" || value === "body";
}
async function members(message) {
  try {
    return await message.json();
  } catch {
    return {};
  }
}
function headers(request) {
  const found = [];
  if (request.headers.has("Authorization")) found.push({ name: "Authorization: Bearer" });
  for (const name of ["X-CSRFToken", "Refresh-Attempt"]) if (request.headers.has(name)) found.push({ name });
  return found;
}
function hasCookies() {
  return document.cookie.split("; ").some((pair) => pair.startsWith("csrftoken="));
}
function cookies() {
  const prefix = location.protocol === "https:" ? "__Host-" : "";
  const access = { name: `cookie ${prefix}access`, hidden: true };
  const refresh2 = { name: `cookie ${prefix}refreshtoken`, hidden: true };
  switch (lastCookieTransport) {
    case "hybrid":
      return [refresh2];
    case "cookies":
      return [access, refresh2];
    case "server_held":
      return [access];
    default:
      return [{ name: "the session's cookies", hidden: true }];
  }
}
function secrets(sent) {
  const names = { refresh_token: "refresh token in the body", token: "one-time token in the body", password: "password in the body", current_password: "password in the body" };
  return Object.entries(names).filter(([member]) => typeof sent[member] === "string").map(([, name]) => ({ name }));
}
function purpose(method, path) {
  const at = `${method} ${path.replace("/accounts/", "").replace(/[0-9a-f-]{36}/, "{id}")}`;
  const purposes = {
    "GET session": "Find out whether there is a session",
    "GET settings": "Read the public settings",
    "POST reauthenticate": "Confirm the password",
    "POST email/change": "Change the email address",
    "POST email/change/resend": "Send the link to the new address again",
    "DELETE email/change": "Cancel the email change",
    "DELETE profile": "Delete the account",
    "POST refresh_token": "Refresh the tokens",
    "POST login": "Sign in",
    "POST logout": "Sign out",
    "POST register": "Sign up",
    "POST email/verify": "Verify the email address and sign in",
    "POST password/change": "Change the password",
    "GET profile": "Read the profile",
    "PATCH profile": "Save the profile",
    "GET sessions": "List the sessions",
    "DELETE sessions": "End sessions",
    "DELETE sessions/{id}": "End one session",
    "GET events": "Read the security log"
  };
  return purposes[at] ?? "";
}
function entryFor(request) {
  const { pathname, search } = new URL(request.url);
  const status = make("span", "status", "…");
  const chips = make("ul", "chips");
  const code = make("code", "code");
  const time = make("span", "took");
  const path = make("span", "path", make("b", "", request.method), " ", (pathname + search).replace(/([0-9a-f]{8})-[0-9a-f-]{27}/, "$1…"));
  const item = make("li", "", make("div", "line", status, path, time), make("p", "purpose", purpose(request.method, pathname)), chips);
  list.prepend(item);
  while (list.children.length > longest) list.lastElementChild?.remove();
  show();
  return {
    answered(number, milliseconds, problem) {
      status.textContent = String(number);
      status.classList.add(number < 400 ? "good" : "bad");
      time.textContent = `${milliseconds} ms`;
      if (problem) {
        code.textContent = problem;
        item.querySelector(".purpose")?.append(" ", code);
      }
    },
    lost() {
      status.textContent = "failed";
      status.classList.add("bad");
    },
    showCredentials(all) {
      chips.replaceChildren(...all.map(({ name, hidden }) => {
        const chip = make("li", hidden ? "chip hidden" : "chip", name);
        if (hidden) chip.append(make("span", "quiet", " (hidden from scripts)"));
        return chip;
      }));
      if (all.length === 0) chips.replaceChildren(make("li", "chip none", "no credential"));
    }
  };
}
function show() {
  const empty = list.children.length === 0;
  list.hidden = empty;
  byId("clear").hidden = empty;
  byId("legend").hidden = empty;
  byId("no-requests").hidden = !empty;
}
byId("clear").addEventListener("click", () => {
  list.replaceChildren();
  show();
});

// server/web/demo/src/client.ts
var transports = ["hybrid", "cookies", "server_held", "body"];
var transportKey = "accounts demo transport";
var sessionKey = "accounts demo session";
var storage = {
  load: () => JSON.parse(sessionStorage.getItem(sessionKey) ?? "null"),
  save: (session2) => session2 ? sessionStorage.setItem(sessionKey, JSON.stringify(session2)) : sessionStorage.removeItem(sessionKey)
};
function connect(transport2) {
  return transport2 === "body" ? createAccountsClient({ transport: transport2, storage, fetch: recordedFetch }) : createAccountsClient({ transport: transport2, fetch: recordedFetch });
}
var listeners = /* @__PURE__ */ new Set();
var transport = transports.find((name) => name === localStorage.getItem(transportKey)) ?? "hybrid";
var accounts = connect(transport);
var tell = (state) => listeners.forEach((listener) => listener(state));
accounts.onChange(tell);
var settings = readSettings(accounts);
var username = "";
function setUsername(name) {
  username = name;
}
var callWithReauthentication = withReauthentication(() => accounts, () => username);
var chosenTransport = () => transport;
var currentTransport = () => transport === "body" ? transport : cookieTransport() ?? transport;
function chooseTransport(next) {
  if (next === transport) return;
  accounts.close();
  transport = next;
  localStorage.setItem(transportKey, next);
  accounts = connect(next);
  accounts.onChange(tell);
}
function onChange(listener) {
  listeners.add(listener);
}

// server/web/parts/lists.ts
async function fillList(list2, read, done, again) {
  if (list2.children.length === 0) list2.replaceChildren(...[1, 2, 3].map(() => make("li", "placeholder")));
  list2.setAttribute("aria-busy", "true");
  let fault2 = "";
  try {
    const { data, error, response } = await read();
    if (data) list2.replaceChildren(...done(data));
    else fault2 = explain(error, response);
  } catch (error) {
    fault2 = connectionFault(error);
  }
  list2.removeAttribute("aria-busy");
  if (!fault2) return;
  const retry = make("button", "small", "Try again");
  retry.type = "button";
  retry.dataset["retry"] = "";
  retry.addEventListener("click", again);
  list2.replaceChildren(make("li", "failed", make("p", "", fault2), retry));
}

// server/web/demo/src/tabs.ts
function makeTabs(name, onChoose = () => void 0) {
  const nav = document.querySelector(`[data-tabs="${name}"]`);
  const buttons = [...nav?.querySelectorAll("[data-tab]") ?? []];
  const panels = [...nav?.parentElement?.querySelectorAll("[data-panel]") ?? []];
  const choose = (tab) => {
    for (const button2 of buttons) {
      if (button2.dataset["tab"] === tab) button2.setAttribute("aria-current", "true");
      else button2.removeAttribute("aria-current");
    }
    for (const panel of panels) panel.hidden = panel.dataset["panel"] !== tab;
    onChoose(tab);
  };
  for (const button2 of buttons) button2.addEventListener("click", () => choose(button2.dataset["tab"] ?? ""));
  return choose;
}

// server/web/demo/src/words.ts
function eventTitle(kind) {
  const name = kind;
  switch (kind) {
    case "registered":
      return { text: "Signed up" };
    case "email_verified":
      return { text: "Email verified" };
    case "login":
      return { text: "Signed in" };
    case "login_failed":
      return { text: "Sign-in failed", bad: true };
    case "password_wrong":
      return { text: "Wrong password", bad: true };
    case "rate_limited":
      return { text: "Too many attempts", bad: true };
    case "logout":
      return { text: "Signed out" };
    case "session_revoked":
      return { text: "Session ended" };
    case "sessions_revoked":
      return { text: "Sessions ended" };
    case "refresh_graced":
      return { text: "Replaced token used from elsewhere", bad: true };
    case "refresh_reused":
      return { text: "Token reuse, session ended", bad: true };
    case "password_changed":
      return { text: "Password changed" };
    case "password_reset":
      return { text: "Password reset by email" };
    case "username_changed":
      return { text: "Username changed" };
    case "email_change_requested":
      return { text: "Email change requested" };
    case "email_change_canceled":
      return { text: "Email change canceled" };
    case "email_changed":
      return { text: "Email changed" };
    case "activated":
      return { text: "Account activated" };
    case "deactivated":
      return { text: "Account deactivated" };
    case "reauthenticated":
      return { text: "Password confirmed" };
    case "invited":
      return { text: "Invited by a staff member" };
    case "profile_changed":
      return { text: "Name or language changed" };
    case "roles_changed":
      return { text: "Roles changed" };
    case "password_reset_sent":
      return { text: "Reset email sent by a staff member" };
    case "login_limit_reset":
      return { text: "Sign-in limit reset" };
    case "deleted":
      return { text: "Account deleted" };
    default:
      return otherwise(kind, { text: nameOf(name) });
  }
}
function aboutTransport(transport2) {
  const name = transport2;
  switch (transport2) {
    case "hybrid":
      return "The access token is in the memory of this page. The refresh token is in a cookie that scripts cannot read.";
    case "cookies":
      return "Both tokens are in cookies that scripts cannot read.";
    case "server_held":
      return "The access token is in a cookie that scripts cannot read. The refresh token never leaves the server.";
    case "body":
      return "This page stores both tokens, so an injected script could read them. Use this transport in apps, not in browsers.";
    default:
      return otherwise(transport2, `The transport ${name}.`);
  }
}

// server/web/demo/src/account.ts
var sessions = byId("sessions");
var events = byId("events");
var older = byId("older");
var show2 = makeTabs("signed-in", load);
function enter() {
  byId("hello").textContent = "Hello";
  byId("hello-lead").textContent = aboutTransport(currentTransport());
  for (const form of [profile, address, password]) reset(form);
  for (const list2 of [sessions, events]) list2.replaceChildren();
  show2("profile");
}
function reload() {
  byId("hello-lead").textContent = aboutTransport(currentTransport());
  void readProfile();
  if (shown !== "profile") load(shown);
}
function leave() {
  for (const form of [profile, address, password]) reset(form);
  setUsername("");
  byId("who").textContent = "Not signed in";
  byId("hello").textContent = "Hello";
  for (const list2 of [sessions, events]) list2.replaceChildren();
}
var shown = "";
function load(tab) {
  shown = tab;
  if (tab === "profile") void readProfile();
  else if (tab === "sessions") void readSessions();
  else if (tab === "events") void readEvents();
}
var profile = onSubmit("profile", ({ username: username2 = "", first_name = "", last_name = "" }) => accounts.api.PATCH("/accounts/profile", { body: { username: username2, first_name, last_name } }), ({ data }) => {
  if (data) fill(data.user);
  showMessage("Saved.");
});
var password = onSubmit("password", ({ current_password = "", new_password = "" }) => accounts.changePassword({ current_password, new_password }), () => {
  reset(password);
  showMessage("Password changed. All other sessions have ended.");
});
var address = onSubmit("address", ({ email = "" }) => callWithReauthentication(() => accounts.api.POST("/accounts/email/change", { body: { email } })), (_, { email = "" }) => {
  reset(address);
  showMessage(`A link was sent to ${email}.`);
  void readProfile();
});
function onPending(id, call, done) {
  const button2 = byId(id);
  button2.addEventListener("click", () => void runAction(button2, call, done).then(readProfile));
}
onPending("pending-resend", () => accounts.api.POST("/accounts/email/change/resend"), "A new link was sent. Older links no longer work.");
onPending("pending-cancel", () => accounts.api.DELETE("/accounts/email/change"), "The change was canceled.");
var remove = byId("delete");
remove.addEventListener("click", () => void (async () => {
  const username2 = byId("who").textContent ?? "";
  const question = { title: `Delete ${username2}?`, text: "The account is deleted with its sessions and events. This cannot be undone.", yes: "Delete", typed: username2 };
  if (await confirmAction(question)) await runAction(remove, () => callWithReauthentication(() => accounts.api.DELETE("/accounts/profile")), "Your account was deleted.");
})());
function fill(user) {
  setUsername(user.username);
  byId("who").textContent = user.username;
  byId("password-account").value = user.username;
  byId("hello").textContent = `Hello, ${user.first_name || user.username}`;
  byId("profile-username").value = user.username;
  byId("profile-first").value = user.first_name;
  byId("profile-last").value = user.last_name;
  const facts = {
    email: user.email ?? "none",
    verified: user.email_verified ? "yes" : "no",
    joined: timeElement(user.date_joined),
    login: user.last_login ? timeElement(user.last_login) : "–"
  };
  byId("pending").hidden = user.pending_email === null;
  byId("pending-email").textContent = user.pending_email ?? "";
  for (const [name, value] of Object.entries(facts)) document.querySelector(`[data-fact=${name}]`)?.replaceChildren(value);
}
async function readProfile() {
  profile.setAttribute("aria-busy", "true");
  try {
    const { data, error, response } = await accounts.api.GET("/accounts/profile");
    if (data) fill(data.user);
    else showMessage(explain(error, response));
  } catch (error) {
    showMessage(connectionFault(error));
  } finally {
    profile.removeAttribute("aria-busy");
  }
}
function row(title, details, ...action) {
  return make("li", "", make("div", "", make("p", "row-title", ...title), make("p", "row-text", ...details)), ...action);
}
function readSessions() {
  return fillList(sessions, () => accounts.api.GET("/accounts/sessions"), ({ sessions: all }) => {
    byId("others").disabled = all.length < 2;
    return all.map(sessionRow);
  }, () => void readSessions());
}
function sessionRow(session2) {
  const title = [device(session2.user_agent), " ", make("span", "badge", session2.token_transport)];
  const details = ["Since ", timeElement(session2.created_at), ...session2.ip ? [` · ${session2.ip}`] : []];
  if (session2.current) return row([...title, " ", make("span", "badge good", "this one")], details);
  const end = make("button", "small", "End", make("span", "quiet", ` the session of ${device(session2.user_agent)}`));
  end.type = "button";
  end.addEventListener("click", () => void endSession(session2.id, end));
  return row(title, details, end);
}
async function endSession(id, button2) {
  await runAction(button2, () => accounts.api.DELETE("/accounts/sessions/{session_id}", { params: { path: { session_id: id } } }), "The session has ended.");
  await readSessions();
}
async function endSessions(button2, keepCurrent) {
  await runAction(button2, () => accounts.api.DELETE("/accounts/sessions", { params: { query: { keep_current: keepCurrent } } }), keepCurrent ? "All other sessions have ended." : "You are signed out on all devices.");
  if (keepCurrent) await readSessions();
}
async function runAction(button2, call, done) {
  if (button2.getAttribute("aria-busy") === "true") return;
  button2.setAttribute("aria-busy", "true");
  try {
    const result = await call();
    if (result) showMessage(result.response.ok ? done : explain(result.error, result.response));
  } catch (error) {
    showMessage(connectionFault(error));
  } finally {
    button2.removeAttribute("aria-busy");
  }
}
function readEvents(cursor) {
  const read = () => accounts.api.GET("/accounts/events", { params: { query: { limit: 12, ...cursor ? { cursor } : {} } } });
  return fillList(events, read, ({ events: all, next_cursor }) => {
    older.hidden = next_cursor === null;
    older.dataset["cursor"] = next_cursor ?? "";
    const rows = all.map(eventRow);
    return cursor ? [...events.children, ...rows] : rows;
  }, () => void readEvents(cursor));
}
function eventRow(event) {
  const { text, bad } = eventTitle(event.kind);
  const where = event.ip ? `${device(event.user_agent)}, ${event.ip}` : "";
  const by = event.actor === "staff" ? "by a staff member" : "";
  const changed = event.changes.map(({ field, before, after }) => `${nameOf(field)}: ${before || "none"} → ${after || "none"}`);
  return row(
    [text, ...bad ? [" ", make("span", "badge bad", "was it you?")] : []],
    [timeElement(event.created_at), ...[by, where, ...changed, event.detail].filter(Boolean).map((text2) => ` · ${text2}`)]
  );
}
older.addEventListener("click", () => void readEvents(older.dataset["cursor"]));
for (const [id, keepCurrent] of [["others", true], ["everywhere", false]]) {
  const button2 = byId(id);
  button2.addEventListener("click", () => void endSessions(button2, keepCurrent));
}

// server/web/demo/src/welcome.ts
var loginName = byId("login-username");
var knownKey = "accounts demo known";
var show3 = makeTabs("signed-out");
var signup = onSubmit("signup", ({ email = "", username: username2 = "", password: password2 = "" }) => accounts.api.POST("/accounts/register", { body: { email, username: username2, password: password2 } }), (_, { username: username2 = "", password: password2 = "" }) => {
  byId("verify-password").value = password2;
  loginName.value = username2;
  byId("verify-account").value = username2;
  reset(signup);
  show3("verify");
  showMessage("Signed up. Now open the email.");
  byId("verify-token").focus();
});
var verify = onSubmit("verify", ({ token = "", password: password2 = "" }) => accounts.verifyEmail({ token: tokenIn(token), password: password2 }), ({ data }) => {
  reset(verify);
  if (data) showMessage(`Verified. Welcome, ${data.user.username}!`);
});
var login = onSubmit("login", ({ username: username2 = "", password: password2 = "" }) => accounts.login({ username: username2, password: password2 }), (_, { username: username2 = "" }) => {
  reset(login);
  loginName.value = username2;
  showMessage("Signed in.");
});
function tokenIn(pasted) {
  const text = pasted.trim();
  return new URLSearchParams(text.split("#")[1] ?? "").get("token") ?? text;
}
function enter2() {
  const known = localStorage.getItem(knownKey) !== null;
  if (known) {
    byId("welcome").textContent = "Sign in again";
    byId("welcome-lead").textContent = "Choose another transport and compare the requests.";
  }
  show3(known ? "login" : "signup");
}
function leave2() {
  localStorage.setItem(knownKey, "yes");
  const name = loginName.value;
  for (const form of [signup, verify, login]) reset(form);
  loginName.value = name;
}
for (const radio of document.querySelectorAll("[name=transport]")) {
  radio.checked = radio.value === chosenTransport();
  radio.addEventListener("change", () => {
    const next = transports.find((name) => name === radio.value);
    if (next) chooseTransport(next);
  });
}
void settings.then((known) => {
  if (!known) return;
  showSettings(known);
  byId("closed").hidden = known.registration !== "closed";
  byId("signup-fields").hidden = known.registration === "closed";
});
byId("copy").addEventListener("click", () => {
  navigator.clipboard.writeText(byId("command").textContent ?? "").then(() => showMessage("Copied."), () => showMessage("The browser does not allow this page to copy."));
});

// server/web/demo/src/session.ts
var bar = byId("access-bar");
var button = byId("refresh");
var life = { session: "", longest: 0 };
function draw(state) {
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
function tick() {
  const state = accounts.state;
  if (state.status !== "signed-in") return;
  const left = state.expiresAt - Date.now();
  byId("access-left").textContent = duration(left);
  byId("refresh-left").textContent = duration(state.refreshAt - Date.now());
  bar.value = Math.min(1, Math.max(0, left / life.longest));
}
function duration(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1e3));
  const hours = Math.floor(seconds / 3600);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours >= 1) return `${hours} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
async function refresh() {
  const before = accounts.state;
  button.setAttribute("aria-busy", "true");
  try {
    const after = await accounts.refresh();
    if (before.status !== "signed-in" || after.status !== "signed-in") return;
    showMessage(after.generation > before.generation ? `New tokens: generation ${after.generation}.` : "The tokens are unchanged, because they are too recent to rotate. Try again in a minute.");
  } catch (error) {
    showMessage(connectionFault(error));
  } finally {
    button.removeAttribute("aria-busy");
  }
}
button.addEventListener("click", () => void refresh());
onChange(draw);
setInterval(tick, 1e3);

// server/web/demo/src/main.ts
var shown2 = "";
var session = "";
function draw2(state) {
  const signedIn = state.status === "signed-in";
  if (state.status === "unknown" || state.status === shown2 && (!signedIn || state.session.id === session)) return;
  const before = shown2;
  shown2 = state.status;
  session = signedIn ? state.session.id : "";
  byId("waiting").hidden = true;
  byId("stage").removeAttribute("aria-busy");
  byId("signed-out").hidden = signedIn;
  byId("signed-in").hidden = !signedIn;
  byId("logout").hidden = !signedIn;
  byId("ended").hidden = true;
  if (signedIn) {
    if (before === "signed-in") return reload();
    leave2();
    enter();
  } else {
    closeDialogs();
    leave();
    enter2();
    showEndNotice(state);
  }
  if (before) document.querySelector(`#${signedIn ? "signed-in" : "signed-out"} h1`)?.focus();
}
function showEndNotice(state) {
  const words = endNotice(state.reason);
  if (!words) return;
  if (!words.alarm) return showMessage(words.text);
  hideMessage();
  byId("ended-title").textContent = words.title;
  byId("ended-text").textContent = words.text;
  byId("ended").hidden = false;
}
var logout = byId("logout");
logout.addEventListener("click", () => void runAction(logout, () => accounts.logout(), "Signed out."));
onChange(draw2);
accounts.restore().then(draw2, (error) => {
  draw2({ status: "signed-out", reason: null });
  showMessage(connectionFault(error));
});
