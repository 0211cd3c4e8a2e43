// SPDX-License-Identifier: Apache-2.0
// How things stand: what needs somebody, when alerts came, how much of the machine is seen.
import { h } from './dom.js';
import { get } from './api.js';
import { bars, lying, parts } from './chart.js';
import { listen } from './stream.js';
import { ago, duration, format, when } from './time.js';
import { debounce, empty, into, loading, page, panel } from './ui.js';
import { SEVERITIES, bytes, cap, number, plural, severity, state } from './words.js';

const order = [...SEVERITIES].reverse();
export function bySeverity(counts, href) {
  const shown = order.filter((s) => counts[s] || ['critical', 'high', 'medium', 'low'].includes(s));
  return shown.map((s) => ({ name: cap(s), value: counts[s] || 0, cls: 'f-' + s, href: href?.(s) }));
}

function card(title, value, sub, href, cls) {
  return h('a', { class: 'card ' + (cls || ''), href }, h('span', { class: 'card-title' }, title), h('span', { class: 'card-value' }, value), h('span', { class: 'card-sub' }, sub));
}

export function healthWords(s) {
  if (!s.connected) return { cls: 'bad', word: 'Not watching', text: s.why || 'Nothing comes from what watches.' };
  if (s.lost_60s) return { cls: 'warn', word: 'Losing events', text: `${plural(s.lost_60s, 'event')} lost in the last minute.` };
  const state = {
    limited: ['Limited', 'This kernel or its settings do not let all be seen; Live, Sensor says what.'], left_out: ['Parts left out', 'Something is not watched, as the settings want it; Live, Sensor says what.'],
    shed: ['Rules given up', 'Some rules were given up to keep the budget; Live, Sensor says which.'], over_budget: ['Over budget', 'All is watched; it costs more than its budget just now.'],
  }[s.state];
  if (state) return { cls: 'warn', word: state[0], text: state[1] };
  return { cls: 'good', word: 'Watching', text: s.uptime_s ? `For ${duration(s.uptime_s * 1000)}, nothing lost in the last minute.` : 'Nothing lost in the last minute.' };
}

function make(o, incidents) {
  const open = o.incidents.open + o.incidents.acknowledged + o.incidents.contained;
  const health = healthWords(o.sensor);
  const hours = o.alerts.hours.map((x) => ({
    label: format(x.start, 'minute'), tick: format(x.start, 'minute').replace(' UTC', ''),
    parts: [{ name: 'high or critical', value: x.high, cls: 'f-high' }, { name: 'others', value: x.count - x.high, cls: 'f-plain' }],
  }));
  hours.forEach((b, i) => { if (i % 3) b.tick = null; });
  const used = Object.values(o.findings.used_by_severity).reduce((a, b) => a + b, 0);
  return [
    h('div', { class: 'cards' },
      card('Need somebody', number(o.incidents.open), open ? `${number(o.incidents.acknowledged)} acknowledged, ${number(o.incidents.contained)} contained` : 'No incident is unresolved', '/incidents?state=open', o.incidents.open ? 'card-loud' : ''),
      card('Yours', number(o.incidents.mine), 'unresolved and assigned to you', '/incidents?assignee=me'),
      card('Containers', number(o.containers.running), `running now, ${number(o.containers.total)} known`, '/live'),
      card('Vulnerabilities in use', number(used), `${number((o.findings.used_by_severity.critical || 0) + (o.findings.used_by_severity.high || 0))} high or critical, in code that really ran`, '/images?running=true'),
      card('Sensor', h('span', { class: 'health health-' + health.cls }, health.word), health.text, '/live?tab=sensor')),
    h('div', { class: 'columns wide-left' },
      panel('Alerts, last 24 hours', { extra: h('span', { class: 'muted' }, plural(o.alerts.total_24h, 'alert')) }, bars('Alerts by hour', hours, { unit: 'alerts', columns: ['Hour from'] }),
        h('ul', { class: 'parts-key chart-key' }, h('li', {}, h('span', { class: 'swatch fill f-high' }), 'High or critical'), h('li', {}, h('span', { class: 'swatch fill f-plain' }), 'Others'))),
      panel('Unresolved incidents', {}, lying('Unresolved incidents by severity', bySeverity(o.incidents.by_severity, (s) => '/incidents?min_severity=' + s).map((p) => ({ label: h('a', { href: p.href }, p.name), value: p.value, cls: p.cls }))))),
    h('div', { class: 'columns' },
      panel('Newest, not resolved', { extra: h('a', { href: '/incidents' }, 'All incidents') }, incidents.length ? h('ul', { class: 'brief' }, incidents.map((i) => h('li', {}, h('a', { class: 'brief-link', href: '/incidents/' + i.id }, severity(i.severity), h('span', { class: 'brief-title' }, i.title), h('span', { class: 'brief-meta' }, state(i.state, i.resolution), when(i.updated))))))
        : empty('All is quiet.', 'Alerts become incidents here, in less than a second.')),
      panel('Loudest rules, last 24 hours', { extra: h('a', { href: '/rules' }, 'All rules') }, lying('Alerts by rule', o.rules.slice(0, 8).map((r) => ({ label: h('a', { href: '/rules/' + encodeURIComponent(r.rule) }, r.rule), value: r.count, cls: 'f-' + r.severity })), { empty: 'No rule gave an alert.' }))),
    h('div', { class: 'columns' },
      panel('Vulnerabilities of what runs', { extra: h('a', { href: '/images?running=true' }, 'Images') }, h('h3', {}, 'In use'), parts('Vulnerabilities of packages in use', bySeverity(o.findings.used_by_severity)), h('h3', {}, 'All'), parts('All vulnerabilities of images that run', bySeverity(o.findings.by_severity))),
      panel('This machine', {}, h('dl', { class: 'facts' }, [['Host', o.host], ['Images', `${number(o.images.running)} run, ${number(o.images.scanned)} of ${number(o.images.total)} scanned`],
        ['Events', o.sensor.seen_per_s === undefined ? null : `${number(Math.round(o.sensor.seen_per_s))} a second`], ['Cost', o.sensor.core_pct === undefined ? null : `${o.sensor.core_pct.toFixed(2)} % of one core${o.sensor.budget_pct ? `, budget ${o.sensor.budget_pct} %` : ''}`],
        ['Memory', o.sensor.rss_kib ? bytes(o.sensor.rss_kib * 1024) : null], ['Lost since start', o.sensor.lost === undefined ? null : plural(o.sensor.lost, 'event')], ['Last line', o.sensor.last_line ? ago(o.sensor.last_line) : null]]
        .filter((p) => p[1]).map(([k, v]) => h('div', {}, h('dt', {}, k), h('dd', {}, v))))))];
}

export function view(ctx) {
  const slot = h('div', { class: 'stack-gap' }, loading(6));
  const load = async () => {
    const [o, list] = await Promise.all([get('/overview', null, { signal: ctx.signal }), get('/incidents', { state: 'unresolved', limit: 6 }, { signal: ctx.signal })]);
    return [o, list.items];
  };
  let had = false;
  const first = async () => { had = !!(await into(ctx, slot, load, ([o, list]) => make(o, list))); };
  first();
  // Later looks never take the page away from under the reader: a failure is told by the connection line.
  const again = debounce(async () => {
    if (!had || slot.contains(document.activeElement) || slot.querySelector('details[open]')) return;
    try {
      const [o, list] = await load();
      if (ctx.alive() && !slot.contains(document.activeElement)) slot.replaceChildren(...make(o, list));
    } catch { /* shown by the stream */ }
  }, 1500);
  ctx.onLeave(listen(['alert', 'incident', 'container'], again));
  const timer = setInterval(() => document.visibilityState === 'visible' && again(), 30000);
  window.addEventListener('holdfast:again', again);
  ctx.onLeave(() => {
    clearInterval(timer);
    window.removeEventListener('holdfast:again', again);
  });
  return page('Overview', {}, slot);
}
