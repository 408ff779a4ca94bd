//! aarch64. `ldar` acquires, `stlr` releases; an exclusive pair of both is sequentially consistent.

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
    ($load:literal, $store:literal, $size:literal, $from:ident, $to:ident, $len:ident) => {{
        let last = $len - $size;
        one!(reg, $load, $store, $from, $to);
        one!(reg, $load, $store, $from.add(last), $to.add(last));
    }};
}

/// # Safety
/// `len` bytes can be read at `from` and written at `to`, and one of the two is private memory.
#[inline]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: Each branch accesses only the `len` bytes of each side, which the caller guarantees.
    unsafe {
        match len {
            0 => {}
            1 => one!(reg, "ldrb {item:w}, [{from}]", "strb {item:w}, [{to}]", from, to),
            2..4 => {
                both_ends!("ldrh {item:w}, [{from}]", "strh {item:w}, [{to}]", 2, from, to, len);
            }
            4..8 => {
                both_ends!("ldr {item:w}, [{from}]", "str {item:w}, [{to}]", 4, from, to, len);
            }
            8..16 => {
                both_ends!("ldr {item:x}, [{from}]", "str {item:x}, [{to}]", 8, from, to, len);
            }
            16..128 => asm!(
                "2:",
                "ldr {item:q}, [{from}, {at}]",
                "str {item:q}, [{to}, {at}]",
                "add {at}, {at}, #16",
                "cmp {at}, {last}",
                "b.lo 2b",
                "ldr {item:q}, [{from}, {last}]",
                "str {item:q}, [{to}, {last}]",
                from = in(reg) from, to = in(reg) to, last = in(reg) len - 16,
                at = inout(reg) 0_usize => _, item = out(vreg) _,
                options(nostack),
            ),
            // The first 16 bytes, then 64 at a time to aligned addresses, then the last 64.
            _ => asm!(
                "ldr {a:q}, [{from}]",
                "str {a:q}, [{at}]",
                // The distance from an address to copy to, to the one to copy from.
                "sub {from}, {from}, {at}",
                "orr {at}, {at}, #15",
                "add {at}, {at}, #1",
                "2:",
                "add {source}, {at}, {from}",
                "ldp {a:q}, {b:q}, [{source}]",
                "ldp {c:q}, {d:q}, [{source}, #32]",
                "stp {a:q}, {b:q}, [{at}]",
                "stp {c:q}, {d:q}, [{at}, #32]",
                "add {at}, {at}, #64",
                "cmp {at}, {last}",
                "b.lo 2b",
                "add {source}, {last}, {from}",
                "ldp {a:q}, {b:q}, [{source}]",
                "ldp {c:q}, {d:q}, [{source}, #32]",
                "stp {a:q}, {b:q}, [{last}]",
                "stp {c:q}, {d:q}, [{last}, #32]",
                from = inout(reg) from => _, at = inout(reg) to => _, last = in(reg) to.add(len - 64), source = out(reg) _,
                a = out(vreg) _, b = out(vreg) _, c = out(vreg) _, d = out(vreg) _,
                options(nostack),
            ),
        }
    }
}

macro_rules! number {
    ($number:ident, $register:literal) => {
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
                        concat!("ldar {value:", $register, "}, [{at}]"),
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
                        concat!("stlr {value:", $register, "}, [{at}]"),
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
                        "2:",
                        concat!("ldaxr {before:", $register, "}, [{at}]"),
                        concat!("stlxr {failed:w}, {value:", $register, "}, [{at}]"),
                        "cbnz {failed:w}, 2b",
                        at = in(reg) at, value = in(reg) value, before = out(reg) before, failed = out(reg) _,
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
                        "2:",
                        concat!("ldaxr {before:", $register, "}, [{at}]"),
                        concat!("cmp {before:", $register, "}, {current:", $register, "}"),
                        "b.ne 3f",
                        concat!("stlxr {failed:w}, {new:", $register, "}, [{at}]"),
                        "cbnz {failed:w}, 2b",
                        "3:",
                        at = in(reg) at, current = in(reg) current, new = in(reg) new,
                        before = out(reg) before, failed = out(reg) _,
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
                        "2:",
                        concat!("ldaxr {before:", $register, "}, [{at}]"),
                        concat!("add {after:", $register, "}, {before:", $register, "}, {value:", $register, "}"),
                        concat!("stlxr {failed:w}, {after:", $register, "}, [{at}]"),
                        "cbnz {failed:w}, 2b",
                        at = in(reg) at, value = in(reg) value,
                        before = out(reg) before, after = out(reg) _, failed = out(reg) _,
                        options(nostack, preserves_flags),
                    );
                }
                before
            }
        }
    };
}

number!(u32, "w");
number!(u64, "x");
