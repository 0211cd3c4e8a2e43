// SPDX-License-Identifier: Apache-2.0
#include "event/caps.h"

static const char *const names[] = {
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
        "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN",
        "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
        "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
        "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
};

int hf_cap_number(struct hf_span name)
{
    bool prefixed = name.n > 4 && hf_span_eq_nocase(hf_span_sub(name, 0, 4), HF_S("CAP_"));
    struct hf_span bare = prefixed ? hf_span_from(name, 4) : name;
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (hf_span_eq_nocase(bare, hf_span_z(names[i] + 4)))
            return (int)i;
    return -1;
}

const char *hf_cap_name(unsigned n)
{
    return n < HF_ARRAY_LEN(names) ? names[n] : NULL;
}
