// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "daemon/hub-internal.h"
#include "desk/publish.h"
#include "store/incidents.h"
#include "store/settings.h"

enum {
    STEP_MS = 100,         /* how long nothing is looked at */
    FLUSH_MS = 500,        /* what does not hurry waits so long for the store */
    POLL_MS = 100,         /* others' changes */
    CHANGES = 200,         /* at once */
    COUNT_MS = 2000,
    KEEP_CHANGE_MS = 5000,
    STORE_AGAIN_MS = 250, STORE_AGAIN_MAX_MS = 5000, STORE_TELL_MS = 60000,
    BATCH = 256,           /* lines between two looks at the clock */
    STORE_PENDING = 32 << 20,
    END_LINES_MS = 5000,   /* at the end: what was read is looked at for so long at most */
};

uint64_t hub_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

void hub_note(char into[HF_SHARED_TEXT], const char *text)
{
    snprintf(into, HF_SHARED_TEXT, "%.255s", text ? text : "");
}

/* ---- the store, which may be down ---- */

void hub_store_failed(struct hub *h, const char *doing, int rc, const char *why)
{
    uint64_t now = hub_now_ms();
    HF_SHARED_ADD(h->sh->store_failures, 1);
    if (!HF_SHARED_GET(h->sh->store_down_since))
        HF_SHARED_SET(h->sh->store_down_since, (uint64_t)time(NULL));
    hub_note(h->sh->store_error, why && *why ? why : hf_err_name(rc));
    if (!h->store_told_ms || now - h->store_told_ms > STORE_TELL_MS)
        hf_log(HF_LOG_ERR, "store", "%s: %s; detection goes on, what is found waits in memory (at most %d MiB) and is tried again", doing, why && *why ? why : hf_err_name(rc), STORE_PENDING >> 20);
    h->store_told_ms = now;
    h->store_pause_ms = h->store_pause_ms ? HF_MIN(h->store_pause_ms * 2, (uint64_t)STORE_AGAIN_MAX_MS) : STORE_AGAIN_MS;
    h->store_try_ms = now + h->store_pause_ms;
}

static void store_works(struct hub *h)
{
    uint64_t since = HF_SHARED_GET(h->sh->store_down_since);
    h->store_pause_ms = 0;
    h->store_try_ms = 0;
    if (!since)
        return;
    hf_log(HF_LOG_NOTICE, "store", "the store takes what is written again, after %lld s", (long long)(time(NULL) - (time_t)since));
    HF_SHARED_SET(h->sh->store_down_since, 0);
    hub_note(h->sh->store_error, NULL);
    h->store_told_ms = 0;
    hub_tell_store_is_back(h);
}

static void change_key(const struct hub *h, char out[320])
{
    snprintf(out, 320, "daemon/%s/change", h->host);
}

/* Where the one before stopped looking: what changed while nobody ran is told now.  At the very first start nothing old is. */
static int load_change(struct hub *h, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(64);
    char key[320];
    if (h->change_known)
        return 0;
    change_key(h, key);
    int rc = hf_store_setting_get(h->store, hf_span_z(key), &text, err);
    if (rc > 0 && hf_parse_u64(hf_buf_span(&text), 10, 0, UINT64_MAX, &h->change) == 0)
        rc = 0;
    else if (rc >= 0)
        rc = hf_store_incident_last_change(h->store, &h->change, err);
    h->change_known = rc == 0;
    h->change_kept = h->change;
    return rc;
}

static void keep_change(struct hub *h, bool now)
{
    struct hf_err err = HF_ERR_INIT;
    char key[320], value[24];
    if (!h->store || h->change == h->change_kept || (!now && hub_now_ms() - h->change_kept_ms < KEEP_CHANGE_MS))
        return;
    change_key(h, key);
    snprintf(value, sizeof value, "%llu", (unsigned long long)h->change);
    h->change_kept_ms = hub_now_ms();
    if (hf_store_setting_put(h->store, hf_span_z(key), hf_span_z(value), &err) == 0)
        h->change_kept = h->change;
}

static int on_incident(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *err)
{
    (void)ctx;
    (void)err;
    if (!base)
        hf_log(HF_LOG_NOTICE, "incident", "%s (%s): %s", hf_inc_get(i, "id").p, hf_inc_get(i, "severity").p, hf_inc_get(i, "title").p);
    return 0;
}

static void on_unstored(void *ctx, const struct hf_inc *i)
{
    hub_tell_without_store(ctx, i);
}

/* They change when somebody makes one: looked at when the file's time is another. */
static void publish_exceptions(struct hub *h)
{
    struct hf_err err = HF_ERR_INIT;
    char path[4200];
    struct stat st;
    if (!*h->c->daemon_exceptions)
        return;
    snprintf(path, sizeof path, "%s/exceptions.yaml", h->c->daemon_exceptions);
    if (stat(path, &st) < 0 || (st.st_mtim.tv_sec == h->excepted.tv_sec && st.st_mtim.tv_nsec == h->excepted.tv_nsec))
        return;
    if (hf_publish_exceptions(h->store, h->c->daemon_exceptions, &err) < 0)
        hf_log(HF_LOG_WARNING, "publish", "the console does not know the exceptions: %s", err.msg);
    else
        h->excepted = st.st_mtim;
}

/* What the console shows of settings that it may not read. */
static void publish(struct hub *h)
{
    struct hf_err err = HF_ERR_INIT;
    if (h->conf && hf_publish_channels(h->store, h->conf, &err) < 0)
        hf_log(HF_LOG_WARNING, "publish", "the console does not know the channels: %s", err.msg);
    publish_exceptions(h);
}

static int open_store(struct hub *h, struct hf_err *err)
{
    /* With channels the queue's keeper does the database's housekeeping: no incident waits for it. */
    int rc = h->store ? 0 : hf_store_open_with(&h->store, h->c->store_url, h->conf ? HF_STORE_NO_CHECKPOINT : 0, err);
    struct hf_ingest_opts o = {.host = h->host, .via = "daemon", .pending_max = STORE_PENDING, .each_once = true, .told = on_incident, .unstored = on_unstored, .ctx = h};
    rc = rc < 0 || h->ingest ? rc : hf_ingest_new(&h->ingest, &o, h->store, err);
    rc = rc < 0 ? rc : hub_log_read(h, err);
    rc = rc < 0 ? rc : load_change(h, err);
    rc = rc < 0 ? rc : hub_inv_open(h, err);
    rc = rc < 0 ? rc : hub_tell_open(h, err);
    rc = rc < 0 || h->slow ? rc : hub_slow_start(h, err);
    rc = rc < 0 || h->verify ? rc : hub_verify_start(h, err);
    if (rc < 0)
        return rc;
    h->open = true;
    publish(h);
    store_works(h);
    if (!h->sh->hub_ready) {
        HF_SHARED_SET(h->sh->hub_ready, 1);
        if (h->o->ready_fd >= 0)
            (void)!write(h->o->ready_fd, &(uint64_t){1}, sizeof(uint64_t));
    }
    return 0;
}

/* Whether it can be asked now; opens it when it is time to. */
static bool has_store(struct hub *h)
{
    struct hf_err err = HF_ERR_INIT;
    if (h->store_try_ms && hub_now_ms() < h->store_try_ms)
        return false;
    if (h->open)
        return true;
    int rc = open_store(h, &err);
    if (rc < 0)
        hub_store_failed(h, "the store cannot be opened", rc, err.msg);
    return rc == 0;
}

/* ---- incidents ---- */

static void count_ingest(struct hub *h)
{
    struct hf_ingest_stats st;
    hf_ingest_stats(h->ingest, &st);
    HF_SHARED_SET(h->sh->alerts, st.alerts);
    HF_SHARED_SET(h->sh->incidents_new, st.made);
    HF_SHARED_SET(h->sh->incidents_changed, st.changed);
    HF_SHARED_SET(h->sh->alerts_dropped, st.dropped);
    HF_SHARED_SET(h->sh->pending_bytes, st.pending_bytes);
}

static int changed(void *ctx, const struct hf_incident_row *row)
{
    struct hub *h = ctx;
    struct hf_err err = HF_ERR_INIT;
    int rc = hub_tell(h, row->doc, &err);
    if (rc < 0 && rc != HF_E_FORMAT && rc != HF_E_LIMIT) { /* the queue: this one comes again */
        hub_store_failed(h, "messages cannot be queued", rc, err.msg);
        return rc;
    }
    if (rc < 0)
        hf_log(HF_LOG_WARNING, "tell", "%.*s cannot be told: %s", HF_SPAN_ARG(row->id), err.msg);
    if (!hf_ingest_own(h->ingest, row->id, row->revision) && hf_ingest_take(h->ingest, row->doc, &err) < 0)
        hf_log(HF_LOG_WARNING, "incident", "%.*s is left alone: %s", HF_SPAN_ARG(row->id), err.msg);
    h->change = row->change;
    return 0;
}

/* What anybody changed: channels hear of it, and the correlator goes on from there. */
static void look_for_changes(struct hub *h)
{
    struct hf_err err = HF_ERR_INIT;
    uint64_t last = h->change;
    h->polled_ms = hub_now_ms();
    int rc = hf_store_incident_last_change(h->store, &last, &err);
    while (rc == 0 && last > h->change) {
        uint64_t before = h->change;
        rc = hf_store_incident_changes(h->store, h->change, CHANGES, changed, h, &err);
        if (rc == 0 && h->change == before)
            h->change = last; /* removed ones */
    }
    if (rc < 0 && !h->store_try_ms)
        hub_store_failed(h, "changes cannot be read", rc, err.msg);
    else if (rc == 0 && !hf_ingest_waiting(h->ingest)) /* reading alone says little: another may hold the writer's lock */
        store_works(h);
}

static void flush(struct hub *h)
{
    struct hf_err err = HF_ERR_INIT;
    if (!has_store(h))
        return;
    h->flushed_ms = hub_now_ms();
    int rc = hf_ingest_flush(h->ingest, h->store, &err);
    count_ingest(h);
    if (rc < 0) {
        hub_store_failed(h, "incidents cannot be written", rc, err.msg);
        return;
    }
    hub_log_written(h);
    hub_tell_store_is_back(h); /* before the channels are told of what was just written */
    look_for_changes(h);
}

/* ---- lines ---- */

/* Without a store at all nothing can be looked at: the lines wait where they are. */
static bool one_line(struct hub *h, struct hf_span line)
{
    struct hf_err err = HF_ERR_INIT;
    if (!h->ingest)
        return false;
    int rc = hf_ingest_line(h->ingest, line, &err);
    if (rc < 0) {
        HF_SHARED_ADD(h->sh->lines_refused, 1);
        if (!h->told_refused)
            hf_log(HF_LOG_WARNING, "line", "a line of watch is passed over: %s", err.msg);
        h->told_refused = true;
    }
    hub_inv_line(h, line);
    return rc > 0;
}

/* What a container differs in from its seal. */
static void verified(struct hub *h)
{
    hf_autobuf line = HF_BUF_INIT(HF_LINES_LINE_MAX);
    if (hub_verify_alert(h, &line) > 0 && one_line(h, hf_buf_span(&line)))
        flush(h);
}

static void housekeeping(struct hub *h)
{
    uint64_t now = hub_now_ms();
    if (hf_ingest_waiting(h->ingest) && now - h->flushed_ms >= FLUSH_MS)
        flush(h);
    if (!has_store(h))
        return;
    if (now - h->polled_ms >= POLL_MS)
        look_for_changes(h);
    hub_inv_step(h);
    verified(h);
    keep_change(h, false);
    hub_log_keep(h, false);
    if (now - h->counted_ms >= COUNT_MS) {
        h->counted_ms = now;
        count_ingest(h);
        hub_tell_count(h);
        publish_exceptions(h);
    }
}

static bool asked_to_stop(const struct hub *h)
{
    struct pollfd p = {h->o->stop_fd, POLLIN, 0};
    return poll(&p, 1, 0) > 0;
}

/* Lines that wait, at most BATCH of them. */
static unsigned lines(struct hub *h, int timeout_ms, struct hf_buf *line)
{
    unsigned n = 0;
    bool hurry = false;
    while (n < BATCH && hf_lines_next(h->lines, n ? 0 : timeout_ms, line) > 0) {
        n++;
        hurry = (!hub_log_had(h, hf_buf_span(line)) && one_line(h, hf_buf_span(line))) || hurry;
    }
    if (hurry)
        flush(h);
    return n;
}

static void read_acts(struct hub *h)
{
    char bytes[16384];
    ssize_t n = h->o->acts_fd >= 0 ? read(h->o->acts_fd, bytes, sizeof bytes) : 0; /* non-blocking; lines are written whole */
    struct hf_span rest = hf_span(bytes, n > 0 ? (size_t)n : 0), line;
    while (hf_span_line(&rest, &line))
        if (hf_line_kind(line) == HF_LINE_HIGH && hf_span_search(hf_span_sub(line, 0, 200), HF_S("\"type\":\"alert\"")) != SIZE_MAX) {
            if (one_line(h, line)) /* an alert of the supervisor's */
                flush(h);
        } else if (line.n) {
            hub_acted(h, line);
        }
    hub_acted_again(h);
}

static void loop(struct hub *h)
{
    hf_autobuf line = HF_BUF_INIT(HF_LINES_LINE_MAX);
    while (!asked_to_stop(h)) {
        if (!h->ingest && !has_store(h)) {
            struct pollfd p = {h->o->stop_fd, POLLIN, 0};
            poll(&p, 1, STEP_MS);
            continue;
        }
        lines(h, STEP_MS, &line);
        if (h->open && !h->store_try_ms)
            read_acts(h);
        housekeeping(h);
    }
    h->stopping = true;
    hf_lines_end(h->lines); /* what is in the pipe is read */
    for (uint64_t until = hub_now_ms() + END_LINES_MS; h->ingest && hub_now_ms() < until && lines(h, 0, &line);)
        ;
    if (!h->ingest)
        return;
    h->store_try_ms = 0;
    flush(h);
    hub_inv_end(h);
    keep_change(h, true);
    hub_log_keep(h, true);
}

/* ---- begin and end ---- */

static int confine(struct hub *h, struct hf_err *err)
{
    static const char *const readable[] = {"/usr", "/lib", "/lib64", "/etc", "/run/systemd/resolve", "/var/lib/ca-certificates", "/proc/self", "/proc/sys/kernel/random", "/sys/devices/system/cpu",
            "/dev/urandom", "/dev/null", NULL};
    const char *writable[64] = {NULL};
    size_t n = 0;
    hf_autofree char *store_dir = NULL, *db_dir = NULL, *ignore_dir = NULL;
    struct hf_span url = hf_span_z(h->c->store_url);
    if (hf_span_starts(url, HF_S("sqlite:")))
        url = hf_span_from(url, 7);
    if (url.n && url.p[0] == '/' && (store_dir = hf_span_dupz(hf_span_dirname(url))))
        writable[n++] = store_dir;
    for (size_t i = 0; h->conf && i < h->conf->n_channels && n + 1 < HF_ARRAY_LEN(writable); i++) /* channels that are files; paths of arenas end in NUL */
        if (h->conf->channels[i].kind == HF_N_FILE && h->conf->channels[i].path.n) {
            struct hf_span dir = hf_span_dirname(h->conf->channels[i].path);
            char *z = hf_span_dupz(dir); /* kept: for the life of the process */
            if (z)
                writable[n++] = z;
        }
    if (h->o->drop) {
        int rc = hf_sandbox_drop(h->o->user_uid, h->o->user_gid, err);
        if (rc < 0)
            return rc;
        prctl(PR_SET_DUMPABLE, 0);
    }
    if (h->o->no_sandbox)
        return 0;
    const char *all[HF_ARRAY_LEN(readable) + 3 + HF_STORE_READS] = {NULL};
    char *reads[HF_STORE_READS]; /* kept, as above */
    size_t k = 0;
    for (; readable[k]; k++)
        all[k] = readable[k];
    db_dir = hf_span_dupz(hf_span_dirname(hf_span_z(h->c->db_path)));
    if (db_dir)
        all[k++] = db_dir;
    if (*h->c->daemon_ignore_file && (ignore_dir = hf_span_dupz(hf_span_dirname(hf_span_z(h->c->daemon_ignore_file))))) /* the folder: editors replace the file */
        all[k++] = ignore_dir;
    if (*h->c->daemon_exceptions)
        all[k++] = h->c->daemon_exceptions;
    for (size_t i = hf_store_reads(h->c->store_url, reads); i; i--)
        all[k++] = reads[i - 1];
    int rc = hf_sandbox_paths(all, writable, err);
    if (rc == 1)
        hf_log(HF_LOG_WARNING, "sandbox", "this kernel has no Landlock: files are only guarded by their permissions");
    return rc < 0 ? rc : hf_sandbox_service(err);
}

static void who_am_i(struct hub *h)
{
    struct hf_err ignored = HF_ERR_INIT;
    hf_autobuf id = HF_BUF_INIT(256);
    if (gethostname(h->host, sizeof h->host - 1) < 0 || !h->host[0])
        snprintf(h->host, sizeof h->host, "localhost");
    if (hf_read_file("/etc/machine-id", &id, &ignored) == 0)
        snprintf(h->host_id, sizeof h->host_id, "%.*s", HF_SPAN_ARG(hf_span_trim(hf_buf_span(&id))));
    if (!h->host_id[0])
        snprintf(h->host_id, sizeof h->host_id, "%.63s", h->host);
}

static int begin(struct hub *h, struct hf_err *err)
{
    struct hf_err why = HF_ERR_INIT;
    who_am_i(h);
    hub_note(h->sh->notify_error, ""); /* of a hub before this one */
    if (hub_tell_load(h, &why) < 0) { /* incidents are kept all the same */
        hub_note(h->sh->notify_error, why.msg);
        hf_log(HF_LOG_ERR, "notify", "nobody is told of incidents: %s", why.msg);
    }
    if (hub_log_open(h, &why) < 0)
        hf_log(HF_LOG_WARNING, "alerts", "what a hub that is killed did not come to is lost: %s", why.msg);
    int rc = confine(h, err);
    rc = rc < 0 || h->o->hand_fd < 0 ? rc : hf_hand_new(&h->hand, h->o->hand_fd, err);
    rc = rc < 0 ? rc : hf_lines_new(&h->lines, h->o->lines_fd, h->o->console_fd, h->sh, err);
    rc = rc < 0 ? rc : hf_lines_start(h->lines, err);
    rc = rc < 0 || h->o->serve_fd < 0 ? rc : hub_serve_start(h, err);
    return rc;
}

int hf_hub_run(const struct hf_hub_opts *o, struct hf_err *err)
{
    struct hub *h = calloc(1, sizeof *h);
    if (!h)
        return hf_fail(err, -ENOMEM, "no memory");
    h->o = o;
    h->c = o->config;
    h->sh = o->shared;
    pthread_mutex_init(&h->answer_lock, NULL);
    HF_SHARED_SET(h->sh->hub_ready, 0);
    int rc = begin(h, err);
    if (rc == 0)
        loop(h);
    h->stopping = true;
    hub_serve_end(h);
    hub_tell_close(h);
    hub_answers_close(h);
    bool idle = hub_verify_end(h);
    if (!hub_slow_end(h) || !idle)
        return rc; /* the process ends now */
    hf_lines_free(h->lines);
    hf_hand_free(h->hand);
    hub_log_close(h);
    hf_ingest_free(h->ingest);
    hf_store_close(h->store);
    free(h);
    return rc;
}
