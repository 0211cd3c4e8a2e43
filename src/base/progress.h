/* SPDX-License-Identifier: Apache-2.0 */
/* progress.h - one line on stderr for long work: only on a terminal, only after 500 ms, cleared at the end.
 *
 * Counters are atomic: workers add, a timer thread draws.  Nothing is printed when quiet or not a terminal. */
#pragma once
#include "base/span.h"

struct hf_progress;
struct hf_progress *hf_progress_start(const char *what, bool quiet); /* never fails; NULL works everywhere below */
void hf_progress_total(struct hf_progress *p, uint64_t bytes, unsigned items); /* adds to what is to be done */
void hf_progress_add(struct hf_progress *p, uint64_t bytes);
void hf_progress_item(struct hf_progress *p);
void hf_progress_stop(struct hf_progress *p); /* clears the line, frees */
