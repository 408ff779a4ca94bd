//! The child program: attaches to the memory, writes the first byte, and stores the time since the start of `main`.

use std::time::Instant;

use heirloom_bench::measure::nanoseconds_since;
use heirloom_bench::{ATTACH_TIME_OFFSET, candidates};

fn main() {
    let start = Instant::now();
    let mut args = std::env::args().skip(1);
    let Some(key) = args.next() else { return };
    let argument = args.next().expect("an argument that names the memory");
    let memory = candidates::by_key(&key).attach.expect("the candidate can attach")(&argument);
    // SAFETY: A mapping is at least one page, and the parent reads it only after this process has exited.
    unsafe {
        memory.write_volatile(1);
        memory.add(ATTACH_TIME_OFFSET).cast::<[u8; 8]>().write_volatile(nanoseconds_since(start).to_ne_bytes());
    }
}
