// SPDX-License-Identifier: Apache-2.0
// What is asked of the server.  Errors are problem+json (RFC 9457) and become a Problem, which says in words what happened and what to do.

export class Problem extends Error {
  constructor(status, title, detail, more) {
    super(detail || title);
    this.name = 'Problem';
    this.status = status;
    this.title = title;
    this.detail = detail;
    Object.assign(this, more);
  }
}

const ADVICE = {
  0: 'Is the daemon running ("systemctl status holdfast")? Is the way to it open? This page tries again by itself.',
  400: 'Correct what is named and send it again.',
  401: 'Sign in again; nothing was changed.',
  403: 'Your role does not allow this, or the page was open for too long. Reload it, or ask an administrator.',
  404: 'It may have been removed by the retention settings, or the address has a slip.',
  409: 'Somebody else changed it a moment ago. The page now shows the newer state: look, then try again.',
  412: 'Somebody else changed it a moment ago. The page now shows the newer state: look, then try again.',
  413: 'Shorten it.',
  422: 'Correct what is named and send it again.',
  429: 'Too many requests came in a short time. Wait a little.',
  500: 'The server\'s log has the reason ("journalctl -u holdfast").',
  501: 'This server was started without that part.',
  502: 'A proxy in between could not reach the console.',
  503: 'A part of the daemon does not answer now. Try again in a few seconds.',
  504: 'It took too long. Try again.',
};
export const adviceFor = (problem) => ADVICE[problem.status] || (problem.status >= 500 ? ADVICE[500] : '');

export const session = { user: null, role: null, csrf: null, expires: null };
const ROLES = ['none', 'viewer', 'responder', 'administrator'];
export const may = (role) => ROLES.indexOf(session.role) >= ROLES.indexOf(role);
export function setSession(s) {
  session.user = s?.user ?? null;
  session.role = s?.role ?? null;
  session.csrf = s?.csrf ?? null;
  session.expires = s?.expires ?? null;
}

let whenSignedOut = () => {};
export const onSignedOut = (run) => { whenSignedOut = run; };

export function url(path, params) {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(params || {})) if (value !== undefined && value !== null && value !== '') q.set(name, value);
  const s = q.toString();
  return '/api/v1' + path + (s ? '?' + s : '');
}

async function problem(reply) {
  let body = {};
  try {
    body = JSON.parse((await reply.text()).slice(0, 65536));
  } catch { /* not ours: a proxy's page */ }
  return new Problem(reply.status, typeof body.title === 'string' ? body.title : `The server answered ${reply.status}`,
    typeof body.detail === 'string' ? body.detail : '', { retryAfter: Number(reply.headers.get('Retry-After')) || 0 });
}

async function request(method, path, { params, body, signal, quiet } = {}) {
  const headers = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET' && session.csrf) headers['X-CSRF-Token'] = session.csrf;
  let reply;
  try {
    reply = await fetch(url(path, params), { method, headers, signal, credentials: 'same-origin', cache: 'no-store', redirect: 'error', body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new Problem(0, 'The console does not answer', '');
  }
  if (reply.status === 401 && !quiet) whenSignedOut();
  if (!reply.ok) throw await problem(reply);
  if (reply.status === 204) return null;
  const text = await reply.text();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem(502, 'The answer is no JSON', `GET ${path}`);
  }
}

export const get = (path, params, more) => request('GET', path, { params, ...more });
export const post = (path, body = {}, more) => request('POST', path, { body, ...more });
export const patch = (path, body, more) => request('PATCH', path, { body, ...more });
export const remove = (path, more) => request('DELETE', path, more);
export const seg = encodeURIComponent; // a part of a path
