use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::sync::Arc;

use super::stdio::{Direction, Ends};
use crate::region::RegionInner;
use crate::sys::{self, EnvKey, Launch, SpawnOptions};
use crate::transfer::claim_quietly;
use crate::transfer::hand_down;
use crate::transfer::{VARIABLE, Variable};
use crate::{AsRegion, Child, Error, Result, Stdio};

/// A program to start, and the regions that it inherits.
///
/// Its names and habits are those of [`std::process::Command`], with [`inherit`](Self::inherit) besides. It starts the
/// program by `posix_spawn`, so a spawn costs the same however much memory this process uses. No descriptor that the
/// program opened is closed in the child; this process's own regions never arrive there unless they are named here.
///
/// On Windows it starts the program by `CreateProcess` with a list: the named regions and the standard streams are all that
/// the child inherits. For the length of that call their handles are inheritable, and what another thread starts then by
/// other means, which list nothing, gets them too. A batch file gets its arguments in quotes; one with the end of a line is
/// refused, and so is a name of the program's own with a quote.
///
/// What needs code between `fork` and `exec` can't be had from it: another user id, limits, a `pre_exec`. A child can do
/// such things to itself first thing in its `main`, which is the place for a sandbox anyway:
///
/// ```no_run
/// fn main() -> Result<(), heirloom::Error> {
///     heirloom::claim()?;
///     let input = heirloom::FrozenRegion::inherited("input")?.map()?;
///     // setrlimit, seccomp, setuid ...: from here on this process can do no more than it needs
///     println!("{} bytes", input.len());
///     Ok(())
/// }
/// ```
///
/// Or use [`InheritExt`](crate::os::unix::InheritExt) on the standard library's, at the price of a `fork`.
///
/// ```
/// use heirloom::{Command, FrozenRegion};
///
/// let text = FrozenRegion::from_bytes(b"one two three")?;
/// let output = Command::new("sh")
///     .args(["-c", "echo $HEIRLOOM_REGIONS"])
///     .inherit("text", &text)?
///     .output()?;
/// assert!(output.stdout.starts_with(b"text="));
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct Command {
    pub(crate) program: OsString,
    /// The program's name first.
    args: Vec<OsString>,
    /// Whether the child's environment starts empty.
    cleared: bool,
    /// What is set, or removed, on top of what it starts with.
    changes: BTreeMap<EnvKey, Option<OsString>>,
    directory: Option<PathBuf>,
    pub(crate) options: SpawnOptions,
    standard: [Option<Stdio>; 3],
    variable: Variable,
    regions: Vec<Arc<RegionInner>>,
}

impl Command {
    /// To start `program`, which is looked up in the PATH unless it has a slash: in the child's PATH where that was
    /// changed by [`env`](Self::env) and kin.
    ///
    /// ```
    /// let status = heirloom::Command::new("true").status()?;
    /// assert!(status.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref().to_owned();
        Self {
            args: vec![program.clone()],
            program,
            cleared: false,
            changes: BTreeMap::new(),
            directory: None,
            options: SpawnOptions::default(),
            standard: [None, None, None],
            variable: Variable::default(),
            regions: Vec::new(),
        }
    }

    /// Hands `region` down to what this command starts, under `name`.
    ///
    /// Any UTF-8 name of 1 to 240 bytes without NUL will do. The handle may be dropped before the spawn.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): a bad name;
    ///   [`ErrorKind::NameInUse`](crate::ErrorKind::NameInUse): a name that this command has already.
    /// - [`ErrorKind::TooMany`](crate::ErrorKind::TooMany): the names and strings no longer fit what one environment variable
    ///   takes: 128 KiB on Linux, which is some 2000 regions.
    /// - [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors): a second name for one region takes a second
    ///   descriptor.
    ///
    /// ```
    /// use heirloom::{Command, Region};
    ///
    /// let (input, output) = (Region::create(4096)?, Region::create(4096)?);
    /// let mut command = Command::new("decoder");
    /// command.inherit("input", &input)?.inherit("output", &output)?;
    /// assert!(command.inherit("input", &output).is_err());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn inherit(&mut self, name: &str, region: &(impl AsRegion + ?Sized)) -> Result<&mut Self> {
        let object = hand_down(&mut self.variable, name, region)?;
        self.regions.push(object);
        Ok(self)
    }

    /// One more argument.
    ///
    /// ```
    /// let output = heirloom::Command::new("echo").arg("one").arg("two").output()?;
    /// assert_eq!(output.stdout, b"one two\n");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    ///
    /// ```
    /// let output = heirloom::Command::new("echo").args(["one", "two"]).output()?;
    /// assert_eq!(output.stdout, b"one two\n");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// What the program is told as its own name, in place of the one it is started by.
    ///
    /// ```
    /// let output = heirloom::Command::new("sh").arg0("shell").args(["-c", "echo $0"]).output()?;
    /// assert_eq!(output.stdout, b"shell\n");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        arg.as_ref().clone_into(&mut self.args[0]);
        self
    }

    /// Sets a variable of the child's environment.
    ///
    /// `HEIRLOOM_REGIONS` is set, or removed, by every spawn.
    ///
    /// ```
    /// let output = heirloom::Command::new("sh").args(["-c", "echo $A"]).env("A", "one").output()?;
    /// assert_eq!(output.stdout, b"one\n");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.changes.insert(key.as_ref().into(), Some(value.as_ref().to_owned()));
        self
    }

    /// Sets variables of the child's environment.
    ///
    /// ```
    /// let output = heirloom::Command::new("sh").args(["-c", "echo $A $B"]).envs([("A", "one"), ("B", "two")]).output()?;
    /// assert_eq!(output.stdout, b"one two\n");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(&mut self, variables: impl IntoIterator<Item = (K, V)>) -> &mut Self {
        for (key, value) in variables {
            self.env(key, value);
        }
        self
    }

    /// Removes a variable from the child's environment.
    ///
    /// ```
    /// let output = heirloom::Command::new("sh").args(["-c", "echo ${HOME-none}"]).env_remove("HOME").output()?;
    /// assert_eq!(output.stdout, b"none\n");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.changes.insert(key.as_ref().into(), None);
        self
    }

    /// Empties the child's environment of all but the names of regions, whichever is called first.
    ///
    /// ```
    /// let output = heirloom::Command::new("sh").args(["-c", "echo ${HOME-none}"]).env_clear().output()?;
    /// assert_eq!(output.stdout, b"none\n");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn env_clear(&mut self) -> &mut Self {
        self.cleared = true;
        self.changes.clear();
        self
    }

    /// The child's working directory. A relative path of the program counts from there.
    ///
    /// ```
    /// let output = heirloom::Command::new("pwd").current_dir("/").output()?;
    /// assert_eq!(output.stdout, b"/\n");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// The child's standard input; without it this process's own, but nothing for [`output`](Self::output).
    ///
    /// ```
    /// use heirloom::{Command, Stdio};
    ///
    /// let status = Command::new("cat").stdin(Stdio::null()).status()?;
    /// assert!(status.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn stdin(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.standard[0] = Some(stdio.into());
        self
    }

    /// The child's standard output; without it this process's own, but a pipe for [`output`](Self::output).
    ///
    /// ```
    /// use heirloom::{Command, Stdio};
    ///
    /// let status = Command::new("echo").arg("unheard").stdout(Stdio::null()).status()?;
    /// assert!(status.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn stdout(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.standard[1] = Some(stdio.into());
        self
    }

    /// The child's standard error; without it this process's own, but a pipe for [`output`](Self::output).
    ///
    /// ```
    /// use heirloom::{Command, Stdio};
    ///
    /// let status = Command::new("cat").arg("/nonexistent").stderr(Stdio::null()).status()?;
    /// assert!(!status.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn stderr(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.standard[2] = Some(stdio.into());
        self
    }

    /// Starts it.
    ///
    /// Everything that this process inherited itself is claimed first, so that the child gets only what was named here.
    ///
    /// # Errors
    /// - [`ErrorKind::ProgramNotFound`](crate::ErrorKind::ProgramNotFound),
    ///   [`ErrorKind::ProgramNotRunnable`](crate::ErrorKind::ProgramNotRunnable) (also with arguments too long): nothing was
    ///   started.
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): a NUL byte in an argument, a variable or the directory.
    /// - [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors): for the pipes.
    /// - [`ErrorKind::System`](crate::ErrorKind::System): too many processes, a directory that isn't there, a process group of
    ///   another session.
    ///
    /// ```
    /// let mut child = heirloom::Command::new("true").spawn()?;
    /// assert!(child.wait()?.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn spawn(&mut self) -> Result<Child> {
        self.spawn_with(&[Stdio::inherit(), Stdio::inherit(), Stdio::inherit()])
    }

    /// Starts it, waits, and tells how it ended.
    ///
    /// # Errors
    /// As for [`spawn`](Self::spawn).
    ///
    /// ```
    /// assert!(heirloom::Command::new("true").status()?.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn status(&mut self) -> Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Starts it without input, waits, and tells how it ended and what it wrote.
    ///
    /// # Errors
    /// As for [`spawn`](Self::spawn).
    ///
    /// ```
    /// let output = heirloom::Command::new("echo").arg("hello").output()?;
    /// assert_eq!(output.stdout, b"hello\n");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn output(&mut self) -> Result<Output> {
        self.spawn_with(&[Stdio::null(), Stdio::piped(), Stdio::piped()])?.wait_with_output()
    }

    fn spawn_with(&mut self, defaults: &[Stdio; 3]) -> Result<Child> {
        claim_quietly();
        let ends = self.open(defaults)?;
        let process = self
            .launch(&ends, sys::spawn)
            .map_err(|failure| Error::system(format_args!("cannot start {:?}", self.program), failure))?;
        Ok(Child::new(process, ends.map(|ends| ends.ours)))
    }

    pub(crate) fn open(&self, defaults: &[Stdio; 3]) -> Result<[Ends; 3]> {
        let mut opened = [Ends::default(), Ends::default(), Ends::default()];
        let directions = [Direction::IntoChild, Direction::OutOfChild, Direction::OutOfChild];
        for (index, default) in defaults.iter().enumerate() {
            let stdio = self.standard[index].as_ref().unwrap_or(default);
            opened[index] = stdio.open(directions[index]).map_err(|failure| {
                Error::system(format_args!("cannot open a standard stream for {:?}", self.program), failure)
            })?;
        }
        Ok(opened)
    }

    pub(crate) fn launch<T>(&self, ends: &[Ends; 3], start: impl FnOnce(&Launch<'_>) -> T) -> T {
        let environment = self.environment();
        let pass: Vec<_> = self.regions.iter().map(|object| &object.memory).collect();
        start(&Launch {
            program: &self.program,
            args: &self.args,
            environment: &environment,
            directory: self.directory.as_deref(),
            options: self.options,
            standard: ends.each_ref().map(|ends| ends.theirs.as_ref()),
            pass: &pass,
        })
    }

    fn environment(&self) -> Vec<(EnvKey, OsString)> {
        let mut environment: Vec<_> = if self.cleared { Vec::new() } else { sys::variables().collect() };
        environment.retain(|(key, _)| key != VARIABLE && !self.changes.contains_key(key));
        let set = self.changes.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
        environment.extend(set.filter(|(key, _)| key != VARIABLE));
        if !self.variable.is_empty() {
            environment.push((EnvKey::from(VARIABLE), self.variable.as_str().into()));
        }
        environment
    }
}

/// Tells what will be started with what, but no value of the environment.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("regions", &self.variable.as_str())
            .finish_non_exhaustive()
    }
}
