//! The C library, used by C programs: alone, and in front of the real NSPR.

mod alone;
mod headers;
#[cfg(unix)]
mod in_front;
#[cfg(unix)]
mod installed;
#[cfg(unix)]
mod nss;

use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use heirloom_conformance::skip;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// What the examples and tests promise to be.
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-g"];

/// What makes the compiler of a machine of 64 bits build for 32; the kernel's headers are the same.
const FOR_THIS_SYSTEM: &[&str] =
    if cfg!(target_arch = "x86") { &["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"] } else { &[] };

/// What a program needs besides; on Windows, the compiler's own are no part of the system.
const ITS_OWN_LIBRARIES: &[&str] = if cfg!(windows) { &["-static-libgcc", "-static-libstdc++"] } else { &["-pthread"] };

/// The folder with both forms of the library, built once: cargo builds no C library for tests by itself.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let programs = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let library = heirloom_conformance::build_c_library(programs.parent().unwrap());
        if cfg!(windows) {
            // Programs look for it beside them.
            std::fs::copy(&library, programs.join(library.file_name().unwrap())).unwrap();
        }
        library.parent().unwrap().to_owned()
    })
}

/// A C or C++ program to be, and what becomes of it.
struct Program {
    compiler: Command,
    to: PathBuf,
}

impl Program {
    /// `source` is a path within the crate.
    fn new(source: &str, standard: &str) -> Self {
        let source = Path::new(CRATE).join(source);
        let cpp = source.extension().is_some_and(|extension| extension == "cpp");
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(source.file_stem().unwrap());
        let mut compiler = Command::new(if cpp { "c++" } else { "cc" });
        compiler
            .arg(format!("-std={standard}"))
            .args(STRICT)
            .args(FOR_THIS_SYSTEM)
            .arg("-I")
            .arg(Path::new(CRATE).join("include"))
            .arg(source);
        Self { compiler, to }
    }

    /// Under another name, where one source makes several.
    fn named(mut self, name: &str) -> Self {
        self.to.set_file_name(name);
        self
    }

    fn args(mut self, args: &[&str]) -> Self {
        self.compiler.args(args);
        self
    }

    /// Linked with our shared library, which it finds when it runs.
    fn with_heirloom(mut self) -> Self {
        self.compiler.arg("-L").arg(library()).arg("-lheirloom_nspr");
        if cfg!(unix) {
            self.compiler.arg(format!("-Wl,-rpath,{}", library().display()));
        }
        self
    }

    fn build(mut self) -> PathBuf {
        self.compiler.args(ITS_OWN_LIBRARIES).arg("-o").arg(&self.to);
        told(&mut self.compiler);
        self.to
    }
}

/// What a program wrote to its standard output, if it ended well.
fn told(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout.replace("\r\n", "\n")
}

/// Whether a program can be had; says so where not, also where a test's output isn't shown.
fn there_is(program: &str, package: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(format!("{program}{EXE_SUFFIX}")).exists())
    });
    if !found {
        skip(format_args!("{program} is not installed (Debian: {package})"));
    }
    found
}
