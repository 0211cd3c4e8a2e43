/* SPDX-License-Identifier: Apache-2.0 */
/* seals.h - the seals of the images that run: found in STATE/seals by the image's digest, or made there.
 *
 * A seal that is missing is made by a child process from the lower directories of the container's overlay: the image's layers as they lie in
 * the local store, or, when its root is no overlay that can be read so, from the image in a store of containerd or containers/storage (image/image.h).  Those stores
 * also say by which other digests the image is known, which go into the seal.  The child keeps CAP_DAC_READ_SEARCH and nothing else, reads below these directories and
 * stores only (Landlock), and writes to one open file; that is renamed into place when the child has ended well and the file opens as a seal of this image.  One child at a time.
 * A seal that does not open, or that is another image's, is told and made anew.
 *
 * Seals are shared by the containers of an image and closed with the last of them. */
#pragma once
#include "base/span.h"
#include "seal/seal.h"

#define HF_SEALS_OPEN 256u      /* at once */
#define HF_SEAL_MAKE_S 120u     /* longer a child does not take */

struct hf_seals;
HF_MUSTUSE int hf_seals_new(struct hf_seals **ret, const char *state_dir, struct hf_err *err);
void hf_seals_free(struct hf_seals *s);
HF_DEFINE_FREEP(struct hf_seals, hf_seals_free)

/* image: "sha256:HEX", of the configuration or the manifest.  1 and a seal to be given back; 0: there is none; < 0: what is there is no good
 * (it is left out, and a new one replaces it). */
HF_MUSTUSE int hf_seals_get(struct hf_seals *s, struct hf_span image, struct hf_seal **ret, struct hf_err *err);
/* Removes the file of one that turned out to be damaged. */
void hf_seals_remove(struct hf_seals *s, struct hf_span image);
void hf_seals_put(struct hf_seals *s, struct hf_seal *seal);

/* Directories of an overlay's lower layers, the topmost first, from the line of "/" in the text of a /proc/PID/mountinfo.  A NUL behind each.
 * HF_E_UNSUPPORTED: the root is no overlay, or one that cannot be read this way. */
HF_MUSTUSE int hf_overlay_lower(struct hf_span mountinfo, struct hf_buf *ret, struct hf_err *err);
/* Takes the folder away that docker (overlay2) puts between an image's layers and a container's own. */
void hf_overlay_drop_init(struct hf_buf *dirs);

/* Has the seal of `image` made from these directories (as hf_overlay_lower gives them); none: from what containerd, podman or CRI-O have of it on the disk.  0: begun; -EBUSY: another one is being made; < 0. */
HF_MUSTUSE int hf_seals_make(struct hf_seals *s, struct hf_span image, struct hf_span name, struct hf_span dirs, struct hf_err *err);
/* To wait on while one is being made (readable when the child has ended); -1: none is. */
int hf_seals_wait_fd(const struct hf_seals *s);
/* Whether the child has ended: 1 and the image (good for until the next call); *err says why when there is no seal.  0: still at work. */
int hf_seals_made(struct hf_seals *s, struct hf_span *ret_image, struct hf_err *err);
