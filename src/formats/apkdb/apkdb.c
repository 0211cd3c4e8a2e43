/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/apkdb/apkdb.h"

int hf_apk_next(struct hf_span *rest, struct hf_apk_pkg *ret, struct hf_err *err)
{
    struct hf_apk_pkg p = {.name = {NULL, 0}};
    struct hf_span line;
    const char *start = NULL, *end = NULL;
    while (rest->n) {
        const char *here = rest->p;
        if (!hf_span_line(rest, &line))
            break;
        if (line.n == 0) {
            if (start)
                break;
            continue;
        }
        if (!start)
            start = here;
        end = line.p + line.n;
        if (line.n < 2 || line.p[1] != ':')
            continue;
        struct hf_span v = hf_span_from(line, 2);
        struct hf_span *to = NULL;
        switch (line.p[0]) {
        case 'P':
            to = &p.name;
            break;
        case 'V':
            to = &p.version;
            break;
        case 'A':
            to = &p.arch;
            break;
        case 'o':
            to = &p.origin;
            break;
        case 'L':
            to = &p.license;
            break;
        case 'm':
            to = &p.maintainer;
            break;
        case 'C':
            to = &p.checksum;
            break;
        default:
            break;
        }
        if (to && to->n == 0)
            *to = hf_span_trim(v);
    }
    if (!start)
        return 0;
    p.body = hf_span(start, (size_t)(end - start));
    if (p.name.n == 0 || p.version.n == 0)
        return hf_fail(err, HF_E_DAMAGED_ENTRY, "entry \"%.*s\" has no %s", (int)HF_MIN(p.name.n, (size_t)80),
                p.name.n ? p.name.p : "", p.name.n ? "version" : "name");
    *ret = p;
    return 1;
}

int hf_apk_file(struct hf_apk_files *it, struct hf_buf *path, struct hf_span *ret, struct hf_err *err)
{
    struct hf_span line;
    while (hf_span_line(&it->rest, &line)) {
        if (line.n < 2 || line.p[1] != ':')
            continue;
        if (line.p[0] == 'F') {
            it->dir = hf_span_from(line, 2);
            while (it->dir.n && it->dir.p[0] == '/')
                it->dir = hf_span_from(it->dir, 1);
        } else if (line.p[0] == 'R' && line.n > 2) {
            struct hf_span name = hf_span_from(line, 2);
            while (!it->dir.n && name.n && name.p[0] == '/')
                name = hf_span_from(name, 1);
            if (!name.n)
                continue;
            if (it->dir.n + name.n + 1 > HF_APK_PATH_MAX)
                return hf_fail(err, HF_E_DAMAGED_ENTRY, "path of %zu bytes is over %d", it->dir.n + name.n + 1, HF_APK_PATH_MAX);
            hf_buf_clear(path);
            hf_buf_adds(path, it->dir);
            if (it->dir.n)
                hf_buf_addc(path, '/');
            hf_buf_adds(path, name);
            if (!hf_buf_ok(path))
                return hf_fail(err, HF_E_LIMIT, "no memory for a path");
            *ret = hf_buf_span(path);
            return 1;
        }
    }
    return 0;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool hf_apk_checksum(struct hf_span q, struct hf_buf *out)
{
    size_t want = hf_span_starts(q, HF_S("Q1")) ? 20 : hf_span_starts(q, HF_S("Q2")) ? 32 : 0;
    uint8_t b[33];
    size_t n = 0;
    unsigned acc = 0, bits = 0;
    if (!want)
        return false;
    for (size_t i = 2; i < q.n && q.p[i] != '='; i++) {
        int v = base64_value(q.p[i]);
        if (v < 0)
            return false;
        acc = (acc << 6 | (unsigned)v) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (n == want)
                return false;
            b[n++] = (uint8_t)(acc >> bits);
        }
    }
    if (n != want)
        return false;
    hf_buf_addz(out, want == 20 ? "sha1:" : "sha256:");
    for (size_t i = 0; i < n; i++) {
        hf_buf_addc(out, "0123456789abcdef"[b[i] >> 4]);
        hf_buf_addc(out, "0123456789abcdef"[b[i] & 15]);
    }
    return hf_buf_ok(out);
}
