// npm oauth4webapi, the lower level, as a client of our authorization server and of the bank API. See dialogue.mjs.
import * as oauth from "oauth4webapi";

import { byCertificate, done, fetch, heard, question, refused, request, say, signing, told } from "./dialogue.mjs";

const issuer = new URL(told.issuer);
const http = { [oauth.customFetch]: fetch };
const server = await oauth.processDiscoveryResponse(
  issuer, await oauth.discoveryRequest(issuer, { ...http, algorithm: told.discovery }));
const resource = await oauth.processResourceDiscoveryResponse(
  new URL(told.resource), await oauth.resourceDiscoveryRequest(new URL(told.resource), http));
say("discovery", { issuer: server.issuer, servers: resource.authorization_servers });

const client = {
  client_id: told.clientId,
  use_mtls_endpoint_aliases: byCertificate,
  authorization_signed_response_alg: "ES256",
  introspection_signed_response_alg: told.jarm ? "ES256" : undefined,
};
const auth = told.authentication === "private_key_jwt" ? oauth.PrivateKeyJwt(signing) : oauth.TlsClientAuth();
const DPoP = told.dpop ? oauth.DPoP(client, await oauth.generateKeyPair("ES256")) : undefined;
let sent;
const recorded = (url, init) => {
  sent = new Request(url, { method: init.method, headers: init.headers });
  return fetch(url, init);
};
const options = { ...http, DPoP };

// RFC 9449 §8, §9: the first answer of each server brings its nonce; how often that happened is told at the end.
let nonces = 0;
async function retried(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!DPoP || !oauth.isDPoPNonceError(error)) throw error;
    nonces += 1;
    return attempt();
  }
}
const call = (token, url, method = "GET", body = null, headers = {}) => retried(() =>
  oauth.protectedResourceRequest(token, method, url, new Headers(headers), body,
    { ...options, [oauth.customFetch]: recorded }));
const ask = (token) => call(token, question[0], question[1], question[2], question[3]());
const machineToken = (scope) => retried(async () => oauth.processClientCredentialsResponse(
  server, client, await oauth.clientCredentialsGrantRequest(server, client, auth, { scope }, options)));
const refresh = (token) => retried(async () => oauth.processRefreshTokenResponse(
  server, client, await oauth.refreshTokenGrantRequest(server, client, auth, token, options)));
const introspect = async (token) => {
  const answer = await oauth.introspectionRequest(
    server, client, auth, token, { ...http, requestJwtResponse: Boolean(told.jarm) });
  const verifiable = answer.clone();
  const body = await oauth.processIntrospectionResponse(server, client, answer);
  const signed = verifiable.headers.get("content-type")?.startsWith("application/token-introspection+jwt") ?? false;
  if (signed) await oauth.validateApplicationLevelSignature(server, answer, http);
  return { body, signed };
};

const machine = await machineToken("cdi:consents");
const list = await call(machine.access_token, new URL("/cdi/v1/consents?limit=1", told.resource));
// RFC 9068 and RFC 9449 as the library checks them at a resource server, for the request that was just sent. It knows
// no tokens that are bound to a certificate.
const claims = DPoP && await oauth.validateJwtAccessToken(server, sent, told.resource, http);
say("machine", {
  type: machine.token_type, expires: machine.expires_in, scope: machine.scope, status: list.status,
  client: claims?.client_id,
});

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
let parameters = request(await oauth.calculatePKCECodeChallenge(verifier), state);
if (told.jarm) parameters.response_mode = "jwt";
if (told.jar) {
  parameters = {
    client_id: told.clientId,
    request: await oauth.issueRequestObject(server, client, parameters, signing),
  };
}
const pushed = await retried(async () => oauth.processPushedAuthorizationResponse(
  server, client, await oauth.pushedAuthorizationRequest(server, client, auth, parameters, options)));
const url = new URL(server.authorization_endpoint);
url.search = new URLSearchParams({ client_id: told.clientId, request_uri: pushed.request_uri });
say("authorize", { url: url.href });

const { callback } = await heard();
const answer = new URL(callback);
if (!told.jarm) {
  const mixed = new URL(callback);
  mixed.searchParams.set("iss", "https://attacker.example");
  say("mix-up", await refused(async () => oauth.validateAuthResponse(server, client, mixed, state)));
}
const accepted = told.jarm
  ? await oauth.validateJwtAuthResponse(server, client, answer, state, http)
  : oauth.validateAuthResponse(server, client, answer, state);
const redeem = () => retried(async () => oauth.processAuthorizationCodeResponse(
  server, client,
  await oauth.authorizationCodeGrantRequest(server, client, auth, accepted, told.redirectUri, verifier, options)));
const tokens = await redeem();
say("tokens", {
  type: tokens.token_type, expires: tokens.expires_in, scope: tokens.scope, refresh: Boolean(tokens.refresh_token),
  details: tokens.authorization_details, grant: Boolean(tokens.grant_id),
});

const asked = await ask(tokens.access_token);
say("question", { status: asked.status, outcome: (await asked.json()).verification?.outcome });

const renewed = await refresh(tokens.refresh_token);
const askedAgain = await ask(renewed.access_token);
say("refresh", {
  rotated: renewed.refresh_token !== undefined && renewed.refresh_token !== tokens.refresh_token,
  status: askedAgain.status,
});

const { body: seen, signed } = await introspect(renewed.access_token);
say("introspection", { active: seen.active, client: seen.client_id, details: seen.authorization_details, signed });

const manager = await machineToken("grant_management_query grant_management_revoke");
const endpoint = server.mtls_endpoint_aliases?.grant_management_endpoint ?? server.grant_management_endpoint;
const grantUrl = new URL(`${endpoint}/${tokens.grant_id}`);
const grant = await call(manager.access_token, grantUrl);
say("grant", { status: grant.status, body: await grant.json() });

await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, auth, renewed.access_token, http));
const { body: after } = await introspect(renewed.access_token);
say("revocation", { active: after.active, refused: (await refused(() => ask(renewed.access_token))).status });

if (told.codeTwice) {
  say("code-twice", { ...await refused(redeem), refresh: await refused(() => refresh(tokens.refresh_token)) });
} else {
  const ended = await call(manager.access_token, grantUrl, "DELETE");
  say("grant-ended", { status: ended.status, refresh: await refused(() => refresh(tokens.refresh_token)) });
}
say("nonces", { count: nonces });
await done();
