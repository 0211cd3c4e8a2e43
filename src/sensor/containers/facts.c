// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/facts.h"

#include <stdio.h>

void hf_fact_add(struct hf_buf *out, const char *name, struct hf_span value)
{
    value = hf_span_sub(value, 0, HF_FACT_BYTES);
    const char *nul = value.n ? memchr(value.p, 0, value.n) : NULL;
    if (nul)
        value.n = (size_t)(nul - value.p);
    if (!value.n)
        return;
    hf_buf_add(out, name, strlen(name) + 1);
    hf_buf_adds(out, value);
    hf_buf_addc(out, 0);
}

void hf_fact_addz(struct hf_buf *out, const char *name, const char *value)
{
    hf_fact_add(out, name, hf_span_z(value));
}

struct hf_span hf_fact_get(struct hf_span pairs, const char *name)
{
    struct hf_span n, value;
    while (hf_span_cut(&pairs, 0, &n) && hf_span_cut(&pairs, 0, &value))
        if (hf_span_eqz(n, name))
            return value;
    return hf_span(NULL, 0);
}

/* Whether a label or variable of this name holds something secret. */
static bool is_secret(struct hf_span name)
{
    static const char *const words[] = {"password", "passwd", "secret", "token", "apikey", "api_key", "api-key", "credential", "private"};
    for (size_t i = 0; i < HF_ARRAY_LEN(words); i++) {
        struct hf_span w = hf_span_z(words[i]);
        for (size_t at = 0; at + w.n <= name.n; at++)
            if (hf_span_eq_nocase(hf_span_sub(name, at, w.n), w))
                return true;
    }
    return false;
}

void hf_fact_label(struct hf_buf *out, struct hf_span name, struct hf_span value)
{
    char key[256];
    snprintf(key, sizeof key, "label.%.*s", (int)HF_MIN(name.n, (size_t)200), name.p ? name.p : "");
    if (!hf_fact_get(hf_buf_span(out), key).n)
        hf_fact_add(out, key, is_secret(name) ? HF_S("***") : value);
}

bool hf_fact_is_number(struct hf_span id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f')))
            return false;
    return id.n == 64;
}
