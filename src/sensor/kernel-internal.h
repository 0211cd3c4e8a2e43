/* SPDX-License-Identifier: Apache-2.0 */
/* kernel-internal.h - what kernel.c and on-demand.c share. */
#pragma once
#include "sensor/capabilities.h"
#include "sensor/kernel.h"

/* Why a rung cannot serve, or NULL when it can be tried. */
const char *hf_kernel_refuses(struct hf_kernel *k, const struct hf_rung *r);
/* The kernel's types are kept while hooks are chosen; when that is done they go. */
void hf_kernel_forget_types(struct hf_kernel *k);
/* "tp_btf/sched_process_exec" */
const char *hf_kernel_label(const struct hf_rung *r, char out[96]);
/* Forgets what libbpf said; after a failure, the program it named (empty: none). */
void hf_kernel_hush(void);
const char *hf_kernel_bad_program(char out[64]);
const struct hf_kernel_opts *hf_kernel_options(const struct hf_kernel *k);
