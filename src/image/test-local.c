/* SPDX-License-Identifier: Apache-2.0 */
#include "image/local.h"

#include "tap.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:1111112222222222222222222222222222222222222222222222222222222222"

/* What is chosen of these names, each with a digest of its own ("A", "B", ...). */
static int chosen(const char *asked, const char *const *names, struct hf_local *l)
{
    static const char *const digests[] = {"A", "B", "C", "D"};
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_local_init(l, hf_span_z(asked), &err);
    for (size_t i = 0; rc == 0 && names[i]; i++)
        rc = hf_local_found(l, hf_local_name(l, hf_span_z(names[i])), hf_span_z(digests[i]), hf_span_z(names[i]), hf_span_z(digests[i]), &err);
    return rc < 0 ? rc : hf_local_end(l, "the store", &err);
}

static void names(void)
{
    static const char *const all[] = {"registry.example.org/team/app:1", "docker.io/library/app:1", "localhost:5000/app:latest", NULL};
    static const char *const two[] = {"a.example/x/app:1", "b.example/y/app:1", NULL};
    static const struct {
        const char *asked, *digest;
    } cases[] = {{"registry.example.org/team/app:1", "A"}, {"team/app:1", "A"}, {"app:1", "B"}, {"localhost:5000/app", "C"}, {"app", "C"}, {"localhost:5000/app:latest", "C"}};
    struct hf_local l;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EQ_I(chosen(cases[i].asked, all, &l), 1);
        EQ_S(l.digest, cases[i].digest);
        hf_local_done(&l);
    }
    static const char *const none[] = {"pp:1", "app:2", "eam/app:1", "App:1", "app:1@" D1, NULL};
    for (size_t i = 0; none[i]; i++) {
        EQ_I(chosen(none[i], all, &l), 0);
        hf_local_done(&l);
    }
    EQ_I(chosen("app:1", two, &l), HF_E_USAGE);
    hf_local_done(&l);
    EQ_I(chosen("x/app:1", two, &l), 1);
    EQ_S(l.digest, "A");
    hf_local_done(&l);
    static const char *const bad[] = {"", "a b", "a\n", "a@b", "a@sha256:12", "@", NULL};
    for (size_t i = 0; bad[i]; i++) {
        EQ_I(chosen(bad[i], all, &l), HF_E_USAGE);
        hf_local_done(&l);
    }
}

static void digests(void)
{
    struct hf_local l;
    struct hf_err err = HF_ERR_INIT;
    static const struct {
        const char *asked;
        bool first, second;
    } cases[] = {{D1, true, false}, {"name@" D2, false, true}, {"111111", true, true}, {"1111111", true, false}, {"11111", false, false}, {"sha256:1111112", false, true}, {"111111g", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EQ_I(hf_local_init(&l, hf_span_z(cases[i].asked), &err), 0);
        OK((hf_local_digest(&l, HF_S(D1)) != 0) == cases[i].first);
        OK((hf_local_digest(&l, hf_span_from(HF_S(D2), 7)) != 0) == cases[i].second);
        EQ_U(hf_local_digest(&l, HF_S("sha256:1111")), 0);
        hf_local_done(&l);
    }
    /* the same image under several names is one */
    EQ_I(hf_local_init(&l, HF_S("app"), &err), 0);
    EQ_I(hf_local_found(&l, 1, HF_S(D1), HF_S("a/app"), HF_S(""), &err), 0);
    EQ_I(hf_local_found(&l, 1, HF_S(D1), HF_S("b/app"), HF_S(""), &err), 0);
    EQ_I(hf_local_end(&l, "the store", &err), 1);
    hf_local_done(&l);
}

int main(void)
{
    names();
    digests();
    return tap_done();
}
