// SPDX-License-Identifier: Apache-2.0
#include "console/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/hash.h"
#include "store/settings.h"

void hf_rec_secret_key(const char *kind, struct hf_span secret, char ret[HF_REC_KEY])
{
    struct hf_digest d;
    char hex[65];
    hf_digest_of(HF_SHA256, secret, &d);
    hf_hex(d.b, 32, hex);
    snprintf(ret, HF_REC_KEY, "console/%s/%s", kind, hex);
}

void hf_rec_name_key(const char *kind, struct hf_span name, char ret[HF_REC_KEY])
{
    snprintf(ret, HF_REC_KEY, "console/%s/%.*s", kind, (int)HF_MIN(name.n, (size_t)HF_USER_MAX + 8), name.p ? name.p : "");
}

int hf_rec_get(struct hf_store *s, const char *key, struct hf_json_doc **ret, struct hf_err *err)
{
    hf_autobuf b = HF_BUF_INIT(HF_REC_MAX);
    int rc = hf_store_setting_get(s, hf_span_z(key), &b, err);
    if (rc <= 0)
        return rc;
    rc = hf_json_parse(hf_buf_span(&b), ret, err);
    return rc < 0 ? hf_wrap(err, rc, "setting %s", key) : 1;
}

uint64_t hf_rec_u64(hf_jnode object, const char *name)
{
    double v = 0;
    return hf_jnum(hf_jget(object, name), &v) && v >= 0 && v < 9e15 ? (uint64_t)v : 0;
}

struct page {
    struct hf_buf keys; /* key, tab, value, newline; neither has those */
    char last[HF_REC_KEY];
    unsigned n;
};

static int collect(void *ctx, struct hf_span key, struct hf_span value, int64_t changed)
{
    struct page *p = ctx;
    (void)changed;
    p->n++;
    snprintf(p->last, sizeof p->last, "%.*s", (int)HF_MIN(key.n, sizeof p->last - 1), key.p);
    hf_buf_adds(&p->keys, key);
    hf_buf_addc(&p->keys, '\t');
    hf_buf_adds(&p->keys, value);
    hf_buf_addc(&p->keys, '\n');
    return 0;
}

int hf_rec_each(struct hf_store *s, const char *kind, hf_rec_cb cb, void *ctx, struct hf_err *err)
{
    struct page p = {.keys = HF_BUF_INIT(8u << 20)};
    char prefix[HF_REC_KEY];
    int rc = 0;
    snprintf(prefix, sizeof prefix, "console/%s/", kind);
    do {
        struct hf_span rest, line, key;
        hf_buf_clear(&p.keys);
        p.n = 0;
        rc = hf_store_setting_list(s, hf_span_z(prefix), hf_span_z(p.last), 500, collect, &p, err);
        if (rc == 0 && !hf_buf_ok(&p.keys))
            rc = hf_fail(err, HF_E_LIMIT, "the records of console/%s take more memory than they may", kind);
        rest = hf_buf_span(&p.keys);
        while (rc == 0 && hf_span_cut(&rest, '\n', &line)) {
            hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
            if (!hf_span_cut(&line, '\t', &key) || hf_json_parse(line, &doc, NULL) < 0) /* a damaged record is nobody's */
                continue;
            rc = cb(ctx, key, hf_span_from(key, strlen(prefix)), hf_json_root(doc));
        }
    } while (rc == 0 && p.n == 500);
    hf_buf_done(&p.keys);
    return rc;
}

int hf_secret_new(char ret[HF_SECRET_TEXT], struct hf_err *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t b[33] = {0};
    if (getrandom(b, 32, 0) != 32)
        return hf_fail(err, -EIO, "the system gives no random bytes");
    for (unsigned i = 0, o = 0; i < 33; i += 3) {
        uint32_t v = (uint32_t)b[i] << 16 | (uint32_t)b[i + 1] << 8 | b[i + 2];
        for (unsigned k = 0; k < 4 && o < HF_SECRET_TEXT - 1; k++)
            ret[o++] = digits[v >> (18 - 6 * k) & 63];
    }
    ret[HF_SECRET_TEXT - 1] = 0;
    return 0;
}

bool hf_secret_eq(struct hf_span a, struct hf_span b)
{
    return a.n == b.n && a.n && CRYPTO_memcmp(a.p, b.p, a.n) == 0;
}
