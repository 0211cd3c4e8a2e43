// SPDX-License-Identifier: Apache-2.0
/* Mounts as /proc/PID/mountinfo has them: which are served by somebody else, or only reached through such a one. */
#include "guard/slow.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tap.h"

static struct hf_mounts all;
static struct hf_mount m;

static void begin(const char *text)
{
    all = (struct hf_mounts){.rest = hf_span_z(text)};
}

static bool next(const char *point, bool served, bool below)
{
    return hf_mounts_next(&all, &m) && hf_span_eqz(m.point, point) && m.served == served && m.below == below;
}

static void types(void)
{
    begin("1 0 0:50 / / rw - overlay overlay rw\n"
          "2 1 0:51 / /a rw,noexec - fuse.sshfs host: rw\n"
          "3 1 0:52 / /b rw shared:1 master:2 - nfs4 server:/x rw\n"
          "4 1 254:1 / /c rw - ext4 /dev/vda1 rw\n"
          "5 1 0:53 / /d rw - virtiofs x rw\n"
          "6 1 0:54 / /e rw - fusectl x rw\n");
    OK(next("/", false, false) && m.id == 1 && m.dev == 50 && !m.noexec);
    OK(next("/a", true, true) && m.noexec && hf_span_eqz(m.type, "fuse.sshfs"));
    OK(next("/b", true, true) && m.dev == 52);
    OK(next("/c", false, false) && m.dev == (254u << 20 | 1));
    OK(next("/d", false, false));
    OK(next("/e", false, false));
    OK(!hf_mounts_next(&all, &m));
}

/* What is mounted below one is not looked up either; the root itself has to be. */
static void through(void)
{
    begin("1 0 0:50 / / rw - fuse.fuse-overlayfs x rw\n2 1 0:51 / /a rw - cifs x rw\n3 2 0:52 / /a/b rw - tmpfs x rw\n4 3 0:53 / /a/b/c rw - tmpfs x rw\n5 1 0:54 / /d rw - tmpfs x rw\n");
    OK(next("/", true, false));
    OK(next("/a", true, true) && next("/a/b", false, true) && next("/a/b/c", false, true));
    OK(next("/d", false, false));
}

static void odd(void)
{
    static char many[200 * 64];
    begin("\n- - - -\n1 0 0:50 / / rw\n1 0 x:50 / / rw - ext4 a rw\n1 0 0:99999999999 / / rw - ext4 a rw\n1 0 0 / / rw - ext4 a rw\n7 0 0:1 / /only rw - nfs x");
    OK(next("/only", true, true));
    OK(!hf_mounts_next(&all, &m));
    size_t n = 0;
    for (unsigned i = 2; i < 200; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "%u 1 0:%u / /m%u rw - nfs x rw\n", i, i, i);
    begin(many);
    unsigned seen = 0;
    while (hf_mounts_next(&all, &m))
        seen += m.below;
    EQ_U(seen, 198);
    /* more than are remembered: what does not lie on the root itself is not to be trusted then */
    n = (size_t)snprintf(many, sizeof many, "1 0 0:50 / / rw - overlay overlay rw\n");
    for (unsigned i = 2; i < 100; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "%u 1 0:%u / /m%u rw - nfs x rw\n", i, i, i);
    (void)snprintf(many + n, sizeof many - n, "100 99 0:100 / /m99/x rw - tmpfs x rw\n101 1 0:101 / /y rw - tmpfs x rw\n");
    begin(many);
    OK(next("/", false, false));
    for (unsigned i = 2; i < 100; i++)
        OK(hf_mounts_next(&all, &m) && m.below);
    OK(next("/m99/x", false, true) && next("/y", false, false));
}

static void itself(void)
{
    struct statx x;
    int fd = open("/", O_PATH | O_CLOEXEC);
    OK(fd >= 0 && hf_mount_of(fd, &x) && x.stx_ino && S_ISDIR(x.stx_mode));
    close(fd);
    OK(!hf_mount_of(-1, NULL));
}

int main(void)
{
    types();
    through();
    odd();
    itself();
    return tap_done();
}
