/* SPDX-License-Identifier: Apache-2.0 */
/* ask.h - a request to the hand (hand.h), taken apart and held against what may be asked; what of it becomes the arguments of a command.
 *
 * Pure: no files, clock or processes.  Whatever the asker wrote, argv holds only words of this file, paths of the machine's own settings, and
 * values that were checked member by member; none of them can be taken for an option, for a path or for another kind of target.  Members that
 * are not known, that occur twice or that do not belong to what is asked are refused: HF_E_USAGE names them. */
#pragma once
#include "base/mem.h"

enum hf_hask_kind { HF_HASK_ACT, HF_HASK_SCAN, HF_HASK_VERIFY, HF_HASK_EXCEPT, HF_HASK_PROTECT, HF_HASK_LIST, HF_HASK_NOTIFY_TEST };
enum { HF_HASK_ARGS = 96, HF_HASK_ALLOW_MAX = 32, HF_HASK_IGNORE_MAX = 64 };

/* Of this machine's settings. */
struct hf_hask_place {
    const char *state;      /* folder of the state */
    const char *exceptions; /* file that exceptions are added to; NULL: none can be made */
    const char *db;         /* advisory database */
    const char *cache;      /* folder of layer facts; NULL: as usual */
    const char *verify_ignore; /* patterns of paths that do not count, with blanks between; NULL: none */
    const char *ignore;     /* vulnerabilities that were accepted; NULL: none */
    bool force;             /* this asker may force what safeguards refuse */
};
struct hf_hask {
    uint64_t id;            /* 0: it could not be read; nobody can be answered */
    enum hf_hask_kind kind;
    struct hf_arena arena;
    const char *argv[HF_HASK_ARGS]; /* behind the program's name, NULL at the end; empty for HF_HASK_NOTIFY_TEST */
    size_t argc;
    struct hf_span input;   /* for standard input; empty: none */
    struct hf_span what, on, by, via; /* for the log: "freeze", the container, image, alert or channel; who asks, and where */
    bool dry_run;
    unsigned timeout_s;
};
/* Also when it is refused *ret has the id, if there was one; end it with hf_hask_done in any case. */
HF_MUSTUSE int hf_hask_read(struct hf_hask *ret, struct hf_span json, const struct hf_hask_place *place, struct hf_err *err);
void hf_hask_done(struct hf_hask *a);
