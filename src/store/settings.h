/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - small facts by key, such as "notify/slack/I-20261126-7K3Q9D" -> {"ts": ...}. */
#pragma once
#include "store/store.h"

HF_MUSTUSE int hf_store_setting_put(struct hf_store *s, struct hf_span key, struct hf_span value, struct hf_err *err);
/* 1 and the value behind what is in ret; 0: there is none. */
HF_MUSTUSE int hf_store_setting_get(struct hf_store *s, struct hf_span key, struct hf_buf *ret, struct hf_err *err);
HF_MUSTUSE int hf_store_setting_delete(struct hf_store *s, struct hf_span key, struct hf_err *err); /* 1: it was there */
/* Those whose key begins with prefix, in byte order, keys after `after` (empty: from the first).  limit 0: 1000. */
typedef int (*hf_setting_cb)(void *ctx, struct hf_span key, struct hf_span value, int64_t changed);
HF_MUSTUSE int hf_store_setting_list(struct hf_store *s, struct hf_span prefix, struct hf_span after, unsigned limit, hf_setting_cb cb,
        void *ctx, struct hf_err *err);
