/* SPDX-License-Identifier: Apache-2.0 */
/* maker.h - containers whose control group has a name that tells nothing ("ctr run IMAGE web", "runc run web": /default/web, /web).
 *
 * Two witnesses on this host: the runtime that makes the group, by its arguments (runc(8): "create --bundle DIR ID"), and what runtimes keep
 * of running containers (runc's state.json, crun's status, containerd's bundles).  Both are believed only when the bundle's
 * linux.cgroupsPath (runtime-spec 1.0, "Control groups"), or the state, names this very group.  docs/formats/containers.md. */
#pragma once
#include "base/span.h"

struct hf_bundle_roots;
struct hf_made {
    char id[160];
    char dir[4096];      /* of the bundle */
    const char *runtime; /* "runc", "crun"; NULL: not told */
};

/* pid: who made the group at `path`, args what it was started with (empty: /proc is asked, where it may be gone already); pid 0: nobody is asked,
 * only states are looked at.  1 when it is a container, else 0. */
int hf_made_find(const struct hf_bundle_roots *r, struct hf_span path, uint32_t pid, struct hf_span args, struct hf_made *ret);

/* The parsers alone, for tests and fuzzing.  Arguments with NUL behind each; false: no runtime that creates a container. */
bool hf_made_by_args(struct hf_span args, struct hf_made *ret);
/* Whether cgroupsPath ("/default/web", "machine.slice:libpod:ID", empty: the id under the maker's own group) means this group. */
bool hf_made_path_is(struct hf_span cgroups_path, struct hf_span id, struct hf_span group);
/* runc's state.json, crun's status: the bundle, when the state is that of this group. */
bool hf_made_by_state(struct hf_span json, struct hf_span group, struct hf_made *ret);
