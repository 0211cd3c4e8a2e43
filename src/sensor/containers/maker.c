// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/maker.h"

#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "sensor/containers/bundle.h"
#include "sensor/containers/stores.h"

#define DOCUMENT_MAX (2u << 20)
#define DOCUMENT_MEMORY (32u << 20)
#define ARGS_MAX 65536u

static bool usable(struct hf_span id)
{
    return id.n > 0 && id.n < sizeof ((struct hf_made *)0)->id && hf_span_find(id, '/') == SIZE_MAX && id.p[0] != '.' && id.p[0] != '-';
}

static void set(char *out, size_t size, struct hf_span value)
{
    snprintf(out, size, "%.*s", (int)HF_MIN(value.n, size - 1), value.p ? value.p : "");
}

/* ---- the maker's arguments ---- */

static const char *runtime_named(struct hf_span program)
{
    static const char *const known[] = {"runc", "crun", "youki", "runsc", "kata-runtime"};
    for (size_t i = 0; i < HF_ARRAY_LEN(known); i++)
        if (hf_span_eqz(hf_span_basename(program), known[i]))
            return known[i];
    return NULL;
}

bool hf_made_by_args(struct hf_span args, struct hf_made *ret)
{
    struct hf_span word, last = {NULL, 0}, dir = {NULL, 0};
    struct hf_made m = {.dir = ""};
    bool first = true, creates = false, next = false;
    while (hf_span_cut(&args, 0, &word)) {
        if (first && !(m.runtime = runtime_named(word)))
            return false;
        first = false;
        if (next)
            dir = word;
        else if (hf_span_starts(word, HF_S("--bundle=")))
            dir = hf_span_from(word, 9);
        else if (hf_span_eqz(word, "create") || hf_span_eqz(word, "run") || hf_span_eqz(word, "restore"))
            creates = true;
        next = hf_span_eqz(word, "--bundle") || hf_span_eqz(word, "-b");
        if (word.n)
            last = word;
    }
    if (!creates || !usable(last) || dir.n >= sizeof m.dir || (dir.n && dir.p[0] != '/'))
        return false;
    set(m.id, sizeof m.id, last);
    set(m.dir, sizeof m.dir, dir);
    *ret = m;
    return true;
}

static bool ends_with_path(struct hf_span group, struct hf_span tail)
{
    while (tail.n && tail.p[tail.n - 1] == '/')
        tail.n--;
    while (tail.n && tail.p[0] == '/')
        tail = hf_span_from(tail, 1);
    return tail.n && hf_span_ends(group, tail) && (group.n == tail.n || group.p[group.n - tail.n - 1] == '/');
}

bool hf_made_path_is(struct hf_span cgroups_path, struct hf_span id, struct hf_span group)
{
    struct hf_span leaf = hf_span_basename(group), slice, prefix;
    if (!cgroups_path.n)
        return hf_span_eq(leaf, id);
    if (hf_span_find(cgroups_path, '/') != SIZE_MAX || hf_span_find(cgroups_path, ':') == SIZE_MAX)
        return ends_with_path(group, cgroups_path);
    struct hf_span rest = cgroups_path; /* slice:prefix:name, systemd's driver: prefix-name.scope */
    if (!hf_span_cut(&rest, ':', &slice) || !hf_span_cut(&rest, ':', &prefix) || !rest.n)
        return false;
    if (hf_span_ends(rest, HF_S(".slice")))
        return hf_span_eq(leaf, rest);
    return leaf.n == prefix.n + (prefix.n > 0) + rest.n + 6 && hf_span_starts(leaf, prefix) && hf_span_ends(hf_span_sub(leaf, 0, leaf.n - 6), rest) &&
            hf_span_ends(leaf, HF_S(".scope"));
}

/* Whether the bundle is that of the group. */
static bool bundle_is(const char *dir, struct hf_span id, struct hf_span group)
{
    char path[4300];
    hf_autobuf json = HF_BUF_INIT(DOCUMENT_MAX);
    struct hf_err ignored = HF_ERR_INIT;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    snprintf(path, sizeof path, "%s/config.json", dir);
    if (hf_store_read(path, &json, &ignored) <= 0 || hf_json_parse_within(hf_buf_span(&json), DOCUMENT_MEMORY, &doc, &ignored) < 0)
        return false;
    return hf_made_path_is(hf_jgetstr(hf_jget(hf_json_root(doc), "linux"), "cgroupsPath"), id, group);
}

static bool by_maker(struct hf_span group, uint32_t pid, struct hf_span known, struct hf_made *ret)
{
    char path[64];
    hf_autobuf args = HF_BUF_INIT(ARGS_MAX);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_made m;
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    if (!known.n && hf_read_file(path, &args, &ignored) < 0)
        return false;
    if (!hf_made_by_args(known.n ? known : hf_buf_span(&args), &m))
        return false;
    if (!m.dir[0]) { /* runc(8): the current folder */
        snprintf(path, sizeof path, "/proc/%u/cwd", pid);
        ssize_t n = readlink(path, m.dir, sizeof m.dir - 1);
        m.dir[n > 0 ? n : 0] = 0;
    }
    if (!m.dir[0] || !bundle_is(m.dir, hf_span_z(m.id), group))
        return false;
    *ret = m;
    return true;
}

/* ---- states of running containers ---- */

static bool names_group(hf_jnode paths, struct hf_span group)
{
    if (hf_jis_str(paths))
        return ends_with_path(hf_jstr(paths), group) || ends_with_path(group, hf_jstr(paths));
    HF_JFOREACH(p, paths) /* controller: path below the mount point */
        if (ends_with_path(hf_jstr(p), group))
            return true;
    return false;
}

bool hf_made_by_state(struct hf_span json, struct hf_span group, struct hf_made *ret)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_made m = {.runtime = "runc"};
    if (hf_json_parse_within(json, DOCUMENT_MEMORY, &doc, &ignored) < 0)
        return false;
    hf_jnode root = hf_json_root(doc);
    struct hf_span dir = hf_jgetstr(root, "bundle");
    if (dir.n) {
        m.runtime = "crun";
        if (!names_group(hf_jget(root, "cgroup-path"), group))
            return false;
    } else {
        if (!names_group(hf_jget(root, "cgroup_paths"), group))
            return false;
        HF_JFOREACH(l, hf_jget(hf_jget(root, "config"), "labels"))
            if (hf_span_starts(hf_jstr(l), HF_S("bundle=")))
                dir = hf_span_from(hf_jstr(l), 7);
    }
    if (!dir.n || dir.p[0] != '/' || dir.n >= sizeof m.dir || memchr(dir.p, 0, dir.n))
        return false;
    set(m.dir, sizeof m.dir, dir);
    *ret = m;
    return true;
}

static bool by_state_file(const char *path, struct hf_span group, struct hf_made *ret)
{
    hf_autobuf json = HF_BUF_INIT(DOCUMENT_MAX);
    struct hf_err ignored = HF_ERR_INIT;
    return hf_store_read(path, &json, &ignored) > 0 && hf_made_by_state(hf_buf_span(&json), group, ret);
}

static bool by_states(const struct hf_bundle_roots *r, struct hf_span group, struct hf_made *ret)
{
    static const char *const containerd[] = {"/run/containerd", "/run/k3s/containerd"};
    const char *prefix = r && r->prefix ? r->prefix : "";
    struct hf_span leaf = hf_span_basename(group), ns = hf_span_basename(hf_span_dirname(group));
    char path[1024];
    if (!usable(leaf))
        return false;
    snprintf(path, sizeof path, "%s/run/runc/%.*s/state.json", prefix, (int)leaf.n, leaf.p);
    bool found = by_state_file(path, group, ret);
    if (!found) {
        snprintf(path, sizeof path, "%s/run/crun/%.*s/status", prefix, (int)leaf.n, leaf.p);
        found = by_state_file(path, group, ret);
    }
    for (size_t i = 0; !found && usable(ns) && i < HF_ARRAY_LEN(containerd) + (r ? r->n : 0); i++) {
        bool built_in = i < HF_ARRAY_LEN(containerd);
        snprintf(ret->dir, sizeof ret->dir, "%s%s/io.containerd.runtime.v2.task/%.*s/%.*s", built_in ? prefix : "",
                built_in ? containerd[i] : r->exec_root[i - HF_ARRAY_LEN(containerd)], (int)ns.n, ns.p, (int)leaf.n, leaf.p);
        ret->runtime = NULL;
        found = bundle_is(ret->dir, leaf, group);
    }
    if (found)
        set(ret->id, sizeof ret->id, leaf);
    return found;
}

int hf_made_find(const struct hf_bundle_roots *r, struct hf_span path, uint32_t pid, struct hf_span args, struct hf_made *ret)
{
    struct hf_made m = {.dir = ""};
    if (!(pid ? by_maker(path, pid, args, &m) : by_states(r, path, &m)))
        return 0;
    *ret = m;
    return 1;
}
