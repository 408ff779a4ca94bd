//! Sets the soname of the shared library, which cargo does not.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let elf = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system != "macos" && system != "windows");
    // cargo-c sets this feature, and a soname with a version.
    let named = std::env::var_os("CARGO_FEATURE_CAPI").is_some();
    if elf && !named {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libheirloom_nspr.so");
    }
}
