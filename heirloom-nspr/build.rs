//! Sets the soname of the shared library, which cargo does not, and keeps the library loaded.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    // Their linkers take these options; the others' formats have no soname.
    if !["linux", "android", "freebsd", "netbsd", "openbsd", "dragonfly"].contains(&&*system) {
        return;
    }
    // It is called at each fork of the program.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // cargo-c sets this feature, and the soname itself.
    if std::env::var_os("CARGO_FEATURE_CAPI").is_none() {
        let major = std::env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libheirloom_nspr.so.{major}");
    }
}
