// SPDX-License-Identifier: Apache-2.0
// Who changed what: the chained log, and whether it is as it was written.
import { h, icon, replace } from './dom.js';
import { get } from './api.js';
import { when } from './time.js';
import { button, debounce, empty, field, input, into, loading, page, problemBox, table } from './ui.js';
import { code, number, shorten } from './words.js';

const WORDS = {
  'incident.open': 'opened', 'incident.ack': 'acknowledged', 'incident.assign': 'assigned', 'incident.comment': 'commented', 'incident.resolve': 'resolved', 'incident.reopen': 'opened again', 'incident.action': 'acted',
  'incident.link': 'linked', 'incident.evidence': 'kept evidence', 'incident.except': 'noted an exception', 'incident.merge': 'joined', 'incident.advisory': 'new vulnerability', signin: 'signed in', signout: 'signed out',
  'signin.failed': 'failed to sign in', 'signin.locked': 'locked out', 'user.add': 'added the user', 'user.remove': 'removed the user', 'user.role': 'changed the role', 'user.password': 'changed the password', 'user.enable': 'unlocked the user',
  'user.disable': 'locked the user', 'user.unlock': 'unlocked the user', 'token.add': 'made the token', 'token.remove': 'revoked the token', 'rule.except': 'made an exception', 'image.scan': 'scanned', retention: 'deleted what is old',
};

export function auditTable(items, { target = true } = {}) {
  return table('Audit log', [
    { title: 'No.', num: true, cell: (e) => h('span', { title: 'SHA-256 ' + e.hash }, number(e.seq)) },
    { title: 'When', cell: (e) => when(e.time, 'full') },
    { title: 'Who', cell: (e) => h('span', {}, h('strong', {}, shorten(e.by, 80)), h('span', { class: 'muted small' }, ' via ', e.via)) },
    { title: 'What', cell: (e) => h('span', { title: e.what }, WORDS[e.what] || e.what) },
    target ? { title: 'Of what', cell: (e) => (/^I-\d{8}-/.test(e.target) ? h('a', { href: '/incidents/' + encodeURIComponent(e.target), class: 'mono' }, e.target) : shorten(e.target, 120)) } : null,
    { title: 'Before', cell: (e) => shorten(e.before, 200) || '–' },
    { title: 'After', cell: (e) => shorten(e.after, 400) || '–' },
  ].filter(Boolean), items);
}

export function view(ctx) {
  const slot = h('div', {}, loading(6));
  const verdict = h('div', { class: 'verify', role: 'status' });
  const target = input({ type: 'search', maxlength: 200, placeholder: 'I-20261126-ABC123, a user, a channel' });
  target.value = ctx.query().target || '';
  target.addEventListener('input', debounce(() => ctx.setQuery({ target: target.value.trim() }), 300));
  let items = [], next = null;
  const moreButton = button('Show older', { on: () => more() });
  const show = () => replace(slot, items.length ? [auditTable(items), next ? h('div', { class: 'more' }, moreButton) : null] : empty('Nothing is in the log', ctx.query().target ? ' of this.' : ' yet.'));
  async function load(cursor) {
    const r = await get('/audit', { target: ctx.query().target, limit: 100, cursor }, { signal: ctx.signal });
    items = cursor ? items.concat(r.items) : r.items;
    next = r.next;
  }
  const first = () => into(ctx, slot, () => load(), () => null).then(() => items && ctx.alive() && !slot.querySelector('.problem') && show());
  async function more() {
    try {
      await load(next);
      if (ctx.alive()) show();
    } catch (e) {
      if (e.name !== 'AbortError') slot.append(problemBox(e, more));
    }
  }
  async function verify() {
    replace(verdict, h('span', { class: 'muted' }, 'Every entry is read and its hash computed again …'));
    try {
      const v = await get('/audit/verify', null, { signal: ctx.signal });
      replace(verdict, v.ok ? h('div', { class: 'good-box' }, icon('check'), h('div', {}, h('strong', {}, `Unaltered: ${number(v.entries)} entries. `), v.head ? ['The last hash is ', code(v.head), '. Note it elsewhere, to notice if the whole log were exchanged.'] : null))
        : h('div', { class: 'problem', role: 'alert' }, icon('incidents'), h('div', {}, h('strong', {}, 'The log was altered. '), h('p', {}, v.problem), h('p', { class: 'muted' }, 'Somebody with access to the database changed it. Keep a copy of the database as evidence and look at who had access.'))));
    } catch (e) {
      if (e.name !== 'AbortError') replace(verdict, problemBox(e, verify));
    }
  }
  ctx.onQuery((q) => {
    if (document.activeElement !== target) target.value = q.target || '';
    first();
  });
  first();
  return page('Audit log', { lead: 'Entries are only ever added; each holds the hash of the one before.', actions: button('Verify the chain', { icon: 'shield', on: verify }) }, verdict,
    h('form', { class: 'filters', role: 'search', 'aria-label': 'Filter the log', on: { submit: (e) => e.preventDefault() } }, field('Of what', target, { cls: 'grow' })), slot);
}
