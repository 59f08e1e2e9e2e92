// Spares the press of the button in the browser that asked: submits the form once, shortly after the page is seen.
// The button stays for everyone else, and for whoever comes back to this page.

const form = document.querySelector("form[data-auto-submit]");

function firstTime() {
  const key = `passwordless-link:${form.dataset.autoSubmit}`;
  try {
    if (sessionStorage.getItem(key)) return false;
    sessionStorage.setItem(key, "1");
    return true;
  } catch {
    return false; // Without a memory, Back could go round in circles.
  }
}

function submitSoon() {
  // A page that is only fetched ahead, or waits in another tab, has not been opened by a person yet.
  if (document.hidden) return;
  document.removeEventListener("visibilitychange", submitSoon);
  setTimeout(async () => {
    await passkeysTold();
    if (!sent && firstTime()) form.requestSubmit(form.querySelector("button"));
  }, 300);
}

// passkey-offer.js adds a field as soon as the browser has told it something; that need not keep anybody waiting.
function passkeysTold() {
  if (form.dataset.passkeyOffer !== "") return null;
  return new Promise((resolve) => {
    form.addEventListener("passkey-offer", resolve, { once: true });
    setTimeout(resolve, 1000);
  });
}

let sent = false;

if (form) {
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) sent = false;
  });
  document.addEventListener("visibilitychange", submitSoon);
  submitSoon();
}
