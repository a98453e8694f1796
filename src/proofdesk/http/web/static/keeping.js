// What is typed into a form survives: it is kept in the browser, for one person, project and form, until it is sent.

const shell = () => document.getElementById("shell");
const TYPED = "textarea, input:is([type=text], [type=search], [type=email], [type=number], [type=datetime-local])";
// These differ whenever a page is made, or say where it goes on.
const PASSING = ["csrf_token", "project_id", "idempotency_key", "next"];
const memory = new Map(); // where the browser refuses storage, text lasts as long as the page
const store = {
  get: (key) => { try { return localStorage.getItem(key) ?? memory.get(key); } catch { return memory.get(key); } },
  set: (key, value) => { memory.set(key, value); try { localStorage.setItem(key, value); } catch { /* full or refused */ } },
  remove: (key) => { memory.delete(key); try { localStorage.removeItem(key); } catch { /* refused */ } },
};

const owner = () => `proofdesk.text ${JSON.stringify(shell().dataset.user ?? "")}`;
function keyOf(form) {
  const fixed = [...form.elements].filter((e) => e.type === "hidden" && !PASSING.includes(e.name));
  const place = [shell().dataset.project, new URL(form.action).pathname, ...fixed.map((e) => [e.name, e.value])];
  return `${owner()} ${JSON.stringify(place)}`;
}
const isKept = (form) => form?.method === "post" && shell()?.dataset.user && form.closest("#main") && form.querySelector(TYPED);

// Values ----------------------------------------------------------------------------------------------------------

const fields = (form) => [...form.elements].filter((e) => e.name && !["hidden", "password", "submit", "button"].includes(e.type) && !(e instanceof HTMLFieldSetElement));
const isTick = (field) => ["checkbox", "radio"].includes(field.type);
const changed = (field) => field instanceof HTMLSelectElement ? [...field.options].some((o) => o.selected !== o.defaultSelected) : isTick(field) ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
const valuesOf = (form) => fields(form).filter((f) => !isTick(f) || f.checked).map((f) => [f.name, f.value]);

function keep(form) {
  if (!isKept(form)) return;
  if (fields(form).some(changed)) store.set(keyOf(form), JSON.stringify({ at: Date.now(), values: valuesOf(form) }));
  else store.remove(keyOf(form));
}

function restore(form) {
  const kept = store.get(keyOf(form));
  if (!kept) return;
  const { at, values } = JSON.parse(kept);
  if (JSON.stringify(values) === JSON.stringify(valuesOf(form))) return;
  put(form, values);
  form.querySelector(".restored")?.remove();
  const notice = document.getElementById("restored").content.firstElementChild.cloneNode(true);
  const time = Object.assign(document.createElement("time"), { dateTime: new Date(at).toISOString() });
  time.dataset.ago = "";
  notice.querySelector("p span").replaceWith(time);
  form.prepend(notice);
  form.closest("details")?.setAttribute("open", "");
  const first = form.querySelector(TYPED);
  first.dispatchEvent(new Event("input", { bubbles: true })); // previews and lists of choices follow
}

function put(form, values) {
  const left = [...values];
  for (const field of fields(form)) {
    const at = left.findIndex(([name, value]) => name === field.name && (!isTick(field) || value === field.value));
    if (isTick(field)) field.checked = at >= 0;
    else if (at >= 0) field.value = left[at][1];
    if (at >= 0) left.splice(at, 1);
  }
  // A choice that the server has yet to offer is sent with the request for the choices.
  for (const [name, value] of left) {
    const choices = form.querySelector(`[data-choices="${CSS.escape(name)}"]`);
    choices?.append(Object.assign(document.createElement("input"), { type: "radio", name, value, checked: true, hidden: true }));
  }
}

const seen = new WeakSet();
export function restoreForms(root) {
  for (const form of root.querySelectorAll("form[method=post]")) {
    if (isKept(form) && !seen.has(form)) restore(form);
    seen.add(form);
  }
}

// When ------------------------------------------------------------------------------------------------------------

const waiting = new Map();
document.addEventListener("input", ({ target }) => {
  if (!target.form || waiting.has(target.form)) return;
  waiting.set(target.form, setTimeout(() => flush(target.form), 200));
});
function flush(form) {
  clearTimeout(waiting.get(form));
  waiting.delete(form);
  if (form.isConnected) keep(form);
}
const flushAll = () => [...waiting.keys()].forEach(flush);

document.addEventListener("htmx:config:request", flushAll);
document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  const { sourceElement: form, request, response } = ctx;
  const isSent = ["submit", "change"].includes(ctx.sourceEvent?.type) && !request.submitter?.formNoValidate;
  if (isSent && response.status < 400 && isKept(form)) store.remove(keyOf(form));
});
document.addEventListener("click", ({ target }) => {
  const form = target.closest?.("[data-discards]")?.form;
  if (!form) return;
  store.remove(keyOf(form));
  form.querySelector(".restored").remove();
  form.reset();
});

const unsent = () => [...document.querySelectorAll("form[method=post]")].filter((form) => isKept(form) && store.get(keyOf(form)));
let isSigningOut = false;
addEventListener("submit", ({ target }) => { isSigningOut = new URL(target.action).pathname === "/logout"; });
addEventListener("beforeunload", (event) => { flushAll(); if (unsent().length) event.preventDefault(); });
addEventListener("pagehide", () => {
  flushAll();
  if (!isSigningOut) return;
  try { for (const key of Object.keys(localStorage)) if (key.startsWith(owner())) localStorage.removeItem(key); } catch { /* refused */ }
});
document.addEventListener("htmx:before:request", (event) => {
  const { sourceElement, target, request } = event.detail.ctx;
  const leaves = target === document.body && (request.method === "GET" || new URL(sourceElement.action).pathname.startsWith("/projects"));
  const stays = unsent().filter((form) => form !== sourceElement); // the form that is sent takes its text along
  if (leaves && stays.length && !confirm("This page has unsent text. Leave it? The text is kept in this browser.")) event.preventDefault();
});
