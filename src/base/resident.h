/* SPDX-License-Identifier: Apache-2.0 */
/* resident.h - what a process that runs for long keeps in memory. */
#pragma once

/* From now on a large block comes from the kernel, with pages only where it is touched, and goes back to it when it is freed; glibc would take larger and
 * larger ones from its heap after the first was freed.  At the beginning of a program. */
void hf_resident_begin(void);

/* Gives back what only the start needed: free memory of the heap, and the pages of the program and its libraries that were read; those that are used again
 * are mapped again from the page cache. */
void hf_resident_settle(void);
