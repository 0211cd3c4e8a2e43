/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h - evidence of a container in one file: a tar (compressed with zstd when its name ends so), mode 0600.  docs/respond.md has the members.
 *
 * All that is read is made by whoever runs in the container: texts, names and numbers are limited, links are recorded and not followed, only regular
 * files are opened.  What was left out is named in the manifest.  The manifest has the SHA-256 of every member, of the manifest
 * before it, and of the last line of the log of actions; the log has the SHA-256 of the manifest. */
#pragma once
#include "base/span.h"

#define HF_SNAPSHOT_CHANGED (256ull << 20) /* bytes of changed files */
#define HF_SNAPSHOT_MS 8000u               /* then what is left is left out */

struct hf_snapshot_check {
    uint64_t members, bytes;
    char container[160], made[40];
    char manifest[65], prev[65]; /* SHA-256 of this manifest and of the one before it */
    bool logged;                 /* the log of actions has this manifest */
    uint64_t incomplete;         /* things that the manifest says were left out */
};
/* Whether a file is what its manifest says; state: folder of the state, for the log (NULL: not looked at).  0; HF_E_DIGEST: a member was changed, added or is
 * missing; HF_E_FORMAT: no such file. */
HF_MUSTUSE int hf_snapshot_verify(int fd, const char *state, struct hf_snapshot_check *ret, struct hf_err *err);
