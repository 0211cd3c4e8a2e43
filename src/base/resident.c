// SPDX-License-Identifier: Apache-2.0
#include "base/resident.h"

#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE (128 * 1024) /* glibc's own threshold before it moves */

void hf_resident_begin(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE);
    mallopt(M_TRIM_THRESHOLD, LARGE);
}

static int forget(struct dl_phdr_info *o, size_t size, void *ctx)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)size;
    (void)ctx;
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &o->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || (p->p_flags & PF_W)) /* what could be written may differ from the file */
            continue;
        uintptr_t from = (o->dlpi_addr + p->p_vaddr) & ~(page - 1), to = (o->dlpi_addr + p->p_vaddr + p->p_filesz + page - 1) & ~(page - 1);
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* costs memory where it fails, nothing else */
    }
    return 0;
}

void hf_resident_settle(void)
{
    malloc_trim(0);
    dl_iterate_phdr(forget, NULL);
}
