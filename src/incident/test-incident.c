// SPDX-License-Identifier: Apache-2.0
/* The correlator over a recorded story (tests/corpus/fuzz-correlate/story.ndjson: a web container reached from outside, which talks to a database, which starts a
 * shell) and over alerts made for one question each; changes; exports. */
#include "incident/correlate.h"

#include "../../tests/tap.h"

static char *file(const char *name, size_t *n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/corpus/fuzz-correlate/%s", getenv("HF_SOURCE_ROOT"), name);
    FILE *f = fopen(path, "re");
    char *text = malloc(4 << 20);
    *n = f && text ? fread(text, 1, 4 << 20, f) : 0;
    if (f)
        fclose(f);
    return text;
}

struct seen {
    unsigned n;
    char ids[64][32];
    uint64_t base[64];
    struct hf_buf doc; /* the last one */
    char docs[8][HF_INC_MAX + 1];
};

static int keep(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *err)
{
    struct seen *s = ctx;
    (void)err;
    if (s->n < 64) {
        snprintf(s->ids[s->n], sizeof s->ids[0], "%s", hf_inc_get(i, "id").p);
        s->base[s->n] = base;
    }
    hf_buf_clear(&s->doc);
    hf_inc_write(i, false, &s->doc);
    if (s->n < 8)
        snprintf(s->docs[s->n], sizeof s->docs[0], "%s", hf_buf_z(&s->doc));
    s->n++;
    return 0;
}

static struct seen seen;

static void fresh(void)
{
    hf_buf_done(&seen.doc);
    memset(&seen, 0, sizeof seen);
    hf_buf_init(&seen.doc, HF_INC_MAX);
}

static struct hf_inc *doc(unsigned k)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_inc *i = NULL;
    if (!OK(k < seen.n && k < 8 && hf_inc_parse(hf_span_z(seen.docs[k]), &i, &err) == 0))
        printf("# %s\n", err.msg);
    return i;
}

/* An alert: container id and name, rule, severity, seconds after the hour, image, pid, more members. */
static int tell(struct hf_corr *c, const char *box, const char *rule, const char *severity, unsigned second, const char *image, unsigned pid, const char *more)
{
    static unsigned n;
    char line[8192];
    struct hf_err err = HF_ERR_INIT;
    snprintf(line, sizeof line,
            "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:%02u:%02u.000000000Z\",\"type\":\"alert\",\"id\":\"01M8CQEFC5001C172PPZ%06u\",\"rule\":\"%s\",\"severity\":\"%s\",\"tactics\":[\"execution\"],"
            "\"techniques\":[\"T1059\"],\"summary\":\"s\",\"count\":1,\"event_type\":\"exec\",%s%s%s%s%s%s%s\"process\":{\"pid\":%u,\"exe\":\"/bin/x\",\"name\":\"x\",\"ancestors\":[%s]}}",
            second / 60, second % 60, ++n, rule, severity, *box ? "\"container\":{\"id\":\"" : "", box, *box ? "\",\"name\":\"n-" : "", box, *box ? "\",\"image_digest\":\"" : "", image, *box ? "\"}," : "", pid,
            more);
    int rc = hf_corr_line(c, hf_span_z(line), &err);
    if (rc < 0)
        printf("# %s\n", err.msg);
    return rc;
}

static int talk(struct hf_corr *c, const char *from, const char *to, unsigned second)
{
    char line[2048];
    struct hf_err err = HF_ERR_INIT;
    snprintf(line, sizeof line,
            "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:%02u:%02u.5Z\",\"type\":\"connect\",\"container\":{\"id\":\"%s\",\"name\":\"a\"},\"connect\":{\"peer_container\":{\"id\":\"%s\",\"name\":\"b\"},"
            "\"peer_port\":5432}}",
            second / 60, second % 60, from, to);
    return hf_corr_line(c, hf_span_z(line), &err);
}

static struct hf_corr *corr(void)
{
    fresh();
    return hf_corr_new(HF_S("h"));
}

static unsigned flushed(struct hf_corr *c)
{
    struct hf_err err = HF_ERR_INIT;
    fresh();
    OK(hf_corr_flush(c, keep, &seen, &err) == 0);
    return seen.n;
}

static size_t count(hf_jnode list)
{
    size_t n = 0;
    HF_JFOREACH(e, list) n++;
    return n;
}

static void the_story(void)
{
    size_t n;
    char *text = file("story.ndjson", &n);
    struct hf_err err = HF_ERR_INIT;
    struct hf_span rest = hf_span(text, n), line;
    hf_cleanup(hf_corr_freep) struct hf_corr *c = corr();
    bool first = true;
    while (hf_span_line(&rest, &line)) {
        if (hf_span_search(line, HF_S("\"name\":\"other\"")) != SIZE_MAX || hf_span_search(line, HF_S("\"container_name\":\"other\"")) != SIZE_MAX)
            continue; /* another container of the same image, of which other tests are */
        int rc = hf_corr_line(c, line, &err);
        OK(rc >= 0);
        if (hf_span_search(line, HF_S("\"type\":\"alert\"")) != SIZE_MAX && first) {
            EQ_I(rc, 1);
            first = false;
        }
    }
    EQ_U(flushed(c), 1);
    hf_cleanup(hf_inc_freep) struct hf_inc *i = doc(0);
    hf_jnode root = hf_inc_root(i), g = hf_jget(root, "graph");
    EQ_S(hf_inc_get(i, "severity"), "critical");
    EQ_S(hf_inc_get(i, "title"), "Shell on a network connection in web and 1 more");
    EQ_S(hf_inc_get(i, "summary"), "In container web (box:1), reached from 127.0.0.1: \"Shell on a network connection\". Then in container db (box:1), reached from container web: \"Shell on a network connection\", "
                                   "\"Executable put into a loose place\", \"Dropped program ran from a loose place\" and 1 more. 12 alerts of 4 rules within 2 s.");
    EQ_U(count(hf_jget(root, "containers")), 2);
    EQ_U(hf_inc_number(i, "alerts"), 12);
    EQ_S(hf_jstr(hf_jfirst(hf_jget(root, "tactics"))), "execution");
    EQ_S(hf_jstr(hf_jnext(hf_jfirst(hf_jget(root, "tactics")))), "command_and_control");
    EQ_S(hf_jgetstr(hf_jfirst(hf_jget(root, "rules")), "rule"), "Shell on a network connection");
    struct hf_span web = {0}, db = {0};
    bool edge = false, miner = false, ordered = true;
    HF_JFOREACH(k, hf_jget(g, "nodes"))
    {
        if (hf_span_eqz(hf_jgetstr(k, "kind"), "container"))
            *(hf_span_eqz(hf_jgetstr(k, "label"), "web") ? &web : &db) = hf_jgetstr(k, "id");
        miner = miner || (hf_span_eqz(hf_jgetstr(k, "kind"), "file") && hf_span_eqz(hf_jgetstr(k, "label"), "/tmp/miner"));
    }
    HF_JFOREACH(e, hf_jget(g, "edges"))
        edge = edge || (hf_span_eq(hf_jgetstr(e, "from"), web) && hf_span_eq(hf_jgetstr(e, "to"), db) && hf_span_eqz(hf_jgetstr(e, "kind"), "connected"));
    OK(edge);
    OK(miner);
    struct hf_span before = {0};
    HF_JFOREACH(e, hf_jget(root, "timeline"))
    {
        ordered = ordered && hf_span_cmp(before, hf_jgetstr(e, "time")) <= 0;
        before = hf_jgetstr(e, "time");
    }
    OK(ordered);
    EQ_U(flushed(c), 0); /* told once */
    free(text);
}

static void what_joins(void)
{
    hf_cleanup(hf_corr_freep) struct hf_corr *c = corr();
    EQ_I(tell(c, "aaa", "R1", "high", 0, "", 10, ""), 1);
    EQ_I(tell(c, "aaa", "R2", "low", 60, "", 20, ""), 0); /* the container */
    EQ_I(tell(c, "aaa", "R2", "critical", 70, "", 20, ""), 1); /* and worse */
    EQ_I(tell(c, "bbb", "R1", "high", 61, "", 30, ""), 1); /* another */
    EQ_U(flushed(c), 2);
    EQ_U(seen.base[0], 0);
    /* a process of the host below one of the container: an escape */
    EQ_I(tell(c, "", "R3", "high", 80, "", 99, "{\"pid\":20,\"name\":\"x\"}"), 0);
    EQ_U(flushed(c), 1);
    EQ_U(seen.base[0], 1);
    /* the login's server is everybody's */
    EQ_I(tell(c, "", "R3", "high", 81, "", 201, "{\"pid\":200,\"name\":\"sshd\"}"), 1);
    EQ_I(tell(c, "", "R3", "high", 82, "", 202, "{\"pid\":200,\"name\":\"sshd\"}"), 1);
    EQ_I(tell(c, "", "R4", "high", 83, "", 203, "{\"pid\":202,\"name\":\"sh\"}"), 0);
    /* half an hour later it is another story */
    EQ_I(tell(c, "aaa", "R1", "high", 80 + 1801, "", 10, ""), 1);
}

static void peers_join(void)
{
    hf_cleanup(hf_corr_freep) struct hf_corr *c = corr();
    EQ_I(talk(c, "web", "db", 1), 0);
    EQ_I(tell(c, "web", "R1", "high", 2, "", 10, ""), 1);
    EQ_I(tell(c, "db", "R2", "low", 3, "", 20, ""), 0);
    EQ_I(tell(c, "far", "R2", "low", 3, "", 30, ""), 1);
    EQ_U(flushed(c), 2);
    /* the connection comes after both alerts: two become one, and the one that was told is told as merged */
    EQ_I(talk(c, "db", "far", 5), 1);
    EQ_U(flushed(c), 2);
    hf_cleanup(hf_inc_freep) struct hf_inc *gone = doc(0), *all = doc(1);
    EQ_S(hf_inc_get(gone, "merged_into"), hf_inc_get(all, "id").p);
    EQ_S(hf_inc_get(gone, "state"), "resolved");
    EQ_U(count(hf_jget(hf_inc_root(all), "containers")), 3);
    EQ_U(hf_inc_number(all, "alerts"), 3);
    EQ_U(hf_inc_number(all, "revision"), 2);
    /* noise does not join what talks */
    EQ_I(talk(c, "q1", "q2", 6), 0);
    EQ_I(tell(c, "q1", "R9", "notice", 7, "", 40, ""), 1);
    EQ_I(tell(c, "q2", "R9", "notice", 8, "", 41, ""), 1);
    /* nor does an old connection */
    EQ_I(tell(c, "web2", "R1", "high", 9, "", 50, ""), 1);
    EQ_I(talk(c, "web2", "late", 10), 0);
    EQ_I(tell(c, "late", "R1", "high", 10 + 1802, "", 60, ""), 1);
}

/* Alerts that come out of order stand in the story by their time, and a tactic in the middle of the chain has its place there. */
static void in_between(void)
{
    static const struct {
        const char *tactic, *rule;
        unsigned second;
    } alerts[] = {{"initial_access", "r1", 10}, {"impact", "r2", 50}, {"persistence", "r3", 30}, {"execution", "r4", 20}, {"discovery", "r5", 40}};
    struct hf_corr *c = corr();
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf got = HF_BUF_INIT(4096);
    for (size_t i = 0; i < HF_ARRAY_LEN(alerts); i++) {
        char line[1024];
        snprintf(line, sizeof line, "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:00:%02u.000000000Z\",\"type\":\"alert\",\"id\":\"01M8CQEFC5001C172PPQ00000%zu\",\"rule\":\"%s\",\"severity\":\"high\","
                                    "\"tactics\":[\"%s\"],\"summary\":\"s\",\"count\":1,\"event_type\":\"exec\",\"container\":{\"id\":\"x1\",\"name\":\"n\",\"labels\":{\"team\":\"shop\",\"note\":\"<i>\\u0007\"}}}",
                alerts[i].second, i, alerts[i].rule, alerts[i].tactic);
        OK(hf_corr_line(c, hf_span_z(line), &err) >= 0);
    }
    EQ_U(flushed(c), 1);
    struct hf_inc *i = doc(0);
    HF_JFOREACH(e, hf_jget(hf_inc_root(i), "timeline")) {
        hf_buf_adds(&got, hf_span_sub(hf_jgetstr(e, "time"), 17, 2));
        hf_buf_addc(&got, ' ');
    }
    EQ_S(hf_buf_span(&got), "10 20 30 40 50 ");
    hf_buf_clear(&got);
    HF_JFOREACH(e, hf_jget(hf_inc_root(i), "chain")) {
        hf_buf_adds(&got, hf_jgetstr(e, "tactic"));
        hf_buf_addc(&got, ' ');
    }
    EQ_S(hf_buf_span(&got), "initial_access execution persistence discovery impact ");
    hf_jnode labels = hf_jget(hf_jfirst(hf_jget(hf_inc_root(i), "containers")), "labels");
    EQ_S(hf_jgetstr(labels, "team"), "shop");
    EQ_S(hf_jgetstr(labels, "note"), "<i>\\x07");
    hf_inc_free(i);
    hf_corr_free(c);
}

static void removed_goes_on(void)
{
    hf_cleanup(hf_corr_freep) struct hf_corr *c = corr();
    tell(c, "aaa", "R1", "high", 0, "", 10, "");
    EQ_U(flushed(c), 1);
    char id[32];
    snprintf(id, sizeof id, "%s", seen.ids[0]);
    tell(c, "aaa", "R1", "high", 1, "", 10, "");
    hf_corr_lost(c, hf_span_z(id));
    EQ_U(flushed(c), 1);
    EQ_U(seen.base[0], 0);
    EQ_S(hf_span_z(seen.ids[0]), id);
    hf_cleanup(hf_inc_freep) struct hf_inc *i = doc(0);
    EQ_U(hf_inc_number(i, "alerts"), 2);
}

static void images_join(void)
{
    hf_cleanup(hf_corr_freep) struct hf_corr *c = corr();
    EQ_I(tell(c, "r1", "Miner", "high", 0, "sha256:aa", 1000, ""), 1);
    EQ_I(tell(c, "r2", "Miner", "high", 1, "sha256:aa", 2000, ""), 0);
    EQ_I(tell(c, "r3", "Other", "high", 2, "sha256:aa", 3000, ""), 1);
    EQ_I(tell(c, "r4", "Miner", "high", 3, "sha256:bb", 4000, ""), 1);
    EQ_U(flushed(c), 3);
    hf_cleanup(hf_inc_freep) struct hf_inc *i = doc(0);
    EQ_I(hf_inc_vulnerability(i, HF_S("sha256:aa"), HF_S("CVE-2024-3094"), HF_S("xz-utils 5.6.1"), true), 1);
    EQ_I(hf_inc_vulnerability(i, HF_S("sha256:aa"), HF_S("CVE-2024-3094"), HF_S("xz-utils 5.6.1"), true), 0); /* is there */
    hf_autobuf html = HF_BUF_INIT(1 << 20);
    hf_inc_html(i, &html);
    OK(hf_span_search(hf_buf_span(&html), HF_S(">CVE-2024-3094</text>")) != SIZE_MAX);
}

static void bounded(void)
{
    hf_cleanup(hf_corr_freep) struct hf_corr *c = corr();
    struct hf_corr_stats st;
    char name[32];
    for (unsigned k = 0; k < 2000; k++) {
        snprintf(name, sizeof name, "box%u", k);
        tell(c, name, "R", "high", k % 1700, "", 100000 + k, "");
    }
    hf_corr_stats(c, &st);
    EQ_U(st.held, HF_CORR_INCIDENTS_MAX);
    EQ_U(st.evicted, 2000 - HF_CORR_INCIDENTS_MAX);
    /* one container in which everything happens */
    hf_cleanup(hf_corr_freep) struct hf_corr *d = corr();
    for (unsigned k = 0; k < 3000; k++) {
        snprintf(name, sizeof name, "Rule %u", k % 500);
        tell(d, "one", name, "high", k % 1700, "", 100000 + k, "");
    }
    EQ_U(flushed(d), 1);
    OK(seen.doc.n > 1000 && seen.doc.n <= HF_INC_MAX);
    hf_cleanup(hf_inc_freep) struct hf_inc *i = doc(0);
    double dropped = 0;
    OK(hf_jnum(hf_jget(hf_jget(hf_inc_root(i), "graph"), "dropped"), &dropped) && dropped > 0);
    OK(hf_inc_number(i, "timeline_dropped") > 0 && hf_inc_number(i, "rules_dropped") > 0);
    EQ_U(hf_inc_number(i, "alerts"), 3000);
    OK(count(hf_jget(hf_jget(hf_inc_root(i), "graph"), "nodes")) <= HF_INC_NODES_MAX);
}

static int apply(struct hf_inc *i, enum hf_inc_verb verb, const char *text, struct hf_inc_audit *a, struct hf_err *err)
{
    struct hf_inc_change c = {.verb = verb, .time_ns = 1795723200000000000u, .by = HF_S("anna"), .via = HF_S("cli"), .text = hf_span_z(text), .target = HF_S("container db"), .result = HF_S("done")};
    return hf_inc_apply(i, &c, a, err);
}

static void changes(void)
{
    hf_cleanup(hf_corr_freep) struct hf_corr *c = corr();
    struct hf_inc_audit a;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf text = HF_BUF_INIT(HF_INC_MAX), big = HF_BUF_INIT(HF_INC_MAX);
    tell(c, "aaa", "R1", "high", 0, "", 10, "");
    flushed(c);
    hf_cleanup(hf_inc_freep) struct hf_inc *i = doc(0);
    EQ_I(apply(i, HF_INC_ACK, "", &a, &err), 1);
    EQ_S(hf_inc_get(i, "state"), "acknowledged");
    EQ_S(hf_inc_get(i, "acknowledged_by"), "anna");
    EQ_S(hf_span_z(a.what), "incident.ack");
    EQ_S(hf_span_z(a.before), "open");
    EQ_S(hf_span_z(a.after), "acknowledged");
    EQ_U(hf_inc_number(i, "revision"), 2);
    EQ_I(apply(i, HF_INC_ACK, "", &a, &err), 0);
    EQ_U(hf_inc_number(i, "revision"), 2);
    EQ_I(apply(i, HF_INC_ACTION, "freeze", &a, &err), 1);
    EQ_S(hf_inc_get(i, "state"), "contained");
    EQ_I(apply(i, HF_INC_ASSIGN, "bert", &a, &err), 1);
    EQ_I(apply(i, HF_INC_COMMENT, "two\nlines\033[31m", &a, &err), 1);
    EQ_S(hf_jgetstr(hf_jfirst(hf_jget(hf_inc_root(i), "comments")), "text"), "two\nlines\\x1b[31m");
    EQ_I(apply(i, HF_INC_RESOLVE, "fine", &a, &err), HF_E_USAGE);
    EQ_I(apply(i, HF_INC_RESOLVE, "benign", &a, &err), 1);
    EQ_S(hf_inc_get(i, "resolution"), "benign");
    EQ_S(hf_span_z(a.before), "contained");
    EQ_I(apply(i, HF_INC_ACK, "", &a, &err), HF_E_USAGE);
    hf_inc_write(i, false, &text);
    OK(hf_corr_take(c, hf_buf_span(&text), &err) == 0);
    tell(c, "aaa", "R1", "high", 5, "", 10, ""); /* benign, and nothing new */
    flushed(c);
    hf_cleanup(hf_inc_freep) struct hf_inc *still = doc(0);
    EQ_S(hf_inc_get(still, "state"), "resolved");
    EQ_S(hf_inc_get(still, "assignee"), "bert");
    EQ_U(hf_inc_number(still, "alerts"), 2);
    tell(c, "aaa", "R2", "high", 6, "", 10, ""); /* something new */
    flushed(c);
    hf_cleanup(hf_inc_freep) struct hf_inc *again = doc(0);
    EQ_S(hf_inc_get(again, "state"), "open");
    EQ_U(hf_inc_number(again, "reopened"), 1);
    EQ_I(apply(i, HF_INC_REOPEN, "", &a, &err), 1);
    EQ_S(hf_inc_get(i, "state"), "open");
    for (unsigned k = 0; k < HF_INC_TEXT_MAX + 1; k++)
        hf_buf_addc(&big, 'x');
    EQ_I(apply(i, HF_INC_COMMENT, hf_buf_z(&big), &a, &err), HF_E_LIMIT);
    for (unsigned k = 1; k < HF_INC_LIST_MAX; k++)
        OK(apply(i, HF_INC_COMMENT, "x", &a, &err) == 1);
    EQ_I(apply(i, HF_INC_COMMENT, "x", &a, &err), HF_E_LIMIT);
}

static void exports(void)
{
    size_t n;
    char *text = file("hostile.ndjson", &n);
    struct hf_err err = HF_ERR_INIT;
    struct hf_span rest = hf_span(text, n), line;
    hf_cleanup(hf_corr_freep) struct hf_corr *c = corr();
    hf_autobuf html = HF_BUF_INIT(4 << 20), md = HF_BUF_INIT(4 << 20), stix = HF_BUF_INIT(4 << 20), again = HF_BUF_INIT(4 << 20);
    while (hf_span_line(&rest, &line))
        (void)!hf_corr_line(c, line, &err);
    EQ_U(flushed(c), 1);
    hf_cleanup(hf_inc_freep) struct hf_inc *i = doc(0);
    EQ_I(hf_inc_vulnerability(i, HF_S("sha256:none"), HF_S("CVE-2024-1"), HF_S("openssl 3"), true), 0);
    hf_inc_html(i, &html);
    hf_inc_markdown(i, &md);
    hf_inc_stix(i, &stix);
    hf_inc_stix(i, &again);
    OK(hf_buf_ok(&html) && hf_buf_ok(&md) && hf_buf_ok(&stix));
    for (const char *const *bad = (const char *const[]){"<script", "<img", "<svg onload", "<b>", "\033", "\x07", "javascript:", "src=\"http", NULL}; *bad; bad++)
        EQ_U(hf_span_search(hf_buf_span(&html), hf_span_z(*bad)), SIZE_MAX);
    OK(hf_span_search(hf_buf_span(&html), HF_S("&lt;script&gt;alert(1)")) != SIZE_MAX);
    OK(hf_span_search(hf_buf_span(&md), HF_S("\\<script\\>alert")) != SIZE_MAX);
    EQ_U(hf_span_search(hf_buf_span(&md), HF_S(" <script")), SIZE_MAX);
    OK(hf_span_eq(hf_buf_span(&stix), hf_buf_span(&again)));
    free(text);
}

static void times(void)
{
    uint64_t ns;
    OK(hf_inc_time(HF_S("1970-01-01T00:00:00Z"), &ns) && ns == 0);
    OK(hf_inc_time(HF_S("2000-02-29T23:59:59.5Z"), &ns) && ns == 951868799500000000u);
    OK(hf_inc_time(HF_S("2026-11-26T20:06:14.661083741Z"), &ns) && ns == 1795723574661083741u);
    for (const char *const *bad = (const char *const[]){"", "2026-13-01T00:00:00Z", "2026-11-26 20:06:14Z", "2026-11-26T20:06:14.Z", "2026-11-26T20:06:14+01:00", "99999-11-26T20:06:14Z", NULL}; *bad; bad++)
        OK(!hf_inc_time(hf_span_z(*bad), &ns));
}

int main(void)
{
    times();
    the_story();
    what_joins();
    peers_join();
    images_join();
    in_between();
    removed_goes_on();
    bounded();
    changes();
    exports();
    hf_buf_done(&seen.doc);
    return tap_done();
}
