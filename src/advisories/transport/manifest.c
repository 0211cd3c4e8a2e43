/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/transport/transport.h"
#include "base/json.h"

int hf_transport_manifest_parse(struct hf_span text, struct hf_transport_manifest *ret, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse(text, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "manifest.json");
    hf_jnode root = hf_json_root(doc), db = hf_jget(root, "database");
    double size = -1, built = -1;
    if (!hf_span_eqz(hf_jgetstr(root, "schema"), "holdfast.advisories/1"))
        return hf_fail(err, HF_E_FORMAT, "manifest.json: schema is \"" HF_SPAN_FMT "\", not holdfast.advisories/1", HF_SPAN_ARG(hf_jgetstr(root, "schema")));
    if (!hf_span_eqz(hf_jgetstr(db, "file"), "advisories.hfdb") || !hf_jnum(hf_jget(db, "size"), &size) || !(size >= 1 && size < 1e15) ||
            !hf_jnum(hf_jget(db, "built_unix"), &built) || !(built >= 0 && built < 1e12) || hf_digest_parse(hf_jgetstr(db, "digest"), &ret->digest) < 0)
        return hf_fail(err, HF_E_FORMAT, "manifest.json: database has no good file, size, built_unix and digest");
    ret->size = (uint64_t)size;
    ret->built_unix = (uint64_t)built;
    return 0;
}

void hf_transport_manifest_write(const struct hf_advdb *db, const struct hf_transport_manifest *m, struct hf_buf *out)
{
    char digest[HF_DIGEST_TEXT];
    const struct hf_adv_source *s;
    size_t n = hf_advdb_sources(db, &s);
    struct hf_jw w;
    hf_jw_init(&w, out, true);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.advisories/1");
    hf_jw_key(&w, "database");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "file", "advisories.hfdb");
    hf_jw_ku64(&w, "size", m->size);
    hf_jw_kstrz(&w, "digest", hf_digest_text(&m->digest, digest));
    hf_jw_ku64(&w, "built_unix", m->built_unix);
    hf_jw_object_end(&w);
    hf_jw_key(&w, "sources");
    hf_jw_array(&w);
    for (size_t i = 0; i < n; i++) {
        hf_jw_object(&w);
        hf_jw_kstr(&w, "name", s[i].name);
        hf_jw_ku64(&w, "records", s[i].records);
        hf_jw_ku64(&w, "newest_unix", s[i].newest_unix);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_buf_addc(out, '\n');
}
