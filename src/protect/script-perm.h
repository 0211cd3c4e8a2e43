/* SPDX-License-Identifier: Apache-2.0 */
/* script-perm.h - scripts that were allowed to run are asked for again when they changed before their interpreter opened them.
 *
 * A script that was judged as it was started (exec-perm.h) has a mark on its inode (fanotify FAN_OPEN_PERM), and an ignore mark, which a write takes
 * away.  So nothing is asked for until somebody writes it; then each opening of it is: by its interpreter (as its first line names it; the kernel
 * made that the process's first argument) it is judged once more, by anybody else it is let through.
 *
 * Its folder has a mark too: another file that takes its name is asked for like it.  Whatever else is opened there is asked for once, until it is
 * written.
 *
 * A group of its own, read by a thread of its own, since the guard opens such files itself: the thread answers what needs no judging. */
#pragma once
#include "protect/exec-perm.h"

struct hf_script_perm;
HF_MUSTUSE int hf_script_perm_new(struct hf_script_perm **ret, const struct hf_exec_perm_opts *o, struct hf_err *err);
void hf_script_perm_free(struct hf_script_perm *s); /* what is pending is allowed */
HF_DEFINE_FREEP(struct hf_script_perm, hf_script_perm_free)
/* The file behind fd (open for reading) that process pid opened under this path (as it sees it), if it begins with "#!". */
void hf_script_perm_mark(struct hf_script_perm *s, int fd, uint32_t pid, struct hf_span path);
int hf_script_perm_fd(const struct hf_script_perm *s); /* readable: hf_script_perm_ready */
void hf_script_perm_ready(struct hf_script_perm *s);
/* Of a script: "/usr/bin/python3" of "#! /usr/bin/python3 -E\n"; empty: it is none. */
struct hf_span hf_script_interpreter(struct hf_span head);
