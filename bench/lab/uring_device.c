// One measurement of bench/lab/uring_device: reads or writes of a TUN device by system calls or by io_uring.
//
//   uring_device read  calls|queued|ready|multishot  small|paced|super  SECONDS
//   uring_device write calls|batched|linked          small|super        SECONDS
//   uring_device nothing                             system calls that do nothing: all that a batch can save
//
// It makes the device in the network namespace it is started in and prints what it counted as one line of JSON. Reads:
// a second process sends UDP through the device, flat out or in bursts. Writes: UDP that a local socket takes. Both
// carry sequence numbers, and a packet that comes after a later one is counted as out of order.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/udp.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Younger than the headers of Debian 12: Linux 6.7, 6.2 and 6.2.
#define OP_READ_MULTISHOT (IORING_OP_SENDMSG_ZC + 1)
#define USO (0x20 | 0x40)
#define GSO_UDP_L4 5

enum {
  BATCH = 32,
  BUFFERS = 64,  // of the multishot read
  COMPLETIONS = 256,
  SMALL = 64,
  SEGMENT = 1000,
  SEGMENTS = 64,
  SUPER = SEGMENT * SEGMENTS,
  ROOM = 66 << 10,
  HEADERS = sizeof(struct iphdr) + sizeof(struct udphdr),
  PORT = 4000,
  BURST = 8
};
static const int64_t burst_pause_ns = 250000;
static const char device_address[] = "10.9.0.1", other_address[] = "10.9.0.2";

static int device;
static size_t before_ip;  // the virtio_net header, where there is one
static uint8_t buffers[BUFFERS][ROOM];
static uint64_t packets, out_of_order, next_sequence;
static int64_t length, deadline, wall, cpu;

static void die(const char* what) {
  fprintf(stderr, "uring_device: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void begin(void) {
  // Threads of the kernel that work for the ring count as this process.
  cpu = -now(CLOCK_PROCESS_CPUTIME_ID);
  wall = -now(CLOCK_MONOTONIC);
  deadline = length - wall;
}

static void end(void) {
  cpu += now(CLOCK_PROCESS_CPUTIME_ID);
  wall += now(CLOCK_MONOTONIC);
}

static bool is_over(void) {
  return now(CLOCK_MONOTONIC) >= deadline;
}

static void take(uint64_t sequence) {
  ++packets;
  if (sequence < next_sequence) ++out_of_order;
  next_sequence = sequence + 1;
}

static void take_frame(const uint8_t* frame, size_t size) {
  uint64_t sequence;
  if (size < before_ip + HEADERS + sizeof sequence || frame[before_ip] != 0x45) return;
  memcpy(&sequence, frame + before_ip + HEADERS, sizeof sequence);
  take(sequence);
}

// --- device and traffic ----------------------------------------------------------------------------------------------

static void make_device(bool is_super, bool is_blocking) {
  device = open("/dev/net/tun", O_RDWR | O_CLOEXEC | (is_blocking ? 0 : O_NONBLOCK));
  if (device < 0) die("/dev/net/tun");
  struct ifreq request = {.ifr_name = "uring0"};
  request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (is_super ? IFF_VNET_HDR : 0));
  // The kernel lets go of the device of the process before a while after that has ended, if it had a ring.
  const struct timespec pause = {0, 10000000};
  int tries = 200;
  while (ioctl(device, TUNSETIFF, &request) < 0) {
    if (errno != EBUSY || --tries == 0) die("TUNSETIFF");
    nanosleep(&pause, NULL);
  }
  if (is_super && ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | USO) < 0) die("TUNSETOFFLOAD");
  before_ip = is_super ? sizeof(struct virtio_net_hdr) : 0;

  const int control = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in* address = (struct sockaddr_in*)&request.ifr_addr;
  *address = (struct sockaddr_in){.sin_family = AF_INET};
  inet_pton(AF_INET, device_address, &address->sin_addr);
  if (ioctl(control, SIOCSIFADDR, &request) < 0) die("SIOCSIFADDR");
  inet_pton(AF_INET, "255.255.255.0", &address->sin_addr);
  if (ioctl(control, SIOCSIFNETMASK, &request) < 0) die("SIOCSIFNETMASK");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(control, SIOCSIFFLAGS, &request) < 0) die("SIOCSIFFLAGS");
  close(control);
}

static struct sockaddr_in endpoint(const char* address) {
  struct sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  inet_pton(AF_INET, address, &result.sin_addr);
  return result;
}

static pid_t start_sender(bool is_super, bool is_paced) {
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int sender = socket(AF_INET, SOCK_DGRAM, 0);
  const struct sockaddr_in to = endpoint(other_address);
  const int size = 4 << 20, segment = SEGMENT;
  setsockopt(sender, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  if (is_super && setsockopt(sender, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0) die("UDP_SEGMENT");
  if (connect(sender, (const struct sockaddr*)&to, sizeof to) < 0) die("connect");
  static uint8_t payload[SUPER];
  for (uint64_t sequence = 0;; ++sequence) {
    memcpy(payload, &sequence, sizeof sequence);
    send(sender, payload, is_super ? SUPER : SMALL, 0);
    const struct timespec pause = {0, burst_pause_ns};
    if (is_paced && sequence % BURST == BURST - 1) nanosleep(&pause, NULL);
  }
}

static int make_receiver(void) {
  const int receiver = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  const struct sockaddr_in here = endpoint(device_address);
  const int size = 256 << 20, yes = 1;
  if (setsockopt(receiver, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) die("SO_RCVBUFFORCE");
  // A super-frame then stays one datagram for the socket, too.
  if (setsockopt(receiver, IPPROTO_UDP, UDP_GRO, &yes, sizeof yes) < 0) die("UDP_GRO");
  if (bind(receiver, (const struct sockaddr*)&here, sizeof here) < 0) die("bind");
  return receiver;
}

static uint32_t sum(const void* data, size_t size) {
  const uint8_t* bytes = data;
  uint32_t result = 0;
  for (size_t i = 0; i < size; i += 2) result += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
  return result;
}

static uint16_t fold(uint32_t value) {
  while (value >> 16) value = (value & 0xffff) + (value >> 16);
  return (uint16_t)value;
}

static size_t make_frame(uint8_t* frame, bool is_super) {
  const size_t payload = is_super ? SUPER : SMALL;
  struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
  ip.tot_len = htons((uint16_t)(HEADERS + payload));
  ip.saddr = endpoint(other_address).sin_addr.s_addr;
  ip.daddr = endpoint(device_address).sin_addr.s_addr;
  ip.check = htons((uint16_t)~fold(sum(&ip, sizeof ip)));
  struct udphdr udp = {.source = htons(PORT), .dest = htons(PORT), .len = htons((uint16_t)(sizeof udp + payload))};
  if (is_super) {
    udp.check = htons(fold(sum(&ip.saddr, 8) + IPPROTO_UDP + (uint32_t)(sizeof udp + payload)));
    const struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                          .gso_type = GSO_UDP_L4,
                                          .hdr_len = HEADERS,
                                          .gso_size = SEGMENT,
                                          .csum_start = sizeof ip,
                                          .csum_offset = offsetof(struct udphdr, check)};
    memcpy(frame, &header, sizeof header);
  }
  memcpy(frame + before_ip, &ip, sizeof ip);
  memcpy(frame + before_ip + sizeof ip, &udp, sizeof udp);
  return before_ip + HEADERS + payload;
}

// --- the ring --------------------------------------------------------------------------------------------------------

static struct {
  int fd;
  unsigned *submit_tail, submit_mask, *complete_head, *complete_tail, complete_mask, pending;
  struct io_uring_sqe* requests;
  struct io_uring_cqe* completions;
} ring;

static void make_ring(void) {
  struct io_uring_params parameters = {.cq_entries = COMPLETIONS};
  // The cheapest way there is for a ring that one thread owns (Linux 6.1).
  parameters.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  ring.fd = (int)syscall(__NR_io_uring_setup, BUFFERS, &parameters);
  if (ring.fd < 0) die("io_uring_setup");
  const size_t size = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
  const int flags = MAP_SHARED | MAP_POPULATE;
  uint8_t* rings = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, ring.fd, IORING_OFF_SQ_RING);
  ring.requests = mmap(NULL, parameters.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, flags,
                       ring.fd, IORING_OFF_SQES);
  if (rings == MAP_FAILED || ring.requests == MAP_FAILED) die("mmap of the ring");
  ring.submit_tail = (unsigned*)(rings + parameters.sq_off.tail);
  ring.submit_mask = *(unsigned*)(rings + parameters.sq_off.ring_mask);
  ring.complete_head = (unsigned*)(rings + parameters.cq_off.head);
  ring.complete_tail = (unsigned*)(rings + parameters.cq_off.tail);
  ring.complete_mask = *(unsigned*)(rings + parameters.cq_off.ring_mask);
  ring.completions = (struct io_uring_cqe*)(rings + parameters.cq_off.cqes);
  unsigned* const places = (unsigned*)(rings + parameters.sq_off.array);
  for (unsigned i = 0; i < parameters.sq_entries; ++i) places[i] = i;
  // A registered file spares each request the reference to it.
  if (syscall(__NR_io_uring_register, ring.fd, IORING_REGISTER_FILES, &device, 1) < 0) die("registering the device");
}

static struct io_uring_sqe* request(uint8_t opcode, uint8_t flags, void* data, size_t size, uint64_t what) {
  struct io_uring_sqe* entry = &ring.requests[(*ring.submit_tail + ring.pending++) & ring.submit_mask];
  memset(entry, 0, sizeof *entry);
  entry->opcode = opcode;
  entry->flags = (uint8_t)(IOSQE_FIXED_FILE | flags);
  entry->addr = (uintptr_t)data;
  entry->len = (uint32_t)size;
  entry->user_data = what;
  return entry;
}

static void submit_and_wait(unsigned least) {
  __atomic_store_n(ring.submit_tail, *ring.submit_tail + ring.pending, __ATOMIC_RELEASE);
  const long done = syscall(__NR_io_uring_enter, ring.fd, ring.pending, least, IORING_ENTER_GETEVENTS, NULL, 0);
  if (done < 0 && errno != EINTR) die("io_uring_enter");
  if (done >= 0 && (unsigned)done != ring.pending) die("io_uring_enter took a part only");
  ring.pending = 0;
}

static bool next_completion(struct io_uring_cqe* completion) {
  const unsigned head = *ring.complete_head;
  if (head == __atomic_load_n(ring.complete_tail, __ATOMIC_ACQUIRE)) return false;
  *completion = ring.completions[head & ring.complete_mask];
  __atomic_store_n(ring.complete_head, head + 1, __ATOMIC_RELEASE);
  return true;
}

static void check(int32_t result, const char* what) {
  if (result >= 0) return;
  errno = -result;
  die(what);
}

// --- reading ---------------------------------------------------------------------------------------------------------

static int readiness;

static void prepare_readiness(void) {
  readiness = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  if (readiness < 0 || epoll_ctl(readiness, EPOLL_CTL_ADD, device, &event) < 0) die("epoll");
}

static void wait_until_ready(void) {
  struct epoll_event event;
  epoll_wait(readiness, &event, 1, 100);
}

static void read_by_calls(void) {
  prepare_readiness();
  begin();
  while (!is_over()) {
    for (int i = 0; i < BATCH; ++i) {
      const ssize_t size = read(device, buffers[0], ROOM);
      if (size >= 0) {
        take_frame(buffers[0], (size_t)size);
        continue;
      }
      if (errno != EAGAIN) die("read");
      wait_until_ready();
      break;
    }
  }
}

// BATCH reads are always there; each completes when there is a packet for it.
static void read_queued(void) {
  make_ring();
  begin();
  for (uint64_t i = 0; i < BATCH; ++i) request(IORING_OP_READ, 0, buffers[i], ROOM, i);
  while (!is_over()) {
    submit_and_wait(1);
    for (struct io_uring_cqe done; next_completion(&done);) {
      check(done.res, "queued read");
      take_frame(buffers[done.user_data], (size_t)done.res);
      request(IORING_OP_READ, 0, buffers[done.user_data], ROOM, done.user_data);
    }
  }
}

// BATCH reads that do not wait, in one system call, once epoll says that there is something.
static void read_when_ready(void) {
  make_ring();
  prepare_readiness();
  begin();
  while (!is_over()) {
    for (uint64_t i = 0; i < BATCH; ++i) request(IORING_OP_READ, 0, buffers[i], ROOM, i);
    submit_and_wait(BATCH);
    bool is_empty = false;
    for (struct io_uring_cqe done; next_completion(&done);) {
      if (done.res == -EAGAIN) {
        is_empty = true;
        continue;
      }
      check(done.res, "batched read");
      take_frame(buffers[done.user_data], (size_t)done.res);
    }
    if (is_empty) wait_until_ready();
  }
}

static void read_multishot(void) {
  make_ring();
  struct io_uring_buf_ring* given = mmap(NULL, BUFFERS * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (given == MAP_FAILED) die("mmap of the buffer ring");
  const struct io_uring_buf_reg group = {.ring_addr = (uintptr_t)given, .ring_entries = BUFFERS, .bgid = 0};
  if (syscall(__NR_io_uring_register, ring.fd, IORING_REGISTER_PBUF_RING, &group, 1) < 0) die("the buffer ring");
  uint16_t tail = 0;
  // Field by field: the tail of the ring lies in the first entry.
  for (; tail < BUFFERS; ++tail) {
    given->bufs[tail].addr = (uintptr_t)buffers[tail];
    given->bufs[tail].len = ROOM;
    given->bufs[tail].bid = tail;
  }
  __atomic_store_n(&given->tail, tail, __ATOMIC_RELEASE);
  begin();
  for (bool is_armed = false; !is_over();) {
    if (!is_armed) request(OP_READ_MULTISHOT, IOSQE_BUFFER_SELECT, NULL, 0, 0);
    is_armed = true;
    submit_and_wait(1);
    for (struct io_uring_cqe done; next_completion(&done);) {
      // The kernel ends it when it runs out of buffers or of room for completions.
      if (!(done.flags & IORING_CQE_F_MORE)) is_armed = false;
      if (done.res == -ENOBUFS) continue;
      check(done.res, "multishot read");
      const uint16_t number = (uint16_t)(done.flags >> IORING_CQE_BUFFER_SHIFT);
      take_frame(buffers[number], (size_t)done.res);
      struct io_uring_buf* const place = &given->bufs[tail++ % BUFFERS];
      place->addr = (uintptr_t)buffers[number];
      place->len = ROOM;
      place->bid = number;
    }
    __atomic_store_n(&given->tail, tail, __ATOMIC_RELEASE);
  }
}

// --- writing ---------------------------------------------------------------------------------------------------------

static void write_by_calls(size_t size) {
  for (int i = 0; i < BATCH; ++i) {
    if (write(device, buffers[i], size) < 0) die("write");
  }
}

static void write_by_ring(size_t size, bool is_linked) {
  for (uint64_t i = 0; i < BATCH; ++i) {
    request(IORING_OP_WRITE, is_linked && i + 1 < BATCH ? IOSQE_IO_LINK : 0, buffers[i], size, i);
  }
  submit_and_wait(BATCH);
  for (struct io_uring_cqe done; next_completion(&done);) check(done.res, "write");
}

static void drain(int receiver) {
  static uint8_t datagram[ROOM];
  for (uint64_t sequence; recv(receiver, datagram, sizeof datagram, 0) >= (ssize_t)sizeof sequence;) {
    memcpy(&sequence, datagram, sizeof sequence);
    take(sequence);
  }
}

// The device hands a packet to the socket before its write returns; so what is timed is that, and not the emptying.
static void write_all(const char* how, bool is_super) {
  const int receiver = make_receiver();
  if (strcmp(how, "calls") != 0) make_ring();
  size_t size = 0;
  for (int i = 0; i < BATCH; ++i) size = make_frame(buffers[i], is_super);
  uint64_t written = 0;
  int64_t all_wall = 0, all_cpu = 0;
  for (const int64_t last = now(CLOCK_MONOTONIC) + length; now(CLOCK_MONOTONIC) < last;) {
    begin();
    for (int batch = 0; batch < 16; ++batch) {
      for (int i = 0; i < BATCH; ++i, ++written) {
        memcpy(buffers[i] + before_ip + HEADERS, &written, sizeof written);
      }
      if (strcmp(how, "calls") == 0) {
        write_by_calls(size);
      } else {
        write_by_ring(size, strcmp(how, "linked") == 0);
      }
    }
    end();
    all_cpu += cpu;
    all_wall += wall;
    drain(receiver);
  }
  cpu = all_cpu;
  wall = all_wall;
  if (packets != written) {
    fprintf(stderr, "uring_device: %llu packets written, %llu came\n", (unsigned long long)written,
            (unsigned long long)packets);
    exit(1);
  }
}

static void print(void) {
  printf("{\"packets\": %llu, \"out_of_order\": %llu, \"wall_ns\": %lld, \"cpu_ns\": %lld}\n",
         (unsigned long long)packets, (unsigned long long)out_of_order, (long long)wall, (long long)cpu);
}

int main(int count, char** words) {
  alarm(5);
  if (count == 2) {
    begin();
    for (packets = 0; packets < 20000; ++packets) syscall(__NR_getppid);
    end();
    print();
    return 0;
  }
  if (count != 5) return 2;
  const bool is_write = strcmp(words[1], "write") == 0, is_super = strcmp(words[3], "super") == 0;
  const char* how = words[2];
  // A request of io_uring for a descriptor with O_NONBLOCK fails instead of waiting.
  make_device(is_super, strcmp(how, "queued") == 0 || strcmp(how, "multishot") == 0);
  length = (int64_t)(atof(words[4]) * 1e9);
  // Before the buffers are touched: their pages shall not be shared with the sender and copied when first written to.
  const pid_t sender = is_write ? 0 : start_sender(is_super, strcmp(words[3], "paced") == 0);
  memset(buffers, 1, sizeof buffers);
  if (is_write) {
    write_all(how, is_super);
  } else {
    if (strcmp(how, "calls") == 0) read_by_calls();
    if (strcmp(how, "queued") == 0) read_queued();
    if (strcmp(how, "ready") == 0) read_when_ready();
    if (strcmp(how, "multishot") == 0) read_multishot();
    end();
    kill(sender, SIGKILL);
    waitpid(sender, NULL, 0);
  }
  print();
  return packets == 0;
}
