// Two devices, one story: each page asks how far it is, and shows the next step when there is one. All words come from
// the page. Without this script a reload does the same.

const FIRST_WAIT = 1500;
const LONGEST_WAIT = 5000;

const page = document.querySelector("[data-enrol]");
let wait = FIRST_WAIT;
let finished = false;
let timer;

function showAgain() {
  finished = true;
  clearTimeout(timer);
  // Not reload(): after a wrong number that would ask whether to send the form again.
  location.replace(location.href.split("#")[0]);
}

async function ask() {
  clearTimeout(timer);
  if (finished || document.hidden) return;
  try {
    const response = await fetch(page.dataset.statusUrl, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (response.redirected) return showAgain(); // To the sign-in page: nobody is signed in here any more.
    // What can't be answered any more, the page says in words. (A server that is down for a moment is no answer.)
    const answer = response.status < 500 ? await response.json() : null;
    if (finished) return;
    if (answer && answer.step !== page.dataset.enrolStep) return showAgain();
  } catch {
    // No network for a moment: the next round tries again.
  }
  timer = setTimeout(ask, wait);
  wait = Math.min(wait * 1.15, LONGEST_WAIT);
}

function resume() {
  finished = false;
  wait = FIRST_WAIT;
  ask();
}

if (page) {
  timer = setTimeout(ask, wait);
  document.addEventListener("visibilitychange", () => document.hidden || finished || resume());
  // A form that is on its way must not be overtaken.
  document.addEventListener("submit", () => {
    finished = true;
    clearTimeout(timer);
  });
  addEventListener("pageshow", (event) => event.persisted && resume());
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  field.addEventListener("focus", () => field.select());
  if (!navigator.clipboard) continue; // Only pages over HTTPS may copy.
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = button.dataset.copied;
    } catch {
      field.select(); // Then the person copies it.
    }
  });
}
