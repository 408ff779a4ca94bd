use std::fs::File;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::sys::{self, Owned};

/// What becomes the standard input, output or error of a child that [`Command`](crate::Command) starts.
///
/// The standard library's own `Stdio` can't be looked into, so this stands in for it, with the same names.
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

/// Which way a stream goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    IntoChild,
    OutOfChild,
}

/// What a spawn needs for one stream.
#[derive(Default)]
pub(crate) struct Ends {
    /// What becomes the child's; `None` is this process's own.
    pub(crate) theirs: Option<Owned>,
    /// This process's end of a pipe.
    pub(crate) ours: Option<Owned>,
}

impl Stdio {
    /// This process's own.
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

    /// Nothing: reads end at once, writes vanish.
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

    /// A new pipe, whose other end is in the [`Child`](crate::Child).
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

/// What owns a descriptor becomes a child's stream.
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
