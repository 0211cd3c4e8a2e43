/* SPDX-License-Identifier: Apache-2.0 */
/* The header blob: two big-endian counts (index entries, data bytes), 16-byte index entries {tag, type, offset, count}, data.
 * Region tags and entries behind the region need no care here: every offset counts from the start of the data. */
#include "base/mem.h"
#include "base/rd.h"
#include "formats/rpmdb/rpmdb.h"

enum {
    TAG_NAME = 1000,
    TAG_VERSION = 1001,
    TAG_RELEASE = 1002,
    TAG_EPOCH = 1003,
    TAG_VENDOR = 1011,
    TAG_LICENSE = 1014,
    TAG_ARCH = 1022,
    TAG_OLDFILENAMES = 1027,
    TAG_FILEMODES = 1030,
    TAG_SOURCERPM = 1044,
    TAG_DIRINDEXES = 1116,
    TAG_BASENAMES = 1117,
    TAG_DIRNAMES = 1118,
    TAG_MODULARITYLABEL = 5096,
};
enum { T_INT16 = 3, T_INT32 = 4, T_STRING = 6, T_STRING_ARRAY = 8, T_I18NSTRING = 9 };

static int take_string(struct hf_span data, uint32_t tag, uint32_t type, uint32_t off, struct hf_span *ret, struct hf_err *err)
{
    if (type != T_STRING && type != T_I18NSTRING && type != T_STRING_ARRAY)
        return hf_fail(err, HF_E_FORMAT, "rpm header: tag %u has type %u, not a string", tag, type);
    struct hf_span s = hf_span_from(data, off);
    size_t n = hf_span_find(s, '\0');
    if (n == SIZE_MAX)
        return hf_fail(err, HF_E_TRUNCATED, "rpm header: text of tag %u does not end", tag);
    *ret = hf_span(s.p, n);
    return 0;
}

static int take_ints(struct hf_span data, uint32_t tag, uint32_t type, uint32_t want, uint32_t off, uint32_t count,
        struct hf_span *ret, struct hf_err *err)
{
    size_t width = want == T_INT16 ? 2 : 4;
    if (type != want)
        return hf_fail(err, HF_E_FORMAT, "rpm header: tag %u has type %u, not %u", tag, type, want);
    if (count > (data.n - off) / width)
        return hf_fail(err, HF_E_TRUNCATED, "rpm header: tag %u has %u values at %u of %zu bytes", tag, count, off, data.n);
    *ret = hf_span_sub(data, off, count * width);
    return 0;
}

static int take_strings(struct hf_span data, uint32_t tag, uint32_t type, uint32_t off, uint32_t count, struct hf_span *ret,
        uint32_t *ret_n, struct hf_err *err)
{
    if (type != T_STRING_ARRAY)
        return hf_fail(err, HF_E_FORMAT, "rpm header: tag %u has type %u, not a string array", tag, type);
    if (count > data.n - off) /* a string has at least its NUL */
        return hf_fail(err, HF_E_TRUNCATED, "rpm header: tag %u has %u strings at %u of %zu bytes", tag, count, off, data.n);
    *ret = hf_span_from(data, off);
    *ret_n = count;
    return 0;
}

static int one_tag(struct hf_rpm_header *h, struct hf_span data, uint32_t tag, uint32_t type, uint32_t off, uint32_t count,
        struct hf_err *err)
{
    int rc = 0;
    struct hf_span v;
    switch (tag) {
    case TAG_NAME:
        return take_string(data, tag, type, off, &h->name, err);
    case TAG_VERSION:
        return take_string(data, tag, type, off, &h->version, err);
    case TAG_RELEASE:
        return take_string(data, tag, type, off, &h->release, err);
    case TAG_VENDOR:
        return take_string(data, tag, type, off, &h->vendor, err);
    case TAG_LICENSE:
        return take_string(data, tag, type, off, &h->license, err);
    case TAG_ARCH:
        return take_string(data, tag, type, off, &h->arch, err);
    case TAG_SOURCERPM:
        return take_string(data, tag, type, off, &h->sourcerpm, err);
    case TAG_MODULARITYLABEL:
        return take_string(data, tag, type, off, &h->module, err);
    case TAG_EPOCH:
        if ((rc = take_ints(data, tag, type, T_INT32, off, count, &v, err)) < 0 || v.n == 0)
            return rc;
        h->epoch = (uint32_t)hf_rd_be32(&(struct hf_rd){v, 0, false});
        h->has_epoch = true;
        return 0;
    case TAG_DIRINDEXES:
        rc = take_ints(data, tag, type, T_INT32, off, count, &h->dirindexes, err);
        h->n_dirindexes = rc < 0 ? 0 : count;
        return rc;
    case TAG_FILEMODES:
        rc = take_ints(data, tag, type, T_INT16, off, count, &h->filemodes, err);
        h->n_filemodes = rc < 0 ? 0 : count;
        return rc;
    case TAG_BASENAMES:
        return take_strings(data, tag, type, off, count, &h->basenames, &h->n_basenames, err);
    case TAG_DIRNAMES:
        return take_strings(data, tag, type, off, count, &h->dirnames, &h->n_dirnames, err);
    case TAG_OLDFILENAMES:
        return take_strings(data, tag, type, off, count, &h->oldfilenames, &h->n_oldfilenames, err);
    default:
        return 0;
    }
}

int hf_rpm_header_parse(struct hf_span blob, struct hf_rpm_header *ret, struct hf_err *err)
{
    struct hf_rd r = hf_rd(blob);
    uint32_t n_tags = hf_rd_be32(&r), n_data = hf_rd_be32(&r);
    if (r.bad)
        return hf_fail(err, HF_E_TRUNCATED, "rpm header of %zu bytes", blob.n);
    if (n_tags == 0 || n_tags > HF_RPM_TAGS_MAX)
        return hf_fail(err, HF_E_FORMAT, "rpm header: %u index entries (1 to %d are possible)", n_tags, HF_RPM_TAGS_MAX);
    if ((uint64_t)n_tags * 16 + n_data > blob.n - 8)
        return hf_fail(err, HF_E_TRUNCATED, "rpm header: %u index entries and %u data bytes do not fit into %zu bytes", n_tags,
                n_data, blob.n);
    struct hf_span data = hf_span_sub(blob, 8 + (size_t)n_tags * 16, n_data);
    struct hf_rpm_header h = {.name = {NULL, 0}};
    for (uint32_t i = 0; i < n_tags; i++) {
        uint32_t tag = hf_rd_be32(&r), type = hf_rd_be32(&r), off = hf_rd_be32(&r), count = hf_rd_be32(&r);
        if (tag < TAG_NAME) /* regions and signatures: a region's trailer may have a negative offset */
            continue;
        if (off > n_data)
            return hf_fail(err, HF_E_FORMAT, "rpm header: tag %u is at %u of %u data bytes", tag, off, n_data);
        int rc = one_tag(&h, data, tag, type, off, count, err);
        if (rc < 0)
            return rc;
    }
    if (h.name.n == 0 || h.version.n == 0)
        return hf_fail(err, HF_E_FORMAT, "rpm header has no %s", h.name.n ? "version" : "name");
    *ret = h;
    return 0;
}

/* Next NUL-terminated string of an array. */
static bool next_string(struct hf_span *rest, struct hf_span *ret)
{
    size_t n = hf_span_find(*rest, '\0');
    if (n == SIZE_MAX)
        return false;
    *ret = hf_span(rest->p, n);
    *rest = hf_span_from(*rest, n + 1);
    return true;
}

static uint32_t be_at(struct hf_span v, uint32_t i, unsigned width)
{
    struct hf_rd r = hf_rd(hf_span_from(v, (size_t)i * width));
    return (uint32_t)hf_rd_be(&r, width);
}

static bool is_directory(const struct hf_rpm_header *h, uint32_t i)
{
    return i < h->n_filemodes && (be_at(h->filemodes, i, 2) & 0170000) == 0040000;
}

static struct hf_span no_slash(struct hf_span p)
{
    while (p.n && p.p[0] == '/')
        p = hf_span_from(p, 1);
    return p;
}

static int old_files(const struct hf_rpm_header *h, hf_rpm_file_cb cb, void *ctx, struct hf_err *err)
{
    struct hf_span rest = h->oldfilenames, path;
    for (uint32_t i = 0; i < h->n_oldfilenames; i++) {
        if (!next_string(&rest, &path))
            return hf_fail(err, HF_E_TRUNCATED, "rpm header: file %u of %u does not end", i, h->n_oldfilenames);
        path = no_slash(path);
        if (path.n == 0 || is_directory(h, i))
            continue;
        if (path.n > HF_RPM_PATH_MAX)
            return hf_fail(err, HF_E_LIMIT, "rpm header: path of %zu bytes is over %d", path.n, HF_RPM_PATH_MAX);
        int rc = cb(ctx, path, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int hf_rpm_files(const struct hf_rpm_header *h, hf_rpm_file_cb cb, void *ctx, struct hf_err *err)
{
    if (h->n_basenames == 0)
        return old_files(h, cb, ctx, err);
    if (h->n_dirindexes != h->n_basenames)
        return hf_fail(err, HF_E_FORMAT, "rpm header: %u file names and %u directory numbers", h->n_basenames, h->n_dirindexes);
    hf_autofree struct hf_span *dirs = hf_try_alloc(h->n_dirnames, sizeof *dirs, (size_t)HF_RPM_HEADER_MAX * sizeof *dirs);
    if (!dirs)
        return hf_fail(err, HF_E_LIMIT, "rpm header: no memory for %u directories", h->n_dirnames);
    struct hf_span rest = h->dirnames, base;
    for (uint32_t i = 0; i < h->n_dirnames; i++) {
        if (!next_string(&rest, &dirs[i]))
            return hf_fail(err, HF_E_TRUNCATED, "rpm header: directory %u of %u does not end", i, h->n_dirnames);
        dirs[i] = no_slash(dirs[i]);
    }
    rest = h->basenames;
    for (uint32_t i = 0; i < h->n_basenames; i++) {
        if (!next_string(&rest, &base))
            return hf_fail(err, HF_E_TRUNCATED, "rpm header: file %u of %u does not end", i, h->n_basenames);
        uint32_t d = be_at(h->dirindexes, i, 4);
        if (d >= h->n_dirnames)
            return hf_fail(err, HF_E_FORMAT, "rpm header: file %u is in directory %u of %u", i, d, h->n_dirnames);
        char path[HF_RPM_PATH_MAX];
        if (dirs[d].n > sizeof path || base.n > sizeof path - dirs[d].n)
            return hf_fail(err, HF_E_LIMIT, "rpm header: path of %zu bytes is over %d", dirs[d].n + base.n, HF_RPM_PATH_MAX);
        if (dirs[d].n == 0)
            base = no_slash(base);
        if (base.n == 0 || is_directory(h, i))
            continue;
        if (dirs[d].n)
            memcpy(path, dirs[d].p, dirs[d].n);
        memcpy(path + dirs[d].n, base.p, base.n);
        int rc = cb(ctx, hf_span(path, dirs[d].n + base.n), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

bool hf_rpm_source(struct hf_span s, struct hf_span *ret_name, struct hf_span *ret_version)
{
    if (hf_span_ends(s, HF_S(".nosrc.rpm")))
        s.n -= 10;
    else if (hf_span_ends(s, HF_S(".src.rpm")))
        s.n -= 8;
    else
        return false;
    size_t release = hf_span_rfind(s, '-');
    size_t version = release == SIZE_MAX ? SIZE_MAX : hf_span_rfind(hf_span_sub(s, 0, release), '-');
    if (version == SIZE_MAX || version == 0 || release - version < 2 || release + 1 == s.n)
        return false;
    *ret_name = hf_span_sub(s, 0, version);
    *ret_version = hf_span_from(s, version + 1);
    return true;
}

int hf_rpm_manifest_next(struct hf_span *rest, struct hf_rpm_manifest_line *ret, struct hf_err *err)
{
    struct hf_span line, f[10] = {{NULL, 0}};
    do {
        if (!hf_span_line(rest, &line))
            return 0;
    } while (hf_span_trim(line).n == 0);
    size_t n = 0;
    for (struct hf_span all = line; n < HF_ARRAY_LEN(f) && hf_span_cut(&all, '\t', &f[n]); n++)
        if (hf_span_eqz(f[n], "(none)"))
            f[n].n = 0;
    size_t dash = hf_span_rfind(f[1], '-');
    if (n < 10 || f[0].n == 0 || dash == SIZE_MAX || dash == 0)
        return hf_fail(err, HF_E_DAMAGED_ENTRY, "not a manifest line: \"%.*s\"", (int)HF_MIN(line.n, (size_t)80), line.p);
    /* name, version-release, install time, build time, vendor, epoch, size, architecture, epoch number, source */
    *ret = (struct hf_rpm_manifest_line){
            .name = f[0],
            .version = hf_span_sub(f[1], 0, dash),
            .release = hf_span_from(f[1], dash + 1),
            .vendor = f[4],
            .arch = f[7],
            .epoch = hf_span_eqz(f[8], "0") ? hf_span(NULL, 0) : f[8],
            .sourcerpm = f[9],
    };
    uint64_t epoch;
    if (ret->epoch.n && hf_parse_u64(ret->epoch, 10, 0, UINT32_MAX, &epoch) < 0)
        return hf_fail(err, HF_E_DAMAGED_ENTRY, "epoch of %.*s is no number", (int)HF_MIN(f[0].n, (size_t)80), f[0].p);
    return 1;
}
