// SPDX-License-Identifier: Apache-2.0
// A long list that scrolls with the page: only the rows near what is seen exist.  Rows have one height (--row of the list).  The row with the focus
// stays, so that the keyboard is never lost; arrows, Home and End move between rows.
import { h } from './dom.js';

const OVER = 8; // rows beyond each edge
const MAX_PX = 8e6; // browsers draw nothing below some 16 million

// row(item, index) gives an element; key(item) its identity; more(upTo) is called when rows near the end are seen.
export function vlist({ label, row, key, more, columns, cls }) {
  let items = [];
  let total = 0;
  let rowPx = 0;
  let frame = 0;
  const shown = new Map(); // key -> {node, item, index}
  const body = h('div', { class: 'vlist-body', role: 'rowgroup' });
  const head = columns ? h('div', { class: 'vlist-head', role: 'rowgroup' }, h('div', { class: 'vlist-cells', role: 'row', 'aria-rowindex': 1 }, columns.map((c) => h('div', { role: 'columnheader', class: 'c-' + c.name }, c.title)))) : null;
  const root = h('div', { class: 'vlist' + (cls ? ' ' + cls : ''), role: 'table', 'aria-label': label }, head, body);

  function measure() {
    const v = parseFloat(getComputedStyle(root).getPropertyValue('--row'));
    const changed = v && v !== rowPx;
    if (v) rowPx = v;
    return changed;
  }

  function draw() {
    frame = 0;
    if (!root.isConnected) return;
    if (!rowPx) measure();
    const box = body.getBoundingClientRect();
    const first = Math.max(0, Math.floor(-box.top / rowPx) - OVER);
    const last = Math.min(items.length, Math.ceil((window.innerHeight - box.top) / rowPx) + OVER);
    const keep = new Set();
    const focused = body.contains(document.activeElement) ? document.activeElement.closest('.vlist-row') : null;
    const wanted = [];
    for (let i = first; i < last; i++) wanted.push(i);
    for (const [k, s] of shown) {
      if (s.node === focused && items[s.index] && key(items[s.index]) === k && (s.index < first || s.index >= last)) s.index < first ? wanted.unshift(s.index) : wanted.push(s.index);
    }
    for (const i of wanted) keep.add(key(items[i]));
    for (const [k, s] of shown) {
      if (!keep.has(k)) {
        s.node.remove();
        shown.delete(k);
      }
    }
    let before = null;
    for (const i of wanted) {
      const item = items[i];
      const k = key(item);
      let s = shown.get(k);
      if (!s || s.item !== item) {
        const node = row(item, i);
        node.classList.add('vlist-row');
        node.setAttribute('role', 'row');
        if (s) {
          const had = s.node.contains(document.activeElement);
          s.node.replaceWith(node);
          if (had) (node.matches('a,button') ? node : node.querySelector('a,button'))?.focus({ preventScroll: true });
        }
        s = { node, item, index: -1 };
        shown.set(k, s);
      }
      if (s.index !== i) {
        s.index = i;
        s.node.setAttribute('aria-rowindex', i + (columns ? 2 : 1));
        s.node.style.setProperty('transform', `translateY(${i * rowPx}px)`);
      }
      // in the order of reading
      const next = before ? before.nextSibling : body.firstChild;
      if (next !== s.node && s.node !== focused) body.insertBefore(s.node, next);
      before = s.node;
    }
    if (more && items.length < total && last + 60 >= items.length) more(Math.min(total, last + 200));
  }
  const later = () => { frame ||= requestAnimationFrame(draw); };

  function size() {
    if (!rowPx) measure();
    body.style.setProperty('height', Math.min(MAX_PX, Math.max(items.length, 0) * rowPx) + 'px');
    root.setAttribute('aria-rowcount', total + (columns ? 1 : 0));
  }

  function focusRow(index) {
    if (index < 0 || index >= items.length) return;
    const at = body.getBoundingClientRect().top + window.scrollY + index * rowPx;
    const top = 110, bottom = 90;
    if (at - top < window.scrollY) window.scrollTo(0, at - top);
    else if (at + rowPx + bottom > window.scrollY + window.innerHeight) window.scrollTo(0, at + rowPx + bottom - window.innerHeight);
    draw();
    const s = shown.get(key(items[index]));
    if (s) (s.node.matches('a,button') ? s.node : s.node.querySelector('a,button'))?.focus({ preventScroll: true });
  }
  body.addEventListener('keydown', (e) => {
    const node = e.target.closest('.vlist-row');
    const s = node && [...shown.values()].find((x) => x.node === node);
    if (!s || e.altKey || e.ctrlKey || e.metaKey) return;
    const to = { ArrowDown: s.index + 1, ArrowUp: s.index - 1, Home: 0, End: items.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    focusRow(to);
  });

  const onResize = () => {
    if (measure()) {
      for (const s of shown.values()) s.index = -1;
      size();
    }
    later();
  };
  window.addEventListener('scroll', later, { passive: true });
  window.addEventListener('resize', onResize);

  return {
    node: root,
    set(list, all = list.length) {
      items = list;
      total = Math.max(all, list.length);
      size();
      if (root.isConnected) draw();
      else later();
    },
    atTop: () => body.getBoundingClientRect().top >= 0,
    refresh: later,
    stop() {
      window.removeEventListener('scroll', later);
      window.removeEventListener('resize', onResize);
      cancelAnimationFrame(frame);
    },
  };
}
