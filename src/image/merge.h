/* SPDX-License-Identifier: Apache-2.0 */
/* merge.h - from the records of the layers to the packages of the image as a container would see it: what a higher layer
 * removed or replaced is gone (OCI image-spec, layer.md), links are followed on the merged tree, and every package knows where it
 * lies, which layer brought it and which OS package owns its files (R21, R22). */
#pragma once
#include "image/record.h"
#include "image/tree.h"
#include "result/scan.h"

/* Fills release, packages, incomplete, files and bytes of the scan.  records[i] belongs to layer i and must live as long as the
 * scan.  has_layers false: locations carry no layer.  tree: is filled and told which package owns what; NULL: none is wanted. */
HF_MUSTUSE int hf_merge(struct hf_scan *scan, const struct hf_record *const *records, size_t n, bool has_layers, struct hf_tree *tree, struct hf_err *err);
