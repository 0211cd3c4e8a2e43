// SPDX-License-Identifier: Apache-2.0
// Elements are made here and nowhere else.  Every text becomes a text node: nothing that came from a container is ever read as HTML.

const SVG = 'http://www.w3.org/2000/svg';
// Control, bidirectional and invisible characters: an attacker's means to make one name look like another.
// eslint-disable-next-line no-control-regex
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

// What can be seen of a text: hidden characters as \u202e.
export function visible(text) {
  const s = typeof text === 'string' ? text : String(text);
  return s.replace(HIDDEN, (c) => '\\u' + c.codePointAt(0).toString(16).padStart(4, '0'));
}

// Only addresses a link may have: of this page, or http(s) elsewhere.
function safeHref(href) {
  const s = String(href);
  return /^(?:\/(?!\/)|#|\?|https?:\/\/)/i.test(s) ? s : null;
}

function set(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name === 'on') {
    for (const [event, run] of Object.entries(value)) if (run) node.addEventListener(event, run);
  } else if (name === 'css') {
    for (const [property, v] of Object.entries(value)) node.style.setProperty(property, v);
  } else if (name === 'data') {
    for (const [key, v] of Object.entries(value)) if (v !== undefined && v !== null) node.dataset[key] = v;
  } else if (name === 'value') {
    node.value = value;
  } else if (name === 'href') {
    const href = safeHref(value);
    if (href !== null) node.setAttribute('href', href);
  } else if (name === 'style' || name.startsWith('on') || name === 'srcdoc' || name === 'src') {
    throw new Error('h() takes no ' + name);
  } else if (name === 'title' || name === 'aria-label' || name === 'alt' || name === 'placeholder') {
    node.setAttribute(name, visible(value));
  } else {
    node.setAttribute(name, value === true ? '' : String(value));
  }
}

function fill(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false || child === true) continue;
    if (Array.isArray(child)) fill(node, child);
    else node.append(child instanceof Node ? child : document.createTextNode(visible(child)));
  }
}

function make(node, props, children) {
  if (props) for (const [name, value] of Object.entries(props)) set(node, name, value);
  fill(node, children);
  return node;
}

// h('a', {class: 'x', href: '/live', on: {click}, css: {'--n': 3}, data: {id}, 'aria-label': '...'}, child, 'text', [more])
export function h(tag, props, ...children) {
  return make(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
  return make(document.createElementNS(SVG, tag), props, children);
}

export function replace(node, ...children) {
  const all = document.createDocumentFragment();
  fill(all, children);
  node.replaceChildren(all);
  return node;
}

let last = 0;
export const uid = (prefix) => `${prefix}-${++last}`;

// Icons: 24x24, lines.  Own drawings.
const ICONS = {
  overview: 'M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z',
  live: 'M3 12h4l3-7 4 14 3-7h4',
  incidents: 'M12 4 2.5 20h19zM12 10v5M12 17.6v.1',
  images: 'm12 3 9 5-9 5-9-5zM3 12.5l9 5 9-5M3 17l9 5 9-5',
  rules: 'M4 6h9M17 6h3M15 4v4M4 12h3M11 12h9M9 10v4M4 18h9M17 18h3M15 16v4',
  audit: 'M6 3h9l4 4v14H6zM9 11h7M9 15h7M9 7h3',
  settings: 'M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM12 2.5v3M12 18.5v3M2.5 12h3M18.5 12h3M5.3 5.3l2.1 2.1M16.6 16.6l2.1 2.1M18.7 5.3l-2.1 2.1M7.4 16.6l-2.1 2.1',
  box: 'M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8',
  host: 'M4 4h16v7H4zM4 14h16v6H4zM8 7.5v.1M8 17v.1',
  world: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c3 3 3.5 6 3.5 9s-.5 6-3.5 9c-3-3-3.5-6-3.5-9S9 6 12 3z',
  process: 'M4 5h16v14H4zM7.5 9l3 3-3 3M13 15h4',
  file: 'M6 3h8l5 5v13H6zM14 3v5h5',
  bug: 'M8 9a4 4 0 0 1 8 0v6a4 4 0 0 1-8 0zM3.5 13H8M16 13h4.5M5 6l3 3M19 6l-3 3M5 20l3-3M19 20l-3-3M12 9v9',
  freeze: 'M12 2v20M3.3 7l17.4 10M20.7 7 3.3 17M9 3.5l3 3 3-3M9 20.5l3-3 3 3',
  thaw: 'M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM12 1.5v2.5M12 20v2.5M1.5 12H4M20 12h2.5M4.6 4.6l1.8 1.8M17.6 17.6l1.8 1.8M19.4 4.6l-1.8 1.8M6.4 17.6l-1.8 1.8',
  isolate: 'M9 12h6M8 8H6a4 4 0 0 0 0 8h2M16 8h2a4 4 0 0 1 0 8h-2M3 3l18 18',
  limit: 'M4 18a9 9 0 1 1 16 0M12 14l4-5M12 14.5v.1',
  kill: 'M8 3h8l5 5v8l-5 5H8l-5-5V8zM9 9l6 6M15 9l-6 6',
  snapshot: 'M4 8h4l2-3h4l2 3h4v11H4zM12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z',
  release: 'M5 11h14v9H5zM8 11V7.5A4 4 0 0 1 15.6 6',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  close: 'M6 6l12 12M18 6 6 18',
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20.5 20.5',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 4.5v15l12-7.5z',
  sun: 'M12 7.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.700 1.700M17.300 17.300 19 19M19 5l-1.700 1.700M6.700 17.300 5 19',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5.5l3.5 2',
  link: 'M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 6 6l1-1',
  person: 'M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21c0-4 3.5-6.5 8-6.5s8 2.5 8 6.5',
  more: 'M5 12v.1M12 12v.1M19 12v.1',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  screen: 'M4 4h16v16H4zM9 9h6v6H9z',
  fit: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  out: 'M10 4H4v16h6M14 8l4 4-4 4M18 12H9',
  download: 'M12 4v11M7.5 11l4.5 4.5 4.5-4.5M4 20h16',
  chevron: 'm9 6 6 6-6 6',
  comment: 'M4 5h16v11H11l-4 4v-4H4z',
  shield: 'M12 3l8 3v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6z',
  bell: 'M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.5h4',
};

// size: for icons within a drawing, where style sheets do not say how large they are.
export function icon(name, cls, size) {
  return svg('svg', { class: 'icon' + (cls ? ' ' + cls : ''), width: size, height: size, viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' }, svg('path', { d: ICONS[name] || ICONS.more }));
}
