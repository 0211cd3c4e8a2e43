// SPDX-License-Identifier: Apache-2.0
/* The file of overrides: "* off", or a policy's name, a tab and a mode, one a line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "protect/protect.h"

#define TEXT_MAX 65536u

static int mode_of(struct hf_span s)
{
    for (int i = 0; i < HF_MODES; i++)
        if (hf_span_eqz(s, hf_prot_modes[i]))
            return i;
    return hf_span_eqz(s, "off") ? HF_OVERRIDE_OFF : HF_OVERRIDE_NONE;
}

int hf_protect_modes_parse(struct hf_span text, struct hf_protect_modes *ret, struct hf_err *err)
{
    struct hf_protect_modes m = {.n = 0};
    unsigned number = 0;
    if (text.n > TEXT_MAX)
        return hf_fail(err, HF_E_LIMIT, "the file of modes has more than %u bytes", TEXT_MAX);
    for (struct hf_span line, name; hf_span_line(&text, &line);) {
        number++;
        if (!line.n)
            continue;
        if (hf_span_eqz(line, "*\toff")) {
            m.all_off = true;
            continue;
        }
        struct hf_span rest = line;
        if (!hf_span_cut(&rest, '\t', &name) || !name.n || name.n >= sizeof m.v[0].policy || memchr(name.p, 0, name.n) || mode_of(rest) == HF_OVERRIDE_NONE)
            return hf_fail(err, HF_E_FORMAT, "line %u of the file of modes is not a policy and a mode", number);
        char z[sizeof m.v[0].policy];
        memcpy(z, name.p, name.n);
        z[name.n] = 0;
        int rc = hf_protect_modes_set(&m, z, mode_of(rest), err);
        if (rc < 0)
            return rc;
    }
    *ret = m;
    return 0;
}

void hf_protect_modes_write(const struct hf_protect_modes *m, struct hf_buf *out)
{
    if (m->all_off)
        hf_buf_addz(out, "*\toff\n");
    for (size_t i = 0; i < m->n; i++)
        hf_buf_addf(out, "%s\t%s\n", m->v[i].policy, m->v[i].mode == HF_OVERRIDE_OFF ? "off" : hf_prot_modes[m->v[i].mode]);
}

int hf_protect_modes_of(const struct hf_protect_modes *m, struct hf_span policy)
{
    for (size_t i = 0; i < m->n && !m->all_off; i++)
        if (hf_span_eqz(policy, m->v[i].policy))
            return m->v[i].mode;
    return m->all_off ? (int)HF_OVERRIDE_OFF : (int)HF_OVERRIDE_NONE;
}

int hf_protect_modes_set(struct hf_protect_modes *m, const char *policy, int mode, struct hf_err *err)
{
    size_t i = 0;
    if (strlen(policy) >= sizeof m->v[0].policy || strpbrk(policy, "\t\n"))
        return hf_fail(err, HF_E_USAGE, "the name of a policy has less than %zu bytes, and no tabs", sizeof m->v[0].policy);
    while (i < m->n && strcmp(m->v[i].policy, policy))
        i++;
    if (mode == HF_OVERRIDE_NONE) {
        if (i < m->n)
            m->v[i] = m->v[--m->n];
        return 0;
    }
    if (i == HF_ARRAY_LEN(m->v))
        return hf_fail(err, HF_E_LIMIT, "more than %zu modes", HF_ARRAY_LEN(m->v));
    m->n += i == m->n;
    snprintf(m->v[i].policy, sizeof m->v[i].policy, "%s", policy);
    m->v[i].mode = mode;
    return 0;
}

int hf_protect_lock(const char *state_dir, struct hf_err *err)
{
    char path[4200], text[24] = "";
    snprintf(path, sizeof path, "%s/%s", state_dir, HF_PROTECT_DIR);
    int rc = hf_mkdirs(path, 0700, err);
    if (rc < 0)
        return rc;
    snprintf(path, sizeof path, "%s/%s/lock", state_dir, HF_PROTECT_DIR);
    hf_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        ssize_t n = pread(fd, text, sizeof text - 1, 0);
        struct hf_span pid = hf_span_trim(hf_span(text, n > 0 ? (size_t)n : 0));
        return hf_fail(err, -EBUSY, "another watch (process %.*s) has policies in force with the state in %s; end it, or use another --state", HF_SPAN_ARG(pid), state_dir);
    }
    snprintf(text, sizeof text, "%d\n", getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    int own = fd;
    fd = -1;
    return own;
}
