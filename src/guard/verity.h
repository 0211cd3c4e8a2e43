/* SPDX-License-Identifier: Apache-2.0 */
/* verity.h - what the kernel itself says of a file's content (fs-verity, Documentation/filesystems/fsverity.rst), and the SHA-256 that was computed of
 * a file with the same measurement.
 *
 * A measurement is a hash over the root of a Merkle tree, the salt and the size: two files that have the same one have the same content, on whatever
 * device, under whatever number and with whatever times; the kernel holds each page that is read against it.  It is no SHA-256 of the file, so the first file
 * that has it is read.  Only file systems whose measurement the kernel takes itself count (ext4, f2fs, btrfs): what a server answers (FUSE) is its word alone.
 * An overlay does not hand the question on; a file that is reached through one has no measurement here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hf_verity {
    uint16_t algorithm, size; /* FS_VERITY_HASH_ALG_*; bytes of digest */
    uint8_t digest[64];       /* the rest is 0 */
};
/* false: it has none, or nobody here can vouch for it. */
bool hf_verity_measure(int fd, struct hf_verity *ret);

struct hf_verity_known;
/* NULL: no memory.  One thread. */
struct hf_verity_known *hf_verity_known_new(void);
void hf_verity_known_free(struct hf_verity_known *k);
/* The SHA-256 of a file with this measurement. */
bool hf_verity_find(struct hf_verity_known *k, const struct hf_verity *v, uint8_t ret[32]);
/* Takes the place of the one that was longest unused, if there are too many. */
void hf_verity_keep(struct hf_verity_known *k, const struct hf_verity *v, const uint8_t sha256[32]);
