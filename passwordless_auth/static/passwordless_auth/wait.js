// Keeps the waiting page true: is the message on its way, how long does it work, is this browser signed in by now?
// All words come from the page, so that they are translated. Without this script the page says the same after a reload.

const page = document.querySelector("[data-status-url]");
const find = (name) => page.querySelector(`[data-${name}]`);
const [delivery, ago, trouble, otherWay, left, said, resend, hint] = [
  "delivery", "ago", "trouble", "other-way", "left", "said", "resend", "hint",
].map(find);

const FIRST_WAIT = 2000;
const LONGEST_WAIT = 10000;
const FINAL = new Set(["spent", "superseded", "cancelled", "expired", "dead"]);

let ends, resendFrom, since, timer;
let wait = FIRST_WAIT;
let finished = false;

const secondsUntil = (moment) => Math.max(0, Math.ceil((moment - Date.now()) / 1000));
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

function setText(element, text) {
  // A live region speaks at every write, also of the same words.
  if (element && element.textContent !== text) element.textContent = text;
}

function setClocks(secondsLeft, resendSeconds) {
  ends = Date.now() + secondsLeft * 1000;
  resendFrom = Date.now() + resendSeconds * 1000;
}

function setSince(seconds) {
  since = seconds === null ? null : Date.now() - seconds * 1000;
}

const relative = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "auto" });

function tick() {
  tickDown();
  ago.hidden = since === null;
  if (since === null) return;
  const seconds = Math.max(0, Math.floor((Date.now() - since) / 1000));
  setText(ago, seconds < 60 ? relative.format(-seconds, "second") : relative.format(-Math.round(seconds / 60), "minute"));
}

function tickDown() {
  const seconds = secondsUntil(ends);
  const { text, over, soon } = left.dataset;
  setText(left, seconds ? text.replace("{time}", clock(seconds)) : over);
  // The clock is silent for screen readers; only the last minute is said, once.
  if (seconds && seconds <= 60) setText(said, soon);

  if (!resend) return;
  const pause = secondsUntil(resendFrom);
  resend.disabled = pause > 0;
  hint.hidden = pause === 0;
  if (pause) setText(hint, hint.dataset.text.replace("{time}", clock(pause)));
}

function setDelivery(state) {
  const text = delivery.dataset[state === "handed_over" ? "handedOver" : state];
  if (!text) return;
  delivery.dataset.state = state;
  setText(delivery, text);
}

function finish() {
  finished = true;
  clearTimeout(timer);
}

function reloadOnce(state) {
  finish();
  const key = `passwordless-wait:${page.dataset.challenge}:${state}`;
  try {
    if (sessionStorage.getItem(key)) return;
    sessionStorage.setItem(key, "1");
  } catch {
    return; // Without a memory it could go round in circles.
  }
  // Not reload(): after a wrong code that would ask whether to send the form again.
  location.replace(location.href.split("#")[0]);
}

async function poll() {
  clearTimeout(timer);
  if (finished || document.hidden) return;
  try {
    const response = await fetch(page.dataset.statusUrl, { headers: { Accept: "application/json" }, cache: "no-store" });
    const answer = response.ok ? await response.json() : null;
    if (finished) return;
    if (answer?.next) {
      finish();
      location.replace(answer.next);
      return;
    }
    if (answer) {
      setDelivery(answer.delivery);
      setSince(answer.delivery_seconds);
      trouble.hidden = !answer.trouble;
      otherWay.hidden = !answer.other_way;
      setClocks(answer.seconds_left, answer.resend_seconds);
      tick();
      if (FINAL.has(answer.state)) return reloadOnce(answer.state);
    }
  } catch {
    // No network for a moment: the next round tries again.
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  timer = setTimeout(poll, wait);
  wait = Math.min(wait * 1.3, LONGEST_WAIT);
}

function resume() {
  finished = false;
  wait = FIRST_WAIT;
  poll();
}

if (page) {
  setClocks(Number(page.dataset.secondsLeft), Number(page.dataset.resendSeconds));
  setSince(ago.dataset.ago ? Number(ago.dataset.ago) : null);
  tick();
  setInterval(() => document.hidden || tick(), 1000);
  schedule();
  // A person who comes back from the mail wants the news at once.
  document.addEventListener("visibilitychange", () => document.hidden || finished || resume());
  // A form that is on its way must not be overtaken by a reload.
  document.addEventListener("submit", finish);
  addEventListener("pageshow", (event) => event.persisted && resume());
}
