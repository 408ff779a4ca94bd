//! Every way in which long copies are made on x86-64, whichever this processor would choose.

use super::arch::long::{Processor, Way};
use super::fallback::{Fenced, pattern};
use super::*;

const OFFSETS: [usize; 8] = [0, 1, 8, 15, 16, 31, 33, 63];

/// The lengths around which one kind of copy follows another, and some that need many rounds.
fn lengths() -> impl Iterator<Item = usize> {
    let edges = [65, 96, 129, 160, 192, 256, 257, 288, 320, 384, 512, 513, 576, 640, 1024, 2048, 4096, 8192];
    (65..700).step_by(7).chain(edges.into_iter().flat_map(|edge| edge - 2..=edge + 2)).filter(|len| *len > 64)
}

/// An access to a guard page kills the process.
#[test]
fn every_way_copies_all_bytes_and_no_others() {
    let (source, target) = (Fenced::new(), Fenced::new());
    for way in Processor::this().ways() {
        for len in lengths() {
            let bytes = pattern(len);
            for (from, to) in OFFSETS.into_iter().flat_map(|from| OFFSETS.map(|to| (from, to))) {
                // At the start of the pages, and at their end.
                for (from, to) in [(from, to), (Fenced::LEN - len - from, Fenced::LEN - len - to)] {
                    let (first, last) = (to.saturating_sub(64), (to + len + 64).min(Fenced::LEN));
                    // SAFETY: Both ranges are within the pages, and nothing else uses them.
                    let around = unsafe {
                        let target = slice::from_raw_parts_mut(target.start.add(first), last - first);
                        target.fill(0xee);
                        source.start.add(from).copy_from_nonoverlapping(bytes.as_ptr(), len);
                        way.copy()(target.as_mut_ptr().add(to - first), source.start.add(from), len);
                        target
                    };
                    let context = || format!("{way:?}, {len} bytes from {from} to {to}");
                    assert!(around[to - first..][..len] == bytes, "{}", context());
                    let others = around[..to - first].iter().chain(&around[to - first + len..]);
                    assert!(others.copied().all(|byte| byte == 0xee), "{}", context());
                }
            }
        }
    }
}

#[test]
fn string_copy_and_widest_registers_are_for_processors_known_to_be_fast() {
    let intel = |avx, avx512, fast_strings, fast_short_strings| Processor {
        intel: true,
        avx,
        avx512,
        fast_strings,
        fast_short_strings,
    };
    assert_eq!(intel(false, false, true, false).way(), Way::Sse2);
    assert_eq!(intel(true, false, false, false).way(), Way::Avx);
    assert_eq!(intel(true, false, true, true).way(), Way::AvxAndString);
    // Without FSRM they lower their clock for registers of 64 bytes.
    assert_eq!(intel(true, true, true, false).way(), Way::AvxAndString);
    assert_eq!(intel(true, true, true, true).way(), Way::Avx512);
    let other = Processor { intel: false, ..intel(true, true, true, true) };
    assert_eq!(other.way(), Way::Avx);
    assert_eq!(Processor { avx: false, ..other }.way(), Way::Sse2);
    assert!(Processor::this().ways().contains(&Processor::this().way()));
}

/// A debugger's single step ends after each byte of the string copy, so its use would take as many steps as bytes.
#[cfg(target_os = "linux")]
#[test]
fn registers_copy_unaligned_bytes_in_few_instructions() {
    const LEN: usize = 2048;
    let mut source = vec![1; LEN + 64];
    let mut target = vec![0; LEN + 64];
    let (from, to) = (source.as_mut_ptr(), target.as_mut_ptr());
    for (from_offset, to_offset) in [(0, 0), (0, 1), (0, 8), (8, 0), (15, 31), (63, 15)] {
        // SAFETY: The buffers have room for the offsets.
        let copy = |way: Way| unsafe { way.copy()(to.add(to_offset), from.add(from_offset), LEN) };
        for way in Processor::this().ways() {
            let Some(steps) = steps(|| copy(way)) else { return };
            // 4 loads, 4 stores and 3 more for each 64 bytes or more; a debug build adds a few hundred.
            assert!(steps < LEN / 2, "{way:?}, offsets {from_offset} and {to_offset}: {steps} instructions");
        }
        // The control: what is counted here is there.
        // SAFETY: As above.
        let string = || unsafe {
            std::arch::asm!(
                "rep movsb",
                inout("rsi") from => _, inout("rdi") to => _, inout("rcx") LEN => _, options(nostack),
            );
        };
        assert!(steps(string).unwrap() >= LEN);
    }
}

/// Counts the instructions of `run` in a child, or says that it can't.
#[cfg(target_os = "linux")]
fn steps(run: impl FnOnce()) -> Option<usize> {
    let nothing = std::ptr::null_mut::<u8>();
    // SAFETY: The child makes system calls and runs `run`, which takes no lock; the parent traces its own child.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            if libc::ptrace(libc::PTRACE_TRACEME, 0, nothing, nothing) != 0 {
                libc::_exit(1);
            }
            libc::raise(libc::SIGSTOP);
            run();
            libc::_exit(0);
        }
        let mut status = 0;
        let mut steps = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        while libc::WIFSTOPPED(status) {
            assert_eq!(libc::ptrace(libc::PTRACE_SINGLESTEP, child, nothing, nothing), 0);
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            steps += 1;
        }
        assert!(libc::WIFEXITED(status));
        if libc::WEXITSTATUS(status) != 0 {
            eprintln!("SKIPPED: a process cannot be traced here");
            return None;
        }
        Some(steps)
    }
}
