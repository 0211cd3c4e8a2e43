// SPDX-License-Identifier: Apache-2.0
/* What docker last wrote of a container's health: DATA/containers/ID/config.v2.json, where DATA is above the overlay of its root. */
#include <stdio.h>

#include "base/fs.h"
#include "base/json.h"
#include "protect/protect-internal.h"

#define CONFIG_MAX (1u << 20)

bool hf_protect_unhealthy(const struct hf_guard_container *c)
{
    struct hf_span root = hf_guard_fact(c, "rootfs");
    size_t cut = hf_span_search(root, HF_S("/overlay2/"));
    char path[4200];
    hf_autobuf text = HF_BUF_INIT(CONFIG_MAX);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (cut == SIZE_MAX || cut > 4000 || c->id.n != 64 || hf_span_find(c->id, '/') != SIZE_MAX)
        return false;
    snprintf(path, sizeof path, "%.*s/containers/%.*s/config.v2.json", (int)cut, root.p, HF_SPAN_ARG(c->id));
    if (hf_read_file(path, &text, &ignored) < 0 || hf_json_parse(hf_buf_span(&text), &doc, &ignored) < 0)
        return false;
    return hf_span_eqz(hf_jgetstr(hf_jget(hf_jget(hf_json_root(doc), "State"), "Health"), "Status"), "unhealthy");
}
