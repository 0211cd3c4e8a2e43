/* SPDX-License-Identifier: Apache-2.0 */
#include "image/stream.h"

#include <errno.h>

#include "base/json.h"
#include "image/image-internal.h"
#include "image/tar-walk.h"

enum {
    MAX_MEMBERS = 100000,
    MAX_DOCUMENT = 8 << 20,
    MAX_DOCUMENTS = 4096,          /* old archives have one a layer beside manifest and config */
    MAX_DOCUMENT_BYTES = 24 << 20, /* of all together; they are only wanted for created_by */
    HEAD = 512,                    /* a tar header: tells layers from documents */
};

/* A layer met in the archive, kept until the end of a possible second pass. */
struct blob {
    struct hf_layer_result result;
    struct hf_walk *walk;
    char *name;
    size_t layer;
    bool again;
    struct blob *next;
};

struct document {
    struct hf_span name, text;
};

struct stream {
    struct hf_image *img;
    const struct hf_layer_opts *o;
    struct hf_streamed *v;
    struct hf_cat_scratch scratch;
    void *source; /* the export being read */
    struct blob *blobs;
    struct hf_arena arena; /* of documents */
    struct document *documents;
    size_t n_documents, cap_documents;
    bool second;
    int broken; /* the archive itself could not be read on, as opposed to a damaged layer in it */
    struct hf_err why;
};

/* The content of one member, or the whole stream, as the inflater asks for it. */
struct member {
    struct stream *s;
    struct hf_tar *tar; /* NULL: the stream itself */
    char head[HEAD];
    size_t n_head, head_at;
    struct hf_span piece;
    uint64_t off;
    bool end;
};

static int broke(struct stream *s, int rc, struct hf_err *err)
{
    if (!s->broken) {
        s->broken = rc;
        if (err)
            s->why = *err;
    }
    return rc;
}

static int fill(struct member *m, struct hf_err *err)
{
    uint64_t at = m->off;
    if (m->end || m->piece.n)
        return 0;
    int rc = m->tar ? hf_tar_read(m->tar, &m->piece, &at, err) : m->s->img->stream->pull(m->s->source, &m->piece, err);
    if (rc == 1 && at != m->off)
        rc = hf_fail(err, HF_E_FORMAT, "a sparse layer in the export");
    if (rc < 0)
        return broke(m->s, rc, err);
    if (rc == 0) {
        m->end = true;
        m->piece.n = 0;
    }
    m->off += m->piece.n;
    return 0;
}

static int member_read(void *ctx, void *buf, size_t cap, size_t *ret, struct hf_err *err)
{
    struct member *m = ctx;
    size_t n = HF_MIN(cap, m->n_head - m->head_at);
    memcpy(buf, m->head + m->head_at, n);
    m->head_at += n;
    while (n < cap && !m->end) {
        int rc = fill(m, err);
        if (rc < 0)
            return rc;
        size_t part = HF_MIN(cap - n, m->piece.n);
        if (part)
            memcpy((char *)buf + n, m->piece.p, part);
        m->piece = hf_span_from(m->piece, part);
        n += part;
    }
    *ret = n;
    return 0;
}

static int read_head(struct member *m, struct hf_err *err)
{
    size_t n;
    int rc = member_read(m, m->head, HEAD, &n, err);
    m->n_head = n;
    m->head_at = 0;
    return rc;
}

/* JSON, or too short for a tar: not a layer.  A name in a tar may begin with '{' too, so its magic (at 257) decides. */
static bool is_document(const struct member *m, uint64_t size)
{
    bool tar = m->n_head >= 262 && memcmp(m->head + 257, "ustar", 5) == 0;
    bool packed = m->n_head > 4 && ((m->head[0] == '\x1f' && m->head[1] == '\x8b') || memcmp(m->head, "\x28\xb5\x2f\xfd", 4) == 0);
    return !tar && !packed && (size < HEAD || m->head[0] == '{' || m->head[0] == '[');
}

static int keep_document(struct stream *s, const struct hf_tar_entry *e, struct member *m, struct hf_err *err)
{
    if (s->second || e->size > MAX_DOCUMENT)
        return 0;
    struct document d;
    char *p = hf_arena_alloc(&s->arena, (size_t)e->size + 1);
    size_t n = 0;
    if (!p || hf_arena_dup(&s->arena, e->path, &d.name) < 0)
        return 0; /* created_by stays unknown, as when the archive has no config */
    int rc = member_read(m, p, (size_t)e->size, &n, err);
    if (rc < 0)
        return rc;
    d.text = hf_span(p, n);
    struct document *slot = hf_grow((void **)&s->documents, &s->n_documents, &s->cap_documents, sizeof *slot, MAX_DOCUMENTS);
    if (slot)
        *slot = d;
    return 0;
}

/* New archives name plain layers by their digest: those known already need not be read. */
static bool known_by_name(const struct stream *s, struct hf_span path)
{
    char text[HF_DIGEST_TEXT];
    struct hf_span hex = hf_span_basename(path);
    for (size_t i = 0; i < s->img->n_layers; i++) {
        hf_digest_text(&s->img->layers[i].diff_id, text);
        if (s->v[i].known && hex.n == 64 && strlen(text) == 7 + 64 && memcmp(text + 7, hex.p, 64) == 0)
            return true;
    }
    return false;
}

static void free_blob(struct blob *b)
{
    if (!b)
        return;
    if (b->walk && hf_layer_end(b->walk, NULL) < 0) {
        /* given up: nothing of it is used */
    }
    hf_record_done(&b->result.rec);
    free(b->name);
    free(b);
}

/* Which wanted layer has this content; n_layers: none. */
static size_t layer_of(const struct stream *s, const struct hf_digest *d)
{
    size_t i = 0;
    while (i < s->img->n_layers && (s->v[i].known || s->v[i].got || !d->n || !hf_digest_eq(&s->img->layers[i].diff_id, d)))
        i++;
    return i;
}

static int first_pass(struct stream *s, struct hf_span name, struct member *m, enum hf_compression kind, struct hf_err *err)
{
    struct blob *b = calloc(1, sizeof *b);
    if (b) {
        b->name = hf_span_dupz(name);
        b->walk = hf_layer_begin(s->o, &s->scratch, &b->result);
    }
    if (!b || !b->walk || !b->name) {
        free_blob(b);
        return hf_fail(err, -ENOMEM, "out of memory");
    }
    struct hf_err why = HF_ERR_INIT;
    int rc = hf_layer_stream(b->walk, member_read, m, kind, &b->result.diff_id, &why);
    b->layer = s->img->stream->archive ? layer_of(s, &b->result.diff_id) : 0;
    if (s->broken || b->layer == s->img->n_layers) {
        free_blob(b);
        return s->broken; /* else: not of this image, or there already */
    }
    struct hf_streamed *v = &s->v[b->layer];
    v->got = true;
    v->rc = rc;
    v->err = why;
    b->again = rc >= 0 && hf_layer_again(b->walk);
    b->next = s->blobs;
    s->blobs = b;
    return 0;
}

static int second_pass(struct stream *s, struct hf_span name, struct member *m, enum hf_compression kind)
{
    struct blob *b = s->blobs;
    while (b && !(b->again && hf_span_eqz(name, b->name)))
        b = b->next;
    if (!b)
        return 0;
    struct hf_streamed *v = &s->v[b->layer];
    struct hf_digest got = {.n = 0};
    b->again = false;
    v->rc = hf_layer_stream(b->walk, member_read, m, kind, &got, &v->err);
    if (!s->broken && v->rc >= 0 && s->img->stream->archive && !hf_digest_eq(&got, &b->result.diff_id))
        v->rc = hf_fail(&v->err, HF_E_DIGEST, "the layer changed between two exports");
    return s->broken;
}

static int layer(struct stream *s, struct hf_span name, struct member *m, struct hf_err *err)
{
    enum hf_compression kind = HF_PLAIN;
    unsigned char head[6] = {0};
    memcpy(head, m->head, HF_MIN(m->n_head, sizeof head));
    if (s->img->stream->archive && hf_compression_of_head(head, &kind, &s->why) < 0)
        return 0; /* its absence is reported with this reason */
    return s->second ? second_pass(s, name, m, kind) : first_pass(s, name, m, kind, err);
}

static int on_member(void *ctx, const struct hf_tar_entry *e, struct hf_tar *t, struct hf_err *err)
{
    struct stream *s = ctx;
    struct member m = {.s = s, .tar = t};
    if (e->type != HF_TAR_FILE || e->size == 0 || known_by_name(s, e->path))
        return 0;
    int rc = read_head(&m, err);
    if (rc < 0)
        return rc;
    return is_document(&m, e->size) ? keep_document(s, e, &m, err) : layer(s, e->path, &m, err);
}

static int pull(void *ctx, struct hf_span *ret, struct hf_err *err)
{
    struct stream *s = ctx;
    int rc = s->img->stream->pull(s->source, ret, err);
    return rc < 0 ? broke(s, rc, err) : rc;
}

/* The export once from its beginning to its end. */
static int pass(struct stream *s, struct hf_err *err)
{
    const struct hf_image_stream *from = s->img->stream;
    int rc = from->open(from, &s->source, err);
    if (rc < 0)
        return rc;
    if (from->archive) {
        struct hf_tar_limits limits = {.max_entries = MAX_MEMBERS};
        struct hf_span rest;
        rc = hf_tar_walk_pull(pull, s, on_member, s, &limits, err);
        while (rc >= 0 && (rc = pull(s, &rest, err)) == 1)
            ; /* only its end says that it is whole */
    } else {
        struct member m = {.s = s};
        rc = read_head(&m, err);
        if (rc >= 0)
            rc = layer(s, HF_S(""), &m, err);
    }
    if (s->broken) {
        rc = s->broken;
        if (err && s->why.msg[0])
            *err = s->why;
    }
    from->close(s->source);
    return rc;
}

static const struct document *document(const struct stream *s, struct hf_span name)
{
    for (size_t i = s->n_documents; name.n && i > 0; i--)
        if (hf_span_eq(s->documents[i - 1].name, name))
            return &s->documents[i - 1];
    return NULL;
}

static bool of_this_image(const struct hf_image *img, struct hf_span config)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    size_t i = 0;
    if (hf_json_parse(config, &doc, NULL) < 0)
        return false;
    HF_JFOREACH(id, hf_jget(hf_jget(hf_json_root(doc), "rootfs"), "diff_ids")) {
        struct hf_digest d;
        if (i == img->n_layers || hf_digest_parse(hf_jstr(id), &d) < 0 || !hf_digest_eq(&d, &img->layers[i].diff_id))
            return false;
        i++;
    }
    return i == img->n_layers;
}

/* created_by from the config that the manifest names; an archive of several platforms has more than one. */
static int read_config(struct stream *s, struct hf_err *err)
{
    const struct document *manifest = document(s, HF_S("manifest.json"));
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    if (!manifest || hf_json_parse(manifest->text, &doc, NULL) < 0)
        return 0;
    HF_JFOREACH(entry, hf_json_root(doc)) {
        const struct document *config = document(s, hf_jgetstr(entry, "Config"));
        if (config && of_this_image(s->img, config->text))
            return hf_oci_config(s->img, config->text, err);
    }
    return 0;
}

static int all_there(struct stream *s, struct hf_err *err)
{
    char text[HF_DIGEST_TEXT];
    for (size_t i = 0; i < s->img->n_layers; i++)
        if (!s->v[i].known && !s->v[i].got)
            return hf_fail(err, HF_E_DIGEST, "layer %zu: nothing the daemon exported has the content %s%s%s", i + 1,
                    hf_digest_text(&s->img->layers[i].diff_id, text), s->why.msg[0] ? "; " : "", s->why.msg);
    return 0;
}

int hf_stream_layers(struct hf_image *img, const struct hf_layer_opts *o, struct hf_streamed *v, struct hf_err *err)
{
    struct stream s = {.img = img, .o = o, .v = v};
    hf_buf_init(&s.scratch.file, o->max_scratch);
    hf_buf_init(&s.scratch.other, o->max_scratch / 2);
    hf_arena_init(&s.arena, MAX_DOCUMENT_BYTES);
    int rc = pass(&s, err);
    if (rc >= 0)
        rc = all_there(&s, err);
    if (rc >= 0 && img->stream->archive)
        rc = read_config(&s, err);
    for (const struct blob *b = s.blobs; b && rc >= 0 && !s.second; b = b->next)
        s.second = b->again;
    if (rc >= 0 && s.second)
        rc = pass(&s, err);
    while (s.blobs) {
        struct blob *b = s.blobs;
        struct hf_err why = HF_ERR_INIT;
        s.blobs = b->next;
        int ended = hf_layer_end(hf_take(b->walk), &why);
        if (v[b->layer].rc >= 0 && ended < 0) {
            v[b->layer].rc = ended;
            v[b->layer].err = why;
        }
        v[b->layer].result = b->result;
        free(b->name);
        free(b);
    }
    free(s.documents);
    hf_arena_done(&s.arena);
    hf_buf_done(&s.scratch.file);
    hf_buf_done(&s.scratch.other);
    return rc;
}
