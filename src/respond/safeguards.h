/* SPDX-License-Identifier: Apache-2.0 */
/* safeguards.h - what nothing is done to: the host's first process, Holdfast, the host's container runtimes, the pods of kube-system. */
#pragma once
#include "respond/target.h"

/* 0; -EPERM and why not.  force: only what would end the host or this program itself is still refused. */
HF_MUSTUSE int hf_safeguards(const struct hf_target *t, bool force, struct hf_err *err);
