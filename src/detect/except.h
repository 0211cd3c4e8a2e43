/* SPDX-License-Identifier: Apache-2.0 */
/* except.h - exceptions from rules: alerts that are known and meant, by the tightest key.  docs/formats/exceptions.md
 *
 * An exception names its rule and any of image, container, exe, parent, args_sha256, path, peer, port, name, target; an alert is excepted
 * when all that it names are as it says.  Expired ones are kept, so that they can be told of, and never match.  Files are hostile input: whole
 * or not at all, errors with file and line.  Limits: 1 MiB a file, 16,384 exceptions.  One thread. */
#pragma once
#include "base/mem.h"
#include "event/track.h"

enum { HF_EXCEPT_IMAGE, HF_EXCEPT_CONTAINER, HF_EXCEPT_EXE, HF_EXCEPT_PARENT, HF_EXCEPT_ARGS, HF_EXCEPT_PATH, HF_EXCEPT_PEER, HF_EXCEPT_NAME, HF_EXCEPT_TARGET, HF_EXCEPT_KEYS };
/* Names of the keys in the file. */
extern const char *const hf_except_keys[HF_EXCEPT_KEYS];

struct hf_except {
    struct hf_span id;   /* of the alert that it was made from, or any name */
    struct hf_span rule;
    struct hf_span keys[HF_EXCEPT_KEYS]; /* empty: any */
    uint32_t port;       /* 0: any */
    struct hf_span args, owner, why, made, expires; /* args: for people */
    int64_t expires_s;   /* since the epoch; INT64_MAX: never */
    struct hf_span file;
    unsigned line;
    uint64_t used;       /* alerts that it held back */
    size_t next;         /* of the same rule: place + 1 */
};
struct hf_excepts;
HF_MUSTUSE int hf_excepts_new(struct hf_excepts **ret, struct hf_err *err);
void hf_excepts_free(struct hf_excepts *x);
HF_DEFINE_FREEP(struct hf_excepts, hf_excepts_free)
/* text is copied.  After an error the set is not to be used. */
HF_MUSTUSE int hf_excepts_add(struct hf_excepts *x, const char *name, struct hf_span text, struct hf_err *err);
size_t hf_excepts_count(const struct hf_excepts *x);
const struct hf_except *hf_excepts_at(const struct hf_excepts *x, size_t i);
/* The exception that an alert of the rule for this event falls under, counted; NULL: none. */
const struct hf_except *hf_excepts_match(struct hf_excepts *x, struct hf_span rule, const struct hf_event *ev);
bool hf_except_expired(const struct hf_except *e, int64_t now_s);
/* What args_sha256 is of: the arguments as shown, masked, a blank between.  64 digits and NUL. */
void hf_except_hash(struct hf_span shown_args, char ret[65]);
/* "2026-11-26" to the end of that day; HF_E_FORMAT. */
HF_MUSTUSE int hf_except_date(struct hf_span text, int64_t *ret_end_s);
