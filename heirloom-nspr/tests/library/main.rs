//! Tests of the C library by C programs, which use it alone and in front of the real NSPR.

mod alone;
mod headers;
#[cfg(unix)]
mod in_front;
#[cfg(unix)]
mod installed;
#[cfg(unix)]
mod nss;

use std::collections::BTreeSet;
use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};

use heirloom_conformance::skip;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// The warnings that the examples and tests must not have.
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-g"];

/// Makes a 64-bit compiler build for 32 bits, with the kernel's headers of 64 bits, which are the same.
const FOR_THIS_SYSTEM: &[&str] =
    if cfg!(target_arch = "x86") { &["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"] } else { &[] };

/// Further libraries of a program. On Windows the compiler's own are not part of the system, so they are linked statically.
const COMPILER_LIBRARIES: &[&str] =
    if cfg!(windows) { &["-static-libgcc", "-static-libstdc++"] } else { &["-pthread"] };

/// Builds the shared and the static library once, and returns their folder. Cargo does not build them for tests.
fn library() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let programs = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let library = heirloom_conformance::build_c_library(programs.parent().unwrap());
        if cfg!(windows) {
            // Programs search their own folder.
            std::fs::copy(&library, programs.join(library.file_name().unwrap())).unwrap();
        }
        library.parent().unwrap().to_owned()
    })
}

/// The compiler's command line for a C or C++ program.
struct Program {
    compiler: Command,
    output: PathBuf,
}

impl Program {
    /// `source` is a path within the crate.
    fn new(source: &str, standard: &str) -> Self {
        let source = Path::new(CRATE).join(source);
        let cpp = source.extension().is_some_and(|extension| extension == "cpp");
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(source.file_stem().unwrap());
        let mut compiler = Command::new(if cpp { "c++" } else { "cc" });
        compiler
            .arg(format!("-std={standard}"))
            .args(STRICT)
            .args(FOR_THIS_SYSTEM)
            .arg("-I")
            .arg(Path::new(CRATE).join("include"))
            .arg(source);
        Self { compiler, output }
    }

    /// Renames the program. Programs from one source with other arguments need other names.
    fn named(mut self, name: &str) -> Self {
        self.output.set_file_name(name);
        self
    }

    fn args(mut self, args: &[&str]) -> Self {
        self.compiler.args(args);
        self
    }

    /// Links the shared library, which the program finds when it runs.
    fn with_heirloom(mut self) -> Self {
        self.compiler.arg("-L").arg(library()).arg("-lheirloom_nspr");
        if cfg!(unix) {
            self.compiler.arg(format!("-Wl,-rpath,{}", library().display()));
        }
        self
    }

    /// Compiles the program, or returns `None` if the compiler can't.
    #[cfg(all(unix, target_arch = "x86_64"))]
    fn try_build(mut self) -> Option<PathBuf> {
        let output = self.compiler.args(COMPILER_LIBRARIES).arg("-o").arg(&self.output).output().unwrap();
        output.status.success().then_some(self.output)
    }

    /// Compiles the program, unless this process already did.
    fn build(mut self) -> PathBuf {
        static BUILT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        if !built.contains(&self.output) {
            stdout(self.compiler.args(COMPILER_LIBRARIES).arg("-o").arg(&self.output));
            built.insert(self.output.clone());
        }
        self.output
    }
}

/// Returns a program's standard output. Panics if it fails.
fn stdout(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout.replace("\r\n", "\n")
}

/// Whether a program is installed. Prints a notice if it is not.
fn is_installed(program: &str, package: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(format!("{program}{EXE_SUFFIX}")).exists())
    });
    if !found {
        skip(format_args!("{program} is not installed (Debian: {package})"));
    }
    found
}
