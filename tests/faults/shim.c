/* Makes system calls fail as a broken disk would; preloaded by tests/faults/injection.py.
 *
 * FAULT_CALL    open, read, write, rename, fsync, mkdir or unlink
 * FAULT_PATH    a part of the path (of the file behind the descriptor, for read, write and fsync)
 * FAULT_ERRNO   the number that the call fails with
 * FAULT_FROM    the first call that fails, counted from 1 among those that match
 * FAULT_COUNT   how many fail; 0: all from then on
 * FAULT_LOG     a file that receives a line for each call that failed
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int seen;

static int setting(const char *name, int usual) {
  const char *text = getenv(name);
  return text ? atoi(text) : usual;
}

static int fails(const char *call, const char *path) {
  const char *wanted = getenv("FAULT_CALL"), *part = getenv("FAULT_PATH");
  if (!wanted || !part || !path || strcmp(wanted, call) || !strstr(path, part)) return 0;
  int number = ++seen, first = setting("FAULT_FROM", 1), count = setting("FAULT_COUNT", 0);
  if (number < first || (count && number >= first + count)) return 0;
  const char *log = getenv("FAULT_LOG");
  if (log) {
    /* By number: the functions below would count this, too. */
    int file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT, 0666);
    char line[4352];
    int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    if (file >= 0) {
      (void)!syscall(SYS_write, file, line, length < (int)sizeof line ? length : (int)sizeof line);
      syscall(SYS_close, file);
    }
  }
  errno = setting("FAULT_ERRNO", EIO);
  return 1;
}

static int descriptor_fails(const char *call, int descriptor) {
  const char *wanted = getenv("FAULT_CALL");
  if (!wanted || strcmp(wanted, call)) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fails(call, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define OPEN(name)                                          \
  int name(const char *path, int flags, ...) {              \
    va_list rest;                                           \
    va_start(rest, flags);                                  \
    int mode = va_arg(rest, int);                           \
    va_end(rest);                                           \
    return fails("open", path) ? -1 : NEXT(name)(path, flags, mode); \
  }
#define OPENAT(name)                                        \
  int name(int folder, const char *path, int flags, ...) {  \
    va_list rest;                                           \
    va_start(rest, flags);                                  \
    int mode = va_arg(rest, int);                           \
    va_end(rest);                                           \
    return fails("open", path) ? -1 : NEXT(name)(folder, path, flags, mode); \
  }
#define FOPEN(name)                                         \
  FILE *name(const char *path, const char *mode) {          \
    return fails("open", path) ? NULL : NEXT(name)(path, mode); \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FOPEN(fopen)
FOPEN(fopen64)

#define TRANSFER(name, call, type)                                 \
  ssize_t name(int file, type bytes, size_t count) {               \
    return descriptor_fails(call, file) ? -1 : NEXT(name)(file, bytes, count); \
  }
#define TRANSFER_AT(name, call, type, offset_type)                                 \
  ssize_t name(int file, type bytes, size_t count, offset_type offset) {           \
    return descriptor_fails(call, file) ? -1 : NEXT(name)(file, bytes, count, offset); \
  }
TRANSFER(read, "read", void *)
TRANSFER(write, "write", const void *)
TRANSFER_AT(pread, "read", void *, off_t)
TRANSFER_AT(pread64, "read", void *, off64_t)
TRANSFER_AT(pwrite, "write", const void *, off_t)
TRANSFER_AT(pwrite64, "write", const void *, off64_t)

ssize_t writev(int file, const struct iovec *parts, int count) {
  return descriptor_fails("write", file) ? -1 : NEXT(writev)(file, parts, count);
}
int fsync(int file) { return descriptor_fails("fsync", file) ? -1 : NEXT(fsync)(file); }
int fdatasync(int file) { return descriptor_fails("fsync", file) ? -1 : NEXT(fdatasync)(file); }
int rename(const char *from, const char *to) {
  return fails("rename", to) ? -1 : NEXT(rename)(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
  return fails("rename", to) ? -1 : NEXT(renameat)(a, from, b, to);
}
int mkdir(const char *path, mode_t mode) {
  return fails("mkdir", path) ? -1 : NEXT(mkdir)(path, mode);
}
int mkdirat(int folder, const char *path, mode_t mode) {
  return fails("mkdir", path) ? -1 : NEXT(mkdirat)(folder, path, mode);
}
int unlink(const char *path) { return fails("unlink", path) ? -1 : NEXT(unlink)(path); }
int unlinkat(int folder, const char *path, int flags) {
  return fails("unlink", path) ? -1 : NEXT(unlinkat)(folder, path, flags);
}
