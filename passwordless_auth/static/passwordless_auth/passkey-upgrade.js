// For a page that people see right after they have signed in with a password, in a site that still has them:
//
//   <script type="module" src="/static/passwordless_auth/passkey-upgrade.js" data-passkey-upgrade="/account/passkeys/"></script>
//
// A password manager that agrees adds a passkey by itself, and tells its owner (conditional create, WebAuthn Level 3
// §5.1.3). Everywhere else nothing happens, and nobody notices. "passkey-added" on the document says that it did.

const { passkeyUpgrade: base } = document.querySelector("script[data-passkey-upgrade]").dataset;

async function post(url, body) {
  const response = await fetch(`${url}?conditional=1`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
    cache: "no-store",
  });
  return response.ok ? response.json() : null;
}

async function upgrade() {
  const can = await globalThis.PublicKeyCredential?.getClientCapabilities?.();
  if (!can?.conditionalCreate) return;
  const options = await post(`${base}options/`, {});
  if (!options) return; // They have a passkey, or have been here for a while.
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = await navigator.credentials.create({ mediation: "conditional", publicKey });
  const added = await post(`${base}register/`, credential.toJSON());
  if (added) document.dispatchEvent(new CustomEvent("passkey-added", { detail: added.passkey }));
}

// A manager that does not agree, or no network: the page goes on as if nothing had been asked.
upgrade().catch(() => {});
