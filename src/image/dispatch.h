/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.h - which catalogers want a file, decided from its path in one table look-up. */
#pragma once
#include "packages/cataloger.h"

struct hf_dispatch;
enum { HF_DISPATCH_MAX = 16 };
struct hf_dispatch_hit {
    const struct hf_cataloger *cataloger;
    const struct hf_want *want;
};
/* Built once from hf_catalogers, immutable, shared by threads.  NULL without memory. */
struct hf_dispatch *hf_dispatch_new(const struct hf_cataloger *const *catalogers);
void hf_dispatch_free(struct hf_dispatch *d);
HF_DEFINE_FREEP(struct hf_dispatch, hf_dispatch_free)
/* Wants that fit the path alone; at most HF_DISPATCH_MAX. */
size_t hf_dispatch_path(const struct hf_dispatch *d, struct hf_span path, struct hf_dispatch_hit ret[HF_DISPATCH_MAX]);
/* Wants that fit by the file's first bytes (ELF). */
size_t hf_dispatch_content(const struct hf_dispatch *d, struct hf_span head, struct hf_dispatch_hit ret[HF_DISPATCH_MAX]);
/* "name:version" of every cataloger, part of the cache key. */
void hf_dispatch_version(const struct hf_cataloger *const *catalogers, struct hf_buf *out);
