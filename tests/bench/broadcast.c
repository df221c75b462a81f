// SPDX-License-Identifier: Apache-2.0
// Which slave got which broadcast, in which order, and how fast? And: how does one tenant disturb the others?
//
//   broadcast fanout NETNS INTERFACE COUNT RATE RECEIVERS OBSERVED...
//       sends COUNT frames, RATE per second (0: as fast as it goes), and looks into the namespaces OBSERVED,
//       which have RECEIVERS interfaces in all: "SENT COPIES DUPLICATES DISORDERED COMPLETE LOST
//       NANOSECONDS": copies are different ones; complete: interfaces that got all; lost: copies that we were
//       too slow to see; the time is from before the first frame to the last copy
//   broadcast storm NETNS INTERFACE CPU MILLISECONDS
//       sends as fast as it goes: "START END SENT"
//
// Frames are 60 bytes of an experimental Ethernet type that no stack takes: what is measured is the way to
// the slaves. fanout sends on CPU 0 and looks on the last one. It sees each copy where a socket would get it,
// in the ring of a packet socket per namespace.
#include "bench.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define FRAME 60
#define TYPE 0x88b5 /* IEEE 802: local experimental */
#define BATCH 64

struct frame {
  uint8_t destination[6], source[6];
  uint16_t type;
  uint32_t run, number; /* of this run of ours; of the frame in it */
  uint8_t rest[FRAME - 22];
} __attribute__((packed));

struct source {
  int socket;
  uint32_t run;
  uint8_t mac[6];
};

static struct source source_on(const char* netns, const char* interface) {
  struct source source = {.socket = socket_in(netns, AF_PACKET, SOCK_RAW, 0)};
  struct sockaddr_ll address = {.sll_family = AF_PACKET};
  struct ifreq request = {0};

  source.run = (uint32_t)now_ns() ^ (uint32_t)getpid() << 20;
  strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
  checked(ioctl(source.socket, SIOCGIFHWADDR, &request), interface);
  memcpy(source.mac, request.ifr_hwaddr.sa_data, sizeof(source.mac));
  checked(ioctl(source.socket, SIOCGIFINDEX, &request), interface);
  address.sll_ifindex = request.ifr_ifindex;
  checked(bind(source.socket, (struct sockaddr*)&address, sizeof(address)), "bind");
  return source;
}

/* Sends frames of these numbers, at most BATCH; how many went. A full queue takes none: that is no error. */
static uint32_t send_frames(const struct source* source, uint32_t first, uint32_t count) {
  struct frame frames[BATCH] = {0};
  struct iovec parts[BATCH];
  struct mmsghdr messages[BATCH] = {0};

  for (uint32_t i = 0; i < count; i++) {
    memset(frames[i].destination, 0xff, sizeof(frames[i].destination));
    memcpy(frames[i].source, source->mac, sizeof(frames[i].source));
    frames[i].type = htons(TYPE);
    frames[i].run = source->run;
    frames[i].number = first + i;
    parts[i] = (struct iovec){.iov_base = &frames[i], .iov_len = FRAME};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
  }
  int sent = sendmmsg(source->socket, messages, count, 0);
  if (sent < 0 && errno != ENOBUFS) die("sendmmsg");
  return sent < 0 ? 0 : (uint32_t)sent;
}

static uint32_t least(uint64_t a, uint64_t b) {
  return (uint32_t)(a < b ? a : b);
}

/* ------------------------------------------------------------------------------------------ storm */

static void storm(const struct source* source, uint64_t length) {
  uint64_t start = now_ns(), now = start, sent = 0;

  for (; now < start + length; now = now_ns()) sent += send_frames(source, (uint32_t)sent, BATCH);
  printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", start, now, sent);
}

/* ---------------------------------------------------------------------------------------- sending */

struct plan {
  struct source source;
  uint32_t count, rate;
  uint64_t started;
  int done; /* atomic */
};

static void* carry_out(void* argument) {
  struct plan* plan = argument;
  uint64_t begin = now_ns();
  uint32_t sent = 0;

  pin(0);
  plan->started = now_ns();
  while (sent < plan->count) {
    if (plan->rate) sleep_until(begin + sent * SECOND / plan->rate);
    sent += send_frames(&plan->source, sent, plan->rate ? 1 : least(plan->count - sent, BATCH));
  }
  __atomic_store_n(&plan->done, 1, __ATOMIC_RELEASE);
  return NULL;
}

/* --------------------------------------------------------------------------------------- observing */

#define SLOT 128 /* bytes of the ring for a frame: enough for its number */
#define BLOCK (1u << 16)
#define BLOCKS 512u /* 32 MiB, 262144 copies */
#define SLOTS (BLOCKS * BLOCK / SLOT)
#define INTERFACES 65536
#define MOST_NAMESPACES 8
#define PATIENCE (300 * MILLISECOND) /* what has not come so long after the last one does not come */

struct interface {
  uint8_t* seen; /* a bit for each frame */
  uint32_t copies, last;
};

struct observer {
  int socket;
  uint8_t* ring;
  uint32_t next;
  struct interface* interfaces; /* by ifindex */
};

struct tally {
  uint64_t copies, duplicates, disordered, complete, lost, last;
};

static struct observer observer_in(const char* netns) {
  struct observer observer = {.socket = socket_in(netns, AF_PACKET, SOCK_RAW, 0)};
  struct tpacket_req ring = {
      .tp_block_size = BLOCK, .tp_block_nr = BLOCKS, .tp_frame_size = SLOT, .tp_frame_nr = SLOTS};
  struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(TYPE)};
  const int version = TPACKET_V2;

  checked(setsockopt(observer.socket, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)), "ring version");
  checked(setsockopt(observer.socket, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)), "ring");
  observer.ring = mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                       observer.socket, 0);
  if (observer.ring == MAP_FAILED) die("ring: mmap");
  observer.interfaces = calloc(INTERFACES, sizeof(struct interface));
  if (!observer.interfaces) die("calloc");
  checked(bind(observer.socket, (struct sockaddr*)&all, sizeof(all)), "bind");
  return observer;
}

static void note(struct interface* interface, uint32_t number, uint32_t count, struct tally* tally) {
  uint8_t bit = (uint8_t)(1 << number % 8);

  if (!interface->seen) interface->seen = calloc(count / 8 + 1, 1);
  if (!interface->seen) die("calloc");
  if (interface->seen[number / 8] & bit) {
    tally->duplicates++;
    return;
  }
  interface->seen[number / 8] |= bit;
  if (interface->copies++ && number < interface->last) tally->disordered++;
  interface->last = number;
  tally->copies++;
  if (interface->copies == count) tally->complete++;
}

/* Takes all that is in the ring now. */
static void drain(struct observer* observer, const struct plan* plan, struct tally* tally) {
  for (;; observer->next = (observer->next + 1) % SLOTS) {
    struct tpacket2_hdr* slot = (void*)(observer->ring + (size_t)observer->next * SLOT);
    if (!(__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) return;
    const struct sockaddr_ll* from = (void*)((uint8_t*)slot + TPACKET_ALIGN(sizeof(*slot)));
    const struct frame* frame = (void*)((uint8_t*)slot + slot->tp_mac);
    if (from->sll_ifindex >= INTERFACES) {
      fprintf(stderr, "interface number %d is more than expected\n", from->sll_ifindex);
      exit(1);
    }
    if (frame->run == plan->source.run && frame->number < plan->count)
      note(&observer->interfaces[from->sll_ifindex], frame->number, plan->count, tally);
    __atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
  }
}

/* Watches without sleeping, so that no copy has to wake us: until all has come, or nothing comes any more.
 * The time is ours: a copy may bear its original's time stamp, as soon as anybody on the machine wants
 * stamps.
 */
static struct tally watch(struct observer* observers, int count, struct plan* plan, uint64_t receivers) {
  struct tally tally = {0};
  uint64_t last_news = now_ns();

  while (tally.copies < receivers * plan->count && now_ns() < last_news + PATIENCE) {
    uint64_t copies = tally.copies;
    for (int i = 0; i < count; i++) drain(&observers[i], plan, &tally);
    if (tally.copies > copies)
      last_news = tally.last = now_ns();
    else if (!__atomic_load_n(&plan->done, __ATOMIC_ACQUIRE))
      last_news = now_ns();
  }
  for (int i = 0; i < count; i++) {
    struct tpacket_stats stats;
    socklen_t size = sizeof(stats);
    checked(getsockopt(observers[i].socket, SOL_PACKET, PACKET_STATISTICS, &stats, &size), "statistics");
    tally.lost += stats.tp_drops;
  }
  return tally;
}

static void fanout(struct plan* plan, uint64_t receivers, int count, char** namespaces) {
  struct observer observers[MOST_NAMESPACES];
  pthread_t sender;

  for (int i = 0; i < count; i++) observers[i] = observer_in(namespaces[i]);
  pin((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
  errno = pthread_create(&sender, NULL, carry_out, plan);
  if (errno) die("pthread_create");
  struct tally tally = watch(observers, count, plan, receivers);
  pthread_join(sender, NULL);
  uint64_t time = tally.last > plan->started ? tally.last - plan->started : 0;
  printf("%u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", plan->count,
         tally.copies, tally.duplicates, tally.disordered, tally.complete, tally.lost, time);
}

int main(int argc, char** argv) {
  if (argc == 6 && !strcmp(argv[1], "storm")) {
    pin(atoi(argv[4]));
    struct source source = source_on(argv[2], argv[3]);
    storm(&source, strtoull(argv[5], NULL, 10) * MILLISECOND);
    return 0;
  }
  if (argc >= 8 && argc <= 7 + MOST_NAMESPACES && !strcmp(argv[1], "fanout")) {
    struct plan plan = {.source = source_on(argv[2], argv[3]),
                        .count = (uint32_t)strtoul(argv[4], NULL, 10),
                        .rate = (uint32_t)strtoul(argv[5], NULL, 10)};
    fanout(&plan, strtoull(argv[6], NULL, 10), argc - 7, argv + 7);
    return 0;
  }
  fprintf(stderr, "usage: see the head of broadcast.c\n");
  return 1;
}
