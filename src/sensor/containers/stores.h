/* SPDX-License-Identifier: Apache-2.0 */
/* stores.h - what a container's bundle does not say and its runtime's own store does: containerd's meta.db, the JSON lists of
 * containers/storage (podman, CRI-O), docker's list of repositories.  docs/formats/containers.md.
 *
 * Facts are appended to out; what is there already stays.  1: something was found, 0: not there, < 0 (err says why): there, but unreadable. */
#pragma once
#include "sensor/containers/bundle.h"

/* root: containerd's root folder; ns: its namespace ("k8s.io", "default", "moby"). */
HF_MUSTUSE int hf_store_containerd(const char *root, struct hf_span ns, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);
/* dir: DRIVER-containers of containers/storage, with its containers.json and volatile-containers.json. */
HF_MUSTUSE int hf_store_containers(const char *dir, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);
/* libpod's bolt_state.db. */
HF_MUSTUSE int hf_store_libpod(const char *path, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);
/* data_root/image/DRIVER/repositories.json: the digest under which an image was pulled. */
HF_MUSTUSE int hf_store_docker_image(const char *data_root, const char *driver, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);

/* The parsers alone, for tests and fuzzing. */
struct hf_bolt;
HF_MUSTUSE int hf_store_containerd_db(struct hf_bolt *db, struct hf_span ns, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);
HF_MUSTUSE int hf_store_libpod_db(struct hf_bolt *db, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);
HF_MUSTUSE int hf_store_containers_json(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);
HF_MUSTUSE int hf_store_images_json(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);
HF_MUSTUSE int hf_store_repositories_json(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err);

/* A regular file of a runtime's folder: 1 read, 0 not there, < 0 there but unreadable.  A link in the last component is not followed. */
HF_MUSTUSE int hf_store_read(const char *path, struct hf_buf *out, struct hf_err *err);
