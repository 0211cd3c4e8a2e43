/* SPDX-License-Identifier: Apache-2.0 */
/* send.h - one request over the wire: HTTP and SMTP by libcurl, syslog over TLS by libcurl's connection, files by append.
 *
 * TLS is verified always (1.2 or newer; the host's name; the system's certificates or the channel's ca_file), redirects are not followed,
 * answers are cut at 64 KiB, everything ends within 30 s.  A sender keeps its connection for the next request and belongs to
 * one thread.  Messages of errors name host and reason, never secrets. */
#pragma once
#include "notify/render.h"

struct hf_nsender;
HF_MUSTUSE int hf_nsender_new(struct hf_nsender **ret, const struct hf_nconf *conf, const struct hf_nchannel *ch, struct hf_err *err);
void hf_nsender_free(struct hf_nsender *s);
HF_DEFINE_FREEP(struct hf_nsender, hf_nsender_free)
/* 0: there was an answer, in *ret (borrowed until the next call).  < 0: no answer; try later, or never when it is HF_E_USAGE. */
HF_MUSTUSE int hf_nsend(struct hf_nsender *s, const struct hf_nrequest *q, struct hf_nanswer *ret, struct hf_err *err);
/* Loads what the first request will need (libcurl: some 40 libraries), so that it need not wait for that. */
void hf_nsender_warm(struct hf_nsender *s);
/* Ends what is under way soon; from any thread. */
void hf_nsender_stop(struct hf_nsender *s);
/* Seconds of a Retry-After header's value: a number or a date; 0: neither, at most a day. */
uint64_t hf_nsend_retry_after(struct hf_span value, int64_t now_s);
