// SPDX-License-Identifier: Apache-2.0
#include "notify/text.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <time.h>

#include "base/hash.h"

void hf_ntext_cut(struct hf_buf *b, struct hf_span s, size_t max)
{
    size_t n = s.n;
    if (n > max) {
        n = max > 3 ? max - 3 : 0;
        while (n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
            n--;
    }
    hf_buf_adds(b, hf_span_sub(s, 0, n));
    if (n < s.n && max > 3)
        hf_buf_addz(b, "...");
}

void hf_ntext_markdown(struct hf_buf *b, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\n') {
            hf_buf_addc(b, ' ');
            continue;
        }
        if (strchr("\\`*_{}[]()<>#+-.!|~@:/&=$^\"'", c)) /* CommonMark: any ASCII punctuation may have one; ":" and "." also end links by themselves */
            hf_buf_addc(b, '\\');
        hf_buf_addc(b, c);
        if (c == '@' || c == '#') /* mentions are found after the marks are gone: a word joiner comes between */
            hf_buf_addz(b, "\xe2\x81\xa0");
    }
}

void hf_ntext_html(struct hf_buf *b, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char *as = s.p[i] == '&' ? "&amp;" : s.p[i] == '<' ? "&lt;" : s.p[i] == '>' ? "&gt;" : s.p[i] == '"' ? "&quot;" : s.p[i] == '\'' ? "&#39;" : NULL;
        if (as)
            hf_buf_addz(b, as);
        else
            hf_buf_addc(b, s.p[i]);
    }
}

void hf_ntext_slack(struct hf_buf *b, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char *as = s.p[i] == '&' ? "&amp;" : s.p[i] == '<' ? "&lt;" : s.p[i] == '>' ? "&gt;" : NULL;
        if (as)
            hf_buf_addz(b, as);
        else
            hf_buf_addc(b, s.p[i]);
    }
}

void hf_ntext_wiki(struct hf_buf *b, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (strchr("\\*_?-+^~{}[]!|#@:\"", s.p[i]) && s.p[i])
            hf_buf_addc(b, '\\');
        hf_buf_addc(b, s.p[i] == '\n' ? ' ' : s.p[i]);
    }
}

void hf_ntext_url(struct hf_buf *b, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-_.~", c)))
            hf_buf_addc(b, (char)c);
        else
            hf_buf_addf(b, "%%%02X", c);
    }
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void hf_ntext_base64(struct hf_buf *b, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16 | (i + 1 < s.n ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0) | (i + 2 < s.n ? (unsigned char)s.p[i + 2] : 0u);
        char out[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < s.n ? digits[v >> 6 & 63] : '=', i + 2 < s.n ? digits[v & 63] : '='};
        hf_buf_add(b, out, 4);
    }
}

bool hf_ntext_unbase64(struct hf_buf *b, struct hf_span s)
{
    uint32_t v = 0, bits = 0;
    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    for (size_t i = 0; i < s.n; i++) {
        const char *at = s.p[i] ? strchr(digits, s.p[i]) : NULL;
        if (!at)
            return false;
        v = (v << 6 | (uint32_t)(at - digits)) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            hf_buf_addc(b, (char)(v >> bits & 0xff));
        }
    }
    return s.n % 4 != 1;
}

/* RFC 2104 */
void hf_hmac_sha256(struct hf_span key, struct hf_span text, uint8_t ret[32])
{
    uint8_t pad[64] = {0}, inner[64], hashed[64];
    struct hf_hash *h = hf_hash_new(HF_SHA256);
    memset(ret, 0, 32);
    if (!h)
        return;
    if (key.n > sizeof pad) {
        hf_hash_add(h, key.p, key.n);
        hf_hash_end(h, hashed);
        memcpy(pad, hashed, 32);
    } else if (key.n) {
        memcpy(pad, key.p, key.n);
    }
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36;
    hf_hash_add(h, pad, sizeof pad);
    hf_hash_add(h, text.p, text.n);
    hf_hash_end(h, inner);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    hf_hash_add(h, pad, sizeof pad);
    hf_hash_add(h, inner, 32);
    hf_hash_end(h, hashed);
    memcpy(ret, hashed, 32);
    hf_hash_free(h);
}

void hf_ntext_time(struct hf_buf *b, int64_t s)
{
    struct tm tm;
    time_t t = (time_t)s;
    if (gmtime_r(&t, &tm))
        hf_buf_addf(b, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void hf_ntext_json(struct hf_jw *w, hf_jnode n, unsigned depth)
{
    double d;
    if (!depth || !n) {
        hf_jw_null(w);
    } else if (hf_jis_object(n)) {
        hf_jw_object(w);
        HF_JFOREACH(child, n) {
            hf_jw_key_span(w, hf_jname(child));
            hf_ntext_json(w, child, depth - 1);
        }
        hf_jw_object_end(w);
    } else if (hf_jis_array(n)) {
        hf_jw_array(w);
        HF_JFOREACH(child, n)
            hf_ntext_json(w, child, depth - 1);
        hf_jw_array_end(w);
    } else if (hf_jis_str(n)) {
        hf_jw_str(w, hf_jstr(n));
    } else if (hf_jnum(n, &d)) {
        if (floor(d) == d && fabs(d) < 9e15)
            hf_jw_i64(w, (int64_t)d);
        else
            hf_jw_fixed(w, d, 6);
    } else if (hf_jis_true(n)) {
        hf_jw_bool(w, true);
    } else if (cJSON_IsNull(n)) {
        hf_jw_null(w);
    } else {
        hf_jw_bool(w, false);
    }
}
