// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/json.h"
#include "event/caps.h"

#define CONFIG_MAX (2u << 20)   /* bytes of a document; docker's seccomp profile alone takes 30 KB */
#define CONFIG_MEMORY (32u << 20)
#define VALUE_MAX 4096u         /* bytes of a fact */
#define MOUNTS_MAX 64u
#define LABELS_MAX 64u

/* Where bundles lie; %s is the id.  The first that has a config.json counts. */
static const char *const bundle_dirs[] = {
        "/run/containerd/io.containerd.runtime.v2.task/moby/%s",
        "/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s",
        "/run/containerd/io.containerd.runtime.v2.task/default/%s",
        "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/%s",
        "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/%s",
        "/run/containers/storage/overlay-containers/%s/userdata",
        "/var/lib/containers/storage/overlay-containers/%s/userdata",
        "/run/containerd/io.containerd.runtime.v1.linux/moby/%s",
};
/* The same below what a running daemon was told with --exec-root or --state. */
static const char *const below_exec_root[] = {
        "%s/containerd/daemon/io.containerd.runtime.v2.task/moby/%s",
        "%s/io.containerd.runtime.v2.task/moby/%s",
        "%s/io.containerd.runtime.v2.task/k8s.io/%s",
        "%s/io.containerd.runtime.v2.task/default/%s",
};

static void add(struct hf_buf *out, const char *name, struct hf_span value)
{
    value = hf_span_sub(value, 0, VALUE_MAX);
    const char *nul = value.n ? memchr(value.p, 0, value.n) : NULL;
    if (nul)
        value.n = (size_t)(nul - value.p);
    if (!value.n)
        return;
    hf_buf_add(out, name, strlen(name) + 1);
    hf_buf_adds(out, value);
    hf_buf_addc(out, 0);
}

static void addz(struct hf_buf *out, const char *name, const char *value)
{
    add(out, name, hf_span_z(value));
}

/* Whether a label or variable of this name holds something secret. */
static bool is_secret(struct hf_span name)
{
    static const char *const words[] = {"password", "passwd", "secret", "token", "apikey", "api_key", "api-key", "credential", "private"};
    for (size_t i = 0; i < HF_ARRAY_LEN(words); i++) {
        struct hf_span w = hf_span_z(words[i]);
        for (size_t at = 0; at + w.n <= name.n; at++)
            if (hf_span_eq_nocase(hf_span_sub(name, at, w.n), w))
                return true;
    }
    return false;
}

static void add_label(struct hf_buf *out, struct hf_span name, struct hf_span value)
{
    char key[256];
    snprintf(key, sizeof key, "label.%.*s", (int)HF_MIN(name.n, (size_t)200), name.p);
    add(out, key, is_secret(name) ? HF_S("***") : value);
}

/* ---- config.json ---- */

static void add_words(struct hf_buf *out, const char *name, hf_jnode array)
{
    hf_autobuf text = HF_BUF_INIT(VALUE_MAX);
    HF_JFOREACH(word, array)
    {
        if (text.n)
            hf_buf_addc(&text, ' ');
        hf_buf_adds(&text, hf_jstr(word));
    }
    add(out, name, hf_buf_span(&text));
}

static void add_user(struct hf_buf *out, hf_jnode user)
{
    double uid = 0, gid = 0;
    char text[64];
    if (!hf_jnum(hf_jget(user, "uid"), &uid))
        return;
    (void)hf_jnum(hf_jget(user, "gid"), &gid);
    snprintf(text, sizeof text, "%.0f:%.0f", uid, gid);
    addz(out, "user", text);
}

static void add_caps(struct hf_buf *out, hf_jnode process)
{
    hf_jnode list = hf_jget(hf_jget(process, "capabilities"), "bounding");
    uint64_t caps = 0;
    char text[32];
    HF_JFOREACH(c, list)
    {
        int n = hf_cap_number(hf_jstr(c));
        if (n >= 0)
            caps |= 1ull << n;
    }
    snprintf(text, sizeof text, "%llx", (unsigned long long)caps);
    addz(out, "caps", text);
}

static void add_mounts(struct hf_buf *out, hf_jnode mounts)
{
    hf_autobuf text = HF_BUF_INIT(VALUE_MAX);
    unsigned n = 0;
    HF_JFOREACH(m, mounts)
    {
        struct hf_span type = hf_jgetstr(m, "type");
        if (!hf_span_eqz(type, "bind") && type.n && !hf_span_eqz(type, "none")) /* proc, tmpfs... every container has */
            continue;
        if (++n > MOUNTS_MAX)
            break;
        if (text.n)
            hf_buf_addc(&text, '\n');
        hf_buf_adds(&text, hf_jgetstr(m, "source"));
        hf_buf_addc(&text, ':');
        hf_buf_adds(&text, hf_jgetstr(m, "destination"));
        hf_buf_addc(&text, ':');
        bool first = true;
        HF_JFOREACH(o, hf_jget(m, "options"))
        {
            if (!first)
                hf_buf_addc(&text, ',');
            first = false;
            hf_buf_adds(&text, hf_jstr(o));
        }
    }
    if (hf_buf_ok(&text))
        add(out, "mounts", hf_buf_span(&text));
}

/* A namespace that is not in the list, or in it with the host's path, is shared with the host. */
static void add_namespaces(struct hf_buf *out, hf_jnode list)
{
    static const struct {
        const char *type, *name;
    } shared[] = {{"network", "host_net"}, {"pid", "host_pid"}, {"ipc", "host_ipc"}};
    if (!list)
        return;
    for (size_t i = 0; i < HF_ARRAY_LEN(shared); i++) {
        bool own = false;
        HF_JFOREACH(n, list)
            own |= hf_span_eqz(hf_jgetstr(n, "type"), shared[i].type);
        addz(out, shared[i].name, own ? "0" : "1");
    }
}

/* Names that CRI, CRI-O, podman, nerdctl give as annotations. */
static void add_annotations(struct hf_bundle *b, struct hf_buf *out, hf_jnode list)
{
    static const struct {
        const char *key, *name;
    } known[] = {
            {"io.kubernetes.cri.container-name", "k8s_container"},
            {"io.kubernetes.cri.sandbox-namespace", "pod_namespace"},
            {"io.kubernetes.cri.sandbox-name", "pod_name"},
            {"io.kubernetes.cri.sandbox-uid", "pod_uid"},
            {"io.kubernetes.cri.image-name", "image"},
            {"io.kubernetes.container.name", "k8s_container"},
            {"io.kubernetes.pod.name", "pod_name"},
            {"io.kubernetes.pod.namespace", "pod_namespace"},
            {"io.kubernetes.pod.uid", "pod_uid"},
            {"io.kubernetes.cri-o.ImageName", "image"},
            {"io.kubernetes.cri-o.Image", "image_id"},
            {"io.kubernetes.cri-o.ImageRef", "image_digest"},
            {"io.kubernetes.cri-o.Name", "name"},
            {"org.opencontainers.image.ref.name", "image"},
            {"io.podman.annotations.container.name", "name"},
            {"nerdctl/name", "name"},
    };
    unsigned labels = 0;
    bool k8s = false;
    HF_JFOREACH(a, list)
    {
        struct hf_span key = hf_jname(a), value = hf_jstr(a);
        bool used = false;
        for (size_t i = 0; i < HF_ARRAY_LEN(known) && !used; i++) {
            if (!hf_span_eqz(key, known[i].key) || !value.n)
                continue;
            add(out, known[i].name, value);
            used = true;
            b->has_name |= !strcmp(known[i].name, "name") || !strcmp(known[i].name, "k8s_container");
            b->has_image |= !strcmp(known[i].name, "image");
            k8s |= !strcmp(known[i].name, "k8s_container");
        }
        if (!used && !hf_span_starts(key, HF_S("io.kubernetes.cri")) && ++labels <= LABELS_MAX)
            add_label(out, key, value);
    }
    (void)k8s;
}

/* All capabilities, and devices open: what "--privileged" gives. */
static bool looks_privileged(hf_jnode root)
{
    unsigned caps = 0;
    HF_JFOREACH(c, hf_jget(hf_jget(hf_jget(root, "process"), "capabilities"), "bounding"))
        caps++;
    hf_jnode first = hf_jfirst(hf_jget(hf_jget(hf_jget(root, "linux"), "resources"), "devices"));
    bool all_devices = false;
    for (hf_jnode d = first; d; d = hf_jnext(d))
        all_devices |= hf_jis_true(hf_jget(d, "allow")) && !hf_jget(d, "major") && hf_span_eqz(hf_jgetstr(d, "access"), "rwm") && !hf_jgetstr(d, "type").n;
    return caps >= 37 && all_devices;
}

int hf_bundle_config(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_span *ret_rootfs, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse_within(json, CONFIG_MEMORY, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "config.json of container %.*s", (int)HF_MIN(b->id.n, (size_t)12), b->id.p);
    hf_jnode root = hf_json_root(doc), process = hf_jget(root, "process"), linux_ = hf_jget(root, "linux");
    add_words(out, "command", hf_jget(process, "args"));
    add_user(out, hf_jget(process, "user"));
    add(out, "hostname", hf_jgetstr(root, "hostname"));
    hf_autobuf full = HF_BUF_INIT(VALUE_MAX); /* relative to the bundle: runtime-spec 1.0, "Root" */
    struct hf_span at_ = hf_jgetstr(hf_jget(root, "root"), "path");
    if (at_.n && at_.p[0] != '/' && b->dir[0])
        hf_buf_addf(&full, "%s/", b->dir);
    hf_buf_adds(&full, at_);
    add(out, "rootfs", hf_buf_span(&full));
    if (hf_jget(process, "capabilities"))
        add_caps(out, process);
    addz(out, "privileged", looks_privileged(root) ? "1" : "0");
    addz(out, "readonly", hf_jis_true(hf_jget(hf_jget(root, "root"), "readonly")) ? "1" : "0");
    addz(out, "no_new_privileges", hf_jis_true(hf_jget(process, "noNewPrivileges")) ? "1" : "0");
    addz(out, "seccomp", hf_jis_object(hf_jget(linux_, "seccomp")) ? "profile" : "unconfined");
    add(out, "apparmor", hf_jgetstr(process, "apparmorProfile"));
    add_namespaces(out, hf_jget(linux_, "namespaces"));
    add_mounts(out, hf_jget(root, "mounts"));
    add_annotations(b, out, hf_jget(root, "annotations"));
    b->has_config = true;
    if (ret_rootfs) { /* outlives the document: borrowed from out */
        struct hf_span path = hf_jgetstr(hf_jget(root, "root"), "path"), all = hf_buf_span(out);
        size_t at = path.n ? hf_span_search(all, path) : SIZE_MAX;
        *ret_rootfs = at == SIZE_MAX ? hf_span(NULL, 0) : hf_span_sub(all, at, path.n);
    }
    return 0;
}

/* ---- docker's own file ---- */

int hf_bundle_docker(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse_within(json, CONFIG_MEMORY, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "config.v2.json of container %.*s", (int)HF_MIN(b->id.n, (size_t)12), b->id.p);
    hf_jnode root = hf_json_root(doc), config = hf_jget(root, "Config");
    struct hf_span name = hf_jgetstr(root, "Name"), image = hf_jgetstr(config, "Image");
    if (hf_span_starts(name, HF_S("/")))
        name = hf_span_from(name, 1);
    add(out, "name", name);
    add(out, "image", image);
    add(out, "image_id", hf_jgetstr(root, "Image"));
    size_t at = hf_span_rfind(image, '@');
    if (at != SIZE_MAX)
        add(out, "image_digest", hf_span_from(image, at + 1));
    unsigned labels = 0;
    HF_JFOREACH(l, hf_jget(config, "Labels"))
    {
        struct hf_span key = hf_jname(l);
        if (hf_span_eqz(key, "io.kubernetes.pod.name"))
            add(out, "pod_name", hf_jstr(l));
        else if (hf_span_eqz(key, "io.kubernetes.pod.namespace"))
            add(out, "pod_namespace", hf_jstr(l));
        else if (hf_span_eqz(key, "io.kubernetes.container.name"))
            add(out, "k8s_container", hf_jstr(l));
        else if (++labels <= LABELS_MAX)
            add_label(out, key, hf_jstr(l));
    }
    b->has_name |= name.n > 0;
    b->has_image |= image.n > 0;
    return 0;
}

/* ---- where they are ---- */

static int read_json(const char *path, struct hf_buf *out, struct hf_err *err)
{
    hf_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : hf_fail(err, -errno, "%s", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return hf_fail(err, HF_E_UNSUPPORTED, "%s is not a file", path);
    int rc = hf_read_fd(fd, out, err);
    return rc < 0 ? rc : 1;
}

static bool usable_id(struct hf_span id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'z') || (id.p[i] >= 'A' && id.p[i] <= 'Z') ||
                    (i && strchr("-_.", id.p[i]))))
            return false;
    return id.n > 0 && id.n <= 128;
}

static bool has_config(const char *dir)
{
    char path[4200];
    struct stat st;
    snprintf(path, sizeof path, "%s/config.json", dir);
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 2;
}

/* "--bundle DIR" or "-b DIR" of the runtime (runc, crun) that makes the group. */
static bool by_maker(struct hf_bundle *b, uint32_t pid)
{
    char path[64];
    hf_autobuf args = HF_BUF_INIT(65536);
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    if (!pid || hf_read_file(path, &args, &ignored) < 0)
        return false;
    struct hf_span rest = hf_buf_span(&args), word;
    bool next = false;
    while (hf_span_cut(&rest, 0, &word)) {
        struct hf_span dir = {NULL, 0};
        if (next)
            dir = word;
        else if (hf_span_starts(word, HF_S("--bundle=")))
            dir = hf_span_from(word, 9);
        next = hf_span_eqz(word, "--bundle") || hf_span_eqz(word, "-b");
        if (dir.n && dir.p[0] == '/' && dir.n < sizeof b->dir) {
            snprintf(b->dir, sizeof b->dir, "%.*s", (int)dir.n, dir.p);
            if (has_config(b->dir))
                return true;
        }
    }
    b->dir[0] = 0;
    return false;
}

static bool by_place(const struct hf_bundle_roots *r, struct hf_bundle *b, const char *id)
{
    const char *prefix = r && r->prefix ? r->prefix : "";
    char template[512];
    for (size_t i = 0; i < HF_ARRAY_LEN(bundle_dirs); i++) {
        char *at = strstr(bundle_dirs[i], "%s") ? template : NULL;
        if (!at)
            continue;
        const char *rest = strstr(bundle_dirs[i], "%s") + 2;
        snprintf(b->dir, sizeof b->dir, "%s%.*s%s%s", prefix, (int)(rest - 2 - bundle_dirs[i]), bundle_dirs[i], id, rest);
        if (has_config(b->dir))
            return true;
    }
    for (size_t j = 0; r && j < r->n; j++)
        for (size_t i = 0; i < HF_ARRAY_LEN(below_exec_root); i++) {
            const char *tail = below_exec_root[i] + 2, *end = strstr(tail, "%s");
            snprintf(b->dir, sizeof b->dir, "%s%.*s%s", r->exec_root[j], (int)(end - tail), tail, id);
            if (has_config(b->dir))
                return true;
        }
    b->dir[0] = 0;
    return false;
}

/* docker keeps the name in its data root, which the root file system's path shows: DATA/overlay2/X/merged. */
static int docker_facts(const struct hf_bundle_roots *r, struct hf_bundle *b, const char *id, struct hf_span rootfs, struct hf_buf *out, struct hf_err *err)
{
    static const char *const drivers[] = {"/overlay2/", "/fuse-overlayfs/", "/btrfs/", "/zfs/", "/vfs/", "/rootfs/overlayfs/"};
    char path[4096];
    for (size_t i = 0; i <= HF_ARRAY_LEN(drivers); i++) {
        size_t at = i < HF_ARRAY_LEN(drivers) ? hf_span_search(rootfs, hf_span_z(drivers[i])) : SIZE_MAX;
        if (i < HF_ARRAY_LEN(drivers) && at == SIZE_MAX)
            continue;
        if (i == HF_ARRAY_LEN(drivers)) /* elsewhere: the usual place */
            snprintf(path, sizeof path, "%s/var/lib/docker/containers/%s/config.v2.json", r && r->prefix ? r->prefix : "", id);
        else
            snprintf(path, sizeof path, "%.*s/containers/%s/config.v2.json", (int)at, rootfs.p, id);
        hf_autobuf json = HF_BUF_INIT(CONFIG_MAX);
        int rc = read_json(path, &json, err);
        if (rc < 0)
            return rc;
        if (rc > 0)
            return hf_bundle_docker(hf_buf_span(&json), b, out, err);
    }
    return 0;
}

static const char *runtime_of(const struct hf_bundle *b)
{
    if (strstr(b->dir, "/moby/"))
        return "docker";
    if (strstr(b->dir, "overlay-containers"))
        return b->runtime ? b->runtime : "podman";
    if (strstr(b->dir, "io.containerd.runtime"))
        return "containerd";
    return b->runtime ? b->runtime : "runc";
}

int hf_bundle_facts(const struct hf_bundle_roots *r, struct hf_bundle *b, uint32_t maker_pid, struct hf_buf *out, struct hf_err *err)
{
    char id[160], path[4200];
    if (!usable_id(b->id))
        return 0;
    snprintf(id, sizeof id, "%.*s", (int)b->id.n, b->id.p);
    if (!b->dir[0] && !by_maker(b, maker_pid) && !by_place(r, b, id))
        return 0;
    hf_autobuf json = HF_BUF_INIT(CONFIG_MAX);
    snprintf(path, sizeof path, "%s/config.json", b->dir);
    int rc = read_json(path, &json, err);
    if (rc <= 0) {
        b->dir[0] = 0;
        return rc;
    }
    struct hf_span rootfs = {NULL, 0};
    addz(out, "runtime", runtime_of(b));
    rc = hf_bundle_config(hf_buf_span(&json), b, out, &rootfs, err);
    if (rc < 0) {
        b->dir[0] = 0; /* half-written: again later */
        return rc;
    }
    if (!b->has_name) {
        hf_autobuf copy = HF_BUF_INIT(VALUE_MAX); /* out may move */
        hf_buf_adds(&copy, rootfs);
        rc = docker_facts(r, b, id, hf_buf_span(&copy), out, err);
        if (rc < 0)
            return rc;
    }
    hf_buf_clear(&json);
    snprintf(path, sizeof path, "%s/init.pid", b->dir);
    if (read_json(path, &json, err) > 0)
        add(out, "init_pid", hf_span_trim(hf_buf_span(&json)));
    return 1;
}

/* ---- running daemons ---- */

static void note_root(struct hf_bundle_roots *r, struct hf_span dir)
{
    if (!dir.n || dir.p[0] != '/' || dir.n >= sizeof r->exec_root[0])
        return;
    for (size_t i = 0; i < r->n; i++)
        if (hf_span_eqz(dir, r->exec_root[i]))
            return;
    if (r->n < HF_ARRAY_LEN(r->exec_root))
        snprintf(r->exec_root[r->n++], sizeof r->exec_root[0], "%.*s", (int)dir.n, dir.p);
}

static void scan_daemon(struct hf_bundle_roots *r, const char *pid)
{
    static const char *const options[] = {"--exec-root", "--state"};
    char path[300];
    hf_autobuf text = HF_BUF_INIT(65536);
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    if (hf_read_file(path, &text, &ignored) < 0)
        return;
    struct hf_span comm = hf_span_trim(hf_buf_span(&text));
    if (!hf_span_eqz(comm, "dockerd") && !hf_span_eqz(comm, "containerd"))
        return;
    hf_buf_clear(&text);
    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    if (hf_read_file(path, &text, &ignored) < 0)
        return;
    struct hf_span rest = hf_buf_span(&text), word;
    bool next = false;
    while (hf_span_cut(&rest, 0, &word)) {
        if (next)
            note_root(r, word);
        next = false;
        for (size_t i = 0; i < HF_ARRAY_LEN(options); i++) {
            struct hf_span name = hf_span_z(options[i]);
            if (hf_span_eq(word, name))
                next = true;
            else if (hf_span_starts(word, name) && word.n > name.n && word.p[name.n] == '=')
                note_root(r, hf_span_from(word, name.n + 1));
        }
    }
}

void hf_bundle_roots_scan(struct hf_bundle_roots *r)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    for (struct dirent *d; (d = readdir(proc));)
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
            scan_daemon(r, d->d_name);
    closedir(proc);
}
