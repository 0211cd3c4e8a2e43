// SPDX-License-Identifier: Apache-2.0
// Every view has an address; filters are in its query.  Going back gives the place in the page back.  After a change the heading has the focus,
// so that a screen reader says where one is.
import { replace } from './dom.js';

const routes = []; // {pattern, load, name}
let current = null; // {leave, onQuery, path, controller}
let outlet = null;
let changed = () => {};

export function route(pattern, name, load) {
  const names = [];
  const re = new RegExp('^' + pattern.replace(/\{(\w+)\}/g, (_, n) => (names.push(n), '([^/]+)')) + '/?$');
  routes.push({ re, names, name, load });
}
export const onRoute = (run) => { changed = run; };
export const here = () => location.pathname + location.search;

export function query() {
  return Object.fromEntries(new URLSearchParams(location.search));
}
// Changes the query of this view; replaces the entry of the history unless push is asked for.
export function setQuery(values, { push = false } = {}) {
  const q = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === '' || value === false) q.delete(name);
    else q.set(name, value);
  }
  const s = q.toString();
  const to = location.pathname + (s ? '?' + s : '');
  if (to === here()) return;
  history[push ? 'pushState' : 'replaceState']({ ...history.state, y: push ? 0 : window.scrollY }, '', to);
  current?.onQuery?.(query());
}

export function go(to, { replace: instead = false } = {}) {
  if (to === here() && !instead) return;
  keepScroll();
  history[instead ? 'replaceState' : 'pushState']({ y: 0 }, '', to);
  open(0, true);
}

function keepScroll() {
  history.replaceState({ ...history.state, y: window.scrollY }, '');
}

const matched = (path) => routes.map((r) => [r, r.re.exec(path)]).find(([, m]) => m) || [routes.find((r) => r.name === 'missing'), []];

// The program of the view at this address, fetched ahead.
export const preload = () => matched(location.pathname)[0].load().catch(() => {});

async function open(y, focus) {
  const path = location.pathname;
  const [r, m] = matched(path);
  current?.controller.abort();
  for (const run of current?.leaving || []) run();
  const mine = { controller: new AbortController(), onQuery: null, path, leaving: [] };
  current = mine;
  const params = {};
  (r.names || []).forEach((n, i) => {
    try {
      params[n] = decodeURIComponent(m[i + 1]);
    } catch {
      params[n] = m[i + 1];
    }
  });
  changed(r.name);
  const ctx = {
    params, name: r.name,
    query,
    setQuery,
    signal: mine.controller.signal,
    alive: () => current === mine,
    onLeave: (run) => mine.leaving.push(run),
    onQuery: (run) => { mine.onQuery = run; },
    title: (text) => { if (current === mine) setTitle(text); },
  };
  let make;
  try {
    make = await r.load();
  } catch {
    if (current === mine) location.reload(); // the program was exchanged under the page: its parts have new names
    return;
  }
  if (current !== mine) return;
  const node = make.view(ctx);
  replace(outlet, node);
  const heading = outlet.querySelector('h1');
  if (heading) {
    setTitle(heading.textContent);
    if (focus) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
  }
  if (y) restore(y, mine);
  else window.scrollTo(0, 0);
}

// The page grows while its data comes: tried for a second.
function restore(y, mine) {
  const until = performance.now() + 1500;
  let touched = false;
  const stop = () => { touched = true; };
  for (const e of ['wheel', 'touchstart', 'keydown']) window.addEventListener(e, stop, { once: true, passive: true });
  const step = () => {
    if (current !== mine || touched) return;
    window.scrollTo(0, y);
    if (Math.abs(window.scrollY - y) > 2 && performance.now() < until) requestAnimationFrame(step);
  };
  step();
}

let title = '', count = 0;
function showTitle() {
  document.title = `${count ? `(${count > 999 ? '999+' : count}) ` : ''}${title ? title + ' – ' : ''}Holdfast`;
}
function setTitle(text) {
  title = text;
  showTitle();
}
export function setCount(n) {
  count = n;
  showTitle();
}

export function start(node) {
  outlet = node;
  history.scrollRestoration = 'manual';
  document.addEventListener('click', (e) => {
    if (e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const a = e.target.closest?.('a[href]');
    const href = a?.getAttribute('href');
    if (!href || a.target || a.hasAttribute('download') || !href.startsWith('/') || href.startsWith('//') || href.startsWith('/api/') || href.startsWith('/auth/')) return;
    e.preventDefault();
    go(href);
  });
  window.addEventListener('popstate', (e) => {
    if (current && location.pathname === current.path && current.onQuery) {
      current.onQuery(query());
      return;
    }
    open(e.state?.y || 0, true);
  });
  let pending = 0;
  window.addEventListener('scroll', () => {
    clearTimeout(pending);
    pending = setTimeout(keepScroll, 200);
  }, { passive: true });
  return open(history.state?.y || 0, false);
}
export const reopen = () => open(0, true);
