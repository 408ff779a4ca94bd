//! Copies of more than 64 bytes, by the instructions that are fastest on this processor.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::mem;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The instructions that copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Way {
    /// Registers of 16 bytes, which every x86-64 processor has.
    Sse2,
    /// Registers of 32 bytes.
    Avx,
    /// Registers of 32 bytes, and the string copy from [`STRING`] bytes on.
    AvxAndString,
    /// Registers of 64 bytes.
    Avx512,
}

/// The length in bytes from which Intel's string copy is faster than registers of 32 bytes.
const STRING: usize = 4096;

/// Copies `len` bytes, with the arguments in the registers that the string copy takes.
type Copy = unsafe extern "sysv64" fn(to: *mut u8, from: *const u8, len: usize);

/// A [`Copy`]: the one that was chosen for this processor, or before the first copy, the one that chooses.
static COPY: AtomicPtr<()> = AtomicPtr::new(choose as *mut ());

/// What decides on the way.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is a bit that the processor reports.
pub(in super::super) struct Processor {
    pub intel: bool,
    pub avx: bool,
    pub avx512: bool,
    /// ERMS: the string copy is fast for long copies.
    pub fast_strings: bool,
    /// FSRM: it is for short ones too. Intel's processors that have it don't lower their clock for registers of 64 bytes.
    pub fast_short_strings: bool,
}

impl Processor {
    pub(in super::super) fn this() -> Self {
        // Not an error on later versions of Rust, where the call is safe.
        #[allow(unused_unsafe)]
        // SAFETY: Every x86-64 processor has the instruction.
        let (vendor, features) = unsafe { (__cpuid_count(0, 0), __cpuid_count(7, 0)) };
        // For a leaf that it doesn't have, a processor answers with another.
        let has_features = vendor.eax >= 7;
        Self {
            // Without an allocation: the first copy may be a signal handler's.
            intel: [vendor.ebx, vendor.edx, vendor.ecx] == [*b"Genu", *b"ineI", *b"ntel"].map(u32::from_le_bytes),
            avx: is_x86_feature_detected!("avx"),
            avx512: is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl"),
            fast_strings: has_features && features.ebx >> 9 & 1 == 1,
            fast_short_strings: has_features && features.edx >> 4 & 1 == 1,
        }
    }

    /// Returns the fastest way.
    ///
    /// The string copy of AMD's processors is slow if the two sides are aligned differently, and no faster than registers if
    /// they are not, although the processors report ERMS and FSRM.
    pub(in super::super) fn way(self) -> Way {
        match self {
            Self { avx: false, .. } => Way::Sse2,
            Self { intel: true, avx512: true, fast_short_strings: true, .. } => Way::Avx512,
            Self { intel: true, fast_strings: true, .. } => Way::AvxAndString,
            _ => Way::Avx,
        }
    }

    /// Returns the ways that work on this processor, whether fast or slow.
    #[cfg(all(test, unix))]
    pub(in super::super) fn ways(self) -> Vec<Way> {
        let ways = [(true, Way::Sse2), (self.avx, Way::Avx), (self.avx, Way::AvxAndString), (self.avx512, Way::Avx512)];
        ways.into_iter().filter(|(works, _)| *works).map(|(_, way)| way).collect()
    }
}

/// # Safety
/// As for [`super::copy`]; `len` is above 64.
// Windows' own calls preserve ten registers that this one may change. Inlined, it would make callers save them for short copies
// too.
#[cfg_attr(windows, inline(never))]
#[cfg_attr(not(windows), inline)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: Only functions of this type are stored there. The caller keeps the contract, and `choose` found that the
    // processor has the function's instructions.
    unsafe {
        let copy = mem::transmute::<*mut (), Copy>(COPY.load(Ordering::Relaxed));
        copy(to, from, len);
    }
}

#[cold]
unsafe extern "sysv64" fn choose(to: *mut u8, from: *const u8, len: usize) {
    let copy = Processor::this().way().copy();
    COPY.store(copy as *mut (), Ordering::Relaxed);
    // SAFETY: The caller keeps the contract of [`copy`], and the processor has the way's instructions.
    unsafe { copy(to, from, len) }
}

impl Way {
    /// Returns the function that copies more than 64 bytes, on a processor that has the way's instructions.
    pub(in super::super) fn copy(self) -> Copy {
        match self {
            Self::Sse2 => by_sse2,
            Self::Avx => by_avx,
            Self::AvxAndString => by_avx_and_string,
            Self::Avx512 => by_avx512,
        }
    }
}

unsafe extern "sysv64" fn by_sse2(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: The caller keeps the contract of [`copy`]; the conditions are the functions' own.
    unsafe {
        match len {
            ..=128 => sse2_ends_4(to, from, len),
            _ => sse2(to, from, len),
        }
    }
}

unsafe extern "sysv64" fn by_avx(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: As above.
    unsafe {
        match len {
            ..=128 => avx_ends_2(to, from, len),
            129..=256 => avx_ends_4(to, from, len),
            _ => avx(to, from, len),
        }
    }
}

unsafe extern "sysv64" fn by_avx_and_string(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: As above.
    unsafe {
        match len {
            ..STRING => by_avx(to, from, len),
            _ => string(to, from, len),
        }
    }
}

/// Returns whether Intel's string copy is faster than registers of 64 bytes: for addresses that are aligned alike, which
/// registers would load and store across lines and pages, or of which there are many bytes.
fn string_is_faster(to: *const u8, from: *const u8, len: usize) -> bool {
    let (to, from) = (to.addr() % 64, from.addr() % 64);
    to == from && (to != 0 || len >= 8 * STRING)
}

unsafe extern "sysv64" fn by_avx512(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: As above.
    unsafe {
        match len {
            ..=128 => avx512_halves_2(to, from, len),
            129..=256 => avx512_ends_2(to, from, len),
            257..=512 => avx512_ends_4(to, from, len),
            STRING.. if string_is_faster(to, from, len) => string(to, from, len),
            _ => avx512(to, from, len),
        }
    }
}

/// Moves registers of `$size` bytes between themselves and consecutive addresses from `$at` on.
macro_rules! moves {
    (load, $move:literal, $size:literal, $at:literal, $($index:literal $register:literal),+) => {
        concat!($($move, " ", $register, ", [", $at, " + ", $index, " * ", $size, "]\n"),+)
    };
    (store, $move:literal, $size:literal, $at:literal, $($index:literal $register:literal),+) => {
        concat!($($move, " [", $at, " + ", $index, " * ", $size, "], ", $register, "\n"),+)
    };
}

/// Defines a copy of the first `$count` registers and as many last ones, which together cover the length.
macro_rules! both_ends {
    ($name:ident, $count:literal, $size:literal, $move:literal, $end:literal,
     [$($index:literal $first:literal),+], [$($also:literal $last:literal),+]) => {
        /// # Safety
        #[doc = concat!("As for [`copy`]; `len` is ", $count, " to twice ", $count, " registers.")]
        #[inline]
        unsafe fn $name(to: *mut u8, from: *const u8, len: usize) {
            // SAFETY: `len` is that long, so each access is within it.
            unsafe {
                asm!(
                    concat!("lea r8, [rsi + rdx - ", $count, " * ", $size, "]"),
                    concat!("lea r9, [rdi + rdx - ", $count, " * ", $size, "]"),
                    moves!(load, $move, $size, "rsi", $($index $first),+),
                    moves!(load, $move, $size, "r8", $($also $last),+),
                    moves!(store, $move, $size, "rdi", $($index $first),+),
                    moves!(store, $move, $size, "r9", $($also $last),+),
                    $end,
                    in("rsi") from, in("rdi") to, in("rdx") len, clobber_abi("sysv64"),
                    options(nostack),
                );
            }
        }
    };
}

/// Defines a copy of four registers at a time to aligned addresses, of the first register, and of the last four. The parts may
/// overlap.
macro_rules! aligned {
    ($name:ident, $size:literal, $move:literal, $aligned:literal, $end:literal,
     [$($index:literal $register:literal),+], $first:literal, [$($also:literal $last:literal),+]) => {
        /// # Safety
        /// As for [`copy`]; `len` is at least 5 registers.
        #[inline]
        unsafe fn $name(to: *mut u8, from: *const u8, len: usize) {
            // SAFETY: The loop starts at most one register behind the first byte, and goes on only before the last four
            // registers, so each access is within the `len` bytes of each side.
            unsafe {
                asm!(
                    concat!("lea r8, [rsi + rdx - 4 * ", $size, "]"),
                    concat!("lea r9, [rdi + rdx - 4 * ", $size, "]"),
                    concat!($move, " ", $first, ", [rsi]"),
                    moves!(load, $move, $size, "r8", $($also $last),+),
                    // The distance from an address to copy to, to the one to copy from.
                    "sub rsi, rdi",
                    "mov r10, rdi",
                    concat!("or r10, ", $size, " - 1"),
                    "inc r10",
                    "2:",
                    moves!(load, $move, $size, "r10 + rsi", $($index $register),+),
                    moves!(store, $aligned, $size, "r10", $($index $register),+),
                    concat!("add r10, 4 * ", $size),
                    "cmp r10, r9",
                    "jb 2b",
                    concat!($move, " [rdi], ", $first),
                    moves!(store, $move, $size, "r9", $($also $last),+),
                    $end,
                    inout("rsi") from => _, in("rdi") to, in("rdx") len, clobber_abi("sysv64"),
                    options(nostack),
                );
            }
        }
    };
}

both_ends!(
    sse2_ends_4, 4, 16, "movdqu", "",
    [0 "xmm0", 1 "xmm1", 2 "xmm2", 3 "xmm3"], [0 "xmm4", 1 "xmm5", 2 "xmm6", 3 "xmm7"]
);
aligned!(
    sse2, 16, "movdqu", "movdqa", "",
    [0 "xmm0", 1 "xmm1", 2 "xmm2", 3 "xmm3"], "xmm4", [0 "xmm5", 1 "xmm6", 2 "xmm7", 3 "xmm8"]
);
// Without `vzeroupper`, older instructions would be slow after these registers.
both_ends!(avx_ends_2, 2, 32, "vmovdqu", "vzeroupper", [0 "ymm0", 1 "ymm1"], [0 "ymm2", 1 "ymm3"]);
both_ends!(
    avx_ends_4, 4, 32, "vmovdqu", "vzeroupper",
    [0 "ymm0", 1 "ymm1", 2 "ymm2", 3 "ymm3"], [0 "ymm4", 1 "ymm5", 2 "ymm6", 3 "ymm7"]
);
aligned!(
    avx, 32, "vmovdqu", "vmovdqa", "vzeroupper",
    [0 "ymm0", 1 "ymm1", 2 "ymm2", 3 "ymm3"], "ymm4", [0 "ymm5", 1 "ymm6", 2 "ymm7", 3 "ymm8"]
);
// Older instructions don't have the registers from 16 on.
both_ends!(avx512_halves_2, 2, 32, "vmovdqu64", "", [0 "ymm16", 1 "ymm17"], [0 "ymm18", 1 "ymm19"]);
both_ends!(avx512_ends_2, 2, 64, "vmovdqu64", "", [0 "zmm16", 1 "zmm17"], [0 "zmm18", 1 "zmm19"]);
both_ends!(
    avx512_ends_4, 4, 64, "vmovdqu64", "",
    [0 "zmm16", 1 "zmm17", 2 "zmm18", 3 "zmm19"], [0 "zmm20", 1 "zmm21", 2 "zmm22", 3 "zmm23"]
);
aligned!(
    avx512, 64, "vmovdqu64", "vmovdqa64", "",
    [0 "zmm16", 1 "zmm17", 2 "zmm18", 3 "zmm19"], "zmm20", [0 "zmm21", 1 "zmm22", 2 "zmm23", 3 "zmm24"]
);

/// Copies the first 64 bytes by registers, and all from the next multiple of 64 by the string copy.
///
/// # Safety
/// As for [`copy`]; `len` is at least 64.
#[inline]
unsafe fn string(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: The string copy starts at most 64 bytes behind the first byte, and copies what is left of `len`. The direction
    // flag is clear in Rust code.
    unsafe {
        asm!(
            moves!(load, "movdqu", 16, "rsi", 0 "xmm0", 1 "xmm1", 2 "xmm2", 3 "xmm3"),
            moves!(store, "movdqu", 16, "rdi", 0 "xmm0", 1 "xmm1", 2 "xmm2", 3 "xmm3"),
            "lea rcx, [rdi + rdx]",
            "sub rsi, rdi",
            "or rdi, 63",
            "inc rdi",
            "add rsi, rdi",
            "sub rcx, rdi",
            "rep movsb",
            inout("rsi") from => _, inout("rdi") to => _, in("rdx") len, clobber_abi("sysv64"),
            options(nostack),
        );
    }
}
