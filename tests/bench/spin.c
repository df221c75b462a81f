// SPDX-License-Identifier: Apache-2.0
// How are the CPUs kept out of halt? An idle virtual CPU takes 30 to 60 us to wake, which is more than what
// is measured here.
//
//   spin      one SCHED_IDLE thread on each CPU, which yields to everything else, until it is killed
#include "bench.h"

#include <pthread.h>

static void* spin(void* cpu) {
  struct sched_param none = {0};

  pin((int)(intptr_t)cpu);
  checked(sched_setscheduler(0, SCHED_IDLE, &none), "SCHED_IDLE");
  for (;;) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
  }
  return NULL;
}

// SCHED_IDLE yields to tasks of the same autogroup only (sched_autogroup_enabled: a group per session); the
// kernel's workers and ksoftirqd are in none. So a group of our own, of the least weight.
static void yield_to_other_groups(void) {
  int group;

  if (setsid() < 0) return;
  group = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
  if (group < 0) return;  // no such groups here
  if (write(group, "19", 2) < 0) die("autogroup");
  close(group);
}

int main(void) {
  cpu_set_t ours;
  pthread_t thread;

  yield_to_other_groups();
  checked(sched_getaffinity(0, sizeof(ours), &ours), "sched_getaffinity");
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &ours)) continue;
    errno = pthread_create(&thread, NULL, spin, (void*)(intptr_t)cpu);
    if (errno) die("pthread_create");
  }
  pause();
}
