// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "sensor/containers/bundle.h"
#include "sensor/containers/facts.h"

#define ANSWER_MAX (256u << 10)
#define ANSWER_MEMORY (8u << 20)
#define PATIENCE_NS 500000000ull /* with one daemon */

struct hf_daemon {
    char socket[HF_DAEMON_SOCKETS][108];
    size_t n, at; /* at: the one being asked */
    char id[80];
    int fd;
    uint64_t until_ns;
    struct hf_buf answer;
};

int hf_daemon_new(struct hf_daemon **ret, struct hf_err *err)
{
    struct hf_daemon *d = hf_alloc_fails() ? NULL : calloc(1, sizeof *d);
    if (!d)
        return hf_fail(err, -ENOMEM, "no memory");
    d->fd = -1;
    hf_buf_init(&d->answer, ANSWER_MAX);
    *ret = d;
    return 0;
}

void hf_daemon_free(struct hf_daemon *d)
{
    if (!d)
        return;
    hf_closep(&d->fd);
    hf_buf_done(&d->answer);
    free(d);
}

bool hf_daemon_busy(const struct hf_daemon *d)
{
    return d->at < d->n;
}

/* The question is short: a socket that does not take it at once is passed over. */
static bool asked(struct hf_daemon *d)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct stat st;
    char request[256];
    snprintf(to.sun_path, sizeof to.sun_path, "%s", d->socket[d->at]);
    if (lstat(to.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != 0)
        return false;
    d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int n = snprintf(request, sizeof request, "GET /containers/%s/json HTTP/1.0\r\nHost: docker\r\nUser-Agent: holdfast\r\n\r\n", d->id);
    if (d->fd >= 0 && connect(d->fd, (const struct sockaddr *)&to, sizeof to) == 0 && send(d->fd, request, (size_t)n, MSG_NOSIGNAL) == n)
        return true;
    hf_closep(&d->fd);
    return false;
}

static void next(struct hf_daemon *d, bool begin, uint64_t now_ns)
{
    hf_closep(&d->fd);
    hf_buf_clear(&d->answer);
    d->until_ns = now_ns + PATIENCE_NS;
    for (d->at = begin ? 0 : d->at + 1; d->at < d->n && !asked(d);)
        d->at++;
}

static void add_socket(struct hf_daemon *d, const char *prefix, const char *path)
{
    char full[256];
    int n = snprintf(full, sizeof full, "%s%s", prefix, path);
    if (d->n == HF_DAEMON_SOCKETS || n <= 0 || (size_t)n >= sizeof d->socket[0])
        return;
    for (size_t i = 0; i < d->n; i++)
        if (!strcmp(d->socket[i], full))
            return;
    memcpy(d->socket[d->n++], full, (size_t)n + 1);
}

bool hf_daemon_ask(struct hf_daemon *d, const struct hf_bundle_roots *r, struct hf_span id, uint64_t now_ns)
{
    if (!hf_fact_is_number(id))
        return false;
    snprintf(d->id, sizeof d->id, "%.*s", HF_SPAN_ARG(id));
    d->n = 0;
    for (size_t i = 0; i < r->n_sockets; i++)
        add_socket(d, "", r->socket[i]);
    add_socket(d, r->prefix ? r->prefix : "", "/run/docker.sock");
    add_socket(d, r->prefix ? r->prefix : "", "/run/podman/podman.sock");
    next(d, true, now_ns);
    return hf_daemon_busy(d);
}

int hf_daemon_body(struct hf_span answer, struct hf_span *ret)
{
    struct hf_span line;
    bool good = hf_span_line(&answer, &line) && hf_span_starts(line, HF_S("HTTP/1.")) && line.n >= 12 && hf_span_eqz(hf_span_sub(line, 8, 4), " 200") && (line.n == 12 || line.p[12] == ' ' || line.p[12] == '\r');
    while (good && hf_span_line(&answer, &line)) {
        if (!hf_span_trim(line).n) {
            *ret = answer;
            return 1;
        }
        if (line.n >= 18 && hf_span_eq_nocase(hf_span_sub(line, 0, 18), HF_S("transfer-encoding:")))
            return 0; /* not in HTTP/1.0 */
    }
    return 0;
}

int hf_daemon_go(struct hf_daemon *d, uint64_t now_ns, struct hf_span *ret_json)
{
    while (hf_daemon_busy(d)) {
        ssize_t n = hf_buf_reserve(&d->answer, 4096) ? recv(d->fd, d->answer.p + d->answer.n, 4096, 0) : 0;
        bool waits = n < 0 && (errno == EAGAIN || errno == EINTR);
        if (waits && now_ns < d->until_ns)
            return 0;
        if (n > 0) {
            d->answer.n += (size_t)n;
            continue;
        }
        bool found = n == 0 && hf_buf_ok(&d->answer) && hf_daemon_body(hf_buf_span(&d->answer), ret_json);
        if (found) {
            hf_closep(&d->fd);
            d->at = d->n;
            return 1;
        }
        next(d, false, now_ns); /* it does not know, or does not answer */
    }
    return -ENOENT;
}

/* What a bundle would have told. */
static void instead_of_bundle(struct hf_buf *out, hf_jnode root)
{
    hf_jnode host = hf_jget(root, "HostConfig");
    hf_autobuf command = HF_BUF_INIT(HF_FACT_BYTES);
    hf_buf_adds(&command, hf_jgetstr(root, "Path"));
    HF_JFOREACH(a, hf_jget(root, "Args"))
    {
        hf_buf_addc(&command, ' ');
        hf_buf_adds(&command, hf_jstr(a));
    }
    hf_fact_add(out, "command", hf_buf_span(&command));
    hf_fact_add(out, "hostname", hf_jgetstr(hf_jget(root, "Config"), "Hostname"));
    if (host) {
        hf_fact_addz(out, "privileged", hf_jis_true(hf_jget(host, "Privileged")) ? "1" : "0");
        hf_fact_addz(out, "readonly", hf_jis_true(hf_jget(host, "ReadonlyRootfs")) ? "1" : "0");
        hf_fact_addz(out, "host_net", hf_span_eqz(hf_jgetstr(host, "NetworkMode"), "host") ? "1" : "0");
        hf_fact_addz(out, "host_pid", hf_span_eqz(hf_jgetstr(host, "PidMode"), "host") ? "1" : "0");
        hf_fact_addz(out, "host_ipc", hf_span_eqz(hf_jgetstr(host, "IpcMode"), "host") ? "1" : "0");
    }
}

int hf_daemon_facts(struct hf_span json, struct hf_bundle *b, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    bool had_name = b->has_name, had_image = b->has_image;
    double pid = 0;
    char text[32];
    int rc = hf_json_parse_within(json, ANSWER_MEMORY, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "answer of the daemon");
    hf_jnode root = hf_json_root(doc);
    if (!hf_span_eq(hf_jgetstr(root, "Id"), b->id))
        return hf_fail(err, HF_E_FORMAT, "the daemon answered for another container");
    rc = hf_bundle_docker(json, b, out, err); /* the names of its own file's members */
    if (rc < 0)
        return rc;
    b->name_from = !had_name && b->has_name ? "docker-socket" : b->name_from;
    b->image_from = !had_image && b->has_image ? "docker-socket" : b->image_from;
    if (!b->has_config)
        instead_of_bundle(out, root);
    if (hf_jnum(hf_jget(hf_jget(root, "State"), "Pid"), &pid) && pid >= 1 && pid < 4194305) {
        snprintf(text, sizeof text, "%.0f", pid);
        hf_fact_addz(out, "init_pid", text);
    }
    return 0;
}
