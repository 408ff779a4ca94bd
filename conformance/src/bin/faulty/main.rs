//! The program whose system calls are made to fail, on Linux, where a tracer can do that.

#[cfg(target_os = "linux")]
mod linux;

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
}
