/* SPDX-License-Identifier: Apache-2.0 */
/* library.h - libraries that only some runs of the program need, loaded when they do: linked they would cost every run.
 *
 * A caller keeps a struct of function pointers and a table of names and offsets into it, and loads it once (pthread_once). */
#pragma once
#include <stddef.h>

struct hf_symbol {
    const char *name;
    size_t offset; /* of the pointer in the struct */
};
/* Fills the pointers of *api.  NULL, or what is missing: valid for the life of the process.  Never unloaded. */
const char *hf_library(const char *so_name, const struct hf_symbol *symbols, size_t n, void *api);
