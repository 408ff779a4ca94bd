use std::fs::File;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::sys::{self, Owned};

/// The standard input, output or error of a child of [`Command`](crate::Command).
///
/// It mirrors [`std::process::Stdio`], which `Command` can't use because its contents are private.
///
/// ```
/// use heirloom::{Command, Stdio};
/// use std::fs::File;
///
/// let manifest = File::open("Cargo.toml")?;
/// let output = Command::new("wc").arg("-l").stdin(manifest).stderr(Stdio::null()).output()?;
/// assert!(output.status.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stdio(Choice);

#[derive(Debug)]
enum Choice {
    Inherit,
    Null,
    Piped,
    Descriptor(Owned),
}

/// The direction of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    IntoChild,
    OutOfChild,
}

/// The descriptors of one stream.
#[derive(Default)]
pub(crate) struct Ends {
    /// The child's end; `None` inherits this process's own stream.
    pub(crate) theirs: Option<Owned>,
    /// This process's end of a pipe.
    pub(crate) ours: Option<Owned>,
}

impl Stdio {
    /// Inherits this process's own stream.
    ///
    /// ```
    /// use heirloom::{Command, Stdio};
    ///
    /// let output = Command::new("true").stderr(Stdio::inherit()).output()?;
    /// assert!(output.stderr.is_empty());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn inherit() -> Self {
        Self(Choice::Inherit)
    }

    /// Opens the null device: reads return end of file, writes are discarded.
    ///
    /// ```
    /// use heirloom::{Command, Stdio};
    ///
    /// assert!(Command::new("cat").stdin(Stdio::null()).status()?.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn null() -> Self {
        Self(Choice::Null)
    }

    /// Opens a pipe, whose other end is in the [`Child`](crate::Child).
    ///
    /// ```
    /// use heirloom::{Command, Stdio};
    /// use std::io::Write;
    ///
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    /// child.stdin.take().expect("it is piped").write_all(b"hello")?;
    /// child.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn piped() -> Self {
        Self(Choice::Piped)
    }

    pub(crate) fn open(&self, direction: Direction) -> sys::Result<Ends> {
        Ok(match &self.0 {
            Choice::Inherit => Ends::default(),
            Choice::Null => Ends { theirs: Some(sys::null()?), ours: None },
            Choice::Piped => {
                let (reader, writer) = sys::pipe()?;
                let (theirs, ours) = match direction {
                    Direction::IntoChild => (reader, writer),
                    Direction::OutOfChild => (writer, reader),
                };
                Ends { theirs: Some(theirs), ours: Some(ours) }
            }
            Choice::Descriptor(descriptor) => Ends { theirs: Some(sys::duplicate(descriptor)?), ours: None },
        })
    }
}

/// Converts owners of a descriptor into a child's stream.
macro_rules! from_owner {
    ($($owner:ty),*) => {$(
        impl From<$owner> for Stdio {
            fn from(owner: $owner) -> Self {
                Self(Choice::Descriptor(owner.into()))
            }
        }
    )*};
}

from_owner!(Owned, File, ChildStdin, ChildStdout, ChildStderr);
