/* SPDX-License-Identifier: Apache-2.0 */
/* Which images are sealed, as `holdfast seal list --json` tells it: the seals themselves lie where only root reads. */
#include <errno.h>

#include "incident/incident.h"
#include "inventory/inventory-internal.h"

enum { SEALS_MAX = 8192 };

static uint64_t number(hf_jnode o, const char *name)
{
    double v = 0;
    return hf_jnum(hf_jget(o, name), &v) && v >= 0 && v < 9e15 ? (uint64_t)v : 0;
}

static bool is_digest(struct hf_span s)
{
    return s.n == 71 && hf_span_starts(s, HF_S("sha256:"));
}

/* 1: it was not known, or is another one. */
static int put(struct hf_store *s, struct hf_span digest, hf_jnode seal, struct hf_err *err)
{
    hf_autobuf doc = HF_BUF_INIT(4096), old = HF_BUF_INIT(HF_STORE_DOC_MAX);
    struct hf_jw w;
    uint64_t made = 0;
    int64_t was = 0;
    if (!is_digest(digest))
        return 0;
    (void)hf_inc_time(hf_jgetstr(seal, "created"), &made); /* a folder's seal, or one without a time: 0 */
    hf_jw_init(&w, &doc, false);
    hf_jw_object(&w);
    hf_jw_ku64(&w, "files", number(seal, "entries"));
    hf_jw_kbool(&w, "signed", number(seal, "signatures") > 0);
    hf_jw_kbool(&w, "by_watch", hf_jis_true(hf_jget(seal, "by_watch")));
    hf_jw_ku64(&w, "bytes", number(seal, "bytes"));
    hf_jw_object_end(&w);
    int rc = hf_store_seal_get(s, digest, &old, &was, err);
    if (rc < 0 || (rc > 0 && was == (int64_t)made && hf_span_eq(hf_buf_span(&old), hf_buf_span(&doc))))
        return rc < 0 ? rc : 0;
    rc = hf_store_seal_put(s, &(struct hf_inv_seal){digest, hf_buf_span(&doc), (int64_t)made}, err);
    return rc < 0 ? rc : 1;
}

int hf_inv_seals(struct hf_store *s, struct hf_span seals_json, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse_within(seals_json, 64u << 20, &doc, err), changed = 0;
    hf_jnode list = rc < 0 ? NULL : hf_jget(hf_json_root(doc), "seals");
    unsigned n = 0;
    if (rc < 0)
        return hf_wrap(err, rc, "the list of seals");
    if (!hf_span_eqz(hf_jgetstr(hf_json_root(doc), "schema"), "holdfast.seals/1") || !hf_jis_array(list))
        return hf_fail(err, HF_E_FORMAT, "this is no list of seals (holdfast.seals/1)");
    HF_JFOREACH(seal, list) {
        if (++n > SEALS_MAX)
            return hf_fail(err, HF_E_LIMIT, "more than %d seals", SEALS_MAX);
        struct hf_span config = hf_jgetstr(seal, "config"), manifest = hf_jgetstr(seal, "manifest");
        rc = put(s, config, seal, err);
        int other = rc < 0 || hf_span_eq(config, manifest) ? 0 : put(s, manifest, seal, err);
        if (rc < 0 || other < 0)
            return rc < 0 ? rc : other;
        changed += rc > 0 || other > 0;
    }
    return changed;
}
