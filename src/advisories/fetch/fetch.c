/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/fetch/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "advisories/fetch/download.h"
#include "base/fs.h"

enum { MAX_INDEX = 4 << 20 };
static const char index_name[] = "holdfast-mirror.json";

struct run {
    const struct hf_fetch_opts *o;
    struct hf_fetch_result *result;
    struct hf_progress *progress;
};

bool hf_fetch_is_url(const char *text)
{
    return !strncmp(text, "https://", 8) || !strncmp(text, "http://", 7) || !strncmp(text, "file://", 7);
}

const char *hf_fetch_file_path(const char *text)
{
    return !strncmp(text, "file:///", 8) ? text + 7 : NULL;
}

static bool wanted(const struct hf_fetch_opts *o, struct hf_span name)
{
    for (size_t i = 0; i < o->n_only; i++)
        if (hf_span_eqz(name, o->only[i]))
            return true;
    return !o->n_only;
}

static int one(struct run *r, const char *url, struct hf_span path, uint64_t max, const char *sha256, bool may_be_missing, struct hf_err *err)
{
    hf_autobuf file = HF_BUF_INIT(8192), dir = HF_BUF_INIT(8192);
    struct hf_err why = HF_ERR_INIT;
    hf_buf_addf(&file, "%s/" HF_SPAN_FMT, r->o->folder, HF_SPAN_ARG(path));
    hf_buf_adds(&dir, hf_span_dirname(hf_buf_span(&file)));
    if (!hf_buf_ok(&file))
        return hf_fail(err, -ENAMETOOLONG, "download folder: path too long");
    int rc = hf_mkdirs(hf_buf_z(&dir), 0755, err);
    if (rc < 0)
        return rc;
    struct hf_download d = {.url = url, .path = hf_buf_z(&file), .max_bytes = max, .sha256 = sha256, .may_be_missing = may_be_missing, .progress = r->progress};
    rc = hf_download(&d, &why);
    if (rc == HF_E_UNSUPPORTED && !why.msg[0])
        return hf_fail(err, rc, "libcurl cannot be used");
    r->result->count[rc == 1 ? HF_FETCH_NEW : rc == 0 ? HF_FETCH_SAME : rc == HF_E_NOT_FOUND && may_be_missing ? HF_FETCH_MISSING : HF_FETCH_FAILED]++;
    if (rc < 0 && !(rc == HF_E_NOT_FOUND && may_be_missing))
        hf_buf_addf(&r->result->report, "%s\n", why.msg);
    hf_progress_item(r->progress);
    return 0;
}

/* Address of a path below a base, spaces encoded (they are the only such byte in paths that are used). */
static void address(struct hf_buf *out, struct hf_span base, struct hf_span path)
{
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    hf_buf_clear(out);
    hf_buf_adds(out, base);
    hf_buf_addc(out, '/');
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == ' ')
            hf_buf_addz(out, "%20");
        else
            hf_buf_addc(out, path.p[i]);
}

/* The part of an indexed path that --source names: "osv:Debian" for Debian/all.zip, else the folder below native/. */
static struct hf_span name_of(struct hf_span path, struct hf_buf *work)
{
    hf_buf_clear(work);
    if (hf_span_ends(path, HF_S("/all.zip"))) {
        hf_buf_addz(work, "osv:");
        hf_buf_adds(work, hf_span_sub(path, 0, path.n - 8));
    } else {
        struct hf_span rest = hf_span_starts(path, HF_S("native/")) ? hf_span_from(path, 7) : path;
        struct hf_span head = hf_span_sub(rest, 0, hf_span_find(rest, '/'));
        hf_buf_adds(work, hf_span_eqz(head, "debian") ? HF_S("debian-tracker") : head);
    }
    return hf_buf_span(work);
}

static int from_index(struct run *r, const struct hf_mirror_index *x, struct hf_err *err)
{
    hf_autobuf url = HF_BUF_INIT(8192), name = HF_BUF_INIT(1024);
    int rc = 0;
    hf_progress_total(r->progress, 0, (unsigned)x->n);
    for (size_t i = 0; i < x->n && rc >= 0; i++) {
        if (!wanted(r->o, name_of(x->files[i].path, &name)))
            continue;
        address(&url, hf_span_z(r->o->mirror), x->files[i].path);
        rc = hf_buf_ok(&url) ? one(r, hf_buf_z(&url), x->files[i].path, x->files[i].size, x->files[i].sha256, false, err)
                             : hf_fail(err, HF_E_LIMIT, "address too long");
    }
    return rc;
}

static int from_list(struct run *r, bool public, struct hf_err *err)
{
    hf_autobuf url = HF_BUF_INIT(8192);
    unsigned n = 0;
    int rc = 0;
    for (const struct hf_fetch_source *s = hf_fetch_sources; s->name; s++)
        n += wanted(r->o, hf_span_z(s->name));
    if (!n)
        return hf_fail(err, HF_E_USAGE, "no source has this name; there are osv:Debian, osv:PyPI, ..., debian-tracker, alpine-secdb, wolfi, chainguard, kev, epss");
    hf_progress_total(r->progress, 0, n);
    for (const struct hf_fetch_source *s = hf_fetch_sources; s->name && rc >= 0; s++) {
        if (!wanted(r->o, hf_span_z(s->name)))
            continue;
        if (public)
            hf_buf_clear(&url), hf_buf_addz(&url, s->url);
        else
            address(&url, hf_span_z(r->o->mirror), hf_span_z(s->path));
        rc = hf_buf_ok(&url) ? one(r, hf_buf_z(&url), hf_span_z(s->path), s->max_bytes, NULL, !public, err) : hf_fail(err, HF_E_LIMIT, "address too long");
    }
    return rc;
}

int hf_fetch(const struct hf_fetch_opts *o, struct hf_fetch_result *ret, struct hf_err *err)
{
    struct run r = {o, ret, NULL};
    bool public = !strcmp(o->mirror, "public");
    hf_autobuf url = HF_BUF_INIT(8192), text = HF_BUF_INIT(MAX_INDEX);
    *ret = (struct hf_fetch_result){.count = {0}};
    hf_buf_init(&ret->report, 1 << 20);
    int rc = public ? 0 : hf_download_check_url(o->mirror, err);
    if (rc >= 0)
        rc = hf_mkdirs(o->folder, 0755, err);
    if (rc < 0)
        return rc;
    struct hf_mirror_index x = {NULL, 0, NULL};
    struct hf_err why = HF_ERR_INIT;
    bool indexed = false;
    if (!public) {
        address(&url, hf_span_z(o->mirror), hf_span_z(index_name));
        rc = hf_download_text(hf_buf_z(&url), &text, &why);
        if (rc >= 0) {
            rc = hf_mirror_index_parse(hf_buf_span(&text), &x, err);
            if (rc < 0) {
                hf_mirror_index_done(&x);
                return hf_wrap(err, rc, "%s", hf_buf_z(&url));
            }
            indexed = true;
        } else if (rc != HF_E_NOT_FOUND) {
            return hf_fail(err, rc, "%s", why.msg);
        }
    }
    r.progress = hf_progress_start("fetching advisories", o->quiet);
    rc = indexed ? from_index(&r, &x, err) : from_list(&r, public, err);
    hf_progress_stop(r.progress);
    hf_mirror_index_done(&x);
    return rc;
}
