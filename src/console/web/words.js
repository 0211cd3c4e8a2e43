// SPDX-License-Identifier: Apache-2.0
// Words and small shapes that every view shares: severities, states, amounts, and an event said in one line.
import { h, icon } from './dom.js';

export const SEVERITIES = ['debug', 'info', 'notice', 'low', 'medium', 'high', 'critical'];
export const rank = (severity) => SEVERITIES.indexOf(severity);
export const worst = (a, b) => (rank(a) >= rank(b) ? a : b);
export const STATES = { open: 'Open', acknowledged: 'Acknowledged', contained: 'Contained', resolved: 'Resolved' };
export const cap = (s) => (s ? s[0].toUpperCase() + s.slice(1) : '');
const KNOWN = new Set([...SEVERITIES, 'unknown', 'negligible', 'none']);
const severityClass = (s) => 'sev-' + (KNOWN.has(s) ? s : 'unknown');

export const severity = (s) => h('span', { class: 'sev ' + severityClass(s) }, h('span', { class: 'sev-mark', 'aria-hidden': 'true' }), cap(s || 'unknown'));
export const severityDot = (s) => h('span', { class: 'sev sev-only ' + severityClass(s), title: cap(s || 'unknown') }, h('span', { class: 'sev-mark', 'aria-hidden': 'true' }), h('span', { class: 'hide' }, cap(s || 'unknown')));
export const state = (s, resolution) => h('span', { class: 'state state-' + (STATES[s] ? s : 'open') }, (STATES[s] || s) + (s === 'resolved' && resolution ? ': ' + ({ true: 'was real' }[resolution] || resolution) : ''));
export const tag = (text, cls) => h('span', { class: 'tag' + (cls ? ' ' + cls : '') }, text);

const NUMBER = new Intl.NumberFormat('en-GB');
export const number = (n) => (Number.isFinite(n) ? NUMBER.format(n) : '–');
export const plural = (n, one, many) => `${number(n)} ${n === 1 ? one : many || one + 's'}`;
export function compact(n) {
  if (!Number.isFinite(n)) return '–';
  if (n < 10000) return number(n);
  return n < 1e6 ? `${Math.round(n / 1000)} k` : `${(n / 1e6).toFixed(1)} M`;
}
export function bytes(n) {
  if (!Number.isFinite(n)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let u = 0;
  while (n >= 1024 && u < 4) {
    n /= 1024;
    u++;
  }
  return `${u && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[u]}`;
}
export const shortId = (id) => String(id || '').replace(/^sha256:/, '').slice(0, 12);
export const shorten = (text, max) => {
  const s = String(text ?? '');
  return s.length > max ? s.slice(0, max - 1) + '…' : s;
};
export const code = (text, max = 400) => h('code', { title: String(text ?? '').length > max ? shorten(text, 2000) : undefined }, shorten(text, max));
export const containerLink = (c) => (c?.id ? h('a', { href: '/containers/' + encodeURIComponent(c.id), class: 'ref' }, icon('box'), shorten(c.name || shortId(c.id), 80)) : h('span', { class: 'ref' }, icon('host'), 'host'));
export const imageLink = (name, digest) => (digest ? h('a', { href: '/images/' + encodeURIComponent(digest), class: 'ref' }, icon('images'), shorten(name || shortId(digest), 80)) : h('span', {}, shorten(name || '–', 80)));

const EVENT_WORDS = {
  exec: 'ran', fork: 'started', exit: 'ended', file: 'file', connect: 'connects to', accept: 'accepts from', listen: 'listens on', bind: 'binds', send: 'sends to', close: 'closes', dns: 'asks for',
  container_start: 'container starts', container_end: 'container ends', container_stop: 'container ends',
};
const place = (n) => (n ? `${n.peer_name || n.peer_container?.name || n.peer || ''}${n.peer_port ? ' port ' + n.peer_port : ''}` : '');

// An event or alert line of `watch --json` as {who, verb, what}, all plain text.
export function sentence(e) {
  const p = e.process;
  const who = p ? `${p.name || p.exe || 'process'} (${p.ns_pid || p.pid})` : '';
  const verb = EVENT_WORDS[e.type] || String(e.type || '').replace(/_/g, ' ');
  const part = e[e.type] || {};
  let what = '';
  if (e.type === 'alert') return { who: e.rule || '', verb: '', what: e.summary || '' };
  if (e.type === 'exec') what = (p?.args?.length ? p.args.join(' ') : part.path) || '';
  else if (e.type === 'exit') what = part.signal ? `by signal ${part.signal}` : `with ${part.code ?? 0}`;
  else if (e.type === 'file') what = [part.operation, part.path, part.target ? '→ ' + part.target : ''].filter(Boolean).join(' ');
  else if (e.type === 'listen' || e.type === 'bind') what = `${part.local || ''} port ${part.local_port ?? ''}`;
  else if (e.type === 'dns') what = [part.name, part.addresses?.length ? '→ ' + part.addresses.join(', ') : ''].filter(Boolean).join(' ');
  else if (part.peer !== undefined || part.peer_port) what = [place(part), part.name, part.path].filter(Boolean).join(' ');
  else {
    const told = Object.entries(part).filter(([, v]) => typeof v === 'string' || typeof v === 'number').slice(0, 4);
    what = told.map(([k, v]) => `${k} ${v}`).join(', ');
  }
  return { who, verb, what: String(what) };
}
