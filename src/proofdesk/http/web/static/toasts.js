// Toasts: the server sends them with the page, or as `HX-Trigger: {"toast": {"text": …, "tone": …}}`.

// `action` is a button: its label, and what it does. A toast with the same text replaces the earlier one.
export function toast({ text, tone = "good", action }) {
  const toasts = document.querySelector(".toasts");
  for (const earlier of toasts.children) if (earlier.querySelector("p").textContent === text) earlier.remove();
  const made = document.getElementById("toast").content.firstElementChild.cloneNode(true);
  made.classList.add(tone);
  if (tone === "bad") made.setAttribute("role", "alert");
  made.querySelector("p").textContent = text;
  if (action) made.querySelector("p").after(actionButton(made, action));
  toasts.append(made);
  if (tone !== "bad") leave(made);
}

function actionButton(made, { label, run }) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "link", textContent: label });
  button.addEventListener("click", () => { made.remove(); run(); });
  return button;
}

export const leave = (made) => setTimeout(() => made.matches(":hover, :focus-within") ? leave(made) : made.remove(), 8000);

document.addEventListener("toast", (event) => toast(event.detail));
