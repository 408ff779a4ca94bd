//! The program whose cost is counted, on Linux, where a tracer can count.

#[cfg(target_os = "linux")]
mod linux;

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
}
