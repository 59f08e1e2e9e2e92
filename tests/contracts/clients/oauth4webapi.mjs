// oauth4webapi: the same by hand, with a hybrid flow whose answer comes by form_post, and revocation.

import * as oauth from "oauth4webapi";
import { hear, say } from "./talk.mjs";

const { issuer, client_id, client_secret, redirect_uri, post_logout_redirect_uri } = await hear();
const at = new URL(issuer);
const as = await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at));
const client = { client_id };
const auth = oauth.ClientSecretBasic(client_secret);

const verifier = oauth.generateRandomCodeVerifier();
const nonce = oauth.generateRandomNonce();
const state = oauth.generateRandomState();
const ask = new URL(as.authorization_endpoint);
for (const [name, value] of Object.entries({
  client_id,
  redirect_uri,
  response_type: "code id_token",
  response_mode: "form_post",
  scope: "openid email offline_access",
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  nonce,
  state,
  prompt: "consent",
})) {
  ask.searchParams.set(name, value);
}
say({ url: ask });

const { form } = await hear();
const request = new Request(redirect_uri, { method: "POST", body: new URLSearchParams(form) });
const params = await oauth.validateCodeIdTokenResponse(as, client, request, nonce, state);
const response = await oauth.authorizationCodeGrantRequest(as, client, auth, params, redirect_uri, verifier);
const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, {
  expectedNonce: nonce,
  requireIdToken: true,
});
const claims = oauth.getValidatedIdTokenClaims(tokens);
const userinfo = await oauth.processUserInfoResponse(
  as,
  client,
  claims.sub,
  await oauth.userInfoRequest(as, client, tokens.access_token),
);
const refreshed = await oauth.processRefreshTokenResponse(
  as,
  client,
  await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token),
);
const again = await oauth.processUserInfoResponse(
  as,
  client,
  claims.sub,
  await oauth.userInfoRequest(as, client, refreshed.access_token),
);
say({ claims, userinfo, refreshed: oauth.getValidatedIdTokenClaims(refreshed), again });

await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, refreshed.refresh_token));
const revoked = await oauth.userInfoRequest(as, client, refreshed.access_token).catch((error) => error);
const leave = new URL(as.end_session_endpoint);
leave.searchParams.set("id_token_hint", tokens.id_token);
leave.searchParams.set("post_logout_redirect_uri", post_logout_redirect_uri);
leave.searchParams.set("state", "out");
say({ url: leave, after: revoked.status });
