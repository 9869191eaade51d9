//! Asking the processor what it has where there is no `std` to ask: as `is_x86_feature_detected!` does.
//!
//! Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 14.3 and 15.2, and volume 2A, CPUID.

use core::arch::x86_64::{__cpuid_count, _xgetbv};

/// What the processor and the operating system say: words of CPUID, none where vector registers are not kept.
#[derive(Clone, Copy, Default)]
pub(super) struct Processor {
    /// Leaf 1, ECX.
    first: u32,
    /// Leaf 7, EBX and ECX.
    seventh: [u32; 2],
    /// Leaf 7.1, EAX.
    seventh_1: u32,
    /// Whether the 512-bit registers are kept, too.
    has_zmm: bool,
}

impl Processor {
    pub(super) fn ask() -> Self {
        // Where the compiler may not touch vector registers (kernels), in an enclave, which may not ask, and under Miri,
        // which cannot, the processor counts for nothing.
        if cfg!(any(not(target_feature = "sse2"), target_env = "sgx", miri)) {
            return Self::default();
        }
        // SAFETY: every 64-bit x86 has the instruction. (Safe in newer standard libraries.)
        #[allow(unsafe_code, unused_unsafe)]
        let leaf = |leaf, sub| unsafe { __cpuid_count(leaf, sub) };
        let (last, first) = (leaf(0, 0).eax, leaf(1, 0).ecx);
        let (os_keeps_state, avx) = (first >> 27 & 1 == 1, first >> 28 & 1 == 1);
        if last < 7 || !os_keeps_state || !avx {
            return Self::default();
        }
        // SAFETY: OSXSAVE says that the instruction is there and allowed.
        #[allow(unsafe_code)]
        let kept = unsafe { _xgetbv(0) };
        // XMM and YMM; and the masks and both halves of ZMM.
        if kept & 0b110 != 0b110 {
            return Self::default();
        }
        let seventh = leaf(7, 0);
        let seventh_1 = if seventh.eax >= 1 { leaf(7, 1).eax } else { 0 };
        let has_zmm = kept & 0b1110_0000 == 0b1110_0000;
        Self { first, seventh: [seventh.ebx, seventh.ecx], seventh_1, has_zmm }
    }

    /// Whether a feature, by the compiler's name for it, may be used.
    pub(super) fn has(&self, feature: &str) -> bool {
        let [ebx, ecx] = self.seventh;
        let (word, bit) = match feature {
            "fma" => (self.first, 12),
            "f16c" => (self.first, 29),
            "avx2" => (ebx, 5),
            "avxvnni" => (self.seventh_1, 4),
            "avx512f" => (ebx, 16),
            "avx512dq" => (ebx, 17),
            "avx512bw" => (ebx, 30),
            "avx512vl" => (ebx, 31),
            "avx512vnni" => (ecx, 11),
            _ => return false,
        };
        word >> bit & 1 == 1 && (self.has_zmm || !feature.starts_with("avx512"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_the_standard_library_finds() {
        let processor = Processor::ask();
        macro_rules! compare {
            ($($feature:tt),+) => {
                $(assert_eq!(processor.has($feature), std::arch::is_x86_feature_detected!($feature), $feature);)+
            };
        }
        compare!("fma", "f16c", "avx2", "avxvnni");
        compare!("avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512vnni");
        assert!(!processor.has("avx10"));
    }
}
