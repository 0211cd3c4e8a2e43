/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of `watch --json` keep hosts, containers and packages in use.  What they say is collected and written a few times a second, so that a machine that
 * starts a hundred containers a second costs a few commits.  Which images wait to be scanned: wanted.c. */
#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "inventory/lines-internal.h"
#include "store/sql.h"
#include "store/store.h"

enum { BOXES_MAX = 16384, PENDING_MAX = 512, USED_MAX = 65536, TEXT = 4096 };
#define WRITE_NS INT64_C(250000000)
#define HOST_NS INT64_C(60000000000)

static int no_room(struct hf_err *err)
{
    return hf_fail(err, -ENOMEM, "no memory for the inventory");
}

/* ---- texts that live as long as the table ---- */

static char *copy(struct hf_span s)
{
    char *p = malloc(s.n + 1);
    if (p && s.n)
        memcpy(p, s.p, s.n);
    if (p)
        p[s.n] = 0;
    return p;
}

static void box_free(struct box *b)
{
    if (b) {
        free(b->id);
        free(b->digest);
        free(b->image);
        free(b->row);
    }
    free(b);
}

struct box *hf_inv_box(struct hf_inv *v, struct hf_span id)
{
    uint64_t at;
    return hf_map_get(&v->boxes, id, &at) && at ? v->box[at - 1] : NULL;
}

/* The table is full: one that ended gives way, else the container is not kept (the store has it all the same). */
static struct box *new_box(struct hf_inv *v, struct hf_span id)
{
    struct box *b = calloc(1, sizeof *b);
    if (b && !(b->id = copy(id))) {
        free(b);
        b = NULL;
    }
    struct box **slot = b ? hf_grow((void **)&v->box, &v->n_box, &v->cap_box, sizeof *slot, BOXES_MAX) : NULL;
    uint64_t *at = slot ? hf_map_at(&v->boxes, hf_span(b->id, id.n), NULL) : NULL;
    if (!at) {
        if (slot)
            v->n_box--;
        box_free(b);
        return NULL;
    }
    *slot = b;
    *at = v->n_box;
    return b;
}

/* Containers that ended are forgotten when the table is half full of them. */
static void tidy(struct hf_inv *v)
{
    size_t ended = 0, n = 0;
    for (size_t i = 0; i < v->n_box; i++)
        ended += v->box[i]->gone && !v->box[i]->pending;
    if (ended < BOXES_MAX / 4)
        return;
    hf_map_done(&v->boxes);
    memset(&v->boxes, 0, sizeof v->boxes);
    for (size_t i = 0; i < v->n_box; i++) {
        struct box *b = v->box[i];
        uint64_t *at = b->gone && !b->pending ? NULL : hf_map_at(&v->boxes, hf_span_z(b->id), NULL);
        if (!at) {
            box_free(b);
            continue;
        }
        v->box[n++] = b;
        *at = n;
    }
    v->n_box = n;
}

/* ---- what a line says ---- */

static void facts(struct hf_jw *w, hf_jnode from)
{
    static const char *const columns[] = {"id", "name", "image", "image_digest", "image_id", "runtime", "pod_name", "pod_namespace", "k8s_container"};
    unsigned n = 0;
    hf_jw_key(w, "facts");
    hf_jw_object(w);
    HF_JFOREACH(f, from) {
        struct hf_span name = hf_jname(f);
        bool told = hf_span_starts(name, HF_S("label.")) || hf_span_starts(name, HF_S("from.")) || HF_SPAN_IN(name, columns);
        if (told || !hf_jis_str(f) || n++ >= 64)
            continue;
        hf_jw_key_span(w, hf_span_sub(name, 0, 100));
        hf_jw_str(w, hf_span_sub(hf_jstr(f), 0, TEXT));
    }
    hf_jw_object_end(w);
}

static void labels(struct hf_jw *w, hf_jnode from)
{
    unsigned n = 0;
    hf_jw_key(w, "labels");
    hf_jw_object(w);
    HF_JFOREACH(l, from) {
        if (!hf_jis_str(l) || n++ >= HF_INV_LABELS_MAX)
            continue;
        hf_jw_key_span(w, hf_span_sub(hf_jname(l), 0, 200));
        hf_jw_str(w, hf_span_sub(hf_jstr(l), 0, 1000));
    }
    hf_jw_object_end(w);
}

static void doc_of(struct hf_buf *out, hf_jnode root)
{
    struct hf_jw w;
    hf_jnode box = hf_jget(root, "container"), pod = hf_jget(box, "pod");
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.container/1");
    hf_jw_kstr_opt(&w, "runtime", hf_span_sub(hf_jgetstr(box, "runtime"), 0, 100));
    labels(&w, hf_jget(box, "labels"));
    if (pod) {
        hf_jw_key(&w, "pod");
        hf_jw_object(&w);
        for (const char *const *m = (const char *const[]){"namespace", "name", "container", NULL}; *m; m++)
            hf_jw_kstr_opt(&w, *m, hf_span_sub(hf_jgetstr(pod, *m), 0, 300));
        hf_jw_object_end(&w);
    }
    facts(&w, hf_jget(root, "facts"));
    hf_jw_object_end(&w);
}

static int64_t time_of(hf_jnode root)
{
    struct hf_span t = hf_jgetstr(root, "time");
    uint64_t v[6], ns = 0;
    static const unsigned at[] = {0, 5, 8, 11, 14, 17}, n[] = {4, 2, 2, 2, 2, 2};
    for (size_t i = 0; i < 6; i++)
        if (hf_parse_u64(hf_span_sub(t, at[i], n[i]), 10, 0, 2261, &v[i]) < 0)
            return hf_store_now();
    if (t.n == 30 && hf_parse_u64(hf_span_sub(t, 20, 9), 10, 0, 999999999, &ns) < 0)
        ns = 0;
    struct tm tm = {.tm_year = (int)v[0] - 1900, .tm_mon = (int)v[1] - 1, .tm_mday = (int)v[2], .tm_hour = (int)v[3], .tm_min = (int)v[4], .tm_sec = (int)v[5]};
    return (int64_t)timegm(&tm) * 1000000000 + (int64_t)ns;
}

static void digest_of(struct hf_buf *out, hf_jnode root)
{
    hf_jnode f = hf_jget(root, "facts");
    struct hf_span id = hf_jgetstr(f, "image_id"), digest = hf_jgetstr(hf_jget(root, "container"), "image_digest");
    struct hf_span d = id.n ? id : digest; /* that of the configuration is what a scan calls it by */
    if (d.n == 64)
        hf_buf_addz(out, "sha256:");
    hf_buf_adds(out, d);
    if (!hf_inv_digest_ok(hf_buf_span(out)))
        hf_buf_clear(out);
}

static bool replace(char **p, struct hf_span s)
{
    char *n = copy(s);
    if (!n)
        return false;
    free(*p);
    *p = n;
    return true;
}

/* 1: its image is wanted now. */
static int began(struct hf_inv *v, hf_jnode root, struct hf_err *err)
{
    hf_jnode box = hf_jget(root, "container");
    hf_autobuf digest = HF_BUF_INIT(HF_STORE_KEY_MAX), row = HF_BUF_INIT(HF_STORE_DOC_MAX / 4);
    struct hf_span id = hf_jgetstr(box, "id");
    if (!id.n || id.n > 256)
        return hf_fail(err, HF_E_FORMAT, "a container without a right id");
    digest_of(&digest, root);
    doc_of(&row, root);
    if (!hf_buf_ok(&row))
        return hf_fail(err, HF_E_LIMIT, "what is said of container %.*s is over %zu bytes", HF_SPAN_ARG(id), row.max);
    struct box *b = hf_inv_box(v, id);
    if (!b && !(b = new_box(v, id))) {
        if (v->n_box < BOXES_MAX)
            return no_room(err);
        if (!v->full++)
            hf_log(HF_LOG_WARNING, "inventory.full", "over %d containers run: the rest is not in the inventory", BOXES_MAX);
        return 0;
    }
    struct hf_span image = hf_span_sub(hf_jgetstr(box, "image"), 0, 1024), name = hf_span_sub(hf_jgetstr(box, "name"), 0, 255);
    if (!replace(&b->digest, hf_buf_span(&digest)) || !replace(&b->image, image) || !replace(&b->row, hf_buf_span(&row)))
        return no_room(err);
    memcpy(b->name, name.n ? name.p : "", name.n);
    b->name[name.n] = 0;
    b->sandbox = hf_span_eqz(hf_jgetstr(hf_jget(root, "facts"), "kind"), "sandbox");
    if (!b->started)
        b->started = time_of(root);
    b->gone = 0;
    b->told = time_of(root);
    v->pending += !b->pending;
    b->pending = true;
    return b->sandbox || !digest.n ? 0 : hf_inv_wanted_image(v, b, err);
}

static int ended(struct hf_inv *v, hf_jnode root)
{
    struct box *b = hf_inv_box(v, hf_jgetstr(hf_jget(root, "container"), "id"));
    if (!b || b->gone)
        return 0;
    b->gone = time_of(root);
    v->pending += !b->pending;
    b->pending = true;
    return 0;
}

/* "name version" of a package whose file ran as the image has it. */
static int ran(struct hf_inv *v, hf_jnode root, struct hf_err *err)
{
    hf_jnode verdict = hf_jget(root, "verdict");
    struct hf_span package = hf_jgetstr(verdict, "package");
    struct box *b = hf_inv_box(v, hf_jgetstr(hf_jget(root, "container"), "id"));
    hf_autobuf key = HF_BUF_INIT(8192);
    bool fresh = false;
    if (!b || !*b->digest || !package.n || package.n > 2048 || !hf_span_eqz(hf_jgetstr(verdict, "result"), "sealed"))
        return 0;
    hf_buf_addz(&key, b->digest);
    hf_buf_addc(&key, 0);
    hf_buf_adds(&key, package);
    uint64_t ignored;
    if (hf_map_get(&v->used, hf_buf_span(&key), &ignored) || v->used.n >= USED_MAX)
        return 0;
    char *stable = copy(hf_buf_span(&key));
    struct hf_span *slot = stable ? hf_grow((void **)&v->use, &v->n_use, &v->cap_use, sizeof *slot, USED_MAX) : NULL;
    uint64_t *at = slot ? hf_map_at(&v->used, hf_span(stable, key.n), &fresh) : NULL;
    if (!at) {
        if (slot)
            v->n_use--;
        free(stable);
        return no_room(err);
    }
    *slot = hf_span(stable, key.n);
    *at = 1;
    v->pending++;
    return 0;
}

/* The sensor says when it began once it has told of all that runs. */
static int watched(struct hf_inv *v, hf_jnode root)
{
    hf_jnode status = hf_jget(root, "status");
    uint64_t ms;
    if (hf_span_eqz(hf_jgetstr(status, "state"), "started") && hf_parse_u64(hf_jgetstr(status, "start_ms"), 10, 0, UINT32_MAX, &ms) == 0)
        v->watched_ns = time_of(root) - (int64_t)(ms + 1) * 1000000;
    return 0;
}

static const char *const types[] = {"container\"", "container_end\"", "verdict\"", "status\""};
enum { BEGAN, ENDED, RAN, STATUS, OTHER, NO_LINE };

static int type_of(struct hf_span line)
{
    struct hf_span head = hf_span_sub(line, 0, 160);
    size_t at = hf_span_search(head, HF_S("\"type\":\""));
    int i = 0;
    if (at == SIZE_MAX || !hf_span_starts(head, HF_S("{")))
        return NO_LINE;
    while (i < OTHER && !hf_span_starts(hf_span_from(head, at + 8), hf_span_z(types[i])))
        i++;
    return i == STATUS && hf_span_search(hf_span_sub(line, 0, 400), HF_S("\"state\":\"started\"")) == SIZE_MAX ? OTHER : i;
}

bool hf_inv_concerns(struct hf_span line)
{
    return type_of(line) < OTHER;
}

int hf_inv_line(struct hf_inv *v, struct hf_span line, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    int rc = 0, type = type_of(line);
    if (line.n > HF_INV_LINE_MAX)
        return hf_fail(err, HF_E_LIMIT, "a line of %zu bytes; the limit is %d", line.n, HF_INV_LINE_MAX);
    if (type == NO_LINE)
        return hf_fail(err, HF_E_FORMAT, "no line of \"watch --json\"");
    if (type < OTHER) {
        rc = hf_json_parse_within(line, 16u << 20, &d, err);
        hf_jnode root = hf_json_root(d);
        rc = rc < 0 ? rc : type == BEGAN ? began(v, root, err) : type == ENDED ? ended(v, root) : type == RAN ? ran(v, root, err) : watched(v, root);
    }
    if (rc < 0 || !v->pending)
        return rc;
    int64_t now = hf_store_now();
    if (!v->since)
        v->since = now;
    if (v->pending < PENDING_MAX && now - v->since < WRITE_NS && now >= v->since)
        return rc;
    int wrote = hf_inv_flush(v, now, err);
    return wrote < 0 ? wrote : rc;
}

/* ---- into the store ---- */

struct was {
    int64_t started, ended;
};

static int was(void *ctx, const struct hf_inv_container *c)
{
    *(struct was *)ctx = (struct was){c->started, c->ended};
    return 0;
}

static int write_box(struct hf_inv *v, struct box *b, int64_t now, struct hf_err *err)
{
    struct was before = {0, 0};
    int rc = hf_store_container_get(v->s, hf_span_z(b->id), was, &before, err);
    if (rc < 0)
        return rc;
    struct hf_inv_container c = {.id = hf_span_z(b->id), .host = hf_span_z(v->host_id), .name = hf_span_z(b->name), .image = hf_span_z(b->image), .digest = hf_span_z(b->digest),
            .doc = hf_span_z(b->row), .started = before.started && !before.ended ? before.started : b->started, .ended = b->gone, .seen = now};
    return hf_store_container_put(v->s, &c, err);
}

static int write_used(struct hf_inv *v, struct hf_span key, struct hf_err *err)
{
    struct hf_span digest = hf_span_sub(key, 0, hf_span_find(key, 0)), package = hf_span_from(key, digest.n + 1);
    size_t blank = hf_span_rfind(package, ' ');
    if (blank == SIZE_MAX)
        return 0;
    return hf_inv_mark_used(v->s, digest, hf_span_sub(package, 0, blank), hf_span_from(package, blank + 1), err);
}

/* By name and version, in whatever ecosystem of the system ("debian:12"): the guard knows no more. */
int hf_inv_mark_used(struct hf_store *s, struct hf_span digest, struct hf_span name, struct hf_span version, struct hf_err *err)
{
    const struct hf_sql_value v[] = {HF_TEXT(digest), HF_TEXT(name), HF_TEXT(version)};
    int changed = hf_sql_run(s, err, "UPDATE packages SET used = 1 WHERE digest = ? AND name = ? AND version = ? AND used = 0 AND ecosystem NOT IN ('npm', 'pypi', 'golang', 'maven', 'gem', 'cargo')", v, 3);
    if (changed <= 0)
        return changed;
    int rc = hf_sql_run(s, err, "UPDATE findings SET used = 1 WHERE digest = ? AND package = ? AND version = ? AND used = 0 AND ecosystem NOT IN ('npm', 'pypi', 'golang', 'maven', 'gem', 'cargo')", v, 3);
    return rc < 0 ? rc : changed;
}

static int write_all(struct hf_inv *v, int64_t now, struct hf_err *err)
{
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, v->s, err);
    if (rc == 0 && now - v->host_told >= HOST_NS)
        rc = hf_store_host_put(v->s, &(struct hf_inv_host){.id = hf_span_z(v->host_id), .name = hf_span_z(v->host_name), .doc = HF_S("{}"), .seen = now}, err);
    for (size_t i = 0; i < v->n_box && rc == 0; i++)
        if (v->box[i]->pending)
            rc = write_box(v, v->box[i], now, err);
    for (size_t i = v->use_written; i < v->n_use && rc >= 0; i++)
        rc = write_used(v, v->use[i], err);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

static int end_others(struct hf_inv *v, int64_t now, struct hf_err *err);

int hf_inv_flush(struct hf_inv *v, int64_t now, struct hf_err *err)
{
    if (!v->pending && !v->watched_ns && now - v->host_told < HOST_NS)
        return 0;
    int rc = write_all(v, now, err);
    rc = rc < 0 || !v->watched_ns ? rc : end_others(v, now, err);
    if (rc < 0)
        return rc;
    if (now - v->host_told >= HOST_NS)
        v->host_told = now;
    for (size_t i = 0; i < v->n_box; i++)
        v->box[i]->pending = false;
    v->use_written = v->n_use;
    v->pending = 0;
    v->since = 0;
    if (v->n_use >= USED_MAX) { /* begin again: a mark that is there already costs one statement */
        hf_map_done(&v->used);
        memset(&v->used, 0, sizeof v->used);
        for (size_t i = 0; i < v->n_use; i++)
            free((char *)(uintptr_t)v->use[i].p);
        v->n_use = v->use_written = 0;
    }
    tidy(v);
    return 0;
}

/* ---- at the start ---- */

static int running(void *ctx, const struct hf_inv_container *c)
{
    struct hf_inv *v = ctx;
    if (!hf_span_eqz(c->host, v->host_id))
        return 0;
    struct box *b = hf_inv_box(v, c->id);
    if (b && b->told >= v->watched_ns)
        return 0;
    hf_buf_adds(&v->missing, c->id);
    hf_buf_addc(&v->missing, 0);
    return 0;
}

static int end_others(struct hf_inv *v, int64_t now, struct hf_err *err)
{
    struct hf_span rest, id;
    int n = 0;
    hf_autotx tx = {0};
    hf_buf_clear(&v->missing);
    int rc = hf_store_container_list(v->s, true, hf_span(NULL, 0), hf_span(NULL, 0), HF_STORE_LIST_MAX, running, v, err);
    if (rc < 0)
        return rc;
    if (!hf_buf_ok(&v->missing))
        return no_room(err);
    rest = hf_buf_span(&v->missing);
    rc = rest.n ? hf_tx_begin(&tx, v->s, err) : 0;
    while (rc >= 0 && rest.n && hf_span_cut(&rest, 0, &id)) {
        rc = hf_store_container_end(v->s, id, now, err);
        n += rc > 0;
    }
    rc = rc < 0 || !n ? rc : hf_tx_commit(&tx, err);
    if (rc < 0)
        return rc;
    if (n)
        hf_log(HF_LOG_NOTICE, "inventory", "%d containers ended while nobody watched", n);
    v->watched_ns = 0;
    return 0;
}

int hf_inv_new(struct hf_inv **ret, struct hf_store *s, struct hf_span host_id, struct hf_span host_name, struct hf_err *err)
{
    hf_cleanup(hf_inv_freep) struct hf_inv *v = calloc(1, sizeof *v);
    if (!v)
        return no_room(err);
    hf_buf_init(&v->missing, 8 << 20);
    v->s = s;
    v->host_id = copy(hf_span_sub(host_id.n ? host_id : host_name, 0, 256));
    v->host_name = copy(hf_span_sub(host_name, 0, 256));
    if (!v->host_id || !v->host_name)
        return no_room(err);
    if (!*v->host_id)
        return hf_fail(err, HF_E_USAGE, "an inventory needs the id or the name of its host");
    int rc = hf_inv_wanted_load(v, err);
    if (rc < 0)
        return rc;
    *ret = hf_take(v);
    return 0;
}

void hf_inv_free(struct hf_inv *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n_box; i++)
        box_free(v->box[i]);
    for (size_t i = 0; i < v->n_use; i++)
        free((char *)(uintptr_t)v->use[i].p);
    hf_inv_wanted_done(v);
    free(v->box);
    free(v->use);
    free(v->host_id);
    free(v->host_name);
    hf_map_done(&v->boxes);
    hf_map_done(&v->used);
    hf_buf_done(&v->missing);
    free(v);
}
