/* SPDX-License-Identifier: Apache-2.0 */
/* inventory-internal.h - what the parts of the inventory share. */
#pragma once
#include <cjson/cJSON.h>

#include "base/json.h"
#include "inventory/inventory.h"
#include "result/scan.h"

enum { HF_INV_KEY_MAX = 1024, /* of a package or finding: the store's */ HF_INV_DOC_MAX = 3 << 20 };

/* Text of a JSON value, on one line.  The same value gives the same text, whichever way it was written before. */
void hf_inv_write(struct hf_jw *w, const cJSON *v);
void hf_inv_put(cJSON *o, const char *name, cJSON *v); /* v is taken over, NULL and without memory: nothing */
const char *hf_inv_z(const cJSON *o, const char *name); /* "" when there is none */
double hf_inv_num(const cJSON *o, const char *name);
/* "sha256:" and 64 hex digits. */
bool hf_inv_digest_ok(struct hf_span digest);
/* Setting that says against which database the image was matched. */
void hf_inv_matched_key(struct hf_buf *out, struct hf_span digest);

/* The severity of the store (0 debug ... 6 critical) for one of the result.  What was accepted or does not count (ignored, kernel_class) is 0. */
int hf_inv_severity(struct hf_span word, bool counts);
/* "debian:12", "npm": what a package is filed under. */
void hf_inv_ecosystem(struct hf_buf *out, struct hf_span type, struct hf_span os_id, struct hf_span os_version);

/* A vulnerability of a scan as a row; spans belong to `text` and vuln.  false: without id or package, or too long a key. */
struct hf_inv_row {
    struct hf_span id, package, version, fixed;
    int severity;
    bool used, kev;
};
bool hf_inv_row_of(const cJSON *vuln, struct hf_inv_row *ret);

/* ---- an image, as the store has it, ready to be matched ---- */
struct hf_inv_kept { /* one package, beside scan.packages of the same index */
    struct hf_span ecosystem;
    bool used;
    cJSON *in_use, *owners; /* own copies of what the scan said; NULL: nothing */
};
struct hf_inv_image_scan {
    struct hf_scan scan;
    struct hf_inv_kept *kept;
    size_t n_kept, cap_kept;
    struct hf_scan_package *read; /* becomes scan.packages */
    size_t cap_read, n_read;
    bool use_known; /* packages of the system that are not used are known not to be */
    struct hf_buf name;
};
HF_MUSTUSE int hf_inv_load(struct hf_inv_image_scan *ret, struct hf_store *s, const struct hf_inv_image *image, struct hf_err *err);
void hf_inv_unload(struct hf_inv_image_scan *i);
