/* Loaded with LD_PRELOAD: a file system that has no locks, as flock(2) reports one. */
#include <errno.h>

int flock(int descriptor, int operation) {
    (void)descriptor;
    (void)operation;
    errno = ENOLCK;
    return -1;
}
