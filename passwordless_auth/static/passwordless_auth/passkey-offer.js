// Says with the form that this browser can make passkeys, so that one may be offered after the sign-in. Whoever runs no
// scripts, or has no passkeys, is not asked and goes straight on.

async function canMakePasskeys() {
  try {
    return Boolean(await globalThis.PublicKeyCredential?.isUserVerifyingPlatformAuthenticatorAvailable?.());
  } catch {
    return false;
  }
}

for (const form of document.querySelectorAll("form[data-passkey-offer]")) {
  canMakePasskeys().then((can) => {
    if (can) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "passkeys", value: "1" }));
    form.dataset.passkeyOffer = "told";
    form.dispatchEvent(new Event("passkey-offer"));
  });
}

// The button for a passkey, on a page where few press it: passkey.js comes with the press, and takes it over.
for (const root of document.querySelectorAll("[data-passkey-later]")) {
  root.hidden = !globalThis.PublicKeyCredential;
  const button = root.querySelector("[data-passkey-button]");
  const load = async () => {
    button.removeEventListener("click", load);
    try {
      await import(root.dataset.passkeyLater);
      button.click();
    } catch {
      button.addEventListener("click", load);
      root.querySelector("[data-passkey-said]").textContent = root.dataset.failed;
    }
  };
  button.addEventListener("click", load);
}
