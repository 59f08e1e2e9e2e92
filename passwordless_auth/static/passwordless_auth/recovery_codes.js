// Keep the recovery codes that are on the page: as a file, in the clipboard, on paper. They never leave the browser.

const root = document.querySelector("[data-codes]");

function lines() {
  const codes = [...root.querySelectorAll("[data-code]")].map((code) => code.textContent);
  const head = [...root.querySelectorAll(".pa-print p:first-child")].map((text) => text.innerText);
  return [...head, "", ...codes, ""].join("\n");
}

function download() {
  const url = URL.createObjectURL(new Blob([lines()], { type: "text/plain" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: root.dataset.name });
  link.click();
  // Not at once: the browser reads it after this function is over.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function copy(event) {
  const button = event.currentTarget;
  await navigator.clipboard.writeText(lines());
  button.textContent = button.dataset.done;
  root.querySelector("[data-codes-said]").textContent = button.dataset.done;
}

if (root) {
  root.querySelector("[data-codes-buttons]").hidden = false;
  root.querySelector("[data-codes-download]").addEventListener("click", download);
  root.querySelector("[data-codes-print]").addEventListener("click", () => print());
  const copying = root.querySelector("[data-codes-copy]");
  // Only a secure context has a clipboard.
  if (navigator.clipboard) copying.addEventListener("click", copy);
  else copying.hidden = true;
}
