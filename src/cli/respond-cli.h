/* SPDX-License-Identifier: Apache-2.0 */
/* respond-cli.h - the parts of `respond` that are not actions. */
#pragma once
#include <stdint.h>

struct hf_buf;
struct hf_err;

/* "90", "15m", "2h", "1d" in seconds; HF_E_USAGE names the option. */
int hf_cli_for(const char *option, const char *text, uint64_t *ret_s, struct hf_err *err);
/* Undoes what is over, and says so. */
int hf_cli_expire(const char *state);
int hf_cmd_respond_list(int argc, char **argv);
int hf_cmd_respond_log(int argc, char **argv);
int hf_cmd_respond_verify(int argc, char **argv); /* snapshot verify */
/* Adds the file of a snapshot (`after` of hf_respond_did) to an incident; after NULL: only whether there is such an incident. */
int hf_cli_evidence_of(const char *incident, const char *store, const char *config, const struct hf_buf *after, struct hf_err *err);
