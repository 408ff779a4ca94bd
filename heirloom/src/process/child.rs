use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output};

use crate::sys::{self, Failure, Owned, Process};
use crate::{Error, ErrorKind, Result};

/// A process that [`Command::spawn`](crate::Command::spawn) started.
///
/// As with the standard library's, dropping it neither ends the process nor waits for it.
///
/// ```
/// let mut child = heirloom::Command::new("sleep").arg("1000").spawn()?;
/// child.kill()?;
/// assert!(!child.wait()?.success());
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// The writing end of its standard input, if that is piped.
    pub stdin: Option<ChildStdin>,
    /// The reading end of its standard output, if that is piped.
    pub stdout: Option<ChildStdout>,
    /// The reading end of its standard error, if that is piped.
    pub stderr: Option<ChildStderr>,
    pub(crate) process: Process,
    state: State,
}

/// What became of it. Once it was waited for, its number may be another process's.
#[derive(Clone, Copy, Debug)]
enum State {
    /// It runs, or nobody waited for it yet.
    Waitable,
    Ended(ExitStatus),
    /// Somebody else waited for it.
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

    /// Its process number.
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

    /// Closes its standard input, waits until it ends, and tells how it did; asked again, tells the same.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: somebody else waited for it.
    ///
    /// ```
    /// let mut child = heirloom::Command::new("false").spawn()?;
    /// assert_eq!(child.wait()?.code(), Some(1));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        loop {
            if let Some(status) = self.wait_or_look(true)? {
                return Ok(status);
            }
        }
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: somebody else waited for it.
    ///
    /// ```
    /// let mut child = heirloom::Command::new("sleep").arg("1000").spawn()?;
    /// assert!(child.try_wait()?.is_none());
    /// # child.kill()?;
    /// # child.wait()?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.wait_or_look(false)
    }

    fn wait_or_look(&mut self, block: bool) -> Result<Option<ExitStatus>> {
        if let State::Ended(status) = self.state {
            return Ok(Some(status));
        }
        self.waitable("wait for")?;
        let waited = sys::wait(&self.process, block);
        match &waited {
            Ok(Some(status)) => self.state = State::Ended(*status),
            Ok(None) => {}
            Err(_) => self.state = State::Lost,
        }
        waited.map_err(|failure| self.failed("wait for", failure))
    }

    /// Whether its number is still its own.
    pub(crate) fn waitable(&self, tried: &str) -> Result<()> {
        let (kind, why) = match self.state {
            State::Waitable => return Ok(()),
            State::Ended(_) => (ErrorKind::InvalidInput, "it was waited for already"),
            State::Lost => (ErrorKind::System, "somebody else waited for it, and its number may be another process's"),
        };
        Err(Error::new(kind, format!("cannot {tried} process {}: {why}", self.id())))
    }

    /// Ends it at once (SIGKILL; on Windows with code 1). It must still be waited for. One that was waited for already is left alone.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: it runs as another user by now, or somebody else waited for it.
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
        self.waitable("kill")?;
        sys::kill(&self.process).map_err(|failure| self.failed("kill", failure))
    }

    /// Waits until it ends, and gathers what it writes to its piped standard output and error meanwhile.
    ///
    /// # Errors
    /// As for `wait`, and what reading the pipes answers.
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
        // Also after a failure: nobody else could wait for it any more.
        let status = self.wait()?;
        let [stdout, stderr] = gathered.map_err(|error| self.failed("read the output of", error.into()))?;
        Ok(Output { status, stdout, stderr })
    }

    pub(crate) fn failed(&self, tried: &str, failure: Failure) -> Error {
        Error::system(format_args!("cannot {tried} process {}", self.id()), failure)
    }
}
