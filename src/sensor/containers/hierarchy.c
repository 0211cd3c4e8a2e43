// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/hierarchy.h"

#include <errno.h>
#include <stdio.h>

#include "base/fs.h"

#define MOUNTS_MAX (1u << 20)

/* Mount point and type of a line of mountinfo (proc(5)): "36 35 98:0 /root /mnt opts - type source super". */
static bool mount_line(struct hf_span line, struct hf_span *ret_point, struct hf_span *ret_type, struct hf_span *ret_options)
{
    struct hf_span field, rest = line;
    for (unsigned i = 0; i < 5; i++)
        if (!hf_span_cut(&rest, ' ', &field))
            return false;
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

static void copy(char *out, size_t size, struct hf_span s)
{
    snprintf(out, size, "%.*s", (int)HF_MIN(s.n, size - 1), s.p);
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

int hf_hierarchy_find(struct hf_hierarchy *ret, struct hf_err *err)
{
    static const char *const preferred[] = {"memory", "pids", "cpuset", "cpu"};
    hf_autobuf mounts = HF_BUF_INIT(MOUNTS_MAX);
    hf_autobuf groups = HF_BUF_INIT(65536);
    struct hf_hierarchy h = {.id = 0, .unified = true};
    int rc = hf_read_file("/proc/self/mountinfo", &mounts, err);
    if (rc == 0)
        rc = hf_read_file("/proc/cgroups", &groups, err);
    if (rc < 0)
        return rc;
    struct hf_span line, point, type, options, rest = hf_buf_span(&mounts);
    while (hf_span_line(&rest, &line))
        if (mount_line(line, &point, &type, &options) && hf_span_eqz(type, "cgroup2") && !h.v2_mount[0])
            copy(h.v2_mount, sizeof h.v2_mount, point);
    for (size_t i = 0; i < HF_ARRAY_LEN(preferred); i++) {
        uint64_t id = hierarchy_of(hf_buf_span(&groups), preferred[i]);
        if (!id) /* its controllers are in the unified hierarchy */
            continue;
        for (rest = hf_buf_span(&mounts); hf_span_line(&rest, &line);) {
            if (!mount_line(line, &point, &type, &options) || !hf_span_eqz(type, "cgroup") || !has_word(options, preferred[i]))
                continue;
            h.unified = false;
            h.id = (uint32_t)id;
            snprintf(h.controller, sizeof h.controller, "%s", preferred[i]);
            copy(h.mount, sizeof h.mount, point);
            *ret = h;
            return 0;
        }
    }
    if (!h.v2_mount[0])
        return hf_fail(err, HF_E_UNSUPPORTED, "no control group hierarchy is mounted: containers cannot be told apart (mount cgroup2 at /sys/fs/cgroup)");
    snprintf(h.mount, sizeof h.mount, "%s", h.v2_mount);
    *ret = h;
    return 0;
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
