/* SPDX-License-Identifier: Apache-2.0 */
/* docker-api.h - GET requests to the docker daemon over its Unix socket (docs.docker.com/engine/api; podman answers the same).
 *
 * Paths go without a version, which every daemon answers as its newest.  Memory: answers up to the caller's ceiling, streams two
 * buffers of 1 MiB.  A handle belongs to one thread at a time. */
#pragma once
#include "image/image.h"

/* The HTTP status and the body, or < 0 with what to do about it: no daemon, no permission. */
HF_MUSTUSE int hf_docker_get(const struct hf_image_opts *o, const char *path, struct hf_buf *body, struct hf_err *err);
/* Whether the daemon answers and knows the container: 1, 0 (err says so too), or < 0. */
HF_MUSTUSE int hf_docker_has_container(const char *id, const struct hf_image_opts *o, struct hf_err *err);
/* The error for a status other than 200, with the daemon's own words. */
int hf_docker_refused(int status, struct hf_span body, const char *what, struct hf_err *err);
/* Appends a name, percent-encoded so that it cannot change the request. */
void hf_docker_add_name(struct hf_buf *path, struct hf_span name);

/* A body as it arrives.  path must live as long as the stream. */
struct hf_docker_stream;
HF_MUSTUSE int hf_docker_stream_open(struct hf_docker_stream **ret, const struct hf_image_opts *o, const char *path, struct hf_err *err);
/* The next piece, borrowed until the next call: 1, 0 at the end of a complete body, < 0. */
HF_MUSTUSE int hf_docker_stream_pull(struct hf_docker_stream *s, struct hf_span *ret, struct hf_err *err);
void hf_docker_stream_close(struct hf_docker_stream *s); /* NULL is fine */
