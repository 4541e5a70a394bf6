// A provider of identities for one client. Its development pages let anybody say who they are.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const callback = new URL(process.argv[2]);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "updraft",
        client_secret: "s3cret of updraft",
        redirect_uris: [callback.href],
        response_types: ["code"],
        grant_types: ["authorization_code"],
      },
    ],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email"] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: `id-of-${id}`, preferred_username: id, groups: ["all", id.split("-")[0]] }),
    }),
    pkce: { required: () => true },
  });
  // The port of the server under test is another each time.
  provider.Client.prototype.redirectUriAllowed = function (given) {
    const url = new URL(given);
    return url.hostname === callback.hostname && url.pathname === callback.pathname;
  };
  server.on("request", provider.callback());
  console.log(issuer);
});
