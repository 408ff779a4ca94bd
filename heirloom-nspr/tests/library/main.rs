//! The C library, used by C programs: alone, and in front of the real NSPR.

mod alone;
mod headers;
mod in_front;
mod installed;
mod nss;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use heirloom_tests::skip;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// What the examples and tests promise to be.
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-g"];

/// What makes the compiler of a machine of 64 bits build for 32; the kernel's headers are the same.
const FOR_THIS_SYSTEM: &[&str] =
    if cfg!(target_arch = "x86") { &["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"] } else { &[] };

/// The folder with both forms of the library, built once: cargo builds no C library for tests by itself.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        heirloom_tests::c_library::build(target).parent().unwrap().to_owned()
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
        self.compiler.arg(format!("-Wl,-rpath,{}", library().display()));
        self
    }

    fn build(mut self) -> PathBuf {
        told(self.compiler.args(["-pthread", "-o"]).arg(&self.to));
        self.to
    }
}

/// What a program wrote to its standard output, if it ended well.
fn told(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout.into_owned()
}

/// Whether a program can be had; says so where not, also where a test's output isn't shown.
fn there_is(program: &str, package: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).exists()));
    if !found {
        skip(format_args!("{program} is not installed (Debian: {package})"));
    }
    found
}
