// SPDX-License-Identifier: Apache-2.0
// Graphs in layers, from what begins to what is reached.  The same graph is always drawn the same way; what was added moves little.
import { h, icon, svg } from './dom.js';
import { button } from './ui.js';
import { rank, shorten } from './words.js';

const W = 172, H = 46, GAP_X = 132, GAP_Y = 14, PER_COLUMN = 18;

// nodes: [{id}], edges: [{from, to}].  Gives {place: Map(id -> {x, y}), width, height}.
export function layout(nodes, edges) {
  const byId = new Map(nodes.map((n) => [n.id, n]));
  const out = new Map(nodes.map((n) => [n.id, []]));
  const into = new Map(nodes.map((n) => [n.id, []]));
  for (const e of edges) {
    if (!byId.has(e.from) || !byId.has(e.to) || e.from === e.to) continue;
    out.get(e.from).push(e.to);
    into.get(e.to).push(e.from);
  }
  const linked = nodes.filter((n) => out.get(n.id).length || into.get(n.id).length);
  const alone = nodes.filter((n) => !out.get(n.id).length && !into.get(n.id).length);

  // 1. Edges that go back in a walk from the sources are turned round, so that there is no circle (iterative: graphs can be deep).
  const state = new Map();
  const back = new Set();
  const starts = [...linked].sort((a, b) => into.get(a.id).length - into.get(b.id).length || (a.id < b.id ? -1 : 1));
  const order = [];
  for (const s of starts) {
    if (state.has(s.id)) continue;
    const stack = [[s.id, 0]];
    state.set(s.id, 1);
    while (stack.length) {
      const top = stack[stack.length - 1];
      const next = out.get(top[0])[top[1]++];
      if (next === undefined) {
        state.set(top[0], 2);
        order.push(top[0]);
        stack.pop();
      } else if (state.get(next) === 1) back.add(top[0] + '\n' + next);
      else if (!state.has(next)) {
        state.set(next, 1);
        stack.push([next, 0]);
      }
    }
  }
  // 2. The layer of a node is its longest way from a source.
  const layer = new Map(linked.map((n) => [n.id, 0]));
  for (const id of order.reverse()) {
    for (const to of out.get(id)) if (!back.has(id + '\n' + to)) layer.set(to, Math.max(layer.get(to), layer.get(id) + 1));
  }
  // sources stand just before what they reach
  for (const n of linked) {
    if (into.get(n.id).length === 0) layer.set(n.id, Math.max(0, Math.min(...out.get(n.id).map((t) => layer.get(t))) - 1));
  }
  const layers = [];
  for (const n of linked) (layers[layer.get(n.id)] ||= []).push(n.id);
  for (let i = 0; i < layers.length; i++) layers[i] ||= [];
  // 3. Within a layer: by the middle of the neighbours, a few times back and forth.
  const rank = new Map();
  const number = () => layers.forEach((l) => l.forEach((id, i) => rank.set(id, i / Math.max(1, l.length))));
  number();
  for (let sweep = 0; sweep < 8; sweep++) {
    const near = sweep % 2 ? out : into;
    for (const l of sweep % 2 ? [...layers].reverse() : layers) {
      const want = new Map(l.map((id) => {
        const around = near.get(id);
        return [id, around.length ? around.reduce((a, x) => a + rank.get(x), 0) / around.length : rank.get(id)];
      }));
      l.sort((a, b) => want.get(a) - want.get(b) || (a < b ? -1 : 1));
      l.forEach((id, i) => rank.set(id, i / Math.max(1, l.length)));
    }
  }
  // 4. Places; a long layer takes several columns.
  const place = new Map();
  let x = 0, tall = 0;
  const columns = [];
  for (const l of layers) {
    if (!l.length) continue;
    const n = Math.ceil(l.length / PER_COLUMN);
    const per = Math.ceil(l.length / n);
    for (let c = 0; c < n; c++) {
      columns.push({ x, ids: l.slice(c * per, (c + 1) * per) });
      x += W + (c === n - 1 ? GAP_X : 22);
    }
  }
  for (const c of columns) tall = Math.max(tall, c.ids.length * (H + GAP_Y) - GAP_Y);
  for (const c of columns) {
    const top = (tall - (c.ids.length * (H + GAP_Y) - GAP_Y)) / 2;
    c.ids.forEach((id, i) => place.set(id, { x: c.x, y: top + i * (H + GAP_Y) }));
  }
  // 5. Drawn towards the neighbours while nothing overlaps.
  for (let pass = 0; pass < 6; pass++) {
    for (const c of pass % 2 ? [...columns].reverse() : columns) {
      const want = c.ids.map((id) => {
        const around = [...into.get(id), ...out.get(id)].map((o) => place.get(o).y);
        return around.length ? around.reduce((a, y) => a + y, 0) / around.length : place.get(id).y;
      });
      let floor = 0;
      c.ids.forEach((id, i) => {
        const room = tall - (c.ids.length - i) * (H + GAP_Y) + GAP_Y;
        const y = Math.max(floor, Math.min(room, want[i]));
        place.set(id, { x: c.x, y });
        floor = y + H + GAP_Y;
      });
    }
  }
  let width = Math.max(0, x - GAP_X);
  let height = tall;
  // 6. Those without an edge, below.
  if (alone.length) {
    const per = Math.max(4, Math.min(8, Math.floor((width + 22) / (W + 22))));
    const top = linked.length ? height + 44 : 0;
    alone.forEach((n, i) => place.set(n.id, { x: (i % per) * (W + 22), y: top + Math.floor(i / per) * (H + GAP_Y) }));
    width = Math.max(width, Math.min(per, alone.length) * (W + 22) - 22);
    height = top + Math.ceil(alone.length / per) * (H + GAP_Y) - GAP_Y;
  }
  return { place, width, height, alone: alone.length, aloneTop: alone.length && linked.length ? height - Math.ceil(alone.length / Math.max(4, Math.min(8, Math.floor((width + 22) / (W + 22))))) * (H + GAP_Y) : 0 };
}

function way(a, b) {
  if (b.x > a.x + W / 2) {
    const x1 = a.x + W, y1 = a.y + H / 2, x2 = b.x - 5, y2 = b.y + H / 2, m = Math.max(30, (x2 - x1) / 2);
    return { d: `M${x1} ${y1}C${x1 + m} ${y1} ${x2 - m} ${y2} ${x2} ${y2}`, x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
  }
  if (Math.abs(b.x - a.x) < W / 2) { // in one column: round the right side
    const x = a.x + W, y1 = a.y + H / 2, y2 = b.y + H / 2, bow = 34 + Math.abs(y2 - y1) * 0.06;
    return { d: `M${x} ${y1}C${x + bow} ${y1} ${x + bow} ${y2} ${x + 5} ${y2}`, x: x + bow * 0.75, y: (y1 + y2) / 2 };
  }
  const x1 = a.x, y1 = a.y + H / 2, x2 = b.x + W + 5, y2 = b.y + H / 2, m = Math.max(30, (x1 - x2) / 2);
  return { d: `M${x1} ${y1}C${x1 - m} ${y1} ${x2 + m} ${y2} ${x2} ${y2}`, x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
}

// nodes: [{id, kind, icon, name, sub, href, severity, told}], edges: [{from, to, label, told, cls}]
export function graph(title, nodes, edges, { max = 400 } = {}) {
  const many = nodes.length > max;
  const degree = new Map();
  for (const e of edges) for (const id of [e.from, e.to]) degree.set(id, (degree.get(id) || 0) + 1);
  // of too many: the worst, then those with the most connections
  const shownNodes = many ? [...nodes].sort((a, b) => rank(b.severity) - rank(a.severity) || (degree.get(b.id) || 0) - (degree.get(a.id) || 0)).slice(0, max) : nodes;
  const there = new Set(shownNodes.map((n) => n.id));
  const pairs = new Map(); // several edges between the same two are one line
  for (const e of edges) {
    if (!there.has(e.from) || !there.has(e.to)) continue;
    const key = e.from + '\n' + e.to;
    if (pairs.has(key)) pairs.get(key).more.push(e);
    else pairs.set(key, { ...e, more: [] });
  }
  const lines = [...pairs.values()];
  const { place, width, height, alone, aloneTop } = layout(shownNodes, lines);
  const PAD = 14;
  const marker = 'arrow-' + Math.random().toString(36).slice(2, 8);
  const lineNodes = lines.filter((e) => e.from !== e.to).map((e) => {
    const w = way(place.get(e.from), place.get(e.to));
    const label = e.label + (e.more.length ? ` +${e.more.length}` : '');
    return { e, node: svg('g', { class: 'g-edge ' + (e.cls || '') }, svg('title', {}, [e.told, ...e.more.slice(0, 10).map((m) => m.told)].join('\n')), svg('path', { d: w.d, 'marker-end': `url(#${marker})` }), svg('text', { x: w.x, y: w.y - 4, 'text-anchor': 'middle' }, label)) };
  });
  const drawn = shownNodes.map((n) => {
    const p = place.get(n.id);
    const inner = [svg('title', {}, n.told || n.name), svg('rect', { width: W, height: H, rx: 9, class: 'g-box' }), n.severity ? svg('rect', { width: 5, height: H - 16, x: 5, y: 8, rx: 2.5, class: 'g-sev fill f-' + n.severity }) : null,
      svg('g', { transform: 'translate(15 13)' }, icon(n.icon || n.kind, 'g-icon', 20)), svg('text', { x: 42, y: n.sub ? 20 : 28, class: 'g-name' }, shorten(n.name, 18)), n.sub ? svg('text', { x: 42, y: 36, class: 'g-sub' }, shorten(n.sub, 21)) : null];
    const props = { class: `g-node g-${n.kind}` + (n.faded ? ' g-faded' : ''), transform: `translate(${p.x} ${p.y})`, 'data-id': n.id }; // its name is its title and texts
    return n.href ? svg('a', { ...props, href: n.href }, inner) : svg('g', { ...props, tabindex: 0, role: 'img', 'aria-label': n.told || n.name }, inner);
  });
  const picture = svg('svg', { class: 'graph' + (lines.length > 150 ? ' g-many' : ''), viewBox: `${-PAD} ${-PAD} ${width + 2 * PAD + 20} ${height + 2 * PAD}`, role: 'group', 'aria-label': title },
    svg('defs', {}, svg('marker', { id: marker, viewBox: '0 0 8 8', refX: 6, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto-start-reverse' }, svg('path', { d: 'M0 0.8 7 4 0 7.2z', class: 'g-arrow' }))),
    alone && aloneTop ? svg('text', { class: 'g-note', x: 0, y: aloneTop - 2 }, 'Not connected with anything seen so far') : null,
    lineNodes.map((l) => l.node), drawn);

  // What is looked at shows its edges.
  const light = (id) => {
    picture.classList.toggle('g-lit', !!id);
    for (const l of lineNodes) l.node.classList.toggle('on', !!id && (l.e.from === id || l.e.to === id));
  };
  for (const [event, at] of [['pointerover', true], ['focusin', true], ['pointerout', false], ['focusout', false]]) {
    picture.addEventListener(event, (e) => light(at ? e.target.closest?.('.g-node')?.dataset.id : null));
  }

  const full = width + 2 * PAD + 20;
  const box = h('div', { class: 'graph-box', tabindex: 0, role: 'region', 'aria-label': title + ', scrolls' }, picture);
  let scale = 1;
  const zoom = (s) => {
    scale = Math.max(0.2, Math.min(2.5, s));
    picture.style.setProperty('width', Math.round(full * scale) + 'px');
    picture.style.setProperty('height', Math.round((height + 2 * PAD) * scale) + 'px');
  };
  const fit = () => zoom(Math.min(1.15, Math.max(0.8, (box.clientWidth - 4) / full)));
  zoom(1);
  let fitted = false;
  new ResizeObserver(() => {
    if (fitted || !box.clientWidth) return;
    fitted = true;
    fit();
  }).observe(box);
  const frame = h('div', { class: 'graph-frame' }, h('div', { class: 'graph-tools', role: 'group', 'aria-label': 'Size of the picture' },
    button('', { icon: 'minus', title: 'Smaller', 'aria-label': 'Smaller', on: () => zoom(scale / 1.25) }), button('', { icon: 'fit', title: 'Fit', 'aria-label': 'Fit', on: fit }), button('', { icon: 'plus', title: 'Larger', 'aria-label': 'Larger', on: () => zoom(scale * 1.25) }),
    document.fullscreenEnabled ? button('', { icon: 'screen', title: 'Whole screen', 'aria-label': 'Whole screen', on: () => (document.fullscreenElement ? document.exitFullscreen() : frame.requestFullscreen()) }) : null),
    box, many ? h('p', { class: 'muted small' }, `The picture has ${max} of ${nodes.length}: the worst, then those with the most connections. Find shows others, the table has all.`) : null);
  return frame;
}
