// SPDX-License-Identifier: Apache-2.0
#include "protect/session.h"

#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "event/session.h"

#define PROCESSES_MAX 65536u
#define CMDLINE_MAX 65536u
#define NOBODY UINT32_MAX

static bool number_in(const char *path, uint32_t *ret)
{
    hf_autobuf text = HF_BUF_INIT(64);
    struct hf_err ignored = HF_ERR_INIT;
    uint64_t v;
    if (hf_read_file(path, &text, &ignored) < 0 || hf_parse_u64(hf_span_trim(hf_buf_span(&text)), 10, 0, UINT32_MAX, &v) < 0)
        return false;
    *ret = (uint32_t)v;
    return true;
}

/* Its login user, or, without a login, who owns it. */
static uint32_t user_of(const char *pid)
{
    char path[64];
    struct stat st;
    uint32_t uid;
    snprintf(path, sizeof path, "/proc/%.20s/loginuid", pid);
    if (number_in(path, &uid) && uid != NOBODY)
        return uid;
    snprintf(path, sizeof path, "/proc/%.20s", pid);
    return stat(path, &st) == 0 ? st.st_uid : NOBODY;
}

static bool is_user(const struct hf_prot_spans *users, uint32_t uid)
{
    char text[4096];
    struct passwd pw, *found = NULL;
    uint64_t v;
    for (size_t i = 0; i < users->n; i++)
        if (hf_parse_u64(users->v[i], 10, 0, UINT32_MAX - 1, &v) == 0 && v == uid)
            return true;
    if (uid == NOBODY || getpwuid_r(uid, &pw, text, sizeof text, &found) != 0 || !found)
        return false;
    for (size_t i = 0; i < users->n; i++)
        if (hf_span_eqz(users->v[i], found->pw_name))
            return true;
    return false;
}

bool hf_session_by(const struct hf_prot_spans *users, const struct hf_guard_container *c)
{
    struct stat own, other;
    unsigned n = 0;
    bool any = false, all = true;
    DIR *d = opendir("/proc");
    if (!d || stat("/proc/self/ns/mnt", &own) < 0)
        all = false;
    for (struct dirent *e; d && all && n < PROCESSES_MAX && (e = readdir(d)); n++) {
        char path[300];
        hf_autobuf text = HF_BUF_INIT(CMDLINE_MAX);
        struct hf_err ignored = HF_ERR_INIT;
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%.20s/cmdline", e->d_name);
        if (hf_read_file(path, &text, &ignored) < 0 || !hf_session_is_exec(hf_buf_span(&text), c->name, c->id))
            continue;
        snprintf(path, sizeof path, "/proc/%.20s/ns/mnt", e->d_name); /* in a container anyone may call himself so */
        if (stat(path, &other) < 0 || other.st_ino != own.st_ino)
            continue;
        any = true;
        all = is_user(users, user_of(e->d_name));
    }
    if (d)
        closedir(d);
    return any && all;
}

bool hf_session_started(uint32_t pid, uint64_t start_ns)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(4096);
    struct hf_err ignored = HF_ERR_INIT;
    uint64_t ticks, per_s = (uint64_t)sysconf(_SC_CLK_TCK);
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    if (hf_read_file(path, &text, &ignored) < 0)
        return false;
    size_t end = hf_span_rfind(hf_buf_span(&text), ')');
    struct hf_span rest = hf_span_from(hf_buf_span(&text), end == SIZE_MAX ? text.n : HF_MIN(end + 2, text.n)), part = rest;
    for (unsigned field = 3; field <= 22; field++) /* starttime is the 22nd, state the third */
        if (!hf_span_cut(&rest, ' ', &part))
            return false;
    if (hf_parse_u64(part, 10, 0, UINT64_MAX, &ticks) < 0)
        return false;
    uint64_t then = start_ns / (1000000000u / per_s);
    return ticks == then || ticks + 1 == then || ticks == then + 1;
}
