// SPDX-License-Identifier: Apache-2.0
// One image: vulnerabilities of what really runs first, packages, layers with what brought what, where it runs, drift.
import { h, icon, replace } from './dom.js';
import { get, may, post, seg } from './api.js';
import { lying, parts } from './chart.js';
import { when } from './time.js';
import { button, debounce, done, empty, facts, field, input, loading, page, panel, problemBox, say, select, table, tabs } from './ui.js';
import { verdictTable } from './view-container.js';
import { bySeverity } from './view-overview.js';
import { bytes, cap, code, containerLink, number, plural, severity, shortId, shorten, tag } from './words.js';

// A list that comes in pages, with a filter.
function paged(ctx, path, columns, { caption, filters = [], params = () => ({}), none }) {
  const slot = h('div', {}, loading(5));
  const told = h('p', { class: 'list-count muted', role: 'status' });
  let items = [], next = null, generation = 0;
  const moreButton = button('Show more', { on: () => load(true) });
  async function load(more) {
    const mine = ++generation;
    try {
      const r = await get(path, { ...params(), limit: 200, cursor: more ? next : null }, { signal: ctx.signal });
      if (mine !== generation || !ctx.alive()) return;
      items = more ? items.concat(r.items) : r.items;
      next = r.next;
      replace(told, r.total !== undefined ? number(r.total) + ' in all' : '');
      replace(slot, items.length ? [table(caption, columns, items), next ? h('div', { class: 'more' }, moreButton) : null] : none());
    } catch (e) {
      if (e.name !== 'AbortError') replace(slot, problemBox(e, () => load(more)));
    }
  }
  load();
  return { node: h('div', {}, h('form', { class: 'filters', role: 'search', 'aria-label': 'Filter', on: { submit: (e) => e.preventDefault() } }, filters, told), slot), load: () => load() };
}

function findings(ctx, path, image) {
  const q = input({ type: 'search', maxlength: 200, placeholder: 'CVE or package' });
  const least = select([['', 'Any'], ...['critical', 'high', 'medium', 'low'].map((s) => [s, cap(s) + (s === 'critical' ? '' : ' or worse')])], '');
  const used = select([['', 'All'], ['true', 'In use'], ['false', 'Not in use']], '');
  const list = paged(ctx, path + '/findings', [
    { title: 'Severity', cell: (f) => severity(f.severity) },
    { title: 'Id', cell: (f) => h('span', {}, f.url ? h('a', { href: f.url, target: '_blank', rel: 'noreferrer noopener' }, f.id) : f.id, f.exploited ? [' ', tag('exploited', 'tag-bad')] : null, f.title ? h('div', { class: 'muted small clamp' }, shorten(f.title, 300)) : null) },
    { title: 'Package', cell: (f) => h('span', {}, h('strong', {}, f.package), h('span', { class: 'muted small' }, ` ${f.ecosystem}`)) },
    { title: 'Installed', cell: (f) => h('span', { class: 'mono small version' }, f.version) }, { title: 'Fixed in', cell: (f) => (f.fixed ? h('span', { class: 'mono small version' }, f.fixed) : h('span', { class: 'muted' }, 'no fix yet')) },
    { title: 'In use', cell: (f) => (f.used ? tag('in use', 'tag-bad') : h('span', { class: 'muted version' }, 'not seen')) },
    { title: 'Layer', num: true, cell: (f) => (f.layer === undefined ? '–' : number(f.layer + 1)) },
  ], { caption: 'Vulnerabilities', filters: [field('Search', q, { cls: 'grow' }), field('Severity', least), field('Used', used)], params: () => ({ q: q.value.trim(), min_severity: least.value, used: used.value }), none: () => (image.scanned ? empty(q.value || least.value || used.value ? 'Nothing matches these filters.' : 'No known vulnerability.') : empty('Not scanned yet.')) });
  q.addEventListener('input', debounce(list.load, 250));
  for (const s of [least, used]) s.addEventListener('change', list.load);
  return list.node;
}
function packages(ctx, path) {
  const q = input({ type: 'search', maxlength: 200, placeholder: 'Name' });
  const list = paged(ctx, path + '/packages', [
    { title: 'Package', cell: (p) => h('strong', {}, p.name) }, { title: 'Version', cell: (p) => h('span', { class: 'mono small version' }, p.version) }, { title: 'Kind', cell: (p) => p.ecosystem },
    { title: 'In use', cell: (p) => (p.used ? tag('in use', 'tag-good') : h('span', { class: 'muted version' }, 'not seen')) }, { title: 'Vulnerabilities', num: true, cell: (p) => (p.findings ? number(p.findings) : '–') },
    { title: 'Layer', num: true, cell: (p) => (p.layer === undefined ? '–' : number(p.layer + 1)) }, { title: 'Licence', cell: (p) => shorten((p.licenses || []).join(', ') || '–', 80) },
  ], { caption: 'Packages', filters: [field('Search', q, { cls: 'grow' })], params: () => ({ q: q.value.trim() }), none: () => empty('No package.') });
  q.addEventListener('input', debounce(list.load, 250));
  return list.node;
}
function layers(d) {
  if (!d.layers.length) return empty('Its layers are not known.', 'They are learned by a scan.');
  return [panel('Layers by size', { extra: h('span', { class: 'muted' }, d.size ? bytes(d.size) : '') }, lying('Layers, the lowest first', d.layers.map((l) => ({
    label: h('span', {}, h('span', { class: 'muted' }, `${l.index + 1}. `), h('span', { class: 'mono small' }, shorten((l.created_by || l.digest || 'layer').replace(/^\/bin\/sh -c (#\(nop\) *)?/, ''), 300))), value: l.size || 0, text: l.size === undefined ? '–' : bytes(l.size), cls: l.findings ? 'f-high' : 'f-plain',
    sub: [l.files ? plural(l.files, 'file') : '', l.packages ? plural(l.packages, 'package') : '', l.findings ? plural(l.findings, 'vulnerability', 'vulnerabilities') : '', l.brought?.length ? 'brought ' + shorten(l.brought.join(', '), 300) : ''].filter(Boolean).join(' · '),
  }))), h('p', { class: 'muted small layer-key' }, 'Orange: packages with known vulnerabilities came with it.')),
  h('details', { class: 'as-table' }, h('summary', {}, 'As a table'), table('Layers', [{ title: 'No.', num: true, cell: (l) => number(l.index + 1) }, { title: 'Size', num: true, cell: (l) => bytes(l.size) }, { title: 'Files', num: true, cell: (l) => number(l.files) }, { title: 'Packages', num: true, cell: (l) => number(l.packages) }, { title: 'Vulnerabilities', num: true, cell: (l) => number(l.findings) }, { title: 'Made by', cell: (l) => code(l.created_by || '–', 300) }, { title: 'Digest', cell: (l) => code(shortId(l.digest || l.diff_id)) }], d.layers))];
}

export function view(ctx) {
  const path = '/images/' + seg(ctx.params.digest);
  const head = h('div', { class: 'incident-head' });
  const body = h('div', {}, loading(8));
  let set = null;
  function show(d) {
    const h1 = document.querySelector('main h1');
    if (h1) replace(h1, shorten(d.name || shortId(d.digest), 300));
    ctx.title(shorten(d.name || shortId(d.digest), 100));
    const scan = button('Scan now', { icon: 'search', disabled: !may('responder'), title: may('responder') ? 'Reads it again and matches it against the advisories' : 'Needs the role responder', on: async () => {
      scan.setAttribute('aria-disabled', 'true');
      replace(scan, icon('search'), h('span', {}, 'Scanning …'));
      say('The scan has begun');
      try {
        const fresh = await post(path + '/scan');
        if (!ctx.alive()) return;
        done('The image was scanned');
        show(fresh);
      } catch (e) {
        if (e.name !== 'AbortError' && ctx.alive()) replace(told, problemBox(e));
        replace(scan, icon('search'), h('span', {}, 'Scan now'));
        scan.removeAttribute('aria-disabled');
      }
    } });
    const told = h('div', {});
    replace(head, h('div', { class: 'row-gap wrap' }, d.running ? tag(plural(d.running, 'container'), 'tag-good') : tag('not running'), d.sealed ? tag('sealed') : null, d.os ? h('span', { class: 'muted' }, [d.os, d.architecture].filter(Boolean).join(', ')) : null, d.size ? h('span', { class: 'muted' }, bytes(d.size)) : null, h('span', { class: 'muted' }, d.scanned ? ['scanned ', when(d.scanned)] : 'not scanned yet')),
      d.incomplete?.length ? h('div', { class: 'warn-box' }, icon('incidents'), h('div', {}, h('strong', {}, 'Not all could be read:'), h('ul', {}, d.incomplete.slice(0, 20).map((t) => h('li', {}, t))))) : null, told,
      h('div', { class: 'action-bar' }, scan),
      h('div', { class: 'columns' }, panel('In use', {}, parts('Vulnerabilities of packages in use', bySeverity(d.used_by_severity)), h('p', { class: 'muted small' }, 'Of packages whose files ran or were loaded here.')), panel('All', {}, parts('All vulnerabilities', bySeverity(d.findings_by_severity)))));
    set = tabs(ctx, 'The image', [
      { name: 'findings', title: 'Vulnerabilities', count: number(d.findings.total), make: () => findings(ctx, path, d) },
      { name: 'packages', title: 'Packages', count: number(d.packages), make: () => packages(ctx, path) },
      { name: 'layers', title: 'Layers', count: number(d.layers.length), make: () => h('div', { class: 'stack-gap' }, layers(d)) },
      { name: 'runs', title: 'Where it runs', count: number(d.containers.length), make: () => (d.containers.length ? table('Containers', [{ title: 'Container', cell: containerLink }, { title: 'State', cell: (c) => (c.running ? tag('running', 'tag-good') : tag('ended')) }, { title: 'Host', cell: (c) => c.host || '–' }, { title: 'Started', cell: (c) => (c.started ? when(c.started) : '–') }, { title: 'Incidents', num: true, cell: (c) => number(c.incidents) }], d.containers) : empty('No container of it is known.')) },
      { name: 'drift', title: 'Drift', count: number(d.drift.length), make: () => (d.drift.length ? verdictTable(d.drift, { container: true }) : empty('What ran was as in the image.', 'Or nothing of it ran.')) },
      { name: 'facts', title: 'Facts', make: () => facts([['Digest', code(d.digest)], ['Name', d.name], ['System', d.os], ['Processor', d.architecture], ['Size', d.size ? bytes(d.size) : null], ['Packages', number(d.packages)], ['Scanned', d.scanned ? when(d.scanned, 'full') : 'never'], ['Seal', d.seal ? h('span', {}, 'made ', when(d.seal.made, 'full'), d.seal.files ? `, ${plural(d.seal.files, 'file')}` : '', d.seal.signed ? ', signed' : ', not signed') : 'none']]) },
    ]);
    replace(body, set.node);
  }
  async function load() {
    try {
      const d = await get(path, null, { signal: ctx.signal });
      if (ctx.alive()) show(d);
    } catch (e) {
      if (e.name !== 'AbortError') replace(body, problemBox(e, load));
    }
  }
  ctx.onQuery((q) => set?.choose(q.tab, false));
  load();
  return page(shortId(ctx.params.digest), { crumbs: [h('a', { href: '/images' }, 'Images'), icon('chevron'), h('span', { class: 'mono' }, shortId(ctx.params.digest))] }, head, body);
}
