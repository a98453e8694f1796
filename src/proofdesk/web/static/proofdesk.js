// What pages do beyond HTML and htmx. Everything works without it, only less comfortably.

// Light or dark: the choice is a cookie, so that the server draws the page right from the start.
const toggle = document.querySelector("[data-theme-toggle]");
if (toggle) {
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme === "auto"
      ? window.matchMedia("(prefers-color-scheme: dark)").matches
      : root.dataset.theme === "dark";
    root.dataset.theme = dark ? "light" : "dark";
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax${secure}`;
  });
}

// A form of one select needs no button.
for (const form of document.querySelectorAll("[data-sends-itself]")) {
  form.classList.add("sends-itself");
  form.addEventListener("change", () => form.requestSubmit());
}

// While results are fetched, say so to those who cannot see it.
const results = document.getElementById("results");
document.addEventListener("htmx:before:request", (event) => {
  if (results && event.target.classList?.contains("ask")) results.setAttribute("aria-busy", "true");
});
document.addEventListener("htmx:finally:request", () => results?.setAttribute("aria-busy", "false"));

// A mode or filter that is changed after a question asks it again.
const ask = document.querySelector("form.ask");
ask?.addEventListener("change", (event) => {
  if (event.target.id !== "q" && ask.elements.q.value.trim()) ask.requestSubmit();
});
