/* Faults that a disk and a clock can have, for a process that this is preloaded into. Each is switched by a file, whose path is in the
 * environment: while the file is there, every fdatasync (FAULT_FDATASYNC) or pwrite (FAULT_PWRITE) fails with EIO; every fdatasync
 * takes the milliseconds that stand in the file (FAULT_SLOW); the wall clock is off by the seconds that do (FAULT_CLOCK). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static int is_on(const char *name) {
    const char *path = getenv(name);
    return path && access(path, F_OK) == 0;
}

/* What stands in the file; 0 if it is not there. */
static long number_of(const char *name) {
    const char *path = getenv(name);
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char text[32] = {0};
    if (file < 0)
        return 0;
    if (read(file, text, sizeof text - 1) < 0)
        text[0] = 0;
    close(file);
    return atol(text);
}

int fdatasync(int fd) {
    usleep(number_of("FAULT_SLOW") * 1000);
    if (is_on("FAULT_FDATASYNC")) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_fdatasync, fd);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    if (is_on("FAULT_PWRITE")) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, length, offset);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (clock == CLOCK_REALTIME)
        time->tv_sec += number_of("FAULT_CLOCK");
    return result;
}
