// SPDX-License-Identifier: Apache-2.0
/* A notify.yaml of any bytes: it loads or is refused with a message; what loads is routed. */
#include "notify/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char doc[] = "{\"schema\":\"holdfast.incident/1\",\"id\":\"I-1\",\"opened\":\"2026-11-26T18:00:00Z\",\"severity\":\"critical\",\"rules\":[{\"rule\":\"r\"}],"
                          "\"containers\":[{\"image\":\"shop/web:1\",\"pod\":{\"namespace\":\"shop\",\"labels\":{\"team\":\"web\"}}}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_nconf_freep) struct hf_nconf *c = NULL;
    hf_autoarena arena;
    struct hf_nview v;
    struct hf_ndue due[HF_NDUE_MAX];
    hf_arena_init(&arena, 1u << 20);
    int rc = hf_nconf_parse(&c, hf_span((const char *)data, size), "f.yaml", &err);
    if (rc < 0) {
        if (c || !err.msg[0])
            abort();
        return 0;
    }
    if (hf_nview_read(&v, &arena, hf_span(doc, sizeof doc - 1), &err) < 0)
        abort();
    for (int64_t t = 1795716000; t < 1795716000 + 7 * 86400; t += 40000) {
        size_t n = hf_nroute_due(c, &v, t, t & 1, due);
        if (n > c->n_channels)
            abort();
        for (size_t i = 0; i < n; i++)
            if (due[i].channel >= c->n_channels || due[i].not_before_s < HF_MIN(t, v.opened_s) || due[i].not_before_s > t + 40 * 86400)
                abort();
    }
    hf_nview_done(&v);
    return 0;
}
