/* posix_memalign for tests: every block ends at a page that may not be touched, so that a write behind it ends the
 * process at once (SIGSEGV), by whatever code it comes, compiled or generated. A block that was freed may not be touched
 * either. Blocks are aligned to 4 bytes only: the end counts here. For one program run: cc -shared -fPIC, LD_PRELOAD. */

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

extern void __libc_free(void *);
extern void *__libc_memalign(size_t, size_t);

enum { PAGE = 4096, PAGES = 1 << 23, LARGEST = 1 << 22 };
static char *arena, *next;
static uint32_t length[PAGES]; /* pages of the block that begins at a page of the arena */
static uint32_t begin[PAGES];  /* page where the block begins whose data begin at a page */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int posix_memalign(void **out, size_t align, size_t size) {
  size_t pages = (size + PAGE - 1) / PAGE, first = 0;
  pthread_mutex_lock(&lock);
  if (!arena) {
    void *p = mmap(0, (size_t)PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) abort();
    arena = next = p;
  }
  int guarded = size > 0 && size <= LARGEST && next + (pages + 1) * PAGE <= arena + (size_t)PAGES * PAGE;
  if (guarded) {
    first = (size_t)(next - arena) / PAGE;
    next += (pages + 1) * PAGE; /* one page between two blocks */
    guarded = !mprotect(arena + first * PAGE, pages * PAGE, PROT_READ | PROT_WRITE);
  }
  if (guarded) {
    char *end = arena + (first + pages) * PAGE;
    *out = (void *)(((uintptr_t)end - size) & ~(uintptr_t)3);
    begin[(size_t)((char *)*out - arena) / PAGE] = (uint32_t)first;
    length[first] = (uint32_t)pages;
  }
  pthread_mutex_unlock(&lock);
  if (!guarded) *out = __libc_memalign(align, size);
  return *out ? 0 : ENOMEM;
}

void free(void *p) {
  if (!arena || (char *)p < arena || (char *)p >= arena + (size_t)PAGES * PAGE) {
    __libc_free(p);
    return;
  }
  pthread_mutex_lock(&lock);
  size_t first = begin[(size_t)((char *)p - arena) / PAGE];
  madvise(arena + first * PAGE, (size_t)length[first] * PAGE, MADV_DONTNEED);
  mprotect(arena + first * PAGE, (size_t)length[first] * PAGE, PROT_NONE);
  pthread_mutex_unlock(&lock);
}
