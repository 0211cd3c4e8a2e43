/* SPDX-License-Identifier: Apache-2.0 */
#include "base/library.h"

#include <string.h>

#include "tap.h"

int main(void)
{
    struct {
        double (*cosine)(double);
        void *none;
    } m = {NULL, NULL};
    static const struct hf_symbol good[] = {{"cos", offsetof(__typeof__(m), cosine)}};
    static const struct hf_symbol bad[] = {{"cos", offsetof(__typeof__(m), cosine)}, {"no_such_function", offsetof(__typeof__(m), none)}};
    const char *why = hf_library("libm.so.6", good, 1, &m);
    OK(!why && m.cosine && m.cosine(0) == 1);
    why = hf_library("libm.so.6", bad, 2, &m);
    OK(why && !strcmp(why, "no_such_function") && !m.none);
    why = hf_library("libno-such-library.so.1", good, 1, &m);
    OK(why && strstr(why, "libno-such-library"));
    return tap_done();
}
