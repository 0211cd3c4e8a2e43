// SPDX-License-Identifier: Apache-2.0
// Starts the page: who is signed in, the frame around the views, what is told everywhere (new incidents, a lost connection).
import { h, icon, replace, svg } from './dom.js';
import * as api from './api.js';
import * as prefs from './prefs.js';
import * as router from './router.js';
import * as stream from './stream.js';
import { duration, format, zoneName } from './time.js';
import { liveRegion, say, toast, toastRegion } from './ui.js';
import { rank, severity } from './words.js';

const NAV = [
  ['overview', '/', 'Overview'], ['live', '/live', 'Live'], ['incidents', '/incidents', 'Incidents'], ['images', '/images', 'Images'],
  ['rules', '/rules', 'Rules'], ['audit', '/audit', 'Audit'], ['settings', '/settings', 'Settings'],
];
const PARENT = { container: 'live', incident: 'incidents', image: 'images', rule: 'rules' };

router.route('/', 'overview', () => import('./view-overview.js'));
router.route('/live', 'live', () => import('./view-live.js'));
router.route('/containers/{id}', 'container', () => import('./view-container.js'));
router.route('/incidents', 'incidents', () => import('./view-incidents.js'));
router.route('/incidents/{id}', 'incident', () => import('./view-incident.js'));
router.route('/images', 'images', () => import('./view-images.js'));
router.route('/images/{digest}', 'image', () => import('./view-image.js'));
router.route('/rules', 'rules', () => import('./view-rules.js'));
router.route('/rules/{name}', 'rule', () => import('./view-rule.js'));
router.route('/audit', 'audit', () => import('./view-audit.js'));
router.route('/settings', 'settings', () => import('./view-settings.js'));
router.route('/settings/{part}', 'settings', () => import('./view-settings.js'));
router.route('/sign-in', 'sign-in', () => import('./view-sign-in.js'));
router.route('/never', 'missing', () => import('./view-missing.js'));

const mark = () => svg('svg', { class: 'mark', viewBox: '0 0 32 32', 'aria-hidden': 'true' }, svg('rect', { width: 32, height: 32, rx: 8, class: 'mark-back' }),
  svg('path', { d: 'M10 7v18M22 7v18M10 16h12', class: 'mark-line' }), svg('circle', { cx: 16, cy: 16, r: 3.6, class: 'mark-ring' }));

// ---- the frame ----
const openCount = h('span', { class: 'nav-count' });
const main = h('main', { id: 'main', tabindex: -1 });
const lost = h('div', { class: 'lost', role: 'status' });
const health = h('span', { class: 'stream-state' });
lost.hidden = true;

const links = NAV.map(([name, href, text]) => h('a', { href, class: 'nav-link', data: { name } }, icon(name), h('span', {}, text), name === 'incidents' ? openCount : null));
const moreButton = h('button', { class: 'nav-link nav-more', type: 'button', 'aria-expanded': 'false', 'aria-controls': 'nav-list' }, icon('more'), h('span', {}, 'More'));
const nav = h('nav', { class: 'nav', 'aria-label': 'Main' }, h('div', { class: 'nav-list', id: 'nav-list' }, links), moreButton);
function openMore(open) {
  nav.classList.toggle('nav-open', open);
  moreButton.setAttribute('aria-expanded', String(open));
}
moreButton.addEventListener('click', () => openMore(!nav.classList.contains('nav-open')));
document.addEventListener('click', (e) => { if (!nav.contains(e.target)) openMore(false); });
nav.addEventListener('keydown', (e) => {
  if (e.key === 'Escape' && nav.classList.contains('nav-open')) {
    openMore(false);
    moreButton.focus();
  }
});

const THEMES = { auto: 'as the system', light: 'light', dark: 'dark' };
const themeButton = h('button', { class: 'icon-button', type: 'button', on: { click: () => {
  const order = ['auto', 'light', 'dark'];
  prefs.setTheme(order[(order.indexOf(prefs.theme()) + 1) % 3]);
  say('Appearance: ' + THEMES[prefs.theme()]);
} } }, icon('sun'));
const zoneButton = h('button', { class: 'zone-button', type: 'button', on: { click: () => {
  prefs.setUtc(!prefs.isUtc());
  say('Times are in ' + zoneName());
} } });
function showPrefs() {
  themeButton.setAttribute('aria-label', 'Appearance: ' + THEMES[prefs.theme()] + '. Change');
  themeButton.title = 'Appearance: ' + THEMES[prefs.theme()];
  replace(zoneButton, icon('clock'), h('span', {}, prefs.isUtc() ? 'UTC' : 'Local'));
  zoneButton.title = 'Times are in ' + zoneName();
  zoneButton.setAttribute('aria-label', `${prefs.isUtc() ? 'UTC' : 'Local'}: times are in ${zoneName()}. Show them in ${prefs.isUtc() ? 'local time' : 'UTC'}`);
}
prefs.onPrefs(showPrefs);
showPrefs();

const who = h('a', { class: 'who', href: '/settings/account' });
const frame = h('div', { class: 'frame' },
  h('a', { class: 'skip', href: '#main', on: { click: (e) => {
    e.preventDefault();
    main.focus();
    main.scrollIntoView();
  } } }, 'Skip to the content'),
  h('header', { class: 'top' }, h('a', { class: 'brand', href: '/', 'aria-label': 'Holdfast, overview' }, mark(), h('span', {}, 'Holdfast')), health,
    h('div', { class: 'top-tools' }, zoneButton, themeButton, who)),
  nav, h('div', { class: 'content' }, lost, main));

router.onRoute((name) => {
  document.body.classList.toggle('bare', name === 'sign-in');
  openMore(false);
  for (const a of document.querySelectorAll('.alert-toast a')) if (a.pathname === location.pathname) a.closest('.toast').remove(); // one is there
  const active = PARENT[name] || name;
  for (const a of links) {
    if (a.dataset.name === active) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
  moreButton.classList.toggle('nav-current', ['rules', 'audit', 'settings'].includes(active));
});

// ---- connection ----
let lostTimer = 0, missed = false;
stream.onStatus((s) => {
  clearInterval(lostTimer);
  const words = { open: 'Live', connecting: 'Connecting', lost: 'Not live', paused: 'Paused', off: '' };
  replace(health, s.state === 'off' ? null : h('span', { class: 'dot dot-' + s.state, 'aria-hidden': 'true' }), h('span', {}, words[s.state]));
  health.title = s.state === 'open' ? 'What happens is shown as it happens' : '';
  if (s.state === 'lost') {
    const wait = h('span', {});
    const tick = () => {
      lost.hidden = Date.now() - s.since < 1500; // a short break is nobody's worry
      replace(wait, `Trying again ${s.retryAt - Date.now() > 1000 ? 'in ' + duration(s.retryAt - Date.now()) : 'now'}.`);
    };
    missed = true;
    tick();
    lostTimer = setInterval(tick, 500);
    replace(lost, icon('incidents'), h('div', {}, h('strong', {}, s.problem?.status ? 'No live updates. ' : 'Connection lost. '), s.problem?.detail ? `${s.problem.detail}. ` : '', s.seen ? `What you see is as of ${format(s.seen, 'time')}. ` : 'What you see may be old. ', h('span', { 'aria-hidden': 'true' }, wait)),
      h('button', { class: 'button', type: 'button', on: { click: () => stream.connect(true) } }, 'Try now'));
    return;
  }
  const told = !lost.hidden;
  lost.hidden = true;
  if (missed && s.state === 'open') {
    missed = false;
    if (told) say('Connected again');
    window.dispatchEvent(new CustomEvent('holdfast:again')); // views look once more
  }
});

// ---- incidents, wherever one is ----
const told = new Map(); // id -> number of alerts that were told
let countTimer = 0;
async function count() {
  countTimer = 0;
  if (!api.session.user) return;
  try {
    const r = await api.get('/incidents', { state: 'open', limit: told.size ? 1 : 100 });
    const n = r.total ?? r.items.length;
    if (!told.size) for (const i of r.items) told.set(i.id, i.alerts); // these are not new
    replace(openCount, n ? h('span', {}, n > 999 ? '999+' : String(n), h('span', { class: 'hide' }, ' open')) : null);
    router.setCount(n);
  } catch { /* told by the stream */ }
}
const countSoon = () => { countTimer ||= setTimeout(count, 700); };
let stopIncidents = null;
function watchIncidents() {
  stopIncidents?.();
  stopIncidents = stream.listen(['incident'], ({ kind, data }) => {
    countSoon();
    if (kind !== 'incident' || !data?.id) return;
    const before = told.get(data.id);
    told.set(data.id, data.alerts);
    if (told.size > 5000) told.delete(told.keys().next().value);
    if (before !== undefined || data.state !== 'open' || rank(data.severity) < rank('medium') || data.revision > 20) return;
    say(`New incident, ${data.severity}: ${data.title}`);
    if (location.pathname !== '/incidents/' + data.id) toast(h('a', { href: '/incidents/' + encodeURIComponent(data.id) }, severity(data.severity), h('strong', {}, data.title)), { kind: 'alert-toast' });
  });
}

// ---- signing in and out ----
function signedIn(session) {
  api.setSession(session);
  replace(who, icon('person'), h('span', { class: 'who-name' }, session.user), h('span', { class: 'hide' }, `, ${session.role}. Your account`));
  who.title = `${session.user}, ${session.role}`;
  countSoon();
  watchIncidents();
}
function signedOut(message) {
  if (location.pathname === '/sign-in') return;
  stopIncidents?.();
  stopIncidents = null;
  api.setSession(null);
  stream.forget();
  router.setCount(0);
  document.querySelectorAll('dialog[open]').forEach((d) => d.close());
  const next = router.here();
  router.go('/sign-in' + (next !== '/' ? '?next=' + encodeURIComponent(next) : ''), { replace: true });
  if (message) say(message);
}
api.onSignedOut(() => signedOut('Signed out: the session has ended'));
stream.onRefused(() => signedOut('Signed out: the session has ended'));
window.addEventListener('holdfast:signed-in', (e) => signedIn(e.detail));
window.addEventListener('holdfast:sign-out', async () => {
  try {
    await api.remove('/session', { quiet: true });
  } catch { /* gone or not: this page forgets it */ }
  signedOut();
});

async function begin() {
  prefs.applyTheme();
  router.preload(); // while it is asked who is signed in
  document.body.append(frame, toastRegion(), liveRegion());
  if (location.pathname !== '/sign-in') {
    try {
      signedIn(await api.get('/session', null, { quiet: true }));
    } catch (e) {
      if (e.status === 401) {
        const next = router.here();
        history.replaceState({}, '', '/sign-in' + (next !== '/' ? '?next=' + encodeURIComponent(next) : ''));
      }
      // anything else: the view says what is wrong
    }
  }
  await router.start(main);
}
begin();
