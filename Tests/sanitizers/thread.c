// Tells the thread sanitizer what it cannot see. scripts/sanitize.sh builds this and has it loaded first.
//
// Swift's `Mutex`: of one that nobody else wants, all is in the program and so is seen. Taking one that is waited for, and giving it
// up, happens in the kernel, by a call from libswiftSynchronization, which was built without the sanitizer: without this, every
// contended mutex is taken for no mutex at all. The library's two functions are called from here, with a word before or after.
//
// `thrd_create` and `thrd_join`, by which librdkafka makes and ends its threads: the sanitizer knows of `pthread_create` and its like
// alone, and ends at the first call of its own in a thread that it has not seen begin.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

// In the tests, where the sanitizer is; not in the programs that start them.
extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT void lock_slow(uint32_t thread, SELF void *handle) __asm__(LOCK);
SWIFT void unlock_slow(SELF void *handle) __asm__(UNLOCK);

SWIFT void lock_slow(uint32_t thread, SELF void *handle) {
  typedef SWIFT void Lock(uint32_t, SELF void *);
  ((Lock *)dlsym(RTLD_NEXT, LOCK))(thread, handle);
  if (__tsan_acquire) __tsan_acquire(handle);
}

SWIFT void unlock_slow(SELF void *handle) {
  typedef SWIFT void Unlock(SELF void *);
  if (__tsan_release) __tsan_release(handle);
  ((Unlock *)dlsym(RTLD_NEXT, UNLOCK))(handle);
}

struct start {
  thrd_start_t function;
  void *argument;
};

static void *begin(void *given) {
  struct start start = *(struct start *)given;
  free(given);
  return (void *)(intptr_t)start.function(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *argument) {
  struct start *start = malloc(sizeof *start);
  if (!start) return thrd_nomem;
  *start = (struct start){function, argument};
  if (pthread_create(thread, NULL, begin, start) == 0) return thrd_success;
  free(start);
  return thrd_error;
}

int thrd_join(thrd_t thread, int *result) {
  void *returned;
  if (pthread_join(thread, &returned) != 0) return thrd_error;
  if (result) *result = (int)(intptr_t)returned;
  return thrd_success;
}

int thrd_detach(thrd_t thread) { return pthread_detach(thread) == 0 ? thrd_success : thrd_error; }
