// SPDX-License-Identifier: Apache-2.0
#include "respond/safeguards.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* Without these the host's containers cannot be managed any more; a beginning is enough ("containerd-shim-runc-v2"). */
static const char *const runtimes[] = {"dockerd", "containerd", "docker-proxy", "crio", "conmon", "podman", "kubelet", "cri-dockerd", "k3s", "rke2", "lxcfs", "incusd", "lxd", "systemd"};

static uint64_t ns_of(pid_t pid, const char *kind)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, kind);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static const char *runtime_name(pid_t pid, char exe[4096])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(path, exe, 4095);
    exe[HF_MAX(n, 0)] = 0;
    struct hf_span base = hf_span_basename(hf_span_z(exe));
    for (size_t i = 0; i < HF_ARRAY_LEN(runtimes); i++)
        if (hf_span_starts(base, hf_span_z(runtimes[i])))
            return runtimes[i];
    return NULL;
}

int hf_safeguards(const struct hf_target *t, bool force, struct hf_err *err)
{
    if (t->bad_group)
        return hf_fail(err, -EPERM, "refused: the host's first process is in this control group");
    if (hf_target_has(t, getpid()))
        return hf_fail(err, -EPERM, "refused: this program itself runs in that container");
    if (force)
        return 0;
    if (t->kube_system)
        return hf_fail(err, -EPERM, "refused: %.100s is a pod of kube-system, without which the cluster may stop (--force does it all the same)", t->name);
    hf_autofree pid_t *pids = calloc(HF_TARGET_PROCS, sizeof *pids);
    struct stat self, other;
    uint64_t host = ns_of(1, "mnt"), own = ns_of(getpid(), "mnt"), ns;
    size_t n = 0;
    bool known = stat("/proc/self/exe", &self) == 0;
    struct hf_err ignored = HF_ERR_INIT;
    int rc = pids ? hf_target_procs(t->dir, pids, HF_TARGET_PROCS, &n, &ignored) : -ENOMEM;
    if (rc < 0 && rc != HF_E_LIMIT) /* of a fork bomb the first */
        return hf_fail(err, rc, "%s", ignored.msg);
    for (size_t i = 0; i < n; i++) {
        char path[64], exe[4096];
        const char *name;
        snprintf(path, sizeof path, "/proc/%d/exe", (int)pids[i]);
        if (known && stat(path, &other) == 0 && other.st_dev == self.st_dev && other.st_ino == self.st_ino)
            return hf_fail(err, -EPERM, "refused: process %d of it is Holdfast (--force does it all the same)", (int)pids[i]);
        /* a program in a container may have any name: a runtime of the host sees the host's files */
        ns = ns_of(pids[i], "mnt");
        if (ns && (ns == host || ns == own) && (name = runtime_name(pids[i], exe)))
            return hf_fail(err, -EPERM, "refused: process %d of it is the host's %s (--force does it all the same)", (int)pids[i], name);
    }
    return 0;
}
