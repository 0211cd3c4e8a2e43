/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is either settings within their ranges or a usage error that names a place. */
#include "base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *c = NULL;
    int rc = hf_config_parse(&c, hf_span((const char *)data, size), "f", &err);
    if (rc < 0) {
        if (c || rc != HF_E_USAGE || strncmp(err.msg, "f:", 2) != 0 || strlen(err.msg) < 5)
            abort();
        return 0;
    }
    hf_autobuf out = HF_BUF_INIT(8 << 20);
    if (!*c->cache_dir || !*c->db_path || !*c->docker_host || c->max_memory < 16 << 20 || c->db_max_age_h < 1)
        abort();
    hf_config_show(c, &out);
    if (!hf_buf_ok(&out))
        abort();
    return 0;
}
