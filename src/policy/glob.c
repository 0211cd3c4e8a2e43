/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/glob.h"

/* Only the latest star of each kind needs a way back: what an earlier one could still take, a later one can take too. */
static bool match(struct hf_span p, struct hf_span t, bool path)
{
    size_t i = 0, k = 0;
    size_t star_i = SIZE_MAX, star_k = 0;   /* '*' that stops at '/' */
    size_t deep_i = SIZE_MAX, deep_k = 0;   /* '*' or "**" that crosses everything */
    bool folders = false;                   /* it was "**" and a slash: takes whole folders only */
    while (k < t.n || i < p.n) {
        if (i < p.n && p.p[i] == '*') {
            bool deep = !path || (i + 1 < p.n && p.p[i + 1] == '*');
            while (i < p.n && p.p[i] == '*')
                i++;
            if (deep) {
                /* "**" and a slash also stand for no folder at all. */
                folders = path && i < p.n && p.p[i] == '/' && (k == 0 || t.p[k - 1] == '/');
                if (folders)
                    i++;
                deep_i = i;
                deep_k = k;
                star_i = SIZE_MAX;
            } else {
                star_i = i;
                star_k = k;
            }
            continue;
        }
        if (i < p.n && k < t.n && p.p[i] == t.p[k]) {
            i++;
            k++;
            continue;
        }
        if (star_i != SIZE_MAX && star_k < t.n && t.p[star_k] != '/') {
            k = ++star_k;
            i = star_i;
            continue;
        }
        if (deep_i != SIZE_MAX && deep_k < t.n) {
            do
                deep_k++;
            while (folders && deep_k < t.n && t.p[deep_k - 1] != '/');
            if (folders && t.p[deep_k - 1] != '/')
                return false;
            k = deep_k;
            i = deep_i;
            star_i = SIZE_MAX;
            continue;
        }
        return false;
    }
    return true;
}

bool hf_glob(struct hf_span pattern, struct hf_span text)
{
    return match(pattern, text, false);
}

bool hf_glob_path(struct hf_span pattern, struct hf_span path)
{
    return match(pattern, path, true);
}
