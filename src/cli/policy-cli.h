/* SPDX-License-Identifier: Apache-2.0 */
/* policy-cli.h - policies from the command line. */
#pragma once
#include "protect/policy.h"

/* All files (or folders of *.yaml and *.yml) as one checked set. */
HF_MUSTUSE int hf_cli_policies(const char *const *paths, size_t n, struct hf_prot_set **ret, struct hf_err *err);
