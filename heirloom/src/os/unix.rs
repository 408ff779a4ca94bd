//! Extensions for Unix: descriptors, `fork` and `exec`, process groups and signals.

use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use self::sealed::Sealed;
use crate::region::RegionInner;
use crate::region::Sealed as _;
use crate::transfer::{VARIABLE, Variable, claim_quietly, hand_down, hand_down_end};
use crate::{
    AnyRegion, AsRegion, ChannelEnd, Command, Error, ErrorKind, ExportedRegion, FrozenRegion, ReadOnlyRegion, Region,
    Result, Stdio, sys,
};

/// Keeps other crates from implementing the traits.
pub(super) mod sealed {
    pub trait Sealed {}

    impl Sealed for crate::Child {}
    impl Sealed for crate::Command {}
    impl Sealed for std::process::Command {}
}

/// Extends [`Command`] by what Unix offers.
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
    /// Sets the process group that the child joins; 0 makes a new one.
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

    /// Sets whether the child ignores SIGPIPE if this process does.
    ///
    /// By default it doesn't: Rust programs ignore SIGPIPE, and other programs don't expect that. The child keeps all other
    /// ignored signals of this process, and the blocked signals of this thread.
    ///
    /// ```
    /// use heirloom::os::unix::CommandExt;
    ///
    /// let status = heirloom::Command::new("true").keep_sigpipe(true).status()?;
    /// assert!(status.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn keep_sigpipe(&mut self, keep: bool) -> &mut Self;

    /// Replaces this process by the program, which keeps the process id. Returns only on failure.
    ///
    /// The regions become inheritable in this process just before: a child that another thread starts at that moment
    /// inherits them, so call it while there is only one thread. After a failure, the working directory, the process group
    /// and the standard streams may have changed; regions and signals are restored.
    ///
    /// # Errors
    /// As for [`spawn`](Command::spawn), and [`ErrorKind::InvalidInput`] for a piped stream, which would have no reader or writer.
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

    fn keep_sigpipe(&mut self, keep: bool) -> &mut Self {
        self.options.keep_sigpipe = keep;
        self
    }

    fn exec(&mut self) -> Error {
        claim_quietly();
        match self.open(&[Stdio::inherit(), Stdio::inherit(), Stdio::inherit()]) {
            Ok(ends) if ends.iter().any(|ends| ends.ours.is_some()) => {
                let message = format!("cannot execute {:?}: a piped stream would have no other end", self.program);
                Error::advised(ErrorKind::InvalidInput, message, "redirect to a file, or use spawn")
            }
            Ok(ends) => {
                let failure = self.launch(&ends, sys::exec);
                Error::system(format_args!("cannot execute {:?}", self.program), failure)
            }
            Err(error) => error,
        }
    }
}

/// Extends [`std::process::Command`], and commands built on it such as tokio's (by `as_std_mut`), to pass regions.
///
/// The standard library then forks, which costs more the more memory this process uses; `docs/benchmarks.md` has figures.
/// [`heirloom::Command`](crate::Command) doesn't fork.
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
    /// Passes `region` to the child under `name`.
    ///
    /// The names travel in the command's environment: a later `env_clear` removes them, and the child can't find its
    /// regions. No other child inherits the region. The handle can be dropped before the spawn.
    ///
    /// If the standard library's `exec` fails, the region stays inheritable by every child of this process. With
    /// [`CommandExt::exec`] it doesn't.
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

    /// Moves an end of a channel to the child, under `name`.
    ///
    /// This process has a copy of the end as long as the command lives, and that hides the child's death from the process at the
    /// other end: drop the command once the child has started. A second child of the command would use the same end. If the
    /// standard library's `exec` fails, every child of this process inherits the end.
    ///
    /// # Errors
    /// As for [`Command::inherit_end`](crate::Command::inherit_end).
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android"))) { return Ok(()) }
    /// use heirloom::os::unix::InheritExt;
    ///
    /// let (sender, mut receiver) = heirloom::channel(64 << 10)?;
    /// let mut command = std::process::Command::new("true");
    /// let mut child = command.inherit_end("answers", sender)?.spawn()?;
    /// drop(command);
    /// assert_eq!(receiver.recv().unwrap_err().kind(), heirloom::ErrorKind::PeerGone);
    /// # child.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn inherit_end(&mut self, name: &str, end: impl ChannelEnd) -> Result<&mut Self>;
}

impl InheritExt for std::process::Command {
    fn inherit(&mut self, name: &str, region: &(impl AsRegion + ?Sized)) -> Result<&mut Self> {
        let mut variable = listed(self);
        let region = hand_down(&mut variable, name, region)?;
        self.env(VARIABLE, variable.as_str());
        sys::pass_with_std(self, [region.memory.number()], region);
        Ok(self)
    }

    fn inherit_end(&mut self, name: &str, end: impl ChannelEnd) -> Result<&mut Self> {
        let mut variable = listed(self);
        let mut end = end.into_end();
        hand_down_end(&mut variable, name, end.parts())?;
        self.env(VARIABLE, variable.as_str());
        end.leave();
        sys::pass_with_std(self, end.parts().descriptors().map(|descriptor| descriptor.as_raw_fd()), end);
        Ok(self)
    }
}

/// Returns what a command lists so far.
fn listed(command: &std::process::Command) -> Variable {
    let listed = command.get_envs().find(|(key, _)| *key == VARIABLE);
    let listed = listed.and_then(|(_, value)| value?.to_str());
    listed.map_or_else(Variable::default, Variable::resume)
}

impl AsFd for RegionInner {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

macro_rules! descriptor {
    ($($(#[$doc:meta])* $owner:ty: $descriptor:expr;)*) => {$(
        $(#[$doc])*
        impl AsFd for $owner {
            fn as_fd(&self) -> BorrowedFd<'_> {
                let descriptor: fn(&Self) -> BorrowedFd<'_> = $descriptor;
                descriptor(self)
            }
        }

        impl AsRawFd for $owner {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }
    )*};
}

descriptor! {
    Region: |region| region.0.as_fd();
    ReadOnlyRegion: |region| region.0.as_fd();
    FrozenRegion: |region| region.0.as_fd();
    AnyRegion: |region| region.inner().as_fd();
    /// Borrows the descriptor that the child must inherit under the same number.
    ExportedRegion: |exported| exported.memory.as_fd();
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
