// SPDX-License-Identifier: Apache-2.0
// Parts of views: panels, tables, tabs, dialogs, what is told when nothing is there or something failed, and what screen readers are told.
import { h, icon, replace, uid } from './dom.js';
import { adviceFor, Problem } from './api.js';
import { duration } from './time.js';

// ---- what screen readers hear ----
let polite = null, waiting = [], sayTimer = 0;
export function liveRegion() {
  polite = h('div', { class: 'hide', role: 'status', 'aria-live': 'polite' });
  return polite;
}
// Said within a second, several together, so that a storm of alerts is one sentence.
export function say(text) {
  if (waiting.includes(text)) return;
  waiting.push(text);
  sayTimer ||= setTimeout(() => {
    sayTimer = 0;
    const all = waiting;
    waiting = [];
    replace(polite, all.length > 3 ? `${all.length} messages. ${all[all.length - 1]}` : all.join('. '));
  }, 800);
}

// ---- toasts ----
const toasts = h('div', { class: 'toasts' });
export const toastRegion = () => toasts;
export function toast(content, { kind = '', ms = 8000 } = {}) {
  const close = () => node.remove();
  const node = h('div', { class: 'toast ' + kind }, h('div', { class: 'toast-text' }, content), h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Close message', on: { click: close } }, icon('close')));
  let timer = setTimeout(close, ms);
  const hold = () => clearTimeout(timer);
  const release = () => { timer = setTimeout(close, 3000); };
  for (const e of ['pointerenter', 'focusin']) node.addEventListener(e, hold);
  for (const e of ['pointerleave', 'focusout']) node.addEventListener(e, release);
  toasts.append(node);
  while (toasts.children.length > 3) toasts.firstChild.remove();
  return node;
}
export function done(text) {
  toast(text, { kind: 'good', ms: 4500 });
  say(text);
}

// ---- failure and emptiness ----
export function problemBox(e, retry) {
  const p = e instanceof Problem ? e : new Problem(-1, 'This page made a mistake', e?.message || String(e));
  if (p.status === -1) console.error(e);
  return h('div', { class: 'problem', role: 'alert' }, icon('incidents'),
    h('div', {}, h('strong', {}, p.title), p.detail && p.detail !== p.title ? h('p', {}, p.detail) : null,
      adviceFor(p) ? h('p', { class: 'muted' }, adviceFor(p), p.retryAfter ? ` The server asks to wait ${duration(p.retryAfter * 1000)}.` : '') : null,
      retry ? h('button', { class: 'button', type: 'button', on: { click: retry } }, 'Try again') : null));
}
export const empty = (title, ...text) => h('div', { class: 'empty' }, h('strong', {}, title), text.length ? h('p', {}, text) : null);
export const loading = (lines = 3) => h('div', { class: 'loading', 'aria-busy': 'true' }, h('span', { class: 'hide' }, 'Loading'), Array.from({ length: lines }, () => h('div', { class: 'bone', 'aria-hidden': 'true' })));

// Fills slot by load() and make(data); tells failures there, with a way to try again.
export async function into(ctx, slot, load, make) {
  const again = () => into(ctx, slot, load, make);
  try {
    const data = await load();
    if (!ctx.alive()) return null;
    replace(slot, make(data));
    slot.removeAttribute('aria-busy');
    return data;
  } catch (e) {
    if (e.name === 'AbortError' || !ctx.alive()) return null;
    replace(slot, problemBox(e, again));
    return null;
  }
}

// ---- layout ----
export const page = (title, { lead, actions, crumbs } = {}, ...children) => h('div', { class: 'page' },
  h('header', { class: 'page-head' },
    h('div', { class: 'page-title' }, crumbs ? h('nav', { class: 'crumbs', 'aria-label': 'Where this is' }, crumbs) : null, h('h1', {}, title), lead ? h('div', { class: 'lead' }, lead) : null),
    actions ? h('div', { class: 'page-actions' }, actions) : null),
  children);
export function panel(title, { extra, cls, level = 'h2', id } = {}, ...children) {
  const name = uid('p');
  return h('section', { class: 'panel' + (cls ? ' ' + cls : ''), 'aria-labelledby': name, id }, h('div', { class: 'panel-head' }, h(level, { id: name }, title), extra ? h('div', { class: 'panel-extra' }, extra) : null), children);
}
export const facts = (pairs) => h('dl', { class: 'facts' }, pairs.filter((p) => p && p[1] !== undefined && p[1] !== null && p[1] !== '').map(([k, v]) => h('div', {}, h('dt', {}, k), h('dd', {}, v))));
export function button(text, { icon: name, kind, on, disabled, title, type = 'button', ...more } = {}) {
  return h('button', { class: 'button' + (kind ? ' ' + kind : ''), type, disabled, title, on: on ? { click: on } : null, ...more }, name ? icon(name) : null, text ? h('span', {}, text) : null);
}

// columns: [{title, cell(row), cls, num}]; rows of any objects.
export function table(caption, columns, rows, { cls, showCaption = false, stack = true } = {}) {
  return h('div', { class: 'table-box', tabindex: stack ? undefined : 0, role: stack ? undefined : 'region', 'aria-label': stack ? undefined : caption },
    h('table', { class: (stack ? 'stack ' : '') + (cls || '') }, h('caption', { class: showCaption ? '' : 'hide' }, caption),
      h('thead', {}, h('tr', {}, columns.map((c) => h('th', { scope: 'col', class: c.num ? 'num' : c.cls }, c.title || h('span', { class: 'hide' }, 'Actions'))))),
      h('tbody', {}, rows.map((r) => h('tr', {}, columns.map((c) => h('td', { class: [c.num ? 'num' : '', c.cls || ''].join(' ').trim() || undefined, data: { label: c.title } }, c.cell(r))))))));
}

// Tabs after the ARIA pattern; the chosen one is in the query as ?tab=.  list: [{name, title, count, make()}]
export function tabs(ctx, label, list, { param = 'tab' } = {}) {
  const body = h('div', { class: 'tab-body', role: 'tabpanel', tabindex: 0 });
  const bar = h('div', { class: 'tabs', role: 'tablist', 'aria-label': label });
  const buttons = list.map((t) => {
    t.id = uid('tab');
    t.counter = h('span', { class: 'count' }, t.count === undefined ? '' : String(t.count));
    t.counter.hidden = t.count === undefined;
    return h('button', { type: 'button', role: 'tab', id: t.id, on: { click: () => choose(t.name, true) } }, t.title, t.counter);
  });
  bar.append(...buttons);
  let now = null;
  function choose(name, byHand) {
    const at = Math.max(0, list.findIndex((t) => t.name === name));
    buttons.forEach((b, i) => {
      b.setAttribute('aria-selected', String(i === at));
      b.tabIndex = i === at ? 0 : -1;
    });
    if (byHand) ctx.setQuery({ [param]: at ? list[at].name : null });
    if (now === list[at].name) return;
    now = list[at].name;
    body.setAttribute('aria-labelledby', list[at].id);
    replace(body, list[at].make());
    if (byHand) buttons[at].scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }
  bar.addEventListener('keydown', (e) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[e.key];
    if (step === undefined) return;
    e.preventDefault();
    const at = buttons.indexOf(document.activeElement);
    const to = step === -Infinity ? 0 : step === Infinity ? list.length - 1 : (at + step + list.length) % list.length;
    choose(list[to].name, true);
    buttons[to].focus();
  });
  choose(ctx.query()[param], false);
  return {
    node: h('div', { class: 'tab-set' }, bar, body), choose,
    current: () => now,
    count(name, n) {
      const t = list.find((x) => x.name === name);
      replace(t.counter, String(n));
      t.counter.hidden = false;
    },
    again() {
      const t = list.find((x) => x.name === now);
      replace(body, t.make());
    },
  };
}

// ---- dialogs: the browser's own, modal: it keeps the focus in and gives it back ----
export function dialog(title, content, { cls, onClose } = {}) {
  const id = uid('d');
  const box = h('dialog', { class: 'dialog' + (cls ? ' ' + cls : ''), 'aria-labelledby': id },
    h('div', { class: 'dialog-head' }, h('h2', { id }, title), h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Close', on: { click: () => box.close() } }, icon('close'))),
    content);
  box.addEventListener('close', () => {
    box.remove();
    onClose?.();
  });
  box.addEventListener('click', (e) => {
    if (e.target !== box) return;
    const r = box.getBoundingClientRect();
    if (e.clientX < r.left || e.clientX > r.right || e.clientY < r.top || e.clientY > r.bottom) box.close();
  });
  document.body.append(box);
  box.showModal();
  return box;
}
window.addEventListener('popstate', () => document.querySelectorAll('dialog[open]').forEach((d) => d.close()));

// ---- forms ----
export function field(label, control, { hint, cls } = {}) {
  const id = control.id || uid('f');
  control.id = id;
  if (hint) control.setAttribute('aria-describedby', id + '-hint');
  return h('div', { class: 'field' + (cls ? ' ' + cls : '') }, h('label', { for: id }, label), control, hint ? h('p', { class: 'hint', id: id + '-hint' }, hint) : null);
}
export const input = (props) => h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...props });
export function select(options, value, props) {
  return h('select', props, options.map(([v, text]) => h('option', { value: v, selected: String(v) === String(value ?? '') }, text)));
}
// A form that says what failed, is locked while it works, and gives the failed field back.
export function form(props, run, ...children) {
  const told = h('div', { class: 'form-problem' });
  const node = h('form', { novalidate: false, ...props, on: { submit: async (e) => {
    e.preventDefault();
    if (node.dataset.busy) return;
    node.dataset.busy = '1';
    const buttons = [...node.querySelectorAll('button[type=submit]')];
    buttons.forEach((b) => b.setAttribute('aria-disabled', 'true'));
    replace(told);
    try {
      await run(node);
    } catch (err) {
      if (err.name !== 'AbortError') replace(told, problemBox(err));
    } finally {
      delete node.dataset.busy;
      buttons.forEach((b) => b.removeAttribute('aria-disabled'));
    }
  } } }, children);
  const actions = node.querySelector('.form-actions');
  if (actions) actions.before(told);
  else node.append(told);
  return node;
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    done('Copied');
  } catch {
    toast('The browser did not allow copying. Select the text and copy it by hand.');
  }
}
// Waits for a pause in typing.
export function debounce(run, ms) {
  let timer = 0;
  return (...a) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...a), ms);
  };
}
