// SPDX-License-Identifier: Apache-2.0
/* holdfast incident import: lines of `watch --json` become incidents of the store, while they come. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "cli/incident-cli.h"
#include "daemon/ingest.h"

enum { PIECE = 65536, FLUSH_MS = 500 };

static volatile sig_atomic_t stop;
static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

struct import {
    struct hf_store *store;
    struct hf_ingest *ingest;
    uint64_t flushed_ms, too_long; /* lines without an end */
    bool json, told_refused;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static int tell(struct import *m, const struct hf_inc *i, bool made)
{
    hf_autobuf out = HF_BUF_INIT(65536);
    if (m->json) {
        struct hf_jw w;
        hf_jw_init(&w, &out, false);
        hf_jw_object(&w);
        for (const char *const *k = (const char *const[]){"id", "severity", "state", "title", "summary", "merged_into", NULL}; *k; k++)
            hf_jw_kstr_opt(&w, *k, hf_inc_get(i, *k));
        hf_jw_ku64(&w, "revision", hf_inc_number(i, "revision"));
        hf_jw_ku64(&w, "alerts", hf_inc_number(i, "alerts"));
        hf_jw_kbool(&w, "new", made);
        hf_jw_object_end(&w);
    } else if (made) {
        hf_buf_adds(&out, hf_inc_get(i, "id"));
        hf_buf_addf(&out, "  %s", hf_cli_severity_colour(hf_inc_get(i, "severity")));
        hf_buf_addf(&out, "%-8s%s  ", hf_inc_get(i, "severity").p, hf_cli_plain());
        hf_buf_add_escaped(&out, hf_inc_get(i, "title"), 0);
    } else {
        return 0;
    }
    hf_buf_addc(&out, '\n');
    int rc = hf_cli_stdout(NULL, hf_buf_span(&out));
    return rc < 0 || fflush(stdout) != 0 ? -EIO : 0;
}

static int told(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *err)
{
    int rc = tell(ctx, i, !base);
    return rc < 0 ? hf_fail(err, rc, "the result could not be written to standard output") : 0;
}

static int flush(struct import *m, struct hf_err *err)
{
    int rc = hf_ingest_flush(m->ingest, m->store, err);
    m->flushed_ms = now_ms();
    return rc;
}

static int one_line(struct import *m, struct hf_span line, struct hf_err *err)
{
    struct hf_err why = HF_ERR_INIT;
    int rc = hf_ingest_line(m->ingest, line, &why);
    if (rc < 0 && rc != HF_E_FORMAT && rc != HF_E_LIMIT)
        return hf_fail(err, rc, "%s", why.msg);
    if (rc < 0) { /* the rest is no worse for it */
        if (!m->told_refused)
            hf_log(HF_LOG_WARNING, "import.line", "passed over: %s", why.msg);
        m->told_refused = true;
        return 0;
    }
    return rc > 0 || (hf_ingest_waiting(m->ingest) && now_ms() - m->flushed_ms > FLUSH_MS) ? flush(m, err) : 0;
}

static int read_all(struct import *m, int fd, struct hf_err *err)
{
    hf_autobuf b = HF_BUF_INIT(HF_CORR_LINE_MAX + 2 * PIECE);
    bool skip = false;
    int rc = 0;
    while (!stop && rc >= 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, hf_ingest_waiting(m->ingest) ? 200 : -1);
        if (ready == 0)
            rc = flush(m, err);
        if (ready <= 0)
            continue;
        if (!hf_buf_reserve(&b, PIECE)) { /* a line without an end */
            hf_buf_clear(&b);
            skip = true;
            m->too_long++;
            continue;
        }
        ssize_t n = read(fd, b.p + b.n, PIECE);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return hf_fail(err, -errno, "the lines could not be read: %s", strerror(errno));
        if (n == 0)
            break;
        b.n += (size_t)n;
        struct hf_span rest = hf_buf_span(&b);
        for (size_t nl; rc >= 0 && (nl = hf_span_find(rest, '\n')) != SIZE_MAX; rest = hf_span_from(rest, nl + 1)) {
            if (!skip)
                rc = one_line(m, hf_span_sub(rest, 0, nl), err);
            skip = false;
        }
        if (rest.n)
            memmove(b.p, rest.p, rest.n);
        b.n = rest.n;
    }
    if (rc >= 0 && !skip && b.n && !stop)
        rc = one_line(m, hf_buf_span(&b), err);
    return rc < 0 ? rc : flush(m, err);
}

int hf_cli_incident_import(int argc, char **argv)
{
    struct hf_cli_place at = {NULL};
    const char *host = NULL, *args[2];
    struct import m = {0};
    size_t n;
    const struct hf_opt opts[] = {
            HF_CLI_PLACE_OPTS(at),
            {"host", 0, HF_OPT_STR, &host, "NAME", NULL, 0, 0, "name of the machine that was watched (default: this one)"},
            {"json", 0, HF_OPT_FLAG, &m.json, NULL, NULL, 0, 0, "one line of JSON for every change of an incident"},
            HF_CLI_OPTS_END,
    };
    const struct hf_command cmd = {"incident import", "[options] FILE", "make incidents of lines of \"watch --json\"",
            "FILE \"-\" is standard input: holdfast watch --json | holdfast incident import - keeps incidents as they happen. New ones are printed.", opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    hf_autoclose int fd = -1;
    char name[256] = "";
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    if (rc == 0 && (fd = strcmp(args[0], "-") ? open(args[0], O_RDONLY | O_CLOEXEC) : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)) < 0)
        rc = hf_fail(&err, -errno, "%s: %s", args[0], strerror(errno));
    rc = rc < 0 ? rc : hf_cli_store(at.url, at.file, 0, &m.store, &err);
    if (!host && gethostname(name, sizeof name - 1) == 0)
        host = name;
    struct hf_ingest_opts o = {.host = host, .via = "import", .told = told, .ctx = &m};
    rc = rc < 0 ? rc : hf_ingest_new(&m.ingest, &o, m.store, &err);
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    rc = rc < 0 ? rc : read_all(&m, fd, &err);
    struct hf_ingest_stats st = {.refused = 0};
    if (m.ingest)
        hf_ingest_stats(m.ingest, &st);
    hf_ingest_free(m.ingest);
    hf_store_close(m.store);
    uint64_t refused = st.refused + m.too_long;
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (!m.json)
        printf("%llu lines, %llu alerts: %llu incidents are new, %llu changes\n", (unsigned long long)st.corr.lines, (unsigned long long)st.corr.alerts, (unsigned long long)st.made, (unsigned long long)st.changed);
    if (refused)
        hf_log(HF_LOG_WARNING, "import", "%llu lines are none of \"watch --json\"", (unsigned long long)refused);
    return refused ? HF_EXIT_INCOMPLETE : HF_EXIT_OK;
}
