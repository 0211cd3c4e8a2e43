// SPDX-License-Identifier: Apache-2.0
// The list of incidents: filters in the address, thousands of rows, changes as they come without moving what is read.
import { h, icon, replace } from './dom.js';
import { get } from './api.js';
import { listen } from './stream.js';
import { when } from './time.js';
import { debounce, empty, field, input, loading, page, problemBox, say, select } from './ui.js';
import { STATES, SEVERITIES, cap, number, plural, severity, shorten, state } from './words.js';
import { vlist } from './vlist.js';

const PAGE = 1000; // rows are small; the first page is shorter, so that it is there at once
const FIRST = 100;

function row(i) {
  const where = (i.containers || []).map((c) => c.name || c.id.slice(0, 12));
  return h('div', { class: 'vlist-cells incident-row' + (i.state === 'resolved' ? ' faded' : '') },
    h('span', { class: 'c-severity', role: 'cell' }, severity(i.severity)),
    h('span', { class: 'c-title', role: 'cell' }, h('a', { class: 'row-link', href: '/incidents/' + encodeURIComponent(i.id) }, shorten(i.title, 300)), h('span', { class: 'muted small' }, [where.slice(0, 3).join(', ') + (where.length > 3 ? ` and ${where.length - 3} more` : ''), i.hosts?.[0], i.id].filter(Boolean).join(' · '))),
    h('span', { class: 'c-state', role: 'cell' }, state(i.state, i.resolution)),
    h('span', { class: 'c-person', role: 'cell' }, i.assignee ? [icon('person'), shorten(i.assignee, 40)] : h('span', { class: 'muted' }, 'nobody')),
    h('span', { class: 'c-count num', role: 'cell' }, h('span', { class: 'on-phone' }, plural(i.alerts, 'alert')), h('span', { class: 'off-phone' }, number(i.alerts))),
    h('span', { class: 'c-time', role: 'cell' }, when(i.updated)));
}

export function view(ctx) {
  let items = [], total = 0, next = null, busy = null, generation = 0;
  const byId = new Map();
  const list = vlist({
    label: 'Incidents', cls: 'incident-list', row, key: (i) => i.id, more: () => more(),
    columns: [{ name: 'severity', title: 'Severity' }, { name: 'title', title: 'What' }, { name: 'state', title: 'State' }, { name: 'person', title: 'Assigned to' }, { name: 'count', title: 'Alerts' }, { name: 'time', title: 'Changed' }],
  });
  ctx.onLeave(() => list.stop());

  const q = input({ type: 'search', name: 'q', maxlength: 200, placeholder: 'Title, container, image, rule, id' });
  const which = select([['', 'Unresolved'], ...Object.entries(STATES), ['all', 'All']], '', { name: 'state' });
  const least = select([['', 'Any'], ...[...SEVERITIES].reverse().slice(0, 5).map((s) => [s, cap(s) + (s === 'critical' ? '' : ' or worse')])], '', { name: 'min_severity' });
  const person = input({ name: 'assignee', maxlength: 200, placeholder: 'Anybody', list: 'people' });
  const filters = h('form', { class: 'filters', role: 'search', 'aria-label': 'Filter incidents', on: { submit: (e) => e.preventDefault() } },
    field('Search', q, { cls: 'grow' }), field('State', which), field('Severity', least), field('Assigned to', person), h('datalist', { id: 'people' }, h('option', { value: 'me' })));
  const told = h('p', { class: 'list-count muted', role: 'status' });
  const pill = h('button', { class: 'pill', type: 'button', on: { click: () => {
    window.scrollTo(0, 0);
    load(true);
  } } });
  pill.hidden = true;
  const slot = h('div', {}, loading(8));

  function showFilters() {
    const f = ctx.query();
    if (document.activeElement !== q) q.value = f.q || '';
    which.value = f.state || '';
    least.value = f.min_severity || '';
    if (document.activeElement !== person) person.value = f.assignee || '';
  }
  const params = () => {
    const f = ctx.query();
    return { state: f.state || 'unresolved', min_severity: f.min_severity, assignee: f.assignee, q: f.q, since: f.since, until: f.until };
  };
  const changed = () => ctx.setQuery({ q: q.value.trim(), state: which.value, min_severity: least.value, assignee: person.value.trim() });
  q.addEventListener('input', debounce(changed, 250));
  person.addEventListener('change', changed);
  for (const s of [which, least]) s.addEventListener('change', changed);

  function show() {
    byId.clear();
    items.forEach((i, at) => byId.set(i.id, at));
    replace(told, total ? `${plural(total, 'incident')}` : '');
    if (!items.length) {
      const f = ctx.query();
      replace(slot, f.q || f.state || f.min_severity || f.assignee ? empty('Nothing matches these filters.', h('button', { class: 'button', type: 'button', on: { click: () => ctx.setQuery({ q: null, state: null, min_severity: null, assignee: null, since: null, until: null }) } }, 'Show all that are unresolved'))
        : empty('No unresolved incident.', 'Alerts become incidents here, in less than a second. ', h('a', { href: '/incidents?state=all' }, 'Show those that were resolved')));
      return;
    }
    if (list.node.parentNode !== slot) replace(slot, list.node);
    list.set(items, total);
  }

  let known = new Set();
  async function load(quiet) {
    const mine = ++generation;
    pill.hidden = true;
    waiting.clear();
    try {
      const r = await get('/incidents', { ...params(), limit: quiet ? Math.min(1000, Math.max(FIRST, items.length)) : FIRST }, { signal: ctx.signal });
      if (mine !== generation || !ctx.alive()) return;
      items = r.items;
      next = r.next;
      total = r.total ?? items.length;
      known = new Set(items.map((i) => i.id));
      busy = null;
      show();
    } catch (e) {
      if (e.name === 'AbortError' || mine !== generation) return;
      if (!quiet) replace(slot, problemBox(e, () => load()));
    }
  }
  function more() {
    if (busy || !next) return;
    const mine = generation;
    busy = get('/incidents', { ...params(), limit: PAGE, cursor: next }, { signal: ctx.signal }).then((r) => {
      if (mine !== generation || !ctx.alive()) return;
      items = items.concat(r.items.filter((i) => !known.has(i.id)));
      for (const i of r.items) known.add(i.id);
      next = r.next;
      if (!next) total = items.length;
      busy = null;
      show();
    }).catch((e) => {
      if (e.name !== 'AbortError') setTimeout(() => { busy = null; list.refresh(); }, 3000);
    });
  }

  // What comes meanwhile: rows that are there change in place; new ones wait behind a button while somebody reads.
  const waiting = new Set();
  const reading = () => window.scrollY > 60 || list.node.contains(document.activeElement) || list.node.matches(':hover') || waiting.size > 200;
  const arrived = debounce(() => {
    if (!waiting.size || !ctx.alive()) return;
    if (!reading()) {
      load(true);
      return;
    }
    pill.hidden = false;
    replace(pill, icon('incidents'), `${plural(waiting.size, 'incident')} new or changed. Show`);
    say(`${plural(waiting.size, 'incident')} new or changed`);
  }, 500);
  const f = () => params();
  ctx.onLeave(listen(['incident'], ({ kind, data }) => {
    if (kind === 'gap') {
      waiting.add('gap');
      arrived();
      return;
    }
    if (!data?.id) return;
    const at = byId.get(data.id);
    if (at !== undefined) {
      items[at] = { ...items[at], ...data, updated: data.updated || data.time || new Date().toISOString() };
      list.set(items, total);
      const s = f().state;
      if (s === 'unresolved' ? data.state !== 'resolved' : s === 'all' || s.split(',').includes(data.state)) return; // its place changes with the next look
    }
    waiting.add(data.id);
    arrived();
  }));
  const again = () => load(true);
  window.addEventListener('holdfast:again', again);
  ctx.onLeave(() => window.removeEventListener('holdfast:again', again));

  ctx.onQuery(() => {
    showFilters();
    load();
  });
  showFilters();
  load();
  return page('Incidents', { actions: told }, filters, h('div', { class: 'pill-place' }, pill), slot);
}
