// SPDX-License-Identifier: Apache-2.0
// Settings: the own account and appearance for everybody; channels, users and tokens for who may.
import { h, icon, replace } from './dom.js';
import { get, may, patch, post, remove, seg, session } from './api.js';
import { isUtc, setTheme, setUtc, theme } from './prefs.js';
import { when } from './time.js';
import { button, copy, dialog, done, empty, field, form, input, into, loading, page, panel, problemBox, select, table } from './ui.js';
import { cap, number, plural, shorten, tag } from './words.js';

const ROLES = { viewer: 'Viewer: sees all, changes nothing', responder: 'Responder: works on incidents, acts on containers', administrator: 'Administrator: also rules, channels, users, tokens' };
const SCOPES = { read: 'See everything', respond: 'Work on incidents, act on containers', admin: 'Rules, channels, users, tokens', metrics: 'Numbers for Prometheus only' };
const password = (props) => h('input', { type: 'password', required: true, minlength: 12, maxlength: 1024, ...props });

// Asks before what cannot be undone.
function confirm(title, text, word, run) {
  const f = form({}, async () => {
    await run();
    box.close();
  }, h('p', {}, text), h('div', { class: 'form-actions' }, button('Cancel', { on: () => box.close() }), button(word, { kind: 'danger-full', type: 'submit' })));
  const box = dialog(title, f);
}

function account() {
  const old = password({ autocomplete: 'current-password', minlength: 1 });
  const fresh = password({ autocomplete: 'new-password' });
  const again = password({ autocomplete: 'new-password' });
  const same = () => again.setCustomValidity(again.value && again.value !== fresh.value ? 'The two are not the same' : '');
  for (const i of [fresh, again]) i.addEventListener('input', same);
  return [
    panel('You', {}, h('p', {}, 'Signed in as ', h('strong', {}, session.user), `, ${session.role}.`, session.expires ? [' The session ends ', when(session.expires, 'full'), ' at the latest.'] : null),
      h('div', { class: 'action-bar' }, button('Sign out', { icon: 'out', on: () => window.dispatchEvent(new Event('holdfast:sign-out')) }))),
    panel('Password', {}, form({ class: 'narrow' }, async (node) => {
      await post('/session/password', { old: old.value, new: fresh.value });
      node.reset();
      done('The password is changed; other sessions of yours are signed out');
    }, h('input', { type: 'text', autocomplete: 'username', value: session.user || '', hidden: true, 'aria-hidden': 'true' }), field('Old password', old), field('New password', fresh, { hint: 'At least 12 characters. Long beats strange.' }), field('New password again', again), h('div', { class: 'form-actions' }, button('Change password', { kind: 'primary', type: 'submit' }))))];
}

function appearance() {
  const choice = (name, list, now, set) => h('fieldset', { class: 'choices' }, h('legend', {}, name), list.map(([v, title, sub]) => h('label', { class: 'choice' }, h('input', { type: 'radio', name, value: v, checked: v === now, on: { change: () => set(v) } }), h('span', {}, h('strong', {}, title), sub ? h('span', { class: 'muted small' }, sub) : null))));
  return [panel('Appearance', {}, h('p', { class: 'muted' }, 'For this browser only.'), h('div', { class: 'columns' },
    choice('Colours', [['auto', 'As the system', ''], ['light', 'Light', ''], ['dark', 'Dark', '']], theme(), setTheme),
    choice('Times', [['local', 'Local', Intl.DateTimeFormat().resolvedOptions().timeZone], ['utc', 'UTC', 'As in the logs']], isUtc() ? 'utc' : 'local', (v) => setUtc(v === 'utc'))))];
}

function channels(ctx) {
  const slot = h('div', {}, loading(4));
  const load = () => into(ctx, slot, () => get('/channels', null, { signal: ctx.signal }), (r) => (r.items.length ? h('ul', { class: 'channel-list' }, r.items.map(channel)) : empty('No channel is set up.', 'holdfast-notify(1) and docs/notify.md have a few lines for each: Slack, Teams, mail, PagerDuty, Jira, syslog and more.')));
  function channel(c) {
    const told = h('div', { 'aria-live': 'polite' });
    const test = button('Send a test', { icon: 'bell', disabled: !may('administrator'), title: may('administrator') ? '' : 'Needs the role administrator', 'aria-label': `Send a test to ${c.name}`, on: async () => {
      test.setAttribute('aria-disabled', 'true');
      replace(told, h('p', { class: 'muted' }, 'Sending …'));
      try {
        const r = await post(`/channels/${seg(c.name)}/test`);
        replace(told, h('div', { class: r.ok ? 'good-box' : 'problem' }, icon(r.ok ? 'check' : 'incidents'), h('div', {}, h('strong', {}, r.ok ? 'It arrived. ' : 'It did not arrive. '), r.text)));
      } catch (e) {
        replace(told, problemBox(e));
      } finally {
        test.removeAttribute('aria-disabled');
      }
    } });
    const dead = h('div', {});
    const showDead = button(plural(c.dead, 'dead letter'), { kind: 'warn', on: () => into(ctx, dead, () => get(`/channels/${seg(c.name)}/dead`, { limit: 200 }, { signal: ctx.signal }), (r) => table('Dead letters', [{ title: 'When', cell: (d) => when(d.pushed, 'short') }, { title: 'Incident', cell: (d) => (/^I-/.test(d.key || '') ? h('a', { href: '/incidents/' + seg(d.key), class: 'mono' }, d.key) : d.key || '–') }, { title: 'Tries', num: true, cell: (d) => number(d.tries) }, { title: 'Why', cell: (d) => shorten(d.error, 400) }], r.items)) });
    return h('li', { class: 'panel' }, h('div', { class: 'between wrap' }, h('div', {}, h('h2', {}, c.name), h('div', { class: 'row-gap wrap' }, tag(c.kind || 'unknown'), c.configured ? null : tag('no longer in the settings', 'tag-warn'), c.waiting || c.claimed ? tag(`${number(c.waiting + c.claimed)} waiting`, c.waiting > 10 ? 'tag-warn' : '') : tag('nothing waits', 'tag-good'), c.oldest ? h('span', { class: 'muted small' }, 'oldest ', when(c.oldest)) : null, (c.routes || []).length ? h('span', { class: 'muted small' }, 'routes: ', c.routes.join(', ')) : null)),
      h('div', { class: 'action-bar' }, c.dead ? showDead : null, c.configured ? test : null)), told, dead);
  }
  load();
  return [h('div', { class: 'stack-gap' }, h('p', { class: 'muted' }, 'Channels and routes are in the settings file; what is secret is never shown here.'), slot)];
}

function users(ctx) {
  const slot = h('div', {}, loading(4));
  const load = () => into(ctx, slot, () => get('/users', null, { signal: ctx.signal }), (r) => table('Users', [
    { title: 'Name', cell: (u) => h('span', {}, h('strong', {}, u.name), u.locked ? [' ', tag('locked', 'tag-warn')] : null, u.source && u.source !== 'local' ? [' ', tag(u.source)] : null) },
    { title: 'Role', cell: (u) => {
      const s = select(Object.keys(ROLES).map((v) => [v, cap(v)]), u.role, { 'aria-label': `Role of ${u.name}`, disabled: u.name === session.user });
      s.addEventListener('change', async () => {
        try {
          await patch('/users/' + seg(u.name), { role: s.value });
          done(`${u.name} is now ${s.value}`);
        } catch (e) {
          s.value = u.role;
          dialog('That did not work', problemBox(e));
        }
      });
      return s;
    } },
    { title: 'Last seen', cell: (u) => (u.last_seen ? when(u.last_seen) : h('span', { class: 'muted' }, 'never')) },
    { title: '', cell: (u) => (u.name === session.user ? h('span', { class: 'muted small' }, 'you') : h('div', { class: 'action-bar small' },
      button('Password …', { 'aria-label': `New password for ${u.name}`, on: () => {
        const p = password({ autocomplete: 'new-password' });
        const box = dialog(`New password for ${u.name}`, form({}, async () => {
          await patch('/users/' + seg(u.name), { password: p.value });
          box.close();
          done('The password is changed');
        }, field('New password', p, { hint: 'At least 12 characters.' }), h('div', { class: 'form-actions' }, button('Change', { kind: 'primary', type: 'submit' }))));
        p.focus();
      } }),
      button(u.locked ? 'Unlock' : 'Lock', { 'aria-label': `${u.locked ? 'Unlock' : 'Lock'} ${u.name}`, on: async () => {
        try {
          await patch('/users/' + seg(u.name), { locked: !u.locked });
          load();
        } catch (e) {
          dialog('That did not work', problemBox(e));
        }
      } }),
      button('Remove', { kind: 'danger', 'aria-label': `Remove ${u.name}`, on: () => confirm(`Remove ${u.name}`, 'The account, its sessions and its tokens are gone at once. What it did stays in the audit log.', 'Remove', async () => {
        await remove('/users/' + seg(u.name));
        done(`${u.name} is removed`);
        load();
      }) }))) },
  ], r.items));
  const name = input({ required: true, maxlength: 64, pattern: '[A-Za-z0-9][A-Za-z0-9_.@\\-]{0,63}', autocapitalize: 'none' });
  const role = select(Object.entries(ROLES), 'viewer');
  const pass = password({ autocomplete: 'new-password', required: false });
  const add = form({ class: 'narrow' }, async (node) => {
    await post('/users', pass.value ? { name: name.value, role: role.value, password: pass.value } : { name: name.value, role: role.value });
    done(`${name.value} is added`);
    node.reset();
    load();
  }, field('Name', name, { hint: 'Letters, digits and _ . @ -' }), field('Role', role), field('Password', pass, { hint: 'Without one, this account can only sign in with OpenID Connect.' }), h('div', { class: 'form-actions' }, button('Add user', { kind: 'primary', type: 'submit' })));
  load();
  return [panel('Users', {}, slot), panel('Add a user', {}, add)];
}

function tokens(ctx) {
  const slot = h('div', {}, loading(3));
  const shown = h('div', { 'aria-live': 'polite' });
  const load = () => into(ctx, slot, () => get('/tokens', null, { signal: ctx.signal }), (r) => (r.items.length ? table('Tokens', [
    { title: 'Name', cell: (t) => h('strong', {}, t.name) }, { title: 'May', cell: (t) => h('div', { class: 'tags' }, t.scopes.map((s) => tag(s))) }, { title: 'Of', cell: (t) => t.user || '–' }, { title: 'Made', cell: (t) => (t.created ? when(t.created) : '–') }, { title: 'Ends', cell: (t) => (t.expires ? when(t.expires) : 'never') }, { title: 'Last used', cell: (t) => (t.last_used ? when(t.last_used) : 'never') },
    { title: '', cell: (t) => button('Revoke', { kind: 'danger', 'aria-label': `Revoke ${t.name}`, on: () => confirm(`Revoke ${t.name}`, 'Programs that use it are refused from now on.', 'Revoke', async () => {
      await remove('/tokens/' + seg(t.id));
      done(`${t.name} is revoked`);
      load();
    }) }) },
  ], r.items) : empty('No token yet.', 'Tokens let programs use the API without a password.')));
  const name = input({ required: true, maxlength: 64, pattern: '[A-Za-z0-9_.@ \\-]+' });
  const days = select([['30', '30 days'], ['90', '90 days'], ['365', 'A year'], ['', 'Never']], '90');
  const scopes = Object.entries(SCOPES).map(([v, text]) => h('label', { class: 'check' }, h('input', { type: 'checkbox', name: 'scope', value: v, checked: v === 'read' }), h('span', {}, h('strong', {}, v), ' – ', text)));
  const add = form({ class: 'narrow' }, async (node) => {
    const chosen = new FormData(node).getAll('scope');
    const r = await post('/tokens', days.value ? { name: name.value, scopes: chosen, days: Number(days.value) } : { name: name.value, scopes: chosen });
    const text = h('code', { class: 'token' }, r.token);
    replace(shown, h('div', { class: 'good-box' }, icon('check'), h('div', {}, h('strong', {}, 'Copy it now: it is never shown again.'), h('div', { class: 'row-gap wrap' }, text, button('Copy', { on: () => copy(r.token) })), h('p', { class: 'muted small' }, 'Use it as ', h('code', {}, 'Authorization: Bearer hf_…')))));
    node.reset();
    load();
  }, field('Name', name, { hint: 'What it is for.' }), h('fieldset', { class: 'plain' }, h('legend', {}, 'It may'), scopes), field('Ends', days), h('div', { class: 'form-actions' }, button('Make a token', { kind: 'primary', type: 'submit' })));
  load();
  return [shown, panel('Tokens', {}, slot), panel('Make a token', {}, add)];
}

const PARTS = [['account', 'Account', account, 'viewer'], ['appearance', 'Appearance', appearance, 'viewer'], ['channels', 'Channels', channels, 'viewer'], ['users', 'Users', users, 'administrator'], ['tokens', 'Tokens', tokens, 'administrator']];

export function view(ctx) {
  const part = PARTS.find(([name]) => name === (ctx.params.part || 'account')) || PARTS[0];
  const [, title, make, role] = part;
  const nav = h('nav', { class: 'sub-nav', 'aria-label': 'Settings' }, PARTS.filter((p) => may(p[3])).map(([name, text]) => h('a', { href: '/settings/' + name, 'aria-current': name === part[0] ? 'page' : undefined }, text)));
  const body = may(role) ? make(ctx) : [h('div', { class: 'problem' }, icon('incidents'), h('div', {}, h('strong', {}, 'Only administrators see this.'), h('p', { class: 'muted' }, `Your role is ${session.role}.`)))];
  return page(title, { crumbs: [h('span', {}, 'Settings')] }, nav, h('div', { class: 'stack-gap' }, body));
}
