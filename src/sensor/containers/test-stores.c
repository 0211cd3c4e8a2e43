// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/stores.h"

#include "base/fs.h"
#include "sensor/containers/facts.h"
#include "tap.h"

#include <sys/stat.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
/* As containers/storage 1.43 (podman 4.3) writes them, cut to what is read and some that is not. */
#define CONTAINERS                                                                                                                                       \
    "[{\"id\":\"" ID "\",\"names\":[\"basket\"],\"image\":\"11aa\",\"layer\":\"22\",\"metadata\":\"{\\\"image-name\\\":\\\"localhost/box:1\\\",\\\"image-id\\\":\\\"11aa\\\"," \
    "\\\"name\\\":\\\"other\\\",\\\"created-at\\\":1}\",\"created\":\"2026-01-01T00:00:00Z\",\"flags\":{\"MountLabel\":\"\"}},{\"id\":\"ff\",\"names\":[\"x\"]}]"
#define IMAGES "[{\"id\":\"0\",\"digest\":\"sha256:00\"},{\"id\":\"11aa\",\"digest\":\"sha256:dd\",\"names\":[\"localhost/box:1\"],\"layer\":\"22\"}]"

static void lists(void)
{
    struct hf_bundle b = {.id = HF_S(ID)};
    hf_autobuf out = HF_BUF_INIT(4096);
    struct hf_err err = HF_ERR_INIT;
    EQ_I(hf_store_containers_json(HF_S(CONTAINERS), &b, &out, &err), 1);
    EQ_I(hf_store_images_json(HF_S(IMAGES), &b, &out, &err), 1);
    struct hf_span all = hf_buf_span(&out);
    EQ_S(hf_fact_get(all, "name"), "basket");
    EQ_S(hf_fact_get(all, "image"), "localhost/box:1");
    EQ_S(hf_fact_get(all, "image_id"), "11aa");
    EQ_S(hf_fact_get(all, "image_digest"), "sha256:dd");
    OK(b.has_name && b.has_image && b.has_digest && !strcmp(b.name_from, "containers-storage") && !strcmp(b.image_from, "containers-storage"));
    struct hf_bundle known = {.id = HF_S(ID), .has_name = true, .has_image = true};
    hf_buf_clear(&out);
    EQ_I(hf_store_containers_json(HF_S(CONTAINERS), &known, &out, &err), 1); /* what is known stays */
    EQ_U(hf_fact_get(hf_buf_span(&out), "name").n, 0);
    struct hf_bundle none = {.id = HF_S("aa")};
    EQ_I(hf_store_containers_json(HF_S(CONTAINERS), &none, &out, &err), 0);
}

static void docker(void)
{
    static const char json[] = "{\"Repositories\":{\"box\":{\"box:1\":\"sha256:aa\",\"box:2\":\"sha256:bb\"},\"nginx\":{\"nginx:1\":\"sha256:cc\",\"nginx@sha256:d1\":\"sha256:cc\"},"
                               "\"mirror/nginx\":{\"mirror/nginx:1\":\"sha256:cc\",\"mirror/nginx@sha256:d2\":\"sha256:cc\"}}}";
    static const struct {
        const char *image, *id, *digest;
    } cases[] = {{"nginx:1", "sha256:cc", "sha256:d1"}, {"mirror/nginx:1", "sha256:cc", "sha256:d2"}, {"mirror/nginx", "sha256:cc", "sha256:d2"}, {"sha256:cc", "sha256:cc", "sha256:d1"},
            {"box:1", "sha256:aa", ""}, {"nginx:1", "sha256:ee", ""}};
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_bundle b = {.id = HF_S(ID)};
        hf_autobuf out = HF_BUF_INIT(4096);
        hf_fact_addz(&out, "image", cases[i].image);
        hf_fact_addz(&out, "image_id", cases[i].id);
        EQ_I(hf_store_repositories_json(hf_span_z(json), &b, &out, NULL), cases[i].digest[0] != 0);
        EQ_S(hf_fact_get(hf_buf_span(&out), "image_digest"), cases[i].digest);
    }
}

static void hostile(void)
{
    static const char *const texts[] = {"", "{", "[]", "{}", "null", "[1,null,{}]", "[{\"id\":3}]", "{\"Repositories\":[{\"a\":1}]}", "{\"Repositories\":{\"a\":\"b@c\",\"d\":{\"e\":{}}}}",
            ("[{\"id\":\"" ID "\",\"names\":{},\"metadata\":\"{\"}]"), ("[{\"id\":\"" ID "\",\"names\":[\"a\\u0000b\"],\"metadata\":\"[1]\"}]")};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
        struct hf_bundle b = {.id = HF_S(ID)};
        struct hf_err err = HF_ERR_INIT;
        hf_autobuf out = HF_BUF_INIT(4096);
        hf_fact_addz(&out, "image_id", "x");
        int rc = hf_store_containers_json(hf_span_z(texts[i]), &b, &out, &err);
        OK(rc >= 0 || err.msg[0]);
        rc = hf_store_images_json(hf_span_z(texts[i]), &b, &out, &err);
        OK(rc >= 0 || err.msg[0]);
        rc = hf_store_repositories_json(hf_span_z(texts[i]), &b, &out, &err);
        OK(rc >= 0 || err.msg[0]);
    }
}

/* A whole store on the disk, read through hf_bundle_facts: the bundle's place leads to it. */
static void on_disk(void)
{
    char base[] = "/tmp/hf-stores-XXXXXX", dir[512], path[600];
    struct hf_err err = HF_ERR_INIT;
    if (!mkdtemp(base)) {
        OK(!"a folder for the test");
        return;
    }
    const struct {
        const char *dir, *name, *text;
    } files[] = {
            {"overlay-containers/" ID "/userdata", "config.json", "{\"process\":{\"args\":[\"sleep\"]},\"annotations\":{\"io.container.manager\":\"libpod\",\"org.opencontainers.image.ref.name\":\"1\"}}"},
            {"overlay-containers/" ID "/userdata", "pidfile", "321\n"},
            {"overlay-containers", "containers.json", CONTAINERS},
            {"overlay-images", "images.json", IMAGES},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(files); i++) {
        snprintf(dir, sizeof dir, "%s/%s", base, files[i].dir);
        snprintf(path, sizeof path, "%s/%s", dir, files[i].name);
        OK(hf_mkdirs(dir, 0755, &err) >= 0 && hf_write_file(path, 0644, hf_span_z(files[i].text), &err) == 0);
    }
    struct hf_bundle b = {.id = HF_S(ID)};
    struct hf_bundle_roots roots = {.prefix = "/no/such/root", .n_stores = 1};
    snprintf(roots.store[0], sizeof roots.store[0], "%s/overlay-containers", base);
    hf_autobuf out = HF_BUF_INIT(65536);
    EQ_I(hf_bundle_facts(&roots, &b, 0, HF_S(""), &out, &err), 1);
    struct hf_span all = hf_buf_span(&out);
    EQ_S(hf_fact_get(all, "name"), "basket");
    EQ_S(hf_fact_get(all, "image"), "localhost/box:1"); /* the annotation names no image, only a tag */
    EQ_S(hf_fact_get(all, "image_digest"), "sha256:dd");
    EQ_S(hf_fact_get(all, "runtime"), "podman");
    EQ_S(hf_fact_get(all, "init_pid"), "321");
    for (size_t i = HF_ARRAY_LEN(files); i-- > 0;) {
        snprintf(path, sizeof path, "%s/%s/%s", base, files[i].dir, files[i].name);
        unlink(path);
    }
    static const char *const folders[] = {("/overlay-containers/" ID "/userdata"), ("/overlay-containers/" ID), "/overlay-containers", "/overlay-images", ""};
    for (size_t i = 0; i < HF_ARRAY_LEN(folders); i++) {
        snprintf(path, sizeof path, "%s%s", base, folders[i]);
        rmdir(path);
    }
}

/* CRI-O: the bundle lies below its folder for what runs, the container in the list of those that need not survive a crash, the store where the root file system is mounted. */
static void crio(void)
{
    char base[] = "/tmp/hf-stores-XXXXXX", dir[512], path[600];
    struct hf_err err = HF_ERR_INIT;
    if (!mkdtemp(base)) {
        OK(!"a folder for the test");
        return;
    }
    static const struct {
        const char *rootfs, *annotation, *list;
        bool found;
    } cases[] = {
            {"/root/overlay/22/merged", "", CONTAINERS, true},
            {"/root/vfs/dir/22", "", CONTAINERS, true},
            {"/root/overlay/22/merged", ",\"io.kubernetes.cri-o.ImageRef\":\"11aa\"", "[]", true}, /* the image's id is enough */
            {"/elsewhere", "", CONTAINERS, false},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        hf_autobuf config = HF_BUF_INIT(4096), out = HF_BUF_INIT(65536);
        hf_buf_addf(&config, "{\"root\":{\"path\":\"%s%s\"},\"annotations\":{\"io.container.manager\":\"cri-o\",\"io.kubernetes.cri-o.Name\":\"k8s_db\"%s}}", base, cases[i].rootfs, cases[i].annotation);
        hf_buf_addc(&config, 0);
        const struct {
            const char *dir, *name, *text;
        } files[] = {
                {"run/overlay-containers/" ID "/userdata", "config.json", hf_buf_z(&config)},
                {"root/overlay-containers", "containers.json", "[]"},
                {"root/overlay-containers", "volatile-containers.json", cases[i].list},
                {"root/overlay-images", "images.json", IMAGES},
        };
        for (size_t j = 0; j < HF_ARRAY_LEN(files); j++) {
            snprintf(dir, sizeof dir, "%s/%s", base, files[j].dir);
            snprintf(path, sizeof path, "%s/%s", dir, files[j].name);
            OK(hf_mkdirs(dir, 0755, &err) >= 0 && hf_write_file(path, 0644, hf_span_z(files[j].text), &err) == 0);
        }
        struct hf_bundle b = {.id = HF_S(ID), .runtime = "cri-o"};
        struct hf_bundle_roots roots = {.prefix = "/no/such/root", .n_stores = 1};
        snprintf(roots.store[0], sizeof roots.store[0], "%s/run/overlay-containers", base);
        EQ_I(hf_bundle_facts(&roots, &b, 0, HF_S(""), &out, &err), 1);
        struct hf_span all = hf_buf_span(&out);
        EQ_S(hf_fact_get(all, "name"), "k8s_db");
        EQ_S(hf_fact_get(all, "runtime"), "cri-o");
        EQ_S(hf_fact_get(all, "image"), cases[i].found ? "localhost/box:1" : "");
        EQ_S(hf_fact_get(all, "image_id"), cases[i].found ? "11aa" : "");
        EQ_S(hf_fact_get(all, "image_digest"), cases[i].found ? "sha256:dd" : "");
        for (size_t j = 0; j < HF_ARRAY_LEN(files); j++) {
            snprintf(path, sizeof path, "%s/%s/%s", base, files[j].dir, files[j].name);
            unlink(path);
        }
    }
    static const char *const folders[] = {("/run/overlay-containers/" ID "/userdata"), ("/run/overlay-containers/" ID), "/run/overlay-containers", "/run", "/root/overlay-containers", "/root/overlay-images",
            "/root", ""};
    for (size_t i = 0; i < HF_ARRAY_LEN(folders); i++) {
        snprintf(path, sizeof path, "%s%s", base, folders[i]);
        rmdir(path);
    }
}

int main(void)
{
    lists();
    docker();
    hostile();
    on_disk();
    crio();
    return tap_done();
}
