// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/hierarchy.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/statfs.h>

#include "base/fs.h"

#define MOUNTS_MAX (1u << 20)

/* Root, mount point and type of a line of mountinfo (proc(5)): "36 35 98:0 /root /mnt opts - type source super". */
static bool mount_line(struct hf_span line, struct hf_span *ret_root, struct hf_span *ret_point, struct hf_span *ret_type, struct hf_span *ret_options)
{
    struct hf_span field, rest = line;
    for (unsigned i = 0; i < 5; i++) {
        if (!hf_span_cut(&rest, ' ', &field))
            return false;
        if (i == 3)
            *ret_root = field;
    }
    *ret_point = field;
    size_t dash = hf_span_search(rest, HF_S(" - "));
    if (dash == SIZE_MAX)
        return false;
    rest = hf_span_from(rest, dash + 3);
    return hf_span_cut(&rest, ' ', ret_type) && hf_span_cut(&rest, ' ', &field) && hf_span_cut(&rest, ' ', ret_options);
}

static bool has_word(struct hf_span list, const char *word)
{
    struct hf_span part;
    while (hf_span_cut(&list, ',', &part))
        if (hf_span_eqz(part, word))
            return true;
    return false;
}

static bool place_of(struct hf_span point, char *out, size_t size)
{
    hf_autobuf path = HF_BUF_INIT(8192);
    hf_mountinfo_field(point, &path);
    if (!hf_buf_ok(&path) || !path.n || path.n >= size)
        return false;
    memcpy(out, hf_buf_z(&path), path.n + 1);
    return true;
}

/* Column 2 of /proc/cgroups: the hierarchy of a controller; 0: the unified one. */
static uint64_t hierarchy_of(struct hf_span cgroups, const char *controller)
{
    struct hf_span line, field;
    while (hf_span_line(&cgroups, &line)) {
        uint64_t id = 0;
        if (hf_span_cut(&line, '\t', &field) && hf_span_eqz(field, controller) && hf_span_cut(&line, '\t', &field) &&
                hf_parse_u64(field, 10, 0, UINT32_MAX, &id) == 0)
            return id;
    }
    return 0;
}

/* First mount of a kind that can be reached, since one may lie beneath another (a bind mount over /sys/fs/cgroup); one of the whole tree before one of a
 * part of it. */
static bool mounted(struct hf_span mountinfo, const char *kind, const char *controller, hf_hierarchy_reach reach, char *out, size_t size)
{
    struct hf_span line, root = {NULL, 0}, point, type, options;
    for (unsigned whole = 1; whole <= 1; whole--)
        for (struct hf_span rest = mountinfo; hf_span_line(&rest, &line);) {
            if (!mount_line(line, &root, &point, &type, &options) || !hf_span_eqz(type, kind) || (controller && !has_word(options, controller)))
                continue;
            if (hf_span_eqz(root, "/") == (whole == 1) && place_of(point, out, size) && reach(out, !controller))
                return true;
        }
    out[0] = 0;
    return false;
}

int hf_hierarchy_choose(struct hf_span mountinfo, struct hf_span cgroups, hf_hierarchy_reach reach, struct hf_hierarchy *ret, struct hf_err *err)
{
    static const char *const preferred[] = {"memory", "pids", "cpuset", "cpu"};
    struct hf_hierarchy h = {.id = 0, .unified = true};
    (void)mounted(mountinfo, "cgroup2", NULL, reach, h.v2_mount, sizeof h.v2_mount);
    for (size_t i = 0; i < HF_ARRAY_LEN(preferred); i++) {
        uint64_t id = hierarchy_of(cgroups, preferred[i]);
        if (!id || !mounted(mountinfo, "cgroup", preferred[i], reach, h.mount, sizeof h.mount)) /* its controllers are in the unified hierarchy, or not seen from here */
            continue;
        h.unified = false;
        h.id = (uint32_t)id;
        snprintf(h.controller, sizeof h.controller, "%s", preferred[i]);
        *ret = h;
        return 0;
    }
    if (!h.v2_mount[0])
        return hf_fail(err, HF_E_UNSUPPORTED, "no control group hierarchy is mounted: containers cannot be told apart (mount cgroup2 at /sys/fs/cgroup)");
    snprintf(h.mount, sizeof h.mount, "%s", h.v2_mount);
    *ret = h;
    return 0;
}

static bool reachable(const char *path, bool v2)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && (v2 ? fs.f_type == CGROUP2_SUPER_MAGIC : fs.f_type == CGROUP_SUPER_MAGIC);
}

int hf_hierarchy_find(struct hf_hierarchy *ret, struct hf_err *err)
{
    hf_autobuf mounts = HF_BUF_INIT(MOUNTS_MAX);
    hf_autobuf groups = HF_BUF_INIT(65536);
    int rc = hf_read_file("/proc/self/mountinfo", &mounts, err);
    if (rc == 0)
        rc = hf_read_file("/proc/cgroups", &groups, err);
    return rc < 0 ? rc : hf_hierarchy_choose(hf_buf_span(&mounts), hf_buf_span(&groups), reachable, ret, err);
}

bool hf_hierarchy_path(const struct hf_hierarchy *h, struct hf_span text, struct hf_span *ret)
{
    struct hf_span line, id, controllers;
    while (hf_span_line(&text, &line)) {
        if (!hf_span_cut(&line, ':', &id) || !hf_span_cut(&line, ':', &controllers))
            continue;
        if (h->unified ? hf_span_eqz(id, "0") && !controllers.n : has_word(controllers, h->controller)) {
            *ret = line;
            return true;
        }
    }
    return false;
}

bool hf_hierarchy_controller(const char *controller, struct hf_hierarchy *ret)
{
    hf_autobuf mounts = HF_BUF_INIT(MOUNTS_MAX);
    hf_autobuf groups = HF_BUF_INIT(65536);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_hierarchy h = {.unified = false};
    if (hf_read_file("/proc/self/mountinfo", &mounts, &ignored) < 0 || hf_read_file("/proc/cgroups", &groups, &ignored) < 0)
        return false;
    h.id = (uint32_t)hierarchy_of(hf_buf_span(&groups), controller);
    if (!h.id || !mounted(hf_buf_span(&mounts), "cgroup", controller, reachable, h.mount, sizeof h.mount))
        return false;
    snprintf(h.controller, sizeof h.controller, "%s", controller);
    *ret = h;
    return true;
}
