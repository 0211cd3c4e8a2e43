// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/stores.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/json.h"
#include "formats/boltdb/boltdb.h"
#include "sensor/containers/facts.h"

#define LIST_MAX (8u << 20)    /* bytes of a list of all containers or images */
#define LIST_MEMORY (64u << 20)
#define LIBPOD_MAX (1u << 20)  /* bytes of libpod's configuration of a container */

int hf_store_read(const char *path, struct hf_buf *out, struct hf_err *err)
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

static void set_name(struct hf_bundle *b, struct hf_buf *out, struct hf_span name, const char *from)
{
    if (b->has_name || !name.n)
        return;
    hf_fact_add(out, "name", name);
    b->has_name = true;
    b->name_from = from;
}

static void set_image(struct hf_bundle *b, struct hf_buf *out, struct hf_span image, const char *from)
{
    if (b->has_image || !image.n)
        return;
    hf_fact_add(out, "image", image);
    b->has_image = true;
    b->image_from = from;
}

static void set_digest(struct hf_bundle *b, struct hf_buf *out, struct hf_span digest)
{
    if (b->has_digest || !digest.n)
        return;
    hf_fact_add(out, "image_digest", digest);
    b->has_digest = true;
}

/* ---- containerd ---- */

struct labels {
    struct hf_buf *out;
    size_t before;
    unsigned n;
    struct hf_bundle *b;
};

static void restart(void *ctx)
{
    struct labels *l = ctx;
    l->out->n = l->before;
    l->n = 0;
}

static void label(void *ctx, struct hf_span key, struct hf_span value)
{
    static const char *const internal[] = {"io.containerd.", "containerd.io/", "io.cri-containerd.", "io.kubernetes.", "nerdctl/"};
    struct labels *l = ctx;
    if (hf_span_eqz(key, "nerdctl/name"))
        set_name(l->b, l->out, value, "containerd-store");
    for (size_t i = 0; i < HF_ARRAY_LEN(internal); i++)
        if (hf_span_starts(key, hf_span_z(internal[i])))
            return;
    if (++l->n <= HF_LABELS_MAX)
        hf_fact_label(l->out, key, value);
}

int hf_store_containerd_db(struct hf_bolt *db, struct hf_span ns, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    static const char from[] = "containerd-store";
    hf_autobuf text = HF_BUF_INIT(HF_FACT_BYTES);
    const struct hf_span image[] = {HF_S("v1"), ns, HF_S("containers"), b->id, HF_S("image")};
    int rc = hf_bolt_get(db, image, HF_ARRAY_LEN(image), &text, err);
    if (rc <= 0)
        return rc;
    if (!hf_fact_is_number(b->id))
        set_name(b, out, b->id, from); /* whoever made it chose it */
    if (!hf_span_starts(hf_buf_span(&text), HF_S("sha256:")))
        set_image(b, out, hf_buf_span(&text), from);
    const struct hf_span labels[] = {HF_S("v1"), ns, HF_S("containers"), b->id, HF_S("labels")};
    struct labels l = {.out = out, .before = out->n, .b = b};
    rc = hf_bolt_each(db, labels, HF_ARRAY_LEN(labels), label, restart, &l, err);
    if (rc < 0)
        return rc;
    hf_autobuf reference = HF_BUF_INIT(HF_FACT_BYTES); /* out may move */
    hf_buf_adds(&reference, hf_fact_get(hf_buf_span(out), "image"));
    const struct hf_span digest[] = {HF_S("v1"), ns, HF_S("images"), hf_buf_span(&reference), HF_S("target"), HF_S("digest")};
    hf_buf_clear(&text);
    rc = reference.n ? hf_bolt_get(db, digest, HF_ARRAY_LEN(digest), &text, err) : 0;
    if (rc > 0)
        set_digest(b, out, hf_buf_span(&text));
    return rc < 0 ? rc : 1;
}

int hf_store_containerd(const char *root, struct hf_span ns, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    char path[4300];
    hf_cleanup(hf_bolt_freep) struct hf_bolt *db = NULL;
    snprintf(path, sizeof path, "%s/io.containerd.metadata.v1.bolt/meta.db", root);
    int rc = hf_bolt_open(&db, path, err);
    if (rc > 0)
        rc = hf_store_containerd_db(db, ns, b, out, err);
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : rc;
}

/* ---- containers/storage: podman, CRI-O ---- */

/* The member "metadata" is a JSON text of its own: {"pod-name", "image-name", "image-id", "name", "metadata-name", ...}. */
static void metadata(struct hf_span text, struct hf_bundle *b, struct hf_buf *out)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (!text.n || hf_json_parse_within(text, LIST_MEMORY, &doc, &ignored) < 0)
        return;
    hf_jnode root = hf_json_root(doc);
    set_name(b, out, hf_jgetstr(root, "name"), "containers-storage");
    set_image(b, out, hf_jgetstr(root, "image-name"), "containers-storage");
}

int hf_store_containers_json(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse_within(json, LIST_MEMORY, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "containers.json");
    HF_JFOREACH(c, hf_json_root(doc))
    {
        if (!hf_span_eq(hf_jgetstr(c, "id"), b->id))
            continue;
        set_name(b, out, hf_jstr(hf_jfirst(hf_jget(c, "names"))), "containers-storage");
        if (!hf_fact_get(hf_buf_span(out), "image_id").n)
            hf_fact_add(out, "image_id", hf_jgetstr(c, "image"));
        metadata(hf_jgetstr(c, "metadata"), b, out);
        return 1;
    }
    return 0;
}

int hf_store_images_json(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_autobuf id = HF_BUF_INIT(HF_FACT_BYTES);
    hf_buf_adds(&id, hf_fact_get(hf_buf_span(out), "image_id"));
    if (!id.n)
        return 0;
    int rc = hf_json_parse_within(json, LIST_MEMORY, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "images.json");
    HF_JFOREACH(i, hf_json_root(doc))
    {
        if (!hf_span_eq(hf_jgetstr(i, "id"), hf_buf_span(&id)))
            continue;
        set_image(b, out, hf_jstr(hf_jfirst(hf_jget(i, "names"))), "containers-storage");
        set_digest(b, out, hf_jgetstr(i, "digest"));
        return 1;
    }
    return 0;
}

/* libpod's own database (podman 4): what its annotations leave out, labels and the pod's name. */
int hf_store_libpod_db(struct hf_bolt *db, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *config = NULL, *pod = NULL;
    hf_autobuf text = HF_BUF_INIT(LIBPOD_MAX);
    const struct hf_span own[] = {HF_S("ctr"), b->id, HF_S("config")};
    int rc = hf_bolt_get(db, own, HF_ARRAY_LEN(own), &text, err);
    if (rc <= 0 || (rc = hf_json_parse_within(hf_buf_span(&text), LIST_MEMORY, &config, err)) < 0)
        return rc;
    hf_jnode root = hf_json_root(config);
    unsigned n = 0;
    set_name(b, out, hf_jgetstr(root, "name"), "libpod-store");
    HF_JFOREACH(l, hf_jget(root, "labels"))
        if (++n <= HF_LABELS_MAX)
            hf_fact_label(out, hf_jname(l), hf_jstr(l));
    if (hf_jis_true(hf_jget(root, "pause"))) /* libpod's word for what it calls an infra container elsewhere */
        hf_fact_addz(out, "kind", "sandbox");
    const struct hf_span its[] = {HF_S("pod"), hf_jgetstr(root, "pod"), HF_S("config")};
    if (!its[1].n)
        return 1;
    hf_buf_clear(&text);
    rc = hf_bolt_get(db, its, HF_ARRAY_LEN(its), &text, err);
    if (rc > 0 && (rc = hf_json_parse_within(hf_buf_span(&text), LIST_MEMORY, &pod, err)) == 0)
        hf_fact_add(out, "pod_name", hf_jgetstr(hf_json_root(pod), "name"));
    return rc < 0 ? rc : 1;
}

int hf_store_libpod(const char *path, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_bolt_freep) struct hf_bolt *db = NULL;
    int rc = hf_bolt_open(&db, path, err);
    if (rc > 0)
        rc = hf_store_libpod_db(db, b, out, err);
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : rc;
}

int hf_store_containers(const char *dir, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    /* The second has those that need not survive a crash of the machine: all of CRI-O's. */
    static const char *const lists[] = {"containers.json", "volatile-containers.json"};
    char path[4300];
    hf_autobuf json = HF_BUF_INIT(LIST_MAX);
    int rc = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(lists) && rc == 0; i++) {
        hf_buf_clear(&json);
        snprintf(path, sizeof path, "%s/%s", dir, lists[i]);
        rc = hf_store_read(path, &json, err);
        if (rc > 0)
            rc = hf_store_containers_json(hf_buf_span(&json), b, out, err);
    }
    size_t n = strlen(dir);
    if (rc < 0 || (b->has_image && b->has_digest) || n < 11)
        return rc;
    hf_buf_clear(&json);
    snprintf(path, sizeof path, "%.*s-images/images.json", (int)(n - 11), dir); /* DRIVER-containers */
    int more = hf_store_read(path, &json, err);
    if (more > 0)
        more = hf_store_images_json(hf_buf_span(&json), b, out, err); /* of the image whose id the bundle or a list above told */
    return more < 0 ? more : HF_MAX(rc, more);
}

/* ---- docker ---- */

/* {"Repositories": {"NAME": {"NAME:TAG": "sha256:ID", "NAME@sha256:DIGEST": "sha256:ID"}}} */
int hf_store_repositories_json(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_autobuf id = HF_BUF_INIT(HF_FACT_BYTES), image = HF_BUF_INIT(HF_FACT_BYTES);
    hf_buf_adds(&id, hf_fact_get(hf_buf_span(out), "image_id"));
    hf_buf_adds(&image, hf_fact_get(hf_buf_span(out), "image"));
    if (b->has_digest || !id.n)
        return 0;
    int rc = hf_json_parse_within(json, LIST_MEMORY, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "repositories.json");
    struct hf_span found = {NULL, 0};
    HF_JFOREACH(repository, hf_jget(hf_json_root(doc), "Repositories"))
    {
        struct hf_span name = hf_jname(repository);
        bool own = hf_span_starts(hf_buf_span(&image), name) && (image.n == name.n || image.p[name.n] == ':');
        HF_JFOREACH(entry, repository)
        {
            size_t at = hf_span_rfind(hf_jname(entry), '@');
            if (at != SIZE_MAX && hf_span_eq(hf_jstr(entry), hf_buf_span(&id)) && (own || !found.n))
                found = hf_span_from(hf_jname(entry), at + 1);
        }
    }
    set_digest(b, out, found);
    return found.n > 0;
}

int hf_store_docker_image(const char *data_root, const char *driver, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    char path[4300];
    hf_autobuf json = HF_BUF_INIT(LIST_MAX);
    snprintf(path, sizeof path, "%s/image/%s/repositories.json", data_root, driver);
    int rc = hf_store_read(path, &json, err);
    return rc > 0 ? hf_store_repositories_json(hf_buf_span(&json), b, out, err) : rc;
}
