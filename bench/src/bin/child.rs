//! A child: attaches, writes the first byte, and leaves in the memory how long that took since the start of `main`.

use std::time::Instant;

use heirloom_bench::measure::nanoseconds;
use heirloom_bench::{SPENT, ways};

fn main() {
    let start = Instant::now();
    let mut args = std::env::args().skip(1);
    let Some(key) = args.next() else { return };
    let argument = args.next().expect("what names the memory");
    let memory = ways::way(&key).attach.expect("children of that way")(&argument);
    // SAFETY: Nobody else writes there, and a mapping has these bytes.
    unsafe {
        memory.write_volatile(1);
        memory.add(SPENT).cast::<[u8; 8]>().write_volatile(nanoseconds(start).to_ne_bytes());
    }
}
