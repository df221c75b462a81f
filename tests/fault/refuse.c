// SPDX-License-Identifier: Apache-2.0
// Makes one chosen call of a program to the kernel fail, by LD_PRELOAD:
//
//     REFUSE_CONTROL=FILE LD_PRELOAD=librefuse.so ipvlanxd ...
//
// FILE is shared with the test (calls.py), which writes which call from now it shall be.
// Counted are the calls of all threads by which a daemon changes things or finds out about
// them, in their order: netlink, bpf(2), files, namespaces, threads.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct control {
  atomic_int countdown;  // 1: the next call fails; 0: none does
  int error;             // its errno
  atomic_int fired;
  char what[116];  // the call that failed
};

static struct control* control;

__attribute__((constructor)) static void map_control(void) {
  const char* path = getenv("REFUSE_CONTROL");
  int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void* memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory != MAP_FAILED) control = memory;
}

static void* next(const char* name) {
  return dlsym(RTLD_NEXT, name);
}

#define REAL(name) ((__typeof__(&name))next(#name))

static bool is_refused(const char* name, const char* detail) {
  if (!control || atomic_load(&control->countdown) <= 0) return false;
  if (atomic_fetch_sub(&control->countdown, 1) != 1) return false;
  snprintf(control->what, sizeof control->what, "%s %s", name, detail);
  atomic_store(&control->fired, 1);
  return true;
}

static bool is_netlink(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK;
}

static bool is_file(int fd) {
  struct stat file;
  return fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
}

static const char* type_of(const void* message, size_t size) {
  static _Thread_local char text[24];
  const struct nlmsghdr* header = message;
  snprintf(text, sizeof text, "type %d", size >= sizeof *header ? header->nlmsg_type : -1);
  return text;
}

// The call, or its failure.
#define CALL(name, detail, failure, ...)                          \
  if (!is_refused(#name, detail)) return REAL(name)(__VA_ARGS__); \
  errno = control->error;                                         \
  return failure

ssize_t sendto(int fd, const void* data, size_t size, int flags, const struct sockaddr* to,
               socklen_t length) {
  if (!is_netlink(fd)) return REAL(sendto)(fd, data, size, flags, to, length);
  CALL(sendto, type_of(data, size), (ssize_t)-1, fd, data, size, flags, to, length);
}

ssize_t send(int fd, const void* data, size_t size, int flags) {
  if (!is_netlink(fd)) return REAL(send)(fd, data, size, flags);
  CALL(send, type_of(data, size), (ssize_t)-1, fd, data, size, flags);
}

ssize_t recv(int fd, void* data, size_t size, int flags) {
  if (!is_netlink(fd)) return REAL(recv)(fd, data, size, flags);
  CALL(recv, "", (ssize_t)-1, fd, data, size, flags);
}

long syscall(long number, ...) {
  va_list list;
  long a[6];
  va_start(list, number);
  for (int i = 0; i < 6; ++i) a[i] = va_arg(list, long);
  va_end(list);
  if (number != SYS_bpf) return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  char command[24];
  snprintf(command, sizeof command, "bpf command %ld", a[0]);
  CALL(syscall, command, -1L, number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static unsigned mode_in(int flags, va_list list) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(list, unsigned) : 0;
}

int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const unsigned mode = mode_in(flags, list);
  va_end(list);
  CALL(open, path, -1, path, flags, mode);
}

FILE* fopen(const char* path, const char* mode) {
  CALL(fopen, path, (FILE*)NULL, path, mode);
}

FILE* fopen64(const char* path, const char* mode) {
  CALL(fopen64, path, (FILE*)NULL, path, mode);
}

ssize_t write(int fd, const void* data, size_t size) {
  if (!is_file(fd)) return REAL(write)(fd, data, size);
  CALL(write, "", (ssize_t)-1, fd, data, size);
}

int fsync(int fd) {
  CALL(fsync, "", -1, fd);
}

int fdatasync(int fd) {
  CALL(fdatasync, "", -1, fd);
}

int ftruncate(int fd, off_t size) {
  CALL(ftruncate, "", -1, fd, size);
}

int rename(const char* from, const char* to) {
  CALL(rename, to, -1, from, to);
}

int unlink(const char* path) {
  CALL(unlink, path, -1, path);
}

int socket(int domain, int type, int protocol) {
  CALL(socket, domain == AF_NETLINK ? "netlink" : "", -1, domain, type, protocol);
}

int setns(int fd, int type) {
  CALL(setns, "", -1, fd, type);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
  return is_refused("pthread_create", "") ? EAGAIN
                                          : REAL(pthread_create)(thread, attributes, start, argument);
}
