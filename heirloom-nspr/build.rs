//! Gives the shared library the name by which programs ask for it, which cargo leaves out.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let elf = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system != "macos" && system != "windows");
    // cargo-c, which asks for this feature, gives it a name with a version.
    let named = std::env::var_os("CARGO_FEATURE_CAPI").is_some();
    if elf && !named {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libheirloom_nspr.so");
    }
}
