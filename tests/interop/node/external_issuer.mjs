// npm oidc-provider as an authorization server that is not ours: over TLS with optional client certificates, issuing
// RFC 9068 tokens (or opaque ones, where a request says so) for the resources that it is told of.
//
// stdin: one JSON object {issuer, port, cert, key, clientCa, resources: [..], scopes: [..], detailTypes: [..],
// keys: [private JWKs], clients: [RFC 7591 metadata]}. stdout: "ready" when it listens.
import { readFileSync } from "node:fs";
import https from "node:https";
import { text } from "node:stream/consumers";

import Provider, { errors } from "oidc-provider";

const told = JSON.parse(await text(process.stdin));
const scopes = told.scopes.join(" ");

// RFC 4514 order and separators of the certificate's subject; Node gives one attribute a line, least specific first.
const subjectOf = (certificate) =>
  certificate.subject.split("\n").reverse().map((part) => part.replaceAll(",", "\\,")).join(",");

// Parsed once for each connection: it stays the same there (TLS 1.3 has no renegotiation).
const certificates = new WeakMap();
function certificateOf(ctx) {
  let certificate = certificates.get(ctx.socket);
  if (certificate === undefined) {
    certificate = ctx.socket.getPeerX509Certificate() ?? null;
    certificates.set(ctx.socket, certificate);
  }
  return certificate ?? undefined;
}

const provider = new Provider(told.issuer, {
  clients: told.clients,
  jwks: { keys: told.keys },
  scopes: told.scopes,
  clientAuthMethods: ["tls_client_auth", "self_signed_tls_client_auth", "private_key_jwt", "client_secret_basic"],
  enabledJWA: {
    clientAuthSigningAlgValues: ["ES256", "PS256", "EdDSA"],
    dPoPSigningAlgValues: ["ES256", "EdDSA"],
    idTokenSigningAlgValues: ["ES256"],
  },
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  responseTypes: ["code"],
  cookies: { keys: ["not a secret: no session is opened here"] },
  ttl: { ClientCredentials: 300 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: certificateOf,
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === "tls_client_auth_subject_dn" && subjectOf(certificateOf(ctx)) === expected,
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, client, oneOf) => oneOf ?? told.resources[0],
      getResourceServerInfo(ctx, resource) {
        if (!told.resources.includes(resource)) throw new errors.InvalidTarget();
        return {
          scope: scopes,
          audience: resource,
          accessTokenTTL: 300,
          accessTokenFormat: ctx.get("x-token-format") || "jwt",
          jwt: { sign: { alg: ctx.get("x-token-algorithm") || "ES256" } },
        };
      },
    },
    richAuthorizationRequests: {
      enabled: true,
      types: Object.fromEntries((told.detailTypes ?? []).map((type) => [type, { validate() {} }])),
      authorizationDetailsForGrantSource: () => undefined,
      authorizationDetailsForAccessToken: (ctx) => JSON.parse(ctx.oidc.params.authorization_details),
      authorizationDetailsForIntrospection: (ctx, token) => token.rar,
    },
  },
});
provider.on("server_error", (ctx, error) => console.error(error));

const server = https.createServer(
  {
    cert: readFileSync(told.cert),
    key: readFileSync(told.key),
    ca: readFileSync(told.clientCa),
    requestCert: true,
    // A client without certificate authenticates otherwise; one whose certificate does not chain is `authorized: false`.
    rejectUnauthorized: false,
    minVersion: "TLSv1.3",
    keepAlive: true,
  },
  provider.callback(),
);
server.listen(told.port, "127.0.0.1", () => console.log("ready"));
process.once("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
