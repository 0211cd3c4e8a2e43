/* SPDX-License-Identifier: Apache-2.0 */
/* inventory.h - what there is: hosts, containers, images with packages and findings, seals.  A new advisory is matched against
 * the packages here, so that no image is read again (hf_store_packages_named). */
#pragma once
#include "store/store.h"

struct hf_inv_host {
    struct hf_span id, name, doc; /* id: machine-id; doc: JSON, any */
    int64_t seen;
};
struct hf_inv_container {
    struct hf_span id, host, name, image, digest, doc; /* digest: "sha256:..." of the image */
    int64_t started, ended, seen;                      /* ended 0: it runs */
};
struct hf_inv_image {
    struct hf_span digest, name, doc;
    int64_t scanned; /* 0: not yet */
};
struct hf_inv_package {
    struct hf_span ecosystem, name, version, source, doc; /* ecosystem as in the result ("debian:12", "npm"); source: source package or "" */
    bool used;                                            /* a file of it ran or was loaded */
};
struct hf_inv_finding {
    struct hf_span id, ecosystem, package, version, fixed, doc; /* id: CVE-..., GHSA-... */
    int severity;
    bool used;
    int64_t found; /* 0: now.  Kept from before when the same finding is put again */
};
struct hf_inv_seal {
    struct hf_span digest, doc; /* of the image; the seal or where it is */
    int64_t made;
};
HF_MUSTUSE int hf_store_host_put(struct hf_store *s, const struct hf_inv_host *h, struct hf_err *err);
HF_MUSTUSE int hf_store_container_put(struct hf_store *s, const struct hf_inv_container *c, struct hf_err *err);
HF_MUSTUSE int hf_store_container_end(struct hf_store *s, struct hf_span id, int64_t when, struct hf_err *err); /* 1: it was there and ran */
HF_MUSTUSE int hf_store_image_put(struct hf_store *s, const struct hf_inv_image *i, struct hf_err *err);
/* Replace all packages / findings of an image in one transaction; the image must be there (HF_E_NOT_FOUND). */
HF_MUSTUSE int hf_store_packages_put(
        struct hf_store *s, struct hf_span digest, const struct hf_inv_package *p, size_t n, struct hf_err *err);
HF_MUSTUSE int hf_store_findings_put(
        struct hf_store *s, struct hf_span digest, const struct hf_inv_finding *f, size_t n, struct hf_err *err);
/* Adds or changes one, leaving the others: what a new advisory brings.  1: it was not there before. */
HF_MUSTUSE int hf_store_finding_add(struct hf_store *s, struct hf_span digest, const struct hf_inv_finding *f, struct hf_err *err);
/* A file of the package ran or was loaded: package and its findings are marked.  version empty: any. */
HF_MUSTUSE int hf_store_package_used(struct hf_store *s, struct hf_span digest, struct hf_span ecosystem, struct hf_span name, struct hf_span version,
        struct hf_err *err);
HF_MUSTUSE int hf_store_seal_put(struct hf_store *s, const struct hf_inv_seal *seal, struct hf_err *err);

/* Lists: limit 0: 1000; `after` is the last key of the page before (empty: from the first); order is that key's bytes. */
typedef int (*hf_inv_host_cb)(void *ctx, const struct hf_inv_host *h);
typedef int (*hf_inv_container_cb)(void *ctx, const struct hf_inv_container *c);
typedef int (*hf_inv_image_cb)(void *ctx, const struct hf_inv_image *i, uint64_t running);
typedef int (*hf_inv_package_cb)(void *ctx, struct hf_span digest, const struct hf_inv_package *p, uint64_t running);
typedef int (*hf_inv_finding_cb)(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running);
HF_MUSTUSE int hf_store_host_list(struct hf_store *s, struct hf_span after, unsigned limit, hf_inv_host_cb cb, void *ctx, struct hf_err *err);
/* running_only; digest empty: of every image. */
HF_MUSTUSE int hf_store_container_list(struct hf_store *s, bool running_only, struct hf_span digest, struct hf_span after, unsigned limit,
        hf_inv_container_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_store_image_list(struct hf_store *s, struct hf_span after, unsigned limit, hf_inv_image_cb cb, void *ctx, struct hf_err *err);
/* Every package of an image. */
HF_MUSTUSE int hf_store_packages(struct hf_store *s, struct hf_span digest, hf_inv_package_cb cb, void *ctx, struct hf_err *err);
/* Re-match: every image that has the package of this ecosystem (or its source package) by name, with how many containers of it run. */
HF_MUSTUSE int hf_store_packages_named(
        struct hf_store *s, struct hf_span ecosystem, struct hf_span name, hf_inv_package_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_store_findings(struct hf_store *s, struct hf_span digest, hf_inv_finding_cb cb, void *ctx, struct hf_err *err);
/* Where an advisory was found. */
HF_MUSTUSE int hf_store_findings_of(struct hf_store *s, struct hf_span id, hf_inv_finding_cb cb, void *ctx, struct hf_err *err);
/* One by its key: 1 and cb was called, 0. */
HF_MUSTUSE int hf_store_host_get(struct hf_store *s, struct hf_span id, hf_inv_host_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_store_container_get(struct hf_store *s, struct hf_span id, hf_inv_container_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_store_image_get(struct hf_store *s, struct hf_span digest, hf_inv_image_cb cb, void *ctx, struct hf_err *err);
/* Findings by severity, and of those the ones whose package is used: of one image, or (digest empty) of all, or of those that run. */
struct hf_finding_counts {
    uint64_t n[7], used[7]; /* by severity */
};
HF_MUSTUSE int hf_store_finding_counts(struct hf_store *s, struct hf_span digest, bool running_only, struct hf_finding_counts *ret, struct hf_err *err);
struct hf_inv_counts {
    uint64_t hosts, images, scanned, containers, running, packages, findings;
};
HF_MUSTUSE int hf_store_inventory_counts(struct hf_store *s, struct hf_inv_counts *ret, struct hf_err *err);
/* 1 and what is known, doc behind what is in ret_doc; 0. */
HF_MUSTUSE int hf_store_seal_get(struct hf_store *s, struct hf_span digest, struct hf_buf *ret_doc, int64_t *ret_made, struct hf_err *err);
