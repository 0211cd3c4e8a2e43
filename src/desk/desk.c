// SPDX-License-Identifier: Apache-2.0
#include "desk/desk.h"

#include <errno.h>

#include "store/audit.h"
#include "store/incidents.h"

enum { TRIES = 16 }; /* others that are faster, one after the other */

int hf_desk_read(struct hf_store *s, struct hf_span id, struct hf_inc **ret, struct hf_err *err)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    uint64_t revision;
    int rc = hf_store_incident_get(s, id, &doc, &revision, err);
    if (rc == 0)
        return hf_fail(err, HF_E_NOT_FOUND, "there is no incident %.*s", (int)HF_MIN(id.n, 40u), id.p ? id.p : "");
    rc = rc < 0 ? rc : hf_inc_parse(hf_buf_span(&doc), ret, err);
    return rc < 0 ? rc : 0;
}

static int put(struct hf_store *s, const struct hf_inc *i, uint64_t was, const struct hf_inc_change *c, const struct hf_inc_audit *audit, struct hf_err *err)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    hf_autotx tx = {0};
    struct hf_audit_entry e = {.time = (int64_t)c->time_ns, .by = c->by, .via = c->via, .what = hf_span_z(audit->what), .target = hf_span_z(audit->target), .before = hf_span_z(audit->before),
            .after = hf_span_z(audit->after)};
    hf_inc_write(i, false, &doc);
    if (!hf_buf_ok(&doc))
        return hf_fail(err, HF_E_LIMIT, "the incident would be over %u bytes", (unsigned)HF_INC_MAX);
    int rc = hf_tx_begin(&tx, s, err);
    rc = rc < 0 ? rc : hf_store_incident_put(s, hf_buf_span(&doc), was, err);
    rc = rc < 0 ? rc : hf_store_audit_add(s, &e, NULL, err);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_desk_change(struct hf_store *s, struct hf_span id, const struct hf_inc_change *change, uint64_t expected, struct hf_inc **ret, struct hf_err *err)
{
    struct hf_inc_change c = *change;
    if (!c.time_ns)
        c.time_ns = (uint64_t)hf_store_now();
    for (unsigned tries = 0;; tries++) {
        hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
        struct hf_inc_audit audit;
        int rc = hf_desk_read(s, id, &i, err);
        uint64_t was = rc < 0 ? 0 : hf_inc_number(i, "revision");
        if (rc == 0 && expected && was != expected)
            return hf_fail(err, -ESTALE, "incident %.*s has revision %llu now, not %llu: somebody changed it meanwhile", HF_SPAN_ARG(id), (unsigned long long)was, (unsigned long long)expected);
        rc = rc < 0 ? rc : hf_inc_apply(i, &c, &audit, err);
        if (rc < 0)
            return rc;
        int changed = rc;
        rc = changed ? put(s, i, was, &c, &audit, err) : 0;
        if (rc == -ESTALE && tries < TRIES)
            continue;
        if (rc < 0)
            return rc;
        if (ret)
            *ret = hf_take(i);
        return changed;
    }
}
