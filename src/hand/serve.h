/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h - the answering end of hand.h's sockets: one message in, one answer out with its result in a memory file. */
#pragma once
#include "base/span.h"

/* The next request, without waiting.  1; 0: none now; -ECONNRESET: the other end is gone; HF_E_LIMIT: it was longer than cap (thrown away). */
HF_MUSTUSE int hf_serve_take(int fd, char *buf, size_t cap, size_t *ret_n, struct hf_err *err);
/* memfd -1: no result.  An asker that does not read its answers loses them (-EAGAIN); nobody waits for it. */
HF_MUSTUSE int hf_serve_answer(int fd, uint64_t id, int rc, const char *error, int memfd, struct hf_err *err);
/* Tells the asker that whoever answered before is gone, and with it what was asked. */
void hf_serve_hello(int fd);
/* A memory file with these bytes; -errno. */
HF_MUSTUSE int hf_serve_memory(struct hf_span bytes, struct hf_err *err);
