/* Faults that a disk and a clock can have, for a process that this is preloaded into. Each is switched by a file, whose path is in the
 * environment: while the file is there, every fdatasync (FAULT_FDATASYNC), pwrite (FAULT_PWRITE) or pread of the log (FAULT_PREAD) fails with
 * EIO; every fdatasync takes the milliseconds that stand in the file (FAULT_SLOW); the wall clock is off by the seconds that do (FAULT_CLOCK).
 *
 * FAULT_POWER is a directory that keeps what outlives a power failure: ID.bytes is what a file held when it was synced last, ID.names what a
 * directory did (a line a name: ID, d or f, and the name). An ID is an inode's number with the time of its birth, as numbers are given
 * again. Of the log's own segments nothing is kept. FAULT_DEATH is a number: the process is killed instead of its step of that number, of those
 * that concern a path with FAULT_DEATH_IN in it, if that is there. Steps are renames, syncs, but not of the log's segments, and writes to the
 * beginning of those: what is done when one follows the other. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
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

/* Whether an open file is a segment of the log, and its path. */
static int is_segment(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 4 && strcmp(path + length - 4, ".wal") == 0;
}

/* The ID of a file or directory; whether it is a directory, or -1 if it is not there. */
static int identify(int at, const char *name, char *id, size_t size) {
    struct statx about;
    if (statx(at, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_TYPE | STATX_BTIME, &about))
        return -1;
    if (!(about.stx_mask & STATX_BTIME))
        memset(&about.stx_btime, 0, sizeof about.stx_btime);
    snprintf(id, size, "%llu-%lld-%u", (unsigned long long)about.stx_ino, (long long)about.stx_btime.tv_sec, about.stx_btime.tv_nsec);
    return S_ISDIR(about.stx_mode);
}

static void keep_names(const char *directory, FILE *kept) {
    DIR *names = opendir(directory);
    char id[80];
    for (struct dirent *entry; (entry = readdir(names));) {
        int is_directory = strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") ? identify(dirfd(names), entry->d_name, id, sizeof id) : -1;
        if (is_directory >= 0)
            fprintf(kept, "%s %c %s\n", id, is_directory ? 'd' : 'f', entry->d_name);
    }
    closedir(names);
}

static void keep_bytes(const char *file, FILE *kept) {
    int in = open(file, O_RDONLY | O_CLOEXEC);
    while (sendfile(fileno(kept), in, NULL, 1 << 30) > 0)
        ;
    close(in);
}

/* What was just synced is kept, as a whole or not at all. */
static void keep(int fd) {
    char id[80], path[4096], kept[4096], next[4200];
    if (!getenv("FAULT_POWER") || is_segment(fd, path, sizeof path))
        return;
    int is_directory = identify(fd, "", id, sizeof id);
    snprintf(kept, sizeof kept, "%s/%s.%s", getenv("FAULT_POWER"), id, is_directory ? "names" : "bytes");
    snprintf(next, sizeof next, "%s.%d", kept, gettid());
    FILE *file = fopen(next, "w");
    (is_directory ? keep_names : keep_bytes)(path, file);
    fclose(file);
    syscall(SYS_rename, next, kept);
}

/* A step that changes what is durable, or what is where. */
static void step(const char *path) {
    static atomic_long steps;
    const char *last = getenv("FAULT_DEATH"), *in = getenv("FAULT_DEATH_IN");
    if (last && (!in || strstr(path, in)) && ++steps == atol(last))
        kill(getpid(), SIGKILL);
}

static void step_of_sync(int fd) {
    char path[4096];
    if (!is_segment(fd, path, sizeof path))
        step(path);
}

int fsync(int fd) {
    step_of_sync(fd);
    int result = syscall(SYS_fsync, fd);
    if (result == 0)
        keep(fd);
    return result;
}

int fdatasync(int fd) {
    usleep(number_of("FAULT_SLOW") * 1000);
    if (is_on("FAULT_FDATASYNC")) {
        errno = EIO;
        return -1;
    }
    step_of_sync(fd);
    int result = syscall(SYS_fdatasync, fd);
    if (result == 0)
        keep(fd);
    return result;
}

int rename(const char *from, const char *to) {
    step(to);
    return syscall(SYS_rename, from, to);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    char path[4096];
    if (offset == 0 && is_segment(fd, path, sizeof path))
        step(path);
    if (is_on("FAULT_PWRITE")) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset) {
    char path[4096];
    if (is_on("FAULT_PREAD") && is_segment(fd, path, sizeof path)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, bytes, length, offset);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (clock == CLOCK_REALTIME)
        time->tv_sec += number_of("FAULT_CLOCK");
    return result;
}
