/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - numbers of the wire as words.  Arrays end with a NULL name; functions never return NULL. */
#pragma once
#include <stdint.h>

struct hf_flag_name {
    uint64_t bit;
    const char *name;
};
extern const struct hf_flag_name hf_names_exec[], hf_names_open[], hf_names_cred[], hf_names_prot[], hf_names_clone[], hf_names_helper[], hf_names_mem[];
const char *hf_name_ptrace(unsigned request);
const char *hf_name_mount(unsigned op);
const char *hf_name_module(unsigned op);
const char *hf_name_watch(unsigned watch_class);
/* What a device node is, by its number: "terminal", "input", "disk", "memory"; NULL: another, no node, or its number is not in the record. */
struct hf_wire_file;
const char *hf_name_node(const struct hf_wire_file *f);
const char *hf_name_loss(unsigned reason);
/* "SIGKILL"; "signal" for numbers without a name. */
const char *hf_name_signal(unsigned sig);
/* "mmap", "mprotect", "shmat". */
const char *hf_name_mem(unsigned op);
/* "TIOCSTI"; NULL for requests to devices that have no name here. */
const char *hf_name_request(unsigned request);
/* "sealed", "changed", "foreign", "moved", "volume", "memory", "unsealed", "unreadable"; "exec", "mmap", "policy"; "none", "would", "denied",
 * "killed"; "none", "lsm", "fanotify", "signal", "cgroup", "nftables", "mount". */
const char *hf_name_verdict(unsigned verdict);
const char *hf_name_use(unsigned use);
const char *hf_name_action(unsigned action);
const char *hf_name_rung(unsigned rung);
/* How a hook saw it: "lsm"... */
const char *hf_name_source(unsigned source);
/* Name of a system call of the x86-64 table that asks for privilege; NULL for others. */
const char *hf_name_privileged_call(unsigned nr);
