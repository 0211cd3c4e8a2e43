/* SPDX-License-Identifier: Apache-2.0 */
#include "sensor/containers/bundle.h"

#include <sys/stat.h>

#include "base/fs.h"
#include "event/event.h"
#include "tap.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* What dockerd 24, containerd 1.6 (CRI), CRI-O 1.27 and podman 4.3 write, cut to the members that are read and some that are not. */
#define PROCESS                                                                                                          \
    "\"process\":{\"terminal\":false,\"user\":{\"uid\":101,\"gid\":102,\"additionalGids\":[0]},\"args\":[\"nginx\",\"-g\",\"daemon off;\"]," \
    "\"env\":[\"PATH=/bin\",\"DB_PASSWORD=hunter2\"],\"cwd\":\"/\",\"noNewPrivileges\":true,"                            \
    "\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"CAP_NET_BIND_SERVICE\",\"CAP_NOT_KNOWN\"],\"effective\":[\"CAP_CHOWN\"]}}"
#define LINUX "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\"},{\"type\":\"pid\"}],\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\"}," \
              "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]}}"
#define MOUNTS "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"                          \
               "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/srv/data\",\"options\":[\"rbind\",\"ro\"]},"  \
               "{\"destination\":\"/var/run/docker.sock\",\"type\":\"bind\",\"source\":\"/run/docker.sock\",\"options\":[\"rbind\"]}]"

static struct hf_span fact(struct hf_span pairs, const char *want)
{
    struct hf_span name, value;
    while (hf_event_pair(&pairs, &name, &value))
        if (hf_span_eqz(name, want))
            return value;
    return hf_span(NULL, 0);
}

static void config(void)
{
    static const char json[] = "{\"ociVersion\":\"1.0.2\"," PROCESS ",\"root\":{\"path\":\"/var/lib/docker/overlay2/x/merged\"},\"hostname\":\"web1\"," MOUNTS "," LINUX
                               ",\"annotations\":{\"team\":\"shop\",\"api-token\":\"s3cret\"}}";
    struct hf_bundle b = {.id = HF_S(ID)};
    hf_autobuf out = HF_BUF_INIT(65536);
    struct hf_span rootfs = {NULL, 0};
    struct hf_err err = HF_ERR_INIT;
    EQ_I(hf_bundle_config(hf_span_z(json), &b, &out, &rootfs, &err), 0);
    struct hf_span all = hf_buf_span(&out);
    EQ_S(rootfs, "/var/lib/docker/overlay2/x/merged");
    EQ_S(fact(all, "command"), "nginx -g daemon off;");
    EQ_S(fact(all, "user"), "101:102");
    EQ_S(fact(all, "hostname"), "web1");
    EQ_S(fact(all, "caps"), "401");
    EQ_S(fact(all, "privileged"), "0");
    EQ_S(fact(all, "no_new_privileges"), "1");
    EQ_S(fact(all, "seccomp"), "profile");
    EQ_S(fact(all, "host_net"), "0");
    EQ_S(fact(all, "host_ipc"), "1"); /* not in the list: the host's */
    EQ_S(fact(all, "mounts"), "/srv/data:/data:rbind,ro\n/run/docker.sock:/var/run/docker.sock:rbind");
    EQ_S(fact(all, "label.team"), "shop");
    EQ_S(fact(all, "label.api-token"), "***");
    OK(hf_span_search(all, HF_S("hunter2")) == SIZE_MAX && hf_span_search(all, HF_S("s3cret")) == SIZE_MAX);
    OK(b.has_config && !b.has_name && !b.has_image);
}

static void privileged(void)
{
    hf_autobuf json = HF_BUF_INIT(65536), out = HF_BUF_INIT(65536);
    struct hf_bundle b = {.id = HF_S(ID)};
    hf_buf_addz(&json, "{\"process\":{\"args\":[\"sh\"],\"capabilities\":{\"bounding\":[");
    for (unsigned i = 0; i < 41; i++)
        hf_buf_addf(&json, "%s\"CAP_%s\"", i ? "," : "", i ? "CHOWN" : "SYS_ADMIN");
    hf_buf_addz(&json, "]}},\"linux\":{\"resources\":{\"devices\":[{\"allow\":true,\"access\":\"rwm\"}]}}}");
    EQ_I(hf_bundle_config(hf_buf_span(&json), &b, &out, NULL, NULL), 0);
    EQ_S(fact(hf_buf_span(&out), "privileged"), "1");
    EQ_S(fact(hf_buf_span(&out), "seccomp"), "unconfined");
}

static void annotations(void)
{
    static const struct {
        const char *json, *name[6], *value[6];
    } cases[] = {
            {"{\"annotations\":{\"io.kubernetes.cri.container-name\":\"api\",\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\"io.kubernetes.cri.sandbox-name\":\"api-7d9\","
             "\"io.kubernetes.cri.sandbox-uid\":\"u-1\",\"io.kubernetes.cri.image-name\":\"reg/api:2\",\"io.kubernetes.cri.sandbox-id\":\"abc\"}}",
                    {"k8s_container", "pod_namespace", "pod_name", "pod_uid", "image", NULL}, {"api", "shop", "api-7d9", "u-1", "reg/api:2", NULL}},
            {"{\"annotations\":{\"io.kubernetes.container.name\":\"db\",\"io.kubernetes.pod.name\":\"db-0\",\"io.kubernetes.pod.namespace\":\"data\","
             "\"io.kubernetes.cri-o.ImageName\":\"quay.io/pg:16\",\"io.kubernetes.cri-o.Name\":\"k8s_db_db-0\"}}",
                    {"k8s_container", "pod_name", "pod_namespace", "image", "name", NULL}, {"db", "db-0", "data", "quay.io/pg:16", "db", NULL}},
            {"{\"annotations\":{\"io.kubernetes.cri-o.Labels\":\"{\\\"io.kubernetes.container.name\\\":\\\"db\\\",\\\"io.kubernetes.pod.name\\\":\\\"db-0\\\",\\\"app\\\":\\\"shop\\\"}\","
             "\"io.kubernetes.cri-o.Namespace\":\"data\",\"io.kubernetes.cri-o.ContainerType\":\"container\",\"io.kubernetes.cri-o.Name\":\"k8s_db_db-0\"}}",
                    {"name", "pod_name", "pod_namespace", "label.app", NULL}, {"db", "db-0", "data", "shop", NULL}},
            {"{\"annotations\":{\"io.kubernetes.cri-o.Labels\":\"{\\\"io.kubernetes.container.name\\\":\\\"POD\\\",\\\"io.kubernetes.pod.name\\\":\\\"db-0\\\"}\","
             "\"io.kubernetes.cri-o.ContainerType\":\"sandbox\",\"io.kubernetes.cri-o.Name\":\"k8s_POD_db-0\"}}",
                    {"name", "kind", "pod_name", NULL}, {"pause", "sandbox", "db-0", NULL}},
            {"{\"annotations\":{\"io.kubernetes.cri-o.Name\":\"k8s_x\",\"io.kubernetes.cri-o.Labels\":\"{broken\"}}", {"name", NULL}, {"k8s_x", NULL}},
            {"{\"annotations\":{\"io.podman.annotations.container.name\":\"box\",\"org.opencontainers.image.ref.name\":\"alpine:3\"}}",
                    {"name", "image", NULL}, {"box", "alpine:3", NULL}},
            {"{\"annotations\":{\"nerdctl/name\":\"n1\"}}", {"name", NULL}, {"n1", NULL}},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_bundle b = {.id = HF_S(ID)};
        hf_autobuf out = HF_BUF_INIT(65536);
        EQ_I(hf_bundle_config(hf_span_z(cases[i].json), &b, &out, NULL, NULL), 0);
        for (size_t j = 0; cases[i].name[j]; j++)
            EQ_S(fact(hf_buf_span(&out), cases[i].name[j]), cases[i].value[j]);
        OK(b.has_name);
    }
}

/* A bundle as CRI-O's source says it writes it (internal/factory/container, server/sandbox_run_linux.go): Image is what was asked for, ImageName some name,
 * ImageRef the id; what pods are annotated with stands beside it, and is its author's. */
static void crio(void)
{
#define CRIO_ID "c3a1f9b2d4e5061728394a5b6c7d8e9f00112233445566778899aabbccddeeff"
#define OURS "\"io.container.manager\":\"cri-o\",\"io.kubernetes.cri-o.Name\":\"k8s_db_db-0_data_u-1_0\",\"io.kubernetes.cri-o.ContainerType\":\"container\"," \
             "\"io.kubernetes.cri-o.Labels\":\"{\\\"io.kubernetes.container.name\\\":\\\"db\\\",\\\"io.kubernetes.pod.name\\\":\\\"db-0\\\",\\\"io.kubernetes.pod.namespace\\\":\\\"data\\\"," \
             "\\\"io.kubernetes.pod.uid\\\":\\\"u-1\\\",\\\"app\\\":\\\"shop\\\"}\",\"io.kubernetes.cri-o.ImageRef\":\"" CRIO_ID "\""
#define FOREIGN ",\"io.kubernetes.cri.image-name\":\"trusted:1\",\"io.kubernetes.cri.sandbox-namespace\":\"kube-system\",\"io.kubernetes.cri.container-name\":\"etcd\"," \
                "\"io.podman.annotations.container.name\":\"etcd\",\"nerdctl/name\":\"etcd\",\"org.opencontainers.image.ref.name\":\"trusted:1\"," \
                "\"io.kubernetes.cri.container-type\":\"sandbox\",\"org.systemd.property.After\":\"['crio.service']\""
    static const struct {
        const char *image, *want_image, *want_digest;
    } cases[] = {
            {",\"io.kubernetes.cri-o.Image\":\"quay.io/pg:16\",\"io.kubernetes.cri-o.ImageName\":\"quay.io/pg:latest\"", "quay.io/pg:16", ""},
            {",\"io.kubernetes.cri-o.Image\":\"" CRIO_ID "\",\"io.kubernetes.cri-o.ImageName\":\"quay.io/pg:16\"", "quay.io/pg:16", ""},
            {",\"io.kubernetes.cri-o.Image\":\"c3a1f9b2d4e5\",\"io.kubernetes.cri-o.ImageName\":\"\"", "", ""},
            {",\"io.kubernetes.cri-o.Image\":\"sha256:" CRIO_ID "\",\"io.kubernetes.cri-o.ImageName\":\"\"", "", ""},
            {",\"io.kubernetes.cri-o.Image\":\"quay.io/pg@sha256:" ID "\",\"io.kubernetes.cri-o.ImageName\":\"quay.io/pg:16\"", "quay.io/pg:16", "sha256:" ID},
            {",\"io.kubernetes.cri-o.Image\":\"quay.io/pg@sha256:" ID "\",\"io.kubernetes.cri-o.ImageName\":\"\"", "quay.io/pg@sha256:" ID, "sha256:" ID},
            {"", "", ""},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++)
        for (unsigned path_tells = 0; path_tells < 2; path_tells++) {
            struct hf_bundle b = {.id = HF_S(ID), .runtime = path_tells ? "cri-o" : NULL};
            hf_autobuf json = HF_BUF_INIT(65536), out = HF_BUF_INIT(65536);
            hf_buf_addf(&json, "{\"annotations\":{%s%s%s}}", OURS, cases[i].image, FOREIGN);
            EQ_I(hf_bundle_config(hf_buf_span(&json), &b, &out, NULL, NULL), 0);
            struct hf_span all = hf_buf_span(&out);
            EQ_S(fact(all, "image"), cases[i].want_image);
            EQ_S(fact(all, "image_digest"), cases[i].want_digest);
            EQ_S(fact(all, "image_id"), CRIO_ID);
            OK(b.has_image == (cases[i].want_image[0] != 0) && b.has_digest == (cases[i].want_digest[0] != 0));
            EQ_S(fact(all, "name"), "db");
            EQ_S(fact(all, "k8s_container"), "db");
            EQ_S(fact(all, "pod_name"), "db-0");
            EQ_S(fact(all, "pod_namespace"), "data");
            EQ_S(fact(all, "pod_uid"), "u-1");
            EQ_S(fact(all, "label.app"), "shop");
            OK(!fact(all, "kind").n && !b.sandbox && !fact(all, "label.org.systemd.property.After").n);
            EQ_S(hf_span_z(b.runtime), "cri-o");
        }
    /* The other way round: who is not CRI-O's cannot say so where the control group tells the runtime. */
    struct hf_bundle other = {.id = HF_S(ID), .runtime = "containerd"};
    hf_autobuf out = HF_BUF_INIT(65536);
    EQ_I(hf_bundle_config(HF_S("{\"annotations\":{\"io.kubernetes.cri.image-name\":\"reg/api:2\",\"io.kubernetes.cri-o.Name\":\"k8s_x\",\"io.kubernetes.cri-o.Image\":\"trusted:1\"}}"), &other, &out, NULL, NULL), 0);
    EQ_S(fact(hf_buf_span(&out), "image"), "reg/api:2");
    EQ_S(hf_span_z(other.runtime), "containerd");
    /* A pod's own may have no ImageName. */
    struct hf_bundle pod = {.id = HF_S(ID), .runtime = "cri-o"};
    hf_buf_clear(&out);
    EQ_I(hf_bundle_config(HF_S("{\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"sandbox\",\"io.kubernetes.cri-o.Image\":\"registry.k8s.io/pause:3.9\",\"io.kubernetes.cri-o.Namespace\":\"data\","
                               "\"io.kubernetes.cri-o.KubeName\":\"db-0\",\"io.kubernetes.cri-o.Name\":\"k8s_db-0_data_u-1_0\"}}"), &pod, &out, NULL, NULL), 0);
    EQ_S(fact(hf_buf_span(&out), "image"), "registry.k8s.io/pause:3.9");
    EQ_S(fact(hf_buf_span(&out), "name"), "pause");
    EQ_S(fact(hf_buf_span(&out), "pod_name"), "db-0");
    EQ_S(fact(hf_buf_span(&out), "pod_namespace"), "data");
    OK(pod.sandbox);
}

static void docker(void)
{
    static const char json[] = "{\"ID\":\"" ID "\",\"Name\":\"/web\",\"Image\":\"sha256:aa\",\"Config\":{\"Image\":\"nginx@sha256:bb\",\"Env\":[\"X_TOKEN=hunter2\"],"
                               "\"Labels\":{\"com.docker.compose.project\":\"shop\",\"io.kubernetes.pod.name\":\"p\",\"db.password\":\"hunter2\"}}}";
    struct hf_bundle b = {.id = HF_S(ID)};
    hf_autobuf out = HF_BUF_INIT(65536);
    EQ_I(hf_bundle_docker(hf_span_z(json), &b, &out, NULL), 0);
    struct hf_span all = hf_buf_span(&out);
    EQ_S(fact(all, "name"), "web");
    EQ_S(fact(all, "image"), "nginx@sha256:bb");
    EQ_S(fact(all, "image_digest"), "sha256:bb");
    EQ_S(fact(all, "image_id"), "sha256:aa");
    EQ_S(fact(all, "pod_name"), "p");
    EQ_S(fact(all, "label.com.docker.compose.project"), "shop");
    OK(hf_span_search(all, HF_S("hunter2")) == SIZE_MAX);
    OK(b.has_name && b.has_image);
}

static void hostile(void)
{
    static const char *const texts[] = {"", "{", "[]", "null", "3", "{\"process\":3,\"mounts\":{},\"linux\":[],\"annotations\":\"x\",\"root\":null}",
            "{\"process\":{\"args\":[1,{},null],\"user\":\"root\",\"capabilities\":[]},\"mounts\":[1,{\"type\":7}]}", "{\"hostname\":\"a\\u0000b\"}"};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
        struct hf_bundle b = {.id = HF_S(ID)};
        hf_autobuf out = HF_BUF_INIT(65536);
        struct hf_err err = HF_ERR_INIT;
        int rc = hf_bundle_config(hf_span_z(texts[i]), &b, &out, NULL, &err);
        OK(rc == 0 || (rc < 0 && err.msg[0]));
        hf_buf_clear(&out);
        rc = hf_bundle_docker(hf_span_z(texts[i]), &b, &out, &err);
        OK(rc == 0 || (rc < 0 && err.msg[0]));
    }
    /* Ten thousand mounts and labels: bounded facts. */
    hf_autobuf json = HF_BUF_INIT(8 << 20), out = HF_BUF_INIT(1 << 20);
    struct hf_bundle b = {.id = HF_S(ID)};
    hf_buf_addz(&json, "{\"mounts\":[");
    for (unsigned i = 0; i < 10000; i++)
        hf_buf_addf(&json, "%s{\"type\":\"bind\",\"source\":\"/a%u\",\"destination\":\"/b\"}", i ? "," : "", i);
    hf_buf_addz(&json, "],\"annotations\":{");
    for (unsigned i = 0; i < 10000; i++)
        hf_buf_addf(&json, "%s\"k%u\":\"v\"", i ? "," : "", i);
    hf_buf_addz(&json, "}}");
    EQ_I(hf_bundle_config(hf_buf_span(&json), &b, &out, NULL, NULL), 0);
    OK(out.n < 16384 && !out.failed);
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    OK(hf_mkdirs(dir, 0755, NULL) >= 0 && hf_write_file(path, 0644, hf_span_z(text), NULL) == 0);
}

/* The places of four runtimes below a prefix. */
static void places(void)
{
    static const struct {
        const char *dir, *runtime;
    } where[] = {
            {"/run/containerd/io.containerd.runtime.v2.task/moby/" ID, "docker"},
            {"/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID, "containerd"},
            {"/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/" ID, "containerd"},
            {"/var/lib/containers/storage/overlay-containers/" ID "/userdata", "podman"},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(where); i++) {
        char prefix[] = "/tmp/hf-bundle-XXXXXX", dir[4096], command[4200];
        if (!mkdtemp(prefix)) {
            OK(!"a folder for the test");
            return;
        }
        struct hf_bundle_roots roots = {.prefix = prefix};
        struct hf_bundle b = {.id = HF_S(ID)};
        hf_autobuf out = HF_BUF_INIT(65536);
        struct hf_err err = HF_ERR_INIT;
        EQ_I(hf_bundle_facts(&roots, &b, 0, HF_S(""), &out, &err), 0); /* nothing yet */
        snprintf(dir, sizeof dir, "%s%s", prefix, where[i].dir);
        put(dir, "config.json", "{" PROCESS);
        OK(hf_bundle_facts(&roots, &b, 0, HF_S(""), &out, &err) < 0); /* half-written */
        OK(err.msg[0] != 0);
        hf_buf_clear(&out);
        put(dir, "config.json", "{" PROCESS ",\"annotations\":{\"nerdctl/name\":\"n1\"}}");
        put(dir, "init.pid", "4242");
        EQ_I(hf_bundle_facts(&roots, &b, 0, HF_S(""), &out, &err), 1);
        EQ_S(fact(hf_buf_span(&out), "runtime"), where[i].runtime);
        EQ_S(fact(hf_buf_span(&out), "command"), "nginx -g daemon off;");
        EQ_S(fact(hf_buf_span(&out), "init_pid"), "4242");
        struct hf_bundle climber = {.id = HF_S("../../etc")};
        EQ_I(hf_bundle_facts(&roots, &climber, 0, HF_S(""), &out, &err), 0);
        snprintf(command, sizeof command, "%s/config.json", dir);
        unlink(command);
        OK(symlink("/etc/passwd", command) == 0);
        struct hf_bundle again = {.id = HF_S(ID)};
        EQ_I(hf_bundle_facts(&roots, &again, 0, HF_S(""), &out, &err), 0); /* a link is not followed */
        unlink(command);
        snprintf(command, sizeof command, "%s/init.pid", dir);
        unlink(command);
        for (size_t n = strlen(dir); n > strlen(prefix); n--) /* folders from the innermost out */
            if (dir[n] == 0 || dir[n] == '/') {
                dir[n] = 0;
                rmdir(dir);
            }
        rmdir(prefix);
    }
}

int main(void)
{
    config();
    privileged();
    annotations();
    crio();
    docker();
    hostile();
    places();
    return tap_done();
}
