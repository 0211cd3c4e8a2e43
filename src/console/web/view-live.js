// SPDX-License-Identifier: Apache-2.0
// What runs here now: containers as a list and as a map of who talks to whom, events as they come, and how well is watched.
import { h, replace } from './dom.js';
import { get } from './api.js';
import { line, lying } from './chart.js';
import { eventList } from './events.js';
import { graph } from './graph.js';
import { listen } from './stream.js';
import { parse, when } from './time.js';
import { debounce, empty, facts, field, input, into, loading, page, panel, problemBox, select, table, tabs } from './ui.js';
import { healthWords } from './view-overview.js';
import { bytes, cap, compact, number, plural, severityDot, shortId, shorten, tag } from './words.js';
import { vlist } from './vlist.js';

// ---- containers ----
function row(c) {
  return h('div', { class: 'vlist-cells container-row' + (c.running ? '' : ' faded') },
    h('span', { class: 'c-severity', role: 'cell' }, c.severity ? severityDot(c.severity) : h('span', { class: 'sev sev-only' }, h('span', { class: 'sev-calm', 'aria-hidden': 'true' }), h('span', { class: 'hide' }, 'calm'))),
    h('span', { class: 'c-title', role: 'cell' }, h('a', { class: 'row-link', href: '/containers/' + encodeURIComponent(c.id) }, shorten(c.name || shortId(c.id), 200)), h('span', { class: 'muted small' }, [shorten(c.image || 'no image name', 120), c.pod ? `${c.pod.namespace}/${c.pod.name}` : '', c.running ? '' : 'ended'].filter(Boolean).join(' · '))),
    h('span', { class: 'c-incidents', role: 'cell' }, c.incidents ? tag(plural(c.incidents, 'incident'), 'tag-bad') : c.alerts ? tag(plural(c.alerts, 'alert')) : '', c.drift ? tag('drift', 'tag-warn') : ''),
    h('span', { class: 'c-findings num', role: 'cell' }, c.findings ? h('span', { title: `${number(c.findings.used)} vulnerabilities in use, ${number(c.findings.total)} in all` }, `${number(c.findings.used)} in use`) : h('span', { class: 'muted' }, 'not scanned')),
    h('span', { class: 'c-rate num', role: 'cell' }, c.events_per_s !== undefined ? `${compact(Math.round(c.events_per_s * 10) / 10)}/s` : '–'),
    h('span', { class: 'c-time', role: 'cell' }, c.started ? when(c.running ? c.started : c.ended || c.started) : '–'));
}

function containersTab(ctx) {
  let items = [], next = null, total = 0, busy = false, generation = 0;
  const list = vlist({ label: 'Containers', cls: 'container-list', row, key: (c) => c.id, more: () => more(),
    columns: [{ name: 'severity', title: '' }, { name: 'title', title: 'Container' }, { name: 'incidents', title: 'Incidents' }, { name: 'findings', title: 'Vulnerabilities' }, { name: 'rate', title: 'Events' }, { name: 'time', title: 'Since' }] });
  list.node.querySelector('.c-severity').append(h('span', { class: 'hide' }, 'Severity'));
  ctx.onLeave(() => list.stop());
  const q = input({ type: 'search', maxlength: 200, placeholder: 'Name, image, pod, namespace' });
  const running = select([['', 'Running'], ['all', 'All'], ['ended', 'Ended']], '');
  const told = h('p', { class: 'list-count muted', role: 'status' });
  const slot = h('div', {}, loading(6));
  const params = () => {
    const f = ctx.query();
    return { q: f.q, running: f.running === 'all' ? null : f.running === 'ended' ? 'false' : 'true' };
  };
  q.value = ctx.query().q || '';
  running.value = ctx.query().running || '';
  q.addEventListener('input', debounce(() => ctx.setQuery({ q: q.value.trim() }), 250));
  running.addEventListener('change', () => ctx.setQuery({ running: running.value }));
  function show() {
    replace(told, plural(total, 'container'));
    if (!items.length) {
      replace(slot, ctx.query().q ? empty('No container matches.') : empty('No container runs here.', 'Start one, and it appears here at once: ', h('code', {}, 'docker run …')));
      return;
    }
    if (list.node.parentNode !== slot) replace(slot, list.node);
    list.set(items, total);
  }
  async function load(quiet) {
    const mine = ++generation;
    try {
      const r = await get('/containers', { ...params(), limit: quiet ? Math.min(1000, Math.max(200, items.length)) : 200 }, { signal: ctx.signal });
      if (mine !== generation || !ctx.alive()) return;
      items = r.items;
      next = r.next;
      total = r.total ?? items.length;
      show();
    } catch (e) {
      if (e.name !== 'AbortError' && !quiet) replace(slot, problemBox(e, () => load()));
    }
  }
  function more() {
    if (busy || !next) return;
    busy = true;
    const mine = generation;
    get('/containers', { ...params(), limit: 500, cursor: next }, { signal: ctx.signal }).then((r) => {
      busy = false;
      if (mine !== generation) return;
      const known = new Set(items.map((c) => c.id));
      items = items.concat(r.items.filter((c) => !known.has(c.id)));
      next = r.next;
      show();
    }).catch(() => { busy = false; });
  }
  // Nothing moves while somebody is within the list; it is looked at again when they left.
  const again = debounce(() => {
    if (!ctx.alive() || list.node.contains(document.activeElement) || list.node.matches(':hover') || window.scrollY > 200) return;
    load(true);
  }, 1000);
  ctx.onLeave(listen(['container', 'incident'], again));
  const timer = setInterval(() => document.visibilityState === 'visible' && again(), 10000);
  ctx.onLeave(() => clearInterval(timer));
  load();
  return { node: h('div', {}, h('form', { class: 'filters', role: 'search', 'aria-label': 'Filter containers', on: { submit: (e) => e.preventDefault() } }, field('Search', q, { cls: 'grow' }), field('Which', running), told), slot), query: () => load() };
}

// ---- map ----
const NODE_ICON = { container: 'box', host: 'host', address: 'world' };
export function mapParts(m) {
  const nodes = m.nodes.map((n) => ({
    id: n.id, kind: n.kind, icon: NODE_ICON[n.kind], name: n.name, severity: n.severity, faded: n.kind === 'container' && n.running === false,
    sub: n.kind === 'container' ? n.image : n.kind === 'host' ? 'this machine' : n.local ? 'private address' : 'address',
    href: n.kind === 'container' && n.container ? '/containers/' + encodeURIComponent(n.container) : null,
    told: `${cap(n.kind)} ${n.name}${n.image ? ', image ' + n.image : ''}${n.severity ? `, severity ${n.severity}` : ''}`,
  }));
  const name = new Map(nodes.map((n) => [n.id, n.name]));
  const edges = m.edges.map((e) => ({ ...e, label: `${e.port}/${e.protocol}`, told: `${name.get(e.from)} → ${e.dns || name.get(e.to)} port ${e.port}/${e.protocol}, ${plural(e.count, 'connection')}${e.failed ? `, ${number(e.failed)} failed` : ''}`, cls: e.failed && e.failed === e.count ? 'e-failed' : '' }));
  for (const n of nodes) {
    const mine = edges.filter((e) => e.from === n.id || e.to === n.id);
    if (mine.length) n.told += '. ' + shorten(mine.slice(0, 6).map((e) => e.told).join('; '), 600) + (mine.length > 6 ? ` and ${mine.length - 6} more` : '');
  }
  return { nodes, edges, name };
}
export const edgeTable = (edges, name) => table('Connections', [
  { title: 'From', cell: (e) => h('span', {}, shorten(name.get(e.from), 80), e.exe ? h('span', { class: 'muted small' }, ' ', shorten(e.exe, 60)) : null) },
  { title: 'To', cell: (e) => h('span', {}, shorten(e.dns ? `${e.dns} (${name.get(e.to)})` : name.get(e.to), 120), e.to_exe ? h('span', { class: 'muted small' }, ' ', shorten(e.to_exe, 60)) : null) },
  { title: 'Port', cell: (e) => h('span', { class: 'mono' }, `${e.port}/${e.protocol}`) },
  { title: 'Times', num: true, cell: (e) => h('span', {}, number(e.count), e.failed ? h('span', { class: 'muted small' }, ` (${number(e.failed)} failed)`) : null) },
  { title: 'Bytes', num: true, cell: (e) => (e.bytes_out || e.bytes_in ? `${bytes(e.bytes_out || 0)} ↑ ${bytes(e.bytes_in || 0)} ↓` : '–') },
  { title: 'First', cell: (e) => when(e.first, 'short') }, { title: 'Last', cell: (e) => when(e.last) },
], edges);

function mapTab(ctx) {
  const slot = h('div', {}, loading(6));
  const told = h('p', { class: 'list-count muted', role: 'status' });
  const span = select([['900', '15 minutes'], ['3600', 'An hour'], ['86400', 'A day'], ['', 'All that is kept']], ctx.query().span ?? '', {});
  const q = input({ type: 'search', maxlength: 200, placeholder: 'Name, image, address' });
  q.value = ctx.query().find || '';
  let was = '', last = null;
  q.addEventListener('input', debounce(() => {
    ctx.setQuery({ find: q.value.trim() });
    was = '';
    if (last) draw(last);
  }, 250));
  // What is looked for, with those it talks to.
  function found(m) {
    const text = q.value.trim().toLowerCase();
    if (!text) return m;
    const hit = new Set(m.nodes.filter((n) => [n.name, n.image, n.container].some((v) => v && v.toLowerCase().includes(text))).map((n) => n.id));
    const edges = m.edges.filter((e) => hit.has(e.from) || hit.has(e.to));
    const near = new Set([...hit, ...edges.flatMap((e) => [e.from, e.to])]);
    return { ...m, nodes: m.nodes.filter((n) => near.has(n.id)), edges };
  }
  span.addEventListener('change', () => {
    ctx.setQuery({ span: span.value });
    load();
  });
  function draw(all, quiet) {
    const m = found(all);
    const shape = JSON.stringify([m.nodes.map((n) => [n.id, n.name, n.severity, n.running]), m.edges.map((e) => [e.from, e.to, e.port, e.protocol])]);
    if (quiet && shape === was) return; // only counts changed: the picture stays
    const focus = slot.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    const box = slot.querySelector('.graph-box');
    const scroll = box ? [box.scrollLeft, box.scrollTop] : null;
    const opened = slot.querySelector('details')?.open;
    was = shape;
    replace(told, `${plural(m.nodes.filter((n) => n.kind === 'container').length, 'container')}, ${plural(m.edges.length, 'connection')}${m.dropped ? `, ${number(m.dropped)} more not shown` : ''}`);
    if (!m.nodes.length) {
      replace(slot, all.nodes.length ? empty('Nothing of that name.') : empty('No connection was seen yet.', 'They appear when containers talk to each other, to this machine or to the outside.'));
      return;
    }
    const { nodes, edges, name } = mapParts(m);
    replace(slot, graph('Map of connections', nodes, edges), h('details', { class: 'as-table', open: opened }, h('summary', {}, 'As a table'), edges.length > 500 ? h('p', { class: 'muted' }, 'The newest 500.') : null, edgeTable([...edges].sort((a, b) => (a.last < b.last ? 1 : -1)).slice(0, 500), name)));
    if (focus) slot.querySelector(`[data-id="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
    if (scroll) slot.querySelector('.graph-box').scrollTo(...scroll);
  }
  async function load(quiet) {
    try {
      const since = span.value ? new Date(Date.now() - Number(span.value) * 1000).toISOString() : null;
      last = await get('/map', { since, limit: 3000 }, { signal: ctx.signal });
      if (ctx.alive()) draw(last, quiet);
    } catch (e) {
      if (e.name !== 'AbortError' && !quiet) replace(slot, problemBox(e, () => load()));
    }
  }
  const again = debounce(() => ctx.alive() && slot.isConnected && load(true), 1500);
  ctx.onLeave(listen(['container', 'alert'], again));
  const timer = setInterval(() => document.visibilityState === 'visible' && again(), 5000);
  ctx.onLeave(() => clearInterval(timer));
  load();
  return { node: h('div', {}, h('form', { class: 'filters', role: 'search', 'aria-label': 'Filter the map', on: { submit: (e) => e.preventDefault() } }, field('Find', q, { cls: 'grow' }), field('Seen within', span), told), slot) };
}

// ---- sensor ----
function ruleCosts(cost) {
  const list = Array.isArray(cost?.rules) ? cost.rules : [];
  return list.map((r) => ({ name: r.rule || r.name, pct: r.core_pct ?? r.pct ?? r.cost_pct })).filter((r) => r.name && Number.isFinite(r.pct)).sort((a, b) => b.pct - a.pct).slice(0, 10);
}
function flat(object, prefix = '') {
  return Object.entries(object || {}).flatMap(([k, v]) => (v && typeof v === 'object' && !Array.isArray(v) ? flat(v, prefix + k + ' ') : Array.isArray(v) ? [] : [[prefix + k, v]]));
}
const pct = (n) => (Number.isFinite(n) ? `${n.toFixed(n < 1 ? 2 : 1)} %` : '–');

const needs = (map, title) => (map && Object.keys(map).length ? h('details', { class: 'as-table' }, h('summary', {}, title), facts(Object.entries(map).map(([k, v]) => [k, shorten(String(v), 1000)]))) : null);

function sensorTab(ctx) {
  const slot = h('div', { class: 'stack-gap' }, loading(6));
  const make = (s) => {
    const hw = healthWords(s.health);
    const costs = ruleCosts(s.cost);
    return [
      h('div', { class: 'columns' },
        panel('Health', {}, h('p', {}, h('span', { class: 'health health-' + hw.cls }, hw.word), ' ', hw.text), facts([['State', s.health.state], ['Last line', s.health.last_line ? when(s.health.last_line) : null], ['Runs since', s.health.since ? when(s.health.since, 'full') : null], ['Events', s.health.seen_per_s !== undefined ? `${number(Math.round(s.health.seen_per_s))} a second` : null], ['Lost since start', s.health.lost !== undefined ? number(s.health.lost) : null], ['Lost in the last minute', number(s.health.lost_60s)], ['Hooks on demand', s.on_demand]])),
        panel('Cost', { extra: h('span', { class: 'muted' }, s.health.budget_pct ? `budget ${s.health.budget_pct} % of a core` : 'no budget is set') }, h('p', { class: 'big' }, pct(s.health.core_pct), h('span', { class: 'muted small' }, ' of one core now')), line('Cost in percent of one core, last hour', (s.history || []).filter((p) => Number.isFinite(p.core_pct)).map((p) => ({ at: parse(p.time), value: p.core_pct })), { format: pct }),
          facts([['Memory', s.health.rss_kib ? bytes(s.health.rss_kib * 1024) : null]]))),
      h('div', { class: 'columns' },
        panel('Events a second, last hour', {}, line('Events a second', (s.history || []).filter((p) => Number.isFinite(p.seen_per_s)).map((p) => ({ at: parse(p.time), value: p.seen_per_s })), { format: (n) => number(Math.round(n)) })),
        costs.length ? panel('Dearest rules', {}, lying('Cost of rules', costs.map((r) => ({ label: h('a', { href: '/rules/' + encodeURIComponent(r.name) }, r.name), value: r.pct, text: pct(r.pct), cls: 'f-plain' })))) : panel('Cost in parts', {}, flat(s.cost).length ? facts(flat(s.cost).slice(0, 16).map(([k, v]) => [k.replace(/_/g, ' '), String(v)])) : h('p', { class: 'muted' }, 'Not measured yet; the first numbers come within a minute.'))),
      panel('What is seen, and how', { extra: h('span', { class: 'muted' }, Object.keys(s.hooks).length ? plural(Object.keys(s.hooks).length, 'capability', 'capabilities') : '') }, Object.keys(s.hooks).length ? [
        h('dl', { class: 'hooks' }, Object.entries(s.hooks).map(([k, v]) => h('div', { class: v === 'none' ? 'hook-none' : '' }, h('dt', {}, k.replace(/-/g, ' ')), h('dd', { class: 'mono small' }, v === 'none' ? 'not seen here' : shorten(v, 120))))),
        needs(s.needs, 'Attached on demand, because of these rules'), needs(s.needs_cheap, 'Only by a cheap hook, for these rules')] : h('p', { class: 'muted' }, 'Told when watching starts.'),
        facts(Object.entries(s.left_out || {}).filter(([, v]) => v !== 'none').map(([k, v]) => ['Left out of ' + k, v]))),
      h('div', { class: 'columns' },
        panel('Losses', { extra: h('span', { class: 'muted' }, s.losses.length ? plural(s.losses.length, 'report') : '') }, s.losses.length ? table('Losses', [{ title: 'When', cell: (l) => when(l.time, 'short') }, { title: 'Events', num: true, cell: (l) => number(l.count) }, { title: 'Of', cell: (l) => l.type }, { title: 'Why', cell: (l) => l.reason }], s.losses) : h('p', { class: 'muted' }, 'Nothing was lost.')),
        panel('Given up, and errors', {}, s.given_up.length || s.errors.length ? [s.given_up.length ? h('ul', { class: 'plain-list' }, s.given_up.map((g) => h('li', {}, shorten(flat(g).map(([k, v]) => `${k} ${v}`).join(', '), 500)))) : null, s.errors.length ? h('ul', { class: 'plain-list' }, s.errors.map((e) => h('li', {}, when(e.time, 'short'), ' ', e.text))) : null] : h('p', { class: 'muted' }, 'Nothing: all rules are on, no error was told.'))),
      s.memory ? panel('This console', {}, facts([['Events kept', number(s.memory.events)], ['Memory of them', bytes(s.memory.bytes)], ['Containers', number(s.memory.containers)], ['Connections', number(s.memory.edges)], ['Lines that were none', number(s.memory.refused)], ['Not passed on by the daemon', number(s.memory.not_passed_on)]])) : null];
  };
  const load = () => get('/sensor', null, { signal: ctx.signal });
  into(ctx, slot, load, make);
  const timer = setInterval(async () => {
    if (document.visibilityState !== 'visible' || !slot.isConnected || slot.contains(document.activeElement)) return;
    try {
      replace(slot, make(await load()));
    } catch { /* the connection line tells */ }
  }, 10000);
  ctx.onLeave(() => clearInterval(timer));
  return { node: slot };
}

export function view(ctx) {
  let query = null;
  // What a tab holds open (streams, timers) ends when another is chosen.
  let leaving = [];
  ctx.onLeave(() => leaving.forEach((run) => run()));
  const sub = (make) => () => {
    leaving.forEach((run) => run());
    leaving = [];
    const made = make({ ...ctx, onLeave: (run) => leaving.push(run) });
    query = made.query;
    return made.node;
  };
  const set = tabs(ctx, 'What is shown', [
    { name: 'containers', title: 'Containers', make: sub(containersTab) },
    { name: 'map', title: 'Map', make: sub(mapTab) },
    { name: 'events', title: 'Events', make: sub((c) => eventList(c)) },
    { name: 'sensor', title: 'Sensor', make: sub(sensorTab) },
  ]);
  const brief = h('div', { class: 'row-gap wrap lead-health' });
  const health = async () => {
    try {
      const o = await get('/sensor', null, { signal: ctx.signal });
      if (!ctx.alive()) return;
      const hw = healthWords(o.health);
      replace(brief, h('span', { class: 'health health-' + hw.cls }, hw.word), o.health.seen_per_s !== undefined ? h('span', {}, `${compact(Math.round(o.health.seen_per_s))} events/s`) : null, o.health.core_pct !== undefined ? h('span', {}, `${pct(o.health.core_pct)} of a core`) : null, o.health.lost ? h('span', {}, `${number(o.health.lost)} lost`) : h('span', {}, 'nothing lost'));
      brief.title = hw.text;
    } catch { /* the tabs tell */ }
  };
  health();
  const timer = setInterval(() => document.visibilityState === 'visible' && health(), 10000);
  ctx.onLeave(() => clearInterval(timer));
  ctx.onQuery((q) => {
    const before = set.current();
    set.choose(q.tab, false);
    if (before === set.current()) query?.(q);
  });
  return page('Live', { actions: brief }, set.node);
}
