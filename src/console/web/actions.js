// SPDX-License-Identifier: Apache-2.0
// What is done to a container: first what it would do is shown (dry_run), then it is done, then what came of it is shown.
import { h, icon, replace } from './dom.js';
import { may, post, seg } from './api.js';
import { button, dialog, done, field, form, input, select } from './ui.js';
import { code } from './words.js';

export const ACTIONS = {
  freeze: { icon: 'freeze', text: 'Freeze', told: 'Stops all its processes where they are. Memory and connections stay, for evidence. Can be undone.', lasts: true },
  thaw: { icon: 'thaw', text: 'Thaw', told: 'Lets it go on.' },
  isolate: { icon: 'isolate', text: 'Isolate', told: 'Drops all its packets and cuts its connections; it goes on running. Can be undone.', lasts: true },
  limit: { icon: 'limit', text: 'Limit', told: 'Lets only so many packets or new connections a second pass. Can be undone.', lasts: true },
  snapshot: { icon: 'snapshot', text: 'Keep evidence', told: 'Keeps processes, memory maps, sockets and changed files in one file, with digests.' },
  kill: { icon: 'kill', text: 'Kill', told: 'Ends it, or one process of it. Cannot be undone; take evidence first.', danger: true },
  release: { icon: 'release', text: 'Release', told: 'Undoes all that Holdfast did to it: frozen, isolated, limited.' },
};

export function actionBar(container, { incident, only, small, onDone } = {}) {
  const allowed = may('responder');
  return h('div', { class: 'action-bar' + (small ? ' small' : ''), role: 'group', 'aria-label': `Actions on ${container.name || container.id}` },
    (only || Object.keys(ACTIONS)).map((name) => button(ACTIONS[name].text, { icon: ACTIONS[name].icon, kind: ACTIONS[name].danger ? 'danger' : '', disabled: !allowed, title: allowed ? ACTIONS[name].told : 'Needs the role responder', on: () => openAction(name, container, { incident, onDone }), 'data-key': `act-${name}-${container.id}` })));
}

function before(object) {
  const list = Object.entries(object || {}).filter(([, v]) => ['string', 'number', 'boolean'].includes(typeof v));
  return list.map(([k, v]) => `${k.replace(/_/g, ' ')}: ${v === true ? 'yes' : v === false ? 'no' : v}`).join(', ');
}

// What `respond --json` says, in words.
function effects(result) {
  const r = result || {};
  const list = Array.isArray(r.effects) ? r.effects : [];
  return h('div', { class: 'effects' },
    list.length ? h('ul', {}, list.map((e) => h('li', {}, String(e)))) : h('p', {}, r.nothing ? 'Nothing to do: it is so already.' : 'No effect is named.'),
    h('dl', { class: 'facts' }, [['By', r.rung], ['As it is', before(r.before)], ['Afterwards', before(r.after)], ['File', r.file || r.output || r.path], ['SHA-256', r.sha256], ['Line of the log', r.seq]]
      .filter((p) => p[1]).map(([k, v]) => h('div', {}, h('dt', {}, k), h('dd', {}, code(String(v)))))));
}

export function openAction(name, container, { incident, pid, onDone } = {}) {
  const a = ACTIONS[name];
  const title = `${a.text}: ${pid ? `process ${pid} of ` : ''}${container.name || container.id.slice(0, 12)}`;
  const why = input({ name: 'why', required: true, maxlength: 500, value: incident ? `incident ${incident}` : '' });
  const time = a.lasts ? select([['', 'Until it is released'], ['5m', '5 minutes'], ['15m', '15 minutes'], ['1h', '1 hour'], ['4h', '4 hours'], ['1d', '1 day']], '1h', { name: 'for' }) : null;
  const allow = name === 'isolate' ? input({ name: 'allow', placeholder: '10.0.0.1, 10.0.0.53:53', maxlength: 1200 }) : null;
  const packets = name === 'limit' ? input({ name: 'packets', type: 'number', min: 1, max: 1000000, value: 100 }) : null;
  const connections = name === 'limit' ? input({ name: 'connections', type: 'number', min: 1, max: 1000000 }) : null;
  const one = name === 'kill' ? input({ name: 'pid', type: 'number', min: 2, max: 4194304, value: pid || '' }) : null;
  const force = may('administrator') ? h('input', { type: 'checkbox', name: 'force' }) : null;
  const shown = h('div', { class: 'shown', 'aria-live': 'polite' });
  const submit = button('Show what it would do', { kind: 'primary', type: 'submit' });
  const back = button('Back', { on: () => step(null) });
  let body = null; // as it was shown

  function wanted() {
    const b = { action: name };
    if (time?.value) b.for = time.value;
    if (allow?.value.trim()) b.allow = allow.value.split(/[\s,]+/).filter(Boolean);
    if (packets?.value) b.packets = Number(packets.value);
    if (connections?.value) b.connections = Number(connections.value);
    if (one?.value) b.pid = Number(one.value);
    if (force?.checked) b.force = true;
    if (why.value.trim()) b.why = why.value.trim();
    return b;
  }
  const ask = h('fieldset', { class: 'plain' }, h('legend', { class: 'hide' }, 'How'),
    field('Why', why, { hint: 'For the audit log and for those who come after you.' }),
    time ? field('For how long', time, { hint: 'Undone by itself afterwards.' }) : null,
    allow ? field('Still reachable', allow, { hint: 'Addresses or networks, with or without a port. Empty: none.' }) : null,
    packets ? h('div', { class: 'field-row' }, field('Packets a second', packets), field('New connections a second', connections)) : null,
    one ? field('Only this process', one, { hint: 'Its number on the host, with what it started. Empty: the whole container.' }) : null,
    force ? h('label', { class: 'check' }, force, 'Also what the safeguards refuse (container runtimes, Holdfast itself, more than ten actions a minute)') : null);

  function step(preview) {
    body = preview ? preview.body : null;
    ask.disabled = !!preview;
    ask.hidden = !!preview;
    back.hidden = !preview;
    submit.className = 'button ' + (preview && a.danger ? 'danger-full' : 'primary');
    replace(submit, preview ? icon(a.icon) : null, h('span', {}, preview ? `${a.text} now` : 'Show what it would do'));
    replace(shown, preview ? [h('h3', {}, 'What it would do'), effects(preview.result)] : null);
    if (preview) submit.focus();
    else why.focus();
  }
  const f = form({ class: 'action-form' }, async () => {
    if (!body) {
      const b = wanted();
      const r = await post(`/containers/${seg(container.id)}/actions`, { ...b, dry_run: true });
      step({ body: b, result: r.result });
      return;
    }
    const sent = incident ? { ...body, incident } : body;
    const r = await post(`/containers/${seg(container.id)}/actions`, sent);
    done(`${a.text}: done to ${container.name || 'the container'}`);
    replace(f, h('div', { class: 'good-box' }, icon('check'), h('strong', {}, 'Done.')), effects(r.result), h('div', { class: 'form-actions' }, button('Close', { kind: 'primary', on: () => box.close() })));
    f.querySelector('.form-actions button').focus();
    onDone?.(r);
  }, h('p', { class: 'muted' }, a.told), ask, shown, h('div', { class: 'form-actions' }, back, submit));
  const box = dialog(title, f, { cls: 'dialog-action' });
  step(null);
  return box;
}

// An exception made from an alert: its text is shown before it is written.
export function openException(rule, alert, { incident, onDone } = {}) {
  const why = input({ required: true, maxlength: 500 });
  const expires = select([['30d', 'In 30 days'], ['7d', 'In 7 days'], ['90d', 'In 90 days'], ['never', 'Never']], '30d');
  const shown = h('div', { class: 'shown', 'aria-live': 'polite' });
  const submit = button('Show what it would be', { kind: 'primary', type: 'submit' });
  let seen = null;
  const reset = () => {
    seen = null;
    replace(shown);
    replace(submit, h('span', {}, 'Show what it would be'));
  };
  why.addEventListener('input', reset);
  expires.addEventListener('change', reset);
  const f = form({}, async () => {
    const body = { alert, why: why.value.trim(), expires: expires.value };
    const path = `/rules/${seg(rule)}/exceptions`;
    if (!seen) {
      const r = await post(path, { ...body, dry_run: true });
      seen = r;
      replace(shown, h('h3', {}, 'The exception'), h('pre', { tabindex: 0 }, r.text), r.file ? h('p', { class: 'muted small' }, 'In ', code(r.file)) : null, h('p', { class: 'muted small' }, 'Only what has all of these in common with this alert is excepted.'));
      replace(submit, icon('check'), h('span', {}, 'Make this exception'));
      submit.focus();
      return;
    }
    const r = await post(path, incident ? { ...body, incident } : body);
    done('The exception is made');
    box.close();
    onDone?.(r);
  }, field('Why is this fine?', why), field('Ends', expires, { hint: 'What was right once is looked at again.' }), shown, h('div', { class: 'form-actions' }, submit));
  const box = dialog(`Exception of “${rule}”`, f);
  why.focus();
  return box;
}
