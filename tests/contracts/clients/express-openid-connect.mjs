// express-openid-connect: a web application with sessions, login and logout of its own.

import express from "express";
import openid from "express-openid-connect";
import { hear, say } from "./talk.mjs";

const { issuer, client_id, client_secret, url, port } = await hear();
const app = express();
app.use(
  openid.auth({
    issuerBaseURL: issuer,
    baseURL: url,
    clientID: client_id,
    clientSecret: client_secret,
    secret: "of its own sessions, and long enough",
    authRequired: false,
    idpLogout: true,
    authorizationParams: { response_type: "code", scope: "openid profile email offline_access", prompt: "consent" },
  }),
);
app.get("/", (request, response) => response.json({ signedIn: request.oidc.isAuthenticated() }));
app.get("/profile", openid.requiresAuth(), async (request, response) => {
  const { access_token } = request.oidc.accessToken;
  const userinfo = await request.oidc.fetchUserInfo();
  response.json({ claims: request.oidc.idTokenClaims, userinfo, access_token });
});
app.get("/refresh", openid.requiresAuth(), async (request, response) => {
  const { access_token } = await request.oidc.accessToken.refresh();
  response.json({ access_token });
});
app.listen(port, "127.0.0.1", () => say({ listening: true }));
await hear();
process.exit(0);
