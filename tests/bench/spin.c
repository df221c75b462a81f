// SPDX-License-Identifier: Apache-2.0
// How are the CPUs kept out of halt? An idle virtual CPU takes 30 to 60 us to wake, which is more than what
// is measured here.
//
//   spin      one SCHED_IDLE thread on each CPU, which yields to everything else, until it is killed
#include <pthread.h>

#include "bench.h"

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

int main(void) {
  cpu_set_t ours;
  pthread_t thread;

  checked(sched_getaffinity(0, sizeof(ours), &ours), "sched_getaffinity");
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &ours)) continue;
    errno = pthread_create(&thread, NULL, spin, (void*)(intptr_t)cpu);
    if (errno) die("pthread_create");
  }
  pause();
}
