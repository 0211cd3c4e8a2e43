// SPDX-License-Identifier: Apache-2.0
#include "detect/regex.h"

#include <errno.h>

#include "base/mem.h"

#define NESTING_MAX 64u
#define REPEAT_MAX 1000u

/* ---- sets of bytes ---- */

struct set {
    uint64_t bits[4];
};

static void set_add(struct set *s, unsigned c)
{
    s->bits[c >> 6 & 3] |= 1ull << (c & 63);
}

static bool set_has(const struct set *s, unsigned c)
{
    return s->bits[c >> 6 & 3] >> (c & 63) & 1;
}

static void set_range(struct set *s, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to && c < 256; c++)
        set_add(s, c);
}

static void set_invert(struct set *s)
{
    for (size_t i = 0; i < 4; i++)
        s->bits[i] = ~s->bits[i];
}

static void set_join(struct set *s, const struct set *more)
{
    for (size_t i = 0; i < 4; i++)
        s->bits[i] |= more->bits[i];
}

static void set_fold(struct set *s)
{
    for (unsigned c = 'a'; c <= 'z'; c++)
        if (set_has(s, c) || set_has(s, c - 32)) {
            set_add(s, c);
            set_add(s, c - 32);
        }
}

static bool is_word(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* \d \w \s and their opposites. */
static bool set_escape(char c, struct set *s)
{
    memset(s, 0, sizeof *s);
    switch (c | 0x20) {
    case 'd':
        set_range(s, '0', '9');
        break;
    case 'w':
        for (unsigned b = 0; b < 128; b++)
            if (is_word((int)b))
                set_add(s, b);
        break;
    case 's':
        set_add(s, ' ');
        set_add(s, '\t');
        set_add(s, '\n');
        set_add(s, '\r');
        set_add(s, '\f');
        break;
    default:
        return false;
    }
    if (!(c & 0x20))
        set_invert(s);
    return true;
}

/* [:alpha:] and the like; false: no such class. */
static bool set_named(struct hf_span name, struct set *s)
{
    static const struct {
        const char *name, *ranges; /* pairs of first and last */
    } classes[] = {{"alpha", "AZaz"}, {"digit", "09"}, {"alnum", "09AZaz"}, {"upper", "AZ"}, {"lower", "az"}, {"space", "\t\r  "}, {"blank", "\t\t  "},
            {"punct", "!/:@[`{~"}, {"print", " ~"}, {"graph", "!~"}, {"cntrl", "\1\x1f\x7f\x7f"}, {"xdigit", "09AFaf"}, {"word", "09AZaz__"}};
    for (size_t i = 0; i < HF_ARRAY_LEN(classes); i++) {
        if (!hf_span_eqz(name, classes[i].name))
            continue;
        for (const char *r = classes[i].ranges; *r; r += 2)
            set_range(s, (unsigned char)r[0], (unsigned char)r[1]);
        if (!strcmp(classes[i].name, "cntrl"))
            set_add(s, 0);
        return true;
    }
    return false;
}

/* ---- program ---- */

enum op { OP_SET, OP_SPLIT, OP_JUMP, OP_ASSERT, OP_MATCH };
enum assert { AT_TEXT_START, AT_TEXT_END, AT_LINE_START, AT_LINE_END, AT_WORD, AT_NO_WORD };

struct inst {
    uint8_t op, assert;
    uint16_t set;  /* OP_SET */
    uint16_t x, y; /* OP_SPLIT: both; OP_JUMP: x; else the next one follows */
};

struct hf_regex {
    struct inst *prog;
    struct set *sets;
    size_t n, cap, n_sets, cap_sets;
    struct set first; /* bytes that a match can begin with; only when it cannot be empty and asserts nothing at its start */
    bool has_first;
    /* scratch of a search: two lists of states, when each was added last, the stack of the closure */
    uint16_t *list[2], *stack;
    uint32_t *mark, generation;
};

struct parser {
    struct hf_regex *re;
    struct hf_span p;
    size_t at;
    unsigned depth;
    bool nocase, dot_all, lines;
    bool quoted; /* between \Q and \E */
    struct hf_err *err;
};

static int fail(struct parser *p, int code, const char *what)
{
    return hf_fail_at(p->err, code, p->at, "regular expression: %s at byte %zu", what, p->at + 1);
}

static int emit(struct parser *p, struct inst in)
{
    struct hf_regex *re = p->re;
    if (re->n >= HF_REGEX_STATES_MAX)
        return fail(p, HF_E_LIMIT, "more than 4096 states");
    struct inst *to = hf_alloc_fails() ? NULL : hf_grow((void **)&re->prog, &re->n, &re->cap, sizeof *re->prog, HF_REGEX_STATES_MAX);
    if (!to)
        return hf_fail(p->err, -ENOMEM, "no memory for a regular expression");
    *to = in;
    return 0;
}

static int emit_set(struct parser *p, struct set s)
{
    struct hf_regex *re = p->re;
    if (p->nocase)
        set_fold(&s);
    size_t i = 0;
    while (i < re->n_sets && memcmp(&re->sets[i], &s, sizeof s))
        i++;
    if (i == re->n_sets) {
        struct set *to = hf_grow((void **)&re->sets, &re->n_sets, &re->cap_sets, sizeof *re->sets, HF_REGEX_STATES_MAX);
        if (!to)
            return hf_fail(p->err, -ENOMEM, "no memory for a regular expression");
        *to = s;
    }
    return emit(p, (struct inst){.op = OP_SET, .set = (uint16_t)i});
}

static int emit_byte(struct parser *p, unsigned c)
{
    struct set s = {{0}};
    set_add(&s, c);
    return emit_set(p, s);
}

static int emit_assert(struct parser *p, enum assert a)
{
    return emit(p, (struct inst){.op = OP_ASSERT, .assert = (uint8_t)a});
}

/* Makes room for one instruction at `at`: what lies behind moves by one, and with it the targets that point there. */
static int insert(struct parser *p, size_t at, struct inst in)
{
    struct hf_regex *re = p->re;
    int rc = emit(p, in);
    if (rc < 0)
        return rc;
    memmove(&re->prog[at + 1], &re->prog[at], (re->n - 1 - at) * sizeof *re->prog);
    re->prog[at] = in;
    for (size_t i = at + 1; i < re->n; i++) {
        struct inst *t = &re->prog[i];
        if (t->op == OP_SPLIT || t->op == OP_JUMP) {
            t->x = (uint16_t)(t->x + (t->x >= at));
            t->y = (uint16_t)(t->y + (t->y >= at));
        }
    }
    return 0;
}

/* ---- parser ---- */

static int peek(const struct parser *p)
{
    return p->at < p->p.n ? (unsigned char)p->p.p[p->at] : -1;
}

static bool eat(struct parser *p, const char *z)
{
    if (!hf_span_starts(hf_span_from(p->p, p->at), hf_span_z(z)))
        return false;
    p->at += strlen(z);
    return true;
}

static int hex_digits(struct parser *p, unsigned *ret)
{
    bool braces = eat(p, "{");
    uint64_t v;
    size_t end = braces ? hf_span_find(hf_span_from(p->p, p->at), '}') : 2;
    if (end == SIZE_MAX || end == 0 || end > 6 || end > p->p.n - p->at || hf_parse_u64(hf_span_sub(p->p, p->at, end), 16, 0, 0x10ffff, &v) < 0)
        return fail(p, HF_E_FORMAT, "\\x needs two hexadecimal digits or {digits}");
    if (v > 127 && braces)
        return fail(p, HF_E_UNSUPPORTED, "\\x{..} beyond ASCII is not supported (write its bytes)");
    p->at += end + braces;
    *ret = (unsigned)v;
    return 0;
}

/* An escape that stands for one byte, its '\' already taken.  1 with the byte, 0 when it is another kind. */
static int escaped_byte(struct parser *p, unsigned *ret)
{
    static const char from[] = "tnrfva", to[] = "\t\n\r\f\v\a";
    int c = peek(p);
    if (c < 0)
        return fail(p, HF_E_FORMAT, "'\\' at the end");
    const char *found = c ? strchr(from, c) : NULL;
    if (c == 'x') {
        p->at++;
        int rc = hex_digits(p, ret);
        return rc < 0 ? rc : 1;
    }
    if (found) {
        *ret = (unsigned char)to[found - from];
        p->at++;
        return 1;
    }
    if (is_word(c))
        return 0;
    *ret = (unsigned)c;
    p->at++;
    return 1;
}

/* One member of [ ]: a byte (1, *ret), or a class that was joined to *s (0). */
static int class_member(struct parser *p, struct set *s, unsigned *ret)
{
    if (hf_span_starts(hf_span_from(p->p, p->at), HF_S("[:"))) {
        struct hf_span rest = hf_span_from(p->p, p->at + 2);
        size_t end = hf_span_search(rest, HF_S(":]"));
        struct set named = {{0}};
        bool not = end != SIZE_MAX && rest.n && rest.p[0] == '^';
        if (end == SIZE_MAX || !set_named(hf_span_sub(rest, not, end - not), &named))
            return fail(p, HF_E_FORMAT, "unknown class [: :]");
        if (not)
            set_invert(&named);
        set_join(s, &named);
        p->at += end + 4;
        return 0;
    }
    int c = peek(p);
    if (c > 127)
        return fail(p, HF_E_UNSUPPORTED, "a letter beyond ASCII inside [ ]");
    p->at++;
    if (c != '\\') {
        *ret = (unsigned)c;
        return 1;
    }
    int rc = escaped_byte(p, ret);
    if (rc != 0)
        return rc;
    struct set e;
    if (!set_escape((char)peek(p), &e))
        return fail(p, HF_E_UNSUPPORTED, "this escape inside [ ]");
    set_join(s, &e);
    p->at++;
    return 0;
}

static int parse_class(struct parser *p)
{
    struct set s = {{0}};
    bool not = eat(p, "^"), first = true;
    for (;; first = false) {
        int c = peek(p);
        unsigned from = 0, to = 0;
        if (c < 0)
            return fail(p, HF_E_FORMAT, "'[' without ']'");
        if (c == ']' && !first)
            break;
        int rc = class_member(p, &s, &from);
        if (rc < 0)
            return rc;
        if (rc == 0)
            continue;
        to = from;
        if (peek(p) == '-' && p->at + 1 < p->p.n && p->p.p[p->at + 1] != ']') {
            p->at++;
            struct set ignored = {{0}};
            rc = class_member(p, &ignored, &to);
            if (rc < 0)
                return rc;
            if (rc == 0 || to < from)
                return fail(p, HF_E_FORMAT, "a range that ends before it begins");
        }
        set_range(&s, from, to);
    }
    p->at++;
    if (p->nocase)
        set_fold(&s);
    if (not)
        set_invert(&s);
    bool keep = p->nocase;
    p->nocase = false; /* folded before it was inverted */
    int rc = emit_set(p, s);
    p->nocase = keep;
    return rc;
}

static int parse_escape(struct parser *p)
{
    unsigned byte = 0;
    struct set s;
    int rc = escaped_byte(p, &byte);
    if (rc < 0)
        return rc;
    if (rc > 0)
        return emit_byte(p, byte);
    char c = (char)peek(p);
    p->at++;
    switch (c) {
    case 'b':
        return emit_assert(p, AT_WORD);
    case 'B':
        return emit_assert(p, AT_NO_WORD);
    case 'A':
        return emit_assert(p, AT_TEXT_START);
    case 'z':
        return emit_assert(p, AT_TEXT_END);
    default:
        if (set_escape(c, &s))
            return emit_set(p, s);
        p->at--;
        return fail(p, HF_E_UNSUPPORTED, c >= '1' && c <= '9' ? "back references are not supported" : "this escape is not supported");
    }
}

static int parse_either(struct parser *p);

/* Flags of (?flags) or (?flags: ; 1 when ':' followed. */
static int parse_flags(struct parser *p)
{
    bool on = true;
    for (;;) {
        int c = peek(p);
        p->at++;
        switch (c) {
        case 'i':
            p->nocase = on;
            break;
        case 's':
            p->dot_all = on;
            break;
        case 'm':
            p->lines = on;
            break;
        case 'U': /* which of several matches: not asked here */
            break;
        case '-':
            on = false;
            break;
        case ':':
            return 1;
        case ')':
            return 0;
        default:
            p->at--;
            return fail(p, HF_E_UNSUPPORTED, "this kind of group (look-around?) is not supported");
        }
    }
}

static int parse_group(struct parser *p)
{
    bool nocase = p->nocase, dot_all = p->dot_all, lines = p->lines;
    if (++p->depth > NESTING_MAX)
        return fail(p, HF_E_LIMIT, "groups nested deeper than 64");
    if (eat(p, "?")) {
        struct hf_span rest = hf_span_from(p->p, p->at);
        bool look = hf_span_starts(rest, HF_S("<=")) || hf_span_starts(rest, HF_S("<!"));
        if (!look && (eat(p, "P<") || eat(p, "<"))) {
            size_t end = hf_span_find(hf_span_from(p->p, p->at), '>');
            if (end == SIZE_MAX || end == 0)
                return fail(p, HF_E_FORMAT, "a group's name without '>'");
            p->at += end + 1;
        } else {
            int rc = parse_flags(p);
            if (rc <= 0) {
                p->depth--;
                return rc; /* (?i): for the rest of the group around it */
            }
        }
    }
    int rc = parse_either(p);
    if (rc < 0)
        return rc;
    if (!eat(p, ")"))
        return fail(p, HF_E_FORMAT, "'(' without ')'");
    p->depth--;
    p->nocase = nocase;
    p->dot_all = dot_all;
    p->lines = lines;
    return 0;
}

static int parse_atom(struct parser *p)
{
    int c = peek(p);
    struct set any;
    p->at++;
    switch (c) {
    case '(':
        return parse_group(p);
    case '[':
        return parse_class(p);
    case '\\':
        return parse_escape(p);
    case '.':
        memset(&any, 0xff, sizeof any);
        if (!p->dot_all)
            any.bits[0] &= ~(1ull << '\n');
        return emit_set(p, any);
    case '^':
        return emit_assert(p, p->lines ? AT_LINE_START : AT_TEXT_START);
    case '$':
        return emit_assert(p, p->lines ? AT_LINE_END : AT_TEXT_END);
    case '*':
    case '+':
    case '?':
        p->at--;
        return fail(p, HF_E_FORMAT, "nothing to repeat");
    default:
        return emit_byte(p, (unsigned)c);
    }
}

/* "{n}", "{n,}", "{n,m}"; anything else leaves the brace as it is (a literal): false. */
static bool parse_counts(struct parser *p, uint64_t *min, uint64_t *max)
{
    struct hf_span rest = hf_span_from(p->p, p->at + 1), low, high;
    size_t end = hf_span_find(rest, '}');
    if (end == SIZE_MAX)
        return false;
    struct hf_span body = hf_span_sub(rest, 0, end);
    size_t comma = hf_span_find(body, ',');
    low = hf_span_sub(body, 0, comma);
    high = comma == SIZE_MAX ? low : hf_span_from(body, comma + 1);
    if (hf_parse_u64(low, 10, 0, UINT64_MAX, min) < 0)
        return false;
    *max = UINT64_MAX;
    if (high.n && hf_parse_u64(high, 10, 0, UINT64_MAX - 1, max) < 0)
        return false;
    p->at += end + 2;
    return true;
}

/* Another copy of the program's part [from, to) at the end. */
static int copy_part(struct parser *p, size_t from, size_t to)
{
    size_t shift = p->re->n - from;
    for (size_t i = from; i < to; i++) {
        struct inst in = p->re->prog[i];
        if (in.op == OP_SPLIT || in.op == OP_JUMP) {
            in.x = (uint16_t)(in.x + shift);
            in.y = (uint16_t)(in.y + shift);
        }
        int rc = emit(p, in);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* part? : the split goes in front; part+ : behind; part* : both. */
static int optional(struct parser *p, size_t start)
{
    return insert(p, start, (struct inst){.op = OP_SPLIT, .x = (uint16_t)(start + 1), .y = (uint16_t)(p->re->n + 1)});
}

static int repeat_plus(struct parser *p, size_t start)
{
    return emit(p, (struct inst){.op = OP_SPLIT, .x = (uint16_t)start, .y = (uint16_t)(p->re->n + 1)});
}

static int repeat_counted(struct parser *p, size_t start, uint64_t min, uint64_t max)
{
    size_t end = p->re->n;
    int rc = 0;
    if (min > REPEAT_MAX || (max != UINT64_MAX && (max > REPEAT_MAX || max < min)))
        return fail(p, max < min ? HF_E_FORMAT : HF_E_LIMIT, "a repetition count over 1000, or its end before its beginning");
    if (max == 0) {
        p->re->n = start;
        return 0;
    }
    size_t last = start; /* the first is there already */
    for (uint64_t i = 1; i < min && rc >= 0; i++) {
        last = p->re->n;
        rc = copy_part(p, start, end);
    }
    if (rc < 0)
        return rc;
    if (max == UINT64_MAX) {
        rc = repeat_plus(p, last);
        return rc < 0 || min > 0 ? rc : optional(p, start);
    }
    /* part{2,4}: part part (part (part)?)? - built from flat copies, each skipping to the end */
    size_t need = (size_t)(max - HF_MAX(min, 1u)), unit = end - start;
    size_t final = p->re->n + need * (unit + 1);
    if (final > HF_REGEX_STATES_MAX)
        return fail(p, HF_E_LIMIT, "more than 4096 states");
    for (size_t i = 0; i < need && rc >= 0; i++) {
        rc = emit(p, (struct inst){.op = OP_SPLIT, .x = (uint16_t)(p->re->n + 1), .y = (uint16_t)final});
        if (rc >= 0)
            rc = copy_part(p, start, end);
    }
    return rc < 0 || min > 0 ? rc : optional(p, start);
}

static int parse_repeated(struct parser *p)
{
    size_t start = p->re->n;
    int rc;
    if (!p->quoted && eat(p, "\\Q"))
        p->quoted = true;
    if (p->quoted && !eat(p, "\\E")) {
        if (peek(p) < 0)
            return 0;
        rc = emit_byte(p, (unsigned)peek(p));
        p->at++;
        if (!eat(p, "\\E"))
            return rc;
    } else if (p->quoted) {
        p->quoted = false;
        return 0;
    } else {
        rc = parse_atom(p);
    }
    p->quoted = false;
    while (rc >= 0) {
        uint64_t min, max;
        int c = peek(p);
        if (c == '*') {
            p->at++;
            rc = repeat_plus(p, start);
            if (rc >= 0)
                rc = optional(p, start);
        } else if (c == '+') {
            p->at++;
            rc = repeat_plus(p, start);
        } else if (c == '?') {
            p->at++;
            rc = optional(p, start);
        } else if (c == '{' && parse_counts(p, &min, &max)) {
            rc = repeat_counted(p, start, min, max);
        } else {
            return rc;
        }
        if (rc >= 0 && peek(p) == '?') /* lazy */
            p->at++;
    }
    return rc;
}

static int parse_sequence(struct parser *p)
{
    int c, rc = 0;
    while (rc >= 0 && (c = peek(p)) >= 0 && (p->quoted || (c != '|' && c != ')')))
        rc = parse_repeated(p);
    return rc;
}

static int parse_either(struct parser *p)
{
    /* a|b|c: split a-or-rest, a, jump to the end; the jumps are linked through x until the end is known */
    size_t start = p->re->n;
    uint16_t jumps = UINT16_MAX;
    for (;;) {
        int rc = parse_sequence(p);
        if (rc < 0)
            return rc;
        if (!eat(p, "|"))
            break;
        rc = insert(p, start, (struct inst){.op = OP_SPLIT, .x = (uint16_t)(start + 1), .y = (uint16_t)(p->re->n + 2)});
        if (rc < 0)
            return rc;
        size_t at = p->re->n;
        rc = emit(p, (struct inst){.op = OP_JUMP, .x = jumps, .y = UINT16_MAX});
        if (rc < 0)
            return rc;
        jumps = (uint16_t)at;
        start = p->re->n;
    }
    while (jumps != UINT16_MAX) {
        struct inst *j = &p->re->prog[jumps];
        jumps = j->x;
        j->x = j->y = (uint16_t)p->re->n;
    }
    return 0;
}

/* ---- search ---- */

struct pos {
    struct hf_span text;
    size_t at;
};

static bool holds(enum assert a, const struct pos *p)
{
    int before = p->at ? (unsigned char)p->text.p[p->at - 1] : -1;
    int after = p->at < p->text.n ? (unsigned char)p->text.p[p->at] : -1;
    switch (a) {
    case AT_TEXT_START:
        return before < 0;
    case AT_TEXT_END:
        return after < 0;
    case AT_LINE_START:
        return before < 0 || before == '\n';
    case AT_LINE_END:
        return after < 0 || after == '\n';
    case AT_WORD:
        return is_word(before) != is_word(after);
    case AT_NO_WORD:
    default:
        return is_word(before) == is_word(after);
    }
}

/* Adds a state and what can be reached from it without a byte.  Returns whether a match is among them. */
static bool add_state(struct hf_regex *re, uint16_t *list, size_t *n, uint16_t state, const struct pos *pos)
{
    size_t depth = 0;
    bool matched = false;
    re->stack[depth++] = state;
    while (depth) {
        uint16_t s = re->stack[--depth];
        if (re->mark[s] == re->generation)
            continue;
        re->mark[s] = re->generation;
        const struct inst *in = &re->prog[s];
        switch (in->op) {
        case OP_SET:
            list[(*n)++] = s;
            break;
        case OP_SPLIT:
            re->stack[depth++] = in->x;
            re->stack[depth++] = in->y;
            break;
        case OP_JUMP:
            re->stack[depth++] = in->x;
            break;
        case OP_ASSERT:
            if (holds((enum assert)in->assert, pos))
                re->stack[depth++] = (uint16_t)(s + 1);
            break;
        default:
            matched = true;
            break;
        }
    }
    return matched;
}

static void next_generation(struct hf_regex *re)
{
    if (++re->generation == 0) {
        memset(re->mark, 0, re->n * sizeof *re->mark);
        re->generation = 1;
    }
}

/* whole: from the beginning to the end; else anywhere. */
static bool run(struct hf_regex *re, struct hf_span text, bool whole)
{
    struct pos pos = {text, 0};
    size_t n = 0, m;
    unsigned now = 0;
    next_generation(re);
    bool matched = add_state(re, re->list[now], &n, 0, &pos);
    for (; pos.at < text.n; pos.at++) {
        if (matched && !whole)
            return true;
        unsigned c = (unsigned char)text.p[pos.at];
        const uint16_t *list = re->list[now];
        uint16_t *to = re->list[!now];
        struct pos after = {text, pos.at + 1};
        next_generation(re);
        matched = false;
        m = 0;
        for (size_t i = 0; i < n; i++)
            if (set_has(&re->sets[re->prog[list[i]].set], c))
                matched |= add_state(re, to, &m, (uint16_t)(list[i] + 1), &after);
        if (!whole && after.at < text.n && (!re->has_first || set_has(&re->first, (unsigned char)text.p[after.at])))
            matched |= add_state(re, to, &m, 0, &after);
        else if (!whole && after.at == text.n)
            matched |= add_state(re, to, &m, 0, &after);
        else if (whole && m == 0 && !matched)
            return false;
        n = m;
        now = !now;
    }
    return matched;
}

bool hf_regex_search(struct hf_regex *re, struct hf_span text)
{
    return run(re, text, false);
}

bool hf_regex_match(struct hf_regex *re, struct hf_span text)
{
    return run(re, text, true);
}

/* ---- life ---- */

/* What a match can begin with, when that can be said without looking at the text. */
static void find_first(struct hf_regex *re)
{
    struct hf_span nothing = {NULL, 0};
    struct pos pos = {nothing, 0};
    size_t n = 0;
    for (size_t i = 0; i < re->n; i++)
        if (re->prog[i].op == OP_ASSERT)
            return;
    next_generation(re);
    if (add_state(re, re->list[0], &n, 0, &pos))
        return;
    for (size_t i = 0; i < n; i++)
        set_join(&re->first, &re->sets[re->prog[re->list[0][i]].set]);
    re->has_first = true;
}

int hf_regex_new(struct hf_span pattern, struct hf_regex **ret, struct hf_err *err)
{
    if (pattern.n > HF_REGEX_PATTERN_MAX)
        return hf_fail(err, HF_E_LIMIT, "regular expression: %zu bytes; at most %u", pattern.n, HF_REGEX_PATTERN_MAX);
    hf_cleanup(hf_regex_freep) struct hf_regex *re = hf_alloc_fails() ? NULL : calloc(1, sizeof *re);
    if (!re)
        return hf_fail(err, -ENOMEM, "no memory for a regular expression");
    struct parser p = {.re = re, .p = pattern, .err = err};
    int rc = parse_either(&p);
    if (rc >= 0 && p.at < pattern.n)
        rc = fail(&p, HF_E_FORMAT, "')' without '('");
    if (rc >= 0)
        rc = emit(&p, (struct inst){.op = OP_MATCH});
    if (rc < 0)
        return rc;
    re->list[0] = calloc(re->n, sizeof *re->list[0]);
    re->list[1] = calloc(re->n, sizeof *re->list[1]);
    re->stack = calloc(re->n * 2 + 2, sizeof *re->stack); /* a state is put on it once for each way that leads to it: two a split */
    re->mark = calloc(re->n, sizeof *re->mark);
    if (!re->list[0] || !re->list[1] || !re->stack || !re->mark)
        return hf_fail(err, -ENOMEM, "no memory for a regular expression");
    find_first(re);
    *ret = hf_take(re);
    return 0;
}

void hf_regex_free(struct hf_regex *re)
{
    if (!re)
        return;
    free(re->prog);
    free(re->sets);
    free(re->list[0]);
    free(re->list[1]);
    free(re->stack);
    free(re->mark);
    free(re);
}

/* ---- wildcards ---- */

static unsigned fold(unsigned c, bool nocase)
{
    return nocase && c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* [set] at p (behind its '['): bytes that it takes, 0 when it has no end.  *ret: whether c is in it. */
static size_t bracket(struct hf_span p, unsigned c, bool nocase, bool *ret)
{
    struct set s = {{0}};
    size_t at = 0;
    bool not = p.n && (p.p[0] == '!' || p.p[0] == '^');
    at += not;
    for (bool first = true;; first = false) {
        if (at >= p.n)
            return 0;
        if (p.p[at] == ']' && !first)
            break;
        struct hf_span rest = hf_span_from(p, at);
        if (hf_span_starts(rest, HF_S("[:"))) {
            size_t end = hf_span_search(rest, HF_S(":]"));
            if (end != SIZE_MAX && set_named(hf_span_sub(rest, 2, end - 2), &s)) {
                at += end + 2;
                continue;
            }
        }
        at += p.p[at] == '\\' && at + 1 < p.n;
        unsigned from = (unsigned char)p.p[at++], to = from;
        if (at + 1 < p.n && p.p[at] == '-' && p.p[at + 1] != ']') {
            at++;
            at += p.p[at] == '\\' && at + 1 < p.n;
            to = (unsigned char)p.p[at++];
        }
        if (from <= to)
            set_range(&s, from, to);
    }
    if (nocase)
        set_fold(&s);
    *ret = set_has(&s, c) != not;
    return at + 1;
}

/* Takes one element of the pattern (not '*') against c; bytes of the pattern it used, 0: no. */
static size_t one(struct hf_span p, unsigned c, bool nocase)
{
    bool in = false;
    if (p.p[0] == '?')
        return 1;
    if (p.p[0] == '[') {
        size_t used = bracket(hf_span_from(p, 1), c, nocase, &in);
        if (used)
            return in ? used + 1 : 0;
    }
    size_t skip = p.p[0] == '\\' && p.n > 1;
    return fold((unsigned char)p.p[skip], nocase) == fold(c, nocase) ? skip + 1 : 0;
}

bool hf_glob_match(struct hf_span p, struct hf_span s, bool nocase)
{
    size_t pi = 0, si = 0, star = SIZE_MAX, mark = 0;
    while (si < s.n) {
        size_t used = 0;
        if (pi < p.n && p.p[pi] == '*') {
            star = ++pi;
            mark = si;
            continue;
        }
        if (pi < p.n)
            used = one(hf_span_from(p, pi), (unsigned char)s.p[si], nocase);
        if (used) {
            pi += used;
            si++;
        } else if (star != SIZE_MAX) {
            pi = star;
            si = ++mark;
        } else {
            return false;
        }
    }
    while (pi < p.n && p.p[pi] == '*')
        pi++;
    return pi == p.n;
}
