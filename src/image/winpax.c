/* SPDX-License-Identifier: Apache-2.0 */
#include "image/winpax.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/rd.h"

enum { BLOCK = 512, PAX_MAX = 1 << 20, SD_MAX = 65535, AHEAD_MAX = 4096, HEAD = 5 };
enum { HAS_ATTRIBUTES = 1, HAS_SD = 2 };

struct item {
    struct item *next;
    uint64_t at;
    size_t n;
    char bytes[];
};

struct hf_winpax {
    uint64_t next;         /* offset of the byte that is wanted next */
    uint64_t entry;        /* of the first header of the entry being read */
    struct hf_buf taken;   /* of a header, or of pax records */
    size_t want;           /* bytes of it */
    bool pax, lost, ended;
    uint64_t pad;          /* behind the records */
    /* of the entry being read */
    bool has_size, has_attributes;
    uint64_t size;
    uint32_t attributes;
    struct hf_buf sd;
    struct item *first, *last;
    size_t n_ahead;
    struct item *given;
};

struct hf_winpax *hf_winpax_new(void)
{
    struct hf_winpax *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    hf_buf_init(&w->taken, PAX_MAX);
    hf_buf_init(&w->sd, SD_MAX + 8);
    w->want = BLOCK;
    return w;
}

void hf_winpax_free(struct hf_winpax *w)
{
    if (!w)
        return;
    for (struct item *i = w->first, *next; i; i = next) {
        next = i->next;
        free(i);
    }
    free(w->given);
    hf_buf_done(&w->taken);
    hf_buf_done(&w->sd);
    free(w);
}

/* Octal, or GNU's base-256. */
static bool number(struct hf_span field, uint64_t *ret)
{
    *ret = 0;
    if ((unsigned char)field.p[0] & 0x80) {
        for (size_t i = 1; i < field.n; i++) {
            if (*ret >> 55)
                return false;
            *ret = *ret << 8 | (unsigned char)field.p[i];
        }
        return ((unsigned char)field.p[0] & 0x7f) == 0;
    }
    size_t i = 0;
    while (i < field.n && field.p[i] == ' ')
        i++;
    for (; i < field.n && field.p[i] >= '0' && field.p[i] <= '7'; i++)
        *ret = *ret << 3 | (uint64_t)(field.p[i] - '0');
    return i == field.n || field.p[i] == ' ' || field.p[i] == 0;
}

static bool checksum_fits(const char *h)
{
    uint64_t said, sum = 0;
    for (int i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : (unsigned char)h[i];
    return number(hf_span(h + 148, 8), &said) && said == sum;
}

/* What is known of the entry, until it is asked for. */
static void keep(struct hf_winpax *w)
{
    size_t n = HEAD + w->sd.n;
    if (w->has_attributes || w->sd.n) {
        struct item *i = w->n_ahead < AHEAD_MAX && hf_buf_ok(&w->sd) ? malloc(sizeof *i + n) : NULL;
        if (!i) {
            w->lost = true;
            return;
        }
        *i = (struct item){.at = w->entry, .n = n};
        i->bytes[0] = (char)((w->has_attributes ? HAS_ATTRIBUTES : 0) | (w->sd.n ? HAS_SD : 0));
        for (int k = 0; k < 4; k++)
            i->bytes[1 + k] = (char)(w->attributes >> (8 * k));
        if (w->sd.n)
            memcpy(i->bytes + HEAD, w->sd.p, w->sd.n);
        *(w->last ? &w->last->next : &w->first) = i;
        w->last = i;
        w->n_ahead++;
    }
    w->has_attributes = w->has_size = false;
    w->attributes = 0;
    hf_buf_clear(&w->sd);
}

/* Bytes up to the next block. */
static bool skip(struct hf_winpax *w, uint64_t size)
{
    uint64_t whole;
    return hf_ckd_add(&whole, size, (uint64_t)BLOCK - 1) && hf_ckd_add(&w->next, w->next, whole / BLOCK * BLOCK);
}

static void header(struct hf_winpax *w)
{
    const char *h = w->taken.p;
    uint64_t size;
    char type = h[156];
    static const char zeroes[BLOCK];
    if (memcmp(h, zeroes, BLOCK) == 0) {
        w->ended = true;
        return;
    }
    if (!checksum_fits(h) || !number(hf_span(h + 124, 12), &size) || type == 'S') {
        w->lost = true;
        return;
    }
    if (type == 'x') {
        w->pax = true;
        w->want = (size_t)HF_MIN(size, (uint64_t)PAX_MAX + 1);
        w->pad = (BLOCK - size % BLOCK) % BLOCK;
        w->lost = size > PAX_MAX;
        return;
    }
    if (type == 'g' || type == 'L' || type == 'K') { /* of the entry, and before it */
        w->lost = !skip(w, size);
        return;
    }
    bool content = type < '1' || type > '6';
    size = !content ? 0 : w->has_size ? w->size : size;
    keep(w);
    w->lost = w->lost || !skip(w, size);
    w->entry = w->next;
}

/* "LENGTH KEY=VALUE\n" */
static bool records(struct hf_winpax *w)
{
    for (struct hf_span rest = hf_buf_span(&w->taken); rest.n;) {
        struct hf_span number_;
        uint64_t n, v;
        size_t blank = hf_span_find(rest, ' ');
        number_ = hf_span_sub(rest, 0, blank);
        if (blank == SIZE_MAX || hf_parse_u64(number_, 10, 0, rest.n, &n) < 0 || n < blank + 3 || rest.p[n - 1] != '\n')
            return false;
        struct hf_span line = hf_span_sub(rest, blank + 1, (size_t)n - blank - 2), value;
        size_t equal = hf_span_find(line, '=');
        if (equal == SIZE_MAX)
            return false;
        value = hf_span_from(line, equal + 1);
        line = hf_span_sub(line, 0, equal);
        if (hf_span_eqz(line, "size"))
            w->has_size = hf_parse_u64(value, 10, 0, INT64_MAX, &w->size) >= 0;
        else if (hf_span_eqz(line, "MSWINDOWS.fileattr") && hf_parse_u64(value, 10, 0, UINT32_MAX, &v) >= 0) {
            w->has_attributes = true;
            w->attributes = (uint32_t)v;
        } else if (hf_span_eqz(line, "MSWINDOWS.rawsd")) {
            hf_buf_clear(&w->sd);
            if (hf_unbase64(value, &w->sd) < 0 || w->sd.n > SD_MAX)
                return false;
        }
        rest = hf_span_from(rest, (size_t)n);
    }
    return true;
}

static void taken(struct hf_winpax *w)
{
    if (w->pax) {
        w->lost = !records(w) || !hf_ckd_add(&w->next, w->next, w->pad);
        w->pax = false;
        w->want = BLOCK;
    } else {
        header(w);
    }
    hf_buf_clear(&w->taken);
}

void hf_winpax_bytes(struct hf_winpax *w, uint64_t offset, struct hf_span bytes)
{
    while (!w->lost && !w->ended) {
        if (w->want == w->taken.n) {
            taken(w);
            continue;
        }
        if (w->next < offset) { /* what was left out had a header in it */
            w->lost = true;
            return;
        }
        uint64_t at = w->next - offset;
        if (at >= bytes.n)
            return;
        struct hf_span piece = hf_span_sub(bytes, (size_t)at, w->want - w->taken.n);
        hf_buf_adds(&w->taken, piece);
        w->lost = !hf_buf_ok(&w->taken);
        w->next += piece.n;
    }
}

int hf_winpax_entry(struct hf_winpax *w, uint64_t offset, struct hf_span *ret)
{
    while (w->first && w->first->at <= offset) {
        struct item *i = w->first;
        w->first = i->next;
        w->last = w->first ? w->last : NULL;
        w->n_ahead--;
        free(w->given);
        w->given = i;
        if (i->at == offset) {
            *ret = hf_span(i->bytes, i->n);
            return 1;
        }
    }
    return w->lost ? HF_E_INCOMPLETE : 0;
}

bool hf_winfile_read(struct hf_span bytes, struct hf_winfile *ret)
{
    struct hf_rd r = hf_rd(bytes);
    uint8_t has = hf_rd_u8(&r);
    uint32_t attributes = hf_rd_le32(&r);
    if (r.bad || has > 3 || !has || ((has & HAS_SD) != 0) != (bytes.n > HEAD) || bytes.n > HEAD + SD_MAX)
        return false;
    *ret = (struct hf_winfile){has & HAS_ATTRIBUTES, attributes, hf_span_from(bytes, HEAD)};
    return true;
}

/* Small letter of a capital one; both take two bytes of UTF-8. */
static unsigned small(unsigned c)
{
    if ((c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9 && c != 0x3A2) || (c >= 0x410 && c <= 0x42F))
        return c + 0x20;
    if (c >= 0x400 && c <= 0x40F)
        return c + 0x50;
    bool even = (c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) || (c >= 0x14A && c <= 0x177), odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E);
    return (even && c % 2 == 0) || (odd && c % 2) ? c + 1 : c;
}

void hf_win_fold(struct hf_span name, struct hf_buf *out)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i], d = i + 1 < name.n ? (unsigned char)name.p[i + 1] : 0;
        if (c >= 0xC2 && c <= 0xDF && (d & 0xC0) == 0x80) {
            unsigned low = small((c & 0x1Fu) << 6 | (d & 0x3Fu));
            hf_buf_addc(out, (char)(0xC0 | low >> 6));
            hf_buf_addc(out, (char)(0x80 | (low & 0x3F)));
            i++;
        } else {
            hf_buf_addc(out, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : (char)c);
        }
    }
}
