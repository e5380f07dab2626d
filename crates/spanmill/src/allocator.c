/* Settings of the allocator. It takes them from the environment, or from C. */
#include <mimalloc.h>

/* Milliseconds for which memory that came free is kept. Requests under load take tens of megabytes more in one moment and fewer in the
   next: giving these back every second, as mimalloc does, and touching them for the first time again took a tenth of all CPU time with the
   archive on. The environment (MIMALLOC_PURGE_DELAY) goes before it. */
static const long KEPT = 10000;

/* Before the allocator reads its options, which it does in a constructor of its own. */
__attribute__((constructor(101))) static void set_up(void) { mi_option_set_default(mi_option_purge_delay, KEPT); }
