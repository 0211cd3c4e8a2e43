// SPDX-License-Identifier: Apache-2.0
// Signing in: with a password, through OpenID Connect, or by a one-time link (/sign-in#link=TOKEN; what is behind # never leaves the browser by itself).
import { h, icon, replace } from './dom.js';
import { get, post, Problem } from './api.js';
import { go, query } from './router.js';
import { field, form, input, loading, problemBox } from './ui.js';

function arrive(session) {
  window.dispatchEvent(new CustomEvent('holdfast:signed-in', { detail: session }));
  const next = query().next || '/';
  go(/^\/(?!\/)/.test(next) && !next.startsWith('/sign-in') ? next : '/', { replace: true });
}

const OIDC_ERRORS = { provider: 'The identity provider does not answer, or not as it should. Try again; the log of the server says more.', denied: 'The identity provider did not let you in.', role: 'Your account there has no role here. Ask an administrator.', state: 'The sign-in took too long or was begun in another window. Try again.' };

export function view(ctx) {
  const user = input({ name: 'user', autocomplete: 'username', required: true, maxlength: 64, autocapitalize: 'none' });
  const password = h('input', { type: 'password', name: 'password', autocomplete: 'current-password', required: true, maxlength: 1024 });
  const slot = h('div', {});
  const told = h('div', {});
  const card = h('div', { class: 'sign-in' }, h('h1', {}, 'Sign in to Holdfast'), told, slot);

  function show(methods) {
    const parts = [];
    if (methods.password) {
      parts.push(form({}, async () => {
        try {
          arrive(await post('/session', { user: user.value, password: password.value }, { quiet: true }));
        } catch (e) {
          password.select();
          throw e.status === 401 ? new Problem(-2, 'Name or password is wrong', 'Nothing else is told, so that nobody can try out names. After several tries the account is locked for a while.') : e;
        }
      }, field('Name', user), field('Password', password), h('div', { class: 'form-actions' }, h('button', { class: 'button primary wide', type: 'submit' }, 'Sign in'))));
    }
    if (methods.oidc) {
      if (parts.length) parts.push(h('div', { class: 'or' }, 'or'));
      parts.push(h('a', { class: 'button wide', href: '/auth/oidc/start' }, icon('shield'), `Sign in with ${methods.oidc.name}`));
    }
    parts.push(h('p', { class: 'muted small' }, 'The first time, or locked out? On the machine itself, ', h('code', {}, 'holdfast user link'), ' prints an address that signs you in once.'));
    replace(slot, parts);
    user.focus();
  }
  async function methods() {
    replace(slot, loading(2));
    try {
      const m = await get('/session/methods', null, { signal: ctx.signal, quiet: true });
      if (ctx.alive()) show(m);
    } catch (e) {
      if (e.name !== 'AbortError') replace(slot, problemBox(e, methods));
    }
  }
  async function link(token) {
    replace(slot, h('p', { role: 'status' }, 'Signing in by the link …'));
    history.replaceState(history.state, '', location.pathname + location.search); // it is good once: not for the history
    try {
      arrive(await post('/session', { link: token }, { quiet: true }));
    } catch (e) {
      if (!ctx.alive()) return;
      replace(told, problemBox(e.status === 401 ? new Problem(-2, 'The link is no longer good', 'It works once, for ten minutes. Make a new one on the machine.') : e));
      methods();
    }
  }
  const tokenOf = () => new URLSearchParams(location.hash.slice(1)).get('link');
  const pasted = () => tokenOf() && link(tokenOf()); // the address was put in while this page was open already
  window.addEventListener('hashchange', pasted);
  ctx.onLeave(() => window.removeEventListener('hashchange', pasted));
  const token = tokenOf();
  if (query().error) replace(told, problemBox(new Problem(-2, 'Not signed in', OIDC_ERRORS[query().error] || query().error.slice(0, 300))));
  if (token) link(token);
  else methods();
  return card;
}
