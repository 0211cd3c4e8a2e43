// SPDX-License-Identifier: Apache-2.0
/* The judge, over a seal that is a table here. */
#include "guard/judge.h"

#include <sys/stat.h>

#include "tap.h"

struct hf_seal {
    const struct hf_seal_entry *e;
    size_t n;
    int fails; /* every look-up, with this */
};

int hf_seal_find(struct hf_seal *s, struct hf_span path, struct hf_seal_entry *ret, struct hf_err *err)
{
    if (s->fails)
        return hf_fail(err, s->fails, "damaged");
    for (size_t i = 0; i < s->n; i++)
        if (hf_span_eq(s->e[i].path, path)) {
            *ret = s->e[i];
            return 1;
        }
    return 0;
}

int hf_seal_find_sha256(struct hf_seal *s, const uint8_t d[32], struct hf_seal_entry *ret, struct hf_err *err)
{
    if (s->fails)
        return hf_fail(err, s->fails, "damaged");
    for (size_t i = 0; i < s->n; i++)
        if (s->e[i].has_sha256 && !memcmp(s->e[i].sha256, d, 32)) {
            *ret = s->e[i];
            return 1;
        }
    return 0;
}

struct hf_span hf_seal_package(const struct hf_seal *s, uint32_t i)
{
    (void)s;
    return i == 7 ? HF_S("coreutils 9.1-1") : HF_S("bash 5.2");
}

#define ENTRY(name, byte, pkg) {.path = {name, sizeof name - 1}, .mode = S_IFREG | 0755, .has_sha256 = true, .sha256 = {byte}, .package = pkg, .layer = UINT32_MAX}
static const struct hf_seal_entry files[] = {ENTRY("/bin/ls", 1, 7), ENTRY("/bin/sh", 2, 8), ENTRY("/opt/own", 3, UINT32_MAX),
        {.path = {"/bin/link", 9}, .mode = S_IFLNK | 0777, .package = UINT32_MAX}};
static struct hf_seal seal = {files, HF_ARRAY_LEN(files), 0};

static struct hf_judgement look(struct hf_seal *s, const char *path, enum hf_where where, int content /* < 0: not read */)
{
    struct hf_judge_in in = {.path = hf_span_z(path), .where = where, .has_got = content >= 0, .got = {(uint8_t)content}};
    struct hf_judgement j = {.verdict = 99, .has_want = true, .package_n = 5};
    (void)hf_judge(s, &in, &j, NULL);
    return j;
}

int main(void)
{
    struct hf_judgement j = look(&seal, "/bin/ls", HF_WHERE_ROOT, 1);
    EQ_U(j.verdict, HF_VERDICT_SEALED);
    OK(j.has_want && j.want[0] == 1);
    EQ_S(hf_span(j.package, j.package_n), "coreutils 9.1-1");
    j = look(&seal, "/bin/ls", HF_WHERE_ROOT, 9);
    EQ_U(j.verdict, HF_VERDICT_CHANGED);
    OK(j.has_got && j.got[0] == 9 && j.has_want && j.want[0] == 1 && j.sealed_path_n == 0);
    EQ_S(hf_span(j.package, j.package_n), "coreutils 9.1-1");
    j = look(&seal, "/bin/ls", HF_WHERE_ROOT, 2); /* sh in the place of ls */
    EQ_U(j.verdict, HF_VERDICT_CHANGED);
    EQ_S(hf_span(j.sealed_path, j.sealed_path_n), "/bin/sh");
    EQ_S(hf_span(j.package, j.package_n), "coreutils 9.1-1");
    j = look(&seal, "/tmp/x", HF_WHERE_ROOT, 2);
    EQ_U(j.verdict, HF_VERDICT_MOVED);
    EQ_S(hf_span(j.sealed_path, j.sealed_path_n), "/bin/sh");
    EQ_S(hf_span(j.package, j.package_n), "bash 5.2");
    OK(!j.has_want);
    j = look(&seal, "/tmp/x", HF_WHERE_ROOT, 9);
    EQ_U(j.verdict, HF_VERDICT_FOREIGN);
    OK(!j.has_want && j.package_n == 0 && j.sealed_path_n == 0);
    EQ_U(look(&seal, "/opt/own", HF_WHERE_ROOT, 3).package_n, 0);
    j = look(&seal, "/bin/link", HF_WHERE_ROOT, 9); /* a link became a file */
    EQ_U(j.verdict, HF_VERDICT_CHANGED);
    OK(!j.has_want);
    EQ_U(look(&seal, "/data/x", HF_WHERE_VOLUME, 9).verdict, HF_VERDICT_VOLUME);
    EQ_U(look(&seal, "/bin/ls", HF_WHERE_VOLUME, 9).verdict, HF_VERDICT_VOLUME); /* a volume over the path */
    EQ_U(look(&seal, "/bin/ls", HF_WHERE_VOLUME, 1).verdict, HF_VERDICT_SEALED); /* filled from the image */
    EQ_U(look(&seal, "/bin/ls", HF_WHERE_MEMORY, -1).verdict, HF_VERDICT_MEMORY);
    EQ_U(look(NULL, "/bin/ls", HF_WHERE_MEMORY, -1).verdict, HF_VERDICT_MEMORY);
    EQ_U(look(NULL, "/bin/ls", HF_WHERE_ROOT, 1).verdict, HF_VERDICT_UNSEALED);
    EQ_U(look(NULL, "/data/x", HF_WHERE_VOLUME, 1).verdict, HF_VERDICT_VOLUME);
    EQ_U(look(&seal, "/bin/ls", HF_WHERE_ROOT, -1).verdict, HF_VERDICT_UNREADABLE);
    struct hf_seal damaged = {files, HF_ARRAY_LEN(files), HF_E_DIGEST};
    struct hf_judge_in in = {.path = HF_S("/bin/ls"), .has_got = true, .got = {1}};
    struct hf_err err = HF_ERR_INIT;
    EQ_I(hf_judge(&damaged, &in, &j, &err), HF_E_DIGEST);
    EQ_U(j.verdict, HF_VERDICT_UNSEALED); /* never sealed on the word of one that is damaged */
    static char deep[8192];
    memset(deep, 'a', sizeof deep - 1);
    deep[0] = '/';
    EQ_U(look(&seal, deep, HF_WHERE_ROOT, 9).verdict, HF_VERDICT_FOREIGN);
    return tap_done();
}
