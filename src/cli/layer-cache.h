/* SPDX-License-Identifier: Apache-2.0 */
/* layer-cache.h - the cache of what is known of layers, for commands that read images. */
#pragma once
#include "image/cache.h"

/* NULL, with a warning, when it cannot be used: that costs time, never a result. */
struct hf_cache *hf_cli_layer_cache(const char *dir);
