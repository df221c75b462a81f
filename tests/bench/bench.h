/* SPDX-License-Identifier: Apache-2.0 */
/* How does a measuring program get into a network namespace, on a CPU, and at the time?
 *
 * A socket keeps the namespace it was made in: one process can hold both ends of a path, and needs no
 * second process that starts, listens and reports at a moment of its own.
 */
#ifndef IPVLANX_BENCH_H
#define IPVLANX_BENCH_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MILLISECOND 1000000ull
#define SECOND 1000000000ull

static inline void __attribute__((noreturn)) die(const char* what) {
  perror(what);
  exit(1);
}

static inline int checked(int result, const char* what) {
  if (result < 0) die(what);
  return result;
}

/* The calling thread's sockets are made in this namespace from now on. */
static inline void enter(const char* netns) {
  char path[PATH_MAX];

  snprintf(path, sizeof(path), "/run/netns/%s", netns);
  int handle = checked(open(path, O_RDONLY | O_CLOEXEC), path);
  checked(setns(handle, CLONE_NEWNET), "setns");
  close(handle);
}

static inline int socket_in(const char* netns, int family, int type, int protocol) {
  enter(netns);
  return checked(socket(family, type | SOCK_CLOEXEC, protocol), "socket");
}

static inline struct sockaddr_in ipv4(const char* address) {
  struct sockaddr_in result = {.sin_family = AF_INET};

  if (inet_pton(AF_INET, address, &result.sin_addr) != 1) {
    fprintf(stderr, "no IPv4 address: %s\n", address);
    exit(1);
  }
  return result;
}

/* To this address and a free port, which is then in *address. */
static inline void bind_to(int socket, struct sockaddr_in* address) {
  socklen_t size = sizeof(*address);

  checked(bind(socket, (struct sockaddr*)address, size), "bind");
  checked(getsockname(socket, (struct sockaddr*)address, &size), "getsockname");
}

/* No call on this socket takes longer: an option of setsockopt(2), SO_RCVTIMEO or SO_SNDTIMEO. */
static inline void limit_wait(int socket, int option, long milliseconds) {
  struct timeval limit = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};

  checked(setsockopt(socket, SOL_SOCKET, option, &limit, sizeof(limit)), "socket timeout");
}

/* The calling thread, and those it makes, stay on this CPU. */
static inline void pin(int cpu) {
  cpu_set_t only;

  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  checked(sched_setaffinity(0, sizeof(only), &only), "sched_setaffinity");
}

static inline uint64_t now_ns(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static inline void sleep_until(uint64_t when) {
  struct timespec deadline = {.tv_sec = (time_t)(when / SECOND), .tv_nsec = (long)(when % SECOND)};

  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR);
}

#endif
