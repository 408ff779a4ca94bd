//! x86-64: aligned loads and stores are atomic and have acquire and release ordering; a locked instruction is a full fence.

pub(super) mod long;

use std::arch::asm;

pub(super) use {copy as copy_in, copy as copy_out};

/// Moves the first and the last item of `$size` bytes, which together cover the length.
macro_rules! both_ends {
    ($class:ident, $move:literal, $modifier:literal, $size:literal, $from:ident, $to:ident, $len:ident) => {
        asm!(
            concat!($move, " {first", $modifier, "}, [{from}]"),
            concat!($move, " {last", $modifier, "}, [{from} + {len} - ", $size, "]"),
            concat!($move, " [{to}], {first", $modifier, "}"),
            concat!($move, " [{to} + {len} - ", $size, "], {last", $modifier, "}"),
            from = in(reg) $from, to = in(reg) $to, len = in(reg) $len, first = out($class) _, last = out($class) _,
            options(nostack, preserves_flags),
        )
    };
}

/// # Safety
/// `len` bytes can be read at `from` and written at `to`, and one of the two is private memory.
#[inline]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: Each branch accesses only the `len` bytes of each side, which the caller guarantees. SSE2 is part of x86-64.
    unsafe {
        match len {
            65.. => long::copy(from, to, len),
            33.. => asm!(
                "movdqu {a}, [{from}]",
                "movdqu {b}, [{from} + 16]",
                "movdqu {c}, [{from} + {len} - 32]",
                "movdqu {d}, [{from} + {len} - 16]",
                "movdqu [{to}], {a}",
                "movdqu [{to} + 16], {b}",
                "movdqu [{to} + {len} - 32], {c}",
                "movdqu [{to} + {len} - 16], {d}",
                from = in(reg) from, to = in(reg) to, len = in(reg) len,
                a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, d = out(xmm_reg) _,
                options(nostack, preserves_flags),
            ),
            16.. => both_ends!(xmm_reg, "movdqu", "", 16, from, to, len),
            8.. => both_ends!(reg, "mov", "", 8, from, to, len),
            4.. => both_ends!(reg, "mov", ":e", 4, from, to, len),
            2.. => both_ends!(reg, "mov", ":x", 2, from, to, len),
            1 => asm!(
                "mov {item}, [{from}]",
                "mov [{to}], {item}",
                from = in(reg) from, to = in(reg) to, item = out(reg_byte) _,
                options(nostack, preserves_flags),
            ),
            0 => {}
        }
    }
}

macro_rules! number {
    ($number:ident, $size:literal, $register:literal) => {
        /// Each function's `# Safety`: the address is aligned to the number's size and the memory is readable, and writable for
        /// the functions that write.
        pub(super) mod $number {
            use std::arch::asm;

            #[inline]
            pub(in super::super) unsafe fn load(at: *const $number) -> $number {
                let value;
                // SAFETY: The caller keeps the contract above.
                unsafe {
                    asm!(
                        concat!("mov {value", $register, "}, ", $size, " ptr [{at}]"),
                        at = in(reg) at, value = out(reg) value,
                        options(nostack, preserves_flags),
                    );
                }
                value
            }

            #[inline]
            pub(in super::super) unsafe fn store(at: *mut $number, value: $number) {
                // SAFETY: The caller keeps the contract above.
                unsafe {
                    asm!(
                        concat!("mov ", $size, " ptr [{at}], {value", $register, "}"),
                        at = in(reg) at, value = in(reg) value,
                        options(nostack, preserves_flags),
                    );
                }
            }

            #[inline]
            pub(in super::super) unsafe fn swap(at: *mut $number, value: $number) -> $number {
                let before;
                // SAFETY: The caller keeps the contract above.
                unsafe {
                    asm!(
                        concat!("xchg ", $size, " ptr [{at}], {value", $register, "}"),
                        at = in(reg) at, value = inout(reg) value => before,
                        options(nostack, preserves_flags),
                    );
                }
                before
            }

            #[inline]
            pub(in super::super) unsafe fn compare_exchange(
                at: *mut $number,
                current: $number,
                new: $number,
            ) -> Result<$number, $number> {
                let before: $number;
                // SAFETY: The caller keeps the contract above.
                unsafe {
                    asm!(
                        concat!("lock cmpxchg ", $size, " ptr [{at}], {new", $register, "}"),
                        at = in(reg) at, new = in(reg) new, inout("rax") current => before,
                        options(nostack),
                    );
                }
                if before == current { Ok(before) } else { Err(before) }
            }

            #[inline]
            pub(in super::super) unsafe fn fetch_add(at: *mut $number, value: $number) -> $number {
                let before;
                // SAFETY: The caller keeps the contract above.
                unsafe {
                    asm!(
                        concat!("lock xadd ", $size, " ptr [{at}], {value", $register, "}"),
                        at = in(reg) at, value = inout(reg) value => before,
                        options(nostack),
                    );
                }
                before
            }
        }
    };
}

number!(u32, "dword", ":e");
number!(u64, "qword", "");
