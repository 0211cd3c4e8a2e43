// SPDX-License-Identifier: Apache-2.0
/* Changes of incidents: with their audit entry or not at all, by several at once, against a revision. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "desk/desk.h"
#include "incident/correlate.h"
#include "store/audit.h"
#include "store/incidents.h"
#include "tap.h"

static char url[64], id[40];
static struct hf_err err;

static int keep(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *e)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    hf_inc_write(i, false, &doc);
    snprintf(id, sizeof id, "%.*s", HF_SPAN_ARG(hf_inc_get(i, "id")));
    return hf_store_incident_put(ctx, hf_buf_span(&doc), base, e);
}

static void make(struct hf_store *s)
{
    hf_cleanup(hf_corr_freep) struct hf_corr *c = hf_corr_new(HF_S("host"));
    const char *line = "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.000000000Z\",\"type\":\"alert\",\"id\":\"01M8CQEFC5001C172PPZ000001\",\"rule\":\"R\",\"severity\":\"high\",\"summary\":\"s\",\"count\":1,\"event_type\":\"exec\","
                       "\"container\":{\"id\":\"c1\",\"name\":\"web\"},\"process\":{\"pid\":5,\"exe\":\"/x\",\"name\":\"x\",\"args\":[],\"ancestors\":[]}}";
    OK(c && hf_corr_line(c, hf_span_z(line), &err) >= 0);
    OK(hf_corr_flush(c, keep, s, &err) == 0);
    OK(id[0] == 'I');
}

static struct hf_inc_change of(enum hf_inc_verb verb, const char *by, const char *text)
{
    return (struct hf_inc_change){.verb = verb, .by = hf_span_z(by), .via = HF_S("test"), .text = hf_span_z(text)};
}

struct seen {
    unsigned n;
    char last[200];
};
static int entry(void *ctx, const struct hf_audit_entry *e)
{
    struct seen *s = ctx;
    s->n++;
    snprintf(s->last, sizeof s->last, "%.*s %.*s %.*s>%.*s", HF_SPAN_ARG(e->by), HF_SPAN_ARG(e->what), HF_SPAN_ARG(e->before), HF_SPAN_ARG(e->after));
    return 0;
}

static struct seen audited(struct hf_store *s)
{
    struct seen seen = {0};
    OK(hf_store_audit_list(s, hf_span_z(id), 0, 0, entry, &seen, &err) == 0);
    return seen;
}

static void one(struct hf_store *s)
{
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL, *same = NULL, *now = NULL;
    struct hf_inc_change ack = of(HF_INC_ACK, "ann", "");
    EQ_I(hf_desk_change(s, hf_span_z(id), &ack, 0, &i, &err), 1);
    EQ_S(hf_inc_get(i, "state"), "acknowledged");
    EQ_S(hf_inc_get(i, "acknowledged_by"), "ann");
    uint64_t revision = hf_inc_number(i, "revision");
    struct seen a = audited(s);
    EQ_U(a.n, 1);
    EQ_S(hf_span_z(a.last), "ann incident.ack open>acknowledged");
    EQ_I(hf_desk_change(s, hf_span_z(id), &ack, 0, &same, &err), 0); /* so already: nothing is written */
    EQ_U(hf_inc_number(same, "revision"), revision);
    EQ_U(audited(s).n, 1);
    struct hf_inc_change assign = of(HF_INC_ASSIGN, "ann", "bob");
    EQ_I(hf_desk_change(s, hf_span_z(id), &assign, revision + 1, NULL, &err), -ESTALE);
    OK(strstr(err.msg, "somebody changed it"));
    EQ_U(audited(s).n, 1);
    EQ_I(hf_desk_change(s, hf_span_z(id), &assign, revision, NULL, &err), 1);
    EQ_I(hf_desk_change(s, hf_span_z(id), &assign, revision, NULL, &err), -ESTALE);
    EQ_I(hf_desk_read(s, hf_span_z(id), &now, &err), 0);
    EQ_S(hf_inc_get(now, "assignee"), "bob");
    EQ_U(hf_inc_number(now, "revision"), revision + 1);
    EQ_U(audited(s).n, 2);
    struct hf_inc_change why = of(HF_INC_RESOLVE, "ann", "perhaps");
    EQ_I(hf_desk_change(s, hf_span_z(id), &why, 0, NULL, &err), HF_E_USAGE);
    EQ_I(hf_desk_change(s, HF_S("I-20000101-AAAAAA"), &ack, 0, NULL, &err), HF_E_NOT_FOUND);
    EQ_U(audited(s).n, 2);
}

/* Twelve at once, each with a handle of its own: all are kept, none twice. */
static void *commenter(void *arg)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    struct hf_err e;
    char text[40];
    size_t bad = hf_store_open(&s, url, &e) < 0;
    for (unsigned k = 0; k < 3 && !bad; k++) {
        snprintf(text, sizeof text, "%s-%u", (const char *)arg, k);
        struct hf_inc_change c = of(HF_INC_COMMENT, arg, text);
        bad += hf_desk_change(s, hf_span_z(id), &c, 0, NULL, &e) != 1;
        if (bad)
            printf("# %s\n", e.msg);
    }
    return (void *)bad;
}

static void many(struct hf_store *s)
{
    static char names[4][2] = {"a", "b", "c", "d"};
    pthread_t t[4];
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    unsigned before = audited(s).n, n = 0, each[4] = {0};
    for (size_t k = 0; k < 4; k++)
        OK(pthread_create(&t[k], NULL, commenter, names[k]) == 0);
    for (size_t k = 0; k < 4; k++) {
        void *bad = NULL;
        pthread_join(t[k], &bad);
        OK(!bad);
    }
    EQ_I(hf_desk_read(s, hf_span_z(id), &i, &err), 0);
    HF_JFOREACH(c, hf_jget(hf_inc_root(i), "comments")) {
        struct hf_span by = hf_jgetstr(c, "by");
        n++;
        for (size_t k = 0; k < 4; k++)
            each[k] += hf_span_eqz(by, names[k]);
    }
    EQ_U(n, 12);
    OK(each[0] == 3 && each[1] == 3 && each[2] == 3 && each[3] == 3);
    EQ_U(audited(s).n, before + 12);
    EQ_I(hf_store_audit_verify(s, NULL, NULL, &err), 0);
}

int main(void)
{
    char dir[] = "/tmp/hf-test-desk-XXXXXX", path[128];
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    OK(mkdtemp(dir) != NULL);
    snprintf(url, sizeof url, "sqlite:%s/s.db", dir);
    EQ_I(hf_store_open(&s, url, &err), 0);
    if (s) {
        make(s);
        one(s);
        many(s);
    }
    hf_store_close(hf_take(s));
    for (const char *const *end = (const char *const[]){"", "-wal", "-shm", NULL}; *end; end++) {
        snprintf(path, sizeof path, "%s/s.db%s", dir, *end);
        unlink(path);
    }
    rmdir(dir);
    return tap_done();
}
