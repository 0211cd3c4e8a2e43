// SPDX-License-Identifier: Apache-2.0
/* Texts of /proc/self/mountinfo and /proc/cgroups of hosts with v1, v2, both, and stranger ones. */
#include "sensor/containers/hierarchy.h"

#include "tap.h"

#define V2 "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MEMORY "31 24 0:27 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory\n"
#define V1_PIDS "32 24 0:28 / /sys/fs/cgroup/pids rw shared:6 - cgroup cgroup rw,pids\n"
#define V1_CPU "33 24 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
#define HYBRID "34 24 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
#define HEAD "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"

static const char *hidden; /* a mount point that cannot be reached */

static bool reach(const char *path, bool v2)
{
    (void)v2;
    return !hidden || strcmp(path, hidden) != 0;
}

static void choose(void)
{
    static const struct {
        const char *what, *mounts, *groups, *hidden, *mount, *v2_mount, *controller;
        unsigned id;
    } cases[] = {
            {"v2 alone", V2, HEAD "cpu\t0\t90\t1\nmemory\t0\t90\t1\npids\t0\t90\t1\n", NULL, "/sys/fs/cgroup", "/sys/fs/cgroup", "", 0},
            {"v1 with memory", V1_PIDS V1_MEMORY, HEAD "memory\t7\t9\t1\npids\t8\t9\t1\n", NULL, "/sys/fs/cgroup/memory", "", "memory", 7},
            {"v1 without memory", V1_CPU V1_PIDS, HEAD "memory\t0\t9\t0\npids\t8\t9\t1\ncpu\t9\t9\t1\n", NULL, "/sys/fs/cgroup/pids", "", "pids", 8},
            {"v1, a mount for two controllers", V1_CPU, HEAD "cpu\t9\t9\t1\ncpuacct\t9\t9\t1\n", NULL, "/sys/fs/cgroup/cpu,cpuacct", "", "cpu", 9},
            {"hybrid", V1_MEMORY HYBRID, HEAD "memory\t7\t9\t1\n", NULL, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified", "memory", 7},
            {"hybrid whose controllers have all moved", HYBRID, HEAD "memory\t0\t9\t1\n", NULL, "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified", "", 0},
            {"v1 that exists and is not seen from here", HYBRID, HEAD "memory\t7\t9\t1\n", NULL, "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified", "", 0},
            {"unified bound over the folder it lies in", HYBRID V2, HEAD "memory\t0\t1\t1\n", "/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup", "", 0},
            {"part of the tree before the whole", "29 23 0:26 /docker/x /mnt/part rw - cgroup2 cgroup2 rw\n" V2, HEAD, NULL, "/sys/fs/cgroup", "/sys/fs/cgroup", "", 0},
            {"only a part of the tree", "29 23 0:26 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", HEAD, NULL, "/sys/fs/cgroup", "/sys/fs/cgroup", "", 0},
            {"a blank in the name", "29 23 0:26 / /mnt/a\\040b rw - cgroup2 cgroup2 rw\n", HEAD, NULL, "/mnt/a b", "/mnt/a b", "", 0},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_hierarchy h;
        struct hf_err err = HF_ERR_INIT;
        hidden = cases[i].hidden;
        printf("# %s\n", cases[i].what);
        if (!OK(hf_hierarchy_choose(hf_span_z(cases[i].mounts), hf_span_z(cases[i].groups), reach, &h, &err) == 0))
            continue;
        EQ_S(hf_span_z(h.mount), cases[i].mount);
        EQ_S(hf_span_z(h.v2_mount), cases[i].v2_mount);
        EQ_S(hf_span_z(h.controller), cases[i].controller);
        EQ_U(h.unified, !cases[i].controller[0]);
        EQ_U(h.id, cases[i].id);
    }
    hidden = NULL;
}

static void nothing(void)
{
    static const char *const mounts[] = {"", "\n", "1 2 3", "30 23 0:26 / /sys/fs/cgroup rw - ", "30 23 0:26 / /sys/fs/cgroup rw cgroup2 cgroup2 rw\n",
            "30 23 0:26 / /proc rw - proc proc rw\n", "30 23 0:26 / /x rw - cgroup cgroup rw,memory\n"};
    for (size_t i = 0; i < HF_ARRAY_LEN(mounts); i++) {
        struct hf_hierarchy h;
        struct hf_err err = HF_ERR_INIT;
        EQ_I(hf_hierarchy_choose(hf_span_z(mounts[i]), HF_S(HEAD "memory\t4294967296\t1\t1\npids\tx\n\tmemory\n"), reach, &h, &err), HF_E_UNSUPPORTED);
        OK(err.msg[0] != 0);
    }
    hf_autobuf longest = HF_BUF_INIT(8192); /* a mount point that does not fit is none */
    hf_buf_addz(&longest, "30 23 0:26 / /");
    for (unsigned i = 0; i < 300; i++)
        hf_buf_addc(&longest, 'x');
    hf_buf_addz(&longest, " rw - cgroup2 cgroup2 rw\n");
    struct hf_hierarchy h;
    EQ_I(hf_hierarchy_choose(hf_buf_span(&longest), HF_S(HEAD), reach, &h, NULL), HF_E_UNSUPPORTED);
}

static void paths(void)
{
    static const char text[] = "12:pids:/docker/a\n5:cpu,cpuacct:/b\n4:memory:/c:with:colons\n1:name=systemd:/d\n0::/e\n";
    const struct hf_hierarchy v2 = {.unified = true}, memory = {.controller = "memory"}, cpu = {.controller = "cpu"}, cpuset = {.controller = "cpuset"};
    struct hf_span path = HF_S("before");
    OK(hf_hierarchy_path(&v2, hf_span_z(text), &path));
    EQ_S(path, "/e");
    OK(hf_hierarchy_path(&memory, hf_span_z(text), &path));
    EQ_S(path, "/c:with:colons");
    OK(hf_hierarchy_path(&cpu, hf_span_z(text), &path));
    EQ_S(path, "/b");
    OK(!hf_hierarchy_path(&cpuset, hf_span_z(text), &path));
    EQ_S(path, "/b"); /* untouched */
    OK(!hf_hierarchy_path(&v2, HF_S(""), &path));
    OK(!hf_hierarchy_path(&v2, HF_S("0:x:/e\n:\n0\n"), &path));
}

int main(void)
{
    choose();
    nothing();
    paths();
    return tap_done();
}
