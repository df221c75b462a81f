// SPDX-License-Identifier: Apache-2.0
// How many bytes does one TCP stream carry, and how long does a round trip take?
//
//   tcp bulk FROM TO ADDRESS CPU WINDOWS MILLISECONDS    "START END BYTES" for each window, in ns and bytes
//   tcp roundtrip FROM TO ADDRESS CPU MILLISECONDS       "SAMPLES P50 P99", in ns
//
// FROM and TO are network namespaces, ADDRESS is TO's. Both ends are threads on one CPU, where the kernel's
// part runs too: throughput is then the inverse of what the whole path costs. Congestion control is cubic
// (BBR would show BBR's limit). BYTES is what was received; before the first window the stream warms up.
#include "bench.h"

#include <netinet/tcp.h>
#include <pthread.h>

#define WARM_UP (150 * MILLISECOND)
#define CHUNK (128 << 10) /* as iperf3's */
#define MOST_SAMPLES (1 << 20)

struct stream {
  int client, server;
};

static void use_cubic(int socket) {
  checked(setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, "cubic", strlen("cubic")), "cubic");
}

static struct stream connected(const char* from, const char* to, const char* where) {
  struct sockaddr_in address = ipv4(where);
  struct stream stream;
  int listener = socket_in(to, AF_INET, SOCK_STREAM, 0);

  use_cubic(listener);
  bind_to(listener, &address);
  checked(listen(listener, 1), "listen");
  stream.client = socket_in(from, AF_INET, SOCK_STREAM, 0);
  use_cubic(stream.client);
  limit_wait(stream.client, SO_SNDTIMEO, 5000);
  checked(connect(stream.client, (struct sockaddr*)&address, sizeof(address)), "connect");
  limit_wait(listener, SO_RCVTIMEO, 5000);
  stream.server = checked(accept(listener, NULL, NULL), "accept");
  close(listener);
  return stream;
}

static pthread_t started(void* (*work)(void*), void* argument) {
  pthread_t thread;

  errno = pthread_create(&thread, NULL, work, argument);
  if (errno) die("pthread_create");
  return thread;
}

/* ------------------------------------------------------------------------------------------- bulk */

static uint64_t received; /* atomic */

static void* receive(void* server) {
  static char buffer[CHUNK];
  ssize_t size;

  while ((size = recv(*(int*)server, buffer, sizeof(buffer), 0)) > 0)
    __atomic_fetch_add(&received, (uint64_t)size, __ATOMIC_RELAXED);
  return NULL;
}

static uint64_t send_until(int client, uint64_t deadline) {
  static const char buffer[CHUNK];
  uint64_t now;

  while ((now = now_ns()) < deadline)
    if (send(client, buffer, sizeof(buffer), MSG_NOSIGNAL) < 0 && errno != EAGAIN) die("send");
  return now;
}

static void bulk(struct stream stream, int windows, uint64_t length) {
  limit_wait(stream.client, SO_SNDTIMEO, 50); /* a stream that stalls has its windows too */
  pthread_t receiver = started(receive, &stream.server);
  uint64_t start = send_until(stream.client, now_ns() + WARM_UP);
  uint64_t before = __atomic_load_n(&received, __ATOMIC_RELAXED);

  while (windows--) {
    uint64_t end = send_until(stream.client, start + length);
    uint64_t after = __atomic_load_n(&received, __ATOMIC_RELAXED);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", start, end, after - before);
    start = end;
    before = after;
  }
  shutdown(stream.server, SHUT_RDWR);
  pthread_join(receiver, NULL);
}

/* -------------------------------------------------------------------------------------- round trip */

static void* echo(void* server) {
  char byte;

  while (recv(*(int*)server, &byte, 1, 0) == 1)
    if (send(*(int*)server, &byte, 1, MSG_NOSIGNAL) != 1) break;
  return NULL;
}

static int by_value(const void* a, const void* b) {
  uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;

  return (x > y) - (x < y);
}

static void round_trips(struct stream stream, uint64_t length) {
  static uint32_t samples[MOST_SAMPLES];
  const int yes = 1;
  size_t count = 0;
  char byte = 0;

  setsockopt(stream.client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  setsockopt(stream.server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  limit_wait(stream.client, SO_RCVTIMEO, 5000);
  pthread_t server = started(echo, &stream.server);
  uint64_t warm = now_ns() + WARM_UP / 3, before = now_ns();
  while (before < warm + length && count < MOST_SAMPLES) {
    if (send(stream.client, &byte, 1, MSG_NOSIGNAL) != 1) die("send");
    if (recv(stream.client, &byte, 1, 0) != 1) die("no answer");
    uint64_t after = now_ns();
    if (before >= warm) samples[count++] = (uint32_t)(after - before);
    before = after;
  }
  if (!count) {
    fprintf(stderr, "not one round trip in the time given\n");
    exit(1);
  }
  qsort(samples, count, sizeof(samples[0]), by_value);
  printf("%zu %u %u\n", count, samples[count / 2], samples[count / 100 * 99]);
  shutdown(stream.client, SHUT_RDWR);
  pthread_join(server, NULL);
}

int main(int argc, char** argv) {
  int is_bulk = argc == 8 && !strcmp(argv[1], "bulk");

  if (!is_bulk && (argc != 7 || strcmp(argv[1], "roundtrip"))) {
    fprintf(stderr, "usage: see the head of tcp.c\n");
    return 1;
  }
  pin(atoi(argv[5]));
  struct stream stream = connected(argv[2], argv[3], argv[4]);
  if (is_bulk)
    bulk(stream, atoi(argv[6]), strtoull(argv[7], NULL, 10) * MILLISECOND);
  else
    round_trips(stream, strtoull(argv[6], NULL, 10) * MILLISECOND);
  return 0;
}
