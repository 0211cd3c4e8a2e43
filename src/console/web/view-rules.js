// SPDX-License-Identifier: Apache-2.0
// Rules: what is on, and how loud each is.
import { h, replace } from './dom.js';
import { get } from './api.js';
import { when } from './time.js';
import { debounce, empty, field, input, loading, page, problemBox, select } from './ui.js';
import { number, plural, severity, shorten, tag } from './words.js';
import { vlist } from './vlist.js';

let loudest = 1;
const row = (r) => h('div', { class: 'vlist-cells rule-row' + (r.enabled ? '' : ' faded') },
  h('span', { class: 'c-severity', role: 'cell' }, severity(r.severity)),
  h('span', { class: 'c-title', role: 'cell' }, h('a', { class: 'row-link', href: '/rules/' + encodeURIComponent(r.name) }, shorten(r.name, 200)), h('span', { class: 'muted small' }, shorten(r.description || r.file, 300))),
  h('span', { class: 'c-state', role: 'cell' }, r.missing ? tag('no longer loaded', 'tag-warn') : r.given_up ? tag('given up', 'tag-warn') : r.enabled ? tag('on', 'tag-good') : tag('off'), r.exceptions ? tag(plural(r.exceptions, 'exception')) : null),
  h('span', { class: 'c-noise', role: 'cell' }, h('span', { class: 'noise', 'aria-hidden': 'true' }, h('span', { class: 'noise-fill f-' + r.severity, css: { width: r.alerts_7d ? Math.max(3, (Math.log(1 + r.alerts_7d) / Math.log(1 + loudest)) * 100).toFixed(1) + '%' : '0' } })), h('span', { class: 'num' }, number(r.alerts_7d), h('span', { class: 'muted small' }, ` / ${number(r.alerts_24h)}`))),
  h('span', { class: 'c-cost num', role: 'cell' }, r.cost_pct !== undefined ? `${r.cost_pct.toFixed(3)} %` : '–'),
  h('span', { class: 'c-time', role: 'cell' }, r.last_alert ? when(r.last_alert) : h('span', { class: 'muted' }, 'never')));

export function view(ctx) {
  let all = [];
  const list = vlist({ label: 'Rules', cls: 'rule-list', row, key: (r) => r.name, columns: [{ name: 'severity', title: 'Severity' }, { name: 'title', title: 'Rule' }, { name: 'state', title: 'State' }, { name: 'noise', title: 'Alerts, 7 days / 24 h' }, { name: 'cost', title: 'Cost' }, { name: 'time', title: 'Last alert' }] });
  ctx.onLeave(() => list.stop());
  const q = input({ type: 'search', maxlength: 200, placeholder: 'Name, description, technique, tag' });
  const enabled = select([['', 'All'], ['true', 'On'], ['false', 'Off']], '');
  const sort = select([['', 'Loudest first'], ['name', 'By name'], ['severity', 'Worst first'], ['cost', 'Dearest first']], '');
  const told = h('p', { class: 'list-count muted', role: 'status' });
  const slot = h('div', {}, loading(8));
  q.addEventListener('input', debounce(() => ctx.setQuery({ q: q.value.trim() }), 250));
  enabled.addEventListener('change', () => ctx.setQuery({ enabled: enabled.value }));
  sort.addEventListener('change', () => ctx.setQuery({ sort: sort.value }));
  const ORDER = ['debug', 'info', 'notice', 'low', 'medium', 'high', 'critical'];
  const BY = {
    name: (a, b) => (a.name < b.name ? -1 : 1), severity: (a, b) => ORDER.indexOf(b.severity) - ORDER.indexOf(a.severity) || b.alerts_7d - a.alerts_7d, cost: (a, b) => (b.cost_pct ?? -1) - (a.cost_pct ?? -1),
    loud: (a, b) => b.alerts_7d - a.alerts_7d || ORDER.indexOf(b.severity) - ORDER.indexOf(a.severity) || (a.name < b.name ? -1 : 1),
  };
  function show() {
    loudest = Math.max(1, ...all.map((r) => r.alerts_7d));
    const on = all.filter((r) => r.enabled).length;
    replace(told, all.length ? `${plural(all.length, 'rule')}, ${number(on)} on` : '');
    if (!all.length) {
      replace(slot, empty('No rule matches.', ctx.query().q ? '' : 'The daemon loaded no rules.'));
      return;
    }
    if (list.node.parentNode !== slot) replace(slot, list.node);
    list.set([...all].sort(BY[ctx.query().sort] || BY.loud));
  }
  let was = null, generation = 0;
  async function load() {
    const f = ctx.query();
    if (document.activeElement !== q) q.value = f.q || '';
    enabled.value = f.enabled || '';
    sort.value = f.sort || '';
    const key = JSON.stringify([f.q, f.enabled]);
    if (key === was) {
      show();
      return;
    }
    const mine = ++generation;
    try {
      let got = [], cursor = null;
      do {
        const r = await get('/rules', { q: f.q, enabled: f.enabled, limit: 1000, cursor }, { signal: ctx.signal });
        got = got.concat(r.items);
        cursor = r.next;
      } while (cursor && got.length < 20000);
      if (mine !== generation || !ctx.alive()) return;
      was = key;
      all = got;
      show();
    } catch (e) {
      if (e.name !== 'AbortError') replace(slot, problemBox(e, load));
    }
  }
  ctx.onQuery(load);
  load();
  return page('Rules', {}, h('form', { class: 'filters', role: 'search', 'aria-label': 'Filter rules', on: { submit: (e) => e.preventDefault() } }, field('Search', q, { cls: 'grow' }), field('Which', enabled), field('Order', sort), told), slot);
}
