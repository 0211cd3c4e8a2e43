// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/maker.h"

#include "tap.h"

#define ARGS(text) hf_span(text, sizeof(text) - 1)

static void arguments(void)
{
    struct hf_made m;
    OK(hf_made_by_args(ARGS("runc\0--root\0/run/containerd/runc/default\0--log\0/x/log.json\0create\0--bundle\0/run/b/web\0--pid-file\0/run/b/web/init.pid\0web\0"), &m));
    EQ_S(hf_span_z(m.id), "web");
    EQ_S(hf_span_z(m.dir), "/run/b/web");
    EQ_S(hf_span_z(m.runtime), "runc");
    OK(hf_made_by_args(ARGS("/usr/bin/crun\0--systemd-cgroup\0run\0--bundle=/b\0a.b-c_1\0"), &m));
    EQ_S(hf_span_z(m.runtime), "crun");
    EQ_S(hf_span_z(m.dir), "/b");
    OK(hf_made_by_args(ARGS("runc\0run\0-b\0/b\0web"), &m)); /* cut off */
    OK(hf_made_by_args(ARGS("runc\0run\0web\0"), &m)); /* the bundle is the current folder */
    EQ_S(hf_span_z(m.dir), "");
    static const struct {
        const char *text;
        size_t n;
    } none[] = {
            {"", 0}, {"runc\0", 5}, {"runc\0create\0--bundle\0/b\0../x\0", 30}, {"runc\0create\0--bundle\0/b\0a/b\0", 28}, {"runc\0list\0web\0", 14},
            {"notrunc\0run\0-b\0/b\0web\0", 22}, {"runc\0run\0-b\0b\0web\0", 18}, {"runc\0run\0--bundle\0", 18}, {"runc\0run\0-b\0/b\0-web\0", 20},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(none); i++)
        OK(!hf_made_by_args(hf_span(none[i].text, none[i].n), &m));
}

static void paths(void)
{
    static const struct {
        const char *path, *id, *group;
        bool is;
    } cases[] = {
            {"/default/web", "web", "/default/web", true},
            {"/default/web", "web", "/outer/default/web", true}, /* in a container, or below a group of its own */
            {"/default/web", "web", "/default", false},
            {"/default/web", "web", "/notdefault/web", false},
            {"default/web", "web", "/default/web", true},
            {"/default/web/", "web", "/default/web", true},
            {"", "web", "/user.slice/web", true},
            {"", "web", "/web/other", false},
            {"/", "web", "/web", false},
            {"machine.slice:libpod:abc", "x", "/machine.slice/libpod-abc.scope", true},
            {"system.slice:docker:abc", "x", "/system.slice/docker-abd.scope", false},
            {"system.slice::web", "x", "/system.slice/web.scope", true},
            {"system.slice:x:web.slice", "x", "/system.slice/web.slice", true},
            {"system.slice:docker", "x", "/system.slice/docker-.scope", false},
            {"a:b:c", "x", "/b-c.scop", false},
            {"web", "web", "/a/web", true},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++)
        if (!OK(hf_made_path_is(hf_span_z(cases[i].path), hf_span_z(cases[i].id), hf_span_z(cases[i].group)) == cases[i].is))
            printf("# %s, %s\n", cases[i].path, cases[i].group);
}

/* What runc 1.1 and crun 1.8 keep, cut to what is read. */
static void states(void)
{
    static const char runc[] = "{\"id\":\"web\",\"init_process_pid\":77,\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/unified/mine/web\",\"memory\":\"/sys/fs/cgroup/memory/mine/web\"},"
                               "\"config\":{\"rootfs\":\"/b/rootfs\",\"labels\":[\"x=y\",\"bundle=/srv/b\"]}}";
    static const char crun[] = "{\"pid\":77,\"cgroup-path\":\"/mine/web\",\"scope\":\"\",\"rootfs\":\"/b/rootfs\",\"bundle\":\"/srv/c\",\"created\":\"2026-01-01T00:00:00Z\"}";
    struct hf_made m;
    OK(hf_made_by_state(hf_span_z(runc), HF_S("/mine/web"), &m));
    EQ_S(hf_span_z(m.dir), "/srv/b");
    EQ_S(hf_span_z(m.runtime), "runc");
    OK(!hf_made_by_state(hf_span_z(runc), HF_S("/yours/web"), &m));
    OK(hf_made_by_state(hf_span_z(crun), HF_S("/mine/web"), &m));
    EQ_S(hf_span_z(m.dir), "/srv/c");
    EQ_S(hf_span_z(m.runtime), "crun");
    OK(!hf_made_by_state(hf_span_z(crun), HF_S("/mine/web2"), &m));
    static const char *const texts[] = {"", "{", "[]", "null", "{\"bundle\":3}", "{\"bundle\":\"/x\"}", "{\"bundle\":\"x\",\"cgroup-path\":\"/a\"}", "{\"cgroup_paths\":[\"/a\"],\"config\":{\"labels\":\"bundle=/\"}}",
            "{\"cgroup_paths\":\"/a\",\"config\":{\"labels\":[1,\"bundle=\"]}}", "{\"bundle\":\"/x\\u0000y\",\"cgroup-path\":\"/a\"}"};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        OK(!hf_made_by_state(hf_span_z(texts[i]), HF_S("/a"), &m));
}

int main(void)
{
    arguments();
    paths();
    states();
    return tap_done();
}
