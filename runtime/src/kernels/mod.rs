//! The native engine's arithmetic. It knows nothing of models: slices, shapes and parameters come in, elements go out.
//!
//! - `scalar`: every operator, written to be read; what everything else is tested against.
//! - `embedded`: matrix products on small processors, which have no vector registers.
//! - `x86`, `aarch64`, `wasm32`: vector code. Instruction sets are tokens that only their detection can build, but for the
//!   last, whose module has them or not when it is compiled.
//! - `operation`: everything but matrix products; compiles the scalar source for each instruction set.
//! - `expand`: weights of 4 bits to the bytes that are multiplied, in `scratch`.
//! - `checksum`: that of packed models.
//! - `matmul` divides a product among threads and walks over tiles; `geometry` checks its bounds; `epilogue` defines
//!   what follows the sum.
//!
//! Integer results are bit-identical on every instruction set: sums are exact (modulo 2^32), and what follows is f32
//! arithmetic in one defined order, without fused multiply-add.
//!
//! Beside `mapping`, which maps files, this is the only module of the crate with unsafe code; each block says why it is
//! sound.

mod activation;
pub(crate) mod checksum;
#[cfg(any(embedded, all(test, feature = "std")))]
mod embedded;
pub(crate) mod epilogue;
mod expand;
pub(crate) mod geometry;
pub(crate) mod image;
pub(crate) mod math;
pub(crate) mod matmul;
pub(crate) mod operation;
pub(crate) mod scalar;
mod scratch;
#[cfg(feature = "std")]
mod threads;
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_feature = "simd128")),
    allow(dead_code)
)]
mod tile;
pub(crate) mod values;
pub(crate) mod winograd;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_feature = "simd128")]
mod wasm32;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(all(test, feature = "std"))]
mod tests;

/// The instruction set in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// Plain Rust: only in tests where there is something better that needs no detection.
    #[cfg(any(scalar, test))]
    Scalar,
    #[cfg(any(embedded, all(test, feature = "std")))]
    Embedded(embedded::Unit),
    #[cfg(target_arch = "x86_64")]
    X86(x86::X86),
    #[cfg(target_arch = "aarch64")]
    Arm(aarch64::Arm),
    #[cfg(target_feature = "simd128")]
    Wasm(wasm32::Simd128),
}

impl Isa {
    /// Everything this machine has, the best first; the last is what needs no detection. The machine is asked, but for a
    /// 64-bit Arm without `std`, where the compiler's target features decide.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vector = x86::X86::available().map(Self::X86);
        #[cfg(target_arch = "aarch64")]
        let vector = aarch64::Arm::available().map(Self::Arm);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let vector = core::iter::empty();
        #[cfg(embedded)]
        let plain = Self::Embedded(embedded::Unit::BEST);
        #[cfg(target_feature = "simd128")]
        let plain = Self::Wasm(wasm32::Simd128);
        #[cfg(scalar)]
        let plain = Self::Scalar;
        vector.chain([plain])
    }

    /// The best this machine has.
    pub(crate) fn best() -> Self {
        #[cfg(embedded)]
        let plain = Self::Embedded(embedded::Unit::BEST);
        #[cfg(target_feature = "simd128")]
        let plain = Self::Wasm(wasm32::Simd128);
        #[cfg(scalar)]
        let plain = Self::Scalar;
        Self::available().next().unwrap_or(plain)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(any(scalar, test))]
            Self::Scalar => "scalar",
            #[cfg(any(embedded, all(test, feature = "std")))]
            Self::Embedded(unit) => unit.name(),
            #[cfg(target_arch = "x86_64")]
            Self::X86(isa) => isa.name(),
            #[cfg(target_arch = "aarch64")]
            Self::Arm(isa) => isa.name(),
            #[cfg(target_feature = "simd128")]
            Self::Wasm(_) => "SIMD128",
        }
    }
}

/// What computes: an instruction set and, under `std`, threads.
pub(crate) struct Engine {
    isa: Isa,
    #[cfg(feature = "std")]
    pool: Option<threads::Pool>,
}

impl Engine {
    /// One thread.
    pub(crate) fn new(isa: Isa) -> Self {
        Self {
            isa,
            #[cfg(feature = "std")]
            pool: None,
        }
    }

    /// As many threads, the caller's included.
    #[cfg(feature = "std")]
    pub(crate) fn set_threads(&mut self, threads: usize) {
        self.pool = (threads > 1).then(|| threads::Pool::new(threads));
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    pub(crate) fn threads(&self) -> usize {
        #[cfg(feature = "std")]
        if let Some(pool) = &self.pool {
            return pool.threads();
        }
        1
    }

    /// Calls `job` once for each chunk, with the index of the thread that it runs on.
    fn parallel(&mut self, chunks: usize, job: &(dyn Fn(usize, usize) + Sync)) {
        #[cfg(feature = "std")]
        if let Some(pool) = &mut self.pool {
            return pool.run(chunks, job);
        }
        (0..chunks).for_each(|chunk| job(0, chunk));
    }
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}, {} threads", self.isa.name(), self.threads())
    }
}
