// SPDX-License-Identifier: Apache-2.0
// Events as they come: kept in this page up to a limit, with filters, a pause, and older ones from the server's memory.
import { h, icon, replace } from './dom.js';
import { get } from './api.js';
import { listen } from './stream.js';
import { format, when } from './time.js';
import { button, dialog, empty, facts, field, input, loading, problemBox, select } from './ui.js';
import { SEVERITIES, cap, code, containerLink, number, plural, rank, sentence, severity, shorten, tag } from './words.js';
import { vlist } from './vlist.js';

const KEEP = 4000;
const TYPES = ['exec', 'exit', 'fork', 'file', 'connect', 'accept', 'listen', 'dns', 'tls', 'http', 'close', 'ptrace', 'mount', 'module'];
const textOf = new WeakMap();
function searchText(e) {
  if (!textOf.has(e)) textOf.set(e, JSON.stringify(e.line).toLowerCase());
  return textOf.get(e);
}
const containerOf = (line) => line.event?.container || line.container;

function detail(e) {
  const line = e.line;
  const s = sentence(line);
  const inner = line.event || line;
  const p = inner.process;
  dialog(line.type === 'alert' ? line.rule : `${cap(s.verb) || 'Event'}`, h('div', { class: 'stack-gap' },
    line.type === 'alert' ? h('p', {}, severity(line.severity), ' ', shorten(line.summary, 2000)) : h('p', {}, h('strong', {}, s.who), ' ', s.verb, ' ', code(s.what, 2000)),
    facts([['When', when(line.time, 'full')], ['Container', inner.container ? containerLink(inner.container) : null], ['Image', inner.container?.image], ['Process', p ? code(`${p.exe || p.name} (${p.pid})`) : null], ['Command', p?.args?.length ? code(p.args.join(' '), 1000) : null], ['User', p?.uid], ['Came by', p?.session],
      ['Started by', p?.ancestors?.length ? code(p.ancestors.map((a) => a.name || a.exe).slice(0, 8).join(' ← '), 400) : null], ['Rule', line.rule ? h('a', { href: '/rules/' + encodeURIComponent(line.rule) }, line.rule) : null], ['Number', number(e.seq)]]),
    h('details', {}, h('summary', {}, 'The whole line'), h('pre', { tabindex: 0, class: 'wrap-pre' }, shorten(JSON.stringify(line, null, 1), 60000)))), { cls: 'dialog-wide' });
}

export function eventList(ctx, { container } = {}) {
  let all = [];       // newest first
  let shown = [];
  let held = [];      // came while paused
  let paused = false;
  let before = null;  // where older ones are asked for
  let busy = false;
  const list = vlist({ label: 'Events', cls: 'event-list', key: (e) => e.seq, more: () => {}, row: (e) => {
    const s = sentence(e.line);
    const c = containerOf(e.line);
    const isAlert = e.kind === 'alert';
    return h('div', { class: 'vlist-cells event-row' + (isAlert ? ' event-alert' : '') },
      h('span', { class: 'c-time mono', role: 'cell' }, h('time', { datetime: e.line.time, data: { kind: 'time' }, title: format(e.line.time, 'full', true) }, format(e.line.time, 'time'))),
      h('span', { class: 'c-kind', role: 'cell' }, isAlert ? severity(e.line.severity) : tag(e.kind === 'event' ? e.line.type || 'event' : e.kind)),
      container ? null : h('span', { class: 'c-where', role: 'cell' }, c ? shorten(c.name || c.id?.slice(0, 12), 60) : h('span', { class: 'muted' }, 'host')),
      h('span', { class: 'c-what', role: 'cell' }, h('button', { type: 'button', class: 'row-button', on: { click: () => detail(e) } }, h('strong', {}, shorten(s.who, 60)), ' ', h('span', { class: 'muted' }, s.verb), ' ', h('span', { class: 'mono' }, shorten(s.what, 400)))));
  }, columns: [{ name: 'time', title: 'Time' }, { name: 'kind', title: 'Kind' }, ...(container ? [] : [{ name: 'where', title: 'Container' }]), { name: 'what', title: 'What' }] });
  ctx.onLeave(() => list.stop());

  const q = input({ type: 'search', maxlength: 200, placeholder: 'Any part of it' });
  const kind = select([['', 'All'], ['alert', 'Alerts'], ...TYPES.map((t) => [t, t])], ctx.query().type || '');
  const least = select([['', 'Any'], ...[...SEVERITIES].reverse().slice(0, 5).map((s) => [s, cap(s) + (s === 'critical' ? '' : ' or worse')])], ctx.query().min_severity || '');
  const told = h('p', { class: 'list-count muted' });
  const pause = button('Pause', { icon: 'pause', on: () => hold(!paused), 'aria-pressed': 'false' });
  const pill = h('button', { class: 'pill', type: 'button', on: { click: () => {
    window.scrollTo(0, 0);
    if (paused) hold(false);
    else take();
  } } });
  pill.hidden = true;
  const older = button('Show older', { on: () => more() });
  const olderPlace = h('div', { class: 'more' }, older);
  const slot = h('div', {}, loading(6));
  q.value = ctx.query().find || '';

  const passes = (e) => {
    if (kind.value === 'alert' && e.kind !== 'alert') return false;
    if (kind.value && kind.value !== 'alert' && e.line.type !== kind.value) return false;
    if (least.value && (e.kind !== 'alert' || rank(e.line.severity) < rank(least.value))) return false;
    if (container && containerOf(e.line)?.id !== container) return false;
    return !q.value || searchText(e).includes(q.value.toLowerCase());
  };
  function count() {
    replace(told, `${number(shown.length)} shown${all.length !== shown.length ? ` of ${number(all.length)}` : ''}`);
  }
  function show() {
    shown = all.filter(passes);
    count();
    if (!shown.length) replace(slot, empty(all.length ? 'Nothing that came passes these filters.' : 'Nothing happened yet.', 'Events of containers appear here as they happen.'));
    else {
      if (list.node.parentNode !== slot) replace(slot, list.node);
      list.set(shown);
    }
  }
  function filterChanged() {
    ctx.setQuery({ find: q.value.trim(), type: kind.value, min_severity: least.value });
    show();
  }
  for (const c of [q, kind, least]) c.addEventListener(c === q ? 'input' : 'change', filterChanged);
  function hold(on) {
    paused = on;
    pause.setAttribute('aria-pressed', String(on));
    replace(pause, icon(on ? 'play' : 'pause'), h('span', {}, on ? 'Go on' : 'Pause'));
    if (!on) take();
  }

  // New ones are taken in at most ten times a second, and only while the top is looked at: nothing moves under the reader.
  let frame = 0;
  const reading = () => paused || list.node.contains(document.activeElement) || (list.node.isConnected && !list.atTop());
  function take() {
    if (!held.length) {
      pill.hidden = true;
      return;
    }
    const fresh = held.reverse();
    held = [];
    pill.hidden = true;
    all = fresh.concat(all);
    if (all.length > KEEP) {
      all.length = KEEP;
      before = all[KEEP - 1].seq;
      olderPlace.hidden = false;
    }
    show();
  }
  function arrived() {
    frame = 0;
    if (!ctx.alive()) return;
    if (reading()) {
      const n = held.filter(passes).length;
      pill.hidden = !n;
      if (n) replace(pill, icon('live'), `${number(n)}${held.length >= KEEP ? '+' : ''} new. Show`);
      return;
    }
    take();
  }
  ctx.onLeave(listen(['event', 'alert', 'container', 'loss'], ({ kind: k, data, id }) => {
    const seq = Number(id);
    if (k === 'gap') {
      replace(told, `${plural(data?.missed || 0, 'event')} went by while the connection was away`);
      return;
    }
    if (all.length && seq <= all[0].seq) return; // known by the first look
    held.push({ seq, kind: k, line: data });
    if (held.length > KEEP) held.shift();
    frame ||= setTimeout(arrived, 100);
  }));

  async function more() {
    if (busy) return;
    busy = true;
    try {
      const r = await get('/events', { kinds: 'event,alert,container,loss', container, limit: 500, before }, { signal: ctx.signal });
      if (!ctx.alive()) return;
      all = all.concat(r.items);
      before = r.next;
      olderPlace.hidden = !r.next || !r.items.length;
      show();
    } catch (e) {
      if (e.name === 'AbortError') return;
      if (!all.length) replace(slot, problemBox(e, more));
    } finally {
      busy = false;
    }
  }
  more();
  return { node: h('div', {}, h('form', { class: 'filters', role: 'search', 'aria-label': 'Filter events', on: { submit: (e) => e.preventDefault() } }, field('Search', q, { cls: 'grow' }), field('Kind', kind), field('Severity', least), h('div', { class: 'filter-end' }, pause), told), h('div', { class: 'pill-place' }, pill), slot, olderPlace), query: () => show() };
}
