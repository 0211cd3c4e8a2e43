/* SPDX-License-Identifier: Apache-2.0 */
/* cases-internal.h - between the file of tests (cases.c) and the members of each kind of event (cases-events.c). */
#pragma once
#include "base/mem.h"
#include "detect/cases.h"
#include "base/yaml-file.h"
#include "event/event.h"

#define HF_CASE_PROCS 1024u
#define HF_CASE_CONTAINERS 64u

/* An event being made: the fixed part, then its texts in the order of event.h. */
struct hf_case_event {
    union {
        struct hf_wire_hdr hdr;
        struct hf_wire_exec exec;
        struct hf_wire_fork fork;
        struct hf_wire_exit exit;
        struct hf_wire_file file;
        struct hf_wire_net net;
        struct hf_wire_payload payload;
        struct hf_wire_socket socket;
        struct hf_wire_ptrace ptrace;
        struct hf_wire_mem mem;
        struct hf_wire_ns ns;
        struct hf_wire_mount mount;
        struct hf_wire_module module;
        struct hf_wire_bpf bpf;
        struct hf_wire_io_uring io_uring;
        struct hf_wire_signal signal;
        struct hf_wire_rename rename;
        struct hf_wire_cap cap;
        struct hf_wire_loss loss;
        struct hf_wire_rate rate;
        struct hf_wire_cred cred;
    } u;
    const struct hf_case_type *type;
    struct hf_span texts[6];
    struct hf_span question; /* dns: its name, put into a message at the end */
    uint64_t query_type, rcode;
    bool response;
};

struct hf_case_proc {
    struct hf_wire_hdr h;
    uint64_t parent_start_ns;
    struct hf_span exe, args, cwd, env;
    uint32_t tty;
};

struct hf_cases_loader {
    struct hf_arena *arena;
    struct hf_cases *cases;
    struct hf_yaml y;
    struct hf_case_proc procs[HF_CASE_PROCS];
    size_t n_procs;
    struct {
        struct hf_span id, name;
    } containers[HF_CASE_CONTAINERS];
    size_t n_containers;
    uint64_t now_ns;
    struct hf_buf records;
};

int hf_case_number(struct hf_cases_loader *l, const yaml_node_t *n, uint64_t max, uint64_t *ret);
/* A list of texts as one, NUL after each. */
int hf_case_texts(struct hf_cases_loader *l, const yaml_node_t *n, struct hf_span *ret);
int hf_case_flags(struct hf_cases_loader *l, const yaml_node_t *n, int (*bit)(struct hf_span name, const void *names, uint64_t *ret), const void *names, uint64_t *ret);
struct hf_case_proc *hf_case_proc(struct hf_cases_loader *l, uint64_t pid);

/* The kind of event that goes by this name in `type`; NULL: none. */
const struct hf_case_type *hf_case_type_named(struct hf_span name);
const char *const *hf_case_type_names(void);
const char *hf_case_type_name(const struct hf_case_type *t);
unsigned hf_case_wire_type(const struct hf_case_type *t);
/* Begins an event of the type; fills in the members of its own (a mapping, or NULL); appends it to the records. */
void hf_case_begin(struct hf_case_event *e, const struct hf_case_type *t);
HF_MUSTUSE int hf_case_members(struct hf_cases_loader *l, struct hf_case_event *e, const yaml_node_t *map);
HF_MUSTUSE int hf_case_end(struct hf_cases_loader *l, struct hf_case_event *e, const yaml_node_t *where);
