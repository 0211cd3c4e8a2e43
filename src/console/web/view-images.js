// SPDX-License-Identifier: Apache-2.0
// Images that run or were scanned here.
import { h, replace } from './dom.js';
import { get } from './api.js';
import { listen } from './stream.js';
import { when } from './time.js';
import { debounce, empty, field, input, loading, page, problemBox, select } from './ui.js';
import { bytes, number, plural, shortId, shorten, tag } from './words.js';
import { vlist } from './vlist.js';

const row = (i) => h('div', { class: 'vlist-cells image-row' },
  h('span', { class: 'c-title', role: 'cell' }, h('a', { class: 'row-link', href: '/images/' + encodeURIComponent(i.digest) }, shorten(i.name || shortId(i.digest), 200)), h('span', { class: 'muted small' }, [i.os, i.architecture, shortId(i.digest)].filter(Boolean).join(' · '))),
  h('span', { class: 'c-running', role: 'cell' }, i.running ? tag(`${number(i.running)} running`, 'tag-good') : h('span', { class: 'muted' }, 'not running')),
  h('span', { class: 'c-findings', role: 'cell' }, i.scanned ? [i.findings.used ? tag(`${number(i.findings.used)} in use`, 'tag-bad') : tag('none in use'), h('span', { class: 'muted small' }, ` ${number(i.findings.critical)} critical, ${number(i.findings.high)} high, ${number(i.findings.total)} in all`)] : h('span', { class: 'muted' }, 'not scanned yet')),
  h('span', { class: 'c-size num', role: 'cell' }, i.size ? bytes(i.size) : '–'),
  h('span', { class: 'c-time', role: 'cell' }, i.scanned ? when(i.scanned) : '–'));

export function view(ctx) {
  let items = [], next = null, total = 0, busy = false, generation = 0;
  const list = vlist({ label: 'Images', cls: 'image-list', row, key: (i) => i.digest, more: () => more(), columns: [{ name: 'title', title: 'Image' }, { name: 'running', title: 'Containers' }, { name: 'findings', title: 'Vulnerabilities' }, { name: 'size', title: 'Size' }, { name: 'time', title: 'Scanned' }] });
  ctx.onLeave(() => list.stop());
  const q = input({ type: 'search', maxlength: 200, placeholder: 'Name or digest' });
  const running = select([['', 'All'], ['true', 'Running'], ['false', 'Not running']], '');
  const told = h('p', { class: 'list-count muted', role: 'status' });
  const slot = h('div', {}, loading(6));
  q.addEventListener('input', debounce(() => ctx.setQuery({ q: q.value.trim() }), 250));
  running.addEventListener('change', () => ctx.setQuery({ running: running.value }));
  const params = () => ({ q: ctx.query().q, running: ctx.query().running });
  function show() {
    replace(told, plural(total, 'image'));
    if (!items.length) replace(slot, empty('No image is known.', ctx.query().q || ctx.query().running ? 'Nothing matches these filters.' : 'Images are scanned when a container of them starts.'));
    else {
      if (list.node.parentNode !== slot) replace(slot, list.node);
      list.set(items, total);
    }
  }
  async function load(quiet) {
    if (document.activeElement !== q) q.value = ctx.query().q || '';
    running.value = ctx.query().running || '';
    const mine = ++generation;
    try {
      const r = await get('/images', { ...params(), limit: 200 }, { signal: ctx.signal });
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
    get('/images', { ...params(), limit: 500, cursor: next }, { signal: ctx.signal }).then((r) => {
      busy = false;
      if (mine !== generation) return;
      items = items.concat(r.items);
      next = r.next;
      show();
    }).catch(() => { busy = false; });
  }
  const again = debounce(() => {
    if (ctx.alive() && items.length <= 200 && window.scrollY < 100 && !list.node.contains(document.activeElement) && !list.node.matches(':hover')) load(true);
  }, 2000);
  ctx.onLeave(listen(['container'], again));
  ctx.onQuery(() => load());
  load();
  return page('Images', {}, h('form', { class: 'filters', role: 'search', 'aria-label': 'Filter images', on: { submit: (e) => e.preventDefault() } }, field('Search', q, { cls: 'grow' }), field('Containers', running), told), slot);
}
