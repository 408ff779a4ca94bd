use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output};

use crate::sys::{self, Failure, Owned, Process};
use crate::{Error, ErrorKind, Result};

/// A running or ended child process; from [`Command::spawn`](crate::Command::spawn).
///
/// As with [`std::process::Child`], dropping it neither kills the process nor waits for it.
///
/// ```
/// let mut child = heirloom::Command::new("sleep").arg("1000").spawn()?;
/// child.kill()?;
/// assert!(!child.wait()?.success());
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// The write end of a piped standard input.
    pub stdin: Option<ChildStdin>,
    /// The read end of a piped standard output.
    pub stdout: Option<ChildStdout>,
    /// The read end of a piped standard error.
    pub stderr: Option<ChildStderr>,
    pub(crate) process: Process,
    state: State,
}

/// Whether the process can be waited for. After a wait, the system may reuse its id.
#[derive(Clone, Copy, Debug)]
enum State {
    /// It runs, or has ended and was not waited for.
    Waitable,
    Ended(ExitStatus),
    /// Other code of this process waited for it.
    Lost,
}

impl Child {
    pub(crate) fn new(process: Process, [stdin, stdout, stderr]: [Option<Owned>; 3]) -> Self {
        Self {
            stdin: stdin.map(ChildStdin::from),
            stdout: stdout.map(ChildStdout::from),
            stderr: stderr.map(ChildStderr::from),
            process,
            state: State::Waitable,
        }
    }

    /// Returns the process id.
    ///
    /// ```
    /// let mut child = heirloom::Command::new("true").spawn()?;
    /// println!("started process {}", child.id());
    /// # child.wait()?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Closes the piped standard input, waits for the process to end, and returns its exit status. Later calls return the
    /// same status.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: other code of this process waited for it.
    ///
    /// ```
    /// let mut child = heirloom::Command::new("false").spawn()?;
    /// assert_eq!(child.wait()?.code(), Some(1));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        loop {
            if let Some(status) = self.wait_with(true)? {
                return Ok(status);
            }
        }
    }

    /// Returns the exit status if the process has ended, without waiting.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: other code of this process waited for it.
    ///
    /// ```
    /// let mut child = heirloom::Command::new("sleep").arg("1000").spawn()?;
    /// assert!(child.try_wait()?.is_none());
    /// # child.kill()?;
    /// # child.wait()?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.wait_with(false)
    }

    fn wait_with(&mut self, block: bool) -> Result<Option<ExitStatus>> {
        if let State::Ended(status) = self.state {
            return Ok(Some(status));
        }
        self.check_waitable("wait for")?;
        let waited = sys::wait(&self.process, block);
        match &waited {
            Ok(Some(status)) => self.state = State::Ended(*status),
            Ok(None) => {}
            Err(_) => self.state = State::Lost,
        }
        waited.map_err(|failure| self.failed("wait for", failure))
    }

    /// Checks that the process id is still this child's.
    pub(crate) fn check_waitable(&self, tried: &str) -> Result<()> {
        let (kind, why) = match self.state {
            State::Waitable => return Ok(()),
            State::Ended(_) => (ErrorKind::InvalidInput, "it was waited for already"),
            State::Lost => {
                (ErrorKind::System, "other code waited for it, so its process id may belong to another process")
            }
        };
        Err(Error::new(kind, format!("cannot {tried} process {}: {why}", self.id())))
    }

    /// Kills the process: by SIGKILL, on Windows with exit code 1. It must still be waited for.
    ///
    /// It does nothing after a successful wait.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: the process has changed its user, or other code of this process waited for it.
    ///
    /// ```
    /// let mut child = heirloom::Command::new("sleep").arg("1000").spawn()?;
    /// child.kill()?;
    /// assert!(!child.wait()?.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn kill(&mut self) -> Result<()> {
        if let State::Ended(_) = self.state {
            return Ok(());
        }
        self.check_waitable("kill")?;
        sys::kill(&self.process).map_err(|failure| self.failed("kill", failure))
    }

    /// Waits for the process to end, and returns its exit status and what it wrote to its piped streams.
    ///
    /// # Errors
    /// As for `wait`, and the errors of reading the pipes.
    ///
    /// ```
    /// use heirloom::{Command, Stdio};
    ///
    /// let child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// assert_eq!(child.wait_with_output()?.stdout, b"hello\n");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn wait_with_output(mut self) -> Result<Output> {
        drop(self.stdin.take());
        let gathered = sys::gather([self.stdout.take().map(Owned::from), self.stderr.take().map(Owned::from)]);
        // Wait after a failure too: this value is consumed, so no later call could.
        let status = self.wait()?;
        let [stdout, stderr] = gathered.map_err(|error| self.failed("read the output of", error.into()))?;
        Ok(Output { status, stdout, stderr })
    }

    pub(crate) fn failed(&self, tried: &str, failure: Failure) -> Error {
        Error::system(format_args!("cannot {tried} process {}", self.id()), failure)
    }
}
