/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - every entry of the merged image, for seals: what merge.c keeps only for packages, kept for all.
 *
 * Whiteouts, opaque directories and replacements as in OCI image-spec, layer.md; a hard link has the content of its target, and what its own
 * entry says of owner, mode and capabilities counts for both names, as runtimes unpack it.
 * Directories that layers only imply are root's with mode 0755, as runtimes make them. */
#pragma once
#include "image/record.h"

struct hf_tree;
struct hf_tree_entry {
    struct hf_span path; /* no leading '/' */
    enum hf_log_type type; /* FILE, DIR, SYMLINK or OTHER */
    struct hf_span link;
    struct hf_meta meta;
    uint32_t layer; /* index in the records */
    bool implied;
    const struct hf_package *package; /* the operating system's that owns it, or NULL */
};
/* max_bytes: ceiling for what it keeps. */
struct hf_tree *hf_tree_new(size_t max_bytes);
/* Before anything is added: names that differ in case alone are one, as on Windows; the first spelling stays. */
void hf_tree_ignore_case(struct hf_tree *t);
void hf_tree_free(struct hf_tree *t);
HF_DEFINE_FREEP(struct hf_tree, hf_tree_free)
/* Lays layer on top.  HF_E_UNSUPPORTED when its record has no digests or not of all entries.  Records must outlive the tree. */
HF_MUSTUSE int hf_tree_add(struct hf_tree *t, const struct hf_record *r, uint32_t layer, struct hf_err *err);
/* dir/name belongs to p, which is copied; nothing happens when there is no such path. */
HF_MUSTUSE int hf_tree_own(struct hf_tree *t, struct hf_span dir, struct hf_span name, const struct hf_package *p);
/* In no order; 1, 0 at the end.  *at begins with 0.  Hard links whose target is missing are left out and counted. */
int hf_tree_next(const struct hf_tree *t, size_t *at, struct hf_tree_entry *ret);
size_t hf_tree_dangling(const struct hf_tree *t);
