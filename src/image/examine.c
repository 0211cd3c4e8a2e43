/* SPDX-License-Identifier: Apache-2.0 */
#include "image/examine.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/progress.h"
#include "image/inflate.h"
#include "image/layer.h"
#include "image/merge.h"
#include "image/stream.h"
#include "image/tree.h"
#include "packages/catalogers.h"

/* A layer needs up to two independent jobs: hashing the stored blob, and walking it. */
enum job_kind { JOB_HASH, JOB_WALK };
struct job {
    enum job_kind kind;
    size_t layer;
    uint64_t cost; /* relative; the dearest start first */
    int rc;
    struct hf_err err;
    struct hf_digest digest; /* JOB_HASH: of the region */
};

struct examine {
    struct hf_image *img;
    const struct hf_examine_opts *o;
    struct hf_dispatch *dispatch;
    struct hf_layer_opts layer_opts;
    struct hf_quota quota;
    struct hf_bombs bombs;
    struct hf_progress *progress;
    struct hf_layer_result *results;
    struct plan {
        bool cached, plain, hash, walk, trusted; /* trusted: facts may enter the shared cache once digests agree */
        enum hf_compression kind;
        size_t same; /* 1 + the lower layer of the same diff id, whose record is this one's too; 0: none (streams only) */
    } *plan;
    struct job *jobs;
    size_t n_jobs;
    atomic_size_t next;
    atomic_bool stop;
};

void hf_examined_done(struct hf_examined *e)
{
    for (size_t i = 0; i < e->n; i++)
        hf_record_done(&e->records[i]);
    free(e->records);
    e->records = NULL;
    e->n = 0;
}

void hf_examine_version(struct hf_buf *out)
{
    hf_buf_addz(out, "walk:4,");
    hf_dispatch_version(hf_catalogers, out);
}

static void run_job(struct examine *x, struct job *j, struct hf_cat_scratch *scratch)
{
    const struct hf_layer_source *l = &x->img->layers[j->layer];
    if (j->kind == JOB_HASH) {
        const struct hf_digest *want = l->digest.n ? &l->digest : &l->diff_id;
        j->rc = hf_region_digest(l->fd, l->offset, l->size, want->kind, x->progress, &j->digest, &j->err);
        return;
    }
    /* The record made at planning time is empty: the walk initialises it anew. */
    hf_record_done(&x->results[j->layer].rec);
    j->rc = hf_layer_walk(l, x->img->skip, x->img->n_skip, &x->layer_opts, scratch, &x->results[j->layer], &j->err);
    hf_progress_item(x->progress);
}

static void *worker(void *ctx)
{
    struct examine *x = ctx;
    struct hf_cat_scratch scratch;
    size_t share = x->layer_opts.max_scratch;
    hf_buf_init(&scratch.file, share);
    hf_buf_init(&scratch.other, share / 2);
    for (;;) {
        size_t i = atomic_fetch_add(&x->next, 1);
        if (i >= x->n_jobs || atomic_load(&x->stop))
            break;
        run_job(x, &x->jobs[i], &scratch);
        if (x->jobs[i].rc == HF_E_DIGEST)
            atomic_store(&x->stop, true);
    }
    hf_buf_done(&scratch.file);
    hf_buf_done(&scratch.other);
    return NULL;
}

static int dearest_first(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    if (x->cost != y->cost)
        return x->cost < y->cost ? 1 : -1;
    return x->layer < y->layer ? -1 : x->layer > y->layer;
}

static int digest_error(const struct hf_digest *want, const struct hf_digest *got, const char *what, size_t layer, struct hf_err *err)
{
    char a[HF_DIGEST_TEXT], b[HF_DIGEST_TEXT];
    return hf_fail(err, HF_E_DIGEST, "layer %zu: %s: expected %s but the content is %s; the image was changed or damaged, fetch it again",
            layer + 1, what, hf_digest_text(want, a), hf_digest_text(got, b));
}

/* The layer's facts from the cache.  Those noted without digests are of no use to a seal. */
static bool from_cache(struct examine *x, size_t i, struct hf_cache *c)
{
    struct hf_record *r = &x->results[i].rec;
    if (hf_cache_get(c, &x->img->layers[i].diff_id, r) != 1)
        return false;
    if (!x->o->tree || r->has_meta)
        return true;
    hf_record_done(r);
    hf_record_init(r, x->layer_opts.max_facts, x->layer_opts.max_log, &x->quota);
    return false;
}

/* What each layer still needs, given what the cache knows of it. */
static int plan_layers(struct examine *x, struct hf_err *err)
{
    struct hf_cache *c = x->o->verify ? x->o->cache : NULL;
    for (size_t i = 0; i < x->img->n_layers; i++) {
        struct hf_layer_source *l = &x->img->layers[i];
        struct plan *p = &x->plan[i];
        p->walk = true;
        if (l->fd < 0)
            continue;
        struct hf_err why = HF_ERR_INIT;
        if (hf_compression_of(l->fd, l->offset, l->size, &p->kind, &why) < 0)
            p->kind = HF_PLAIN; /* the walk says what is wrong with it */
        p->plain = p->kind == HF_PLAIN;
        const struct hf_digest *stored = l->digest.n ? &l->digest : p->plain ? &l->diff_id : NULL;
        if (p->kind == HF_PLAIN && why.msg[0])
            continue; /* in a format that is not read: the walk says so */
        if (!x->o->verify) {
            /* Facts of layers verified before may be used; ours stay out of the cache. */
            p->cached = from_cache(x, i, x->o->cache);
            p->walk = !p->cached;
            continue;
        }
        bool known = stored && stored->n && hf_cache_verified(c, l->fd, l->offset, l->size, stored);
        bool paired = p->plain ? (!l->digest.n || hf_digest_eq(&l->digest, &l->diff_id)) : l->digest.n && hf_cache_pair(c, &l->digest, &l->diff_id);
        /* A compressed blob without a digest of its own is known by where it was seen to unpack to this diff id. */
        if (!p->plain && !l->digest.n)
            known = paired = hf_cache_verified(c, l->fd, l->offset, l->size, &l->diff_id);
        if (paired)
            p->cached = from_cache(x, i, c);
        p->walk = !p->cached;
        p->hash = !known && stored && stored->n;
        p->trusted = true;
        if (p->plain && l->digest.n && !hf_digest_eq(&l->digest, &l->diff_id) && l->diff_id.n)
            return digest_error(&l->diff_id, &l->digest, "stored plain, so its digest and diff id must agree", i, err);
    }
    return 0;
}

static int make_jobs(struct examine *x, struct hf_err *err)
{
    x->jobs = calloc(x->img->n_layers * 2 + 1, sizeof *x->jobs);
    if (!x->jobs)
        return hf_fail(err, -ENOMEM, "out of memory");
    uint64_t bytes = 0;
    unsigned items = 0;
    for (size_t i = 0; i < x->img->n_layers; i++) {
        uint64_t size = x->img->layers[i].size;
        if (x->plan[i].hash) {
            x->jobs[x->n_jobs++] = (struct job){.kind = JOB_HASH, .layer = i, .cost = size / 2 + 1};
            bytes += size;
        }
        if (x->plan[i].walk) {
            x->jobs[x->n_jobs++] = (struct job){.kind = JOB_WALK, .layer = i, .cost = x->plan[i].plain ? size / 8 + 1 : size * 4 + 1};
            bytes += x->plan[i].plain ? 0 : size;
            items++;
        }
    }
    qsort(x->jobs, x->n_jobs, sizeof *x->jobs, dearest_first);
    hf_progress_total(x->progress, bytes, items);
    return 0;
}

static int run_jobs(struct examine *x, struct hf_err *err)
{
    unsigned n = HF_MAX(x->o->threads, 1u);
    if (n > x->n_jobs)
        n = (unsigned)HF_MAX(x->n_jobs, (size_t)1);
    pthread_t *t = calloc(n, sizeof *t);
    if (!t)
        return hf_fail(err, -ENOMEM, "out of memory");
    unsigned started = 0;
    for (; started + 1 < n; started++)
        if (pthread_create(&t[started], NULL, worker, x) != 0)
            break; /* fewer threads are slower, not wrong */
    worker(x);
    for (unsigned i = 0; i < started; i++)
        pthread_join(t[i], NULL);
    free(t);
    return 0;
}

/* Layers that come by in one stream: those not known yet are taken from it, and it is not begun when none is missing. */
static int stream_layers(struct examine *x, struct hf_err *err)
{
    struct hf_image *img = x->img;
    bool missing = img->n_layers && !img->stream->described;
    struct hf_streamed *v = calloc(img->n_layers + 1, sizeof *v);
    x->jobs = calloc(img->n_layers + 1, sizeof *x->jobs);
    if (!v || !x->jobs) {
        free(v);
        return hf_fail(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < img->n_layers; i++) {
        struct plan *p = &x->plan[i];
        p->plain = p->trusted = true; /* what is taken from a stream is found by the digest of its content */
        for (size_t k = 0; k < i && !p->same && img->layers[i].diff_id.n; k++)
            if (hf_digest_eq(&img->layers[i].diff_id, &img->layers[k].diff_id))
                p->same = k + 1;
        if (p->same)
            p->cached = x->plan[p->same - 1].cached;
        else
            p->cached = img->layers[i].diff_id.n && from_cache(x, i, x->o->cache);
        p->walk = !p->cached && !p->same;
        missing |= p->walk;
        v[i].known = !p->walk;
    }
    hf_progress_total(x->progress, img->stream->size, 0);
    int rc = missing ? hf_stream_layers(img, &x->layer_opts, v, err) : 0;
    for (size_t i = 0; i < img->n_layers; i++) {
        if (!v[i].got)
            continue;
        hf_record_done(&x->results[i].rec);
        x->results[i] = v[i].result;
        x->jobs[x->n_jobs++] = (struct job){.kind = JOB_WALK, .layer = i, .rc = v[i].rc, .err = v[i].err};
    }
    free(v);
    return rc;
}

/* Digests first: nothing of a layer that is not what it claims to be may be believed. */
static int check_digests(struct examine *x, struct hf_err *err)
{
    for (size_t k = 0; k < x->n_jobs; k++) {
        struct job *j = &x->jobs[k];
        struct hf_layer_source *l = &x->img->layers[j->layer];
        if (j->kind == JOB_HASH && j->rc >= 0) {
            const struct hf_digest *want = l->digest.n ? &l->digest : &l->diff_id;
            if (!hf_digest_eq(want, &j->digest))
                return digest_error(want, &j->digest, "digest", j->layer, err);
            hf_cache_set_verified(x->o->cache, l->fd, l->offset, l->size, want);
        } else if (j->kind == JOB_HASH) {
            if (err)
                *err = j->err;
            return hf_wrap(err, j->rc, "layer %zu", j->layer + 1);
        } else if (x->o->verify && x->results[j->layer].diff_id.n && l->diff_id.n &&
                !hf_digest_eq(&l->diff_id, &x->results[j->layer].diff_id)) {
            return digest_error(&l->diff_id, &x->results[j->layer].diff_id, "diff id", j->layer, err);
        }
    }
    return 0;
}

static void keep_facts(struct examine *x)
{
    for (size_t k = 0; k < x->n_jobs; k++) {
        struct job *j = &x->jobs[k];
        struct hf_layer_source *l = &x->img->layers[j->layer];
        struct plan *p = &x->plan[j->layer];
        struct hf_record *r = &x->results[j->layer].rec;
        if (j->kind != JOB_WALK || j->rc < 0 || !p->trusted || !l->diff_id.n || r->unlogged || r->facts.lost)
            continue;
        /* Results that depend on this run's memory limit are not facts of the layer. */
        bool whole = true;
        for (size_t i = 0; i < r->facts.n && whole; i++)
            whole = r->facts.v[i].kind != HF_FACT_INCOMPLETE;
        if (!p->plain) {
            if (!x->results[j->layer].diff_id.n)
                continue;
            if (l->digest.n)
                hf_cache_set_pair(x->o->cache, &l->digest, &l->diff_id);
            else
                hf_cache_set_verified(x->o->cache, l->fd, l->offset, l->size, &l->diff_id);
        }
        if (whole)
            hf_cache_put(x->o->cache, &l->diff_id, r);
    }
}

static int report_failures(struct examine *x, struct hf_scan *scan, struct hf_err *err)
{
    for (size_t k = 0; k < x->n_jobs; k++) {
        struct job *j = &x->jobs[k];
        if (j->kind != JOB_WALK || j->rc >= 0)
            continue;
        if (!x->img->has_layers) {
            if (err)
                *err = j->err;
            return j->rc;
        }
        if (hf_scan_incomplete(scan, hf_span("", 0), (uint32_t)j->layer, "the layer could not be read to its end: %s", j->err.msg) < 0)
            return hf_fail(err, HF_E_LIMIT, "out of memory");
        scan->incomplete[scan->n_incomplete - 1].unlisted = true;
    }
    return 0;
}

static int describe(struct examine *x, struct hf_scan *s, struct hf_err *err)
{
    struct hf_image *img = x->img;
    struct hf_layer_info *v = hf_arena_calloc(&s->arena, img->n_layers ? img->n_layers : 1, sizeof *v);
    char text[HF_DIGEST_TEXT];
    int rc = v ? 0 : HF_E_LIMIT;
    for (size_t i = 0; i < img->n_layers && rc >= 0; i++) {
        const struct hf_layer_source *l = &img->layers[i];
        v[i].size = l->fd >= 0 ? l->size : x->results[x->plan[i].same ? x->plan[i].same - 1 : i].rec.bytes;
        v[i].cached = x->plan[i].cached;
        rc = hf_arena_dup(&s->arena, hf_span_z(hf_digest_text(&l->digest, text)), &v[i].digest);
        if (rc >= 0)
            rc = hf_arena_dup(&s->arena, hf_span_z(hf_digest_text(&l->diff_id, text)), &v[i].diff_id);
        if (rc >= 0)
            rc = hf_arena_dup(&s->arena, l->created_by, &v[i].created_by);
    }
    struct hf_span from[] = {img->target, img->os, img->arch, img->created};
    struct hf_span *to[] = {&s->target, &s->os, &s->arch, &s->created};
    for (size_t i = 0; i < HF_ARRAY_LEN(from) && rc >= 0; i++)
        rc = hf_arena_dup(&s->arena, from[i], to[i]);
    if (rc >= 0)
        rc = hf_arena_dup(&s->arena, hf_span_z(hf_digest_text(&img->digest, text)), &s->digest);
    if (rc >= 0)
        rc = hf_arena_dup(&s->arena, hf_span_z(hf_digest_text(&img->index, text)), &s->index);
    if (rc >= 0 && !hf_digest_eq(&img->config, &img->digest))
        rc = hf_arena_dup(&s->arena, hf_span_z(hf_digest_text(&img->config, text)), &s->config);
    if (rc < 0)
        return hf_fail(err, HF_E_LIMIT, "the result is over the memory limit; raise --max-memory");
    s->layers = img->has_layers ? v : NULL;
    s->n_layers = img->has_layers ? img->n_layers : 0;
    return 0;
}

static int examine(struct examine *x, struct hf_scan *scan, struct hf_examined *ret, struct hf_err *err)
{
    int rc = x->img->stream ? stream_layers(x, err) : plan_layers(x, err);
    if (rc >= 0 && !x->img->stream)
        rc = make_jobs(x, err);
    if (rc >= 0 && !x->img->stream)
        rc = run_jobs(x, err);
    if (rc >= 0)
        rc = check_digests(x, err);
    if (rc >= 0)
        rc = report_failures(x, scan, err);
    if (rc >= 0 && x->img->left_out.n && hf_scan_incomplete(scan, hf_span("", 0), UINT32_MAX, HF_SPAN_FMT, HF_SPAN_ARG(x->img->left_out)) < 0)
        rc = hf_fail(err, HF_E_LIMIT, "out of memory");
    if (rc >= 0 && x->img->note.n && hf_scan_warn(scan, HF_SPAN_FMT, HF_SPAN_ARG(x->img->note)) < 0)
        rc = hf_fail(err, HF_E_LIMIT, "out of memory");
    if (rc >= 0 && hf_span_eqz(x->img->os, "windows") && hf_scan_incomplete(scan, hf_span("", 0), UINT32_MAX,
            "this is an image of Windows: its updates and programs are not examined, only the packages of programming languages") < 0)
        rc = hf_fail(err, HF_E_LIMIT, "out of memory");
    if (rc < 0)
        return rc;
    keep_facts(x);
    rc = describe(x, scan, err);
    const struct hf_record **records = calloc(x->img->n_layers + 1, sizeof *records);
    ret->records = calloc(x->img->n_layers + 1, sizeof *ret->records);
    if (rc >= 0 && (!records || !ret->records))
        rc = hf_fail(err, -ENOMEM, "out of memory");
    if (rc >= 0) {
        /* Records move to the caller: the scan's spans point into them. */
        for (size_t i = 0; i < x->img->n_layers; i++) {
            ret->records[i] = x->results[i].rec;
            memset(&x->results[i].rec, 0, sizeof x->results[i].rec);
            records[i] = &ret->records[x->plan[i].same ? x->plan[i].same - 1 : i];
        }
        ret->n = x->img->n_layers;
        if (x->o->tree && hf_span_eqz(x->img->os, "windows"))
            hf_tree_ignore_case(x->o->tree);
        rc = hf_merge(scan, records, x->img->n_layers, x->img->has_layers, x->o->tree, err);
    }
    free(records);
    return rc;
}

int hf_examine(struct hf_image *img, const struct hf_examine_opts *o, struct hf_scan *scan, struct hf_examined *ret, struct hf_err *err)
{
    struct examine x = {.img = img, .o = o, .quota = {(size_t)(o->max_memory / 2)}};
    *ret = (struct hf_examined){NULL, 0};
    unsigned threads = HF_MAX(o->threads, 1u);
    struct hf_budget held, windows, siblings, scratch;
    hf_budget_init(&held, (size_t)(o->max_memory / 4));
    hf_budget_init(&windows, (size_t)(o->max_memory / 4));
    hf_budget_init(&scratch, (size_t)(o->max_memory / 4));
    hf_budget_init(&siblings, 1);
    x.dispatch = hf_dispatch_new(hf_catalogers);
    x.results = calloc(img->n_layers + 1, sizeof *x.results);
    x.plan = calloc(img->n_layers + 1, sizeof *x.plan);
    int rc = x.dispatch && x.results && x.plan ? 0 : hf_fail(err, -ENOMEM, "out of memory");
    x.layer_opts = (struct hf_layer_opts){
            .dispatch = x.dispatch,
            .held = &held,
            .windows = &windows,
            .siblings = &siblings,
            .scratch = &scratch,
            .max_siblings = (size_t)(o->max_memory / 8),
            .max_scratch = (size_t)(o->max_memory / 8),
            .light = (size_t)HF_MIN(o->max_memory / 4 / threads, o->max_memory / 8),
            .max_facts = (size_t)(o->max_memory / 4),
            .max_log = (size_t)(o->max_memory / 4),
            .max_window = o->max_memory / 8,
            .quota = &x.quota,
            .bombs = &x.bombs,
            .verify = o->verify,
            .digests = o->tree != NULL,
    };
    for (size_t i = 0; i < img->n_layers && rc >= 0; i++)
        hf_record_init(&x.results[i].rec, x.layer_opts.max_facts, x.layer_opts.max_log, &x.quota);
    if (rc >= 0) {
        x.progress = hf_progress_start("examining layers", o->quiet);
        x.layer_opts.progress = x.progress;
        rc = examine(&x, scan, ret, err);
        hf_progress_stop(x.progress);
    }
    for (size_t i = 0; i < img->n_layers && x.results; i++)
        hf_record_done(&x.results[i].rec);
    free(x.results);
    free(x.plan);
    free(x.jobs);
    hf_dispatch_free(x.dispatch);
    hf_budget_done(&held);
    hf_budget_done(&windows);
    hf_budget_done(&scratch);
    hf_budget_done(&siblings);
    return rc;
}
