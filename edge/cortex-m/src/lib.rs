//! What a board gives to the programs: a console, an end, a panic that is seen. To be exchanged for a board's own: a serial
//! port instead of the debugger, a blinking light instead of the end.
#![no_std]

pub mod meter;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hio::{self, HostStream};

/// Text for the debugger, a line at a time: each call of it stops the processor.
pub struct Console {
    host: Option<HostStream>,
    line: [u8; 80],
    length: usize,
}

impl Console {
    /// The debugger's output; what is written is lost where there is none.
    pub fn new() -> Self {
        Self { host: hio::hstdout().ok(), line: [0; 80], length: 0 }
    }

    fn flush(&mut self) -> fmt::Result {
        let text = core::str::from_utf8(&self.line[..self.length]).map_err(|_| fmt::Error)?;
        self.length = 0;
        self.host.as_mut().map_or(Ok(()), |host| host.write_str(text))
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.length == self.line.len() {
                self.flush()?;
            }
            self.line[self.length] = byte;
            self.length += 1;
            if byte == b'\n' {
                self.flush()?;
            }
        }
        Ok(())
    }
}

/// Runs a program to its end, says why it failed if it did, and tells the debugger.
pub fn run<E: fmt::Display>(program: impl FnOnce(&mut Console) -> Result<(), E>) -> ! {
    let mut console = Console::new();
    let status = match program(&mut console) {
        Ok(()) => EXIT_SUCCESS,
        Err(failure) => {
            let _ = writeln!(console, "{failure}");
            EXIT_FAILURE
        }
    };
    end(status)
}

fn end(status: debug::ExitStatus) -> ! {
    loop {
        debug::exit(status);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Console::new(), "{}", info.message());
    end(EXIT_FAILURE)
}
