// SPDX-License-Identifier: Apache-2.0
/* The hand: what it takes, what it refuses, and what comes back.  Started with arguments this program plays the one that the hand starts. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "hand/run.h"
#include "hand/hand.h"
#include "hand/serve.h"
#include "tap.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct hf_hask_place place = {.state = "/var/state", .exceptions = "/etc/x.yaml", .db = "/var/db", .ignore = "/etc/i.yaml", .verify_ignore = " /tmp/**  /run/** ", .force = true};

static int reads(const char *json, struct hf_hask *a, struct hf_err *err)
{
    *err = (struct hf_err)HF_ERR_INIT;
    return hf_hask_read(a, hf_span_z(json), &place, err);
}

static void joined(const struct hf_hask *a, struct hf_buf *out)
{
    for (size_t i = 0; i < a->argc; i++)
        hf_buf_addf(out, "%s%s", i ? " " : "", a->argv[i]);
}

static void test_taken(void)
{
    static const struct {
        const char *json, *argv;
    } v[] = {
            {"{\"id\":1,\"do\":\"act\",\"action\":\"freeze\",\"container\":\"" ID "\",\"by\":\"anna\",\"via\":\"console\"}", "respond freeze --json --state=/var/state --why=anna via console -- " ID},
            {"{\"id\":1,\"do\":\"act\",\"action\":\"kill\",\"container\":\"" ID "\",\"by\":\"-x\",\"via\":\"slack\",\"why\":\"--force\",\"pid\":4711,\"dry_run\":true}",
                    "respond kill --json --state=/var/state --why=-x via slack: --force --dry-run --pid=4711 -- " ID},
            {"{\"id\":1,\"do\":\"act\",\"action\":\"isolate\",\"container\":\"" ID "\",\"by\":\"a\",\"via\":\"api\",\"for\":\"15m\",\"allow\":[\"10.0.0.1\",\"[fd00::/8]:443\"],\"force\":true}",
                    "respond isolate --json --state=/var/state --why=a via api --force --for=15m --allow=10.0.0.1 --allow=[fd00::/8]:443 -- " ID},
            {"{\"id\":1,\"do\":\"act\",\"action\":\"limit\",\"container\":\"" ID "\",\"by\":\"a\",\"via\":\"api\",\"packets\":100,\"connections\":5}",
                    "respond limit --json --state=/var/state --why=a via api --packets=100 --connections=5 -- " ID},
            {"{\"id\":9,\"do\":\"scan\",\"image\":\"registry.example.org:5000/shop/web:1.2\",\"digest\":\"sha256:" ID "\"}",
                    "scan --format=json --quiet --jobs=1 --db=/var/db --state=/var/state --ignore-file=/etc/i.yaml -- image:registry.example.org:5000/shop/web:1.2"},
            {"{\"id\":9,\"do\":\"scan\",\"image\":\"container:" ID "\"}", "scan --format=json --quiet --jobs=1 --db=/var/db --state=/var/state --ignore-file=/etc/i.yaml -- container:" ID},
            {"{\"id\":9,\"do\":\"except\",\"alert\":\"{\\\"id\\\":\\\"ABCDEFGHIJKLMNOPQRSTUVWXYZ\\\"}\",\"by\":\"anna\",\"via\":\"console\",\"why\":\"nightly\",\"expires\":\"2027-01-31\",\"dry_run\":true}",
                    "rules except --from=- --exceptions=/etc/x.yaml --owner=anna --why=nightly --expires=2027-01-31 --dry-run -- ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
            {"{\"id\":9,\"do\":\"verify\",\"container\":\"" ID "\",\"by\":\"holdfast\",\"via\":\"hub\"}",
                    "seal verify --json --idle --state=/var/state --ignore=/tmp/** --ignore=/run/** -- container:" ID},
            {"{\"id\":9,\"do\":\"protect\"}", "protect status --json --state=/var/state"},
            {"{\"id\":9,\"do\":\"list\"}", "respond list --json --state=/var/state"},
            {"{\"id\":9,\"do\":\"inuse\",\"by\":\"holdfast\",\"via\":\"hub\"}", "inuse --json --state=/var/state"},
            {"{\"id\":9,\"do\":\"seals\",\"by\":\"holdfast\",\"via\":\"hub\"}", "seal list --json --state=/var/state"},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(v); i++) {
        struct hf_hask a;
        struct hf_err err;
        hf_autobuf text = HF_BUF_INIT(65536);
        EQ_I(reads(v[i].json, &a, &err), 0);
        if (err.msg[0])
            printf("# %s\n", err.msg);
        joined(&a, &text);
        EQ_S(hf_buf_span(&text), v[i].argv);
        hf_hask_done(&a);
    }
}

/* Each is refused, with a message that names what is wrong with it. */
static void test_refused(void)
{
#define ACT "{\"id\":1,\"do\":\"act\",\"by\":\"a\",\"via\":\"api\",\"container\":\"" ID "\","
#define EXC "{\"id\":1,\"do\":\"except\",\"by\":\"a\",\"via\":\"api\",\"why\":\"w\","
    static const struct {
        const char *json, *says;
    } v[] = {
            {"", "empty"}, {"[]", "\"id\""}, {"{}", "\"id\""}, {"{\"id\":0,\"do\":\"protect\"}", "\"id\""}, {"{\"id\":1.5,\"do\":\"protect\"}", "\"id\""},
            {"{\"id\":\"1\",\"do\":\"protect\"}", "\"id\""}, {"{\"id\":1e30,\"do\":\"protect\"}", "\"id\""}, {"{\"id\":1}", "\"do\""}, {"{\"id\":1,\"do\":\"shell\"}", "\"do\""},
            {"{\"id\":1,\"do\":\"protect\",\"state\":\"/etc\"}", "\"state\""}, {"{\"id\":1,\"do\":\"scan\",\"image\":\"a\",\"argv\":[\"--output=/etc/passwd\"]}", "\"argv\""},
            {"{\"id\":1,\"do\":\"scan\",\"image\":\"a\",\"image\":\"b\"}", "twice"}, {"{\"id\":1,\"do\":\"scan\"}", "\"image\" is missing"},
            {"{\"id\":1,\"do\":\"scan\",\"image\":\"/etc/shadow\"}", "\"image\""}, {"{\"id\":1,\"do\":\"scan\",\"image\":\"--output=/etc/passwd\"}", "\"image\""},
            {"{\"id\":1,\"do\":\"scan\",\"image\":\"dir:/ x\"}", "\"image\""}, {"{\"id\":1,\"do\":\"scan\",\"image\":\"../x\"}", "\"image\""}, {"{\"id\":1,\"do\":\"scan\",\"image\":\"a/../../x\"}", "\"image\""},
            {"{\"id\":1,\"do\":\"scan\",\"image\":\"a$(id)\"}", "\"image\""}, {"{\"id\":1,\"do\":\"scan\",\"image\":[\"a\"]}", "\"image\" is not a text"},
            {"{\"id\":1,\"do\":\"scan\",\"image\":\"container:web\"}", "\"image\""}, {"{\"id\":1,\"do\":\"scan\",\"image\":\"a\",\"digest\":\"sha256:zz\"}", "\"digest\""},
            {ACT "\"action\":\"reboot\"}", "\"action\""}, {ACT "\"action\":\"freeze\",\"container\":\"x\"}", "twice"},
            {"{\"id\":1,\"do\":\"act\",\"by\":\"a\",\"via\":\"api\",\"action\":\"kill\",\"container\":\"--pid=1\"}", "\"container\""},
            {"{\"id\":1,\"do\":\"act\",\"by\":\"a\",\"via\":\"api\",\"action\":\"kill\",\"container\":\"web\"}", "\"container\""},
            {"{\"id\":1,\"do\":\"act\",\"via\":\"api\",\"action\":\"kill\",\"container\":\"" ID "\"}", "\"by\" is missing"},
            {"{\"id\":1,\"do\":\"act\",\"by\":\"a\",\"action\":\"kill\",\"container\":\"" ID "\"}", "\"via\" is missing"},
            {"{\"id\":1,\"do\":\"act\",\"by\":\"a\\nb\",\"via\":\"api\",\"action\":\"kill\",\"container\":\"" ID "\"}", "\"by\""},
            {"{\"id\":1,\"do\":\"act\",\"by\":\"a\",\"via\":\"A B\",\"action\":\"kill\",\"container\":\"" ID "\"}", "\"via\""},
            {ACT "\"action\":\"freeze\",\"pid\":1}", "\"pid\" does not go with freeze"}, {ACT "\"action\":\"kill\",\"for\":\"15m\"}", "\"for\" does not go"},
            {ACT "\"action\":\"thaw\",\"force\":true}", "\"force\" does not go"}, {ACT "\"action\":\"kill\",\"pid\":-1}", "\"pid\""}, {ACT "\"action\":\"kill\",\"pid\":1.5}", "\"pid\""},
            {ACT "\"action\":\"kill\",\"pid\":4294967296}", "\"pid\""}, {ACT "\"action\":\"kill\",\"pid\":\"1\"}", "\"pid\""}, {ACT "\"action\":\"kill\",\"dry_run\":\"yes\"}", "\"dry_run\""},
            {ACT "\"action\":\"freeze\",\"for\":\"15m; id\"}", "\"for\""}, {ACT "\"action\":\"freeze\",\"for\":\"m\"}", "\"for\""}, {ACT "\"action\":\"isolate\",\"allow\":\"10.0.0.1\"}", "\"allow\" is not a list"},
            {ACT "\"action\":\"isolate\",\"allow\":[\"--force\"]}", "\"allow\""}, {ACT "\"action\":\"isolate\",\"allow\":[1]}", "\"allow\""}, {ACT "\"action\":\"limit\"}", "limit needs"},
            {EXC "\"alert\":\"no\"}", "\"alert\""}, {EXC "\"alert\":\"{}\"}", "no id"}, {EXC "\"alert\":\"{\\\"id\\\":\\\"--state=/etc\\\"}\"}", "no id"},
            {EXC "\"alert\":\"{\\\"id\\\":\\\"ABCDEFGHIJKLMNOP\\\"}\\n{}\"}", "\"alert\""}, {EXC "\"alert\":\"{\\\"id\\\":\\\"ABCDEFGHIJKLMNOP\\\"}\",\"expires\":\"2027-1-1\"}", "\"expires\""},
            {"{\"id\":1,\"do\":\"except\",\"by\":\"a\",\"via\":\"api\",\"alert\":\"{\\\"id\\\":\\\"ABCDEFGHIJKLMNOP\\\"}\"}", "\"why\" is missing"},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(v); i++) {
        struct hf_hask a;
        struct hf_err err;
        int rc = reads(v[i].json, &a, &err);
        bool named = hf_span_search(hf_span_z(err.msg), hf_span_z(v[i].says)) != SIZE_MAX;
        OK(rc < 0 && named);
        if (rc == 0 || !named)
            printf("# %s: %s\n", v[i].json, err.msg);
        hf_hask_done(&a);
    }
    struct hf_hask_place weak = place;
    struct hf_hask a;
    struct hf_err err = HF_ERR_INIT;
    weak.force = false;
    EQ_I(hf_hask_read(&a, hf_span_z(ACT "\"action\":\"kill\",\"force\":true}"), &weak, &err), -EPERM);
    EQ_U(a.id, 1); /* so that it can be answered */
    hf_hask_done(&a);
    hf_autobuf big = HF_BUF_INIT(1u << 20);
    hf_buf_addz(&big, EXC "\"alert\":\"");
    while (big.n < HF_HAND_REQUEST_MAX)
        hf_buf_addc(&big, 'x');
    hf_buf_addz(&big, "\"}");
    EQ_I(hf_hask_read(&a, hf_buf_span(&big), &weak, &err), HF_E_LIMIT);
    hf_hask_done(&a);
}

/* ---- over the socket ---- */

static volatile int stop;
static uint64_t asked, refused;

static void *hand_thread(void *ctx)
{
    struct hf_err err = HF_ERR_INIT;
    return (void *)(intptr_t)hf_hand_run(ctx, &err);
}

struct many {
    struct hf_hand *h;
    unsigned good;
};
static void *asks(void *ctx)
{
    struct many *m = ctx;
    for (unsigned i = 0; i < 5; i++) {
        struct hf_err err = HF_ERR_INIT;
        hf_autobuf ret = HF_BUF_INIT(HF_HAND_RESULT_MAX);
        m->good += hf_hand_call(m->h, HF_S("{\"do\":\"protect\"}"), 20000, &ret, &err) == 0 && hf_span_starts(hf_buf_span(&ret), HF_S("protect status"));
    }
    return NULL;
}

static void test_socket(void)
{
    int hub[2], console[2];
    pthread_t t, threads[4];
    struct hf_err err = HF_ERR_INIT;
    struct hf_hand *h = NULL, *c = NULL;
    OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, hub) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, console) == 0);
    struct hf_hand_opts o = {.askers = {{"hub", hub[1], true}, {"console", console[1], false}}, .place = place, .stop = &stop, .wake_fd = -1, .asked = &asked, .refused = &refused};
    EQ_I(hf_hand_new(&h, hub[0], &err), 0);
    EQ_I(hf_hand_new(&c, console[0], &err), 0);
    EQ_I(pthread_create(&t, NULL, hand_thread, &o), 0);
    hf_autobuf ret = HF_BUF_INIT(HF_HAND_RESULT_MAX);

    EQ_I(hf_hand_call(h, HF_S("{\"do\":\"act\",\"action\":\"freeze\",\"container\":\"" ID "\",\"by\":\"a b\",\"via\":\"api\"}"), 20000, &ret, &err), 0);
    EQ_S(hf_buf_span(&ret), "respond freeze --json --state=/var/state --why=a b via api -- " ID "\n");
    hf_buf_clear(&ret);
    EQ_I(hf_hand_call(c, HF_S("{\"do\":\"act\",\"action\":\"freeze\",\"force\":true,\"container\":\"" ID "\",\"by\":\"a\",\"via\":\"console\"}"), 20000, &ret, &err), -EPERM);
    EQ_I(hf_hand_call(c, HF_S("{\"do\":\"scan\",\"image\":\"/etc/passwd\"}"), 20000, &ret, &err), HF_E_USAGE);
    EQ_I(hf_hand_call(c, HF_S("{\"do\":\"notify.test\",\"channel\":\"x\"}"), 20000, &ret, &err), HF_E_USAGE);
    EQ_U(ret.n, 0);

    /* what goes to standard input, and what an exception's answer is made of */
    EQ_I(hf_hand_call(c, HF_S("{\"do\":\"except\",\"alert\":\"{\\\"id\\\":\\\"ABCDEFGHIJKLMNOP\\\"}\",\"why\":\"w\",\"by\":\"a\",\"via\":\"api\"}"), 20000, &ret, &err), 0);
    EQ_S(hf_buf_span(&ret), "{\"file\":\"/etc/x.yaml\",\"text\":\"{\\\"id\\\":\\\"ABCDEFGHIJKLMNOP\\\"}\"}");
    hf_buf_clear(&ret);

    /* a command that fails: its last line is the reason; one that ends with 4 has a result */
    EQ_I(hf_hand_call(h, HF_S("{\"do\":\"scan\",\"image\":\"fails\"}"), 20000, &ret, &err), -EIO);
    EQ_S(hf_span_z(err.msg), "there is no such image");
    EQ_I(hf_hand_call(h, HF_S("{\"do\":\"scan\",\"image\":\"incomplete\"}"), 20000, &ret, &err), 0);
    OK(hf_span_starts(hf_buf_span(&ret), HF_S("scan ")));
    hf_buf_clear(&ret);
    EQ_I(hf_hand_call(h, HF_S("{\"do\":\"scan\",\"image\":\"large\"}"), 60000, &ret, &err), HF_E_LIMIT);
    EQ_I(hf_hand_call(h, HF_S("{\"do\":\"scan\",\"image\":\"env\"}"), 20000, &ret, &err), 0);
    OK(hf_span_search(hf_buf_span(&ret), HF_S("SECRET")) == SIZE_MAX && hf_span_search(hf_buf_span(&ret), HF_S("HOLDFAST_X=1")) != SIZE_MAX);

    /* one scan at a time; who does not wait long enough is told so */
    EQ_I(hf_hand_call(h, HF_S("{\"do\":\"scan\",\"image\":\"slow\"}"), 100, NULL, &err), -ETIMEDOUT);
    EQ_I(hf_hand_call(c, HF_S("{\"do\":\"scan\",\"image\":\"slow\"}"), 5000, NULL, &err), -EBUSY);

    struct many m[4] = {{h, 0}, {h, 0}, {c, 0}, {c, 0}};
    for (unsigned i = 0; i < 4; i++)
        EQ_I(pthread_create(&threads[i], NULL, asks, &m[i]), 0);
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        EQ_U(m[i].good, 5);
    }
    EQ_U(asked, 31);
    EQ_U(refused, 4);
    stop = 1;
    struct hf_err e2 = HF_ERR_INIT;
    (void)!hf_hand_call(h, HF_S("{\"do\":\"protect\"}"), 100, NULL, &e2); /* wakes it */
    pthread_join(t, NULL);
    close(hub[1]);
    EQ_I(hf_hand_call(h, HF_S("{\"do\":\"protect\"}"), 1000, NULL, &err), -ECONNRESET);
    hf_hand_free(h);
    hf_hand_free(c);
    close(console[1]);
}

/* The hand ends while it is asked: whoever waits hears of it at once, from the one that comes after it. */
static void *later(void *ctx)
{
    poll(NULL, 0, 100);
    hf_serve_hello(*(int *)ctx);
    return NULL;
}
static void test_hello(void)
{
    int pair[2];
    pthread_t t;
    struct hf_err err = HF_ERR_INIT;
    struct hf_hand *h = NULL;
    OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    EQ_I(hf_hand_new(&h, pair[0], &err), 0);
    EQ_I(pthread_create(&t, NULL, later, &pair[1]), 0);
    EQ_I(hf_hand_call(h, HF_S("{\"do\":\"protect\"}"), 60000, NULL, &err), -ECONNRESET);
    pthread_join(t, NULL);
    hf_hand_free(h);
    close(pair[1]);
}

/* What the hand starts: itself, this program. */
static int play(int argc, char **argv)
{
    const char *last = argv[argc - 1];
    char line[4096];
    if (!strcmp(last, "image:fails")) {
        fputs("holdfast: warning: first\nholdfast: error: there is no such image\n", stderr);
        return 3;
    }
    if (!strcmp(last, "image:slow"))
        poll(NULL, 0, 2000);
    if (!strcmp(last, "image:large")) {
        memset(line, 'x', sizeof line);
        for (size_t i = 0; i <= HF_HAND_RESULT_MAX / sizeof line; i++)
            fwrite(line, 1, sizeof line, stdout);
        return 0;
    }
    if (!strcmp(last, "image:env")) {
        for (char **e = environ; *e; e++)
            puts(*e);
        return 0;
    }
    if (!strcmp(argv[1], "rules")) {
        size_t n = fread(line, 1, sizeof line - 1, stdin);
        line[n] = 0;
        printf("/etc/x.yaml:\n%s", line);
        return 0;
    }
    for (int i = 1; i < argc; i++)
        printf("%s%s", argv[i], i + 1 < argc ? " " : "\n");
    return !strcmp(last, "image:incomplete") ? 4 : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return play(argc, argv);
    hf_log_setup(HF_LOG_ERR, false);
    setenv("SECRET", "1", 1);
    setenv("HOLDFAST_X", "1", 1);
    test_taken();
    test_refused();
    test_socket();
    test_hello();
    return tap_done();
}
