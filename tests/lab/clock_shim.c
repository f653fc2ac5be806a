// Moves the clocks of one process, for LD_PRELOAD: a wrong time of day, and a machine that slept.
//
// The file named by CLOCK_SHIM holds two offsets in nanoseconds, which a test may change at any time: of CLOCK_REALTIME
// and of CLOCK_BOOTTIME. CLOCK_MONOTONIC, which stands still in suspend, is left alone.
//
// After a real suspend the kernel fires every overdue CLOCK_BOOTTIME timer at once. A moved clock alone would not do
// that: the kernel's own goes on as before. So deadlines of timerfds are kept as the process gave them and told to the
// kernel less the offset, and a thread that looks at the offset every 5 ms tells them anew when it has changed. An
// overdue one lies in the kernel's past then, and fires at once.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { timers_max = 1024, second = 1000000000 };

struct Offsets {
  _Atomic int64_t realtime;
  _Atomic int64_t boottime;
};

struct Timer {
  int is_boottime;
  struct itimerspec deadline;  // as the process gave it; zero: off
};

static struct Offsets* offsets;
static int (*real_clock_gettime)(clockid_t, struct timespec*);
static int (*real_timerfd_create)(int, int);
static int (*real_timerfd_settime)(int, int, const struct itimerspec*, struct itimerspec*);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct Timer timers[timers_max];
static int has_thread;

static void fail(const char* what) {
  perror(what);
  _exit(99);
}

static void set_up(void) {
  *(void**)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  *(void**)&real_timerfd_create = dlsym(RTLD_NEXT, "timerfd_create");
  *(void**)&real_timerfd_settime = dlsym(RTLD_NEXT, "timerfd_settime");
  const char* path = getenv("CLOCK_SHIM");
  const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) fail("the clock shim's file");
  void* memory = mmap(NULL, sizeof *offsets, PROT_READ, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) fail("the clock shim's file");
  close(file);
  offsets = memory;
}

// Other libraries' constructors may ask for the time before any of ours would have run.
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct timespec moved(struct timespec time, int64_t by) {
  const int64_t nanoseconds = time.tv_nsec + by % second;
  time.tv_sec += by / second + (nanoseconds < 0 ? -1 : nanoseconds / second);
  time.tv_nsec = nanoseconds < 0 ? nanoseconds + second : nanoseconds % second;
  return time;
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  pthread_once(&once, set_up);
  const int status = real_clock_gettime(clock, time);
  if (status != 0) return status;
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) *time = moved(*time, offsets->realtime);
  if (clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM) *time = moved(*time, offsets->boottime);
  return 0;
}

// With the lock held.
static int arm(int fd, int64_t offset) {
  struct itimerspec deadline = timers[fd].deadline;
  if (deadline.it_value.tv_sec != 0 || deadline.it_value.tv_nsec != 0) {
    deadline.it_value = moved(deadline.it_value, -offset);
    if (deadline.it_value.tv_sec < 0) deadline.it_value = (struct timespec){0, 1};
  }
  return real_timerfd_settime(fd, TFD_TIMER_ABSTIME, &deadline, NULL);
}

static void* follow_jumps(void* unused) {
  (void)unused;
  int64_t known = offsets->boottime;
  for (;;) {
    usleep(5000);
    pthread_mutex_lock(&lock);
    const int64_t offset = offsets->boottime;
    for (int fd = 0; offset != known && fd < timers_max; ++fd) {
      if (timers[fd].is_boottime) arm(fd, offset);
    }
    known = offset;
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

// Only now, since a process that goes to the background loses its threads on the way.
static void start_thread(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  if (pthread_create(&thread, NULL, follow_jumps, NULL) != 0) fail("the clock shim's thread");
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int timerfd_create(int clock, int flags) {
  pthread_once(&once, set_up);
  const int fd = real_timerfd_create(clock, flags);
  if (fd < 0) return fd;
  if (fd >= timers_max) fail("the clock shim's timers");
  pthread_mutex_lock(&lock);
  timers[fd] = (struct Timer){.is_boottime = clock == CLOCK_BOOTTIME};
  if (timers[fd].is_boottime && !has_thread) {
    has_thread = 1;
    start_thread();
  }
  pthread_mutex_unlock(&lock);
  return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec* deadline, struct itimerspec* old) {
  pthread_once(&once, set_up);
  if (fd < 0 || fd >= timers_max || !timers[fd].is_boottime || !(flags & TFD_TIMER_ABSTIME)) {
    return real_timerfd_settime(fd, flags, deadline, old);
  }
  pthread_mutex_lock(&lock);
  timers[fd].deadline = *deadline;
  const int status = arm(fd, offsets->boottime);
  pthread_mutex_unlock(&lock);
  return status;
}
