/* SPDX-License-Identifier: Apache-2.0 */
/* hand.h - what the unprivileged processes of the daemon may ask of the privileged one (run.c), and of each other: JSON objects over a
 * SOCK_SEQPACKET socket, answered in any order.
 *
 * Request {"id": N, "do": WHAT, ...}, answer {"id": N, "rc": 0 or HF_E_* or -errno, "error": "..."} with the result, a JSON document, in a memory file that
 * comes with it.  The hand takes only what is listed here, checks every member, builds the arguments of its own program and runs that; no shell, no
 * path and no option of the asker's.  Every request is logged with who asked (what only reads: when the daemon is told to be verbose).
 *
 *   act     action freeze|thaw|kill|isolate|release|limit|snapshot, container (64 hex digits), by, via, why; may have pid, for ("15m"), dry_run, force
 *           (only from askers that the supervisor lets: none at present), allow [addresses], packets, connections (a second): result is what `respond --json` prints
 *   scan    image (a reference or "container:" and an id), digest: result is what `scan --json` prints
 *   verify  container (64 hex digits): its files held against its seal at idle priority; result is what `seal verify --json` prints
 *   except  alert (its line), by, why, expires (a date; may be missing), dry_run: the exception's text in "text", its file in "file"
 *   list    result is what `respond list --json` prints: what is in force
 *   protect status: what `protect status --json` prints
 *   inuse   what `inuse --json` prints
 *   seals   what `seal list --json` prints
 *   notify.test   channel, by: asked of the hub, not of the hand
 */
#pragma once
#include "base/span.h"

enum { HF_HAND_REQUEST_MAX = 96 << 10, HF_HAND_RESULT_MAX = 64 << 20, HF_HAND_AT_ONCE = 16 };

struct hf_hand;
/* The asking end; takes fd over.  Starts a thread that reads answers. */
HF_MUSTUSE int hf_hand_new(struct hf_hand **ret, int fd, struct hf_err *err);
void hf_hand_free(struct hf_hand *h);
HF_DEFINE_FREEP(struct hf_hand, hf_hand_free)
/* From any thread, several at once.  request: an object without "id".  The answer's rc; its error in err; its result behind what is in ret (may be
 * NULL).  -ETIMEDOUT, -ECONNRESET (the other end is gone), HF_E_LIMIT (too large, too many at once). */
HF_MUSTUSE int hf_hand_call(struct hf_hand *h, struct hf_span request, unsigned timeout_ms, struct hf_buf *ret, struct hf_err *err);
