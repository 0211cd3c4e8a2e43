/* SPDX-License-Identifier: Apache-2.0 */
#include "packages/gosymbols.h"

static unsigned hex(char c)
{
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* The linker writes dots and odd bytes of a path's last part as %xx. */
static void add_path(struct hf_buf *out, struct hf_span path)
{
    for (size_t i = 0; i < path.n; i++) {
        unsigned a = path.p[i] == '%' && i + 2 < path.n ? hex(path.p[i + 1]) : 16, b = a < 16 ? hex(path.p[i + 2]) : 16;
        if (b < 16) {
            hf_buf_addc(out, (char)(a << 4 | b));
            i += 2;
        } else {
            hf_buf_addc(out, path.p[i]);
        }
    }
}

bool hf_go_symbol_split(struct hf_span name, struct hf_buf *work, struct hf_span *ret_path, struct hf_span *ret_symbol)
{
    hf_buf_clear(work);
    struct hf_span head = hf_span_sub(name, 0, hf_span_find(name, '[')); /* slashes of type arguments are not the path's */
    size_t slash = hf_span_rfind(head, '/'), from = slash == SIZE_MAX ? 0 : slash;
    size_t dot = hf_span_find(hf_span_from(name, from), '.');
    if (dot == SIZE_MAX || dot + from == 0 || name.n > 4096)
        return false;
    add_path(work, hf_span_sub(name, 0, from + dot));
    size_t n_path = work->n;
    unsigned depth = 0;
    struct hf_span rest = hf_span_from(name, from + dot + 1);
    if (hf_span_ends(rest, HF_S("-fm")))
        rest.n -= 3;
    for (size_t i = 0; i < rest.n; i++) {
        char c = rest.p[i];
        depth += c == '[';
        if (!depth && c != '(' && c != ')' && c != '*')
            hf_buf_addc(work, c);
        depth -= c == ']' && depth;
    }
    if (!hf_buf_ok(work) || work->n == n_path)
        return false;
    *ret_path = hf_span(work->p, n_path);
    *ret_symbol = hf_span(work->p + n_path, work->n - n_path);
    return true;
}

uint32_t hf_go_symbol_hash(struct hf_span full)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a: the same on every run, since it is kept in the cache */
    for (size_t i = 0; i < full.n; i++)
        h = (h ^ (unsigned char)full.p[i]) * UINT64_C(0x100000001b3);
    return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

static uint32_t at(struct hf_span set, size_t i)
{
    uint32_t v;
    memcpy(&v, set.p + i * sizeof v, sizeof v);
    return v;
}

bool hf_go_symbol_linked(struct hf_span set, struct hf_span full)
{
    uint32_t want = hf_go_symbol_hash(full);
    size_t low = 0, high = set.n / sizeof want;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        uint32_t v = at(set, mid);
        if (v == want)
            return true;
        if (v < want)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

bool hf_go_symbol_union(struct hf_span a, struct hf_span b, struct hf_buf *out)
{
    size_t i = 0, k = 0, n = a.n / 4, m = b.n / 4;
    hf_buf_clear(out);
    while (i < n || k < m) {
        uint32_t x = i < n ? at(a, i) : UINT32_MAX, y = k < m ? at(b, k) : UINT32_MAX;
        bool from_a = i < n && (k == m || x <= y), from_b = k < m && (i == n || y <= x);
        hf_buf_add(out, from_a ? &x : &y, sizeof x);
        i += from_a;
        k += from_b;
    }
    return hf_buf_ok(out);
}
