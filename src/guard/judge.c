// SPDX-License-Identifier: Apache-2.0
#include "guard/judge.h"

#include <sys/stat.h>

static uint16_t copy_text(char to[HF_JUDGE_TEXT], struct hf_span s)
{
    size_t n = HF_MIN(s.n, (size_t)HF_JUDGE_TEXT);
    if (n)
        memcpy(to, s.p, n);
    return (uint16_t)n;
}

static void owner(struct hf_seal *seal, const struct hf_seal_entry *e, struct hf_judgement *ret)
{
    if (e->package != UINT32_MAX)
        ret->package_n = copy_text(ret->package, hf_seal_package(seal, e->package));
}

static int none(struct hf_judgement *ret, unsigned verdict)
{
    ret->verdict = verdict;
    return 0;
}

static bool is_content(const struct hf_seal_entry *e, const uint8_t got[32])
{
    return S_ISREG(e->mode) && e->has_sha256 && !memcmp(e->sha256, got, 32);
}

int hf_judge(struct hf_seal *seal, const struct hf_judge_in *in, struct hf_judgement *ret, struct hf_err *err)
{
    struct hf_seal_entry e;
    ret->has_want = false;
    ret->sealed_path_n = ret->package_n = 0;
    ret->has_got = in->has_got;
    memcpy(ret->got, in->got, sizeof ret->got);
    if (in->where == HF_WHERE_MEMORY)
        return none(ret, HF_VERDICT_MEMORY);
    if (!seal)
        return none(ret, in->where == HF_WHERE_VOLUME ? HF_VERDICT_VOLUME : HF_VERDICT_UNSEALED);
    if (!in->has_got)
        return none(ret, HF_VERDICT_UNREADABLE);
    int rc = hf_seal_find(seal, in->path, &e, err);
    if (rc < 0)
        goto unreadable;
    if (rc > 0 && is_content(&e, in->got)) {
        owner(seal, &e, ret);
        ret->has_want = true;
        memcpy(ret->want, e.sha256, 32);
        return none(ret, HF_VERDICT_SEALED);
    }
    bool known = rc > 0;
    if (known) {
        owner(seal, &e, ret);
        ret->has_want = S_ISREG(e.mode) && e.has_sha256;
        if (ret->has_want)
            memcpy(ret->want, e.sha256, 32);
    }
    rc = hf_seal_find_sha256(seal, in->got, &e, err);
    if (rc < 0)
        goto unreadable;
    if (rc > 0) {
        ret->sealed_path_n = copy_text(ret->sealed_path, e.path);
        if (!known)
            owner(seal, &e, ret);
    }
    return none(ret, in->where == HF_WHERE_VOLUME ? HF_VERDICT_VOLUME : known ? HF_VERDICT_CHANGED : rc > 0 ? HF_VERDICT_MOVED : HF_VERDICT_FOREIGN);
unreadable:
    ret->verdict = HF_VERDICT_UNSEALED;
    ret->has_want = false;
    ret->sealed_path_n = ret->package_n = 0;
    return rc;
}
