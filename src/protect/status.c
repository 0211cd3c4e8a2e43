// SPDX-License-Identifier: Apache-2.0
/* What is in force, on which rung, and what was or would have been refused: for people and programs. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/fs.h"
#include "base/json.h"
#include "protect/protect-internal.h"

#define DAY_S 86400
#define KEPT_S (7 * DAY_S) /* a rehearsal */
#define STATUS_MAX (8u << 20)
#define SHOWN_MAX 256u
#define COUNTS_NS 60000000000ull /* what a crash may lose */

static int64_t now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec;
}

/* ---- counts ---- */

static struct hf_prot_count *count_at(struct hf_protect *p, struct hf_span key)
{
    bool is_new;
    uint64_t place;
    if (hf_map_get(&p->by_key, key, &place))
        return &p->counts[place];
    if (p->n_counts == HF_PROT_COUNTS)
        return NULL;
    struct hf_prot_count *c = &p->counts[p->n_counts];
    *c = (struct hf_prot_count){.n = 0};
    if (hf_arena_dup(&p->texts, key, &c->key) < 0)
        return NULL;
    uint64_t *at = hf_map_at(&p->by_key, c->key, &is_new);
    if (!at)
        return NULL;
    *at = p->n_counts++;
    return c;
}

void hf_protect_count(struct hf_protect *p, const struct hf_prot_policy *policy, const char *clause, struct hf_span image, struct hf_span what, struct hf_span by)
{
    struct hf_span parts[5] = {policy->name, hf_span_z(clause), image, what, by};
    hf_autobuf key = HF_BUF_INIT(8192);
    for (size_t i = 0; i < 5; i++) {
        hf_buf_adds(&key, hf_span_sub(parts[i], 0, 1024));
        hf_buf_addc(&key, 0);
    }
    struct hf_prot_count *c = hf_buf_ok(&key) ? count_at(p, hf_buf_span(&key)) : NULL;
    if (!c) {
        p->counts_left++;
        return;
    }
    c->n++;
    c->last_s = now_s();
    c->first_s = c->first_s ? c->first_s : c->last_s;
}

static void count_json(const struct hf_prot_count *c, struct hf_jw *w)
{
    static const char *const names[] = {"policy", "clause", "image", "what", "by"};
    struct hf_span rest = c->key, part;
    hf_jw_object(w);
    for (size_t i = 0; i < HF_ARRAY_LEN(names) && hf_span_cut(&rest, 0, &part); i++)
        hf_jw_kstr(w, names[i], part);
    hf_jw_ku64(w, "count", c->n);
    hf_jw_ku64(w, "first", (uint64_t)c->first_s);
    hf_jw_ku64(w, "last", (uint64_t)c->last_s);
    hf_jw_object_end(w);
}

static void counts_path(const struct hf_protect *p, char out[4200])
{
    snprintf(out, 4200, "%s/%s/counts.ndjson", p->o.state_dir, HF_PROTECT_DIR);
}

void hf_protect_counts_keep(struct hf_protect *p)
{
    char path[4200];
    hf_autobuf b = HF_BUF_INIT(STATUS_MAX);
    struct hf_err err = HF_ERR_INIT;
    int64_t oldest = now_s() - KEPT_S;
    for (size_t i = 0; i < p->n_counts; i++) {
        struct hf_jw w;
        if (p->counts[i].last_s < oldest)
            continue;
        hf_jw_init(&w, &b, false);
        count_json(&p->counts[i], &w);
        hf_buf_addc(&b, '\n');
    }
    counts_path(p, path);
    if (hf_buf_ok(&b) && hf_write_file(path, 0600, hf_buf_span(&b), &err) < 0)
        snprintf(p->error, sizeof p->error, "counts are not kept: %.200s", err.msg);
}

void hf_protect_counts_load(struct hf_protect *p)
{
    char path[4200];
    hf_autobuf text = HF_BUF_INIT(STATUS_MAX);
    struct hf_err err = HF_ERR_INIT;
    int64_t oldest = now_s() - KEPT_S;
    counts_path(p, path);
    if (hf_read_file(path, &text, &err) < 0)
        return;
    for (struct hf_span rest = hf_buf_span(&text), line; hf_span_line(&rest, &line);) {
        static const char *const names[] = {"policy", "clause", "image", "what", "by"};
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
        hf_autobuf key = HF_BUF_INIT(8192);
        double n, first, last;
        if (hf_json_parse(line, &doc, &err) < 0)
            continue;
        for (size_t i = 0; i < HF_ARRAY_LEN(names); i++) {
            hf_buf_adds(&key, hf_jgetstr(hf_json_root(doc), names[i]));
            hf_buf_addc(&key, 0);
        }
        if (!hf_jnum(hf_jget(hf_json_root(doc), "count"), &n) || !hf_jnum(hf_jget(hf_json_root(doc), "first"), &first) || !hf_jnum(hf_jget(hf_json_root(doc), "last"), &last) ||
                !(n >= 1 && n < 1e15) || !(last > (double)oldest && last < 1e11) || !(first > 0 && first <= last))
            continue;
        struct hf_prot_count *c = hf_buf_ok(&key) ? count_at(p, hf_buf_span(&key)) : NULL;
        if (c) {
            c->n += (uint64_t)n;
            c->first_s = (int64_t)first;
            c->last_s = (int64_t)last;
        }
    }
}

/* ---- status.json ---- */

static const char *mode_name(int mode)
{
    return mode >= 0 && mode < HF_MODES ? hf_prot_modes[mode] : "off";
}

static void policy_json(const struct hf_protect *p, size_t i, struct hf_jw *w)
{
    const struct hf_prot_policy *policy = hf_prot_at(p->o.policies, i);
    const struct hf_prot_state *s = &p->states[i];
    hf_jw_object(w);
    hf_jw_kstr(w, "policy", policy->name);
    hf_jw_kstr(w, "file", policy->file);
    hf_jw_kstrz(w, "mode", mode_name(s->mode));
    hf_jw_kstrz(w, "mode_of_file", hf_prot_modes[policy->mode]);
    hf_jw_kstrz(w, "fail", policy->fail_closed ? "closed" : "open");
    hf_jw_kbool(w, "maintenance", hf_prot_maintenance(policy, now_s()));
    hf_jw_kbool(w, "disarmed", s->disarmed);
    if (s->disarmed)
        hf_jw_kstrz(w, "why", s->why);
    hf_jw_ku64(w, "refused", s->refused);
    hf_jw_ku64(w, "would_have_refused", s->would);
    hf_jw_key(w, "clauses");
    hf_jw_array(w);
    for (unsigned c = 1; c < HF_CLAUSES; c++) {
        char why[160];
        if (!(policy->clauses >> c & 1))
            continue;
        bool whole;
        unsigned rung = hf_proof_rung(&p->proof, p->k, policy, c, &whole, why);
        hf_jw_object(w);
        hf_jw_kstrz(w, "clause", hf_prot_clauses[c].name);
        hf_jw_kstrz(w, "rung", hf_rung_name(rung));
        hf_jw_kbool(w, "judged_first_by_fanotify", rung && c <= HF_CLAUSE_WRITTEN && !hf_exec_perm_gave_up(p->perm));
        hf_jw_kbool(w, "proved", whole);
        if (why[0])
            hf_jw_kstrz(w, "why", why);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void box_json(const struct hf_prot_box *b, struct hf_jw *w)
{
    hf_jw_object(w);
    hf_jw_kstr(w, "id", b->c->id);
    hf_jw_kstr(w, "name", b->c->name);
    hf_jw_kstr(w, "image", b->c->image);
    hf_jw_kstr(w, "policy", b->policy->name);
    hf_jw_kbool(w, "enforced", b->enforced);
    hf_jw_kbool(w, "sealed", b->c->seal != NULL);
    hf_jw_ku64(w, "marks", b->marks);
    hf_jw_ku64(w, "refused", b->refused);
    hf_jw_ku64(w, "would_have_refused", b->would);
    if (b->why[0])
        hf_jw_kstrz(w, "why", b->why);
    hf_jw_object_end(w);
}

void hf_protect_write_status(struct hf_protect *p)
{
    char path[4200];
    hf_autobuf b = HF_BUF_INIT(STATUS_MAX);
    struct hf_err err = HF_ERR_INIT;
    struct hf_jw w;
    uint64_t none = 0;
    hf_jw_init(&w, &b, true);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", HF_PROTECT_STATUS_SCHEMA);
    hf_jw_ku64(&w, "time", (uint64_t)now_s());
    hf_jw_ku64(&w, "pid", (uint64_t)getpid());
    hf_jw_kbool(&w, "all_off", p->modes.all_off);
    if (p->error[0])
        hf_jw_kstrz(&w, "error", p->error);
    hf_jw_key(&w, "policies");
    hf_jw_array(&w);
    for (size_t i = 0; i < hf_prot_count(p->o.policies); i++)
        policy_json(p, i, &w);
    hf_jw_array_end(&w);
    hf_jw_key(&w, "containers");
    hf_jw_array(&w);
    for (const struct hf_prot_box *c = p->boxes; c; c = c->next) {
        if (c->policy)
            box_json(c, &w);
        none += !c->policy;
    }
    hf_jw_array_end(&w);
    hf_jw_ku64(&w, "containers_without_policy", none);
    hf_jw_key(&w, "counts");
    hf_jw_array(&w);
    for (size_t i = p->n_counts > SHOWN_MAX ? p->n_counts - SHOWN_MAX : 0; i < p->n_counts; i++)
        count_json(&p->counts[i], &w);
    hf_jw_array_end(&w);
    hf_jw_ku64(&w, "counts_left_out", p->counts_left);
    hf_jw_object_end(&w);
    hf_buf_addc(&b, '\n');
    snprintf(path, sizeof path, "%s/%s/status.json", p->o.state_dir, HF_PROTECT_DIR);
    if (hf_buf_ok(&b) && hf_write_file(path, 0600, hf_buf_span(&b), &err) < 0)
        hf_guard_tell_status(p->g, "error", hf_span_z(err.msg));
    if (p->changed && p->now_ns - p->counts_ns > COUNTS_NS) {
        hf_protect_counts_keep(p);
        p->counts_ns = p->now_ns;
    }
    p->changed = false;
    p->status_ns = p->now_ns;
}
