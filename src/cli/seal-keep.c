/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fs.h"
#include "cli/seal-cli.h"

#define BEGINNING_MIN 8u /* digits of a digest: less is rather a mistake */

int hf_seal_kept_path(const char *state, const struct hf_digest *d, struct hf_buf *ret, struct hf_err *err)
{
    char text[HF_DIGEST_TEXT];
    if (!d->n)
        return hf_fail(err, HF_E_USAGE, "what has no image digest has no place of its own: name the file, with -o or --seal");
    hf_digest_text(d, text);
    hf_buf_addf(ret, "%s/seals/%.6s-%s.seal", state, text, text + 7);
    return hf_buf_ok(ret) ? 0 : hf_fail(err, HF_E_LIMIT, "the name of the seal is too long");
}

int hf_seal_place_of(const struct hf_seal_place *p, const struct hf_image *img, struct hf_buf *ret, struct hf_err *err)
{
    if (!p->file)
        return hf_seal_kept_path(p->state, img->config.n ? &img->config : &img->digest, ret, err);
    hf_buf_addz(ret, p->file);
    return hf_buf_ok(ret) ? 0 : hf_fail(err, HF_E_LIMIT, "the name of the seal is too long");
}

int hf_seal_open_path(const char *path, struct hf_seal **ret, struct hf_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return hf_fail(err, -errno, "%s: %s", path, hf_err_name(-errno));
    int rc = hf_seal_open(ret, fd, err);
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : 0;
}

static int seals_only(const struct dirent *e)
{
    return e->d_type == DT_REG && hf_span_ends(hf_span_z(e->d_name), HF_S(".seal"));
}

int hf_seal_open_kept(const char *state, const struct hf_digest *d, struct hf_buf *path, struct hf_seal **ret, struct hf_err *err)
{
    hf_autobuf dir = HF_BUF_INIT(8192), one = HF_BUF_INIT(8192);
    struct dirent **names = NULL;
    struct hf_seal *found = NULL;
    int rc = hf_seal_kept_path(state, d, path, err);
    rc = rc < 0 ? rc : hf_seal_open_path(hf_buf_z(path), ret, err);
    if (rc != -ENOENT)
        return rc;
    hf_buf_addf(&dir, "%s/seals", state);
    int n = hf_buf_ok(&dir) ? scandir(hf_buf_z(&dir), &names, seals_only, alphasort) : 0;
    for (int i = 0; i < n; i++) {
        struct hf_seal *s = NULL;
        hf_buf_clear(&one);
        hf_buf_addf(&one, "%s/%s", hf_buf_z(&dir), names[i]->d_name);
        free(names[i]);
        if (found || hf_seal_open_path(hf_buf_z(&one), &s, NULL) < 0) /* a damaged one is nobody's */
            continue;
        if (!hf_seal_is_of(s, d)) {
            hf_seal_close(s);
            continue;
        }
        found = s;
        hf_buf_clear(path);
        hf_buf_adds(path, hf_buf_span(&one));
    }
    free(names);
    *ret = found ? found : *ret;
    return found ? 0 : rc;
}

int hf_seal_kept_begins(const char *state, struct hf_span beginning, struct hf_buf *ret_path, struct hf_err *err)
{
    struct hf_span want = hf_span_starts(beginning, HF_S("sha256:")) ? hf_span_from(beginning, 7) : beginning, found = {NULL, 0};
    hf_autobuf dir = HF_BUF_INIT(8192), real = HF_BUF_INIT(8192);
    bool several = false;
    for (size_t i = 0; i < want.n; i++)
        if (!memchr("0123456789abcdef", want.p[i], 16))
            return -ENOENT;
    if (want.n < BEGINNING_MIN || want.n > 64)
        return -ENOENT;
    hf_buf_addf(&dir, "%s/seals", state);
    DIR *d = hf_buf_ok(&dir) ? opendir(hf_buf_z(&dir)) : NULL;
    if (!d && errno != ENOENT)
        return hf_fail(err, -errno, "%s: %s", hf_buf_z(&dir), hf_err_name(-errno));
    for (struct dirent *e; d && (e = readdir(d));) {
        struct hf_span name = hf_span_z(e->d_name);
        if (!hf_span_starts(name, HF_S("sha256-")) || !hf_span_ends(name, HF_S(".seal")) || !hf_span_starts(hf_span_from(name, 7), want))
            continue;
        char to[128];
        ssize_t n = e->d_type == DT_LNK ? readlinkat(dirfd(d), e->d_name, to, sizeof to) : -1; /* the same seal by another digest */
        name = n > 0 ? hf_span(to, (size_t)n) : name;
        several |= found.n && !hf_span_eq(found, name);
        hf_buf_clear(&real);
        hf_buf_adds(&real, name);
        found = hf_buf_span(&real);
    }
    if (d)
        closedir(d);
    if (several)
        return hf_fail(err, HF_E_USAGE, "more than one kept seal is of an image whose digest begins with %.*s; \"holdfast seal list\" names them", HF_SPAN_ARG(want));
    if (!found.n)
        return hf_fail(err, HF_E_NOT_FOUND, "no file is called %.*s, and no kept seal is of an image whose digest begins so; \"holdfast seal list\" names them", HF_SPAN_ARG(beginning));
    hf_buf_addf(ret_path, "%s/%.*s", hf_buf_z(&dir), HF_SPAN_ARG(found));
    return hf_buf_ok(ret_path) ? 0 : hf_fail(err, HF_E_LIMIT, "the name of the seal is too long");
}

/* Another seal of the same image is not replaced unasked: it may be the true one. */
static int may_replace(const struct hf_seal_place *p, const char *path, struct hf_span bytes, struct hf_err *err)
{
    hf_cleanup(hf_seal_closep) struct hf_seal *old = NULL;
    hf_cleanup(hf_seal_closep) struct hf_seal *new = NULL;
    if (p->force || access(path, F_OK) < 0)
        return 0;
    if (hf_seal_open_path(path, &old, NULL) < 0)
        return hf_fail(err, -EEXIST, "%s is there, and no seal that can be read; --force replaces it", path);
    int rc = hf_seal_open_mem(&new, bytes, err);
    if (rc >= 0 && memcmp(hf_seal_root(old), hf_seal_root(new), 32) != 0)
        return hf_fail(err, -EEXIST, "%s holds a seal with other content; --force replaces it", path);
    if (rc >= 0 && hf_seal_signatures(old) && !hf_seal_signatures(new))
        return hf_fail(err, -EEXIST, "%s is signed, and the new seal would not be; --force replaces it", path);
    return rc;
}

/* The kept seal is found by another of the image's digests, too. */
static int link_by(const struct hf_seal_place *p, const char *path, const struct hf_digest *d, struct hf_err *err)
{
    hf_autobuf link = HF_BUF_INIT(8192), temp = HF_BUF_INIT(8192);
    int rc = hf_seal_kept_path(p->state, d, &link, err);
    if (rc < 0 || hf_span_eqz(hf_buf_span(&link), path))
        return rc;
    hf_buf_addf(&temp, "%s.%d", hf_buf_z(&link), (int)getpid());
    (void)unlink(hf_buf_z(&temp));
    if (symlink(strrchr(path, '/') + 1, hf_buf_z(&temp)) < 0 || rename(hf_buf_z(&temp), hf_buf_z(&link)) < 0)
        rc = hf_fail(err, -errno, "%s: %s", hf_buf_z(&link), hf_err_name(-errno));
    return rc;
}

int hf_seal_keep(const struct hf_seal_place *p, const struct hf_image *img, struct hf_span bytes, struct hf_err *err)
{
    hf_autobuf name = HF_BUF_INIT(8192);
    int rc = hf_seal_place_of(p, img, &name, err);
    if (rc < 0)
        return rc;
    const char *path = hf_buf_z(&name);
    hf_autofree char *dir = hf_span_dupz(hf_span_dirname(hf_buf_span(&name)));
    rc = !p->file && dir ? hf_mkdirs(dir, 0700, err) : 0;
    rc = rc < 0 ? rc : may_replace(p, path, bytes, err);
    rc = rc < 0 ? rc : hf_write_file(path, 0600, bytes, err);
    if (rc < 0 || p->file)
        return rc;
    rc = link_by(p, path, &img->digest, err);
    /* What runs of an index here is of this platform. */
    return rc < 0 || !img->index.n || !hf_span_eq(img->arch, hf_platform_host().arch) ? rc : link_by(p, path, &img->index, err);
}
