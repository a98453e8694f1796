// Requests of htmx: each failure is shown, each action runs once, and neither a session that ended nor a project that was
// switched in another tab takes the page and its text away.

import { toast } from "./toasts.js";

const shell = () => document.getElementById("shell");
const isAction = ({ sourceEvent }) => ["submit", "click", "change"].includes(sourceEvent?.type);
const isQuiet = ({ sourceElement }) => sourceElement.matches("[data-quiet]");

// A second click while the first is under way does nothing; requests that replace each other say so with hx-sync.
document.addEventListener("htmx:config:request", (event) => {
  const { sourceElement, request } = event.detail.ctx;
  if (request.method === "GET" || sourceElement.hasAttribute("hx-sync")) return;
  if (sourceElement.ariaBusy === "true") event.preventDefault();
  else sourceElement.ariaBusy = "true";
});
document.addEventListener("htmx:finally:request", (event) => { event.detail.ctx.sourceElement.ariaBusy = null; });

document.addEventListener("htmx:error", (event) => {
  const { ctx, error } = event.detail;
  if (ctx?.sourceElement.matches("[data-quiet]")) stale(ctx, true);
  else if (error?.name !== "AbortError") toast({ tone: "bad", text: "The server did not respond. Check the connection and try again." });
});

document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  const { status, headers } = ctx.response;
  stale(ctx, status >= 500);
  if (status < 400) return;
  const refusal = refused(headers.get("hx-trigger"));
  if (refusal) REFUSALS[refusal.code](ctx, refusal);
  else if (!headers.has("x-request-id")) {
    event.preventDefault(); // a proxy answered, not Proofdesk: its page must not replace ours
    if (!isQuiet(ctx)) toast({ tone: "bad", text: `The server answered with status ${status}. Try again in a minute.` });
  }
});

// What follows changes by itself says in one place that it cannot, for as long as it cannot.
function stale(ctx, failed) {
  if (ctx.sourceElement.id === "live") document.getElementById("stale").hidden = !failed;
}

function refused(trigger) {
  try { return JSON.parse(trigger)?.refused; } catch { return undefined; }
}

const REFUSALS = {
  unauthorized: (ctx) => (isAction(ctx) ? signIn(ctx) : toast({ tone: "bad", text: "Your session has ended. Your text stays on this page.", action: { label: "Sign in", run: () => signIn() } })),
  csrf_invalid: (ctx) => renew(ctx),
  project_changed: (ctx, { text, project_id, project }) => toast({ tone: "bad", text, action: project_id && { label: `Go back to ${project}`, run: () => goBack(project_id) } }),
};

// Sign in on the page, then repeat what was refused.
function signIn(ctx) {
  const dialog = document.getElementById("sign-in");
  const form = dialog.querySelector("form");
  const wrong = dialog.querySelector("[role=alert]");
  wrong.textContent = wrong.className = "";
  form.onsubmit = async (event) => {
    event.preventDefault();
    const body = JSON.stringify({ username: shell().dataset.user, password: form.elements.password.value });
    const answer = await send("/v1/auth/login", { body });
    form.elements.password.value = "";
    if (!answer.ok) { wrong.textContent = answer.message; wrong.className = "wrong"; return; }
    dialog.close();
    adopt(csrfCookie());
    toast({ text: "You are signed in again." });
    if (ctx) repeat(ctx);
  };
  if (!dialog.open) dialog.showModal();
}

// Another tab may have signed in again: then this page takes the new token over, if it is the same person's.
async function renew(ctx) {
  const [me, token] = [await send("/v1/auth/me", { method: "GET" }), csrfCookie()];
  if (me.ok && !me.authenticated) signIn(isAction(ctx) ? ctx : undefined);
  else if (me.username && me.username !== shell().dataset.user) toast({ tone: "bad", text: `You are signed in as ${me.username} now. Nothing was done. Reload the page to continue.` });
  else if (token && token !== inheritedHeaders()["x-csrf-token"]) { adopt(token); if (isAction(ctx)) repeat(ctx); }
  else toast({ tone: "bad", text: "The request did not carry the token of this session, so nothing was done. Reload the page and try again." });
}

async function goBack(project) {
  const answer = await send(`/v1/projects/${project}/select`);
  if (answer.ok) toast({ text: `You are back in ${answer.project.name}. You can continue.` });
  else toast({ tone: "bad", text: answer.message });
}

function repeat({ sourceElement, sourceEvent, request }) {
  if (sourceEvent.type === "submit") sourceElement.requestSubmit(request.submitter ?? undefined);
  else htmx.trigger(sourceElement, sourceEvent.type);
}

async function send(url, { method = "POST", body = "{}" } = {}) {
  const headers = { "content-type": "application/json", "x-csrf-token": inheritedHeaders()["x-csrf-token"] };
  try {
    return await (await fetch(url, { method, headers, body: method === "GET" ? undefined : body })).json();
  } catch {
    return { ok: false, message: "The server did not respond. Check the connection and try again." };
  }
}

const inheritedHeaders = () => JSON.parse(shell().getAttribute("hx-headers:inherited"));
function csrfCookie() {
  const name = `${shell().dataset.csrfCookie}=`;
  return document.cookie.split("; ").find((cookie) => cookie.startsWith(name))?.slice(name.length);
}
function adopt(token) {
  shell().setAttribute("hx-headers:inherited", JSON.stringify({ ...inheritedHeaders(), "x-csrf-token": token }));
  for (const field of document.querySelectorAll('input[name="csrf_token"]')) field.value = token;
}
