//! What every Unix has, and others don't: descriptors, `fork` and `exec`, process groups and signals.

use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use self::sealed::Sealed;
use crate::region::RegionInner;
use crate::region::Sealed as _;
use crate::transfer::claim_quietly;
use crate::transfer::hand_down;
use crate::transfer::{VARIABLE, Variable};
use crate::{
    AnyRegion, AsRegion, Command, Error, ErrorKind, ExportedRegion, FrozenRegion, ReadOnlyRegion, Region, Result,
    Stdio, sys,
};

/// Nobody else's types have the traits for Unix.
pub(super) mod sealed {
    pub trait Sealed {}

    impl Sealed for crate::Child {}
    impl Sealed for crate::Command {}
    impl Sealed for std::process::Command {}
}

/// What only Unix knows of starting programs.
///
/// ```
/// use heirloom::Command;
/// use heirloom::os::unix::CommandExt;
///
/// let mut child = Command::new("true").process_group(0).spawn()?;
/// # child.wait()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
pub trait CommandExt: Sealed {
    /// The process group that the child joins; 0 is a new one of its own.
    ///
    /// ```
    /// use heirloom::os::unix::CommandExt;
    ///
    /// // Interrupts from the terminal don't reach it.
    /// let mut child = heirloom::Command::new("true").process_group(0).spawn()?;
    /// # child.wait()?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn process_group(&mut self, group: i32) -> &mut Self;

    /// Whether the child starts with the signals blocked that this thread blocks, and those ignored that this process
    /// ignores. Without it no signal is blocked, and SIGPIPE, which Rust programs ignore, is at its default.
    ///
    /// ```
    /// use heirloom::os::unix::CommandExt;
    ///
    /// // As nohup(1) would have it.
    /// let status = heirloom::Command::new("true").keep_signals(true).status()?;
    /// assert!(status.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn keep_signals(&mut self, keep: bool) -> &mut Self;

    /// Becomes the program: this process goes on as it, with its number. Returns only where that failed.
    ///
    /// The regions are made inheritable in this process just before: a child that another thread starts at that moment
    /// gets them too, so call it while there is no other thread. After a failure the working directory, the process group
    /// and the standard streams may be the new ones already; regions and signals are as before.
    ///
    /// # Errors
    /// As for [`spawn`](Command::spawn), and [`ErrorKind::InvalidInput`] for a piped stream, which would have no other end.
    ///
    /// ```no_run
    /// use heirloom::os::unix::CommandExt;
    ///
    /// let text = heirloom::FrozenRegion::from_bytes(b"text")?;
    /// let error = heirloom::Command::new("worker").inherit("text", &text)?.exec();
    /// eprintln!("{error}");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn exec(&mut self) -> Error;
}

impl CommandExt for Command {
    fn process_group(&mut self, group: i32) -> &mut Self {
        self.options.process_group = Some(group);
        self
    }

    fn keep_signals(&mut self, keep: bool) -> &mut Self {
        self.options.keep_signals = keep;
        self
    }

    fn exec(&mut self) -> Error {
        claim_quietly();
        match self.open(&[Stdio::inherit(), Stdio::inherit(), Stdio::inherit()]) {
            Ok(ends) if ends.iter().any(|ends| ends.ours.is_some()) => {
                let message = format!("cannot become {:?}: a piped stream would have no other end", self.program);
                Error::new(ErrorKind::InvalidInput, message)
            }
            Ok(ends) => {
                let failure = self.launch(&ends, sys::exec);
                Error::system(format_args!("cannot become {:?}", self.program), failure)
            }
            Err(error) => error,
        }
    }
}

/// Hands regions down through [`std::process::Command`], and so through what is built on it, such as tokio's (by its
/// `as_std_mut`).
///
/// The price, beside [`heirloom::Command`](crate::Command): the standard library then starts the program by `fork`, whose
/// cost grows with the memory that this process uses; `docs/benchmarks.md` shows how much.
///
/// ```
/// use heirloom::Region;
/// use heirloom::os::unix::InheritExt;
///
/// let frames = Region::create(4096)?;
/// let status = std::process::Command::new("true").inherit("frames", &frames)?.status()?;
/// assert!(status.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait InheritExt: Sealed {
    /// Hands `region` down to what this command starts, under `name`.
    ///
    /// The names travel in the command's environment: `env_clear` afterwards loses them, and the child then can't find
    /// what it inherits. Nobody else's child gets the region. The handle may be dropped before the spawn.
    ///
    /// With the standard library's `exec`, which becomes the program, a failure leaves the region open to every child of
    /// this process: [`CommandExt::exec`] doesn't.
    ///
    /// # Errors
    /// As for [`Command::inherit`](crate::Command::inherit).
    ///
    /// ```
    /// use heirloom::Region;
    /// use heirloom::os::unix::InheritExt;
    ///
    /// let region = Region::create(4096)?;
    /// let mut command = std::process::Command::new("worker");
    /// command.arg("--fast").inherit("jobs", &region)?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn inherit(&mut self, name: &str, region: &(impl AsRegion + ?Sized)) -> Result<&mut Self>;
}

impl InheritExt for std::process::Command {
    fn inherit(&mut self, name: &str, region: &(impl AsRegion + ?Sized)) -> Result<&mut Self> {
        let listed = self.get_envs().find(|(key, _)| *key == VARIABLE);
        let listed = listed.and_then(|(_, value)| value?.to_str());
        let mut variable = listed.map_or_else(Variable::default, Variable::resume);
        let object = hand_down(&mut variable, name, region)?;
        self.env(VARIABLE, variable.as_str());
        sys::pass_with_std(self, object);
        Ok(self)
    }
}

impl AsFd for RegionInner {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

impl AsFd for Region {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for ReadOnlyRegion {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for AnyRegion {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner().as_fd()
    }
}

impl AsFd for FrozenRegion {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The descriptor that the child is to inherit, under its number.
impl AsFd for ExportedRegion {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

impl From<TcpStream> for Stdio {
    fn from(stream: TcpStream) -> Self {
        OwnedFd::from(stream).into()
    }
}

impl From<UnixStream> for Stdio {
    fn from(stream: UnixStream) -> Self {
        OwnedFd::from(stream).into()
    }
}
