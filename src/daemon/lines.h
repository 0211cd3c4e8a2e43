/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - from the pipe of `watch --json` to whoever needs the lines: a thread reads as fast as it can, so that watching is never held
 * up; every line is offered to the console (which loses what it does not take in time), and those that incidents or the inventory need wait in a
 * bounded list for the hub.
 *
 * Room: HF_LINES_MAX bytes for alerts and what is rare, HF_LINES_LOW_MAX of them for the rest; what finds none is counted and dropped, the newest
 * first.  Lines over HF_LINES_LINE_MAX are passed over. */
#pragma once
#include "base/span.h"

struct hf_daemon_shared;
enum { HF_LINES_MAX = 64 << 20, HF_LINES_LOW_MAX = 16 << 20, HF_LINES_LINE_MAX = 2 << 20, HF_LINES_CONSOLE_MAX = 4 << 20 };

struct hf_lines;
/* fd: the pipe, made non-blocking; console_fd: a stream socket, or -1.  Both stay the caller's. */
HF_MUSTUSE int hf_lines_new(struct hf_lines **ret, int fd, int console_fd, struct hf_daemon_shared *shared, struct hf_err *err);
/* Starts the thread. */
HF_MUSTUSE int hf_lines_start(struct hf_lines *l, struct hf_err *err);
/* The next line into out (cleared before).  1; 0: none within timeout_ms (or hf_lines_wake was called). */
int hf_lines_next(struct hf_lines *l, int timeout_ms, struct hf_buf *out);
/* Whoever waits in hf_lines_next looks up. */
void hf_lines_wake(struct hf_lines *l);
/* What is in the pipe is still read, then the thread ends; lines that wait can still be taken. */
void hf_lines_end(struct hf_lines *l);
void hf_lines_free(struct hf_lines *l); /* ends first */
HF_DEFINE_FREEP(struct hf_lines, hf_lines_free)

/* What a line is, from its beginning alone. */
enum hf_line_kind { HF_LINE_SKIP /* only for those who look on */, HF_LINE_LOW, HF_LINE_HIGH };
enum hf_line_kind hf_line_kind(struct hf_span line);
