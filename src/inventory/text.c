/* SPDX-License-Identifier: Apache-2.0 */
/* Small things: JSON in one form, words, keys. */
#include <math.h>

#include "inventory/inventory-internal.h"
#include "store/store.h"

static void number(struct hf_jw *w, double v)
{
    if (v >= 0 && v < 9007199254740992.0 && v == floor(v)) {
        hf_jw_u64(w, (uint64_t)v);
        return;
    }
    if (v < 0 && v > -9007199254740992.0 && v == floor(v)) {
        hf_jw_i64(w, (int64_t)v);
        return;
    }
    unsigned decimals = 1;
    for (double scale = 10; decimals < 6 && fabs(v * scale - round(v * scale)) > 1e-7; scale *= 10)
        decimals++;
    hf_jw_fixed(w, v, decimals);
}

static void value(struct hf_jw *w, const cJSON *v, unsigned depth)
{
    if (cJSON_IsString(v)) {
        hf_jw_strz(w, v->valuestring ? v->valuestring : "");
    } else if (cJSON_IsNumber(v)) {
        number(w, v->valuedouble);
    } else if (cJSON_IsBool(v)) {
        hf_jw_bool(w, cJSON_IsTrue(v));
    } else if (cJSON_IsArray(v) && depth < HF_JSON_DEPTH) {
        hf_jw_array(w);
        for (const cJSON *c = v->child; c; c = c->next)
            value(w, c, depth + 1);
        hf_jw_array_end(w);
    } else if (cJSON_IsObject(v) && depth < HF_JSON_DEPTH) {
        hf_jw_object(w);
        for (const cJSON *c = v->child; c; c = c->next) {
            hf_jw_key(w, c->string ? c->string : "");
            value(w, c, depth + 1);
        }
        hf_jw_object_end(w);
    } else {
        hf_jw_null(w);
    }
}

void hf_inv_write(struct hf_jw *w, const cJSON *v)
{
    value(w, v, 0);
}

void hf_inv_json(struct hf_jw *w, const struct cJSON *v)
{
    value(w, v, 0);
}

const char *hf_inv_severity_name(int severity)
{
    static const char *const names[] = {"not_counted", "unknown", "negligible", "low", "medium", "high", "critical"};
    return severity >= 0 && severity < (int)HF_ARRAY_LEN(names) ? names[severity] : "unknown";
}

void hf_inv_put(cJSON *o, const char *name, cJSON *v)
{
    if (!v || !o)
        cJSON_Delete(v);
    else if (cJSON_GetObjectItemCaseSensitive(o, name))
        cJSON_ReplaceItemInObjectCaseSensitive(o, name, v);
    else if (!cJSON_AddItemToObject(o, name, v))
        cJSON_Delete(v);
}

const char *hf_inv_z(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsString(v) && v->valuestring ? v->valuestring : "";
}

double hf_inv_num(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

bool hf_inv_digest_ok(struct hf_span d)
{
    if (d.n != 71 || !hf_span_starts(d, HF_S("sha256:")))
        return false;
    for (size_t i = 7; i < d.n; i++)
        if (!((d.p[i] >= '0' && d.p[i] <= '9') || (d.p[i] >= 'a' && d.p[i] <= 'f')))
            return false;
    return true;
}

void hf_inv_matched_key(struct hf_buf *out, struct hf_span digest)
{
    hf_buf_clear(out);
    hf_buf_addz(out, "inventory/matched/");
    hf_buf_adds(out, digest);
}

int hf_inv_severity(struct hf_span word, bool counts)
{
    static const struct {
        const char *word;
        int severity;
    } words[] = {{"critical", 6}, {"high", 5}, {"medium", 4}, {"low", 3}, {"negligible", 2}};
    for (size_t i = 0; counts && i < HF_ARRAY_LEN(words); i++)
        if (hf_span_eqz(word, words[i].word))
            return words[i].severity;
    return counts ? 1 : 0; /* nobody has rated it */
}

void hf_inv_ecosystem(struct hf_buf *out, struct hf_span type, struct hf_span os_id, struct hf_span os_version)
{
    bool of_os = hf_span_eqz(type, "deb") || hf_span_eqz(type, "rpm") || hf_span_eqz(type, "apk");
    hf_buf_clear(out);
    if (!of_os || !os_id.n) {
        hf_buf_adds(out, type);
        return;
    }
    hf_buf_adds(out, os_id);
    if (os_version.n) {
        hf_buf_addc(out, ':');
        hf_buf_adds(out, os_version);
    }
}

bool hf_inv_row_of(const cJSON *v, struct hf_inv_row *ret)
{
    const cJSON *fixed = cJSON_GetObjectItemCaseSensitive(v, "fixed_in"), *use = cJSON_GetObjectItemCaseSensitive(v, "in_use");
    const char *state = hf_inv_z(use, "state");
    bool counts = !*hf_inv_z(v, "ignored") && !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(v, "kernel_class"));
    *ret = (struct hf_inv_row){.id = hf_span_z(hf_inv_z(v, "id")), .package = hf_span_z(hf_inv_z(v, "name")), .version = hf_span_z(hf_inv_z(v, "version")),
            .severity = hf_inv_severity(hf_span_z(hf_inv_z(v, "severity")), counts), .used = *state && strcmp(state, "never") != 0,
            .kev = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(v, "kev"))};
    if (cJSON_IsArray(fixed) && fixed->child && cJSON_IsString(fixed->child))
        ret->fixed = hf_span_sub(hf_span_z(fixed->child->valuestring), 0, HF_INV_KEY_MAX);
    return ret->id.n && ret->package.n && ret->id.n <= HF_INV_KEY_MAX && ret->package.n <= HF_INV_KEY_MAX && ret->version.n <= HF_INV_KEY_MAX;
}
