// SPDX-License-Identifier: Apache-2.0
// One rule: what it looks for, how loud it is and where, its exceptions, and which of the last alerts it would give now.
import { h, icon, replace } from './dom.js';
import { get, may, post, seg } from './api.js';
import { openException } from './actions.js';
import { bars, lying, parts } from './chart.js';
import { format, parse, when } from './time.js';
import { button, empty, facts, loading, page, panel, problemBox, say, table } from './ui.js';
import { code, number, plural, severity, shortId, shorten, tag } from './words.js';

// Alerts of 7 days by 6 hours.
function noise(r) {
  const STEP = 6 * 3600000;
  const end = Math.ceil(Date.now() / STEP) * STEP;
  const slots = Array.from({ length: 28 }, (_, i) => ({ at: end - (28 - i) * STEP, n: 0 }));
  for (const x of r.hours) {
    const s = slots[Math.floor((parse(x.start) - slots[0].at) / STEP)];
    if (s) s.n += x.count;
  }
  return bars('Alerts by six hours, 7 days', slots.map((s, i) => ({ label: format(s.at, 'short'), tick: i % 4 === 0 ? format(s.at, 'day').replace(/ \d{4}$/, '') : null, parts: [{ name: 'alerts', value: s.n, cls: 'f-' + r.severity }] })), { unit: 'alerts', height: 120, columns: ['From'] });
}

const RESULT = { would_alert: ['would alert', 'tag-bad'], excepted: ['excepted', 'tag-good'], cannot_tell: ['cannot tell', ''] };

export function view(ctx) {
  const name = ctx.params.name;
  const path = '/rules/' + seg(name);
  const body = h('div', { class: 'stack-gap' }, loading(8));
  const replayed = h('div', { 'aria-live': 'polite' });
  async function replay(e) {
    const b = e.currentTarget;
    b.setAttribute('aria-disabled', 'true');
    replace(replayed, h('p', { class: 'muted' }, 'Looking at the kept alerts of the last 7 days …'));
    try {
      const r = await post(path + '/replay', { days: 7 });
      if (!ctx.alive()) return;
      say(`${r.would_alert} of ${r.alerts} would alert`);
      replace(replayed, parts('Replay', [{ name: 'would alert', value: r.would_alert, cls: 'f-high' }, { name: 'excepted', value: r.excepted, cls: 'f-good' }, { name: 'cannot tell', value: r.cannot_tell, cls: 'f-info' }]),
        h('p', { class: 'muted small' }, `${plural(r.alerts, 'kept alert')} of ${r.days} days.`, r.truncated ? ' Only the newest were looked at.' : '', r.cannot_tell ? ' Cannot tell: sums of folded alerts, of which the event is not kept.' : ''),
        r.items.length ? table('Replay', [{ title: 'When', cell: (i) => when(i.time, 'short') }, { title: 'Now', cell: (i) => tag(RESULT[i.result]?.[0] || i.result, RESULT[i.result]?.[1]) }, { title: 'What', cell: (i) => shorten(i.summary, 300) }, { title: 'Exception', cell: (i) => (i.exception ? code(i.exception) : '–') }], r.items.slice(0, 50)) : null);
    } catch (err) {
      if (err.name !== 'AbortError') replace(replayed, problemBox(err));
    } finally {
      b.removeAttribute('aria-disabled');
    }
  }
  function show(r) {
    const exception = (a) => (may('administrator') ? button('Except …', { icon: 'rules', on: () => openException(r.name, a.id, { incident: a.incident, onDone: load }) }) : null);
    replace(body,
      h('div', { class: 'row-gap wrap' }, severity(r.severity), r.missing ? tag('no longer loaded', 'tag-warn') : r.enabled ? tag('on', 'tag-good') : tag('off'), r.given_up ? tag('given up to keep the budget', 'tag-warn') : null, (r.techniques || []).map((t) => (/^T[0-9]{4}(\.[0-9]{3})?$/.test(t) ? h('a', { class: 'tag mono', href: 'https://attack.mitre.org/techniques/' + t.replace('.', '/') + '/', target: '_blank', rel: 'noreferrer noopener' }, t) : tag(t))), (r.tactics || []).map((t) => tag(t.replace(/_/g, ' '))), h('span', { class: 'muted' }, `${plural(r.alerts_24h, 'alert')} in 24 hours, ${number(r.alerts_7d)} in 7 days`)),
      r.unserved?.length ? h('div', { class: 'warn-box' }, icon('incidents'), h('div', {}, h('strong', {}, 'Nothing here fills what it asks for: '), r.unserved.join('; '))) : null,
      h('div', { class: 'columns wide-left' },
        panel('Noise', { extra: h('span', { class: 'muted' }, r.last_alert ? ['last ', when(r.last_alert)] : 'never alerted') }, noise(r), r.containers?.length ? [h('h3', {}, 'Where'), lying('Alerts by container', r.containers.map((c) => ({ label: c.container && c.container !== 'host' ? h('a', { href: '/containers/' + seg(c.container) }, shorten(c.name || shortId(c.container), 80)) : c.name || 'host', value: c.count, cls: 'f-plain' })))] : null),
        panel('What it looks for', {}, facts([['What', r.what || r.description], ['Do', r.do], ['Benign when', r.benign], ['Responds', (r.responds || []).join(', ')], ['Cost', r.cost_pct !== undefined ? `${r.cost_pct.toFixed(3)} % of one core` : null], ['File', h('span', {}, code(r.file), r.line ? `, line ${r.line}` : '')]]), h('h3', {}, 'Condition'), h('pre', { class: 'wrap-pre', tabindex: 0 }, r.condition || '–'))),
      panel('Exceptions', { extra: h('span', { class: 'muted' }, number(r.exception_items.length)) }, r.exception_items.length ? table('Exceptions', [{ title: 'Only when', cell: (e) => h('div', {}, Object.entries(e.keys).map(([k, v]) => h('div', {}, h('span', { class: 'muted' }, k, ' '), code(v, 120)))) }, { title: 'Why', cell: (e) => shorten(e.why || '–', 300) }, { title: 'Owner', cell: (e) => e.owner || '–' }, { title: 'Ends', cell: (e) => h('span', {}, e.expires || 'never', e.expired ? [' ', tag('over', 'tag-warn')] : null) }, { title: 'In', cell: (e) => h('span', { class: 'small' }, code(e.file, 80), e.line ? `:${e.line}` : '') }], r.exception_items) : h('p', { class: 'muted' }, 'None. Make one from an alert below: it holds only for what has everything in common with that alert, and it ends.')),
      panel('Replay', { extra: button('Replay 7 days', { icon: 'play', disabled: !may('responder'), title: may('responder') ? '' : 'Needs the role responder', on: replay }) }, h('p', { class: 'muted' }, 'Which of the kept alerts would this rule, with its exceptions as they are now, give again?'), replayed),
      panel('Last alerts', {}, r.last_alerts?.length ? table('Last alerts', [{ title: 'When', cell: (a) => when(a.time, 'short') }, { title: 'What', cell: (a) => shorten(a.summary, 300) }, { title: 'Container', cell: (a) => (a.container ? h('a', { href: '/containers/' + seg(a.container), class: 'mono' }, shortId(a.container)) : 'host') }, { title: 'Incident', cell: (a) => (a.incident ? h('a', { href: '/incidents/' + seg(a.incident), class: 'mono' }, a.incident) : '–') }, { title: '', cell: exception }], r.last_alerts) : empty('No alert of it is kept.')));
  }
  async function load() {
    try {
      const r = await get(path, null, { signal: ctx.signal });
      if (ctx.alive()) show(r);
    } catch (e) {
      if (e.name !== 'AbortError') replace(body, problemBox(e, load));
    }
  }
  load();
  return page(name, { crumbs: [h('a', { href: '/rules' }, 'Rules'), icon('chevron'), h('span', {}, 'Rule')] }, body);
}
