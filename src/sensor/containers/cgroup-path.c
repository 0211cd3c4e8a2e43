// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/cgroup-path.h"

#define ID_DIGITS 64u

static bool is_id(struct hf_span s)
{
    if (s.n != ID_DIGITS)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return true;
}

static struct hf_span without(struct hf_span s, const char *head)
{
    struct hf_span h = hf_span_z(head);
    return hf_span_starts(s, h) ? hf_span_from(s, h.n) : hf_span(NULL, 0);
}

static void by_pod(struct hf_span part, struct hf_cgroup_id *ret)
{
    if (hf_span_ends(part, HF_S(".slice")))
        part.n -= 6;
    size_t at = hf_span_search(part, HF_S("-pod")); /* kubepods-burstable-pod<uid>.slice; not the "pod" of kubepods */
    if (at != SIZE_MAX)
        ret->pod_uid = hf_span_from(part, at + 4);
    else if (hf_span_starts(part, HF_S("pod")) && part.n >= 32 + 3)
        ret->pod_uid = hf_span_from(part, 3);
}

/* "docker-<id>.scope" and the like, plain "<id>", "kubepods-...:cri-containerd:<id>". */
static bool by_id(struct hf_span part, struct hf_cgroup_id *ret)
{
    static const struct {
        const char *head, *runtime;
    } heads[] = {
            {"docker-", "docker"},
            {"cri-containerd-", "containerd"},
            {"nerdctl-", "containerd"},
            {"crio-", "cri-o"},
            {"libpod-", "podman"},
            {"", NULL},
    };
    if (hf_span_ends(part, HF_S(".scope")))
        part.n -= 6;
    size_t colon = hf_span_rfind(part, ':');
    if (colon != SIZE_MAX) {
        struct hf_span id = hf_span_from(part, colon + 1);
        if (!is_id(id))
            return false;
        *ret = (struct hf_cgroup_id){.id = id, .pod_uid = ret->pod_uid, .depth = ret->depth};
        by_pod(hf_span_sub(part, 0, hf_span_find(part, ':')), ret); /* kubepods-...-pod<uid>.slice:cri-containerd:<id> */
        ret->runtime = hf_span_search(part, HF_S(":cri-containerd:")) != SIZE_MAX ? "containerd" : NULL;
        return true;
    }
    for (size_t i = 0; i < HF_ARRAY_LEN(heads); i++) {
        struct hf_span id = without(part, heads[i].head);
        if (is_id(id)) {
            ret->id = id;
            ret->runtime = heads[i].runtime;
            return true;
        }
    }
    return false;
}

/* Runtimes that name their groups otherwise; `before` is the component above. */
static bool by_name(struct hf_span part, struct hf_span before, struct hf_cgroup_id *ret)
{
    struct hf_span name = without(part, "lxc.payload.");
    const char *runtime = "lxc";
    if (!name.n && hf_span_eqz(before, "lxc"))
        name = part;
    if (!name.n && hf_span_starts(part, HF_S("machine-")) && hf_span_ends(part, HF_S(".scope"))) {
        name = hf_span_sub(part, 8, part.n - 14);
        runtime = "nspawn";
    }
    if (!name.n && hf_span_eqz(before, "garden")) {
        name = part;
        runtime = "garden";
    }
    if (!name.n)
        return false;
    ret->id = name;
    ret->runtime = runtime;
    return true;
}

bool hf_cgroup_path_parse(struct hf_span path, struct hf_cgroup_id *ret)
{
    struct hf_cgroup_id found = {.depth = 0};
    struct hf_span rest = path, part, before = {NULL, 0};
    bool any = false;
    while (hf_span_cut(&rest, '/', &part)) {
        if (!part.n)
            continue;
        bool monitor = hf_span_starts(part, HF_S("crio-conmon-")) || hf_span_starts(part, HF_S("libpod-conmon-")) || hf_span_eqz(part, "conmon");
        if (monitor)
            return false;
        found.own = false;
        if (hf_span_eqz(before, "libpod_parent") && !hf_span_starts(part, HF_S("libpod-"))) { /* a pod of podman's: holds its containers' groups */
            before = part;
            continue;
        }
        if (by_id(part, &found) || by_name(part, before, &found)) {
            found.own = true;
            found.depth++;
            any = true;
            if (!found.runtime && hf_span_eqz(before, "docker"))
                found.runtime = "docker";
        } else if (hf_span_search(path, HF_S("kubepods")) != SIZE_MAX) {
            by_pod(part, &found);
        }
        before = part;
    }
    if (!any)
        return false;
    *ret = found;
    return true;
}
