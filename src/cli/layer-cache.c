/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/layer-cache.h"

#include "base/log.h"
#include "image/examine.h"

struct hf_cache *hf_cli_layer_cache(const char *dir)
{
    struct hf_cache *cache = NULL;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf version = HF_BUF_INIT(4096);
    hf_examine_version(&version);
    if (hf_cache_open(&cache, dir, hf_buf_span(&version), &err) < 0)
        hf_log(HF_LOG_WARNING, "cache", "%s; going on without", err.msg);
    return cache;
}
