/* SPDX-License-Identifier: Apache-2.0 */
/* judge.h - what a file that runs is: its path, content and place against the seal of the container's image.  A pure function. */
#pragma once
#include "guard/guard.h"

enum hf_where { HF_WHERE_ROOT, HF_WHERE_VOLUME, HF_WHERE_MEMORY, HF_WHERE_SERVED /* not to be opened (slow.h); never asked of hf_judge */ };

struct hf_judge_in {
    struct hf_span path; /* absolute, from the container's root, links resolved */
    enum hf_where where;
    bool has_got;
    uint8_t got[32]; /* SHA-256 of the content */
};

/* Fills verdict, has_got, got, has_want, want, sealed_path and package of *ret; the rest stays.  seal: NULL when there is none.
 * 0, or < 0 when the seal could not be read (the verdict is then UNSEALED).
 *
 *   the path has this content in the image   SEALED, wherever it lies (a volume that was filled from the image, a copy-up by chmod or touch)
 *   memory only                              MEMORY
 *   elsewhere than in the root               VOLUME
 *   the image has the path otherwise         CHANGED
 *   the image has the content elsewhere      MOVED
 *   else                                     FOREIGN */
int hf_judge(struct hf_seal *seal, const struct hf_judge_in *in, struct hf_judgement *ret, struct hf_err *err);
