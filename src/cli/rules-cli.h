/* SPDX-License-Identifier: Apache-2.0 */
/* rules-cli.h - what the commands of `rules` share: rule files from options, and rules run over records without a sensor. */
#pragma once
#include "base/opts.h"
#include "detect/engine.h"
#include "event/recording.h"

int hf_cmd_rules_list(int argc, char **argv);
int hf_cmd_rules_check(int argc, char **argv);
int hf_cmd_rules_explain(int argc, char **argv);
int hf_cmd_rules_replay(int argc, char **argv);
int hf_cmd_rules_test(int argc, char **argv);
int hf_cmd_rules_why(int argc, char **argv);
int hf_cmd_rules_except(int argc, char **argv);
int hf_cmd_rules_exceptions(int argc, char **argv);

/* The rules of --rules, or those that come with the program, compiled. */
HF_MUSTUSE int hf_cli_rules(const struct hf_strs *paths, struct hf_rules **ret, struct hf_err *err);
#define HF_EXCEPTIONS_DIR "/etc/holdfast/exceptions.d"
/* The files of a path: itself, or of a folder those named *.yaml and *.yml in the order of their names.  -errno, or what fn says. */
HF_MUSTUSE int hf_cli_each_file(const char *path, int (*fn)(void *ctx, const char *name, struct hf_span text, struct hf_err *err), void *ctx, struct hf_err *err);
/* The files of --rules, or those of the rules that come with the program. */
HF_MUSTUSE int hf_cli_each_rule_file(const struct hf_strs *paths, int (*fn)(void *ctx, const char *name, struct hf_span text, struct hf_err *err), void *ctx, struct hf_err *err);
/* The exceptions of --exceptions; without any, those of HF_EXCEPTIONS_DIR, if it is there. */
HF_MUSTUSE int hf_cli_excepts(const struct hf_strs *paths, struct hf_excepts **ret, struct hf_err *err);
/* Names of the kinds of events that a rule listens to, each once: those that the sensor tells of, or those that it does not yet. */
size_t hf_cli_rule_events(const struct hf_rule *r, bool told, const char *out[HF_CLASSES]);

/* Names of users and groups: lines "name:x:NUMBER:..." */
struct hf_users {
    struct hf_span passwd, group;
};
/* An hf_user_name; ctx is a struct hf_users. */
struct hf_span hf_users_name(void *ctx, uint32_t id, bool group);

/* Rules and what they are held against, without output of events. */
struct hf_rules_run {
    struct hf_track *track;
    struct hf_engine *engine;
    struct hf_recording *recording; /* or NULL */
    struct hf_users users;
    uint64_t offset_ns, events, bad, lost;
    uint64_t first_ns, last_ns; /* CLOCK_BOOTTIME */
};
/* Takes rules over, also when it fails.  r must stay where it is. */
HF_MUSTUSE int hf_rules_run_init(struct hf_rules_run *r, struct hf_rules *rules, uint64_t offset_ns, uint64_t seed, hf_engine_alert alert, void *ctx, struct hf_err *err);
void hf_rules_run_done(struct hf_rules_run *r);
void hf_rules_run_frame(struct hf_rules_run *r, uint64_t boot_ns, struct hf_span records);
/* All of a recording, "-" is standard input.  0; HF_E_INCOMPLETE when it was cut off, is damaged within or events are missing in it (err says what
 * was read). */
HF_MUSTUSE int hf_rules_run_recording(struct hf_rules_run *ret, const char *path, struct hf_rules *rules, struct hf_excepts *excepts_or_null, hf_engine_alert alert, void *ctx,
        struct hf_err *err);
