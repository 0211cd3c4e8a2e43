/* SPDX-License-Identifier: Apache-2.0 */
/* active.h - actions that are in force, one file each (DIR/active/ACTION-ID.json): what is needed to undo them, also by another process and after
 * this one has died.  Gone when the action is undone.  After a reboot they mean nothing any more and are forgotten. */
#pragma once
#include "base/span.h"

#define HF_ACTIVE_MAX 1024u /* read at once */

struct hf_active {
    char action[16], id[160], name[160], rung[96];
    uint64_t cgroup_id, seq;  /* seq: line of the log where it began */
    uint64_t expires_s;       /* CLOCK_BOOTTIME; 0: does not */
    bool was;                 /* it was so before (frozen by somebody else): undoing leaves it */
    uint64_t started_s;       /* since the epoch */
    char settings[1024];      /* words for people: "100 packets/s out" */
};
/* DIR is the folder of respond. */
HF_MUSTUSE int hf_active_write(const char *dir, const struct hf_active *a, struct hf_err *err);
HF_MUSTUSE int hf_active_read(const char *dir, const char *action, const char *id, struct hf_active *ret, struct hf_err *err); /* HF_E_NOT_FOUND */
void hf_active_remove(const char *dir, const struct hf_active *a);
/* All of this boot; those of others are removed.  Files that are damaged are told of by `bad` and left.  malloc'd array. */
HF_MUSTUSE int hf_active_all(const char *dir, struct hf_active **ret, size_t *ret_n, size_t *ret_bad, struct hf_err *err);
/* The parser alone. */
HF_MUSTUSE int hf_active_parse(struct hf_span json, struct hf_active *ret, char boot_id[40], struct hf_err *err);
uint64_t hf_active_now_s(void);
