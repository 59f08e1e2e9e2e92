// openid-client 6: discovery, code with PKCE, userinfo, refresh, sign-out.

import * as client from "openid-client";
import { hear, say } from "./talk.mjs";

const { issuer, client_id, client_secret, redirect_uri, post_logout_redirect_uri } = await hear();
const config = await client.discovery(new URL(issuer), client_id, client_secret, client.ClientSecretBasic(client_secret));

const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedNonce = client.randomNonce();
const expectedState = client.randomState();
say({
  url: client.buildAuthorizationUrl(config, {
    redirect_uri,
    scope: "openid profile email offline_access",
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    nonce: expectedNonce,
    state: expectedState,
    prompt: "consent",
  }),
});

const { url } = await hear();
const tokens = await client.authorizationCodeGrant(config, new URL(url), {
  pkceCodeVerifier,
  expectedNonce,
  expectedState,
  idTokenExpected: true,
});
const claims = tokens.claims();
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token);
const again = await client.fetchUserInfo(config, refreshed.access_token, claims.sub);
const introspected = await client.tokenIntrospection(config, refreshed.access_token);
say({ claims, userinfo, refreshed: refreshed.claims(), again, introspected });

say({
  url: client.buildEndSessionUrl(config, { id_token_hint: refreshed.id_token, post_logout_redirect_uri, state: "out" }),
});
await hear();
const { code } = await client.refreshTokenGrant(config, refreshed.refresh_token).then(
  () => ({ code: "none" }),
  (error) => ({ code: error.error }),
);
say({ after: code });
