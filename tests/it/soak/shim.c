/* Stands before the C library of the program under test, and has its calls fail, wait or lie.
 *
 * What it does is told by files in the folder SHIM_DIR, so that a test can change it while the program runs:
 *   fail_sync    fsync and fdatasync fail with EIO
 *   slow_sync    they take 200 ms longer
 *   slow_checkpoint  syncs of the database file take a second longer, which only a checkpoint makes; as long as one does,
 *                there is a file `checkpointing` in the folder
 *   fail_write   writes to files fail with ENOSPC
 *   clock        its text is added to the wall clock, in seconds
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static int is_told(const char *what) {
    const char *dir = getenv("SHIM_DIR");
    char path[4096];
    if (dir == NULL) return 0;
    snprintf(path, sizeof path, "%s/%s", dir, what);
    return access(path, F_OK) == 0;
}

static int is_regular(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

/* Whether it is the database itself, and not its log. */
static int is_database(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length >= 7 && strncmp(path + length - 7, ".duckdb", 7) == 0;
}

static void hold_checkpoint(int fd) {
    struct timespec wait = {1, 0};
    char path[4096];
    if (!is_told("slow_checkpoint") || !is_database(fd)) return;
    snprintf(path, sizeof path, "%s/checkpointing", getenv("SHIM_DIR"));
    int mark = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (mark >= 0) close(mark);
    nanosleep(&wait, NULL);
    unlink(path);
}

static int before_sync(int fd) {
    hold_checkpoint(fd);
    if (is_told("slow_sync")) {
        struct timespec wait = {0, 200 * 1000 * 1000};
        nanosleep(&wait, NULL);
    }
    if (is_told("fail_sync")) {
        errno = EIO;
        return -1;
    }
    return 0;
}

int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    return before_sync(fd) == 0 ? real(fd) : -1;
}

int fdatasync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    return before_sync(fd) == 0 ? real(fd) : -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
    if (is_regular(fd) && is_told("fail_write")) {
        /* Half of it is written, as a disk does that fills up. */
        if (count > 1) real(fd, bytes, count / 2, at);
        errno = ENOSPC;
        return -1;
    }
    return real(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) { return pwrite(fd, bytes, count, at); }

ssize_t write(int fd, const void *bytes, size_t count) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (is_regular(fd) && is_told("fail_write")) {
        if (count > 1) real(fd, bytes, count / 2);
        errno = ENOSPC;
        return -1;
    }
    return real(fd, bytes, count);
}

int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(id, now);
    const char *dir = getenv("SHIM_DIR");
    if (done == 0 && id == CLOCK_REALTIME && dir != NULL) {
        char path[4096], text[32] = {0};
        snprintf(path, sizeof path, "%s/clock", dir);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            if (read(fd, text, sizeof text - 1) > 0) now->tv_sec += atoll(text);
            close(fd);
        }
    }
    return done;
}
