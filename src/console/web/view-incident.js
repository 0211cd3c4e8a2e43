// SPDX-License-Identifier: Apache-2.0
// One incident: the story, what to do now, who does what, and what was done.
import { h, icon, replace } from './dom.js';
import { get, may, post, seg, session, url } from './api.js';
import { ACTIONS, actionBar, openException } from './actions.js';
import { graph } from './graph.js';
import { listen } from './stream.js';
import { duration, parse, when } from './time.js';
import { button, dialog, done, empty, facts, field, form, input, into, loading, page, panel, problemBox, say, table, tabs } from './ui.js';
import { cap, code, containerLink, imageLink, number, plural, sentence, severity, shorten, state, tag } from './words.js';
import { auditTable } from './view-audit.js';

const KIND_ICON = { event: 'process', alert: 'incidents', action: 'shield', comment: 'comment', state: 'check' };
const NODE_ICON = { image: 'images', container: 'box', process: 'process', file: 'file', address: 'world', alert: 'incidents', vulnerability: 'bug' };
const technique = (id) => /^T[0-9]{4}(\.[0-9]{3})?$/.test(id) ? h('a', { class: 'tag mono', href: 'https://attack.mitre.org/techniques/' + id.replace('.', '/') + '/', target: '_blank', rel: 'noreferrer noopener' }, id) : tag(id, 'mono');

// ---- pictures of the document ----
function timeline(doc) {
  const list = doc.timeline || [];
  if (!list.length) return empty('Nothing is recorded yet.');
  let before = NaN;
  return [doc.timeline_dropped ? h('p', { class: 'muted' }, `${plural(doc.timeline_dropped, 'entry', 'entries')} had no room.`) : null,
    h('ol', { class: 'timeline' }, list.map((e) => {
      const at = parse(e.time);
      const gap = at - before;
      before = at;
      return h('li', { class: 't-' + (KIND_ICON[e.kind] ? e.kind : 'event') }, h('span', { class: 't-mark', 'aria-hidden': 'true' }, icon(KIND_ICON[e.kind] || 'process')),
        h('div', { class: 't-body' }, h('div', { class: 't-meta muted small' }, h('span', { class: 't-kind' }, cap(e.kind)), when(e.time, 'time'), gap >= 1000 ? h('span', {}, `+${duration(gap)}`) : null, e.by ? h('span', {}, 'by ', e.by) : null), h('div', { class: 't-text' }, shorten(e.text, 4000))));
    }))];
}

function picture(doc) {
  const g = doc.graph || { nodes: [], edges: [] };
  if (!g.nodes.length) return empty('No graph yet.');
  const name = new Map(g.nodes.map((n) => [n.id, n.label]));
  const nodes = g.nodes.map((n) => ({
    id: n.id, kind: n.kind, icon: NODE_ICON[n.kind] || 'more', name: n.label, severity: n.severity,
    sub: { container: n.image, process: n.command || n.exe, vulnerability: n.package ? n.package + (n.in_use ? ', in use' : '') : '', file: n.sha256 ? n.sha256.slice(0, 12) : 'file', image: 'image', address: n.name || 'address', alert: n.severity }[n.kind],
    told: `${cap(n.kind)} ${n.label}${n.command ? ', ' + shorten(n.command, 200) : ''}${n.image ? ', image ' + n.image : ''}${n.package ? `, ${n.package}${n.in_use ? ', in use' : ''}` : ''}`,
    href: n.kind === 'container' ? '/containers/' + seg(n.ref.replace(/^c:/, '')) : n.kind === 'image' && n.image_digest ? '/images/' + seg(n.image_digest) : null,
  }));
  const edges = g.edges.map((e) => ({ from: e.from, to: e.to, label: e.kind + (e.count > 1 ? ` ×${number(e.count)}` : ''), told: `${name.get(e.from)} ${e.kind} ${name.get(e.to)}`, cls: 'e-' + e.kind }));
  return [g.dropped ? h('p', { class: 'muted' }, `${plural(g.dropped, 'more part')} had no room in the graph.`) : null,
    graph('Graph of the incident', nodes, edges),
    h('details', { class: 'as-table' }, h('summary', {}, 'As a table'), table('Graph of the incident', [{ title: 'From', cell: (e) => shorten(name.get(e.from), 200) }, { title: 'What', cell: (e) => e.kind }, { title: 'To', cell: (e) => shorten(name.get(e.to), 200) }, { title: 'Times', num: true, cell: (e) => number(e.count) }, { title: 'First', cell: (e) => when(e.first, 'time') }, { title: 'Last', cell: (e) => when(e.last, 'time') }], g.edges))];
}

const chain = (doc) => ((doc.chain || []).length ? h('ol', { class: 'chain' }, doc.chain.map((c) => h('li', {}, h('span', { class: 'chain-mark', 'aria-hidden': 'true' }), h('div', {}, h('strong', {}, c.title || c.tactic), h('span', { class: 'muted small' }, ' since ', when(c.first, 'time')), h('div', { class: 'tags' }, c.techniques.map(technique)))))) : h('p', { class: 'muted' }, 'No technique is known of its rules.'));

function rules(doc) {
  return h('ul', { class: 'plain-list' }, doc.rules.map((r) => h('li', {}, h('div', { class: 'between' }, h('span', { class: 'row-gap' }, severity(r.severity), h('a', { href: '/rules/' + seg(r.rule) }, r.rule)), h('strong', { class: 'num' }, `×${number(r.count)}`)), r.what ? h('p', { class: 'muted small' }, r.what) : null)),
    doc.rules_dropped ? h('li', { class: 'muted' }, `${plural(doc.rules_dropped, 'more rule')} had no room.`) : null);
}

// ---- the view ----
export function view(ctx) {
  const id = ctx.params.id;
  let doc = null;
  const path = '/incidents/' + seg(id);
  const head = h('div', { class: 'incident-head' });
  const body = h('div', {}, loading(8));
  const parts = [];

  // A part of the page that follows a part of the document; drawn again only when that changed, with the focus kept.
  function part(pick, make, node = h('div', {})) {
    parts.push({ pick, make, node, was: undefined });
    return node;
  }
  function show(fresh) {
    doc = fresh;
    for (const p of parts) {
      const now = JSON.stringify(p.pick(doc));
      if (now === p.was) continue;
      p.was = now;
      const key = p.node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      replace(p.node, p.make(doc));
      if (key) (p.node.querySelector(`[data-key="${CSS.escape(key)}"]`) || p.node.querySelector('button'))?.focus({ preventScroll: true });
    }
    const h1 = document.querySelector('main h1');
    if (h1 && h1.textContent !== doc.title) {
      replace(h1, shorten(doc.title, 400));
      ctx.title(h1.textContent);
    }
  }

  async function change(verb, more = {}, words) {
    const fresh = await post(path + '/changes', { verb, ...more });
    if (!ctx.alive()) return;
    show(fresh);
    if (words) done(words);
    trail.stale = true;
  }
  const trail = { stale: false };
  const quick = (verb, more, words) => async (e) => {
    const b = e.currentTarget;
    b.setAttribute('aria-disabled', 'true');
    try {
      await change(verb, more, words);
    } catch (err) {
      dialog('That did not work', problemBox(err));
      refresh();
    } finally {
      b.removeAttribute('aria-disabled');
    }
  };

  function resolveDialog() {
    const choices = [['true', 'It was real', 'An attack or a mistake that was dealt with.'], ['benign', 'It was benign', 'Wanted behaviour. The same does not open it again while the rules stay.'], ['test', 'It was a test', 'Somebody tried whether it is noticed.']];
    const note = h('textarea', { rows: 3, maxlength: 2000 });
    const f = form({}, async (node) => {
      const text = new FormData(node).get('why');
      await change('resolve', note.value.trim() ? { text, note: note.value.trim() } : { text }, 'Resolved');
      box.close();
    }, h('fieldset', { class: 'choices' }, h('legend', {}, 'Why?'), choices.map(([v, title, sub], i) => h('label', { class: 'choice' }, h('input', { type: 'radio', name: 'why', value: v, required: true, checked: i === 0 }), h('span', {}, h('strong', {}, title), h('span', { class: 'muted small' }, sub))))),
    field('A note for those who meet it again', note), h('div', { class: 'form-actions' }, button('Resolve', { kind: 'primary', type: 'submit', icon: 'check' })));
    const box = dialog('Resolve the incident', f);
  }
  function linkDialog() {
    const title = input({ required: true, maxlength: 200 });
    const to = input({ type: 'url', required: true, maxlength: 2000, placeholder: 'https://', pattern: 'https?://.+' });
    const f = form({}, async () => {
      await change('link', { text: title.value.trim(), target: to.value.trim() }, 'The link is added');
      box.close();
    }, field('What it is', title), field('Address', to), h('div', { class: 'form-actions' }, button('Add', { kind: 'primary', type: 'submit' })));
    const box = dialog('Add a link', f);
    title.focus();
  }
  function assignDialog() {
    const name = input({ maxlength: 200, value: doc.assignee || session.user });
    const f = form({}, async () => {
      await change('assign', { text: name.value.trim() }, name.value.trim() ? `Assigned to ${name.value.trim()}` : 'Assigned to nobody');
      box.close();
    }, field('Who works on it', name, { hint: 'Empty: nobody.' }), h('div', { class: 'form-actions' }, button('Assign', { kind: 'primary', type: 'submit' })));
    const box = dialog('Assign the incident', f);
    name.select();
  }

  const buttons = (d) => {
    const can = may('responder');
    const off = { disabled: !can, title: can ? undefined : 'Needs the role responder' };
    const resolved = d.state === 'resolved';
    return [
      !resolved && d.state === 'open' ? button('Acknowledge', { icon: 'check', kind: 'primary', on: quick('ack', {}, 'Acknowledged'), 'data-key': 'ack', ...off }) : null,
      !resolved && d.assignee !== session.user ? button('Assign to me', { icon: 'person', on: quick('assign', { text: 'me' }, 'Assigned to you'), 'data-key': 'me', ...off }) : null,
      !resolved ? button('Assign …', { on: assignDialog, 'data-key': 'assign', ...off }) : null,
      !resolved ? button('Resolve …', { kind: d.state === 'open' ? '' : 'primary', on: resolveDialog, 'data-key': 'resolve', ...off }) : null,
      resolved ? button('Reopen', { icon: 'incidents', on: quick('reopen', {}, 'Open again'), 'data-key': 'reopen', ...off }) : null,
      button('Link …', { icon: 'link', on: linkDialog, 'data-key': 'link', ...off }),
      h('details', { class: 'menu' }, h('summary', { class: 'button', 'data-key': 'export' }, icon('download'), h('span', {}, 'Export')), h('ul', {}, [['html', 'Web page'], ['markdown', 'Markdown'], ['json', 'JSON'], ['stix', 'STIX 2.1']].map(([f, t]) => h('li', {}, h('a', { href: url(path + '/export', { format: f }), download: true }, t))))),
    ];
  };

  const comment = h('textarea', { rows: 2, maxlength: 2000, placeholder: 'What did you find? What did you do?', required: true });
  const commentForm = form({ class: 'comment-form' }, async () => {
    await change('comment', { text: comment.value.trim() }, 'Comment added');
    comment.value = '';
  }, field('Comment', comment), h('div', { class: 'form-actions' }, button('Add comment', { type: 'submit', kind: 'primary', disabled: !may('responder') })));
  comment.addEventListener('keydown', (e) => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) commentForm.requestSubmit();
  });

  function alertsTab() {
    const slot = h('div', {}, loading(3));
    const list = h('ul', { class: 'alert-list' });
    let cursor = null;
    const moreButton = button('Show more', { on: () => load() });
    const line = (a) => {
      const c = a.event?.container || a.container;
      const s = a.event ? sentence(a.event) : null;
      return h('li', {}, h('div', { class: 'between' }, h('span', { class: 'row-gap' }, severity(a.severity), h('strong', {}, a.rule), a.count > 1 ? tag('×' + number(a.count)) : null), when(a.time, 'full')), h('p', {}, shorten(a.summary, 2000)),
        h('details', {}, h('summary', {}, 'Why, and what was before'),
          a.why?.length ? table('Which parts of the rule matched', [{ title: 'Clause', cell: (w) => code(w.clause) }, { title: 'Value', cell: (w) => code(w.value ?? '') }], a.why) : null,
          a.before?.length ? h('pre', { tabindex: 0 }, shorten(a.before.join('\n'), 20000)) : null,
          facts([['Container', c ? containerLink(c) : null], ['Event', s ? code([s.who, s.verb, s.what].join(' ')) : null], ['Benign when', a.benign], ['Alert', code(a.id)]]),
          may('administrator') ? button('Make an exception …', { icon: 'rules', on: () => openException(a.rule, a.id, { incident: id, onDone: refresh }) }) : null));
    };
    async function load() {
      try {
        const r = await get(path + '/alerts', { limit: 50, cursor }, { signal: ctx.signal });
        if (!ctx.alive()) return;
        cursor = r.next;
        list.append(...r.items.map(line));
        replace(slot, list.children.length ? [list, cursor ? moreButton : null] : empty('No alert of it is kept any more.', 'Retention removed them, or they were too many.'));
      } catch (e) {
        if (e.name !== 'AbortError') slot.append(problemBox(e, load));
      }
    }
    load();
    return slot;
  }
  function auditTab() {
    const slot = h('div', {}, loading(3));
    into(ctx, slot, () => get(path + '/audit', { limit: 500 }, { signal: ctx.signal }), (r) => (r.items.length ? auditTable(r.items, { target: false }) : empty('Nobody changed it yet.')));
    return slot;
  }

  let set = null;
  function build() {
    set = tabs(ctx, 'The story', [
      { name: 'story', title: 'Time line', make: () => part((d) => d.timeline, timeline) },
      { name: 'graph', title: 'Graph', make: () => part((d) => d.graph, picture) },
      { name: 'alerts', title: 'Alerts', make: alertsTab },
      { name: 'audit', title: 'Audit trail', make: auditTab },
    ]);
    // a part made by a tab after the document came is drawn at once
    const redraw = () => doc && show(doc);
    set.node.querySelector('.tabs').addEventListener('click', redraw);
    set.node.querySelector('.tabs').addEventListener('keyup', redraw);
    replace(body, h('div', { class: 'columns incident-columns' },
      h('div', { class: 'stack-gap' },
        part((d) => [d.summary, d.merged_into], (d) => panel('Summary', {}, h('p', { class: 'summary' }, d.summary), d.merged_into ? h('p', {}, 'It became part of ', h('a', { href: '/incidents/' + seg(d.merged_into) }, d.merged_into), '.') : null)),
        part((d) => d.advice, (d) => panel('What to do now', { cls: 'advice' }, d.advice.length ? h('ol', {}, d.advice.map((a) => h('li', {}, a))) : h('p', { class: 'muted' }, 'Its rules give no advice.'))),
        part((d) => [d.containers, d.containers_dropped], (d) => panel('Containers', { extra: h('span', { class: 'muted' }, number(d.containers.length + (d.containers_dropped || 0))) }, d.containers.length ? h('ul', { class: 'plain-list' }, d.containers.map((c) => h('li', {}, h('div', { class: 'between wrap' }, h('span', { class: 'row-gap' }, containerLink(c), c.image ? imageLink(c.image, c.image_digest) : null), c.reached_from ? h('span', { class: 'muted small' }, 'reached from ', c.reached_from) : null), actionBar(c, { incident: id, small: true, only: ['freeze', 'isolate', 'snapshot', 'kill', 'release'], onDone: refresh })))) : h('p', { class: 'muted' }, 'It happened on the host.'))),
        set.node),
      h('div', { class: 'stack-gap' },
        panel('Discussion', { id: 'discussion' }, part((d) => d.comments, (d) => (d.comments.length ? h('ul', { class: 'comments' }, d.comments.map((c) => h('li', {}, h('div', { class: 'comment-meta' }, h('strong', {}, c.by), h('span', { class: 'muted small' }, 'via ', c.via, ' · ', when(c.time))), h('div', { class: 'comment-text' }, c.text)))) : h('p', { class: 'muted' }, 'Nobody wrote anything yet. Comments reach the chat thread, the ticket and the mail of this incident.'))), may('responder') ? commentForm : h('p', { class: 'muted' }, 'Writing needs the role responder.')),
        part((d) => d.chain, (d) => panel('MITRE ATT&CK', {}, chain(d))),
        part((d) => [d.rules, d.rules_dropped], (d) => panel('Rules', { extra: h('span', { class: 'muted' }, plural(d.alerts, 'alert')) }, rules(d))),
        part((d) => d.actions, (d) => panel('Actions', {}, d.actions.length ? h('ul', { class: 'plain-list' }, d.actions.map((a) => h('li', {}, h('div', { class: 'between' }, h('span', { class: 'row-gap' }, icon(ACTIONS[a.action]?.icon || 'shield'), h('strong', {}, ACTIONS[a.action]?.text || cap(a.action)), a.target), when(a.time)), h('p', { class: 'muted small' }, 'by ', a.by, ': ', a.result)))) : h('p', { class: 'muted' }, 'Nothing was done to its containers.'))),
        part((d) => [d.links, d.exceptions, d.evidence], (d) => panel('Links, evidence, exceptions', {},
          d.links.length || d.evidence.length || d.exceptions.length ? [
            d.links.length ? h('ul', { class: 'plain-list' }, d.links.map((l) => h('li', {}, h('a', { href: l.url, target: '_blank', rel: 'noreferrer noopener', title: l.url }, icon('link'), l.title), h('span', { class: 'muted small' }, ' ', shorten(l.url, 90))))) : null,
            d.evidence.length ? h('ul', { class: 'plain-list' }, d.evidence.map((e) => h('li', {}, h('strong', {}, e.name), h('p', { class: 'small' }, code(e.path)), h('p', { class: 'muted small' }, 'SHA-256 ', code(e.sha256))))) : null,
            d.exceptions.length ? h('ul', { class: 'plain-list' }, d.exceptions.map((e) => h('li', {}, icon('rules'), ' ', e))) : null] : h('p', { class: 'muted' }, 'None yet.'))))));
    set.count('alerts', number(doc.alerts));
  }

  part((d) => [d.state, d.resolution, d.severity, d.assignee, d.acknowledged_by, d.alerts, d.first_alert, d.last_alert, d.hosts, d.reopened, session.role], (d) => [
    h('div', { class: 'row-gap wrap' }, severity(d.severity), state(d.state, d.resolution), d.reopened ? tag(`reopened ${d.reopened === 1 ? 'once' : d.reopened + ' times'}`) : null, h('span', { class: 'muted' }, d.assignee ? ['assigned to ', h('strong', {}, d.assignee)] : 'assigned to nobody', d.acknowledged_by ? `, acknowledged by ${d.acknowledged_by}` : ''),
      h('span', { class: 'muted' }, plural(d.alerts, 'alert'), ', first ', when(d.first_alert, 'short'), ', last ', when(d.last_alert), d.hosts?.length ? ` on ${d.hosts.slice(0, 3).join(', ')}` : '')),
    h('div', { class: 'action-bar', role: 'group', 'aria-label': 'The incident' }, buttons(d))], head);

  async function refresh() {
    try {
      const fresh = await get(path, null, { signal: ctx.signal });
      if (!ctx.alive()) return;
      const first = !doc;
      doc = fresh;
      if (first) build();
      const before = set.count && doc.alerts;
      show(fresh);
      set.count('alerts', number(before));
      if (trail.stale && set.current() === 'audit') set.again();
      trail.stale = false;
    } catch (e) {
      if (e.name !== 'AbortError' && !doc) replace(body, problemBox(e, refresh));
    }
  }
  let pending = 0;
  ctx.onLeave(listen(['incident'], ({ kind, data }) => {
    if (kind !== 'gap' && data?.id !== id) return;
    if (kind !== 'gap' && doc && data.revision && data.revision <= doc.revision) return;
    if (kind !== 'gap' && doc && data.state !== doc.state) say(`This incident is now ${data.state}`);
    trail.stale = true;
    pending ||= setTimeout(() => {
      pending = 0;
      refresh();
    }, 250);
  }));
  window.addEventListener('holdfast:again', refresh);
  ctx.onLeave(() => window.removeEventListener('holdfast:again', refresh));
  ctx.onQuery((q) => set?.choose(q.tab, false));
  refresh();
  return page(id, { crumbs: [h('a', { href: '/incidents' }, 'Incidents'), icon('chevron'), h('span', { class: 'mono' }, id)] }, head, body);
}
