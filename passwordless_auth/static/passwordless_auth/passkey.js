// Passkeys: offered in the address field, by a button, added, and kept in step with this site. All words come from the
// page, so that they are translated. Where passkeys can't be, nothing of this is shown.

const supported = Boolean(globalThis.PublicKeyCredential && navigator.credentials?.create);
const MEMBERS = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
// The part of a challenge's life after which the offer in the field gets a new one.
const FRESH = 0.8;

// -- JSON and bytes: older browsers, and some passkey managers, do not do it themselves

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
const toText = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const described = (list) => list?.map((each) => ({ ...each, id: toBytes(each.id) }));

function answerOf({ id, rawId, type, response }) {
  const given = MEMBERS.filter((name) => response[name]).map((name) => [name, toText(response[name])]);
  const transports = response.getTransports?.();
  return { id, rawId: toText(rawId), type, response: { ...Object.fromEntries(given), transports }, clientExtensionResults: {} };
}

async function post(url, body, signal) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    cache: "no-store",
    signal,
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.detail), { answer });
  return answer;
}

// -- One request at a time: the browser refuses a second one until it has let go of the first

let current = { controller: new AbortController(), over: Promise.resolve() };

function request(work) {
  const before = current;
  before.controller.abort();
  const controller = new AbortController();
  const result = before.over.then(() => work(controller.signal));
  current = { controller, over: result.catch(() => {}) };
  return result;
}

// -- What the person is told

function say(root, error) {
  const { cancelled, already, failed } = root.dataset;
  const [place, said] = ["error", "said"].map((name) => root.querySelector(`[data-passkey-${name}]`));
  const stopped = error?.name === "NotAllowedError"; // It is no error to close the browser's dialog.
  said.textContent = stopped ? cancelled : "";
  place.hidden = !error || stopped || error.name === "AbortError";
  if (place.hidden) return;
  const text = error.answer?.detail || (error.name === "InvalidStateError" && already) || failed;
  place.querySelector("span").textContent = text;
}

async function attempt(root, action) {
  // Not by disabling the button: it would lose the focus.
  if (root.ariaBusy === "true") return;
  root.ariaBusy = "true";
  offerEnds = Infinity;
  say(root, null);
  try {
    await action();
  } catch (error) {
    const { stepUpUrl } = root.dataset;
    if (error.answer?.error === "step_up_required" && stepUpUrl) return location.assign(stepUpUrl);
    root.ariaBusy = "false";
    say(root, error);
    offerInField(root);
  }
}

// -- Telling the passkey manager what is true here (WebAuthn Level 3 §5.1.10); one that does not listen loses nothing

const tell = (name, details) => PublicKeyCredential[name]?.(details).catch(() => {});

async function tellAll(url) {
  if (!url || !PublicKeyCredential.signalAllAcceptedCredentials) return;
  const response = await fetch(url, { cache: "no-store" });
  if (!response.ok) return;
  const { rpId, userId, allAcceptedCredentialIds, name, displayName } = await response.json();
  await tell("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds });
  await tell("signalCurrentUserDetails", { rpId, userId, name, displayName });
}

// -- Signing in

let offerEnds = Infinity; // When the offer in the field needs a new challenge; never, while there is none.

function choose(root, { mediation, identifier } = {}) {
  const { optionsUrl, stepUp } = root.dataset;
  return request(async (signal) => {
    const options = await post(optionsUrl, { ...(identifier && { identifier }), ...(stepUp && { step_up: true }) }, signal);
    if (mediation) keepFresh(root, options.timeout * FRESH);
    const allowCredentials = described(options.allowCredentials);
    const publicKey = { ...options, challenge: toBytes(options.challenge), allowCredentials };
    return navigator.credentials.get({ publicKey, mediation, signal });
  });
}

async function verify({ dataset: { verifyUrl, signalUrl } }, credential) {
  let next;
  try {
    ({ next } = await post(verifyUrl, answerOf(credential)));
  } catch (error) {
    const { error: code, rpId } = error.answer ?? {};
    if (code === "unknown_credential") await tell("signalUnknownCredential", { rpId, credentialId: credential.id });
    throw error;
  }
  // A manager that takes its time must not keep the person waiting.
  await Promise.race([tellAll(signalUrl).catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1500))]);
  location.assign(next);
}

async function offerInField(root) {
  if (!("autofill" in root.dataset) || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  if (root.ariaBusy === "true") return; // The button was quicker.
  offerEnds = 0;
  if (document.hidden) return; // A tab that nobody looks at asks when somebody does.
  let credential;
  try {
    credential = await choose(root, { mediation: "conditional" });
  } catch {
    return; // The button took over; or no network, or a limit, and nobody has asked for anything yet.
  }
  attempt(root, () => verify(root, credential));
}

function keepFresh(root, milliseconds) {
  offerEnds = Date.now() + milliseconds;
  setTimeout(() => renewOffer(root), milliseconds + 100);
}

function renewOffer(root) {
  if (!document.hidden && Date.now() >= offerEnds) offerInField(root);
}

// The address of this page, or the one that was typed: it names the passkeys that may answer.
function identifierFor({ dataset: { identifier } }) {
  const typed = document.querySelector('input[autocomplete~="webauthn"]')?.value.trim() ?? "";
  return identifier || (typed.includes("@") ? typed : "");
}

// -- Adding

function add({ dataset: { optionsUrl, registerUrl, next } }) {
  return request(async (signal) => {
    const options = await post(optionsUrl, {}, signal);
    const credential = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: toBytes(options.challenge),
        user: { ...options.user, id: toBytes(options.user.id) },
        excludeCredentials: described(options.excludeCredentials),
      },
      signal,
    });
    const added = await post(registerUrl, answerOf(credential));
    location.assign(next || added.next);
  });
}

// -- The page

function begin(root, action) {
  root.hidden = false;
  root.querySelector("[data-passkey-button]").addEventListener("click", () => attempt(root, () => action(root)));
  addEventListener("pagehide", () => current.controller.abort());
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    root.ariaBusy = "false";
    offerInField(root);
  });
}

if (supported) {
  for (const root of document.querySelectorAll("[data-passkey-sign-in]")) {
    begin(root, async () => verify(root, await choose(root, { identifier: identifierFor(root) })));
    document.addEventListener("visibilitychange", () => renewOffer(root));
    offerInField(root);
  }
  for (const root of document.querySelectorAll("[data-passkey-add]")) begin(root, add);
  for (const { dataset } of document.querySelectorAll("[data-passkeys]")) tellAll(dataset.signalUrl).catch(() => {});
} else {
  for (const place of document.querySelectorAll("[data-passkey-missing]")) place.hidden = false;
}
