// Starts Swagger UI and does what a front end does for its users: it keeps the Bearer token of the
// last sign-in and sends the CSRF token.
"use strict";

(function () {
  const contractURL = "/openapi.json";
  const bearerScheme = "bearerAuth"; // name of the security scheme in the contract
  const csrfCookie = "csrftoken";
  const csrfHeader = "X-CSRFToken";
  const firstSteps = ["login", "refreshToken", "logout"]; // operationIds, in the order in which a user needs them
  const safeMethods = ["GET", "HEAD", "OPTIONS"];

  const stateLine = document.getElementById("state");
  const notice = document.getElementById("notice");

  let lastCSRFToken = ""; // of the last response that had one
  let heldCookie = false; // the last sign-in used cookies

  // Swagger UI has its dark colors under this class. Its top bar sets the class, but this page has no
  // top bar.
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  function applyColors() {
    document.documentElement.classList.toggle("dark-mode", dark.matches);
  }
  dark.addEventListener("change", applyColors);
  applyColors();

  function cookie(name) {
    for (const pair of document.cookie.split("; ")) {
      const cut = pair.indexOf("=");
      if (pair.slice(0, cut) === name) {
        return pair.slice(cut + 1);
      }
    }
    return "";
  }

  function here(url) {
    const target = new URL(url, location.href);
    return target.origin === location.origin ? target : null;
  }

  // The CSRF token of the cookie is preferred, because another tab may have signed in since. A value
  // typed into the Authorize dialog is not replaced, so that a user can try a wrong one.
  function beforeRequest(request) {
    const target = here(request.url);
    const method = (request.method || "GET").toUpperCase();
    if (target === null || request.loadSpec || safeMethods.includes(method)) {
      return request;
    }
    const token = cookie(csrfCookie) || lastCSRFToken;
    if (token !== "" && request.headers[csrfHeader] === undefined) {
      request.headers[csrfHeader] = token;
    }
    return request;
  }

  // Only responses with tokens (login, refresh and similar operations) have token_transport and
  // expires_in; reauthenticate has only expires_in. Every operation that ends the session of this
  // page clears its cookies, including csrftoken, the only one that scripts can read.
  function afterResponse(response) {
    const target = here(response.url);
    if (target === null || !response.ok) {
      return response;
    }
    const answer = response.body;
    if (answer !== null && typeof answer === "object") {
      if (typeof answer.csrf_token === "string") {
        lastCSRFToken = answer.csrf_token;
      }
      if (typeof answer.token_transport === "string") {
        signedIn(answer);
      }
    }
    if (target.pathname === "/accounts/logout" || (heldCookie && cookie(csrfCookie) === "")) {
      signedOut();
    }
    return response;
  }

  // The Bearer token of an earlier sign-in is removed even if the response has no new one: the server
  // ignores the cookies of a request with an Authorization header.
  function signedIn(answer) {
    heldCookie = cookie(csrfCookie) !== "";
    if (typeof answer.access_token === "string") {
      ui.preauthorizeApiKey(bearerScheme, answer.access_token);
    } else {
      dropBearer();
    }
    showState("signed in \u00b7 " + answer.token_transport, true);
  }

  function signedOut() {
    lastCSRFToken = "";
    heldCookie = false;
    dropBearer();
    showState("not signed in", false);
  }

  // Swagger UI throws if logout is called without a stored token.
  function dropBearer() {
    const held = ui.authSelectors.authorized();
    if (held && held.has(bearerScheme)) {
      ui.authActions.logout([bearerScheme]);
    }
  }

  function showState(text, on) {
    stateLine.textContent = text;
    stateLine.classList.toggle("on", on);
  }

  // The contract names the public URL of the server, to which Swagger UI sends the requests. If the
  // page was opened under another origin, such as 127.0.0.1 instead of localhost, its policy blocks
  // them.
  function checkOrigin() {
    const servers = ui.specSelectors.specJson().get("servers");
    const first = servers && servers.first();
    const base = new URL((first && first.get("url")) || "/", location.href);
    if (base.origin === location.origin || !/^https?:$/.test(base.protocol)) {
      return;
    }
    const link = document.createElement("a");
    link.href = base.origin + location.pathname;
    link.textContent = link.href;
    notice.replaceChildren("The requests of this page go to " + base.origin + ". Open it there to try them: ", link);
    notice.hidden = false;
  }

  // After a reload the cookies are still there, but the access token is not.
  if (cookie(csrfCookie) !== "") {
    showState("session cookie found \u00b7 refresh_token continues it", false);
  }

  // The members of a JSON object have no order, so the contract's order of paths may be lost. The
  // first steps are sorted to the top. The other operations keep their order, because the sort is
  // stable.
  function byStep(a, b) {
    const rank = (operation) => {
      const at = firstSteps.indexOf(operation.getIn(["operation", "operationId"]));
      return at < 0 ? firstSteps.length : at;
    };
    return rank(a) - rank(b);
  }

  // The server sets the cookies, and scripts cannot read most of them. For a cookie, the Authorize
  // dialog says so instead of showing a field that would have no effect.
  function cookiesNeedNoField() {
    const wrap = (Original, system) => function (props) {
      const element = system.React.createElement;
      if (props.schema.get("in") !== "cookie") {
        return element(Original, props);
      }
      return element("div", null,
        element("h4", null, element("code", null, props.name), "\u00a0(cookie ", props.schema.get("name"), ")"),
        element("p", { className: "nothing-to-enter" }, "Set by login and refresh_token and sent by the browser; nothing to enter."));
    };
    return { wrapComponents: { apiKeyAuth: wrap } };
  }

  const ui = window.SwaggerUIBundle({
    url: contractURL,
    domNode: document.getElementById("docs"),
    presets: [window.SwaggerUIBundle.presets.apis],
    plugins: [cookiesNeedNoField],
    layout: "BaseLayout",
    validatorUrl: null, // the default asks a public service to validate the contract
    deepLinking: true,
    docExpansion: "list",
    operationsSorter: byStep,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    defaultModelExpandDepth: 2,
    showCommonExtensions: true,
    persistAuthorization: false, // a token in localStorage outlives the tab and any logout
    queryConfigEnabled: false, // disables ?url=…, so that a link cannot show a foreign contract here
    requestSnippetsEnabled: false,
    requestInterceptor: beforeRequest,
    responseInterceptor: afterResponse,
    onComplete: checkOrigin,
  });
})();
