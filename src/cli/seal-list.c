// SPDX-License-Identifier: Apache-2.0
/* holdfast seal list: the seals that are kept, by watch and by people. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/log.h"
#include "cli/seal-cli.h"
#include "seal/prune.h"

enum { SEALS_MAX = 4096, TOLD = 8 }; /* the folder is bounded by bytes; a listing need not be larger than anybody reads */

struct row {
    struct hf_seal *seal;
    uint64_t bytes;
    bool by_watch;
};

static void row_json(struct hf_jw *w, const char *name, const struct row *r)
{
    char text[HF_DIGEST_TEXT];
    hf_jw_object(w);
    hf_jw_kstrz(w, "file", name);
    if (hf_seal_config_digest(r->seal)->n)
        hf_jw_kstrz(w, "config", hf_digest_text(hf_seal_config_digest(r->seal), text));
    if (hf_seal_manifest_digest(r->seal)->n)
        hf_jw_kstrz(w, "manifest", hf_digest_text(hf_seal_manifest_digest(r->seal), text));
    if (hf_seal_index_digest(r->seal)->n)
        hf_jw_kstrz(w, "index", hf_digest_text(hf_seal_index_digest(r->seal), text));
    hf_jw_kstr(w, "target", hf_seal_target(r->seal));
    hf_jw_kstr(w, "created", hf_seal_created(r->seal));
    hf_jw_ku64(w, "entries", hf_seal_entries(r->seal));
    hf_jw_ku64(w, "signatures", hf_seal_signatures(r->seal));
    hf_jw_ku64(w, "bytes", r->bytes);
    hf_jw_kbool(w, "by_watch", r->by_watch);
    hf_jw_object_end(w);
}

static void row_text(struct hf_buf *out, const struct row *r)
{
    char text[HF_DIGEST_TEXT] = "-";
    const struct hf_digest *d = hf_seal_config_digest(r->seal)->n ? hf_seal_config_digest(r->seal) : hf_seal_manifest_digest(r->seal);
    struct hf_span made = hf_seal_created(r->seal);
    if (d->n)
        hf_digest_text(d, text);
    hf_buf_addf(out, "%-12.12s  %-10.*s  %9llu  %8llu  %-7s  %-6s  ", d->n ? text + 7 : text, (int)HF_MIN(made.n, (size_t)10), made.p ? made.p : "", (unsigned long long)hf_seal_entries(r->seal),
            (unsigned long long)(r->bytes / 1024), hf_seal_signatures(r->seal) ? "yes" : "no", r->by_watch ? "watch" : "people");
    hf_buf_add_escaped(out, hf_seal_target(r->seal), 80);
    hf_buf_addc(out, '\n');
}

/* Names in the order of their bytes, links by manifest left out: those are the same seals again. */
static int pick(const struct dirent *e)
{
    return e->d_type != DT_LNK && hf_span_ends(hf_span_z(e->d_name), HF_S(".seal"));
}

static int one(const char *dir, const char *name, struct row *ret, struct hf_err *err)
{
    struct stat st;
    hf_autobuf path = HF_BUF_INIT(8192);
    hf_buf_addf(&path, "%s/%s", dir, name);
    hf_autoclose int fd = hf_buf_ok(&path) ? open(hf_buf_z(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return hf_fail(err, fd < 0 ? -errno : -EINVAL, "%s: %s", name, fd < 0 ? hf_err_name(-errno) : "it is no file");
    *ret = (struct row){.bytes = (uint64_t)st.st_size, .by_watch = (st.st_mode & 07777) == HF_SEAL_MADE_MODE};
    int rc = hf_seal_open(&ret->seal, fd, err);
    fd = -1; /* it is the seal's, also when it is none */
    return rc < 0 ? hf_wrap(err, rc, "%s", name) : 0;
}

int hf_seal_list(const char *state, bool json, struct hf_buf *out, uint64_t *ret_unread, struct hf_err *err)
{
    hf_autobuf dir = HF_BUF_INIT(8192);
    struct dirent **names = NULL;
    struct hf_jw w;
    hf_buf_addf(&dir, "%s/seals", state);
    int n = hf_buf_ok(&dir) ? scandir(hf_buf_z(&dir), &names, pick, alphasort) : -1;
    if (n < 0 && errno != ENOENT)
        return hf_fail(err, -errno, "%s: %s", hf_buf_ok(&dir) ? hf_buf_z(&dir) : state, hf_err_name(-errno));
    hf_jw_init(&w, out, true);
    if (json) {
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "schema", "holdfast.seals/1");
        hf_jw_key(&w, "seals");
        hf_jw_array(&w);
    } else {
        hf_buf_addf(out, "%-12s  %-10s  %9s  %8s  %-7s  %-6s  %s\n", "IMAGE", "MADE", "ENTRIES", "KIB", "SIGNED", "BY", "OF");
    }
    for (int i = 0; i < n; i++) {
        struct row r = {NULL, 0, false};
        struct hf_err why = HF_ERR_INIT;
        int rc = i < SEALS_MAX ? one(hf_buf_z(&dir), names[i]->d_name, &r, &why) : hf_fail(&why, HF_E_LIMIT, "more than %d seals", SEALS_MAX);
        if (rc < 0 && ++*ret_unread <= TOLD)
            hf_log(HF_LOG_WARNING, "seal", "%s", why.msg);
        else if (rc == 0 && json)
            row_json(&w, names[i]->d_name, &r);
        else if (rc == 0)
            row_text(out, &r);
        hf_seal_close(r.seal);
        free(names[i]);
    }
    free(names);
    if (json) {
        hf_jw_array_end(&w);
        hf_jw_ku64(&w, "unread", *ret_unread);
        hf_jw_object_end(&w);
        hf_buf_addc(out, '\n');
    }
    return 0;
}
