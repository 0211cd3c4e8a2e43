/* SPDX-License-Identifier: Apache-2.0 */
#include "sensor/containers/cgroup-path.h"

#include "tap.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID_ "3f1c2b4a-0000-4111-8222-933344445555"
#define UID_U "3f1c2b4a_0000_4111_8222_933344445555"

static const struct {
    const char *path, *id, *pod, *runtime; /* id NULL: no container; runtime "": not told */
    bool own;
    unsigned depth;
} cases[] = {
        /* docker, cgroupfs and systemd */
        {"/docker/" ID, ID, "", "docker", true, 1},
        {"/docker/" ID "/init", ID, "", "docker", false, 1},
        {"/system.slice/docker-" ID ".scope", ID, "", "docker", true, 1},
        {"/system.slice/docker-" ID ".scope/system.slice/nginx.service", ID, "", "docker", false, 1},
        /* containerd for Kubernetes: systemd, cgroupfs, and the two drivers mixed */
        {"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_U ".slice/cri-containerd-" ID ".scope", ID, UID_U, "containerd", true, 1},
        {"/kubepods/burstable/pod" UID_ "/" ID, ID, UID_, "", true, 1},
        {"/kubepods/pod" UID_ "/" ID, ID, UID_, "", true, 1},
        {"/system.slice/containerd.service/kubepods-burstable-pod" UID_U ".slice:cri-containerd:" ID, ID, UID_U, "containerd", true, 1},
        /* CRI-O */
        {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_U ".slice/crio-" ID ".scope", ID, UID_U, "cri-o", true, 1},
        {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_U ".slice/crio-" ID ".scope/container", ID, UID_U, "cri-o", false, 1},
        {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_U ".slice/crio-conmon-" ID ".scope", NULL, "", "", false, 0},
        /* podman, with and without root */
        {"/machine.slice/libpod-" ID ".scope", ID, "", "podman", true, 1},
        {"/machine.slice/libpod-" ID ".scope/container", ID, "", "podman", false, 1},
        {"/machine.slice/libpod-conmon-" ID ".scope", NULL, "", "", false, 0},
        {"/libpod_parent/libpod-" ID, ID, "", "podman", true, 1},
        {"/libpod_parent/conmon", NULL, "", "", false, 0},
        {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope", ID, "", "podman", true, 1},
        /* nerdctl, garden, LXC, nspawn */
        {"/system.slice/nerdctl-" ID ".scope", ID, "", "containerd", true, 1},
        {"/default/" ID, ID, "", "", true, 1},
        {"/garden/6f5c9e1a-a1b2", "6f5c9e1a-a1b2", "", "garden", true, 1},
        {"/lxc/web", "web", "", "lxc", true, 1},
        {"/lxc.payload.web/init.scope", "web", "", "lxc", false, 1},
        {"/machine.slice/machine-deb12.scope", "deb12", "", "nspawn", true, 1},
        /* containers in containers: the inner one counts */
        {"/docker/" ID "/docker/" ID2, ID2, "", "docker", true, 2},
        {"/docker/" ID "/kubelet/kubepods/besteffort/pod" UID_ "/" ID2, ID2, UID_, "", true, 2},
        /* no containers */
        {"/", NULL, "", "", false, 0},
        {"", NULL, "", "", false, 0},
        {"/user.slice/user-0.slice/session-1.scope", NULL, "", "", false, 0},
        {"/system.slice/docker.service", NULL, "", "", false, 0},
        {"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_U ".slice", NULL, "", "", false, 0},
        {"/system.slice/docker-0123.scope", NULL, "", "", false, 0},
        {"/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", NULL, "", "", false, 0}, /* upper case is no id */
        {"/docker/" ID "0", NULL, "", "", false, 0},
        {"/x:" ID "0", NULL, "", "", false, 0},
        {"/machine.slice/machine-.scope", NULL, "", "", false, 0},
};

int main(void)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_cgroup_id got = {.depth = 0};
        bool is = hf_cgroup_path_parse(hf_span_z(cases[i].path), &got);
        const char *runtime = got.runtime ? got.runtime : "";
        bool ok = is == (cases[i].id != NULL);
        if (ok && is)
            ok = hf_span_eqz(got.id, cases[i].id) && hf_span_eqz(got.pod_uid, cases[i].pod) && !strcmp(runtime, cases[i].runtime) && got.own == cases[i].own &&
                    got.depth == cases[i].depth;
        if (!OK(ok))
            printf("# %s: %s id %.*s pod %.*s runtime %s own %d depth %u\n", cases[i].path, is ? "is" : "is not", (int)got.id.n, got.id.p ? got.id.p : "",
                    (int)got.pod_uid.n, got.pod_uid.p ? got.pod_uid.p : "", runtime, got.own, got.depth);
    }
    return tap_done();
}
