/* The start of a Cortex-M4F or M7: the vector table, the FPU, then newlib's own start, which sets up memory and calls main. */
#include <stdint.h>

extern char stack_top[];
void _start(void);

static void reset(void)
{
    volatile uint32_t *const access = (volatile uint32_t *)0xe000ed88; /* CPACR: coprocessors 10 and 11, the FPU */
    *access |= 0xfu << 20;
    __asm__ volatile("dsb\n\tisb");
    _start();
}

static void fault(void)
{
    for (;;) {
    }
}

struct vectors {
    void *stack;
    void (*handlers[15])(void);
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    stack_top,
    {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault},
};
