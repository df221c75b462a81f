// SPDX-License-Identifier: Apache-2.0
// How many requests does the daemon answer, and how long does one wait?
//
//   http SOCKET CONNECTIONS MILLISECONDS keep | once METHOD TARGET [ BODY ]
//       CONNECTIONS clients at once, each asks again as soon as it has its answer, on the connection
//       it has or, `once`, on a new one: "ANSWERED REFUSED NANOSECONDS P50 P99 MOST", the last three
//       being times from question to answer. Refused: another status than 2xx. A %d in BODY is the
//       request's number.
//
// One process and one thread with epoll: where it shares the CPUs with the daemon, the daemon is what is
// measured.
#include "bench.h"

#include <sys/epoll.h>
#include <sys/un.h>

#define MOST_SAMPLES 4000000

struct client {
  int socket;
  uint64_t asked;
  size_t got;
  size_t wanted;  // 0: the header is not complete
  int ok;
  char reply[1 << 16];
};

static struct sockaddr_un server = {.sun_family = AF_UNIX};
static const char *method, *target, *body;
static int once, number;
static uint64_t* samples;
static size_t answered, refused;

static void open_client(struct client* client) {
  client->socket = checked(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  checked(connect(client->socket, (struct sockaddr*)&server, sizeof(server)), "connect");
}

static void ask(struct client* client) {
  char text[512], request[1024];
  int length = 0;

  if (body) length = snprintf(text, sizeof(text), body, number++);
  int size =
      snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%.*s",
               method, target, once ? "Connection: close\r\n" : "", length, length, text);
  client->got = client->wanted = 0;
  client->asked = now_ns();
  if (send(client->socket, request, (size_t)size, MSG_NOSIGNAL) != size) die("send");
}

// Whether the answer is complete.
static int listen_to(struct client* client) {
  size_t room = sizeof(client->reply) - 1;
  size_t at = client->wanted ? 0 : client->got;
  ssize_t size = recv(client->socket, client->reply + at, room - at, MSG_DONTWAIT);

  if (size < 0 && errno == EAGAIN) return 0;
  if (size <= 0) die("the daemon hung up");
  client->got += (size_t)size;
  if (!client->wanted) {
    client->reply[client->got] = '\0';
    char* end = strstr(client->reply, "\r\n\r\n");
    if (!end) return 0;
    char* length = strcasestr(client->reply, "\r\nContent-Length:");
    client->wanted = (size_t)(end + 4 - client->reply);
    if (length && length < end) client->wanted += strtoul(length + 17, NULL, 10);
    client->ok = client->reply[9] == '2';
  }
  return client->got >= client->wanted;
}

static int by_time(const void* a, const void* b) {
  uint64_t left = *(const uint64_t*)a, right = *(const uint64_t*)b;
  return left < right ? -1 : left > right;
}

int main(int count, char** words) {
  if (count < 7) {
    fprintf(stderr, "see the head of http.c\n");
    return 1;
  }
  snprintf(server.sun_path, sizeof(server.sun_path), "%s", words[1]);
  int connections = atoi(words[2]);
  uint64_t time = strtoull(words[3], NULL, 10) * MILLISECOND;
  once = strcmp(words[4], "once") == 0;
  method = words[5];
  target = words[6];
  body = count > 7 ? words[7] : NULL;

  samples = malloc(MOST_SAMPLES * sizeof(*samples));
  struct client* clients = calloc((size_t)connections, sizeof(*clients));
  int epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  for (int i = 0; i < connections; ++i) {
    open_client(&clients[i]);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
    checked(epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].socket, &event), "epoll_ctl");
  }
  uint64_t start = now_ns(), end = start + time;
  for (int i = 0; i < connections; ++i) ask(&clients[i]);

  int open = connections;
  while (open > 0) {
    struct epoll_event events[64];
    int ready = checked(epoll_wait(epoll, events, 64, 10000), "epoll_wait");
    if (ready == 0) {
      fprintf(stderr, "no answer within 10 s\n");
      return 1;
    }
    for (int i = 0; i < ready; ++i) {
      struct client* client = events[i].data.ptr;
      if (!listen_to(client)) continue;
      uint64_t now = now_ns();
      if (answered < MOST_SAMPLES) samples[answered] = now - client->asked;
      ++answered;
      refused += !client->ok;
      if (now >= end) {
        close(client->socket);
        --open;
        continue;
      }
      if (once) {
        close(client->socket);
        open_client(client);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        checked(epoll_ctl(epoll, EPOLL_CTL_ADD, client->socket, &event), "epoll_ctl");
      }
      ask(client);
    }
  }
  uint64_t lasted = now_ns() - start;
  size_t kept = answered < MOST_SAMPLES ? answered : MOST_SAMPLES;
  qsort(samples, kept, sizeof(*samples), by_time);
  printf("%zu %zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", answered, refused, lasted,
         samples[kept / 2], samples[kept * 99 / 100], samples[kept - 1]);
  return 0;
}
