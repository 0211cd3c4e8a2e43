/* SPDX-License-Identifier: Apache-2.0 */
/* Which images wait to be scanned.  Each is asked for once by its digest; what fails is tried again later, by another way: by digest, through a container
 * that runs it, by its name. */
#include <errno.h>

#include "inventory/lines-internal.h"
#include "store/store.h"

#define MINUTE INT64_C(60000000000)
#define SOON INT64_C(2000000000)
#define LONGEST (6 * 60 * MINUTE)
#define LOST (60 * MINUTE) /* a scan that nobody reports the end of */
enum { KNOWN_MAX = 65536, WAYS = 3 };

static int no_room(struct hf_err *err)
{
    return hf_fail(err, -ENOMEM, "no memory for the images that wait to be scanned");
}

static char *copy(struct hf_span s)
{
    return hf_span_dupz(s);
}

static void wanted_free(struct wanted *w)
{
    free(w->digest);
    free(w->ref);
    free(w->box);
}

static struct wanted *find(struct hf_inv *v, struct hf_span digest)
{
    for (size_t i = 0; i < v->n_want; i++)
        if (hf_span_eqz(digest, v->want[i].digest))
            return &v->want[i];
    return NULL;
}

static int note(struct hf_inv *v, struct hf_span digest)
{
    uint64_t there;
    if (hf_map_get(&v->scanned, digest, &there))
        return 0;
    char *key = copy(digest);
    char **slot = key ? hf_grow((void **)&v->known, &v->n_known, &v->cap_known, sizeof *slot, KNOWN_MAX) : NULL;
    uint64_t *at = slot ? hf_map_at(&v->scanned, hf_span_z(key), NULL) : NULL;
    if (!at) {
        if (slot)
            v->n_known--;
        free(key);
        return slot || v->n_known < KNOWN_MAX ? -ENOMEM : 0; /* full: asked again after the next start, no harm */
    }
    *slot = key;
    *at = 1;
    return 1;
}

int hf_inv_want(struct hf_inv *v, struct hf_span ref, struct hf_span digest)
{
    struct wanted *w = find(v, digest);
    if (!hf_inv_digest_ok(digest) || ref.n > 1024)
        return HF_E_FORMAT;
    if (w) {
        w->not_before = 0;
        w->tries = 0;
        return 0;
    }
    w = hf_grow((void **)&v->want, &v->n_want, &v->cap_want, sizeof *w, HF_INV_WANTED_MAX);
    if (!w)
        return v->n_want >= HF_INV_WANTED_MAX ? HF_E_LIMIT : -ENOMEM;
    *w = (struct wanted){.digest = copy(digest), .ref = copy(ref), .box = copy(hf_span("", 0))};
    if (w->digest && w->ref && w->box)
        return 1;
    wanted_free(w);
    v->n_want--;
    return -ENOMEM;
}

struct scanned_at {
    int64_t when;
    bool named;
};

static int scanned_at(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    (void)running;
    *(struct scanned_at *)ctx = (struct scanned_at){i->scanned, i->name.n > 0};
    return 0;
}

int hf_inv_wanted_image(struct hf_inv *v, const struct box *b, struct hf_err *err)
{
    uint64_t known;
    struct hf_span digest = hf_span_z(b->digest), image = hf_span_z(b->image);
    struct scanned_at at = {0, false};
    if (hf_map_get(&v->scanned, digest, &known))
        return 0;
    int rc = hf_store_image_get(v->s, digest, scanned_at, &at, err);
    if (rc == 0) /* so that the image is there for its containers before it was scanned */
        rc = hf_store_image_put(v->s, &(struct hf_inv_image){.digest = digest, .name = image, .doc = HF_S("{}")}, err);
    if (rc < 0 || (!at.when && (rc = hf_inv_want(v, image, digest)) < 0 && rc != HF_E_LIMIT))
        return rc == -ENOMEM ? no_room(err) : rc;
    if (!at.when && rc == HF_E_LIMIT)
        return 0; /* too many wait: with the next container of it */
    if (!at.when) {
        struct wanted *w = find(v, digest);
        char *id = copy(hf_span_z(b->id));
        if (w && id) {
            free(w->box);
            w->box = id;
        } else {
            free(id);
        }
    }
    return note(v, digest) < 0 ? no_room(err) : !at.when;
}

/* ---- in and out ---- */

size_t hf_inv_waiting(const struct hf_inv *v)
{
    return v->n_want;
}

int hf_inv_wanted(struct hf_inv *v, int64_t now, struct hf_buf *ret_ref, struct hf_buf *ret_digest)
{
    struct wanted *best = NULL;
    for (size_t i = 0; i < v->n_want; i++) {
        struct wanted *w = &v->want[i];
        if (w->asked && now - w->asked_at > LOST)
            w->asked = false;
        if (!w->asked && w->not_before <= now && (!best || w->tries < best->tries))
            best = w;
    }
    if (!best)
        return 0;
    unsigned way = best->tries % WAYS;
    if (way == 1 && strlen(best->box) == 64)
        hf_buf_addf(ret_ref, "container:%s", best->box);
    else if (way == 2 && *best->ref)
        hf_buf_addz(ret_ref, best->ref);
    else
        hf_buf_addz(ret_ref, best->digest);
    hf_buf_addz(ret_digest, best->digest);
    best->asked = true;
    best->asked_at = now;
    return 1;
}

static int is_scanned(struct hf_inv *v, struct hf_span digest, bool *ret, struct hf_err *err)
{
    struct scanned_at at = {0, false};
    int rc = hf_store_image_get(v->s, digest, scanned_at, &at, err);
    *ret = at.when != 0;
    return rc < 0 ? rc : 0;
}

struct keeping {
    struct hf_buf doc, name;
    int64_t scanned;
};

static int keep(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    struct keeping *k = ctx;
    (void)running;
    hf_buf_adds(&k->doc, i->doc);
    hf_buf_adds(&k->name, i->name);
    k->scanned = i->scanned;
    return 0;
}

/* Why it could not be scanned, for people to see: a member of the image's document. */
static int tell(struct hf_inv *v, struct hf_span digest, struct hf_span why, struct hf_err *err)
{
    struct keeping k = {.doc = HF_BUF_INIT(HF_STORE_DOC_MAX), .name = HF_BUF_INIT(HF_STORE_DOC_MAX)};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    hf_autobuf out = HF_BUF_INIT(HF_STORE_DOC_MAX), safe = HF_BUF_INIT(8192);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_jw w;
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, v->s, err);
    rc = rc < 0 ? rc : hf_store_image_get(v->s, digest, keep, &k, err);
    if (rc > 0) {
        const cJSON *old = hf_json_parse(hf_buf_span(&k.doc), &d, &ignored) == 0 ? hf_json_root(d) : NULL;
        hf_jw_init(&w, &out, false);
        hf_jw_object(&w);
        for (const cJSON *m = cJSON_IsObject(old) ? old->child : NULL; m; m = m->next)
            if (m->string && strcmp(m->string, "scan_error") != 0) {
                hf_jw_key(&w, m->string);
                hf_inv_write(&w, m);
            }
        if (why.n) {
            hf_buf_add_escaped(&safe, hf_span_sub(why, 0, 1000), 0);
            hf_jw_kstr(&w, "scan_error", hf_buf_span(&safe));
        }
        hf_jw_object_end(&w);
        rc = hf_store_image_put(v->s, &(struct hf_inv_image){.digest = digest, .name = hf_buf_span(&k.name), .doc = hf_buf_span(&out), .scanned = k.scanned}, err);
    }
    rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
    hf_buf_done(&k.doc);
    hf_buf_done(&k.name);
    return rc;
}

int hf_inv_scanned(struct hf_inv *v, struct hf_span digest, struct hf_span why, int64_t now, struct hf_err *err)
{
    struct wanted *w = find(v, digest);
    bool there = false;
    int rc = why.n ? 0 : is_scanned(v, digest, &there, err);
    if (rc < 0)
        return rc;
    if (there) {
        if (w) {
            wanted_free(w);
            *w = v->want[--v->n_want];
        }
        return 0;
    }
    if (!why.n)
        why = HF_S("the scan was of another image: its name means another by now, or what was scanned has no digest");
    if (w) {
        w->asked = false;
        w->tries++;
        int64_t pause = w->tries < WAYS ? SOON : MINUTE << HF_MIN(w->tries - WAYS, 9u); /* each way once before it is left in peace */
        w->not_before = now + HF_MIN(pause, LONGEST);
    }
    return tell(v, digest, why, err);
}

static int not_scanned(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    struct hf_inv *v = ctx;
    if (i->scanned || !running)
        return 0;
    int rc = hf_inv_want(v, hf_span_sub(i->name, 0, 1024), i->digest);
    return rc == HF_E_LIMIT || rc == HF_E_FORMAT ? 0 : HF_MIN(rc, 0);
}

/* Images that containers ran of when this process ended, and that nobody has scanned since. */
int hf_inv_wanted_load(struct hf_inv *v, struct hf_err *err)
{
    int rc = hf_store_image_list(v->s, hf_span(NULL, 0), HF_STORE_LIST_MAX, not_scanned, v, err);
    return rc == -ENOMEM ? no_room(err) : rc;
}

void hf_inv_wanted_done(struct hf_inv *v)
{
    for (size_t i = 0; i < v->n_want; i++)
        wanted_free(&v->want[i]);
    for (size_t i = 0; i < v->n_known; i++)
        free(v->known[i]);
    free(v->want);
    free(v->known);
    hf_map_done(&v->scanned);
}
