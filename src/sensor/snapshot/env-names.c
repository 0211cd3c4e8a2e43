// SPDX-License-Identifier: Apache-2.0
#include "sensor/snapshot/env-names.h"

#define VALUE_MAX 256u

/* '*' at the end or the beginning stands for anything. */
static const char *const names[] = {
        "LD_*", "GLIBC_TUNABLES", "GCONV_PATH", "*_proxy", "*_PROXY", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "NODE_OPTIONS", "PERL5OPT", "PERL5LIB", "RUBYOPT",
        "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "BASH_ENV", "ENV", "PROMPT_COMMAND", "HISTFILE", "HISTSIZE", "KUBECONFIG", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY",
        "SSH_ORIGINAL_COMMAND", "SUDO_USER", "SUDO_COMMAND", "SUDO_UID", "PATH", "HOME", "TERM", "SHELL", "USER", "IFS", "PS4", "GIT_SSH_COMMAND", "DOCKER_HOST",
};
static const char *const secrets[] = {"TOKEN", "SECRET", "PASSWORD", "PASSWD", "_KEY", "CREDENTIAL"};

static bool wanted(struct hf_span name)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++) {
        const char *z = names[i];
        size_t len = strlen(z);
        if (z[0] == '*' ? hf_span_ends(name, hf_span(z + 1, len - 1))
                        : z[len - 1] == '*' ? hf_span_starts(name, hf_span(z, len - 1)) : hf_span_eq(name, hf_span(z, len)))
            return true;
    }
    return false;
}

static bool secret(struct hf_span name)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(secrets); i++)
        if (hf_span_search(name, hf_span_z(secrets[i])) != SIZE_MAX)
            return true;
    return false;
}

void hf_env_filter(struct hf_span env, size_t max, struct hf_buf *out)
{
    struct hf_span one;
    size_t start = out->n;
    while (hf_span_cut(&env, 0, &one)) {
        size_t eq = hf_span_find(one, '=');
        struct hf_span name = hf_span_sub(one, 0, eq == SIZE_MAX ? 0 : eq), value = hf_span_from(one, eq == SIZE_MAX ? one.n : eq + 1);
        bool hide = secret(name);
        if (!name.n || (!hide && !wanted(name)))
            continue;
        value = hide ? HF_S("***") : hf_span_sub(value, 0, VALUE_MAX);
        if (out->n - start + name.n + value.n + 2 > max)
            return;
        hf_buf_adds(out, name);
        hf_buf_addc(out, '=');
        hf_buf_adds(out, value);
        hf_buf_addc(out, 0);
    }
}
