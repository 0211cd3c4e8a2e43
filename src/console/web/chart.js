// SPDX-License-Identifier: Apache-2.0
// Charts as SVG, each with its numbers as a table for who would rather read, or cannot see.
import { h, svg, uid } from './dom.js';
import { table } from './ui.js';
import { number } from './words.js';

const asTable = (caption, columns, rows) => h('details', { class: 'as-table' }, h('summary', {}, 'As a table'), table(caption, columns, rows, { stack: false }));

// A scale that ends at a round number.
function niceMax(n) {
  if (n <= 4) return 4;
  const p = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 2.5, 4, 5, 8, 10].map((x) => x * p).find((x) => x >= n);
}

// Draws again when the width changes, so that texts keep their size on a phone.
function sized(node, draw) {
  let width = 0;
  new ResizeObserver((seen) => {
    const w = Math.round(seen[0].contentRect.width);
    if (!w || w === width) return;
    width = w;
    node.replaceChildren(draw(w));
  }).observe(node);
  return node;
}

// bars: [{label, tick, parts: [{value, cls, name}]}]; upright, stacked.
export function bars(title, list, { height = 150, unit = '', note, columns } = {}) {
  const id = uid('chart');
  const n = Math.max(1, list.length);
  const H = height, LEFT = 34, BOTTOM = 20, TOP = 6;
  const sum = (b) => b.parts.reduce((a, p) => a + p.value, 0);
  const max = niceMax(Math.max(0, ...list.map(sum)));
  const y = (v) => TOP + (H - TOP - BOTTOM) * (1 - v / max);
  const told = list.length ? `${title}: ${number(list.reduce((a, b) => a + sum(b), 0))}${unit ? ' ' + unit : ''} in all, ${number(Math.max(...list.map(sum)))} at most` : title;
  const draw = (W) => {
    const step = (W - LEFT) / n;
    const every = Math.ceil(48 / (step * Math.max(1, list.findIndex((b, i) => i && b.tick) - list.findIndex((b) => b.tick))));
    let ticks = 0;
    return svg('svg', { viewBox: `0 0 ${W} ${H}`, width: W, height: H, role: 'img', 'aria-labelledby': id }, svg('title', { id }, told),
      [0, 0.5, 1].map((f) => svg('g', {}, svg('line', { class: 'grid', x1: LEFT, x2: W, y1: y(max * f), y2: y(max * f) }), svg('text', { class: 'axis', x: LEFT - 6, y: y(max * f) + 4, 'text-anchor': 'end' }, number(max * f)))),
      list.map((b, i) => {
        let at = 0;
        const words = `${b.label}: ${b.parts.map((p) => `${number(p.value)} ${p.name}`).join(', ')}`;
        const gap = Math.min(3, step * 0.14);
        return svg('g', { class: 'bar' }, svg('title', {}, words), svg('rect', { class: 'hit', x: LEFT + i * step, y: TOP, width: step, height: H - TOP - BOTTOM }),
          b.parts.map((p) => {
            if (!p.value) return null;
            const top = y(at + p.value), bottom = y(at);
            at += p.value;
            return svg('rect', { class: 'fill ' + p.cls, x: LEFT + i * step + gap, width: Math.max(1, step - 2 * gap), y: top, height: Math.max(1.5, bottom - top), rx: Math.min(2, step / 6) });
          }),
          b.tick && ticks++ % every === 0 ? svg('text', { class: 'axis', x: LEFT + (i + 0.5) * step, y: H - 5, 'text-anchor': 'middle' }, b.tick) : null);
      }));
  };
  return h('figure', { class: 'chart' }, sized(h('div', { class: 'chart-box', css: { height: H + 'px' } }), draw),
    note ? h('figcaption', { class: 'muted small' }, note) : null,
    asTable(title, [{ title: columns?.[0] || 'When', cell: (b) => b.label }, ...(list[0]?.parts || []).map((p, i) => ({ title: p.name, num: true, cell: (b) => number(b.parts[i].value) }))], list));
}

// Bars that lie: [{label (node or text), name, value, text, cls, sub}].  Real elements, so that long names wrap and links work.
export function lying(title, list, { empty: none = 'Nothing yet.' } = {}) {
  if (!list.length) return h('p', { class: 'muted' }, none);
  const max = Math.max(...list.map((b) => b.value), 1e-9);
  return h('ul', { class: 'lying', 'aria-label': title }, list.map((b) => h('li', {}, h('div', { class: 'lying-head' }, h('span', { class: 'lying-label' }, b.label), h('span', { class: 'lying-value' }, b.text ?? number(b.value))),
    h('div', { class: 'lying-track', 'aria-hidden': 'true' }, h('div', { class: 'lying-fill ' + (b.cls || ''), css: { width: Math.max(b.value > 0 ? 0.6 : 0, (b.value / max) * 100).toFixed(2) + '%' } })), b.sub ? h('div', { class: 'lying-sub muted small' }, b.sub) : null)));
}

// One bar of parts of a whole, with its key: [{name, value, cls, href}]
export function parts(title, list) {
  const all = list.reduce((a, p) => a + p.value, 0);
  const told = `${title}: ${list.map((p) => `${number(p.value)} ${p.name}`).join(', ')}`;
  return h('div', { class: 'parts' }, h('div', { class: 'parts-bar', role: 'img', 'aria-label': told }, all ? list.filter((p) => p.value).map((p) => h('div', { class: 'parts-part fill ' + p.cls, css: { 'flex-grow': p.value } })) : h('div', { class: 'parts-part parts-none' })),
    h('ul', { class: 'parts-key' }, list.map((p) => h('li', {}, h('span', { class: 'swatch fill ' + p.cls, 'aria-hidden': 'true' }), p.href ? h('a', { href: p.href }, p.name) : p.name, h('strong', {}, number(p.value))))));
}

// A line over time: [{at, value}]
export function line(title, list, { height = 70, format = number, max: top } = {}) {
  if (list.length < 2) return h('p', { class: 'muted small' }, 'Too few measurements yet for a curve.');
  const id = uid('chart');
  const H = height, B = 3;
  const max = top ?? (Math.max(...list.map((p) => p.value)) * 1.15 || 1);
  const t0 = list[0].at, t1 = list[list.length - 1].at;
  const y = (p) => H - B - (Math.min(p.value, max) / max) * (H - 2 * B);
  const told = `${title}: now ${format(list[list.length - 1].value)}, at most ${format(Math.max(...list.map((p) => p.value)))}`;
  return h('figure', { class: 'chart' }, sized(h('div', { class: 'chart-box', css: { height: H + 'px' } }), (W) => {
    const points = list.map((p) => `${(((p.at - t0) / Math.max(1, t1 - t0)) * W).toFixed(1)},${y(p).toFixed(1)}`).join(' ');
    return svg('svg', { viewBox: `0 0 ${W} ${H}`, width: W, height: H, role: 'img', 'aria-labelledby': id, class: 'chart-line' }, svg('title', { id }, told),
      svg('polygon', { class: 'area', points: `0,${H} ${points} ${W},${H}` }), svg('polyline', { class: 'stroke', points }));
  }));
}
