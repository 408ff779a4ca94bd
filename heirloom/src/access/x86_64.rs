//! x86-64: aligned loads and stores are atomic and have acquire and release ordering; a locked instruction is a full fence.

use std::arch::asm;

/// The length in bytes from which the processor's string copy is fastest.
const STRING: usize = 2048;

pub(super) use {copy as copy_in, copy as copy_out};

/// Moves one item of a fixed size through a register.
macro_rules! one {
    ($class:ident, $load:literal, $store:literal, $from:expr, $to:expr) => {
        asm!(
            $load, $store,
            from = in(reg) $from, to = in(reg) $to, item = out($class) _,
            options(nostack, preserves_flags),
        )
    };
}

/// Moves the first and the last item of `$size` bytes, which together cover the length.
macro_rules! both_ends {
    ($class:ident, $load:literal, $store:literal, $size:literal, $from:ident, $to:ident, $len:ident) => {{
        let last = $len - $size;
        one!($class, $load, $store, $from, $to);
        one!($class, $load, $store, $from.add(last), $to.add(last));
    }};
}

/// # Safety
/// `len` bytes can be read at `from` and written at `to`, and one of the two is private memory.
#[inline]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: Each branch accesses only the `len` bytes of each side, which the caller guarantees. SSE2 is part of x86-64,
    // and the direction flag is clear in Rust code.
    unsafe {
        match len {
            0 => {}
            1 => one!(reg_byte, "mov {item}, byte ptr [{from}]", "mov byte ptr [{to}], {item}", from, to),
            2..4 => {
                both_ends!(reg, "mov {item:x}, word ptr [{from}]", "mov word ptr [{to}], {item:x}", 2, from, to, len);
            }
            4..8 => {
                both_ends!(reg, "mov {item:e}, dword ptr [{from}]", "mov dword ptr [{to}], {item:e}", 4, from, to, len);
            }
            8..16 => {
                both_ends!(reg, "mov {item}, qword ptr [{from}]", "mov qword ptr [{to}], {item}", 8, from, to, len);
            }
            16..64 => {
                asm!(
                    "2:",
                    "movdqu {item}, xmmword ptr [{from} + {at}]",
                    "movdqu xmmword ptr [{to} + {at}], {item}",
                    "add {at}, 16",
                    "cmp {at}, {last}",
                    "jb 2b",
                    "movdqu {item}, xmmword ptr [{from} + {last}]",
                    "movdqu xmmword ptr [{to} + {last}], {item}",
                    from = in(reg) from, to = in(reg) to, last = in(reg) len - 16,
                    at = inout(reg) 0_usize => _, item = out(xmm_reg) _,
                    options(nostack),
                );
            }
            64..STRING => {
                asm!(
                    "2:",
                    "movdqu {a}, xmmword ptr [{from} + {at}]",
                    "movdqu {b}, xmmword ptr [{from} + {at} + 16]",
                    "movdqu {c}, xmmword ptr [{from} + {at} + 32]",
                    "movdqu {d}, xmmword ptr [{from} + {at} + 48]",
                    "movdqu xmmword ptr [{to} + {at}], {a}",
                    "movdqu xmmword ptr [{to} + {at} + 16], {b}",
                    "movdqu xmmword ptr [{to} + {at} + 32], {c}",
                    "movdqu xmmword ptr [{to} + {at} + 48], {d}",
                    "add {at}, 64",
                    "cmp {at}, {last}",
                    "jb 2b",
                    "movdqu {a}, xmmword ptr [{from} + {last}]",
                    "movdqu {b}, xmmword ptr [{from} + {last} + 16]",
                    "movdqu {c}, xmmword ptr [{from} + {last} + 32]",
                    "movdqu {d}, xmmword ptr [{from} + {last} + 48]",
                    "movdqu xmmword ptr [{to} + {last}], {a}",
                    "movdqu xmmword ptr [{to} + {last} + 16], {b}",
                    "movdqu xmmword ptr [{to} + {last} + 32], {c}",
                    "movdqu xmmword ptr [{to} + {last} + 48], {d}",
                    from = in(reg) from, to = in(reg) to, last = in(reg) len - 64, at = inout(reg) 0_usize => _,
                    a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, d = out(xmm_reg) _,
                    options(nostack),
                );
            }
            _ => asm!(
                "rep movsb",
                inout("rsi") from => _, inout("rdi") to => _, inout("rcx") len => _,
                options(nostack, preserves_flags),
            ),
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
