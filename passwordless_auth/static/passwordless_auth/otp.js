// Types the code of a text message in, where the browser may read it (WebOTP). The message names this site in its last
// line, so the browser hands the code to no other. Without this the phone's keyboard offers the code.

const form = document.querySelector("form[data-otp]");

async function ask() {
  const controller = new AbortController();
  // Who types is quicker; and the browser takes one question at a time, so a passkey's comes first.
  const stop = () => controller.abort();
  form.addEventListener("submit", stop, { once: true });
  document.addEventListener("click", ({ target }) => target.closest("[data-passkey-button]") && stop(), { capture: true });
  try {
    const { code } = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal: controller.signal });
    form.elements.code.value = code;
    form.requestSubmit();
  } catch {
    // Not read, not allowed, or stopped: the field is there.
  }
}

if (form && "OTPCredential" in globalThis) {
  ask();
  addEventListener("pageshow", (event) => event.persisted && ask());
}
