// SPDX-License-Identifier: Apache-2.0
/* Talks to drivers that are really there (tests/e2e/test_acceptance_vm.py, in the VM): makes keyboards, reads them, sends commands to disks, and has the driver
 * of tests/vm/exploit.c change what the kernel knows of this process.  drivers WHAT [ARGUMENT...]: see `acts` below; 0: the driver did what was asked. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/uhid.h>
#include <linux/uinput.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static int type_key(int fd, int down)
{
    struct input_event e[2] = {{.type = EV_KEY, .code = KEY_A, .value = down}, {.type = EV_SYN, .code = SYN_REPORT}};
    return write(fd, e, sizeof e) != sizeof e;
}

/* keyboard TIMES: a keyboard of uinput on which "a" is pressed so often, a tenth of a second each */
static int act_keyboard(char **a)
{
    struct uinput_setup setup = {.id = {.bustype = BUS_VIRTUAL, .vendor = 1, .product = 1, .version = 1}, .name = "typed by a program"};
    int fd = open("/dev/uinput", O_WRONLY), failed = 0;
    if (fd < 0 || ioctl(fd, UI_SET_EVBIT, EV_KEY) || ioctl(fd, UI_SET_KEYBIT, KEY_A) || ioctl(fd, UI_DEV_SETUP, &setup) || ioctl(fd, UI_DEV_CREATE))
        return 1;
    for (long n = atol(a[0]); n > 0 && !failed; n--) {
        failed = type_key(fd, 1);
        pause_ms(50);
        failed |= type_key(fd, 0);
        pause_ms(50);
    }
    return failed;
}

/* keys PATH: waits until a key is pressed on a keyboard */
static int act_keys(char **a)
{
    struct input_event e;
    int fd = open(a[0], O_RDONLY);
    while (read(fd, &e, sizeof e) == sizeof e)
        if (e.type == EV_KEY && e.value == 1)
            return e.code != KEY_A;
    return 1;
}

/* down PATH: which keys are down, asked until one is; grab PATH: takes the keyboard for itself */
static int act_down(char **a)
{
    unsigned char keys[KEY_MAX / 8 + 1];
    int fd = open(a[0], O_RDONLY);
    while (ioctl(fd, EVIOCGKEY(sizeof keys), keys) >= 0) {
        if (keys[KEY_A / 8] >> KEY_A % 8 & 1)
            return 0;
        pause_ms(10);
    }
    return 1;
}

static int act_grab(char **a)
{
    return ioctl(open(a[0], O_RDONLY), EVIOCGRAB, 1) != 0;
}

/* hid TIMES: a keyboard of uhid, in the same way */
static int act_hid(char **a)
{
    static const unsigned char keyboard[] = {0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0x00, 0x29, 0x65, 0x15, 0x00, 0x25, 0x65, 0x75, 0x08, 0x95, 0x08, 0x81, 0x00, 0xc0}; /* eight keys that are down */
    struct uhid_event e = {.type = UHID_CREATE2};
    int fd = open("/dev/uhid", O_RDWR);
    snprintf((char *)e.u.create2.name, sizeof e.u.create2.name, "keyboard");
    e.u.create2.rd_size = sizeof keyboard;
    memcpy(e.u.create2.rd_data, keyboard, sizeof keyboard);
    e.u.create2.bus = BUS_USB;
    e.u.create2.vendor = 0x1234;
    e.u.create2.product = 1;
    if (write(fd, &e, sizeof e) != sizeof e)
        return 1;
    for (long n = atol(a[0]) * 2; n > 0; n--) {
        e = (struct uhid_event){.type = UHID_INPUT2, .u.input2 = {.size = 8, .data = {n % 2 ? 0 : 4}}};
        if (write(fd, &e, sizeof e) != sizeof e)
            return 1;
        pause_ms(50);
    }
    return 0;
}

/* report PATH: waits for a report of a HID device with a key in it */
static int act_report(char **a)
{
    unsigned char report[64];
    int fd = open(a[0], O_RDONLY);
    while (read(fd, report, sizeof report) > 0)
        if (report[0] == 4)
            return 0;
    return 1;
}

/* inquire PATH VENDOR: asks a disk who made it, by a SCSI command */
static int act_inquire(char **a)
{
    unsigned char answer[96] = {0}, command[6] = {0x12, 0, 0, 0, sizeof answer, 0};
    struct sg_io_hdr raw = {.interface_id = 'S', .dxfer_direction = SG_DXFER_FROM_DEV, .cmd_len = sizeof command, .cmdp = command, .dxfer_len = sizeof answer, .dxferp = answer, .timeout = 10000};
    return ioctl(open(a[0], O_RDONLY), SG_IO, &raw) || raw.status || memcmp(answer + 8, a[1], strlen(a[1])) != 0;
}

/* own: asks a terminal of its own how it is set; and opens what everybody opens */
static int act_own(char **a)
{
    struct termios t;
    (void)a;
    return ioctl(posix_openpt(O_RDWR | O_NOCTTY), TCGETS, &t) || open("/dev/null", O_RDWR) < 0 || open("/dev/zero", O_RDONLY) < 0 || open("/dev/urandom", O_RDONLY) < 0;
}

/* exploit WHAT connect | open PATH | exec PROGRAM...: has its records overwritten (bits of WHAT: tests/vm/exploit.c) and does something ordinary */
static int act_exploit(char **a)
{
    int fd = open("/dev/exploit", O_RDWR | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, 0xef00ul | (unsigned long)atol(a[0]), (long)getpid()))
        return 1;
    if (!strcmp(a[1], "exec"))
        return execv(a[2], a + 2);
    if (!strcmp(a[1], "open"))
        return open(a[2], O_RDONLY) < 0;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof to) != -1; /* nobody listens */
}

static const struct {
    const char *name;
    int (*fn)(char **);
} acts[] = {{"keyboard", act_keyboard}, {"keys", act_keys}, {"down", act_down}, {"grab", act_grab}, {"hid", act_hid}, {"report", act_report}, {"inquire", act_inquire}, {"own", act_own}, {"exploit", act_exploit}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof acts / sizeof *acts; i++)
        if (!strcmp(argv[1], acts[i].name))
            return acts[i].fn(argv + 2);
    return 64;
}
