/* SPDX-License-Identifier: Apache-2.0 */
/* The vulnerabilities of packages whose files really ran, in an incident of alerts. */
#include <errno.h>

#include "incident/incident.h"
#include "inventory/inventory-internal.h"
#include "store/store.h"

enum { ADD_MAX = 10, IMAGES_MAX = 8 };

struct enriching {
    struct hf_inc *inc;
    struct hf_span as; /* what the incident calls the image */
    int n;
    struct hf_buf digest;
};

static int digest_of(void *ctx, const struct hf_inv_container *c)
{
    hf_buf_adds(ctx, c->digest);
    return 0;
}

/* In the order of severity, as the store gives them. */
static int finding(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running)
{
    struct enriching *e = ctx;
    hf_autobuf package = HF_BUF_INIT(8192);
    (void)digest;
    (void)running;
    if (!f->used || f->severity == 0)
        return 0;
    if (e->n >= ADD_MAX)
        return 1;
    hf_buf_adds(&package, f->package);
    hf_buf_addc(&package, ' ');
    hf_buf_adds(&package, f->version);
    e->n += hf_inc_vulnerability(e->inc, e->as, f->id, hf_buf_span(&package), true) > 0;
    return 0;
}

int hf_inv_enrich(struct hf_store *s, struct hf_inc *inc, struct hf_err *err)
{
    struct enriching e = {.inc = inc};
    unsigned images = 0;
    HF_JFOREACH(c, hf_jget(hf_inc_root(inc), "containers")) {
        hf_autobuf digest = HF_BUF_INIT(HF_STORE_KEY_MAX), as = HF_BUF_INIT(HF_STORE_KEY_MAX);
        hf_buf_adds(&as, hf_jgetstr(c, "image_digest"));
        if (!as.n || images++ >= IMAGES_MAX)
            continue;
        int rc = hf_store_container_get(s, hf_jgetstr(c, "id"), digest_of, &digest, err);
        if (rc < 0)
            return rc;
        if (rc == 0 || !digest.n) /* not told yet: the incident's own name of the image may be the right one */
            hf_buf_adds(&digest, hf_buf_span(&as));
        e.as = hf_buf_span(&as);
        rc = hf_store_findings(s, hf_buf_span(&digest), finding, &e, err);
        if (rc < 0)
            return rc;
    }
    return e.n;
}

int hf_inv_document(struct hf_store *s, const struct hf_inc *inc, struct hf_buf *out, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(HF_INC_MAX);
    hf_cleanup(hf_inc_freep) struct hf_inc *copy = NULL;
    hf_inc_write(inc, false, &text);
    if (!hf_buf_ok(&text))
        return hf_fail(err, HF_E_LIMIT, "an incident of over %d bytes", HF_INC_MAX);
    int rc = hf_inc_parse(hf_buf_span(&text), &copy, err);
    rc = rc < 0 ? rc : hf_inv_enrich(s, copy, err);
    hf_buf_clear(&text);
    hf_inc_write(rc < 0 ? inc : copy, false, &text);
    if (!hf_buf_ok(&text)) { /* no room for more: as it was */
        hf_buf_clear(&text);
        hf_inc_write(inc, false, &text);
    }
    hf_buf_adds(out, hf_buf_span(&text));
    return HF_MIN(rc, 0);
}
