// SPDX-License-Identifier: Apache-2.0
/* Whether a snapshot is what its manifest says. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "respond/journal.h"
#include "respond/respond.h"
#include "respond/snapshot.h"

#define MEMBERS_MAX 65536u
#define BYTES_MAX (8ull << 30)
#define MANIFEST_MAX (32u << 20)
#define NAME_MAX_BYTES 4096u
#define PIECE (1u << 20)

struct member {
    char *name;
    uint64_t size;
    char sha256[65];
};
struct reader {
    struct member *v;
    size_t n, cap;
    struct hf_buf manifest;
    uint64_t bytes;
    char *piece;
};

static int one(struct reader *r, struct archive *a, struct archive_entry *e, struct hf_err *err)
{
    const char *name = archive_entry_pathname(e);
    if (!name || strlen(name) > NAME_MAX_BYTES || archive_entry_filetype(e) != AE_IFREG)
        return hf_fail(err, HF_E_FORMAT, "a member that is no plain file");
    if (r->manifest.n)
        return hf_fail(err, HF_E_DIGEST, "%.200s stands behind the manifest: it was added", name);
    bool is_manifest = !strcmp(name, "manifest.json");
    hf_cleanup(hf_hash_freep) struct hf_hash *h = hf_hash_new(HF_SHA256);
    struct member *m = is_manifest ? NULL : hf_grow((void **)&r->v, &r->n, &r->cap, sizeof *m, MEMBERS_MAX);
    uint8_t d[64];
    if (!h || (!m && !is_manifest))
        return hf_fail(err, HF_E_LIMIT, "more than %u members", MEMBERS_MAX);
    if (m && !(m->name = strdup(name)))
        return hf_fail(err, -ENOMEM, "no memory");
    for (;;) {
        ssize_t n = archive_read_data(a, r->piece, PIECE);
        if (n < 0)
            return hf_fail(err, HF_E_FORMAT, "%.200s: %s", name, archive_error_string(a));
        if (n == 0)
            break;
        r->bytes += (uint64_t)n;
        if (r->bytes > BYTES_MAX)
            return hf_fail(err, HF_E_LIMIT, "more than %llu bytes", (unsigned long long)BYTES_MAX);
        hf_hash_add(h, r->piece, (size_t)n);
        if (is_manifest)
            hf_buf_add(&r->manifest, r->piece, (size_t)n);
        else
            m->size += (uint64_t)n;
    }
    if (m) {
        hf_hash_end(h, d);
        hf_hex(d, 32, m->sha256);
    }
    return hf_buf_ok(&r->manifest) ? 0 : hf_fail(err, HF_E_LIMIT, "the manifest is over %u bytes", MANIFEST_MAX);
}

static int read_members(struct reader *r, int fd, struct hf_err *err)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    int rc = 0, got = ARCHIVE_OK;
    if (!a)
        return hf_fail(err, -ENOMEM, "no memory");
    archive_read_support_format_tar(a);
    archive_read_support_filter_zstd(a);
    if (archive_read_open_fd(a, fd, 65536) != ARCHIVE_OK)
        rc = hf_fail(err, HF_E_FORMAT, "no tar: %s", archive_error_string(a));
    while (rc == 0 && (got = archive_read_next_header(a, &e)) == ARCHIVE_OK)
        rc = one(r, a, e, err);
    if (rc == 0 && got != ARCHIVE_EOF)
        rc = hf_fail(err, HF_E_FORMAT, "the file is damaged: %s", archive_error_string(a));
    archive_read_free(a);
    if (rc == 0 && !r->manifest.n)
        rc = hf_fail(err, HF_E_FORMAT, "there is no manifest.json: no snapshot, or one that was cut off");
    return rc;
}

static void text(hf_jnode root, const char *name, char *out, size_t size)
{
    struct hf_span s = hf_jgetstr(root, name);
    snprintf(out, size, "%.*s", HF_SPAN_ARG(s));
}

static int compare(struct reader *r, hf_jnode root, struct hf_err *err)
{
    size_t i = 0;
    HF_JFOREACH(m, hf_jget(root, "members")) {
        struct hf_span name = hf_jgetstr(m, "name"), digest = hf_jgetstr(m, "sha256");
        double size;
        if (!name.n || digest.n != 64 || !hf_jnum(hf_jget(m, "size"), &size))
            return hf_fail(err, HF_E_FORMAT, "the manifest's list is damaged");
        if (i >= r->n || !hf_span_eqz(name, r->v[i].name))
            return hf_fail(err, HF_E_DIGEST, "%.*s is missing, or stands elsewhere", HF_SPAN_ARG(hf_span_sub(name, 0, 200)));
        if ((double)r->v[i].size != size || !hf_span_eqz(digest, r->v[i].sha256))
            return hf_fail(err, HF_E_DIGEST, "%.200s was changed: sha256 %.16s... instead of %.16s...", r->v[i].name, r->v[i].sha256, digest.p);
        i++;
    }
    return i == r->n ? 0 : hf_fail(err, HF_E_DIGEST, "%.200s is not in the manifest: it was added", r->v[i].name);
}

static bool in_log(const char *state, const char *digest)
{
    char dir[3800];
    hf_autobuf log = HF_BUF_INIT(64u << 20);
    struct hf_err ignored = HF_ERR_INIT;
    hf_respond_dir(state, dir);
    return hf_journal_read(dir, &log, &ignored) == 0 && hf_span_search(hf_buf_span(&log), hf_span_z(digest)) != SIZE_MAX;
}

int hf_snapshot_verify(int fd, const char *state, struct hf_snapshot_check *ret, struct hf_err *err)
{
    struct reader r = {.n = 0, .piece = malloc(PIECE)};
    struct hf_snapshot_check c = {.members = 0};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_digest d;
    hf_buf_init(&r.manifest, MANIFEST_MAX);
    int rc = r.piece ? read_members(&r, fd, err) : hf_fail(err, -ENOMEM, "no memory");
    rc = rc < 0 ? rc : hf_json_parse(hf_buf_span(&r.manifest), &doc, err);
    hf_jnode root = rc < 0 ? NULL : hf_json_root(doc);
    if (rc == 0 && !hf_span_eqz(hf_jgetstr(root, "schema"), "holdfast.snapshot/1"))
        rc = hf_fail(err, HF_E_FORMAT, "the manifest is of another kind");
    rc = rc < 0 ? rc : compare(&r, root, err);
    if (rc == 0) {
        c.members = r.n;
        c.bytes = r.bytes;
        text(root, "container", c.container, sizeof c.container);
        text(root, "made", c.made, sizeof c.made);
        text(root, "previous_manifest", c.prev, sizeof c.prev);
        HF_JFOREACH(i, hf_jget(root, "incomplete"))
            c.incomplete++;
        hf_digest_of(HF_SHA256, hf_buf_span(&r.manifest), &d);
        hf_hex(d.b, 32, c.manifest);
        c.logged = state && in_log(state, c.manifest);
        *ret = c;
    }
    for (size_t i = 0; i < r.n; i++)
        free(r.v[i].name);
    free(r.v);
    free(r.piece);
    hf_buf_done(&r.manifest);
    return rc;
}
