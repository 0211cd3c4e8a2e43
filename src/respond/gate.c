// SPDX-License-Identifier: Apache-2.0
#include "respond/gate.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "gate.skel.h"

#define BPFFS "/sys/fs/bpf"

HF_DEFINE_FREEP(struct gate_bpf, gate_bpf__destroy)

static const char *const pins[] = {"lanes", "out", "in", "xdp"};

int hf_gate_parse_allow(const char *text, struct hf_gate_allow *ret, struct hf_err *err)
{
    struct hf_gate_allow a = {.prefix = 128};
    struct hf_span s = hf_span_z(text), addr = s, port = {NULL, 0}, bits = {NULL, 0};
    char z[64];
    uint64_t n;
    bool bracket = s.n && s.p[0] == '[', v4;
    size_t at = bracket ? hf_span_find(s, ']') : SIZE_MAX, colon = hf_span_find(s, ':');
    if (bracket && at != SIZE_MAX) {
        addr = hf_span_sub(s, 1, at - 1);
        port = hf_span_from(s, at + 1);
        if (port.n && port.p[0] != ':')
            goto wrong;
        port = hf_span_from(port, 1);
    } else if (colon != SIZE_MAX && hf_span_rfind(s, ':') == colon) {
        addr = hf_span_sub(s, 0, colon);
        port = hf_span_from(s, colon + 1);
        if (!port.n)
            goto wrong;
    }
    at = hf_span_find(addr, '/');
    if (at != SIZE_MAX) {
        bits = hf_span_from(addr, at + 1);
        addr = hf_span_sub(addr, 0, at);
        if (!bits.n)
            goto wrong;
    }
    if (!addr.n || addr.n >= sizeof z)
        goto wrong;
    snprintf(z, sizeof z, "%.*s", HF_SPAN_ARG(addr));
    v4 = inet_pton(AF_INET, z, a.addr + 12) == 1;
    if (v4)
        a.addr[10] = a.addr[11] = 0xff;
    else if (inet_pton(AF_INET6, z, a.addr) != 1)
        goto wrong;
    if (bits.n) {
        if (hf_parse_u64(bits, 10, 1, v4 ? 32 : 128, &n) < 0)
            goto wrong;
        a.prefix = (uint8_t)(n + (v4 ? 96 : 0));
    }
    if (port.n) {
        if (hf_parse_u64(port, 10, 1, 65535, &n) < 0)
            goto wrong;
        a.port = (uint16_t)n;
    }
    *ret = a;
    return 0;
wrong:
    return hf_fail(err, HF_E_USAGE, "\"%.100s\" is no address: 10.0.0.1, 10.0.0.0/8, 10.0.0.1:443, fd00::1 or [fd00::1]:443", text);
}

void hf_gate_allow_text(const struct hf_gate_allow *a, struct hf_buf *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char z[64];
    bool v4 = !memcmp(a->addr, mapped, 12) && a->prefix >= 96;
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->addr + 12 : a->addr, z, sizeof z);
    unsigned bits = v4 ? a->prefix - 96u : a->prefix, all = v4 ? 32 : 128;
    hf_buf_addf(out, "%s%s", a->port && !v4 ? "[" : "", z);
    if (bits != all)
        hf_buf_addf(out, "/%u", bits);
    if (a->port)
        hf_buf_addf(out, "%s:%u", v4 ? "" : "]", a->port);
}

/* Where pins live: mounted when nobody has. */
static int bpffs(struct hf_err *err)
{
    struct statfs fs;
    if (statfs(BPFFS, &fs) < 0)
        return hf_fail(err, -errno, BPFFS ": %s", strerror(errno));
    if (fs.f_type != BPF_FS_MAGIC && mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
        return hf_fail(err, -errno, "bpf file system cannot be mounted at " BPFFS ": %s", strerror(errno));
    if (mkdir(HF_GATE_DIR, 0700) < 0 && errno != EEXIST)
        return hf_fail(err, -errno, HF_GATE_DIR ": %s", strerror(errno));
    return 0;
}

static void pin_path(const char *name, size_t i, char out[512])
{
    snprintf(out, 512, HF_GATE_DIR "/%.400s-%s", name, pins[i]);
}

int hf_gate_clear(const char *name, struct hf_err *err)
{
    char path[512];
    int rc = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(pins); i++) {
        pin_path(name, i, path);
        if (unlink(path) < 0 && errno != ENOENT)
            rc = hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    }
    return rc;
}

/* The kernel's own word, so that it holds in whatever view of the control groups this program runs. */
static bool detached(const char *path)
{
    struct bpf_link_info info = {.type = 0};
    __u32 n = sizeof info;
    hf_autoclose int fd = bpf_obj_get(path);
    return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &n) == 0 && info.type == BPF_LINK_TYPE_CGROUP && !info.cgroup.cgroup_id;
}

void hf_gate_sweep(void)
{
    DIR *d = opendir(HF_GATE_DIR);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct hf_span name = hf_span_z(e->d_name);
        char path[512], group[512];
        if (!hf_span_ends(name, HF_S("-out")) || name.n >= 256)
            continue;
        snprintf(path, sizeof path, HF_GATE_DIR "/%s", e->d_name);
        snprintf(group, sizeof group, "%.*s", (int)(name.n - 4), name.p);
        struct hf_err ignored = HF_ERR_INIT;
        if (detached(path))
            (void)hf_gate_clear(group, &ignored);
    }
    if (d)
        closedir(d);
}

static int attach(struct gate_bpf *g, int group, const char *name, struct hf_err *err)
{
    struct bpf_program *programs[] = {g->progs.hf_gate_out, g->progs.hf_gate_in, g->progs.hf_gate_xdp};
    struct bpf_link *links[HF_ARRAY_LEN(programs)] = {NULL};
    char path[512];
    int rc = 0;
    pin_path(name, 0, path);
    bool had = access(path, F_OK) == 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(links) && rc == 0; i++) {
        links[i] = bpf_program__attach_cgroup(programs[i], group);
        if (!links[i])
            rc = hf_fail(err, -errno, "the program cannot be attached to the control group: %s", strerror(errno));
    }
    char fresh[448];
    snprintf(fresh, sizeof fresh, "new-%.400s", name);
    struct hf_err ignored = HF_ERR_INIT;
    hf_gate_clear(fresh, &ignored); /* of one that was interrupted */
    for (size_t i = 0; i < HF_ARRAY_LEN(pins) && rc == 0; i++) {
        pin_path(fresh, i, path);
        int bad = i ? bpf_link__pin(links[i - 1], path) : bpf_map__pin(g->maps.lanes, path);
        if (bad < 0)
            rc = hf_fail(err, bad, "%s: %s", path, strerror(-bad));
    }
    for (size_t i = 0; i < HF_ARRAY_LEN(pins) && rc == 0; i++) { /* the old ones go: there is no moment without */
        char to[512];
        pin_path(fresh, i, path);
        pin_path(name, i, to);
        if (rename(path, to) < 0)
            rc = hf_fail(err, -errno, "%s: %s", to, strerror(errno));
    }
    if (rc < 0)
        hf_gate_clear(fresh, &ignored);
    if (rc < 0 && !had) /* some may have their names already */
        hf_gate_clear(name, &ignored);
    for (size_t i = 0; i < HF_ARRAY_LEN(links); i++) /* what is pinned stays */
        bpf_link__destroy(links[i]);
    return rc;
}

HF_PRINTF(2, 0) static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
    return getenv("HF_BPF_LOG") && level <= LIBBPF_INFO ? vfprintf(stderr, fmt, args) : 0;
}

int hf_gate_set(const char *group, const char *name, const struct hf_gate_config *c, struct hf_err *err)
{
    hf_autoclose int fd = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_fail(err, -errno, "%s: %s", group, strerror(errno));
    int rc = bpffs(err);
    if (rc < 0)
        return rc;
    libbpf_print_fn_t before = libbpf_set_print(quiet);
    hf_cleanup(gate_bpf__destroyp) struct gate_bpf *g = gate_bpf__open();
    if (g) {
        memcpy(&g->rodata->config, c, sizeof *c);
        rc = gate_bpf__load(g);
    }
    libbpf_set_print(before);
    if (!g || rc < 0)
        return hf_fail(err, g ? rc : -errno, "the kernel refuses the program: %s", strerror(g ? -rc : errno));
    return attach(g, fd, name, err);
}

int hf_gate_counts(const char *name, struct hf_gate_counts ret[HF_GATE_DIRECTIONS], struct hf_err *err)
{
    struct { /* of gate.bpf.c */
        __u32 lock, pad;
        __u64 empty_ns[HF_GATE_RATES];
        struct hf_gate_counts counts;
    } lane;
    char path[512];
    pin_path(name, 0, path);
    hf_autoclose int fd = bpf_obj_get(path);
    if (fd < 0)
        return hf_fail(err, errno == ENOENT ? HF_E_NOT_FOUND : -errno, "%s: %s", path, strerror(errno));
    for (__u32 i = 0; i < HF_GATE_DIRECTIONS; i++) {
        if (bpf_map_lookup_elem(fd, &i, &lane) < 0)
            return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
        ret[i] = lane.counts;
    }
    return 0;
}
