/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - events and alerts as lines of JSON: holdfast.event/1 (docs/formats/events.md).
 *
 * One object a line, members in a fixed order, invalid UTF-8 replaced, secrets in arguments masked. */
#pragma once
#include "event/alert.h"
#include "event/track.h"

/* Appends one line with its newline.  Nothing when out is full (check hf_buf_ok). */
void hf_event_json(const struct hf_event *ev, struct hf_buf *out);
/* The same with more members at the end of the object: more writes them. */
struct hf_jw;
void hf_event_json_more(const struct hf_event *ev, void (*more)(void *ctx, struct hf_jw *w), void *ctx, struct hf_buf *out);
void hf_alert_json(const struct hf_alert *a, struct hf_buf *out);
/* The `type` of the line. */
const char *hf_event_json_type(const struct hf_event *ev);
/* Arguments (NUL between) with what looks like a secret masked, separated by a blank. */
void hf_event_args(struct hf_span args, struct hf_buf *out);
/* The same for a text whose arguments are separated by a blank already, such as a rule's "%proc.cmdline". */
void hf_event_mask(struct hf_span text, struct hf_buf *out);
/* "2026-11-26T08:00:00.123456789Z" */
void hf_event_time(uint64_t ns, struct hf_buf *out);
