//! Instructions and stack, measured in QEMU with `-icount shift=0`, whose counter of retired instructions is exact then.

use core::arch::asm;

use latent_edge_programs::measure::Meter;

const MARK: u32 = 0xC0DE_F00D;

/// Counts by the processor's own counter.
#[derive(Default)]
pub struct Counter {
    painted: usize,
    top: usize,
}

fn stack_pointer() -> usize {
    let pointer;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, sp", out(reg) pointer) };
    pointer
}

impl Meter for Counter {
    fn instructions(&self) -> u64 {
        loop {
            let (before, low, high): (u32, u32, u32);
            // SAFETY: reads counters.
            unsafe {
                asm!("csrr {}, minstreth", "csrr {}, minstret", "csrr {}, minstreth", out(reg) before, out(reg) low, out(reg) high)
            };
            if before == high {
                return u64::from(high) << 32 | u64::from(low);
            }
        }
    }

    #[inline(never)]
    fn paint(&mut self) {
        unsafe extern "C" {
            static mut __sheap: u32;
        }
        self.top = stack_pointer();
        // What this function itself may still need is left.
        let end = self.top - 128;
        self.painted = (&raw mut __sheap as usize).max(self.top.saturating_sub(0x1_0000)) & !3;
        for at in (self.painted..end).step_by(4) {
            // SAFETY: between the end of all statics and the stack nobody has anything.
            unsafe { (at as *mut u32).write_volatile(MARK) };
        }
    }

    fn used(&self) -> usize {
        // SAFETY: as above.
        let is_marked = |at: &usize| unsafe { (*at as *const u32).read_volatile() } == MARK;
        let first = (self.painted..self.top).step_by(4).find(|at| !is_marked(at));
        self.top - first.unwrap_or(self.top)
    }
}
