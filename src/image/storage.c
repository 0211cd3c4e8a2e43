/* SPDX-License-Identifier: Apache-2.0 */
/* Images in containers/storage, which podman, CRI-O, buildah and skopeo share, read from the disk (docs/formats/local-images.md).
 *
 * The store has no layer's tar, but all that is needed to put it together again: tar-split's list of headers and the files.  So layers come as a stream whose digests are
 * checked, whatever the storage driver; where that list is missing (layers pulled in parts) the folders of overlay are read as they are, and it is said. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "base/fs.h"
#include "base/json.h"
#include "formats/tarsplit/tarsplit.h"
#include "image/image-internal.h"
#include "image/inflate.h"
#include "image/local.h"

enum {
    PATH_BYTES = 8192,
    LIST_MAX = 32 << 20,    /* bytes of a list of all images or layers */
    LIST_MEMORY = 256 << 20,
    DOCUMENT_MAX = 8 << 20,
    LAYERS_MAX = 1000,
    BIG_DATA_MAX = 64,      /* documents of an image that are looked at for an index */
    PIECE = 64 << 10,
    SEGMENTS_MAX = HF_TARSPLIT_LINE_MAX,
};
#define USUAL_ROOT "/var/lib/containers/storage"
#define SETTINGS_DIR "/etc/containers"
#define SETTINGS SETTINGS_DIR "/storage.conf"

static const struct driver {
    const char *name;
    bool overlay; /* a folder holds what the layer changes, with overlay's marks; else all that is there with it */
} drivers[] = {{"overlay", true}, {"vfs", false}};

static int read_list(const char *path, struct hf_json_doc **ret, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(LIST_MAX);
    hf_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : hf_fail(err, -errno, "%s: %s", path, hf_err_name(-errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return hf_fail(err, HF_E_UNSUPPORTED, "%s is not a file", path);
    int rc = hf_read_fd(fd, &text, err);
    rc = rc < 0 ? rc : hf_json_parse_within(hf_buf_span(&text), LIST_MEMORY, ret, err);
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : 1;
}

/* ---- which store, which image ---- */

/* graphroot = "..." of storage.conf (TOML), when it stands on a line of its own. */
static void set_root(struct hf_buf *ret)
{
    hf_autobuf text = HF_BUF_INIT(1 << 20);
    struct hf_span rest, line, value;
    if (hf_read_file(SETTINGS, &text, NULL) < 0)
        return;
    for (rest = hf_buf_span(&text); hf_span_line(&rest, &line);) {
        line = hf_span_trim(line);
        if (!hf_span_starts(line, HF_S("graphroot")))
            continue;
        value = hf_span_trim(hf_span_from(line, 9));
        if (value.n < 4 || value.p[0] != '=')
            continue;
        value = hf_span_trim(hf_span_from(value, 1));
        size_t end = value.n > 2 && value.p[0] == '"' ? hf_span_find(hf_span_from(value, 1), '"') : SIZE_MAX;
        if (end == SIZE_MAX || value.p[1] != '/')
            continue;
        hf_buf_clear(ret);
        hf_buf_adds(ret, hf_span_sub(value, 1, end));
    }
}

/* Where the store of whoever asks lies. */
static int root_of(const struct hf_image_opts *o, struct hf_buf *ret, struct hf_err *err)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    hf_buf_clear(ret);
    if (o->storage_root && *o->storage_root) {
        hf_buf_addz(ret, o->storage_root);
    } else if (geteuid() == 0) {
        hf_buf_addz(ret, USUAL_ROOT);
        set_root(ret);
    } else if (data && *data == '/') {
        hf_buf_addf(ret, "%s/containers/storage", data);
    } else if (home && *home == '/') {
        hf_buf_addf(ret, "%s/.local/share/containers/storage", home);
    } else {
        return hf_fail(err, HF_E_NOT_FOUND, "where this user's images are is not known: neither XDG_DATA_HOME nor HOME is set");
    }
    return hf_buf_ok(ret) && ret->n < PATH_BYTES / 2 ? 0 : hf_fail(err, HF_E_LIMIT, "the name of the store is too long");
}

struct finder {
    struct hf_local local;
    struct hf_buf root;
    unsigned stores;
};

/* Ids become parts of paths. */
static bool is_id(struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!memchr("0123456789abcdef", s.p[i], 16))
            return false;
    return s.n == 64;
}

/* Whether the image fits by one of its names, its id, or the digest of a manifest or index. */
static int one_image(struct finder *f, size_t driver, hf_jnode i, struct hf_err *err)
{
    struct hf_span id = hf_jgetstr(i, "id"), best = hf_jstr(hf_jfirst(hf_jget(i, "names")));
    hf_autobuf place = HF_BUF_INIT(256);
    unsigned fit = 0;
    if (!is_id(id) || !is_id(hf_jgetstr(i, "layer")))
        return 0; /* a list of images (podman manifest create) has no layer */
    HF_JFOREACH(name, hf_jget(i, "names")) {
        unsigned this = hf_local_name(&f->local, hf_jstr(name));
        best = this > fit ? hf_jstr(name) : best;
        fit = HF_MAX(fit, this);
    }
    unsigned by[] = {hf_local_digest(&f->local, id), hf_local_digest(&f->local, hf_jgetstr(i, "digest"))};
    fit = HF_MAX(fit, HF_MAX(by[0], by[1]));
    HF_JFOREACH(name, hf_jget(i, "big-data-names"))
        if (hf_span_starts(hf_jstr(name), HF_S("manifest-sha256:"))) {
            unsigned this = hf_local_digest(&f->local, hf_span_from(hf_jstr(name), 9));
            fit = HF_MAX(fit, this);
        }
    hf_buf_addf(&place, "%zu %.*s", driver, HF_SPAN_ARG(id));
    return hf_local_found(&f->local, fit, id, best.n ? best : id, hf_buf_span(&place), err);
}

static int list_of(const struct finder *f, const struct driver *d, const char *what, struct hf_json_doc **ret, struct hf_err *err)
{
    hf_autobuf path = HF_BUF_INIT(PATH_BYTES);
    hf_buf_addf(&path, "%.*s/%s-%s/%s.json", (int)f->root.n, f->root.p, d->name, what, what);
    return read_list(hf_buf_z(&path), ret, err);
}

/* 1 and the image in f->local. */
static int find(struct finder *f, const char *ref, const struct hf_image_opts *o, struct hf_err *err)
{
    hf_buf_init(&f->root, PATH_BYTES);
    int rc = hf_local_init(&f->local, hf_span_z(ref), err);
    rc = rc < 0 ? rc : root_of(o, &f->root, err);
    for (size_t i = 0; i < HF_ARRAY_LEN(drivers) && rc >= 0; i++) {
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
        rc = list_of(f, &drivers[i], "images", &doc, err);
        f->stores += rc > 0;
        HF_JFOREACH(image, hf_json_root(doc))
            rc = rc < 0 ? rc : one_image(f, i, image, err);
    }
    rc = rc < 0 ? rc : hf_local_end(&f->local, "containers/storage", err);
    if (rc == 0 && !f->stores)
        (void)hf_fail(err, -ENOENT, "there are no images of podman or CRI-O in %.300s", hf_buf_z(&f->root));
    else if (rc == 0)
        (void)hf_fail(err, HF_E_NOT_FOUND, "podman and CRI-O have no image \"%.200s\" in %.200s; they have what \"podman images\" lists", ref, hf_buf_z(&f->root));
    return rc;
}

static void done(struct finder *f)
{
    hf_local_done(&f->local);
    hf_buf_done(&f->root);
}

/* With what says where it is. */
void hf_storage_roots(const struct hf_image_opts *o, struct hf_buf *ret)
{
    hf_autobuf root = HF_BUF_INIT(PATH_BYTES);
    if (root_of(o, &root, NULL) < 0)
        return;
    hf_buf_adds(ret, hf_buf_span(&root));
    hf_buf_add(ret, "\0" SETTINGS_DIR, sizeof "\0" SETTINGS_DIR);
}

int hf_storage_has_image(const char *ref, const struct hf_image_opts *o, struct hf_err *err)
{
    struct finder f = {.stores = 0};
    int rc = find(&f, ref, o, err);
    done(&f);
    return rc;
}

/* ---- the image's documents ---- */

struct layer {
    struct hf_span id, dir, split; /* dir: its files; split: tar-split's list; each with a NUL behind it */
    uint64_t size;                 /* of its tar, bytes; 0: not known */
};

struct stored {
    struct hf_image *img;
    const struct hf_image_opts *o;
    const struct driver *d;
    struct hf_span root, id;
    struct layer *layers;
    struct hf_image_stream stream;
};

/* Files of an image are called as what they are, or by base64 of it when that holds more than lower-case letters, digits and dots. */
static int big_data(const struct stored *s, struct hf_span key, struct hf_buf *out, struct hf_err *err)
{
    hf_autobuf path = HF_BUF_INIT(PATH_BYTES);
    bool plain = true;
    for (size_t i = 0; i < key.n; i++)
        plain &= memchr("abcdefghijklmnopqrstuvwxyz0123456789.", key.p[i], 37) != NULL;
    hf_buf_addf(&path, "%.*s/%s-images/%.*s/", HF_SPAN_ARG(s->root), s->d->name, HF_SPAN_ARG(s->id));
    if (plain) {
        hf_buf_adds(&path, key);
    } else {
        hf_buf_addc(&path, '=');
        hf_base64(key, &path);
    }
    hf_buf_clear(out);
    return hf_buf_ok(&path) ? hf_read_file(hf_buf_z(&path), out, err) : hf_fail(err, HF_E_LIMIT, "the name of a file of the store is too long");
}

static int checked(const struct hf_image_opts *o, struct hf_span text, const struct hf_digest *want, const char *what, struct hf_digest *ret, struct hf_err *err)
{
    char a[HF_DIGEST_TEXT], b[HF_DIGEST_TEXT];
    hf_digest_of(want->n ? want->kind : HF_SHA256, text, ret);
    if (!o->verify || !want->n || hf_digest_eq(want, ret))
        return 0;
    return hf_fail(err, HF_E_DIGEST, "%s: expected %s but the content is %s", what, hf_digest_text(want, a), hf_digest_text(ret, b));
}

static int documents(struct stored *s, const struct hf_digest *want, struct hf_err *err)
{
    hf_autobuf manifest = HF_BUF_INIT(DOCUMENT_MAX), config = HF_BUF_INIT(DOCUMENT_MAX);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_digest of_config;
    size_t i = 0;
    int rc = big_data(s, HF_S("manifest"), &manifest, err);
    rc = rc < 0 ? rc : checked(s->o, hf_buf_span(&manifest), want, "the manifest", &s->img->digest, err);
    rc = rc < 0 ? rc : hf_json_parse(hf_buf_span(&manifest), &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "manifest of image %.64s", s->id.p);
    hf_jnode root = hf_json_root(doc);
    struct hf_span name = hf_jgetstr(hf_jget(root, "config"), "digest");
    if (hf_digest_parse(name, &of_config) < 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "the image's manifest names no config: it is of a format before docker's schema 2");
    rc = big_data(s, name, &config, err);
    rc = rc < 0 ? rc : checked(s->o, hf_buf_span(&config), &of_config, "the config", &s->img->config, err);
    rc = rc < 0 ? rc : hf_oci_config(s->img, hf_buf_span(&config), err);
    if (rc < 0)
        return hf_wrap(err, rc, "config of image %.64s", s->id.p);
    HF_JFOREACH(l, hf_jget(root, "layers")) { /* what it was pulled as; built images have none */
        if (i < s->img->n_layers && hf_digest_parse(hf_jgetstr(l, "digest"), &s->img->layers[i].digest) < 0)
            s->img->layers[i].digest.n = 0;
        i++;
    }
    return 0;
}

/* The index that the manifest was taken from is kept beside it, under its own digest. */
static void find_index(struct stored *s, hf_jnode image)
{
    char own[HF_DIGEST_TEXT];
    unsigned n = 0;
    hf_digest_text(&s->img->digest, own);
    HF_JFOREACH(name, hf_jget(image, "big-data-names")) {
        hf_autobuf text = HF_BUF_INIT(DOCUMENT_MAX);
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
        struct hf_digest d, got;
        struct hf_span key = hf_jstr(name);
        if (!hf_span_starts(key, HF_S("manifest-sha256:")) || ++n > BIG_DATA_MAX || hf_digest_parse(hf_span_from(key, 9), &d) < 0 || hf_digest_eq(&d, &s->img->digest) ||
                big_data(s, key, &text, NULL) < 0)
            continue;
        hf_digest_of(d.kind, hf_buf_span(&text), &got);
        if (!hf_digest_eq(&d, &got) || hf_json_parse(hf_buf_span(&text), &doc, NULL) < 0)
            continue;
        HF_JFOREACH(m, hf_jget(hf_json_root(doc), "manifests"))
            if (hf_span_eqz(hf_jgetstr(m, "digest"), own))
                s->img->index = d;
    }
}

/* ---- its layers ---- */

static int one_layer(struct stored *s, size_t i, hf_jnode node, struct hf_err *err)
{
    hf_autobuf dir = HF_BUF_INIT(PATH_BYTES), split = HF_BUF_INIT(PATH_BYTES);
    struct layer *l = &s->layers[i];
    struct hf_digest d;
    double size = 0;
    struct hf_span id = hf_jgetstr(node, "id"), diff = hf_jgetstr(node, "diff-digest");
    if (hf_digest_parse(diff, &d) == 0 && !hf_digest_eq(&d, &s->img->layers[i].diff_id))
        return hf_fail(err, HF_E_DIGEST, "layer %zu: the store has %.*s there, the config another", i + 1, HF_SPAN_ARG(hf_span_sub(diff, 0, 71)));
    if (hf_jnum(hf_jget(node, "diff-size"), &size) && size >= 1024 && size < 9e15)
        l->size = (uint64_t)size;
    hf_buf_addf(&dir, "%.*s/", HF_SPAN_ARG(s->root));
    hf_buf_addf(&dir, s->d->overlay ? "overlay/%.*s/diff" : "vfs/dir/%.*s", HF_SPAN_ARG(id));
    hf_buf_addf(&split, "%.*s/%s-layers/%.*s.tar-split.gz", HF_SPAN_ARG(s->root), s->d->name, HF_SPAN_ARG(id));
    int rc = hf_image_dup(s->img, id, &l->id, err);
    rc = rc < 0 ? rc : hf_image_dup(s->img, hf_buf_span(&dir), &l->dir, err);
    return rc < 0 ? rc : hf_image_dup(s->img, hf_buf_span(&split), &l->split, err);
}

/* From the topmost down: each names the one below. */
static int chain(struct stored *s, hf_jnode list, struct hf_span top, struct hf_err *err)
{
    hf_automap by_id = {NULL, 0, 0};
    size_t i = s->img->n_layers;
    s->layers = hf_arena_calloc(&s->img->arena, i + 1, sizeof *s->layers);
    if (!s->layers)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    HF_JFOREACH(l, list) {
        uint64_t *slot = is_id(hf_jgetstr(l, "id")) ? hf_map_at(&by_id, hf_jgetstr(l, "id"), NULL) : NULL;
        if (slot)
            *slot = (uint64_t)(uintptr_t)l;
    }
    for (struct hf_span id = top; id.n;) {
        uint64_t at;
        if (!hf_map_get(&by_id, id, &at))
            return hf_fail(err, HF_E_NOT_FOUND, "the store has no layer %.64s any longer", id.p);
        hf_jnode l = (hf_jnode)(uintptr_t)at;
        int rc = i ? one_layer(s, --i, l, err) : hf_fail(err, HF_E_FORMAT, "the store has more layers of the image than its config");
        if (rc < 0)
            return rc;
        id = hf_jgetstr(l, "parent");
    }
    return i ? hf_fail(err, HF_E_FORMAT, "the store has %zu layers less of the image than its config", i) : 0;
}

/* ---- a layer's tar, put together ---- */

struct putting {
    const struct stored *s;
    size_t i;          /* layer at hand */
    bool open;         /* it was begun */
    uint64_t left;     /* of its tar, bytes */
    int dir, split, file;
    uint64_t file_left;
    struct hf_inflate *in;
    struct hf_span lines; /* the block at hand */
    struct hf_buf line, segment;
    char piece[PIECE];
    bool ended;
};

static void close_layer(struct putting *p)
{
    hf_inflate_stop(p->in);
    p->in = NULL;
    p->lines = hf_span(NULL, 0);
    hf_closep(&p->dir);
    hf_closep(&p->split);
    hf_closep(&p->file);
    p->open = false;
}

static void put_close(void *stream)
{
    struct putting *p = stream;
    if (!p)
        return;
    close_layer(p);
    hf_buf_done(&p->line);
    hf_buf_done(&p->segment);
    free(p);
}

static int put_open(const struct hf_image_stream *stream, void **ret, struct hf_err *err)
{
    struct putting *p = calloc(1, sizeof *p);
    if (!p)
        return hf_fail(err, -ENOMEM, "out of memory");
    p->s = stream->ctx;
    p->dir = p->split = p->file = -1;
    hf_buf_init(&p->line, HF_TARSPLIT_LINE_MAX);
    hf_buf_init(&p->segment, SEGMENTS_MAX);
    *ret = p;
    return 0;
}

/* A header of the archive that the layers are handed on in (POSIX ustar; sizes from 8 GiB on as GNU's base-256). */
static void member_header(const struct putting *p, char out[512])
{
    unsigned sum = 0;
    const struct layer *l = &p->s->layers[p->i];
    memset(out, 0, 512);
    snprintf(out, 100, "%.64s.tar", l->id.p);
    memcpy(out + 100, "0000644\0" "0000000\0" "0000000", 24);
    if (l->size < UINT64_C(1) << 33) {
        snprintf(out + 124, 12, "%011llo", (unsigned long long)l->size);
    } else {
        out[124] = (char)0x80;
        for (int i = 0; i < 8; i++)
            out[135 - i] = (char)(l->size >> (8 * i));
    }
    memcpy(out + 136, "00000000000", 12);
    memset(out + 148, ' ', 8);
    out[156] = '0';
    memcpy(out + 257, "ustar\0" "00", 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)out[i];
    snprintf(out + 148, 8, "%06o", sum);
}

static int begin_layer(struct putting *p, struct hf_err *err)
{
    const struct layer *l = &p->s->layers[p->i];
    struct stat st;
    static const struct hf_inflate_opts plain = {.max_output = 0};
    p->dir = open(l->dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir < 0)
        return hf_fail(err, -errno, "%.300s: %s", l->dir.p, hf_err_name(-errno));
    p->split = open(l->split.p, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (p->split < 0 || fstat(p->split, &st) < 0)
        return hf_fail(err, -errno, "%.300s: %s", l->split.p, hf_err_name(-errno));
    p->left = l->size;
    p->open = true;
    return hf_inflate_start(&p->in, p->split, 0, (uint64_t)st.st_size, HF_GZIP, &plain, err);
}

/* The next line into p->line: 1, 0 at the end. */
static int next_line(struct putting *p, struct hf_err *err)
{
    hf_buf_clear(&p->line);
    for (;;) {
        size_t at = p->lines.n ? hf_span_find(p->lines, '\n') : SIZE_MAX;
        hf_buf_adds(&p->line, hf_span_sub(p->lines, 0, at == SIZE_MAX ? p->lines.n : at));
        if (!hf_buf_ok(&p->line))
            return hf_fail(err, HF_E_LIMIT, "tar-split: a line of over %d bytes", HF_TARSPLIT_LINE_MAX);
        if (at != SIZE_MAX) {
            p->lines = hf_span_from(p->lines, at + 1);
            return 1;
        }
        int rc = hf_inflate_pull(p->in, &p->lines, err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            return p->line.n > 0;
    }
}

static int open_file(struct putting *p, uint64_t size, struct hf_err *err)
{
    struct stat st;
    struct hf_span name = hf_buf_span(&p->segment);
    p->file = hf_open_in_root(p->dir, name, O_RDONLY | O_NOFOLLOW, NULL);
    if (p->file < 0)
        return hf_fail(err, p->file == -EACCES || p->file == -EPERM ? p->file : HF_E_DIGEST, "%.*s: %s: it is not there as it was unpacked", (int)HF_MIN(name.n, (size_t)300), name.p, hf_err_name(p->file));
    if (fstat(p->file, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size) {
        hf_closep(&p->file);
        return hf_fail(err, HF_E_DIGEST, "%.*s has not the %llu bytes it was unpacked with: the store was changed", (int)HF_MIN(name.n, (size_t)300), name.p, (unsigned long long)size);
    }
    p->file_left = size;
    return 0;
}

/* Bytes of the file at hand. */
static int file_piece(struct putting *p, struct hf_span *ret, struct hf_err *err)
{
    ssize_t n;
    do
        n = read(p->file, p->piece, (size_t)HF_MIN(p->file_left, (uint64_t)PIECE));
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return hf_fail(err, n < 0 ? -errno : HF_E_TRUNCATED, "a file of the layer: %s", n < 0 ? hf_err_name(-errno) : "it became shorter while it was read");
    *ret = hf_span(p->piece, (size_t)n);
    p->file_left -= (uint64_t)n;
    if (!p->file_left)
        hf_closep(&p->file);
    return 1;
}

/* The next bytes of the layer's tar: 1, 0 at its end. */
static int layer_piece(struct putting *p, struct hf_span *ret, struct hf_err *err)
{
    while (p->file_left == 0) {
        struct hf_tarsplit t;
        int rc = next_line(p, err);
        rc = rc <= 0 ? rc : hf_tarsplit_read(hf_buf_span(&p->line), &t, &p->segment, err);
        if (rc < 0 || (rc == 0 && !p->line.n))
            return rc;
        if (t.file)
            rc = t.size ? open_file(p, t.size, err) : 0;
        if (rc < 0)
            return rc;
        if (!t.file && p->segment.n) {
            *ret = hf_buf_span(&p->segment);
            return 1;
        }
    }
    return file_piece(p, ret, err);
}

static int layer_bytes(struct putting *p, struct hf_span *ret, struct hf_err *err)
{
    const struct layer *l = &p->s->layers[p->i];
    int rc = layer_piece(p, ret, err);
    if (rc > 0 && ret->n > p->left)
        rc = hf_fail(err, HF_E_DIGEST, "it is longer than the %llu bytes that the store says", (unsigned long long)l->size);
    if (rc == 0 && p->left)
        rc = hf_fail(err, HF_E_DIGEST, "it is %llu bytes shorter than the store says", (unsigned long long)p->left);
    if (rc > 0)
        p->left -= ret->n;
    return rc < 0 ? hf_wrap(err, rc, "layer %zu (%.12s)", p->i + 1, l->id.p) : rc;
}

/* The archive: each layer once, as a member. */
static int put_pull(void *stream, struct hf_span *ret, struct hf_err *err)
{
    static const char zeroes[1024];
    struct putting *p = stream;
    if (p->ended)
        return 0;
    if (p->i == p->s->img->n_layers) {
        *ret = hf_span(zeroes, sizeof zeroes);
        p->ended = true;
        return 1;
    }
    if (!p->open) {
        int rc = begin_layer(p, err);
        if (rc < 0)
            return hf_wrap(err, rc, "layer %zu", p->i + 1);
        member_header(p, p->piece);
        *ret = hf_span(p->piece, 512);
        return 1;
    }
    int rc = layer_bytes(p, ret, err);
    if (rc != 0)
        return rc;
    size_t odd = (size_t)(p->s->layers[p->i].size % 512);
    close_layer(p);
    p->i++;
    if (!odd)
        return put_pull(stream, ret, err); /* one level: a layer has at least a header */
    *ret = hf_span(zeroes, 512 - odd);
    return 1;
}

/* ---- which of the two ways ---- */

static int use_layers(struct stored *s, struct hf_err *err)
{
    struct hf_image *img = s->img;
    size_t without = 0;
    s->stream = (struct hf_image_stream){.open = put_open, .pull = put_pull, .close = put_close, .ctx = s, .archive = true, .described = true};
    for (size_t i = 0; i < img->n_layers; i++) {
        without += !s->layers[i].size || access(s->layers[i].split.p, F_OK) < 0;
        if (!hf_ckd_add(&s->stream.size, s->stream.size, s->layers[i].size))
            return hf_fail(err, HF_E_FORMAT, "the sizes of the layers");
    }
    if (!without) {
        img->stream = &s->stream;
        return 0;
    }
    if (!s->d->overlay)
        return hf_fail(err, HF_E_UNSUPPORTED, "of %zu layers the store (driver %s) does not say what their tar was", without, s->d->name);
    if (!hf_overlay_readable())
        return hf_fail(err, -EPERM, "%zu layers can only be read from overlay's folders, which needs root", without);
    hf_autofree char *root = hf_span_dupz(s->root);
    int rc = root ? 0 : hf_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < img->n_layers && rc >= 0; i++)
        rc = hf_overlay_layer(&img->layers[i], s->layers[i].dir, root, err);
    return rc < 0 ? rc : hf_image_note(img, err, "of %zu of %zu layers the store does not say what their tar was: their files were read, but digests of layers could not be checked", without, img->n_layers);
}

static int fill(struct stored *s, const struct finder *f, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *images = NULL, *layers = NULL;
    struct hf_digest want = {.n = 0};
    hf_jnode image = NULL;
    int rc = list_of(f, s->d, "images", &images, err);
    HF_JFOREACH(i, hf_json_root(images))
        image = hf_span_eq(hf_jgetstr(i, "id"), s->id) ? i : image;
    rc = rc < 0 ? rc : !image ? hf_fail(err, HF_E_NOT_FOUND, "it was removed meanwhile") : list_of(f, s->d, "layers", &layers, err);
    if (rc >= 0 && hf_digest_parse(hf_jgetstr(image, "digest"), &want) < 0)
        want.n = 0;
    rc = rc < 0 ? rc : documents(s, &want, err);
    rc = rc < 0 ? rc : chain(s, hf_json_root(layers), hf_jgetstr(image, "layer"), err);
    if (rc < 0)
        return rc;
    find_index(s, image);
    return use_layers(s, err);
}

int hf_source_storage(const char *ref, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    struct finder f = {.stores = 0};
    struct hf_image img;
    hf_autobuf target = HF_BUF_INIT(8192);
    hf_image_init(&img);
    int rc = find(&f, ref, o, err);
    rc = rc == 0 ? HF_E_NOT_FOUND : rc;
    if (rc > 0) {
        size_t driver = f.local.place.p[0] == '1';
        struct stored s = {.img = &img, .o = o, .d = &drivers[driver], .root = hf_buf_span(&f.root), .id = hf_span_from(f.local.place, 2)};
        hf_buf_addf(&target, "podman:%s", ref);
        rc = fill(&s, &f, err);
        rc = rc < 0 ? rc : hf_image_dup(&img, hf_buf_span(&target), &img.target, err);
        rc = rc < 0 ? rc : hf_image_dup(&img, hf_span_z(ref), &img.ref, err);
        rc = rc < 0 ? hf_wrap(err, rc, "image %.300s", ref) : cb(ctx, &img, err);
    }
    hf_image_done(&img);
    done(&f);
    return rc;
}
