// Tells the thread sanitizer what it cannot see of Swift's `Mutex`.
//
// Of a lock that nobody else wants, all is in the program and so is seen. Of one that is waited for, taking it and giving it
// up happens in the kernel, by a call from libswiftSynchronization, which was built without the sanitizer: without this, every
// contended mutex is taken for no mutex at all. The library's two functions are called from here, with a word before or after.
//
// scripts/sanitize.sh builds it and has it loaded before the library.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

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
