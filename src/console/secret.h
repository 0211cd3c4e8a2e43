/* SPDX-License-Identifier: Apache-2.0 */
/* secret.h - how records of accounts.h are kept: keys, texts, small JSON. */
#pragma once
#include "console/accounts.h"

enum { HF_REC_KEY = 160, HF_REC_MAX = 4096 };
/* "console/KIND/" and the SHA-256 of the secret as hex. */
void hf_rec_secret_key(const char *kind, struct hf_span secret, char ret[HF_REC_KEY]);
void hf_rec_name_key(const char *kind, struct hf_span name, char ret[HF_REC_KEY]);
/* The record: 1, 0 none.  HF_E_FORMAT: it is not what was written. */
HF_MUSTUSE int hf_rec_get(struct hf_store *s, const char *key, struct hf_json_doc **ret, struct hf_err *err);
uint64_t hf_rec_u64(hf_jnode object, const char *name); /* 0: missing */
/* Every record of a kind; the callback may change the store. */
typedef int (*hf_rec_cb)(void *ctx, struct hf_span key, struct hf_span name, hf_jnode record);
HF_MUSTUSE int hf_rec_each(struct hf_store *s, const char *kind, hf_rec_cb cb, void *ctx, struct hf_err *err);
