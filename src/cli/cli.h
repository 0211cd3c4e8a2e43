/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - one function a command.  Exit codes, the same everywhere: 0 done, 1 findings at or above --fail-on, 2 wrong usage or
 * configuration, 3 the operation failed, 4 finished but something could not be examined. */
#pragma once
#include "base/opts.h"

enum { HF_EXIT_OK, HF_EXIT_FINDINGS, HF_EXIT_USAGE, HF_EXIT_FAILED, HF_EXIT_INCOMPLETE };
int hf_cmd_scan(int argc, char **argv);
int hf_cmd_db(int argc, char **argv);
int hf_cmd_db_build(int argc, char **argv);
int hf_cmd_db_update(int argc, char **argv);
int hf_cmd_db_export(int argc, char **argv);
int hf_cmd_db_import(int argc, char **argv);
int hf_cmd_db_cmp(int argc, char **argv);
int hf_cmd_config(int argc, char **argv);
int hf_cmd_inuse(int argc, char **argv);
int hf_cmd_rules(int argc, char **argv);
int hf_cmd_store(int argc, char **argv);
int hf_cmd_incident(int argc, char **argv);
int hf_cmd_inventory(int argc, char **argv);
int hf_cmd_audit(int argc, char **argv);
int hf_cmd_policy(int argc, char **argv);
int hf_cmd_seal(int argc, char **argv);
int hf_cmd_protect(int argc, char **argv); /* builds with the guard */
int hf_cmd_notify(int argc, char **argv);
int hf_cmd_console(int argc, char **argv); /* builds with the console */
int hf_cmd_daemon(int argc, char **argv); /* builds with the sensor */
int hf_cmd_user(int argc, char **argv);
int hf_cmd_token(int argc, char **argv);
int hf_cmd_watch(int argc, char **argv);  /* builds with the sensor */
int hf_cmd_sensor(int argc, char **argv);
int hf_cmd_respond(int argc, char **argv);
/* Prints the one line of an error and gives its exit code. */
int hf_cli_fail(const struct hf_err *err, int rc);
/* Writes to stdout (or a file); -errno. */
int hf_cli_stdout(void *ctx, struct hf_span piece);
/* Writes a whole result (NULL: what was written before) to stdout and gives `code`, or says why it could not and gives HF_EXIT_FAILED. */
int hf_cli_print(const struct hf_buf *out, int code);
/* A cell of a table: escaped, cut to `width` columns or filled up to them, then two spaces. */
void hf_cli_cell(struct hf_buf *out, struct hf_span text, size_t width);
