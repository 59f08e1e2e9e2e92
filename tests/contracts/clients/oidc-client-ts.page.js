// oidc-client-ts in a page of its own origin: the test calls these functions.

const here = `${location.origin}/`;

function manager(settings) {
  return new oidc.UserManager({
    redirect_uri: here,
    silent_redirect_uri: here,
    post_logout_redirect_uri: here,
    automaticSilentRenew: false,
    silentRequestTimeoutInSeconds: 20,
    loadUserInfo: true,
    filterProtocolClaims: false,
    ...settings,
  });
}

const settings = JSON.parse(localStorage.getItem("settings"));

function told(user) {
  return user && { profile: user.profile, access_token: user.access_token, refresh_token: user.refresh_token };
}

window.rp = {
  begin: (chosen) => {
    localStorage.setItem("settings", JSON.stringify(chosen));
    return manager(chosen).signinRedirect();
  },
  finish: async () => told(await manager(settings).signinRedirectCallback()),
  user: async () => told(await manager(settings).getUser()),
  renew: async () => told(await manager(settings).signinSilent()),
  renewError: () => manager(settings).signinSilent().then(() => "none", (error) => error.error || error.message),
  leave: () => manager(settings).signoutRedirect(),
};

// In the frame of a silent renewal this page only hands over what came.
if (window.parent !== window) manager(settings).signinSilentCallback();
