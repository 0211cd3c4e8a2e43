/* SPDX-License-Identifier: Apache-2.0 */
/* Scans of what runs, asked of the privileged process: by the daemon on its own, and by people in the console. */
#include <errno.h>

#include "hand/hand.h"
#include "inventory/inventory-internal.h"

enum { ASK_MAX = 8192 };

static int scan_as(const struct hf_inv_asking *a, struct hf_span image, struct hf_buf *ret_digest, struct hf_err *err)
{
    hf_autobuf ask = HF_BUF_INIT(ASK_MAX), result = HF_BUF_INIT(HF_HAND_RESULT_MAX);
    struct hf_jw w;
    hf_jw_init(&w, &ask, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "do", "scan");
    hf_jw_kstr(&w, "image", image);
    hf_jw_kstr_opt(&w, "digest", a->digest);
    hf_jw_kstr(&w, "by", a->by);
    hf_jw_kstr(&w, "via", a->via);
    hf_jw_object_end(&w);
    int rc = hf_hand_call(a->hand, hf_buf_span(&ask), a->timeout_ms, &result, err);
    /* The scan of a container may say no digest: that it is of this one is known from watch. */
    return rc < 0 ? rc : hf_inv_scan(a->s, hf_buf_span(&result), a->digest, ret_digest, err);
}

static int keep_id(void *ctx, const struct hf_inv_container *c)
{
    hf_buf_adds(ctx, c->id);
    return 1;
}

/* Not every runtime keeps images where they can be read; what runs can be. */
static int scan_container(const struct hf_inv_asking *a, struct hf_err *err)
{
    hf_autobuf image = HF_BUF_INIT(256), got = HF_BUF_INIT(256);
    struct hf_err ignored = HF_ERR_INIT;
    hf_buf_addz(&image, "container:");
    size_t head = image.n;
    int rc = hf_store_container_list(a->s, true, a->digest, hf_span(NULL, 0), 1, keep_id, &image, &ignored);
    return rc < 0 || image.n == head ? HF_E_NOT_FOUND : scan_as(a, hf_buf_span(&image), &got, err);
}

int hf_inv_ask(const struct hf_inv_asking *a, struct hf_err *err)
{
    hf_autobuf got = HF_BUF_INIT(256);
    int rc = scan_as(a, a->ref.n ? a->ref : a->digest, &got, err);
    if (rc == 0 && a->digest.n && !hf_span_eq(hf_buf_span(&got), a->digest))
        rc = hf_fail(err, HF_E_NOT_FOUND, "%.*s is another image by now", HF_SPAN_ARG(a->ref));
    bool not_there = rc < 0 && rc != -EBUSY && rc != -ECONNRESET && rc != -ETIMEDOUT && rc != -EPIPE;
    return not_there && a->digest.n && scan_container(a, err) == 0 ? 0 : rc;
}
