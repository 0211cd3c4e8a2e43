/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.h - a container's facts from what its runtime left on the disk: the OCI bundle's config.json (runtime-spec 1.0), docker's
 * config.v2.json, containerd's and CRI's annotations, podman's and CRI-O's annotations.  docs/formats/containers.md.
 *
 * The documents are written by runtimes, but partly from what users asked for: sizes and nesting are limited, links out of the
 * state folders are not followed, secrets of the environment and of labels are masked. */
#pragma once
#include "base/span.h"

struct hf_bundle {
    struct hf_span id;
    const char *runtime; /* as the cgroup path told it; may be NULL */
    char dir[4096];      /* where config.json was found; empty: nowhere */
    bool has_config, has_name, has_image, has_digest, sandbox; /* what is known so far */
    const char *name_from, *image_from; /* the source: "bundle", "docker-state", "containerd-store", "containers-storage"; NULL: none */
};

/* Places to look at, besides the built-in list: from the command lines of running daemons ("--exec-root", "--state"), the folder a containerd
 * shim runs in, the bundle that a conmon watches.  Refreshed by hf_bundle_roots_scan. */
struct hf_bundle_roots {
    char exec_root[128][256]; /* dockerd's --exec-root, containerd's state */
    char store[32][256];      /* DRIVER-containers of containers/storage */
    char socket[64][108];     /* Unix sockets of running dockerds */
    size_t n, n_stores, n_sockets;
    size_t left_out;          /* that found no place above: their containers may stay without names */
    const char *prefix; /* before every built-in path, for tests; "" otherwise */
};
/* Of the processes that run now. */
void hf_bundle_roots_scan(struct hf_bundle_roots *r);

/* Finds the bundle of a container and appends its facts as pairs ("name\0value\0", names of docs/formats/events.md) to out.
 * maker_pid: the process that made the control group, whose arguments (maker_args; empty: /proc is asked) may name the bundle; 0: unknown.
 * 1 when facts were found, 0 when nothing is there (yet), < 0 when something is there but unreadable (err says what). */
HF_MUSTUSE int hf_bundle_facts(const struct hf_bundle_roots *r, struct hf_bundle *b, uint32_t maker_pid, struct hf_span maker_args, struct hf_buf *out,
        struct hf_err *err);

/* The parsers alone, for tests and fuzzing: text of config.json, of config.v2.json. */
HF_MUSTUSE int hf_bundle_config(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_span *ret_rootfs, struct hf_err *err);
HF_MUSTUSE int hf_bundle_docker(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);
