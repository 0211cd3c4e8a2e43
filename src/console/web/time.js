// SPDX-License-Identifier: Apache-2.0
// Times: RFC 3339 in UTC from the server; shown in the reader's zone or in UTC, the other one in the title; <time> elements follow the switch.
import { h } from './dom.js';
import { isUtc, onPrefs } from './prefs.js';

export function parse(text) {
  if (typeof text === 'number') return text;
  if (!text) return NaN;
  return Date.parse(String(text).replace(/(\.\d{3})\d+/, '$1')); // engines agree on milliseconds only
}

const OPTIONS = {
  day: { year: 'numeric', month: 'short', day: 'numeric' },
  time: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
  minute: { hour: '2-digit', minute: '2-digit' },
  full: { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' },
  short: { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
};
const made = new Map();
function formatter(kind, utc) {
  const key = kind + utc;
  if (!made.has(key)) made.set(key, new Intl.DateTimeFormat('en-GB', { ...OPTIONS[kind], hourCycle: 'h23', ...(utc ? { timeZone: 'UTC' } : {}) }));
  return made.get(key);
}
export const zoneName = () => (isUtc() ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone || 'local time');

export function format(text, kind = 'full', utc = isUtc()) {
  const at = parse(text);
  if (Number.isNaN(at)) return '';
  const out = formatter(kind, utc).format(at);
  return utc && kind !== 'day' ? out + ' UTC' : out;
}

const STEPS = [[60, 1, 's'], [3600, 60, 'min'], [86400, 3600, 'h'], [Infinity, 86400, 'd']];
export function ago(text, now = Date.now()) {
  const at = parse(text);
  if (Number.isNaN(at)) return '';
  const s = Math.round((now - at) / 1000);
  if (Math.abs(s) < 5) return 'just now';
  const [, unit, name] = STEPS.find(([limit]) => Math.abs(s) < limit);
  const n = Math.floor(Math.abs(s) / unit);
  return s < 0 ? `in ${n} ${name}` : `${n} ${name} ago`;
}

export function duration(ms) {
  if (!Number.isFinite(ms)) return '';
  const s = Math.max(0, ms / 1000);
  if (s < 1) return `${Math.round(ms)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

function show(node) {
  const text = node.dateTime;
  const kind = node.dataset.kind;
  node.textContent = kind === 'ago' ? ago(text) : format(text, kind);
  node.title = kind === 'ago' || isUtc() ? `${format(text, 'full', false)} local time, ${format(text, 'full', true)}` : format(text, 'full', true);
}

// kind: ago, full, short, time, minute, day
export function when(text, kind = 'ago', props) {
  const at = parse(text);
  if (Number.isNaN(at)) return h('span', { class: 'muted' }, 'never');
  const node = h('time', { datetime: typeof text === 'number' ? new Date(text).toISOString() : text, data: { kind }, ...props });
  show(node);
  return node;
}

export function refresh(root = document) {
  for (const node of root.querySelectorAll('time[data-kind]')) show(node);
}
onPrefs(() => refresh());
setInterval(() => {
  if (document.visibilityState === 'visible') for (const node of document.querySelectorAll('time[data-kind=ago]')) show(node);
}, 15000);
