use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::sync::Arc;

use super::stdio::{Direction, Ends};
use crate::channel::{ChannelEnd, End};
use crate::region::RegionInner;
use crate::sys::{self, EnvKey, Launch, SpawnOptions};
use crate::transfer::{VARIABLE, Variable};
use crate::transfer::{claim_quietly, hand_down, hand_down_end};
use crate::{AsRegion, Child, Error, ErrorKind, Result, Stdio};

/// Builds and starts a process that inherits regions.
///
/// It has the methods of [`std::process::Command`], and [`inherit`](Self::inherit). It copies nothing of this process to start a
/// program, so the cost of a spawn doesn't depend on how much memory this process uses. The child inherits the regions that are named here
/// and no others. Descriptors of the program that are inheritable stay so: it closes none.
///
/// On Windows it calls `CreateProcess` with a handle list: the child inherits the named regions and the standard streams and
/// nothing else. During that call their handles are inheritable, so a process that another thread starts without a handle
/// list inherits them too. Arguments of a batch file are quoted; an argument with a line break, and a program name with a
/// quote, are errors.
///
/// It runs no code of yours between `fork` and `exec`, so it can't change the user id, set limits or run a `pre_exec` closure. On
/// Linux, `os::linux::CommandExt` confines a child that isn't trusted. Any other sandbox a child can set up for itself at the start
/// of `main`:
///
/// ```no_run
/// fn main() -> Result<(), heirloom::Error> {
///     heirloom::claim()?;
///     let input = heirloom::FrozenRegion::inherited("input")?.map()?;
///     // setrlimit, seccomp, setuid: drop every right that the rest does not need
///     println!("{} bytes", input.len());
///     Ok(())
/// }
/// ```
///
/// In all else it does what the standard library's command does. On Unix:
/// - The child inherits the blocked signals of this thread and the ignored signals of this process, but for SIGPIPE, which
///   Rust programs ignore and which gets its default action; `os::unix::CommandExt::keep_sigpipe` keeps it.
/// - A script without `#!` is an error, not run by a shell as by execvp(3).
/// - The standard streams are passed on as they are, also if they don't block (EAGAIN).
/// - A child outlives this process. One that nobody waits for stays a zombie until this process ends.
///
/// Alternatively, `os::unix::InheritExt` adds `inherit` to the standard library's command, which then
/// forks.
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
    /// The first is the program's name.
    args: Vec<OsString>,
    /// The child's environment starts empty.
    cleared: bool,
    /// The variables that are set (`Some`) or removed (`None`).
    changes: BTreeMap<EnvKey, Option<OsString>>,
    directory: Option<PathBuf>,
    pub(crate) options: SpawnOptions,
    standard: [Option<Stdio>; 3],
    variable: Variable,
    regions: Vec<Arc<RegionInner>>,
    channel_ends: ChannelEnds,
}

/// The ends of channels that the first child gets.
enum ChannelEnds {
    Here(Vec<End>),
    /// A child has them.
    Given,
}

impl Command {
    /// Creates a command for `program`.
    ///
    /// A program without a slash is looked up in `PATH`: the child's, if [`env`](Self::env) and the like changed it.
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
            channel_ends: ChannelEnds::Here(Vec::new()),
        }
    }

    /// Passes `region` to the child under `name`.
    ///
    /// The name is UTF-8 of 1 to 240 bytes without NUL. The handle can be dropped before the spawn.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): a bad name.
    /// - [`ErrorKind::NameInUse`](crate::ErrorKind::NameInUse): this command has a region of that name.
    /// - [`ErrorKind::TooMany`](crate::ErrorKind::TooMany): the names and strings exceed the size of an environment variable, on
    ///   Linux 128 KiB or about 2000 regions.
    /// - [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors): a second name for one region needs a second
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
        let region = hand_down(&mut self.variable, name, region)?;
        self.regions.push(region);
        Ok(self)
    }

    /// Moves an end of a channel to the child, under `name`.
    ///
    /// This process closes its copy once the child has started, because a copy that it kept would hide the child's death from the
    /// process at the other end. So this command can start one child only. A command that is dropped before that closes the end.
    /// Start the program directly, not by a shell: whatever has a copy of the descriptors hides the death too.
    ///
    /// # Errors
    /// As for [`inherit`](Self::inherit), and [`ErrorKind::AlreadyTaken`]: an earlier child of this command has its ends. The end is
    /// closed then.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// use heirloom::{Command, ErrorKind};
    ///
    /// let (sender, mut receiver) = heirloom::channel(64 << 10)?;
    /// let mut child = Command::new("true").inherit_end("answers", sender)?.spawn()?;
    /// // The child ends without an answer.
    /// assert_eq!(receiver.recv().unwrap_err().kind(), ErrorKind::PeerGone);
    /// # child.wait()?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn inherit_end(&mut self, name: &str, end: impl ChannelEnd) -> Result<&mut Self> {
        let ChannelEnds::Here(ends) = &mut self.channel_ends else {
            return Err(self.ends_given("pass an end of a channel to"));
        };
        let end = end.into_end();
        hand_down_end(&mut self.variable, name, end.parts())?;
        ends.push(end);
        Ok(self)
    }

    fn ends_given(&self, tried: &str) -> Error {
        let message =
            format!("cannot {tried} {:?}: an earlier child of this command has its ends of channels", self.program);
        Error::advised(ErrorKind::AlreadyTaken, message, "make a command and a channel for each child")
    }

    /// Adds an argument.
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

    /// Adds arguments.
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

    /// Sets the name that the program sees as its own (`argv[0]`).
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
    /// A value for `HEIRLOOM_REGIONS` is ignored: every spawn sets or removes that variable.
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

    /// Clears the child's environment. The names of regions stay, also if `inherit` came first.
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

    /// Sets the child's working directory. A relative path of the program is relative to it.
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

    /// Sets the child's standard input. The default is this process's own, and empty for [`output`](Self::output).
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

    /// Sets the child's standard output. The default is this process's own, and a pipe for [`output`](Self::output).
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

    /// Sets the child's standard error. The default is this process's own, and a pipe for [`output`](Self::output).
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

    /// Starts the program.
    ///
    /// It first claims the regions that this process inherited itself, so that the child doesn't inherit them.
    ///
    /// # Errors
    /// On failure no process was started.
    /// - [`ErrorKind::ProgramNotFound`](crate::ErrorKind::ProgramNotFound): the program doesn't exist.
    /// - [`ErrorKind::ProgramNotRunnable`](crate::ErrorKind::ProgramNotRunnable): the program can't be executed, or the arguments
    ///   are too long.
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): a NUL byte in an argument, a variable or the directory.
    /// - [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors): no descriptors are left for the pipes.
    /// - [`ErrorKind::AlreadyTaken`]: an earlier child of this command has the ends of channels that it names.
    /// - [`ErrorKind::System`](crate::ErrorKind::System): too many processes, a missing directory, or a process group of another
    ///   session.
    ///
    /// ```
    /// let mut child = heirloom::Command::new("true").spawn()?;
    /// assert!(child.wait()?.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn spawn(&mut self) -> Result<Child> {
        self.spawn_with(&[Stdio::inherit(), Stdio::inherit(), Stdio::inherit()])
    }

    /// Starts the program, waits for it, and returns its exit status.
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

    /// Starts the program with empty input, waits for it, and returns its exit status and output.
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
        let streams = self.open(defaults)?;
        let process = self
            .launch(&streams, sys::spawn)
            .map_err(|failure| Error::system(format_args!("cannot start {:?}", self.program), failure))?;
        if let ChannelEnds::Here(ends) = &mut self.channel_ends {
            if !ends.is_empty() {
                ends.iter_mut().for_each(End::leave);
                self.channel_ends = ChannelEnds::Given;
            }
        }
        Ok(Child::new(process, streams.map(|streams| streams.ours)))
    }

    pub(crate) fn open(&self, defaults: &[Stdio; 3]) -> Result<[Ends; 3]> {
        if matches!(self.channel_ends, ChannelEnds::Given) {
            return Err(self.ends_given("start"));
        }
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

    pub(crate) fn launch<T>(&self, streams: &[Ends; 3], start: impl FnOnce(&Launch<'_>) -> T) -> T {
        let environment = self.environment();
        let mut pass: Vec<_> = self.regions.iter().map(|region| region.memory.lend()).collect();
        if let ChannelEnds::Here(ends) = &self.channel_ends {
            pass.extend(ends.iter().flat_map(|end| end.parts().descriptors()));
        }
        start(&Launch {
            program: &self.program,
            args: &self.args,
            environment: &environment,
            directory: self.directory.as_deref(),
            options: &self.options,
            standard: streams.each_ref().map(|streams| streams.theirs.as_ref()),
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

/// Shows program, arguments and regions, but no environment variables.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("regions", &self.variable.as_str())
            .finish_non_exhaustive()
    }
}
