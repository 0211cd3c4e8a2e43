// SPDX-License-Identifier: Apache-2.0
// One container: what it is, what runs in it, who it talks to, what was found, and what can be done to it.
import { h, icon, replace } from './dom.js';
import { get, may, seg } from './api.js';
import { ACTIONS, actionBar, openAction } from './actions.js';
import { eventList } from './events.js';
import { graph } from './graph.js';
import { listen } from './stream.js';
import { when } from './time.js';
import { debounce, empty, facts, loading, page, panel, problemBox, table, tabs } from './ui.js';
import { edgeTable, mapParts } from './view-live.js';
import { cap, code, imageLink, number, plural, severity, severityDot, shortId, shorten, state, tag } from './words.js';

// Rows of the tree in the order of reading, each with its depth; a process whose parent is not there is a root.
function tree(list) {
  const byPid = new Map(list.map((p) => [p.pid, p]));
  const children = new Map();
  const roots = [];
  for (const p of list) {
    if (byPid.has(p.ppid) && p.ppid !== p.pid) {
      if (!children.has(p.ppid)) children.set(p.ppid, []);
      children.get(p.ppid).push(p);
    } else roots.push(p);
  }
  const out = [];
  const seen = new Set();
  const stack = roots.reverse().map((p) => [p, 0]);
  while (stack.length) {
    const [p, depth] = stack.pop();
    if (seen.has(p.pid)) continue;
    seen.add(p.pid);
    out.push({ p, depth });
    for (const c of (children.get(p.pid) || []).reverse()) stack.push([c, depth + 1]);
  }
  for (const p of list) if (!seen.has(p.pid)) out.push({ p, depth: 0 }); // a circle: hostile, shown flat
  return out;
}

function processes(c, changed) {
  if (!c.processes.length) return empty(c.running ? 'No process was seen yet.' : 'It has ended.', c.running ? 'Processes are known from the moment watching began.' : '');
  return [h('ul', { class: 'tree', 'aria-label': 'Processes' }, tree(c.processes).map(({ p, depth }) => h('li', { class: p.runtime ? 'faded' : '', css: { '--depth': Math.min(depth, 12) } },
    h('div', { class: 'tree-row' }, h('span', { class: 'tree-name' }, p.severity ? severityDot(p.severity) : icon('process'), h('strong', {}, shorten(p.name || p.exe, 60)), h('span', { class: 'muted small' }, `${p.ns_pid || p.pid}`, depth ? h('span', { class: 'hide' }, `, depth ${depth}`) : null),
      p.verdict && p.verdict !== 'sealed' ? tag(p.verdict, 'tag-warn') : null, p.session ? tag('by ' + p.session) : null, p.uid === 0 ? tag('root') : p.uid !== undefined ? h('span', { class: 'muted small' }, 'user ', String(p.uid)) : null),
    h('span', { class: 'tree-end' }, p.started ? h('span', { class: 'muted small' }, when(p.started)) : null, may('responder') && c.running && !p.runtime ? h('button', { type: 'button', class: 'link-button danger-text', 'aria-label': `Kill ${p.name} (${p.pid})`, on: { click: () => openAction('kill', c, { pid: p.pid, onDone: changed }) } }, 'Kill') : null)),
    p.args?.length ? h('div', { class: 'tree-args mono small' }, shorten(p.args.join(' '), 500)) : null))),
  c.processes_dropped ? h('p', { class: 'muted' }, `${plural(c.processes_dropped, 'more process', 'more processes')} are not listed.`) : null];
}

const RESULTS = { foreign: 'not of the image', changed: 'changed since the image', moved: 'of the image, in another place', volume: 'on a volume', memory: 'in memory only', unsealed: 'no seal to compare with', unreadable: 'could not be read', sealed: 'as in the image' };
const DID = { none: 'seen', would: 'would be refused', denied: 'refused', killed: 'killed' };
export const verdictTable = (list, { container } = {}) => table('Programs that differ from the image', [
  { title: 'When', cell: (v) => when(v.time, 'short') }, container ? { title: 'Container', cell: (v) => (v.container ? h('a', { href: '/containers/' + seg(v.container) }, shorten(v.container_name || shortId(v.container), 60)) : '–') } : null,
  { title: 'File', cell: (v) => code(v.path, 200) }, { title: 'Verdict', cell: (v) => h('span', {}, tag(v.result, ['foreign', 'changed', 'memory'].includes(v.result) ? 'tag-bad' : ''), h('span', { class: 'muted small' }, ' ', RESULTS[v.result] || '')) },
  { title: 'What was done', cell: (v) => h('span', {}, DID[v.action] || v.action, v.policy ? h('span', { class: 'muted small' }, ` by ${v.policy}${v.clause ? ': ' + v.clause : ''}`) : null) },
  { title: 'Package', cell: (v) => v.package || '–' }, { title: 'By, written by', cell: (v) => shorten([v.exe, v.writer].filter(Boolean).join(', ') || '–', 120) }].filter(Boolean), list);

function peers(c) {
  if (!c.peers.length) return empty('It talked to nobody that was seen.');
  const me = 'container:' + c.id;
  const idOf = (p) => (p.kind === 'container' && p.id ? 'container:' + p.id : p.kind === 'host' ? 'host' : `${p.kind}:${p.address || p.name}`);
  const nodes = new Map([[me, { id: me, kind: 'container', container: c.id, name: c.name, image: c.image, severity: c.severity, running: c.running }]]);
  const edges = c.peers.map((p) => {
    const id = idOf(p);
    if (!nodes.has(id)) nodes.set(id, { id, kind: p.kind, container: p.id, name: p.name });
    const to = { port: p.port, protocol: p.protocol, count: p.count, dns: p.direction === 'out' ? p.dns : undefined, first: p.first, last: p.last, exe: p.direction === 'out' ? p.exe : undefined, to_exe: p.direction === 'in' ? p.exe : undefined };
    return p.direction === 'out' ? { from: me, to: id, ...to } : { from: id, to: me, ...to };
  });
  const { nodes: n, edges: e, name } = mapParts({ nodes: [...nodes.values()], edges });
  return [graph('Peers', n, e), edgeTable(e, name)];
}

function factsTab(c) {
  const own = (v) => (v === 'host' ? tag('shared with the host', 'tag-warn') : v === 'own' ? 'its own' : v);
  const yes = (v, bad) => (v === undefined ? null : v === bad ? tag(v ? 'yes' : 'no', 'tag-warn') : v ? 'yes' : 'no');
  return [h('div', { class: 'columns' },
    panel('What it is', {}, facts([['Id', code(c.id)], ['Image', c.image ? imageLink(c.image, c.digest) : null], ['Digest', c.digest ? code(c.digest) : null], ['Host', c.host], ['Runtime', c.runtime], ['Pod', c.pod ? `${c.pod.namespace}/${c.pod.name}${c.pod.container ? ' (' + c.pod.container + ')' : ''}` : null], ['Command', c.command ? code(c.command, 600) : null], ['Host name', c.hostname], ['Started', c.started ? when(c.started, 'full') : null], ['Ended', c.ended ? when(c.ended, 'full') : null], ['First process', c.init_pid]])),
    panel('What it may', {}, !c.capabilities && c.privileged === undefined && c.user === undefined ? h('p', { class: 'muted' }, 'Not known: it is learned when a container starts while Holdfast watches.') : null, facts([['User', c.user], ['Privileged', yes(c.privileged, true)], ['Root file system read-only', yes(c.readonly)], ['No new privileges', yes(c.no_new_privileges)], ['Seccomp', c.seccomp], ['AppArmor', c.apparmor], ['Network', own(c.namespaces?.network)], ['Processes', own(c.namespaces?.pid)], ['IPC', own(c.namespaces?.ipc)], ['Capabilities', c.capabilities ? (c.capabilities.length ? h('div', { class: 'tags' }, c.capabilities.map((x) => tag(x.replace(/^CAP_/, '').toLowerCase(), ['CAP_SYS_ADMIN', 'CAP_SYS_PTRACE', 'CAP_SYS_MODULE', 'CAP_NET_ADMIN', 'CAP_BPF', 'CAP_SYS_RAWIO', 'CAP_DAC_READ_SEARCH'].includes(x) ? 'tag-warn' : ''))) : 'none') : null]]))),
  c.mounts.length ? panel('Mounts', {}, table('Mounts', [{ title: 'From', cell: (m) => code(m.source, 200) }, { title: 'To', cell: (m) => code(m.destination, 200) }, { title: 'Options', cell: (m) => (/docker\.sock|containerd\.sock|crio\.sock/.test(m.source) ? h('span', {}, shorten(m.options || '', 100), ' ', tag('runtime socket', 'tag-bad')) : shorten(m.options || '–', 100)) }], c.mounts)) : null,
  Object.keys(c.labels).length ? panel('Labels', {}, facts(Object.entries(c.labels).slice(0, 200).map(([k, v]) => [k, shorten(v, 500)]))) : null,
  c.policy && Object.keys(c.policy).length ? panel('Policy', {}, h('pre', { tabindex: 0 }, shorten(JSON.stringify(c.policy, null, 1), 20000))) : null,
  c.facts && Object.keys(c.facts).length ? h('details', { class: 'as-table' }, h('summary', {}, 'All that is known of it'), facts(Object.entries(c.facts).slice(0, 300).map(([k, v]) => [k, code(v, 500)]))) : null];
}

export function view(ctx) {
  const path = '/containers/' + seg(ctx.params.id);
  const head = h('div', { class: 'incident-head' });
  const body = h('div', {}, loading(8));
  let c = null, set = null, was = '', eventsLeave = [];
  ctx.onLeave(() => eventsLeave.forEach((r) => r()));

  function headOf() {
    const force = c.actions || [];
    replace(head, h('div', { class: 'row-gap wrap' }, c.running ? tag('running', 'tag-good') : tag('ended'), c.severity ? severity(c.severity) : null, c.image ? imageLink(c.image, c.digest) : null, c.started ? h('span', { class: 'muted' }, 'started ', when(c.started)) : null, c.findings ? h('span', { class: 'muted' }, `${plural(c.findings.used, 'vulnerability', 'vulnerabilities')} in use`) : null, c.events_per_s !== undefined ? h('span', { class: 'muted' }, `${number(Math.round(c.events_per_s))} events/s`) : null),
      force.length ? h('div', { class: 'warn-box' }, icon('shield'), h('div', {}, force.map((a) => h('p', {}, h('strong', {}, `${ACTIONS[a.action]?.text || cap(a.action || 'held')} is in force`), a.since ? [' since ', when(a.since, 'short')] : null, a.by ? ` by ${a.by}` : '', a.until ? [', ends ', when(a.until, 'short')] : null)))) : null,
      c.running ? actionBar(c, { onDone: () => load() }) : null);
  }
  const incidents = () => (c.incident_items.length ? h('ul', { class: 'brief' }, c.incident_items.map((i) => h('li', {}, h('a', { class: 'brief-link', href: '/incidents/' + seg(i.id) }, severity(i.severity), h('span', { class: 'brief-title' }, i.title), h('span', { class: 'brief-meta' }, state(i.state, i.resolution), when(i.updated)))))) : empty('No incident names it.'));
  const follow = (pick, make) => {
    const node = h('div', { class: 'stack-gap' });
    replace(node, make(c));
    followers.push({ pick, make, node, was: JSON.stringify(pick(c)) });
    return node;
  };
  let followers = [];
  function build() {
    set = tabs(ctx, 'The container', [
      { name: 'processes', title: 'Processes', count: number(c.processes.length), make: () => follow((d) => d.processes, (d) => processes(d, load)) },
      { name: 'peers', title: 'Peers', count: number(c.peers.length), make: () => follow((d) => d.peers.map((p) => [p.name, p.port, p.protocol, p.direction]), peers) },
      { name: 'incidents', title: 'Incidents', count: number(c.incident_items.length), make: () => follow((d) => d.incident_items, incidents) },
      { name: 'drift', title: 'Drift', count: number(c.verdicts.length), make: () => follow((d) => d.verdicts, (d) => (d.verdicts.length ? verdictTable(d.verdicts) : empty('Everything that ran is as in the image.', 'Or nothing is known: without a seal there is nothing to compare with.'))) },
      { name: 'events', title: 'Events', make: () => {
        eventsLeave.forEach((r) => r());
        eventsLeave = [];
        return eventList({ ...ctx, onLeave: (r) => eventsLeave.push(r) }, { container: c.id }).node;
      } },
      { name: 'facts', title: 'Facts', make: () => follow((d) => [d.command, d.mounts, d.labels, d.policy, d.capabilities], factsTab) },
    ]);
    replace(body, set.node);
  }
  async function load(quiet) {
    try {
      const d = await get(path, null, { signal: ctx.signal });
      if (!ctx.alive()) return;
      c = d;
      const shape = JSON.stringify(d);
      if (shape === was) return;
      was = shape;
      const h1 = document.querySelector('main h1');
      if (h1) replace(h1, shorten(c.name || shortId(c.id), 300));
      ctx.title(shorten(c.name || shortId(c.id), 100));
      if (!head.contains(document.activeElement)) headOf();
      if (!set) build();
      else {
        followers = followers.filter((f) => f.node.isConnected);
        for (const f of followers) {
          const now = JSON.stringify(f.pick(d));
          if (now === f.was || f.node.contains(document.activeElement)) continue;
          f.was = now;
          replace(f.node, f.make(d));
        }
        for (const [n, l] of [['processes', c.processes], ['peers', c.peers], ['incidents', c.incident_items], ['drift', c.verdicts]]) set.count(n, number(l.length));
      }
    } catch (e) {
      if (e.name !== 'AbortError' && !(quiet && c)) replace(body, problemBox(e, () => load()));
    }
  }
  const again = debounce(() => ctx.alive() && load(true), 1200);
  ctx.onLeave(listen(['container', 'alert', 'incident'], ({ data }) => {
    if (!data || data.container?.id === c?.id || data.event?.container?.id === c?.id || data.id) again();
  }));
  const timer = setInterval(() => document.visibilityState === 'visible' && load(true), 5000);
  ctx.onLeave(() => clearInterval(timer));
  ctx.onQuery((q) => set?.choose(q.tab, false));
  load();
  return page(shortId(ctx.params.id), { crumbs: [h('a', { href: '/live' }, 'Live'), icon('chevron'), h('span', {}, 'Container')] }, head, body);
}
