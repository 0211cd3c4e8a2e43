// SPDX-License-Identifier: Apache-2.0
/* A snapshot becomes evidence of an incident: its path and SHA-256 stand in the document, and who added it in the audit log. */
#include <errno.h>
#include <fcntl.h>

#include "base/hash.h"
#include "cli/incident-cli.h"
#include "cli/respond-cli.h"
#include "desk/desk.h"

enum { PIECE = 1 << 20 };

static int digest_of(const char *path, char ret[65], struct hf_err *err)
{
    hf_cleanup(hf_hash_freep) struct hf_hash *h = hf_hash_new(HF_SHA256);
    hf_autofree char *bytes = malloc(PIECE);
    hf_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    uint8_t d[64];
    ssize_t n = 0;
    if (!h || !bytes)
        return hf_fail(err, -ENOMEM, "no memory");
    while (fd >= 0 && ((n = read(fd, bytes, PIECE)) > 0 || (n < 0 && errno == EINTR)))
        if (n > 0)
            hf_hash_add(h, bytes, (size_t)n);
    if (fd < 0 || n < 0)
        return hf_fail(err, -errno, "%s: %s", path, hf_err_name(-errno));
    hf_hash_end(h, d);
    hf_hex(d, 32, ret);
    return 0;
}

int hf_cli_evidence_of(const char *incident, const char *store, const char *config, const struct hf_buf *after, struct hf_err *err)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    char sha256[65];
    int rc = hf_cli_store(store, config, after ? HF_STORE_MUST_EXIST : HF_STORE_READ_ONLY, &s, err);
    if (rc < 0 || !after) {
        rc = rc < 0 ? rc : hf_desk_read(s, hf_span_z(incident), &i, err);
        return rc < 0 ? hf_wrap(err, rc, "incident %.100s", incident) : 0;
    }
    rc = hf_json_parse(hf_buf_span(after), &doc, err);
    struct hf_span file = rc < 0 ? hf_span("", 0) : hf_jgetstr(hf_json_root(doc), "file");
    hf_autofree char *path = hf_span_dupz(file);
    hf_autofree char *full = path ? realpath(path, NULL) : NULL; /* whoever looks for it is elsewhere */
    if (rc >= 0 && !full)
        rc = hf_fail(err, -errno, "%.*s: %s", HF_SPAN_ARG(file), hf_err_name(-errno));
    rc = rc < 0 ? rc : digest_of(full, sha256, err);
    if (rc < 0)
        return rc;
    struct hf_inc_change c = {.verb = HF_INC_EVIDENCE, .by = hf_span_z(hf_cli_who(NULL)), .via = HF_S("cli"), .text = hf_span_basename(hf_span_z(full)), .target = hf_span_z(full), .result = hf_span_z(sha256)};
    rc = hf_desk_change(s, hf_span_z(incident), &c, 0, NULL, err);
    return rc < 0 ? hf_wrap(err, rc, "incident %.100s", incident) : 0;
}
