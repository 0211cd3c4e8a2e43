/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opts.h"

#include "tap.h"

static bool quiet, no_verify;
static const char *output, *seal;
static struct hf_strs formats;
static uint64_t jobs, memory;
static int fail_on;
static const struct hf_opt opts[] = {
        {"quiet", 'q', HF_OPT_FLAG, &quiet, NULL, NULL, 0, 0, "say less"},
        {"no-verify", 0, HF_OPT_FLAG, &no_verify, NULL, NULL, 0, 0, "trust"},
        {"output", 'o', HF_OPT_STR, &output, "FILE", NULL, 0, 0, "where to"},
        {"format", 'f', HF_OPT_LIST, &formats, "NAME", NULL, 0, 0, "how"},
        {"jobs", 'j', HF_OPT_U64, &jobs, "N", NULL, 1, 64, "threads"},
        {"max-memory", 0, HF_OPT_SIZE, &memory, "SIZE", NULL, 1 << 20, 0, "ceiling"},
        {"fail-on", 0, HF_OPT_ENUM, &fail_on, "SEVERITY", "low|medium|high", 0, 0, "exit 1"},
        {"seal", 0, HF_OPT_MAYBE, &seal, "FILE", NULL, 0, 0, "and a seal"},
        {0},
};
static const struct hf_command cmd = {"scan", "[options] TARGET", "look inside", "A paragraph.", opts, 1, 2};

static struct hf_err err;
static const char *args[80];
static size_t n_args;

/* Words up to NULL. */
static int parse(const char *const *words)
{
    char *argv[80] = {(char *)(uintptr_t)"scan"};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    quiet = no_verify = false;
    output = seal = NULL;
    formats.n = 0;
    jobs = memory = 0;
    fail_on = -1;
    n_args = 0;
    err = (struct hf_err)HF_ERR_INIT;
    return hf_opts_parse(&cmd, argc, argv, args, &n_args, &err);
}
#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})
/* A usage error whose message has this text in it. */
#define REFUSED(text, ...) OK(PARSE(__VA_ARGS__) == HF_E_USAGE && (strstr(err.msg, text) || (printf("# %s\n", err.msg), 0)))

int main(void)
{
    OK(PARSE("image.tar") == 0 && n_args == 1 && !strcmp(args[0], "image.tar") && !quiet);
    OK(PARSE("-q", "--output", "a", "-f", "json", "x", "--format=table", "-j4", "--max-memory=64M", "--fail-on", "high") == 0);
    OK(quiet && !strcmp(output, "a") && formats.n == 2 && !strcmp(formats.v[1], "table") && jobs == 4 && memory == 64 << 20 && fail_on == 2);
    OK(n_args == 1 && !strcmp(args[0], "x"));
    OK(PARSE("--no-verify", "--", "--quiet", "-") == 0 && no_verify && !quiet && n_args == 2 && !strcmp(args[0], "--quiet") && !strcmp(args[1], "-"));
    OK(PARSE("-", "--output=") == 0 && output && !*output);
    OK(PARSE("x", "--output", "--quiet") == 0 && !strcmp(output, "--quiet") && !quiet); /* a value is a value */
    OK(PARSE("x", "--max-memory", "2g") == 0 && memory == UINT64_C(2) << 30);
    OK(PARSE("x", "--max-memory", "1048576") == 0 && memory == 1 << 20);

    OK(PARSE("x", "--output", "--quiet") == 0 && !seal);
    OK(PARSE("--seal", "x") == 0 && seal && !*seal && n_args == 1 && !strcmp(args[0], "x")); /* the next word is not its value */
    OK(PARSE("--seal=f", "x") == 0 && seal && !strcmp(seal, "f") && n_args == 1);

    REFUSED("--seal= names nothing", "x", "--seal=");
    REFUSED("did you mean --output?", "x", "--ouput", "f");
    REFUSED("did you mean --output?", "x", "--ouput=f");
    REFUSED("--help", "x", "--completely-different");
    REFUSED("unknown option --quie", "x", "--quie"); /* no prefix matching */
    REFUSED("unknown option -z", "x", "-z");
    REFUSED("takes no value", "x", "--quiet=yes");
    REFUSED("apart", "x", "-qo");
    REFUSED("--output wants a value: FILE", "x", "--output");
    REFUSED("a number, not \"four\"", "x", "--jobs", "four");
    REFUSED("outside 1 to 64", "x", "--jobs", "0");
    REFUSED("outside 1 to 64", "x", "--jobs", "65");
    REFUSED("a number", "x", "--jobs", "-1");
    REFUSED("a number", "x", "--jobs", "18446744073709551616");
    REFUSED("a size such as 64M", "x", "--max-memory", "M");
    REFUSED("a size such as 64M", "x", "--max-memory", "64MB");
    REFUSED("a size", "x", "--max-memory", "18446744073709551615K"); /* overflow of the unit */
    REFUSED("low|medium|high", "x", "--fail-on", "hig");
    REFUSED("low|medium|high", "x", "--fail-on", "");
    REFUSED("too few arguments", "-q");
    REFUSED("unexpected argument \"c\"", "a", "b", "c");
    REFUSED("unknown option", "x", "--=y");
    REFUSED("unknown option --q?[31m", "x", "--q\x1b[31m"); /* nothing raw reaches the terminal */
    const char *many[70];
    for (size_t i = 0; i < 65; i++)
        many[i] = "-fjson";
    many[65] = NULL;
    OK(parse(many) == HF_E_USAGE && strstr(err.msg, "more than 64 times"));
    char huge[3000];
    memset(huge, 'a', sizeof huge);
    memcpy(huge, "--", 2);
    huge[sizeof huge - 1] = 0;
    REFUSED("unknown option --aaa", "x", huge);

    static const char *const words[] = {"scan", "db", "config", NULL};
    OK(!strcmp(hf_nearest("scna", words), "scan"));
    OK(!strcmp(hf_nearest("confgi", words), "config"));
    OK(hf_nearest("x", words) == NULL); /* near everything is near nothing */
    OK(hf_nearest("", words) == NULL);
    OK(hf_nearest("frob", (const char *const[]){"on", "off", "log", NULL}) == NULL);
    OK(hf_nearest(huge, words) == NULL);

    hf_autobuf help = HF_BUF_INIT(1 << 16);
    hf_opts_help(&cmd, &help);
    OK(hf_buf_ok(&help));
    for (const struct hf_opt *o = opts; o->name; o++)
        OK(hf_span_search(hf_buf_span(&help), hf_span_z(o->name)) != SIZE_MAX && hf_span_search(hf_buf_span(&help), hf_span_z(o->help)) != SIZE_MAX);
    OK(hf_span_search(hf_buf_span(&help), HF_S("Usage: holdfast scan [options] TARGET")) != SIZE_MAX);
    OK(hf_span_search(hf_buf_span(&help), HF_S("      --seal[=FILE] ")) != SIZE_MAX);
    return tap_done();
}
