/* SPDX-License-Identifier: Apache-2.0 */
/* fields.h - what a condition can ask of an event: one table of fields, and which kinds of events serve each.
 *
 * The names and meanings are those of Falco's rule language (its reference: "Supported Fields for Conditions and Outputs"), with
 * Holdfast's own under "hf.".  Values are borrowed from the event or from the context's scratch, until the next event. */
#pragma once
#include "event/track.h"

/* Kinds of events as conditions tell them apart: a bit each. */
enum hf_class {
    HF_CLASS_EXEC,
    HF_CLASS_FORK,
    HF_CLASS_EXIT,
    HF_CLASS_CONTAINER,
    HF_CLASS_CONTAINER_END,
    HF_CLASS_FILE,                     /* + operation HF_FILE_* (1-17) */
    HF_CLASS_NET = HF_CLASS_FILE + 18, /* + operation HF_NET_* (1-8) */
    HF_CLASS_PAYLOAD = HF_CLASS_NET + 9,
    HF_CLASS_SOCKET,
    HF_CLASS_PTRACE,
    HF_CLASS_MEM,  /* mprotect */
    HF_CLASS_MMAP, /* mappings, shared memory too */
    HF_CLASS_UNSHARE,
    HF_CLASS_SETNS,
    HF_CLASS_MOUNT,
    HF_CLASS_UMOUNT,
    HF_CLASS_MODULE,
    HF_CLASS_BPF,
    HF_CLASS_IO_URING,
    HF_CLASS_SIGNAL,
    HF_CLASS_RENAME,
    HF_CLASS_CAP,
    HF_CLASS_LOSS,
    HF_CLASS_RATE,
    HF_CLASS_CRED,
    HF_CLASS_DUP, /* an exec whose standard input or output is a network connection: what dup(2) prepared */
    HF_CLASS_USERFAULTFD,
    HF_CLASS_STATUS, /* the sensor about itself */
    HF_CLASS_VERDICT,
    HF_CLASS_NONE,
    HF_CLASSES
};
_Static_assert(HF_CLASSES <= 64, "a bit each");
#define HF_CLASS_BIT(c) (1ull << (c))
#define HF_CLASS_ALL (~0ull)

enum hf_class hf_class_of(const struct hf_event *ev);
/* Classes that go by this event name ("openat", "execve", "connect"); 0: no event does; *ret_known: the name is a system call or
 * pseudo event at all. */
uint64_t hf_classes_named(struct hf_span name, bool *ret_known);
/* The types of events (bits 1 << HF_EV_*, HF_SET_RATE) that these classes are made of; losses, credentials, verdicts and what the sensor says of itself have none. */
uint64_t hf_classes_types(uint64_t classes);
/* A name of the class, the usual one. */
const char *hf_class_name(enum hf_class c);
/* Whether this program's sensor tells of such events yet; rules that need others load, but stay silent. */
bool hf_class_is_told(enum hf_class c);
/* What serves a class, for `rules explain`: "tp_btf/sched_process_exec"... */
const char *hf_class_hook(enum hf_class c);

enum hf_value_kind { HF_VALUE_STR, HF_VALUE_NUM, HF_VALUE_ADDR };
struct hf_value {
    enum hf_value_kind kind;
    struct hf_span str;
    int64_t num;
    uint8_t addr[16];
};

struct hf_field_def {
    const char *name;
    enum hf_value_kind kind;
    uint64_t classes;  /* events that can have it; 0: none of Holdfast's */
    const char *unserved; /* why not, when 0 */
    unsigned id;
    bool arg;          /* takes [n] or [text] */
};
/* By full name, without argument; NULL: unknown. */
const struct hf_field_def *hf_field_find(struct hf_span name);
const struct hf_field_def *hf_field_at(size_t i); /* NULL past the end */
/* NULL-terminated list of all names, for "did you mean". */
const char *const *hf_field_names(void);

typedef struct hf_span (*hf_user_name)(void *ctx, uint32_t id, bool group);

/* What one event is looked at with. */
struct hf_look {
    const struct hf_event *ev;
    enum hf_class class;
    const struct hf_wire_stdio *stdio; /* HF_CLASS_DUP: which stream */
    unsigned stdio_fd;
    struct hf_buf scratch; /* texts that had to be made */
    uint32_t epoch;
    struct {
        uint32_t epoch;
        bool has;
        struct hf_value v;
    } cache[256]; /* by field id, for fields without argument */
    hf_user_name user_name;
    void *user_ctx;
    bool (*remembered)(void *ctx, struct hf_span name, bool of_parent); /* what rules remember; NULL: nothing */
    void *remembered_ctx;
};
void hf_look_init(struct hf_look *l);
void hf_look_done(struct hf_look *l);
void hf_look_at(struct hf_look *l, const struct hf_event *ev, enum hf_class class);

/* The nth value of a field (most have one); false: there is none.  arg: text in brackets, empty for none; arg_n: as a number or -1. */
bool hf_field_get(struct hf_look *l, const struct hf_field_def *f, struct hf_span arg, int64_t arg_n, unsigned nth, struct hf_value *ret);
/* As text, for outputs. */
void hf_value_text(const struct hf_value *v, struct hf_buf *out);
