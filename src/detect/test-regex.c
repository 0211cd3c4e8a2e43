/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/regex.h"

#include <fnmatch.h>
#include <regex.h>
#include <time.h>

#include "tap.h"

static const struct {
    const char *pattern, *text;
    bool search, match;
} cases[] = {
        {"", "", true, true}, {"", "a", true, false}, {"a", "a", true, true}, {"a", "bab", true, false}, {"abc", "abd", false, false},
        {".", "\n", false, false}, {"(?s).", "\n", true, true}, {"a.c", "abc", true, true}, {"a.c", "ac", false, false},
        {"^abc$", "abc", true, true}, {"^b", "ab", false, false}, {"b$", "bc", false, false}, {"(?m)^b$", "a\nb\nc", true, false},
        {"a|b", "b", true, true}, {"ab|cd|ef", "cd", true, true}, {"ab|cd|ef", "af", false, false}, {"(a|b)c", "bc", true, true}, {"|a", "", true, true},
        {"a|", "b", true, false}, {"(|a)b", "ab", true, true},
        {"a*", "", true, true}, {"a*", "aaaa", true, true}, {"a*b", "aaab", true, true}, {"a+", "", false, false}, {"a+b", "aab", true, true}, {"a?b", "b", true, true},
        {"a?b", "ab", true, true}, {"a?b", "aab", true, false}, {"(ab)*c", "ababc", true, true}, {"(ab)+c", "c", false, false}, {"(a*)*b", "aab", true, true},
        {"(a|b*)*c", "abbac", true, true}, {"a*?b", "aab", true, true}, {"a+?", "aa", true, true},
        {"a{3}", "aa", false, false}, {"a{3}", "aaa", true, true}, {"a{3}", "aaaa", true, false}, {"a{2,}", "a", false, false}, {"a{2,}", "aaaaa", true, true},
        {"a{1,3}", "aaa", true, true}, {"a{1,3}", "aaaa", true, false}, {"a{0}", "", true, true}, {"a{0,2}b", "aab", true, true}, {"a{0,2}b", "b", true, true},
        {"a{0,}b", "aaab", true, true}, {"(ab|c){2,3}d", "abcd", true, true}, {"(ab|c){2,3}d", "abd", false, false}, {"(a{2}){2}", "aaaa", true, true},
        {"(a{2}){2}", "aaa", false, false}, {"(a|b){3}", "aba", true, true}, {"x{,2}", "x{,2}", true, true}, {"a{", "a{", true, true}, {"(a+){2}b", "aab", true, true},
        {"[abc]", "b", true, true}, {"[^abc]", "b", false, false}, {"[^abc]", "d", true, true}, {"[a-c]+", "abcabc", true, true}, {"[]a]", "]", true, true},
        {"[^]a]", "]", false, false}, {"[a-]", "-", true, true}, {"[-a]", "-", true, true}, {"[[:digit:]]+", "0123", true, true}, {"[[:^digit:]]", "0", false, false},
        {"[\\d.]+", "1.2.3", true, true}, {"[\\]]", "]", true, true}, {"[a\\-c]", "b", false, false},
        {"\\d+", "port 8080", true, false}, {"\\D", "5", false, false}, {"\\w+", "a_1", true, true}, {"\\W", "_", false, false}, {"\\s", "\t", true, true},
        {"\\.", ".", true, true}, {"\\.", "a", false, false}, {"\\x41", "A", true, true}, {"\\x{2f}", "/", true, true}, {"\\t", "\t", true, true},
        {"\\Qa.b\\E+", "a.bb", true, true}, {"\\Qa.b", "a.b", true, true}, {"\\Qa|(b\\E|c", "a|(b", true, true}, {"x\\Q\\Ey", "xy", true, true}, {"\\Qab\\E{2}", "abb", true, true}, {"\\Aab\\z", "ab", true, true}, {"\\bcat\\b", "a cat!", true, false}, {"\\bcat\\b", "concat", false, false},
        {"\\Bcat", "concat", true, false},
        {"(?i)abc", "aBC", true, true}, {"(?i)[a-c]+", "ABC", true, true}, {"a(?i)b", "aB", true, true}, {"a(?i)b", "AB", false, false}, {"a(?i:b)c", "aBc", true, true},
        {"a(?i:b)c", "aBC", false, false}, {"(?i)[^a]", "A", false, false}, {"(?-i)a", "A", false, false}, {"(?P<x>a)(?<y>b)(?:c)", "abc", true, true}, {"(?U)a*", "aa", true, true},
        {"/proc/[0-9]+/(mem|environ)", "/proc/12/environ", true, true}, {"/proc/[0-9]+/(mem|environ)", "/proc/self/environ", false, false},
        {"^\\[.*\\]$", "[kworker/0:1]", true, true}, {"(curl|wget).*\\|\\s*(ba|z|da)?sh", "curl -s http://x | bash", true, true},
        {"(curl|wget).*\\|\\s*(ba|z|da)?sh", "curl -s http://x > f", false, false}, {"\xc3\xa9", "caf\xc3\xa9", true, false},
};

static void table(void)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        hf_cleanup(hf_regex_freep) struct hf_regex *re = NULL;
        struct hf_err err = HF_ERR_INIT;
        struct hf_span text = hf_span_z(cases[i].text);
        bool ok = hf_regex_new(hf_span_z(cases[i].pattern), &re, &err) == 0;
        bool search = ok && hf_regex_search(re, text), match = ok && hf_regex_match(re, text);
        if (!OK(ok && search == cases[i].search && match == cases[i].match))
            printf("# \"%s\" on \"%s\": %s search %d match %d\n", cases[i].pattern, cases[i].text, err.msg, search, match);
    }
}

static void refused(void)
{
    static const struct {
        const char *pattern;
        int code;
        size_t at;
    } bad[] = {{"(a", HF_E_FORMAT, 2}, {"a)", HF_E_FORMAT, 1}, {"[a", HF_E_FORMAT, 2}, {"*a", HF_E_FORMAT, 0}, {"a|*", HF_E_FORMAT, 2}, {"a\\", HF_E_FORMAT, 2}, {"(+)", HF_E_FORMAT, 1},
            {"[b-a]", HF_E_FORMAT, 4}, {"[[:nope:]]", HF_E_FORMAT, 1}, {"\\x4", HF_E_FORMAT, 2}, {"(?=a)", HF_E_UNSUPPORTED, 2}, {"(?<=a)", HF_E_UNSUPPORTED, 2},
            {"(a)\\1", HF_E_UNSUPPORTED, 4}, {"\\pL", HF_E_UNSUPPORTED, 1}, {"a{1001}", HF_E_LIMIT, 7}, {"a{3,2}", HF_E_FORMAT, 6}, {"(a{100}){100}", HF_E_LIMIT, 13},
            {"(?P<x", HF_E_FORMAT, 4}, {"((a{1,1000}){1,1000}){1,1000}", HF_E_LIMIT, 0}};
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
        struct hf_regex *re = NULL;
        struct hf_err err = HF_ERR_INIT;
        int rc = hf_regex_new(hf_span_z(bad[i].pattern), &re, &err);
        if (!OK(rc == bad[i].code && !re && err.msg[0] && (!bad[i].at || err.offset == bad[i].at)))
            printf("# \"%s\": %d at %llu: %s\n", bad[i].pattern, rc, (unsigned long long)err.offset, err.msg);
        hf_regex_free(re);
    }
    hf_autobuf b = HF_BUF_INIT(1 << 20);
    struct hf_regex *re = NULL;
    for (unsigned i = 0; i < 100; i++)
        hf_buf_addc(&b, '(');
    EQ_I(hf_regex_new(hf_buf_span(&b), &re, NULL), HF_E_LIMIT);
    for (unsigned i = 0; i < 5000; i++)
        hf_buf_addc(&b, 'a');
    EQ_I(hf_regex_new(hf_buf_span(&b), &re, NULL), HF_E_LIMIT);
}

/* Texts that make a backtracking engine run for years. */
static void linear(void)
{
    static const char *const evil[] = {"(a+)+$", "(a|a)*b", "(a*)*b", "(a|aa)+$", "(.*)*x", "(a?){500}a{500}"};
    hf_autobuf text = HF_BUF_INIT(1 << 20);
    for (unsigned i = 0; i < 20000; i++)
        hf_buf_addc(&text, 'a');
    hf_buf_addc(&text, '!');
    for (size_t i = 0; i < HF_ARRAY_LEN(evil); i++) {
        hf_cleanup(hf_regex_freep) struct hf_regex *re = NULL;
        struct timespec t0, t1;
        if (!OK(hf_regex_new(hf_span_z(evil[i]), &re, NULL) == 0))
            continue;
        clock_gettime(CLOCK_MONOTONIC, &t0);
        bool found = hf_regex_search(re, hf_buf_span(&text));
        clock_gettime(CLOCK_MONOTONIC, &t1);
        if (!OK(found == (i == 5) && t1.tv_sec - t0.tv_sec < 20))
            printf("# %s: %d\n", evil[i], found);
    }
}

static uint32_t seed = 1;
static unsigned rnd(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void random_pattern(struct hf_buf *b, unsigned depth)
{
    unsigned parts = 1 + rnd(3);
    for (unsigned i = 0; i < parts; i++) {
        unsigned kind = rnd(depth ? 8 : 5);
        if (kind < 3)
            hf_buf_addc(b, (char)('a' + rnd(3)));
        else if (kind == 3)
            hf_buf_addc(b, '.');
        else if (kind == 4)
            hf_buf_addz(b, rnd(2) ? "[ab]" : "[^a]");
        else {
            hf_buf_addc(b, '(');
            random_pattern(b, depth - 1);
            if (rnd(2)) {
                hf_buf_addc(b, '|');
                random_pattern(b, depth - 1);
            }
            hf_buf_addc(b, ')');
        }
        static const char *const repeats[] = {"", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}"};
        hf_buf_addz(b, repeats[rnd(HF_ARRAY_LEN(repeats))]);
    }
}

/* Random patterns and texts, held against the C library's engines. */
static void as_libc(void)
{
    unsigned tried = 0, wrong = 0, held = 0;
    for (unsigned i = 0; i < 2500 && wrong < 5; i++) {
        hf_autobuf pattern = HF_BUF_INIT(4096), whole = HF_BUF_INIT(4200);
        random_pattern(&pattern, 2); /* deeper ones take the C library minutes */
        hf_buf_addf(&whole, "^(%s)$", hf_buf_z(&pattern));
        regex_t posix, posix_whole;
        if (regcomp(&posix, hf_buf_z(&pattern), REG_EXTENDED | REG_NOSUB) != 0)
            continue;
        if (regcomp(&posix_whole, hf_buf_z(&whole), REG_EXTENDED | REG_NOSUB) != 0)
            exit(2);
        hf_cleanup(hf_regex_freep) struct hf_regex *re = NULL;
        if (hf_regex_new(hf_buf_span(&pattern), &re, NULL) < 0) {
            printf("# refused: %s\n", hf_buf_z(&pattern));
            wrong++;
        }
        for (unsigned j = 0; re && j < 12; j++) {
            char text[12];
            unsigned n = rnd(10);
            for (unsigned k = 0; k < n; k++)
                text[k] = (char)('a' + rnd(3));
            text[n] = 0;
            bool a = regexec(&posix, text, 0, NULL, 0) == 0, b = regexec(&posix_whole, text, 0, NULL, 0) == 0;
            tried++;
            held += b;
            if (a != hf_regex_search(re, hf_span(text, n)) || b != hf_regex_match(re, hf_span(text, n))) {
                printf("# \"%s\" on \"%s\": %d %d\n", hf_buf_z(&pattern), text, a, b);
                wrong++;
            }
        }
        regfree(&posix);
        regfree(&posix_whole);
    }
    EQ_U(wrong, 0);
    OK(tried > 20000 && held > 1000);
}

static void globs(void)
{
    static const struct {
        const char *pattern, *text;
        bool nocase, want;
    } all[] = {{"", "", false, true}, {"*", "", false, true}, {"*", "/a/b", false, true}, {"/home/*/.ssh/*", "/home/u/.ssh/id", false, true},
            {"/proc/*/environ", "/proc/1/environ", false, true}, {"/proc/*/environ", "/proc/1/environ2", false, false}, {"a?c", "abc", false, true},
            {"a?c", "ac", false, false}, {"[a-c]x", "bx", false, true}, {"[!a-c]x", "bx", false, false}, {"[^a]", "b", false, true}, {"[]]", "]", false, true},
            {"[a", "[a", false, true}, {"\\*", "*", false, true}, {"\\*", "a", false, false}, {"ABC*", "abcd", true, true}, {"ABC*", "abcd", false, false},
            {"[A-C]", "b", true, true}, {"[[:digit:]]*", "7x", false, true}, {"a*b*c", "aXbYbZc", false, true}, {"a*b*c", "aXbYbZ", false, false}, {"**a**", "bab", false, true}};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        if (!OK(hf_glob_match(hf_span_z(all[i].pattern), hf_span_z(all[i].text), all[i].nocase) == all[i].want))
            printf("# %s on %s\n", all[i].pattern, all[i].text);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 50000 && wrong < 5; i++) {
        static const char letters[] = "ab*?/*";
        char p[8], t[10];
        unsigned np = rnd(7), nt = rnd(9);
        for (unsigned k = 0; k < np; k++)
            p[k] = letters[rnd(6)];
        for (unsigned k = 0; k < nt; k++)
            t[k] = "ab/"[rnd(3)];
        p[np] = t[nt] = 0;
        if (hf_glob_match(hf_span(p, np), hf_span(t, nt), false) != (fnmatch(p, t, 0) == 0)) {
            printf("# %s on %s\n", p, t);
            wrong++;
        }
    }
    EQ_U(wrong, 0);
}

int main(void)
{
    table();
    refused();
    linear();
    as_libc();
    globs();
    return tap_done();
}
