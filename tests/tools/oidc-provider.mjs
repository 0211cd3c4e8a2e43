// SPDX-License-Identifier: Apache-2.0
// A real OpenID Connect provider (npm oidc-provider) for tests/e2e/test_console_server.py: node oidc-provider.mjs FOLDER PORT CALLBACK
// FOLDER has node_modules.  Whoever comes is signed in as the account that GET /be?user=NAME&groups=a,b chose last.
// One client has a name as long as some providers give: addresses must have room for it.
import { createRequire } from 'node:module';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [folder, port, callback] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(createRequire(folder + '/x.js').resolve('oidc-provider')).href);
const issuer = `http://127.0.0.1:${port}`;
let account = { user: 'alice', groups: [] };
const jwk = (type, options, kid, alg) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' });
const client = (id, alg, more) => ({ client_id: id, redirect_uris: [callback], response_types: ['code'], grant_types: ['authorization_code'], id_token_signed_response_alg: alg, ...more });
const provider = new Provider(issuer, {
  clients: [client('rsa', 'RS256', { client_secret: 'a secret: with/odd+characters' }), client('ec' + '.apps'.repeat(40), 'ES256', { token_endpoint_auth_method: 'none' })],
  jwks: { keys: [jwk('rsa', { modulusLength: 2048 }, 'r1', 'RS256'), jwk('ec', { namedCurve: 'P-256' }, 'e1', 'ES256')] },
  cookies: { keys: ['only for a test'] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub, preferred_username: JSON.parse(sub).user, groups: JSON.parse(sub).groups }) }),
  interactions: { url: (ctx, i) => `/interaction/${i.uid}` },
});
const handle = provider.callback();
createServer(async (req, res) => {
  const url = new URL(req.url, issuer);
  if (url.pathname === '/be') {
    account = { user: url.searchParams.get('user'), groups: (url.searchParams.get('groups') || '').split(',').filter(Boolean) };
    res.end('ok');
  } else if (url.pathname.startsWith('/interaction/')) {
    const i = await provider.interactionDetails(req, res);
    const accountId = JSON.stringify(account);
    if (i.prompt.name === 'login') return provider.interactionFinished(req, res, { login: { accountId, remember: false } });
    const grant = new provider.Grant({ accountId: i.session.accountId, clientId: i.params.client_id });
    grant.addOIDCScope('openid profile email');
    await provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } });
  } else {
    handle(req, res);
  }
}).listen(Number(port), '127.0.0.1', () => console.log('ready'));
