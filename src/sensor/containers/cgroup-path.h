/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup-path.h - which container a control group belongs to, by its path.  A pure function of the text; the paths are made by
 * runtimes, but inside a container also by whoever runs there, so what it finds is a claim (docs/formats/containers.md).
 *
 * Known: docker and containerd (cgroupfs, systemd and CRI drivers), CRI-O, podman, Kubernetes pods, garden, LXC, systemd-nspawn.
 * Groups of runtimes' monitors (conmon) are not containers. */
#pragma once
#include "base/span.h"

struct hf_cgroup_id {
    struct hf_span id;      /* of the innermost container; borrowed from the path */
    struct hf_span pod_uid; /* as in the path ('_' where systemd's names need it), empty when there is none */
    const char *runtime;    /* "docker", "containerd", "cri-o", "podman", "lxc", "nspawn", "garden"; NULL: not told by the path */
    bool own;               /* the path is the container's own group, not one below it */
    unsigned depth;         /* containers in containers: 1 for one */
};
/* true when the path lies in a container. */
bool hf_cgroup_path_parse(struct hf_span path, struct hf_cgroup_id *ret);
