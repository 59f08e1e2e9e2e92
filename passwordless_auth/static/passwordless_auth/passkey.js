// Passkeys in the browser: offered in the address field, by a button, added, and kept in step with this site.
// All words come from the page, so that they are translated.

const supported = typeof PublicKeyCredential !== "undefined" && "parseRequestOptionsFromJSON" in PublicKeyCredential;
// What a person does in the browser's own dialog, and no error: they closed it, or another request took its place.
const QUIET = new Set(["NotAllowedError", "AbortError"]);

let running; // The request that waits in the address field: there can be only one.

async function post(url, body) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
    cache: "no-store",
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.detail), { answer });
  return answer;
}

function show(root, error) {
  const place = root.querySelector("[data-passkey-error]");
  if (!place) return;
  const quiet = !error || QUIET.has(error.name);
  place.hidden = quiet;
  if (!quiet) place.textContent = error.answer?.detail || place.dataset.text || error.message;
}

// -- Telling the passkey manager what is true here (WebAuthn Level 3 §5.1.10)

async function signal(name, details) {
  try {
    await PublicKeyCredential[name]?.(details);
  } catch {
    // A manager that does not listen loses nothing.
  }
}

async function signalAll(url) {
  try {
    const response = await fetch(url, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (!response.ok) return;
    const { rpId, userId, allAcceptedCredentialIds, name, displayName } = await response.json();
    await signal("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds });
    await signal("signalCurrentUserDetails", { rpId, userId, name, displayName });
  } catch {
    // No network for a moment: the next page tells it.
  }
}

// -- Signing in

async function signIn(root, { mediation, identifier } = {}) {
  const { optionsUrl, verifyUrl, signalUrl, stepUp } = root.dataset;
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const asked = { ...(identifier && { identifier }), ...(stepUp && { step_up: true }) };
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(await post(optionsUrl, asked));
  if (mine.signal.aborted) return;
  const credential = await navigator.credentials.get({ publicKey: options, mediation, signal: mine.signal });
  if (!credential) return;
  try {
    const { next } = await post(verifyUrl, credential.toJSON());
    if (signalUrl) await signalAll(signalUrl);
    location.assign(next);
  } catch (error) {
    if (error.answer?.error === "unknown_credential") {
      await signal("signalUnknownCredential", { rpId: error.answer.rpId, credentialId: credential.id });
    }
    throw error;
  }
}

async function offerInField(root) {
  const field = document.querySelector('input[autocomplete~="webauthn"]');
  if (!field || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  try {
    await signIn(root, { mediation: "conditional" });
  } catch (error) {
    show(root, error);
  }
}

async function press(root, action) {
  const button = root.querySelector("[data-passkey-button]");
  show(root, null);
  button.disabled = true;
  try {
    await action();
  } catch (error) {
    show(root, error);
    // The dialog took the place of the offer in the field: put it back.
    if (root.matches("[data-passkey-sign-in]")) offerInField(root);
  } finally {
    button.disabled = false;
  }
}

// -- Adding

async function add(root) {
  const { optionsUrl, registerUrl } = root.dataset;
  running?.abort();
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(await post(optionsUrl, {}));
  let credential;
  try {
    credential = await navigator.credentials.create({ publicKey: options });
  } catch (error) {
    if (error.name === "InvalidStateError") error.message = root.dataset.already || error.message;
    throw error;
  }
  const { next } = await post(registerUrl, credential.toJSON());
  location.assign(root.dataset.next || next);
}

if (supported) {
  for (const root of document.querySelectorAll("[data-passkey-sign-in]")) {
    root.hidden = false;
    root.querySelector("[data-passkey-button]")?.addEventListener("click", () => {
      // An address that was typed names the passkeys that may answer.
      const field = document.querySelector('input[autocomplete~="webauthn"]');
      const identifier = root.dataset.identifier || (field?.value.includes("@") ? field.value.trim() : "");
      press(root, () => signIn(root, { identifier }));
    });
    if ("autofill" in root.dataset) offerInField(root);
  }
  for (const root of document.querySelectorAll("[data-passkey-add]")) {
    root.hidden = false;
    root.querySelector("[data-passkey-button]").addEventListener("click", () => press(root, () => add(root)));
  }
  for (const root of document.querySelectorAll("[data-signal]")) signalAll(root.dataset.signalUrl);
}
