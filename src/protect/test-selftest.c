// SPDX-License-Identifier: Apache-2.0
/* What the self-test proves of this kernel; with a rule that refuses nothing it must say so.  Needs root. */
#include "protect/selftest.h"

#include <fcntl.h>
#include <unistd.h>

#include "sensor/kernel.h"
#include "tap.h"

int main(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_hierarchy h;
    struct hf_guard_kernel *k = NULL;
    struct hf_proof proof;
    if (geteuid() != 0 || hf_hierarchy_find(&h, &err) < 0) {
        printf("1..0 # SKIP needs root and control groups\n");
        return 0;
    }
    int v2 = h.v2_mount[0] ? open(h.v2_mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    struct hf_guard_kernel_opts o = {.hierarchy = h.id, .v1_subsys = h.unified ? -1 : hf_kernel_subsys(h.controller), .v2_root_fd = v2};
    if (hf_guard_kernel_open(&k, &o, &err) < 0) {
        printf("1..0 # SKIP this kernel takes no such programs: %s\n", err.msg);
        return 0;
    }
    hf_selftest(k, &h, UINT32_MAX, &proof);
    printf("# exec by rung %u, connect %u, listen %u, device %u, uses refused:", proof.exec, proof.connect, proof.listen, proof.device);
    for (unsigned u = 0; u < HF_USES; u++)
        printf("%s%s", proof.uses >> u & 1 ? " " : "", proof.uses >> u & 1 ? hf_prot_uses[u] : "");
    printf("; %s\n", proof.why);
    EQ_U(proof.exec, hf_guard_kernel_exec_rung(k));
    EQ_U(proof.connect, hf_guard_kernel_net_rung(k));
    EQ_U(proof.listen, hf_guard_kernel_net_rung(k));
    printf("# write by rung %u\n", proof.write);
    EQ_U(proof.write, hf_guard_kernel_file_rung(k) ? HF_GUARD_BY_LSM : 6);
    EQ_U(proof.library, hf_guard_kernel_lib_rung(k));
    EQ_U(proof.device, hf_guard_kernel_device_rung(k));
    for (unsigned u = 0; u < HF_USES; u++) {
        unsigned rung = hf_guard_kernel_use_rung(k, u);
        printf("# %s by rung %u%s: %s\n", hf_prot_uses[u], rung, hf_guard_kernel_use_taxes(k, u) ? ", at the entry of calls" : "", proof.uses >> u & 1 ? "refused" : proof.absent >> u & 1 ? "not in this kernel" : "NOT refused");
        if (rung == HF_GUARD_BY_SIGNAL) /* a security hook may be there and not asked by this kernel; whoever is to be killed is */
            OK((proof.uses | proof.absent) >> u & 1);
    }
    if (hf_guard_kernel_use_rung(k, HF_USE_MOUNT) == HF_GUARD_BY_LSM)
        EQ_U(proof.uses & (1u << HF_USE_MOUNT | 1u << HF_USE_BPF | 1u << HF_USE_PTRACE), 1u << HF_USE_MOUNT | 1u << HF_USE_BPF | 1u << HF_USE_PTRACE);
    for (int i = 0; i < 5; i++) { /* nothing stays behind that would stop the next */
        struct hf_proof again;
        hf_selftest(k, &h, 0, &again);
        EQ_U(again.exec, proof.exec);
    }
    hf_guard_kernel_close(k);
    if (v2 >= 0)
        close(v2);
    return tap_done();
}
