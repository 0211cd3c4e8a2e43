/* SPDX-License-Identifier: Apache-2.0 */
/* inuse.h - which packages of an image are used: those whose files ran, or were mapped for execution, in containers of it; kept per image in
 * STATE/inuse/sha256-HEX.json (written atomically, at most once in HF_INUSE_WRITE_S, 0600).
 *
 * Only what is as the image has it counts (verdict sealed), and only files that a package owns.  What is missed: libraries that are loaded
 * later than HF_INUSE_LOOK_S after their program started and that no rule had told of, scripts that an interpreter reads by itself
 * (Python modules, say), and programs that ended before they could be looked at (they count, their libraries do not). */
#pragma once
#include "base/json.h"
#include "base/span.h"

#define HF_INUSE_PACKAGES 8192u /* of an image */
#define HF_INUSE_IMAGES 256u    /* at once */
#define HF_INUSE_WRITE_S 30u
#define HF_INUSE_LOOK_S 1u      /* after its start a program's libraries are looked at */
#define HF_INUSE_BYTES (4u << 20)

#define HF_INUSE_RAN 0x1u
#define HF_INUSE_MAPPED 0x2u
#define HF_INUSE_LISTENS 0x4u /* a process that ran or mapped it waits for connections */
#define HF_INUSE_ROOT 0x8u    /* ... runs as root */

struct hf_inuse_store;
struct hf_inuse;

HF_MUSTUSE int hf_inuse_store_new(struct hf_inuse_store **ret, const char *state_dir, struct hf_err *err);
void hf_inuse_store_free(struct hf_inuse_store *s);
/* The list of an image ("sha256:HEX"), shared; what was kept before is read.  NULL: no memory, or too many images. */
struct hf_inuse *hf_inuse_get(struct hf_inuse_store *s, const char *image, struct hf_span name);
void hf_inuse_put(struct hf_inuse_store *s, struct hf_inuse *u);
/* A package ("name version") was used in this way, now. */
void hf_inuse_mark(struct hf_inuse *u, struct hf_span package, uint32_t how);
/* Whether something waits to be written. */
bool hf_inuse_dirty(const struct hf_inuse_store *s);
/* Writes what changed.  all: also what is younger than HF_INUSE_WRITE_S. */
void hf_inuse_store_write(struct hf_inuse_store *s, bool all);

/* For readers: calls fn for every package of a file's text, in order of name.  HF_E_FORMAT. */
struct hf_inuse_package {
    struct hf_span package;
    uint64_t first_s, last_s; /* since the epoch */
    uint32_t how;
};
HF_MUSTUSE int hf_inuse_read(struct hf_span text, struct hf_span *ret_image, uint64_t *ret_since_s, void (*fn)(void *ctx, const struct hf_inuse_package *p), void *ctx,
        struct hf_json_doc **ret_doc /* holds the spans */, struct hf_err *err);
/* STATE/inuse/sha256-HEX.json; false: no such digest. */
bool hf_inuse_path(const char *state_dir, struct hf_span image, char ret[4352]);
