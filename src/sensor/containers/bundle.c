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
#include "sensor/containers/cgroup-path.h"
#include "sensor/containers/facts.h"
#include "sensor/containers/stores.h"

#define CONFIG_MAX (2u << 20)   /* bytes of a document; docker's seccomp profile alone takes 30 KB */
#define CONFIG_MEMORY (32u << 20)
#define MOUNTS_MAX 64u

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

/* ---- config.json ---- */

static void add_words(struct hf_buf *out, const char *name, hf_jnode array)
{
    hf_autobuf text = HF_BUF_INIT(HF_FACT_BYTES);
    HF_JFOREACH(word, array)
    {
        if (text.n)
            hf_buf_addc(&text, ' ');
        hf_buf_adds(&text, hf_jstr(word));
    }
    hf_fact_add(out, name, hf_buf_span(&text));
}

static void add_user(struct hf_buf *out, hf_jnode user)
{
    double uid = 0, gid = 0;
    char text[64];
    if (!hf_jnum(hf_jget(user, "uid"), &uid))
        return;
    (void)hf_jnum(hf_jget(user, "gid"), &gid);
    snprintf(text, sizeof text, "%.0f:%.0f", uid, gid);
    hf_fact_addz(out, "user", text);
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
    hf_fact_addz(out, "caps", text);
}

static void add_mounts(struct hf_buf *out, hf_jnode mounts)
{
    hf_autobuf text = HF_BUF_INIT(HF_FACT_BYTES);
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
        hf_fact_add(out, "mounts", hf_buf_span(&text));
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
        hf_fact_addz(out, shared[i].name, own ? "0" : "1");
    }
}

/* Whose annotations a bundle has.  CRI-O puts those beside its own that a pod's author chose: there, names that other runtimes write are anyone's word. */
enum writer { ANY_WRITER, CRIO, NOT_CRIO };

static enum writer writer_of(const struct hf_bundle *b, hf_jnode list)
{
    static const char *const others[] = {"docker", "containerd", "podman"};
    struct hf_span told = hf_span_z(b->runtime ? b->runtime : ""), manager = hf_jgetstr(list, "io.container.manager");
    for (size_t i = 0; i < HF_ARRAY_LEN(others); i++)
        if (hf_span_eqz(told, others[i]))
            return NOT_CRIO;
    if (hf_span_eqz(told, "cri-o") || hf_span_eqz(manager, "cri-o"))
        return CRIO;
    return hf_jget(list, "io.kubernetes.cri-o.Name") && !hf_span_eqz(manager, "libpod") ? CRIO : NOT_CRIO;
}

/* "sandbox" (CRI-O: "sandbox", too): the process that only holds a pod's namespaces. */
static void add_kind(struct hf_bundle *b, struct hf_buf *out, hf_jnode list, enum writer writer)
{
    static const struct {
        const char *key;
        enum writer of;
    } keys[] = {{"io.kubernetes.cri.container-type", NOT_CRIO}, {"io.kubernetes.cri-o.ContainerType", CRIO}, {"io.kubernetes.docker.type", NOT_CRIO}};
    for (size_t i = 0; i < HF_ARRAY_LEN(keys); i++) {
        struct hf_span type = hf_jgetstr(list, keys[i].key);
        if (keys[i].of != writer)
            continue;
        if (!hf_span_eqz(type, "sandbox") && !hf_span_eqz(type, "podsandbox"))
            continue;
        hf_fact_addz(out, "kind", "sandbox");
        if (!b->has_name)
            hf_fact_addz(out, "name", "pause"); /* as it is called everywhere */
        b->has_name = b->sandbox = true;
        b->name_from = "bundle";
        return;
    }
}

/* CRI-O keeps the labels of Kubernetes as a JSON text in one annotation (cri-o, pkg/annotations: "Labels"). */
static void add_crio_labels(struct hf_buf *out, struct hf_span json, unsigned *n)
{
    static const struct {
        const char *key, *name;
    } known[] = {{"io.kubernetes.container.name", "k8s_container"}, {"io.kubernetes.pod.name", "pod_name"}, {"io.kubernetes.pod.namespace", "pod_namespace"}, {"io.kubernetes.pod.uid", "pod_uid"}};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (!json.n || hf_json_parse_within(json, CONFIG_MEMORY, &doc, &ignored) < 0)
        return;
    HF_JFOREACH(l, hf_json_root(doc))
    {
        struct hf_span key = hf_jname(l), value = hf_jstr(l);
        bool used = false;
        for (size_t i = 0; i < HF_ARRAY_LEN(known); i++)
            if (hf_span_eqz(key, known[i].key)) {
                used = true;
                if (value.n && !hf_span_eqz(value, "POD") && !hf_fact_get(hf_buf_span(out), known[i].name).n)
                    hf_fact_add(out, known[i].name, value);
            }
        if (!used && ++*n <= HF_LABELS_MAX)
            hf_fact_label(out, key, value);
    }
}

/* An id or its beginning, as CRI-O tells it from a name. */
static bool is_image_id(struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return s.n > 0;
}

static struct hf_span without_sha256(struct hf_span s)
{
    return hf_span_starts(s, HF_S("sha256:")) ? hf_span_from(s, 7) : s;
}

static struct hf_span digest_of(struct hf_span reference)
{
    size_t at = hf_span_rfind(reference, '@');
    return at == SIZE_MAX ? hf_span(NULL, 0) : hf_span_from(reference, at + 1);
}

/* CRI-O (pkg/annotations): Image is what was asked for, a name, a name with a digest or, by kubelet, an id; ImageName one of the image's names, which
 * need not be the one that was asked for; ImageRef its id. */
static void add_crio_image(struct hf_bundle *b, struct hf_buf *out, hf_jnode list)
{
    struct hf_span asked = hf_jgetstr(list, "io.kubernetes.cri-o.Image"), some = hf_jgetstr(list, "io.kubernetes.cri-o.ImageName"), ref = hf_jgetstr(list, "io.kubernetes.cri-o.ImageRef");
    struct hf_span image = asked, digest = digest_of(asked);
    size_t longer = some.n > asked.n ? some.n - asked.n : 0; /* "pg:16" for docker.io/library/pg:16 */
    if (is_image_id(without_sha256(asked)))
        image = some;
    else if (some.n && (!asked.n || digest.n || (longer && hf_span_ends(some, asked) && some.p[longer - 1] == '/')))
        image = some;
    if (!digest.n)
        digest = digest_of(ref);
    if (is_image_id(without_sha256(ref)))
        hf_fact_add(out, "image_id", without_sha256(ref));
    hf_fact_add(out, "image", image);
    hf_fact_add(out, "image_digest", digest);
    b->has_image = image.n > 0;
    b->image_from = image.n ? "bundle" : NULL;
    b->has_digest = digest.n > 0;
}

/* Names that CRI, CRI-O, podman, nerdctl give as annotations. */
static void add_annotations(struct hf_bundle *b, struct hf_buf *out, hf_jnode list)
{
    static const struct {
        const char *key, *name;
        enum writer of;
    } known[] = {
            {"io.kubernetes.cri.container-name", "k8s_container", NOT_CRIO},
            {"io.kubernetes.cri.sandbox-namespace", "pod_namespace", NOT_CRIO},
            {"io.kubernetes.cri.sandbox-name", "pod_name", NOT_CRIO},
            {"io.kubernetes.cri.sandbox-uid", "pod_uid", NOT_CRIO},
            {"io.kubernetes.cri.image-name", "image", NOT_CRIO},
            {"io.kubernetes.cri-o.Namespace", "pod_namespace", CRIO}, /* of a pod's own bundle */
            {"io.kubernetes.cri-o.KubeName", "pod_name", CRIO},
            {"io.kubernetes.container.name", "k8s_container", ANY_WRITER},
            {"io.kubernetes.pod.name", "pod_name", ANY_WRITER},
            {"io.kubernetes.pod.namespace", "pod_namespace", ANY_WRITER},
            {"io.kubernetes.pod.uid", "pod_uid", ANY_WRITER},
            {"org.opencontainers.image.ref.name", "image", NOT_CRIO},
            {"io.podman.annotations.container.name", "name", NOT_CRIO},
            {"nerdctl/name", "name", NOT_CRIO},
    };
    enum writer writer = writer_of(b, list);
    unsigned labels = 0;
    if (writer == CRIO) {
        add_crio_labels(out, hf_jgetstr(list, "io.kubernetes.cri-o.Labels"), &labels);
        add_crio_image(b, out, list);
    }
    for (size_t i = 0; i < HF_ARRAY_LEN(known); i++) { /* in the table's order: the runtime's own word before what an image says of itself */
        struct hf_span value = hf_jgetstr(list, known[i].key);
        if (known[i].of != ANY_WRITER && known[i].of != writer)
            continue;
        if (!strcmp(known[i].key, "org.opencontainers.image.ref.name") && hf_span_find(value, ':') == SIZE_MAX && hf_span_find(value, '/') == SIZE_MAX)
            continue; /* a tag alone names no image */
        if (!value.n || hf_fact_get(hf_buf_span(out), known[i].name).n)
            continue;
        hf_fact_add(out, known[i].name, value);
        if (!strcmp(known[i].name, "name")) {
            b->has_name = true;
            b->name_from = "bundle";
        } else if (!strcmp(known[i].name, "image")) {
            b->has_image = true;
            b->image_from = "bundle";
        }
    }
    add_kind(b, out, list, writer);
    if (!b->has_name) { /* what the person called it, or else CRI-O's own name: k8s_CONTAINER_POD_NAMESPACE_UID_0 */
        struct hf_span chosen = hf_fact_get(hf_buf_span(out), "k8s_container");
        hf_autobuf copy = HF_BUF_INIT(HF_FACT_BYTES); /* out may move */
        hf_buf_adds(&copy, chosen.n || writer != CRIO ? chosen : hf_jgetstr(list, "io.kubernetes.cri-o.Name"));
        hf_fact_add(out, "name", hf_buf_span(&copy));
        b->has_name = copy.n > 0;
        b->name_from = copy.n ? "bundle" : NULL;
    }
    HF_JFOREACH(a, list)
    {
        struct hf_span key = hf_jname(a);
        static const char *const internal[] = {"io.kubernetes.cri", "io.container.manager", "io.podman.annotations.", "org.opencontainers.image.stopSignal", "org.systemd.property."};
        bool used = false;
        for (size_t i = 0; i < HF_ARRAY_LEN(internal) && !used; i++)
            used = hf_span_starts(key, hf_span_z(internal[i]));
        for (size_t i = 0; i < HF_ARRAY_LEN(known) && !used; i++)
            used = hf_span_eqz(key, known[i].key);
        if (!used && ++labels <= HF_LABELS_MAX)
            hf_fact_label(out, key, hf_jstr(a));
    }
    if (writer == CRIO)
        b->runtime = "cri-o";
    else if (hf_span_eqz(hf_jgetstr(list, "io.container.manager"), "libpod"))
        b->runtime = "podman";
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
    hf_fact_add(out, "hostname", hf_jgetstr(root, "hostname"));
    hf_autobuf full = HF_BUF_INIT(HF_FACT_BYTES); /* relative to the bundle: runtime-spec 1.0, "Root" */
    struct hf_span at_ = hf_jgetstr(hf_jget(root, "root"), "path");
    if (at_.n && at_.p[0] != '/' && b->dir[0])
        hf_buf_addf(&full, "%s/", b->dir);
    hf_buf_adds(&full, at_);
    hf_fact_add(out, "rootfs", hf_buf_span(&full));
    if (hf_jget(process, "capabilities"))
        add_caps(out, process);
    hf_fact_addz(out, "privileged", looks_privileged(root) ? "1" : "0");
    hf_fact_addz(out, "readonly", hf_jis_true(hf_jget(hf_jget(root, "root"), "readonly")) ? "1" : "0");
    hf_fact_addz(out, "no_new_privileges", hf_jis_true(hf_jget(process, "noNewPrivileges")) ? "1" : "0");
    hf_fact_addz(out, "seccomp", hf_jis_object(hf_jget(linux_, "seccomp")) ? "profile" : "unconfined");
    hf_fact_add(out, "apparmor", hf_jgetstr(process, "apparmorProfile"));
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
    hf_fact_add(out, "name", name);
    hf_fact_add(out, "image", image);
    hf_fact_add(out, "image_id", hf_jgetstr(root, "Image"));
    size_t at = hf_span_rfind(image, '@');
    if (at != SIZE_MAX)
        hf_fact_add(out, "image_digest", hf_span_from(image, at + 1));
    b->has_digest |= at != SIZE_MAX;
    unsigned labels = 0;
    HF_JFOREACH(l, hf_jget(config, "Labels"))
    {
        struct hf_span key = hf_jname(l);
        if (hf_span_eqz(key, "io.kubernetes.pod.name"))
            hf_fact_add(out, "pod_name", hf_jstr(l));
        else if (hf_span_eqz(key, "io.kubernetes.pod.namespace"))
            hf_fact_add(out, "pod_namespace", hf_jstr(l));
        else if (hf_span_eqz(key, "io.kubernetes.container.name"))
            hf_fact_add(out, "k8s_container", hf_jstr(l));
        else if (++labels <= HF_LABELS_MAX)
            hf_fact_label(out, key, hf_jstr(l));
    }
    if (name.n)
        b->name_from = "docker-state";
    if (image.n)
        b->image_from = "docker-state";
    b->has_name |= name.n > 0;
    b->has_image |= image.n > 0;
    return 0;
}

/* ---- where they are ---- */

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
static bool by_maker(struct hf_bundle *b, uint32_t pid, struct hf_span known)
{
    char path[64];
    hf_autobuf args = HF_BUF_INIT(65536);
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    if (!pid || (!known.n && hf_read_file(path, &args, &ignored) < 0))
        return false;
    struct hf_span rest = known.n ? known : hf_buf_span(&args), word;
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
    for (size_t j = 0; r && j < r->n_stores; j++) {
        snprintf(b->dir, sizeof b->dir, "%s/%s/userdata", r->store[j], id);
        if (has_config(b->dir))
            return true;
    }
    b->dir[0] = 0;
    return false;
}

/* docker keeps the name in its data root, which the root file system's path shows: DATA/overlay2/X/merged. */
static int docker_facts(const struct hf_bundle_roots *r, struct hf_bundle *b, const char *id, struct hf_span rootfs, struct hf_buf *out, struct hf_err *err)
{
    static const char *const drivers[] = {"overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs", "rootfs/overlayfs"};
    char root[2048], path[4096], middle[64];
    for (size_t i = 0; i <= HF_ARRAY_LEN(drivers); i++) {
        bool usual = i == HF_ARRAY_LEN(drivers); /* elsewhere: the usual place */
        snprintf(middle, sizeof middle, "/%s/", usual ? "" : drivers[i]);
        size_t at = usual ? 0 : hf_span_search(rootfs, hf_span_z(middle));
        if (at == SIZE_MAX || at >= sizeof root)
            continue;
        if (usual)
            snprintf(root, sizeof root, "%s/var/lib/docker", r && r->prefix ? r->prefix : "");
        else
            snprintf(root, sizeof root, "%.*s", (int)at, rootfs.p);
        hf_autobuf json = HF_BUF_INIT(CONFIG_MAX);
        snprintf(path, sizeof path, "%s/containers/%s/config.v2.json", root, id);
        int rc = hf_store_read(path, &json, err);
        if (rc > 0)
            rc = hf_bundle_docker(hf_buf_span(&json), b, out, err);
        else if (rc == 0)
            continue;
        if (rc == 0 && !usual)
            rc = hf_store_docker_image(root, drivers[i], b, out, err);
        return HF_MIN(rc, 0);
    }
    return 0;
}

/* containerd's own store: the bundle's link "work" leads to ROOT/io.containerd.runtime.v2.task/NAMESPACE/ID. */
static int containerd_facts(struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    char path[4200], work[4096];
    snprintf(path, sizeof path, "%s/work", b->dir);
    ssize_t n = readlink(path, work, sizeof work - 1);
    struct hf_span rest = hf_span(work, n > 0 ? (size_t)n : 0);
    size_t at = hf_span_search(rest, HF_S("/io.containerd.runtime.v2.task/"));
    if (at == SIZE_MAX || rest.p[0] != '/')
        return 0;
    work[n] = work[at] = 0;
    struct hf_span ns = hf_span_from(rest, at + 31);
    ns = hf_span_sub(ns, 0, HF_MIN(hf_span_find(ns, '/'), ns.n));
    if (hf_span_eqz(ns, "moby"))
        return 0; /* docker keeps nothing there */
    return hf_store_containerd(work, ns, b, out, err);
}

/* podman: the bundle is STORE/DRIVER-containers/ID/userdata.  CRI-O: the same below its folder for what runs, and the root file system's path shows the
 * store: STORE/overlay/LAYER/merged, STORE/vfs/dir/LAYER. */
static int storage_facts(struct hf_bundle *b, struct hf_span rootfs, struct hf_buf *out, struct hf_err *err)
{
    char dir[4096], other[4096];
    struct hf_span at = hf_span_dirname(hf_span_dirname(hf_span_z(b->dir)));
    if (!hf_span_ends(hf_span_z(b->dir), HF_S("/userdata")) || !hf_span_ends(at, HF_S("-containers")))
        return 0;
    snprintf(dir, sizeof dir, "%.*s", (int)at.n, at.p);
    int rc = hf_store_containers(dir, b, out, err);
    struct hf_span store = hf_span_dirname(hf_span_dirname(hf_span_dirname(rootfs))), list = hf_span_basename(at);
    if (rc == 0 && store.n && store.n + list.n + 2 < sizeof other && rootfs.p[0] == '/') {
        snprintf(other, sizeof other, "%.*s/%.*s", HF_SPAN_ARG(store), HF_SPAN_ARG(list));
        rc = strcmp(other, dir) ? hf_store_containers(other, b, out, err) : 0;
    }
    if (rc < 0 || !b->runtime || strcmp(b->runtime, "podman"))
        return rc;
    at = hf_span_dirname(at);
    snprintf(dir, sizeof dir, "%.*s/libpod/bolt_state.db", (int)HF_MIN(at.n, sizeof dir - 32), at.p);
    return hf_store_libpod(dir, b, out, err);
}

static const char *runtime_of(const struct hf_bundle *b)
{
    if (strstr(b->dir, "/moby/"))
        return "docker";
    if (strstr(b->dir, "-containers/"))
        return b->runtime ? b->runtime : "podman";
    if (strstr(b->dir, "io.containerd.runtime"))
        return "containerd";
    return b->runtime ? b->runtime : "runc";
}

/* What the bundle leaves open, from its runtime's own files. */
static int from_store(const struct hf_bundle_roots *r, struct hf_bundle *b, const char *id, struct hf_span rootfs, struct hf_buf *out, struct hf_err *err)
{
    hf_autobuf copy = HF_BUF_INIT(HF_FACT_BYTES); /* rootfs lies in out, which may move */
    int rc = 0;
    hf_buf_adds(&copy, rootfs);
    if (!b->has_name || !b->has_image || !b->has_digest)
        rc = containerd_facts(b, out, err);
    if (rc >= 0 && (!b->has_name || !b->has_image || !b->has_digest))
        rc = storage_facts(b, hf_buf_span(&copy), out, err);
    if (rc >= 0 && !b->has_name)
        rc = docker_facts(r, b, id, hf_buf_span(&copy), out, err);
    return rc;
}

/* containerd: in the bundle; podman: conmon's, beside the bundle or in the same place below the folder for what runs. */
static void add_init_pid(const struct hf_bundle_roots *r, struct hf_bundle *b, const char *id, struct hf_buf *out)
{
    static const char *const names[] = {"init.pid", "pidfile", NULL};
    struct hf_err ignored = HF_ERR_INIT;
    char path[4400];
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++) {
        hf_autobuf text = HF_BUF_INIT(64);
        struct hf_span store = hf_span_basename(hf_span_dirname(hf_span_dirname(hf_span_z(b->dir))));
        if (names[i])
            snprintf(path, sizeof path, "%s/%s", b->dir, names[i]);
        else
            snprintf(path, sizeof path, "%s/run/containers/storage/%.*s/%s/userdata/pidfile", r && r->prefix ? r->prefix : "", HF_SPAN_ARG(store), id);
        if (hf_store_read(path, &text, &ignored) > 0) {
            hf_fact_add(out, "init_pid", hf_span_trim(hf_buf_span(&text)));
            return;
        }
    }
}

int hf_bundle_facts(const struct hf_bundle_roots *r, struct hf_bundle *b, uint32_t maker_pid, struct hf_span maker_args, struct hf_buf *out, struct hf_err *err)
{
    char id[160], path[4200];
    if (!usable_id(b->id))
        return 0;
    snprintf(id, sizeof id, "%.*s", (int)b->id.n, b->id.p);
    if (!b->dir[0] && !by_maker(b, maker_pid, maker_args) && !by_place(r, b, id))
        return 0;
    hf_autobuf json = HF_BUF_INIT(CONFIG_MAX);
    snprintf(path, sizeof path, "%s/config.json", b->dir);
    int rc = hf_store_read(path, &json, err);
    if (rc <= 0) {
        b->dir[0] = 0;
        return rc;
    }
    struct hf_span rootfs = {NULL, 0};
    rc = hf_bundle_config(hf_buf_span(&json), b, out, &rootfs, err);
    if (rc < 0) {
        b->dir[0] = 0; /* half-written: again later */
        return rc;
    }
    rc = from_store(r, b, id, rootfs, out, err);
    if (rc < 0)
        return rc;
    hf_fact_addz(out, "runtime", runtime_of(b));
    if (!b->has_name && !hf_fact_is_number(b->id)) { /* "ctr run IMAGE web", "runc run web" */
        hf_fact_add(out, "name", b->id);
        b->has_name = true;
        b->name_from = "id";
    }
    add_init_pid(r, b, id, out);
    return 1;
}

/* ---- running daemons ---- */

/* list: max places of `size` bytes each. */
static void note(struct hf_bundle_roots *r, char *list, size_t size, size_t max, size_t *n, struct hf_span dir)
{
    if (!dir.n || dir.p[0] != '/' || dir.n >= size)
        return;
    for (size_t i = 0; i < *n; i++)
        if (hf_span_eqz(dir, list + i * size))
            return;
    if (*n < max)
        snprintf(list + (*n)++ * size, size, "%.*s", (int)dir.n, dir.p);
    else
        r->left_out++;
}

#define NOTE(list, n, dir) note(r, (list)[0], sizeof(list)[0], HF_ARRAY_LEN(list), n, dir)

static void note_root(struct hf_bundle_roots *r, struct hf_span dir)
{
    NOTE(r->exec_root, &r->n, dir);
}

/* A shim runs in the bundle of the container, or of the pod's first one. */
static void scan_shim(struct hf_bundle_roots *r, const char *pid)
{
    char path[300], dir[4096];
    snprintf(path, sizeof path, "/proc/%s/cwd", pid);
    ssize_t n = readlink(path, dir, sizeof dir);
    struct hf_span at = hf_span(dir, n > 0 ? (size_t)n : 0);
    size_t tail = hf_span_search(at, HF_S("/io.containerd.runtime.v2.task/"));
    if (tail == SIZE_MAX)
        return;
    at = hf_span_sub(at, 0, tail);
    if (hf_span_ends(at, HF_S("/containerd/daemon"))) /* dockerd's own: below its --exec-root */
        at = hf_span_sub(at, 0, at.n - 18);
    note_root(r, at);
}

/* "conmon ... -b STORE/overlay-containers/ID/userdata ..." */
static void scan_conmon(struct hf_bundle_roots *r, struct hf_span args)
{
    struct hf_span word;
    bool next = false;
    while (hf_span_cut(&args, 0, &word)) {
        struct hf_span store = hf_span_dirname(hf_span_dirname(word));
        if (next && hf_span_ends(word, HF_S("/userdata")) && hf_span_ends(store, HF_S("-containers")))
            NOTE(r->store, &r->n_stores, store);
        next = hf_span_eqz(word, "-b") || hf_span_eqz(word, "--bundle");
    }
}

static void scan_daemon_args(struct hf_bundle_roots *r, struct hf_span rest)
{
    static const char *const options[] = {"--exec-root", "--state"};
    struct hf_span word;
    bool next = false;
    while (hf_span_cut(&rest, 0, &word)) {
        size_t unix_ = hf_span_search(word, HF_S("unix:///")); /* "-H unix:///x", "--host=unix:///x" */
        if (unix_ != SIZE_MAX)
            NOTE(r->socket, &r->n_sockets, hf_span_from(word, unix_ + 7));
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

static bool same_namespace(const char *pid, const char *kind)
{
    char path[300], theirs[64], ours[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
    ssize_t n = readlink(path, ours, sizeof ours);
    snprintf(path, sizeof path, "/proc/%s/ns/%s", pid, kind);
    return n > 0 && readlink(path, theirs, sizeof theirs) == n && !memcmp(ours, theirs, (size_t)n);
}

/* Any process may have a daemon's name.  One in a container would have its folders and sockets believed for those of the host, and could
 * tell who others are: it is passed over. */
static bool is_of_host(const char *pid)
{
    char path[300];
    hf_autobuf text = HF_BUF_INIT(65536);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_cgroup_id id;
    struct hf_span line, part;
    snprintf(path, sizeof path, "/proc/%s/cgroup", pid);
    if (!same_namespace(pid, "pid") || !same_namespace(pid, "user") || hf_read_file(path, &text, &ignored) < 0)
        return false;
    for (struct hf_span rest = hf_buf_span(&text); hf_span_line(&rest, &line);) /* cgroups(7): "number:controllers:path" */
        if (hf_span_cut(&line, ':', &part) && hf_span_cut(&line, ':', &part) && hf_cgroup_path_parse(line, &id))
            return false;
    return true;
}

static void scan_daemon(struct hf_bundle_roots *r, const char *pid)
{
    char path[300];
    hf_autobuf text = HF_BUF_INIT(65536);
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    if (hf_read_file(path, &text, &ignored) < 0)
        return;
    struct hf_span comm = hf_span_trim(hf_buf_span(&text));
    bool daemon_ = hf_span_eqz(comm, "dockerd") || hf_span_eqz(comm, "containerd"), conmon = hf_span_eqz(comm, "conmon"), shim = hf_span_eqz(comm, "containerd-shim");
    if (!(daemon_ || conmon || shim) || !is_of_host(pid))
        return;
    if (shim) {
        scan_shim(r, pid);
        return;
    }
    hf_buf_clear(&text);
    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    if (hf_read_file(path, &text, &ignored) < 0)
        return;
    if (conmon)
        scan_conmon(r, hf_buf_span(&text));
    else
        scan_daemon_args(r, hf_buf_span(&text));
}

void hf_bundle_roots_scan(struct hf_bundle_roots *r)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    r->n = r->n_stores = r->n_sockets = r->left_out = 0; /* daemons end, too; shims tell of what goes on without theirs */
    for (struct dirent *d; (d = readdir(proc));)
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
            scan_daemon(r, d->d_name);
    closedir(proc);
}
