/* SPDX-License-Identifier: Apache-2.0 */
/* watch-text.h - events as words for people: what the terminal view of `watch` and its flight recorder write.  Everything that came from
 * a container is escaped, secrets in arguments are masked. */
#pragma once
#include "event/event.h"

/* "14:03:59.123  ", local time. */
void hf_watch_clock(uint64_t ns, struct hf_buf *out);
/* The text, filled up to width, and two blanks. */
void hf_watch_column(struct hf_buf *b, struct hf_span s, size_t width);
/* What happened, in a few words; false, and nothing, for events that only machines read. */
bool hf_watch_words(const struct hf_event *ev, struct hf_buf *b);
/* A line that says by whom its process was reached over the network last; nothing when it was not. */
void hf_watch_reached(const struct hf_event *ev, struct hf_buf *b);
/* Whether it is the container runtime setting a container up, which only the JSON tells (and rules see). */
bool hf_watch_is_setup(const struct hf_event *ev);
