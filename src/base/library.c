/* SPDX-License-Identifier: Apache-2.0 */
#include "base/library.h"

#include <dlfcn.h>

const char *hf_library(const char *so_name, const struct hf_symbol *symbols, size_t n, void *api)
{
    void *lib = dlopen(so_name, RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return dlerror();
    for (size_t i = 0; i < n; i++) {
        void *f = dlsym(lib, symbols[i].name);
        if (!f)
            return symbols[i].name;
        *(void **)(void *)((char *)api + symbols[i].offset) = f; /* POSIX, dlsym: a function's address is a void pointer's */
    }
    return NULL;
}
