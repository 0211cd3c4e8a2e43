// SPDX-License-Identifier: Apache-2.0
#include "sensor/files/watch.h"
#include "tap.h"

static const struct hf_homes *homes(struct hf_homes *h)
{
    hf_homes_init(h);
    hf_homes_passwd(h, HF_S("root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
                            "pg:x:70:70::/var/lib/pg/:/bin/sh\nbroken:x\nnobody:x:9:9::/nonexistent:/bin/sh\n"));
    hf_homes_add(h, HF_S("/home/eve"));
    return h;
}

static void test_glob(void)
{
    OK(hf_watch_glob(HF_S("*"), HF_S("")) && hf_watch_glob(HF_S("*"), HF_S("x.y")));
    OK(hf_watch_glob(HF_S("ssh_host_*_key"), HF_S("ssh_host_rsa_key")));
    OK(!hf_watch_glob(HF_S("ssh_host_*_key"), HF_S("ssh_host_rsa_key.pub")));
    OK(hf_watch_glob(HF_S("tty[0-9]*"), HF_S("tty1")) && !hf_watch_glob(HF_S("tty[0-9]*"), HF_S("ttyS0")));
    OK(hf_watch_glob(HF_S("a*b*c"), HF_S("aXbXbYc")) && !hf_watch_glob(HF_S("a*b*c"), HF_S("aXbX")));
    OK(!hf_watch_glob(HF_S(""), HF_S("x")) && hf_watch_glob(HF_S(""), HF_S("")));
}

static void test_homes(void)
{
    hf_cleanup(hf_homes_done) struct hf_homes h;
    struct hf_span one;
    unsigned n = 0, pg = 0;
    homes(&h);
    for (size_t at = 0; hf_homes_next(&h, &at, &one); n++)
        pg += hf_span_eqz(one, "/var/lib/pg");
    OK(n == 3 && pg == 1);
    hf_homes_add(&h, HF_S("/home/eve/"));
    hf_homes_add(&h, HF_S("relative"));
    hf_homes_add(&h, HF_S("/"));
    OK(h.n == 3);
    for (unsigned i = 0; i < 200; i++) {
        char path[32];
        snprintf(path, sizeof path, "/home/u%u", i);
        hf_homes_add(&h, hf_span_z(path));
    }
    OK(h.n == HF_HOMES_MAX);
}

static void test_match(void)
{
    static const struct {
        const char *path;
        unsigned where, watch_class, what; /* what: bits that must be there */
    } cases[] = {
            {"/etc/shadow", HF_W_CONTAINER, HF_WATCH_CREDENTIAL, HF_W_READ | HF_W_WRITE},
            {"/root/.ssh/id_rsa", HF_W_CONTAINER, HF_WATCH_CREDENTIAL, HF_W_READ},
            {"/var/lib/pg/.ssh/authorized_keys", HF_W_CONTAINER, HF_WATCH_PERSISTENCE, HF_W_WRITE},
            {"/etc/ssh/ssh_host_ed25519_key", HF_W_HOST, HF_WATCH_CREDENTIAL, HF_W_READ},
            {"/etc/cron.d/job", HF_W_CONTAINER, HF_WATCH_PERSISTENCE, HF_W_WRITE | HF_W_NAMES},
            {"/proc/sys/kernel/core_pattern", HF_W_CONTAINER, HF_WATCH_ESCAPE, HF_W_WRITE},
            {"/sys/fs/cgroup/memory/release_agent", HF_W_CONTAINER, HF_WATCH_ESCAPE, HF_W_WRITE},
            {"/dev/input/event3", HF_W_CONTAINER, HF_WATCH_DEVICE, HF_W_READ},
            {"/usr/bin/sudo", HF_W_CONTAINER, HF_WATCH_BINARY, HF_W_ATTR},
            {"/tmp/x", HF_W_CONTAINER, HF_WATCH_TEMP, HF_W_EXEC},
            {"/var/www/a/b/shell.php", HF_W_CONTAINER, HF_WATCH_WEB, HF_W_NAMES},
            {"/var/log/nginx/access.log", HF_W_CONTAINER, HF_WATCH_LOG, HF_W_WRITE},
            {"/home/eve/.bashrc", HF_W_CONTAINER, HF_WATCH_PERSISTENCE, HF_W_WRITE},
            {"/srv/data", HF_W_CONTAINER, 0, 0},
            {"/tmp/deep/er", HF_W_CONTAINER, 0, 0},
            {"/etc/kubernetes/admin.conf", HF_W_CONTAINER, 0, 0},
            {"/home/adam/.bashrc", HF_W_CONTAINER, 0, 0},
            {"relative", HF_W_CONTAINER, 0, 0},
            {"", HF_W_CONTAINER, 0, 0},
    };
    hf_cleanup(hf_homes_done) struct hf_homes h;
    hf_cleanup(hf_watch_list_freep) struct hf_watch_list *l = NULL;
    struct hf_err err = HF_ERR_INIT;
    homes(&h);
    if (hf_watch_list_new(&l, &err) < 0)
        return (void)OK(!err.msg[0]);
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_watch_found f = hf_watch_match(l, &h, cases[i].where, hf_span_z(cases[i].path));
        tap_result(f.watch_class == cases[i].watch_class && (f.what & cases[i].what) == cases[i].what, __FILE__, __LINE__, cases[i].path);
    }
    OK(!(hf_watch_match(l, &h, HF_W_CONTAINER, HF_S("/root/.ssh/known_hosts")).what & HF_W_READ));
    OK(hf_watch_match(l, &h, HF_W_CONTAINER, HF_S("/root")).leads);
    OK(hf_watch_add(l, HF_S("/srv/data/"), HF_W_WRITE, HF_W_CONTAINER, 1, &err) == 0);
    OK(hf_watch_match(l, &h, HF_W_CONTAINER, HF_S("/srv/data/x")).watch_class == HF_WATCH_RULE);
    OK(hf_watch_match(l, &h, HF_W_CONTAINER, HF_S("/srv/data/x/y")).watch_class == HF_WATCH_RULE); /* one level below */
    OK(hf_watch_match(l, &h, HF_W_CONTAINER, HF_S("/srv/data/x/y/z")).watch_class == 0);
    OK(hf_watch_add(l, HF_S("no/path"), HF_W_WRITE, HF_W_CONTAINER, 0, &err) == HF_E_FORMAT);
}

int main(void)
{
    test_glob();
    test_homes();
    test_match();
    return tap_done();
}
