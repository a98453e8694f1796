// Times that a person chooses are shown and typed in the zone of that person, and sent in UTC.

function toLocal(utc) {
  const at = new Date(`${utc}Z`);
  return Number.isNaN(at.valueOf()) ? utc : new Date(at - at.getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
}
const toUtc = (local) => new Date(local).toISOString().slice(0, 16);

export function showLocalInputs(root) {
  for (const input of root.querySelectorAll("input[data-utc]:not([data-local])")) {
    const typed = input.value !== input.defaultValue;
    input.dataset.local = "";
    input.defaultValue = toLocal(input.defaultValue);
    if (!typed) input.value = input.defaultValue;
    const hint = document.getElementById(`${input.id}-hint`);
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (hint) hint.textContent = hint.textContent.replace("In UTC.", `In your time zone, ${zone}.`);
  }
}

document.addEventListener("formdata", (event) => {
  for (const input of event.target.querySelectorAll("input[data-local]"))
    if (input.value) event.formData.set(input.name, toUtc(input.value));
});
