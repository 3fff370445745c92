// npm openid-client as a client of our authorization server and of the bank API. See dialogue.mjs.
import * as oidc from "openid-client";

import { byCertificate, done, fetch, heard, question, refused, request, say, signing, told } from "./dialogue.mjs";

const authentication =
  told.authentication === "private_key_jwt" ? oidc.PrivateKeyJwt(signing) : oidc.TlsClientAuth();
const config = await oidc.discovery(
  new URL(told.issuer),
  told.clientId,
  { use_mtls_endpoint_aliases: byCertificate, introspection_signed_response_alg: told.jarm ? "ES256" : undefined,
    authorization_signed_response_alg: "ES256" },
  authentication,
  { [oidc.customFetch]: fetch, algorithm: told.discovery },
);
config[oidc.customFetch] = fetch;
const server = config.serverMetadata();
say("discovery", { issuer: server.issuer, par: server.require_pushed_authorization_requests });
if (told.jarm) {
  oidc.useJwtResponseMode(config);
  oidc.enableNonRepudiationChecks(config);
}

const options = told.dpop
  ? { DPoP: oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256")) } : undefined;
const ask = async (token) => {
  const [url, method, body, headers] = question;
  return oidc.fetchProtectedResource(config, token, url, method, body, new Headers(headers()), options);
};

const machine = await oidc.clientCredentialsGrant(config, { scope: "cdi:consents" }, options);
const list = await oidc.fetchProtectedResource(
  config, machine.access_token, new URL("/cdi/v1/consents?limit=1", told.resource), "GET", null, undefined, options);
say("machine", { type: machine.token_type, expires: machine.expires_in, scope: machine.scope, status: list.status });

const verifier = oidc.randomPKCECodeVerifier();
const state = oidc.randomState();
let parameters = request(await oidc.calculatePKCECodeChallenge(verifier), state);
if (told.jar) parameters = (await oidc.buildAuthorizationUrlWithJAR(config, parameters, signing)).searchParams;
const url = await oidc.buildAuthorizationUrlWithPAR(config, parameters, options);
say("authorize", { url: url.href });

const { callback } = await heard();
const checks = { pkceCodeVerifier: verifier, expectedState: state };
// What an attacker's server, or another request's answer, would look like: refused before anything is sent.
if (!told.jarm) {
  const mixed = new URL(callback);
  mixed.searchParams.set("iss", "https://attacker.example");
  say("mix-up", await refused(() => oidc.authorizationCodeGrant(config, mixed, checks, undefined, options)));
}
const tokens = await oidc.authorizationCodeGrant(config, new URL(callback), checks, undefined, options);
say("tokens", {
  type: tokens.token_type, expires: tokens.expires_in, scope: tokens.scope, refresh: Boolean(tokens.refresh_token),
  details: tokens.authorization_details, grant: Boolean(tokens.grant_id),
});

const asked = await ask(tokens.access_token);
say("question", { status: asked.status, outcome: (await asked.json()).verification?.outcome });

const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, options);
const askedAgain = await ask(renewed.access_token);
say("refresh", {
  rotated: renewed.refresh_token !== undefined && renewed.refresh_token !== tokens.refresh_token,
  status: askedAgain.status,
});

const seen = await oidc.tokenIntrospection(config, renewed.access_token);
say("introspection", { active: seen.active, client: seen.client_id, details: seen.authorization_details });

const manager = await oidc.clientCredentialsGrant(
  config, { scope: "grant_management_query grant_management_revoke" }, options);
const endpoint = server.mtls_endpoint_aliases?.grant_management_endpoint ?? server.grant_management_endpoint;
const grantUrl = new URL(`${endpoint}/${tokens.grant_id}`);
const grant = await oidc.fetchProtectedResource(
  config, manager.access_token, grantUrl, "GET", null, undefined, options);
say("grant", { status: grant.status, body: await grant.json() });

await oidc.tokenRevocation(config, renewed.access_token);
const after = await oidc.tokenIntrospection(config, renewed.access_token);
say("revocation", { active: after.active, refused: (await refused(() => ask(renewed.access_token))).status });

if (told.codeTwice) {
  const again = await refused(
    () => oidc.authorizationCodeGrant(config, new URL(callback), checks, undefined, options));
  say("code-twice", { ...again, refresh: await refused(
    () => oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, options)) });
} else {
  const ended = await oidc.fetchProtectedResource(
    config, manager.access_token, grantUrl, "DELETE", null, undefined, options);
  say("grant-ended", { status: ended.status, refresh: await refused(
    () => oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, options)) });
}
await done();
