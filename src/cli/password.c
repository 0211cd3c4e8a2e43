// SPDX-License-Identifier: Apache-2.0
#include "cli/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "base/fs.h"

static int typed(int tty, struct hf_buf *ret)
{
    size_t from = ret->n;
    for (;;) {
        char c;
        ssize_t n = read(tty, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || c == 3 || (c == 4 && ret->n == from)) /* end, Ctrl-C, Ctrl-D */
            return -ECANCELED;
        if (c == '\n' || c == '\r' || c == 4)
            return 0;
        if (c != 8 && c != 127)
            hf_buf_addc(ret, c);
        else if (ret->n > from)
            ret->n--;
    }
}

/* The keys for signals are plain bytes meanwhile, so that the terminal is as before in any case. */
int hf_cli_password(const char *prompt, struct hf_buf *ret, struct hf_err *err)
{
    struct termios old, silent;
    hf_autoclose int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0 && isatty(STDIN_FILENO)) /* of another session */
        tty = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (tty < 0 || tcgetattr(tty, &old) < 0)
        return hf_fail(err, -ENOTTY, "there is no terminal to ask at");
    silent = old;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG);
    if (dprintf(tty, "%s", prompt) < 0 || tcsetattr(tty, TCSAFLUSH, &silent) < 0)
        return hf_fail(err, -errno, "the terminal: %s", hf_err_name(-errno));
    int rc = typed(tty, ret);
    (void)tcsetattr(tty, TCSAFLUSH, &old);
    (void)!write(tty, "\n", 1);
    return rc < 0 ? hf_fail(err, rc, "no password was given") : 0;
}
