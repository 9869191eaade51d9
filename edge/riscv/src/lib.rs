//! What the board gives to the programs: a console, an end, a panic that is seen. To be exchanged for a board's own.
#![no_std]

pub mod meter;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

/// Where QEMU's `virt` has the byte to be sent of its serial port, an NS16550A.
const SERIAL: *mut u8 = 0x1000_0000 as *mut u8;
/// Where it has what ends it.
const FINISHER: *mut u32 = 0x10_0000 as *mut u32;

/// Text for the serial port.
#[derive(Default)]
pub struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the register of this machine, which has sent the last byte by the time the next comes.
            unsafe { SERIAL.write_volatile(byte) };
        }
        Ok(())
    }
}

/// Runs a program to its end, says why it failed if it did, and ends the machine.
pub fn run<E: fmt::Display>(program: impl FnOnce(&mut Console) -> Result<(), E>) -> ! {
    match program(&mut Console) {
        Ok(()) => end(0x5555),
        Err(failure) => {
            let _ = writeln!(Console, "{failure}");
            end(0x1_3333)
        }
    }
}

fn end(status: u32) -> ! {
    // SAFETY: the register of this machine: 0x5555 is success, 0x3333 failure with a code above it.
    unsafe { FINISHER.write_volatile(status) };
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Console, "{}", info.message());
    end(0x1_3333)
}
