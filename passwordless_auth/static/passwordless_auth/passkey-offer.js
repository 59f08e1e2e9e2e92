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
