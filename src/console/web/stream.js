// SPDX-License-Identifier: Apache-2.0
// The live stream: Server-Sent Events read with fetch, so that a broken connection is taken up by the number of the last event, a refused one is
// told from a lost one, and a page nobody looks at holds no connection.  One connection for all listeners, with the kinds they want.
import { Problem, session } from './api.js';

const listeners = new Set(); // {kinds, run}
const watchers = new Set();  // of the state
let last = null;             // number of the last event
let abort = null;
let opened = '';             // kinds of the open connection
let timer = 0;
let tries = 0;
let refused = () => {};

// state: off, connecting, open, lost (retryAt), paused (the page is hidden)
export const status = { state: 'off', since: Date.now(), seen: null, retryAt: 0, problem: null };
function become(state, more = {}) {
  if (status.state !== state) status.since = Date.now();
  Object.assign(status, { state, retryAt: 0, problem: null }, more);
  for (const run of watchers) run(status);
}
export function onStatus(run) {
  watchers.add(run);
  run(status);
  return () => watchers.delete(run);
}
export const onRefused = (run) => { refused = run; };

function wanted() {
  const kinds = new Set();
  for (const l of listeners) for (const k of l.kinds) kinds.add(k);
  return [...kinds].sort().join(',');
}

// run({kind, data, id}) for each event of these kinds, until the returned function is called.
export function listen(kinds, run) {
  const l = { kinds: new Set([...kinds, 'gap']), run };
  listeners.add(l);
  connect();
  return () => {
    listeners.delete(l);
    setTimeout(connect, 200); // the next view mostly wants the same
  };
}

function hand(kind, data, id) {
  let value = null;
  try {
    value = data ? JSON.parse(data) : null;
  } catch {
    return;
  }
  for (const l of [...listeners]) {
    if (!l.kinds.has(kind)) continue;
    try {
      l.run({ kind, data: value, id });
    } catch (e) {
      console.error(e); // one view's mistake does not end the stream
    }
  }
}

// A parser of the event stream format (HTML standard, 9.2.6), fed with pieces of text.
function parser(emit) {
  let rest = '';
  let kind = '', data = [], id = null;
  return (piece) => {
    rest += piece;
    for (;;) {
      const at = rest.indexOf('\n');
      if (at < 0) {
        if (rest.length > 8 << 20) rest = '';
        return;
      }
      let line = rest.slice(0, at);
      rest = rest.slice(at + 1);
      if (line.endsWith('\r')) line = line.slice(0, -1);
      if (line === '') {
        if (data.length || kind) emit(kind || 'message', data.join('\n'), id);
        kind = '';
        data = [];
      } else if (!line.startsWith(':')) {
        const colon = line.indexOf(':');
        const name = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
        if (name === 'event') kind = value;
        else if (name === 'data') data.push(value);
        else if (name === 'id') id = value;
      }
    }
  };
}

const SILENCE_MS = 45000; // the server sends a comment at least every 15 s

async function run(kinds, signal) {
  const headers = { Accept: 'text/event-stream' };
  if (last !== null) headers['Last-Event-ID'] = last;
  const reply = await fetch('/api/v1/stream?kinds=' + encodeURIComponent(kinds), { headers, signal, credentials: 'same-origin', cache: 'no-store', redirect: 'error' });
  if (!reply.ok) {
    let detail = '';
    try {
      detail = String((await reply.json()).detail || '').slice(0, 200);
    } catch { /* a proxy's page */ }
    throw new Problem(reply.status, 'The live stream was refused', detail, { retryAfter: Number(reply.headers.get('Retry-After')) || 0 });
  }
  become('open', { seen: Date.now() });
  const feed = parser((kind, data, id) => {
    if (id !== null) last = id;
    hand(kind, data, id);
  });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    let guard;
    const silent = new Promise((_, no) => { guard = setTimeout(() => no(new Problem(0, 'Nothing came for a while', '')), SILENCE_MS); });
    let got;
    try {
      got = await Promise.race([reader.read(), silent]);
    } finally {
      clearTimeout(guard);
    }
    if (got.done) throw new Problem(0, 'The connection was closed', '');
    tries = 0;
    status.seen = Date.now();
    feed(got.value);
  }
}

export function connect(now = false) {
  const kinds = wanted();
  if (!session.user || !kinds || kinds === 'gap') return disconnect('off');
  if (document.visibilityState === 'hidden') return disconnect('paused');
  if (abort && kinds === opened && !now) return undefined;
  if (timer && !now && kinds === opened) return undefined;
  disconnect(null);
  opened = kinds;
  const mine = new AbortController();
  abort = mine;
  if (status.state !== 'lost') become(status.state === 'open' ? 'open' : 'connecting', { seen: status.seen });
  run(kinds.split(',').filter((k) => k !== 'gap').join(','), mine.signal).catch((e) => {
    if (abort !== mine) return; // replaced by another
    mine.abort();
    abort = null;
    if (e.status === 401) return refused();
    tries++;
    const wait = Math.max((e.retryAfter || 0) * 1000, Math.min(30000, 500 * 2 ** Math.min(tries, 6)) * (0.75 + Math.random() / 2));
    become('lost', { retryAt: Date.now() + wait, problem: e });
    timer = setTimeout(() => {
      timer = 0;
      connect(true);
    }, wait);
  });
  return undefined;
}

function disconnect(state) {
  clearTimeout(timer);
  timer = 0;
  const old = abort;
  abort = null;
  if (old) old.abort();
  if (state) become(state, { seen: status.seen });
}
export function forget() {
  last = null;
  disconnect('off');
}

document.addEventListener('visibilitychange', () => connect());
window.addEventListener('online', () => status.state === 'lost' && connect(true));
