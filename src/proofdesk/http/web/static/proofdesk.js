// What pages do beyond HTML and htmx. Everything works without it, only less comfortably.
// Listeners sit on the document, since htmx puts other bodies into the page.

import { restoreForms } from "./keeping.js";
import { showLocalInputs } from "./localtimes.js";
import "./requests.js";
import { leave } from "./toasts.js";

// Light or dark: the choice is a cookie, so that the server draws the page right from the start.
function theme(chosen) {
  document.documentElement.dataset.theme = chosen;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${chosen}; path=/; max-age=31536000; samesite=lax${secure}`;
  showTheme();
}
function showTheme() {
  for (const button of document.querySelectorAll("[data-set-theme]"))
    button.setAttribute("aria-pressed", String(button.dataset.setTheme === document.documentElement.dataset.theme));
}

// Times: in the zone of whoever reads, the exact one on hover.
const LANGUAGE = document.documentElement.lang; // that of all other words on the page
const near = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto", style: "short" });
const full = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "full", timeStyle: "long", hourCycle: "h23" });
const short = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];
function ago(when) {
  const seconds = (when - Date.now()) / 1000;
  for (const [unit, length] of STEPS) if (Math.abs(seconds) >= length) return near.format(Math.trunc(seconds / length), unit);
  return near.format(Math.trunc(seconds), "second");
}
function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const when = new Date(time.dateTime);
    if (Number.isNaN(when.valueOf()) || !time.dateTime.includes("T")) continue;
    const far = Math.abs(when - Date.now()) > 30 * 86400e3;
    time.textContent = "ago" in time.dataset && !far ? ago(when) : short.format(when);
    time.title = full.format(when);
  }
}

// Plots are drawn from the table beside them, which stays for those who do not see them.
function showPlots(root) {
  for (const plot of root.querySelectorAll("[data-plot]:not([data-drawn])"))
    import("./plot.js").then((module) => module.draw(plot));
}

function showReference(root) {
  for (const element of root.querySelectorAll("[data-reference]:not([data-drawn])"))
    import("./reference.js").then((module) => module.draw(element));
}

function show(root) {
  showLocalInputs(root);
  restoreForms(root);
  showTheme();
  showTimes(root);
  showPlots(root);
  showReference(root);
  for (const toast of root.querySelectorAll(".toast:not(.bad)")) leave(toast);
}

// Times are made those of the reader before they take the place of others, or one would see them change.
document.addEventListener("htmx:before:swap", (event) => {
  for (const task of event.detail.tasks) showTimes(task.fragment);
});
document.addEventListener("htmx:after:swap", (event) => {
  show(document);
  if (event.detail.ctx.target === document.body) document.getElementById("main")?.focus({ preventScroll: true });
});

// The thread beside the results: it shows the message that was found, and closes without another request.
function closeThread() {
  const hit = document.querySelector(".hit[aria-current]");
  hit?.removeAttribute("aria-current");
  document.getElementById("beside").replaceChildren();
  const address = new URL(location);
  address.searchParams.delete("open");
  history.pushState(null, "", address);
  hit?.querySelector(".hit-open").focus({ preventScroll: true });
}
document.addEventListener("htmx:after:swap", (event) => {
  const into = event.detail.ctx.target;
  if (into?.id === "beside") into.focus({ preventScroll: true });
  const cited = into?.matches?.("#beside, .around") && into.querySelector(".cited");
  if (cited) into.scrollTop = cited.offsetTop - into.clientHeight / 3;
});

// Leaving the stream cancels the question on the server.
function cancelAnswer(answer) {
  answer.querySelector("form").dispatchEvent(new CustomEvent("htmx:abort"));
  answer.remove();
  document.getElementById("q")?.focus();
}

document.addEventListener("click", (event) => {
  const on = (selector) => event.target.closest?.(selector);
  if (on("[data-set-theme]")) theme(on("[data-set-theme]").dataset.setTheme);
  if (on(".hit-open"))
    for (const hit of document.querySelectorAll(".hit")) hit.toggleAttribute("aria-current", hit.contains(event.target));
  if (on("[data-closes]") && on(".beside")) {
    event.preventDefault();
    closeThread();
  }
  if (on("[data-dismiss]")) on(".toast").remove();
  if (on("[data-cancel]")) cancelAnswer(on(".answer"));
  if (on("[data-expands]")) {
    const burger = on("[data-expands]");
    burger.setAttribute("aria-expanded", String(burger.getAttribute("aria-expanded") !== "true"));
  }
  // Where the browser does not know command and commandfor itself.
  const opener = on("[commandfor]");
  if (opener && !("commandForElement" in HTMLButtonElement.prototype)) {
    const dialog = document.getElementById(opener.getAttribute("commandfor"));
    if (opener.getAttribute("command") === "show-modal") dialog.showModal(); else dialog.close();
  }
  if (event.target.matches?.("dialog[open]")) event.target.close(); // beside it
});
document.addEventListener("keydown", (event) => {
  const burger = document.querySelector('[data-expands][aria-expanded="true"]');
  if (event.key === "Escape" && document.querySelector("#beside > *") && !document.querySelector("dialog[open], :popover-open")) closeThread();
  if (event.key === "Escape" && burger) { burger.setAttribute("aria-expanded", "false"); burger.focus(); }
  const writing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (!writing && !event.ctrlKey && !event.metaKey && !event.altKey && !document.querySelector("dialog[open], :popover-open")) pressKey(event);
  if (event.key === "/" && !writing && !event.ctrlKey && !event.metaKey) {
    const box = document.querySelector('input[type="search"]');
    if (box) { event.preventDefault(); box.focus(); box.select(); }
  }
});

// In a list with keys, j and k move from entry to entry, and a key presses the button of the entry that names it.
function pressKey(event) {
  const entries = [...document.querySelectorAll("[data-keys] > *")];
  const at = entries.findIndex((entry) => entry.contains(document.activeElement));
  const step = { j: 1, k: -1 }[event.key];
  const next = step ? entries[Math.max(0, Math.min(entries.length - 1, at + step))] : null;
  const button = at < 0 || next ? null : entries[at].querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (next || button) event.preventDefault();
  next?.focus();
  button?.click();
}
// The entry that takes the place of another keeps its focus.
document.addEventListener("htmx:before:swap", (event) => {
  const entry = event.detail.ctx.target?.closest?.("[data-keys] > *");
  if (entry?.contains(document.activeElement)) entry.parentElement.dataset.returns = entry.id;
});
document.addEventListener("htmx:after:swap", () => {
  const list = document.querySelector("[data-returns]");
  if (!list) return;
  document.getElementById(list.dataset.returns)?.focus({ preventScroll: true });
  delete list.dataset.returns;
});

// A form whose fields are choices sends itself.
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form?.matches("[data-sends-itself]") && event.target.type !== "search") form.requestSubmit();
});

show(document);
setInterval(() => showTimes(document), 30_000);
