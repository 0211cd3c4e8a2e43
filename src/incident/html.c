// SPDX-License-Identifier: Apache-2.0
/* One page that says everything, for a ticket, a mail, a drawer: nothing from outside, no scripts, light and dark, prints. */
#include <stdio.h>

#include "incident/incident-internal.h"

enum { NODE_W = 178, NODE_H = 30, GAP_X = 90, GAP_Y = 12, LAYERS_MAX = 14 };

static void esc(struct hf_buf *b, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '<':
            hf_buf_addz(b, "&lt;");
            break;
        case '>':
            hf_buf_addz(b, "&gt;");
            break;
        case '&':
            hf_buf_addz(b, "&amp;");
            break;
        case '"':
            hf_buf_addz(b, "&quot;");
            break;
        case '\'':
            hf_buf_addz(b, "&#39;");
            break;
        default:
            if ((unsigned char)*s >= 32 || *s == '\n')
                hf_buf_addc(b, *s);
        }
}

/* Documents can come from elsewhere than the correlator: made safe again. */
static void text(struct hf_buf *b, const char *s)
{
    hf_autobuf safe = HF_BUF_INIT(HF_INC_MAX * 4);
    struct hf_span rest = hf_span_z(s), line;
    for (bool more = false; hf_span_line(&rest, &line); more = true) {
        hf_buf_clear(&safe);
        if (more)
            hf_buf_addc(b, '\n');
        hf_buf_add_escaped(&safe, line, 0);
        esc(b, hf_buf_z(&safe));
    }
}

static void tag(struct hf_buf *b, const char *open, const char *s, const char *close)
{
    hf_buf_addz(b, open);
    text(b, s);
    hf_buf_addz(b, close);
}

static const char style[] =
        "<style>:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;--line:#d1d9e0;--card:#f6f8fa;--critical:#b3001b;--high:#b54708;--medium:#8a6100;--low:#0b5cad;--box:#e7f0fb;--proc:#eef7ee;--file:#f7f1e3;"
        "--addr:#f3ebfa;--alrt:#fde8e8}@media(prefers-color-scheme:dark){:root{--bg:#0f1318;--fg:#e3e8ee;--dim:#9aa5b1;--line:#343c45;--card:#181e25;--critical:#ff7b86;--high:#f5a35c;--medium:#e3c15a;--low:#79b8ff;--box:#16283d;"
        "--proc:#17301d;--file:#33290f;--addr:#2b1d3a;--alrt:#421a1f}}*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;background:var(--bg);color:var(--fg);margin:0 auto;max-width:72rem;padding:1.5rem;"
        "overflow-wrap:anywhere}h1{font-size:1.5rem;line-height:1.25;margin:.2rem 0}h2{font-size:1.1rem;margin:1.8rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}.dim{color:var(--dim)}"
        ".sev{display:inline-block;border:1.5px solid currentColor;border-radius:1rem;padding:0 .7rem;font-weight:600}.critical{color:var(--critical)}.high{color:var(--high)}.medium{color:var(--medium)}"
        ".low,.notice,.info,.debug{color:var(--low)}.lead{font-size:1.05rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem}table{border-collapse:collapse;width:100%}"
        "th,td{text-align:left;vertical-align:top;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line)}th{color:var(--dim);font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
        "td.t{white-space:nowrap;font-variant-numeric:tabular-nums}code{font:13px ui-monospace,monospace}ol.chain{list-style:none;display:flex;flex-wrap:wrap;gap:.5rem;padding:0}ol.chain li{background:var(--card);"
        "border:1px solid var(--line);border-radius:.5rem;padding:.3rem .7rem}ol.chain small{display:block;color:var(--dim)}.graph{overflow-x:auto;border:1px solid var(--line);border-radius:.5rem}svg{display:block}"
        "svg text{font:12px system-ui,sans-serif;fill:var(--fg)}svg .e{stroke:var(--dim);fill:none}svg .k{fill:var(--dim);font-size:10px}svg rect{stroke:var(--line)}.container,.image{fill:var(--box)}.process{fill:var(--proc)}"
        ".file{fill:var(--file)}.address{fill:var(--addr)}.alert,.vulnerability{fill:var(--alrt)}tr.alert td{background:var(--alrt)}pre{white-space:pre-wrap;font:inherit;margin:.2rem 0}"
        "@media print{body{max-width:none;padding:0;font-size:11px}.graph{overflow:visible;border:0}svg{width:100%;height:auto}h2{break-after:avoid}tr,li{break-inside:avoid}}</style>";

/* ---- the graph ---- */

struct place {
    const cJSON *node;
    unsigned layer, row;
};
struct drawing {
    struct place p[HF_INC_NODES_MAX];
    unsigned n, rows[LAYERS_MAX], layers, most;
};

static int at(const struct drawing *d, const char *id)
{
    for (unsigned i = 0; i < d->n; i++)
        if (!strcmp(hf_inc_z(d->p[i].node, "id"), id))
            return (int)i;
    return -1;
}

/* Edges that lead back into where the search came from are left out of the layers, else a circle would push everything to the right. */
static void search_back(const struct drawing *d, const cJSON *edges, unsigned node, uint8_t *state, const cJSON **back, unsigned *n_back)
{
    state[node] = 1; /* on the way */
    for (const cJSON *e = edges ? edges->child : NULL; e; e = e->next) {
        int to = strcmp(hf_inc_z(e, "from"), hf_inc_z(d->p[node].node, "id")) ? -1 : at(d, hf_inc_z(e, "to"));
        if (to >= 0 && state[to] == 1 && *n_back < HF_INC_EDGES_MAX)
            back[(*n_back)++] = e;
        else if (to >= 0 && !state[to])
            search_back(d, edges, (unsigned)to, state, back, n_back);
    }
    state[node] = 2;
}

static void layered(struct drawing *d, const cJSON *edges)
{
    uint8_t state[HF_INC_NODES_MAX] = {0};
    const cJSON *back[HF_INC_EDGES_MAX];
    unsigned n_back = 0;
    for (unsigned i = 0; i < d->n; i++)
        if (!state[i])
            search_back(d, edges, i, state, back, &n_back);
    for (unsigned round = 0; round < LAYERS_MAX; round++)
        for (const cJSON *e = edges ? edges->child : NULL; e; e = e->next) {
            int a = at(d, hf_inc_z(e, "from")), b = at(d, hf_inc_z(e, "to"));
            bool is_back = false;
            for (unsigned k = 0; k < n_back && !is_back; k++)
                is_back = back[k] == e;
            if (!is_back && a >= 0 && b >= 0 && d->p[b].layer <= d->p[a].layer && d->p[a].layer + 1 < LAYERS_MAX)
                d->p[b].layer = d->p[a].layer + 1;
        }
}

/* Every node right of those it follows from, rows near their predecessors'. */
static void lay_out(struct drawing *d, const cJSON *nodes, const cJSON *edges)
{
    static const char *const kinds[] = {"address", "container", "process", "alert", "file", "image", "vulnerability"};
    for (size_t k = 0; k < HF_ARRAY_LEN(kinds); k++) /* of one kind one below the other */
        for (const cJSON *n = nodes ? nodes->child : NULL; n && d->n < HF_INC_NODES_MAX; n = n->next)
            if (!strcmp(hf_inc_z(n, "kind"), kinds[k]))
                d->p[d->n++].node = n;
    layered(d, edges);
    for (unsigned layer = 0; layer < LAYERS_MAX; layer++) {
        unsigned want[HF_INC_NODES_MAX], of[HF_INC_NODES_MAX], n = 0;
        for (unsigned i = 0; i < d->n; i++) {
            unsigned sum = 0, from = 0;
            if (d->p[i].layer != layer)
                continue;
            for (const cJSON *e = edges ? edges->child : NULL; e; e = e->next) {
                int a = strcmp(hf_inc_z(e, "to"), hf_inc_z(d->p[i].node, "id")) ? -1 : at(d, hf_inc_z(e, "from"));
                if (a >= 0 && d->p[a].layer < layer) {
                    sum += d->p[a].row * 100;
                    from++;
                }
            }
            unsigned w = from ? sum / from : 100 * n, k = n++;
            for (; k && want[k - 1] > w; k--) {
                want[k] = want[k - 1];
                of[k] = of[k - 1];
            }
            want[k] = w;
            of[k] = i;
        }
        for (unsigned k = 0; k < n; k++)
            d->p[of[k]].row = k;
        d->rows[layer] = n;
        d->most = HF_MAX(d->most, n);
        d->layers = n ? layer + 1 : d->layers;
    }
}

static unsigned x_of(const struct place *p)
{
    return 12 + p->layer * (NODE_W + GAP_X);
}

static unsigned y_of(const struct drawing *d, const struct place *p)
{
    return 12 + (d->most - d->rows[p->layer]) * (NODE_H + GAP_Y) / 2 + p->row * (NODE_H + GAP_Y);
}

static void draw_edge(struct hf_buf *b, const struct drawing *d, const cJSON *e)
{
    int a = at(d, hf_inc_z(e, "from")), z = at(d, hf_inc_z(e, "to"));
    if (a < 0 || z < 0)
        return;
    int x1 = (int)x_of(&d->p[a]) + NODE_W, y1 = (int)y_of(d, &d->p[a]) + NODE_H / 2, x2 = (int)x_of(&d->p[z]), y2 = (int)y_of(d, &d->p[z]) + NODE_H / 2;
    if (d->p[z].layer <= d->p[a].layer) /* backwards: along below */
        hf_buf_addf(b, "<path class=\"e\" marker-end=\"url(#a)\" d=\"M%d %d C%d %d %d %d %d %d\"><title>", x1, y1, x1 + 50, y1 + 60, x2 - 50, y2 + 60, x2, y2);
    else
        hf_buf_addf(b, "<path class=\"e\" marker-end=\"url(#a)\" d=\"M%d %d C%d %d %d %d %d %d\"><title>", x1, y1, x1 + GAP_X / 2, y1, x2 - GAP_X / 2, y2, x2, y2);
    text(b, hf_inc_z(e, "kind"));
    hf_buf_addf(b, ", %llu times, ", (unsigned long long)hf_inc_num(e, "count"));
    text(b, hf_inc_z(e, "first"));
    hf_buf_addz(b, "</title></path>");
    if (d->p[z].layer > d->p[a].layer) {
        hf_buf_addf(b, "<text class=\"k\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">", (x1 + x2) / 2, (y1 + y2) / 2 - 3);
        text(b, hf_inc_z(e, "kind"));
        hf_buf_addz(b, "</text>");
    }
}

static void draw_node(struct hf_buf *b, const struct drawing *d, const struct place *p)
{
    static const char *const extra[] = {"command", "exe", "image_digest", "sha256", "name", "package", "severity"};
    hf_autobuf label = HF_BUF_INIT(4096);
    unsigned x = x_of(p), y = y_of(d, p);
    const char *kind = hf_inc_z(p->node, "kind");
    hf_buf_addf(b, "<g><title>%s ", kind); /* one of ours: lay_out takes no other */
    text(b, hf_inc_z(p->node, "label"));
    for (size_t k = 0; k < HF_ARRAY_LEN(extra); k++)
        if (*hf_inc_z(p->node, extra[k]))
            tag(b, "\n", hf_inc_z(p->node, extra[k]), "");
    hf_buf_addf(b, "</title><rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" rx=\"6\"/><text x=\"%u\" y=\"%u\">", kind, x, y, NODE_W, NODE_H, x + 9, y + 19);
    hf_buf_add_escaped(&label, hf_span_z(hf_inc_z(p->node, "label")), 26);
    esc(b, hf_buf_z(&label));
    hf_buf_addz(b, "</text></g>");
}

static void draw(struct hf_buf *b, const struct hf_inc *i)
{
    const cJSON *g = cJSON_GetObjectItemCaseSensitive(i->root, "graph"), *edges = cJSON_GetObjectItemCaseSensitive(g, "edges");
    struct drawing *d = calloc(1, sizeof *d);
    if (!d)
        return;
    lay_out(d, cJSON_GetObjectItemCaseSensitive(g, "nodes"), edges);
    unsigned w = 24 + d->layers * (NODE_W + GAP_X) - GAP_X, h = 24 + d->most * (NODE_H + GAP_Y) + 20;
    if (d->n) {
        hf_buf_addf(b,
                "<h2>What touched what</h2><div class=\"graph\"><svg role=\"img\" aria-label=\"Graph of the incident\" xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" viewBox=\"0 0 %u %u\"><defs><marker id=\"a\" "
                "viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" fill=\"gray\"/></marker></defs>",
                w, h, w, h);
        for (const cJSON *e = edges ? edges->child : NULL; e; e = e->next)
            draw_edge(b, d, e);
        for (unsigned k = 0; k < d->n; k++)
            draw_node(b, d, &d->p[k]);
        hf_buf_addz(b, "</svg></div>");
    }
    if (hf_inc_num(g, "dropped"))
        hf_buf_addf(b, "<p class=\"dim\">%llu more had no room in the graph.</p>", (unsigned long long)hf_inc_num(g, "dropped"));
    free(d);
}

/* ---- the rest ---- */

static const cJSON *first(const struct hf_inc *i, const char *list)
{
    const cJSON *l = hf_inc_array(i, list);
    return l ? l->child : NULL;
}

static void head(struct hf_buf *b, const struct hf_inc *i)
{
    const char *severity = hf_inc_severity(hf_inc_z(i->root, "severity")) < 0 ? "info" : hf_inc_z(i->root, "severity");
    hf_buf_addz(b, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                   "style-src 'unsafe-inline'\"><meta name=\"referrer\" content=\"no-referrer\"><title>");
    text(b, hf_inc_z(i->root, "id"));
    tag(b, ": ", hf_inc_z(i->root, "title"), "</title>");
    hf_buf_addz(b, style);
    hf_buf_addf(b, "</head><body><header><p class=\"dim\"><span class=\"sev %s\">%s</span> ", severity, severity);
    text(b, hf_inc_z(i->root, "id"));
    tag(b, " &middot; ", hf_inc_z(i->root, "state"), "");
    if (*hf_inc_z(i->root, "resolution"))
        tag(b, " as ", hf_inc_z(i->root, "resolution"), "");
    if (*hf_inc_z(i->root, "assignee"))
        tag(b, " &middot; assigned to ", hf_inc_z(i->root, "assignee"), "");
    if (*hf_inc_z(i->root, "acknowledged_by"))
        tag(b, " &middot; acknowledged by ", hf_inc_z(i->root, "acknowledged_by"), "");
    tag(b, "</p><h1>", hf_inc_z(i->root, "title"), "</h1>");
    tag(b, "<p class=\"dim\">", hf_inc_z(i->root, "first_alert"), "");
    tag(b, " to ", hf_inc_z(i->root, "last_alert"), "");
    hf_buf_addf(b, " &middot; %llu alerts", (unsigned long long)hf_inc_num(i->root, "alerts"));
    for (const cJSON *h = first(i, "hosts"); h; h = h->next)
        if (cJSON_IsString(h))
            tag(b, " &middot; ", h->valuestring, "");
    tag(b, "</p></header><p class=\"lead\">", hf_inc_z(i->root, "summary"), "</p>");
}

static void advice_and_chain(struct hf_buf *b, const struct hf_inc *i)
{
    if (first(i, "advice"))
        hf_buf_addz(b, "<h2>What to do now</h2><ol>");
    for (const cJSON *a = first(i, "advice"); a; a = a->next)
        if (cJSON_IsString(a))
            tag(b, "<li>", a->valuestring, "</li>");
    hf_buf_addz(b, first(i, "advice") ? "</ol>" : "");
    if (first(i, "chain"))
        hf_buf_addz(b, "<h2>MITRE ATT&amp;CK</h2><ol class=\"chain\">");
    for (const cJSON *c = first(i, "chain"); c; c = c->next) {
        const cJSON *t = cJSON_GetObjectItemCaseSensitive(c, "techniques");
        tag(b, "<li>", hf_inc_z(c, "title"), "<small>");
        for (t = t ? t->child : NULL; t; t = t->next)
            if (cJSON_IsString(t))
                tag(b, "", t->valuestring, t->next ? ", " : "");
        hf_buf_addz(b, "</small></li>");
    }
    hf_buf_addz(b, first(i, "chain") ? "</ol>" : "");
}

static void tables(struct hf_buf *b, const struct hf_inc *i)
{
    if (first(i, "containers"))
        hf_buf_addz(b, "<h2>Containers</h2><table><tr><th>Name<th>Image<th>Reached from<th>Id</tr>");
    for (const cJSON *c = first(i, "containers"); c; c = c->next) {
        tag(b, "<tr><td>", hf_inc_z(c, "name"), "<td>");
        text(b, hf_inc_z(c, "image"));
        tag(b, "<br><code class=\"dim\">", hf_inc_z(c, "image_digest"), "</code><td>");
        text(b, hf_inc_z(c, "reached_from"));
        tag(b, "<td><code>", hf_inc_z(c, "id"), "</code></tr>");
    }
    hf_buf_addz(b, first(i, "containers") ? "</table>" : "");
    if (first(i, "rules"))
        hf_buf_addz(b, "<h2>Rules</h2><table><tr><th>Severity<th>Rule<th class=\"n\">Count<th>First</tr>");
    for (const cJSON *r = first(i, "rules"); r; r = r->next) {
        int s = hf_inc_severity(hf_inc_z(r, "severity"));
        hf_buf_addf(b, "<tr><td class=\"%s\">", s < 0 ? "info" : hf_inc_z(r, "severity"));
        tag(b, "", hf_inc_z(r, "severity"), "<td>");
        text(b, hf_inc_z(r, "rule"));
        tag(b, "<br><span class=\"dim\">", hf_inc_z(r, "what"), "</span>");
        hf_buf_addf(b, "<td class=\"n\">%llu<td class=\"t\">", (unsigned long long)hf_inc_num(r, "count"));
        tag(b, "", hf_inc_z(r, "first"), "</tr>");
    }
    hf_buf_addz(b, first(i, "rules") ? "</table>" : "");
}

static void story(struct hf_buf *b, const struct hf_inc *i)
{
    hf_buf_addz(b, "<h2>What happened when</h2><table><tr><th>Time<th>What<th>Who</tr>");
    for (const cJSON *e = first(i, "timeline"); e; e = e->next) {
        hf_buf_addz(b, strcmp(hf_inc_z(e, "kind"), "alert") ? "<tr><td class=\"t\">" : "<tr class=\"alert\"><td class=\"t\">");
        text(b, hf_inc_z(e, "time"));
        tag(b, "<td>", hf_inc_z(e, "text"), "<td>");
        tag(b, "", hf_inc_z(e, "by"), "</tr>");
    }
    hf_buf_addz(b, "</table>");
    if (hf_inc_num(i->root, "timeline_dropped"))
        hf_buf_addf(b, "<p class=\"dim\">%llu older lines were left out.</p>", (unsigned long long)hf_inc_num(i->root, "timeline_dropped"));
    if (first(i, "comments"))
        hf_buf_addz(b, "<h2>Discussion</h2>");
    for (const cJSON *c = first(i, "comments"); c; c = c->next) {
        tag(b, "<p><b>", hf_inc_z(c, "by"), "</b> <span class=\"dim\">");
        text(b, hf_inc_z(c, "time"));
        tag(b, " via ", hf_inc_z(c, "via"), "</span></p><pre>");
        text(b, hf_inc_z(c, "text"));
        hf_buf_addz(b, "</pre>");
    }
    if (first(i, "links"))
        hf_buf_addz(b, "<h2>Links</h2><ul>");
    for (const cJSON *l = first(i, "links"); l; l = l->next) { /* shown, not followed: where they lead is not ours */
        tag(b, "<li>", hf_inc_z(l, "title"), ": <code>");
        tag(b, "", hf_inc_z(l, "url"), "</code></li>");
    }
    hf_buf_addz(b, first(i, "links") ? "</ul>" : "");
    if (first(i, "evidence"))
        hf_buf_addz(b, "<h2>Evidence</h2><table><tr><th>Name<th>SHA-256<th>Kept at</tr>");
    for (const cJSON *v = first(i, "evidence"); v; v = v->next) {
        tag(b, "<tr><td>", hf_inc_z(v, "name"), "<td><code>");
        tag(b, "", hf_inc_z(v, "sha256"), "</code><td><code>");
        tag(b, "", hf_inc_z(v, "path"), "</code></tr>");
    }
    hf_buf_addz(b, first(i, "evidence") ? "</table>" : "");
}

void hf_inc_html(const struct hf_inc *i, struct hf_buf *out)
{
    head(out, i);
    advice_and_chain(out, i);
    draw(out, i);
    tables(out, i);
    story(out, i);
    hf_buf_addf(out, "<footer><p class=\"dim\">Holdfast " HF_VERSION ", revision %llu</p></footer></body></html>\n", (unsigned long long)hf_inc_num(i->root, "revision"));
}
