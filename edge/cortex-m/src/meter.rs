//! Instructions and stack, measured in QEMU: with `-icount shift=0` each instruction takes a nanosecond of its clock.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::register::msp;
use latent_edge_programs::measure::Meter;

static WRAPS: AtomicU32 = AtomicU32::new(0);
const PERIOD: u32 = 1 << 24;
/// Iterations, of two instructions each, by which ticks are told in instructions.
const LOOPS: u32 = 1_000_000;
const MARK: u32 = 0xC0DE_F00D;

#[cortex_m_rt::exception]
fn SysTick() {
    WRAPS.store(WRAPS.load(SeqCst) + 1, SeqCst);
}

/// Counts by the system timer.
pub struct Ticks {
    loop_ticks: u64,
    painted: usize,
    top: usize,
}

impl Ticks {
    /// Starts the timer and takes the measure of it.
    pub fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(PERIOD - 1);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        // It is 0 until the first tick.
        while SYST::get_current() == 0 {}
        let start = ticks();
        // SAFETY: counts down a register of its own.
        unsafe { asm!("2:", "subs {0}, {0}, #1", "bne 2b", inout(reg) LOOPS => _) };
        Self { loop_ticks: ticks() - start, painted: 0, top: 0 }
    }
}

fn ticks() -> u64 {
    loop {
        let wraps = WRAPS.load(SeqCst);
        let now = PERIOD - 1 - SYST::get_current();
        if wraps == WRAPS.load(SeqCst) {
            return u64::from(wraps) * u64::from(PERIOD) + u64::from(now);
        }
    }
}

impl Meter for Ticks {
    fn instructions(&self) -> u64 {
        ticks() * 2 * u64::from(LOOPS) / self.loop_ticks
    }

    #[inline(never)]
    fn paint(&mut self) {
        unsafe extern "C" {
            static mut __sheap: u32;
        }
        self.top = msp::read() as usize;
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
