/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.h - the late second source: a docker daemon (or podman's docker-compatible service) asked over its Unix socket for a container that the
 * disk says too little of: GET /containers/ID/json.
 *
 * Never blocks: one question at a time, carried on by hf_daemon_go; an answer has 256 KiB and half a second at most, and is HTTP/1.0, so it ends with
 * the connection.  Only sockets that belong to root are asked, and only by the same ids that the kernel told.  One thread. */
#pragma once
#include "base/span.h"

#define HF_DAEMON_SOCKETS 18u

struct hf_bundle_roots;
struct hf_bundle;
struct hf_daemon;

HF_MUSTUSE int hf_daemon_new(struct hf_daemon **ret, struct hf_err *err);
void hf_daemon_free(struct hf_daemon *d);
HF_DEFINE_FREEP(struct hf_daemon, hf_daemon_free)
/* Whether a question is under way. */
bool hf_daemon_busy(const struct hf_daemon *d);
/* Begins to ask the sockets of r, one after the other; not while busy.  false: nobody to ask, or no id to ask for. */
bool hf_daemon_ask(struct hf_daemon *d, const struct hf_bundle_roots *r, struct hf_span id, uint64_t now_ns);
/* Carries on: 1 an answer (*ret_json borrowed until the next call), 0 not yet, -ENOENT: nobody knows it, or answers in time. */
int hf_daemon_go(struct hf_daemon *d, uint64_t now_ns, struct hf_span *ret_json);

/* The parsers alone, for tests and fuzzing.  An HTTP answer up to the end of the connection: 1 and its body when its status is 200, else 0. */
int hf_daemon_body(struct hf_span answer, struct hf_span *ret);
/* Facts of a container as docker's API tells them (API 1.24 and later). */
HF_MUSTUSE int hf_daemon_facts(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);
