// What both clients share: the description they get, their connections and key, and how they speak with the test.
//
// stdin: first the description {issuer, resource, ca, cert, key, clientId, redirectUri, authentication, signingKey,
// signingKeyId, dpop, jar, jarm, discovery, consentId, question, codeTwice}, one JSON line; later each answer that a
// step asked for. stdout: one JSON line for each step, {"step": name, ...what came of it}.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { Agent, fetch as plainFetch } from "undici";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
export const heard = async () => JSON.parse((await lines.next()).value);
export const say = (step, result = {}) => console.log(JSON.stringify({ step, ...result }));

export const told = await heard();

// A client that binds its tokens by DPoP needs no certificate at the authorization server; at the bank API all do.
export const byCertificate = !told.dpop;
const ca = readFileSync(told.ca);
const secure = { ca, minVersion: "TLSv1.3" };
const identified = { ...secure, cert: readFileSync(told.cert), key: readFileSync(told.key) };
const front = new Agent({ connect: byCertificate ? identified : secure });
const bank = new Agent({ connect: identified });
const bankOrigin = new URL(told.resource).origin;

export const fetch = (url, options) =>
  plainFetch(url, { ...options, dispatcher: new URL(url).origin === bankOrigin ? bank : front });

const pem = told.signingKey && readFileSync(told.signingKey, "ascii").replace(/-----[^-]+-----|\s/g, "");
export const signing = pem && {
  kid: told.signingKeyId,
  key: await crypto.subtle.importKey(
    "pkcs8", Buffer.from(pem, "base64"), { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]),
};

// The pushed parameters, but for what the library adds.
export const request = (challenge, state) => ({
  response_type: "code",
  redirect_uri: told.redirectUri,
  scope: "cdi:data-requests",
  state,
  code_challenge: challenge,
  code_challenge_method: "S256",
  authorization_details: JSON.stringify([{ type: "cdi_consent", consentId: told.consentId }]),
});

export const question = [
  new URL("/cdi/v1/data-requests", told.resource),
  "POST",
  JSON.stringify(told.question),
  () => ({ "content-type": "application/json", "idempotency-key": crypto.randomUUID(), prefer: "wait=20" }),
];

// A refusal as the library sees it: what the server said, and nothing of the library's own words.
export const refusal = (error) => ({
  error: error.error ?? error.cause?.error ?? error.code ?? error.name,
  status: error.status ?? error.cause?.status,
});

export async function refused(attempt) {
  try {
    await attempt();
  } catch (error) {
    return refusal(error);
  }
  return { error: null };
}

export async function done() {
  await Promise.all([front.close(), bank.close()]);
  process.stdin.destroy();
}
