//! x86-64: aligned loads and stores are atomic and have acquire and release ordering; a locked instruction is a full fence.

pub(super) mod long;

use std::arch::asm;

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
    // SAFETY: Each branch accesses only the `len` bytes of each side, which the caller guarantees. SSE2 is part of x86-64.
    unsafe {
        if len < 16 {
            match len {
                0 => {}
                1 => one!(reg_byte, "mov {item}, byte ptr [{from}]", "mov byte ptr [{to}], {item}", from, to),
                2..4 => {
                    both_ends!(
                        reg,
                        "mov {item:x}, word ptr [{from}]",
                        "mov word ptr [{to}], {item:x}",
                        2,
                        from,
                        to,
                        len
                    );
                }
                4..8 => {
                    both_ends!(
                        reg,
                        "mov {item:e}, dword ptr [{from}]",
                        "mov dword ptr [{to}], {item:e}",
                        4,
                        from,
                        to,
                        len
                    );
                }
                _ => {
                    both_ends!(reg, "mov {item}, qword ptr [{from}]", "mov qword ptr [{to}], {item}", 8, from, to, len);
                }
            }
        } else if len < 33 {
            both_ends!(xmm_reg, "movdqu {item}, [{from}]", "movdqu [{to}], {item}", 16, from, to, len);
        } else if len < 65 {
            asm!(
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
            );
        } else {
            long::copy(from, to, len);
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
